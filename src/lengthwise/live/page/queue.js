// The paused, and the queue in the order of admission.

import { children, make, say, style } from "./dom.js";
import { range, seconds, whole } from "./numbers.js";
import { table } from "./table.js";

const NAME = { head: "request", cell: (it) => `r${it.number}` };
const WHOSE = [
  { head: "tenant", cell: (it) => it.tenant, optional: true },
  { head: "class", cell: (it) => it.service, optional: true },
];
const EXPECTED = [
  { head: "expected still", cell: (it) => whole(it.left), number: true },
  { head: "low–high", cell: (it) => range(it.low, it.high), number: true },
];

const PAUSED = [
  NAME,
  ...WHOSE,
  { head: "answered", cell: (it) => whole(it.tokens), number: true },
  ...EXPECTED,
];

const promptOf = (it) =>
  it.cached ? `${whole(it.prompt)} (${whole(it.cached)})` : whole(it.prompt);

const QUEUE = [
  { head: "request", cell: (it) => `r${it.number}${it.promoted ? " promoted" : ""}` },
  { head: "place", cell: (it, index) => whole(index + 1), number: true },
  ...WHOSE,
  { head: "prompt (cached)", cell: promptOf, number: true },
  { head: "answered", cell: (it) => (it.tokens ? whole(it.tokens) : ""), number: true, optional: true },
  ...EXPECTED,
  { head: "waited", cell: (it) => seconds(it.waited), number: true },
  { head: "overtaken by", cell: (it) => whole(it.overtaken), number: true },
];

const EDGES = [32, 128, 512, 2048];
const LABELS = [...EDGES.map((edge) => `up to ${whole(edge)}`), "more", "not known"];

/** Shows how many requests wait, by what is expected of their answers. */
function bars(parent) {
  let most = 1;
  const create = (bucket) => {
    const made = make("div", "bucket");
    made.append(make("dt", "", bucket.label), make("dd"));
    return made;
  };
  const change = (made, bucket) => {
    say(made.lastChild, whole(bucket.count));
    style(made, "--share", `${((100 * bucket.count) / most).toFixed(1)}%`);
  };
  const update = children(parent, (bucket) => bucket.label, create, change);
  return (counts) => {
    most = Math.max(1, ...counts);
    update(counts.map((count, at) => ({ count, label: LABELS[at] ?? "" })));
    parent.parentElement.hidden = counts.every((count) => count === 0);
  };
}

/** Shows the requests of an engine that lost their seat for a while. */
export function paused(parent) {
  const show = table(parent, "Paused requests", PAUSED, (it) => it.number, "None.");
  return (engine) => show(engine.requests.filter((it) => it.where === "paused"));
}

/** Shows the requests of an engine that wait. */
export function queue(parent, sizes, below) {
  const count = bars(sizes);
  const show = table(parent, "Queue", QUEUE, (it) => it.number, "Nobody waits.");
  return (engine) => {
    const waiting = engine.requests.filter((it) => it.where === "waiting").slice(0, 100);
    count(engine.waiting_by);
    const rest = engine.waiting - waiting.length;
    const part = rest > 0 ? `: the first ${whole(waiting.length)} of ${whole(engine.waiting)}` : "";
    say(below, waiting.length ? `In the order in which they would be admitted now${part}.` : "");
    show(waiting, engine.waiting ? "Too many have a seat for the waiting ones to be listed." : undefined);
  };
}
