// What an engine's figures are: at the top, by class, by predictor, and since the start.

import { children, make, say } from "./dom.js";
import { seconds, share, tokens, whole } from "./numbers.js";
import { table } from "./table.js";

/** A list of terms with a value each, and a line below it where there is one. */
function terms(parent) {
  const create = ([term]) => {
    const made = make("div");
    made.append(make("dt", "", term), make("dd"), make("dd", "note"));
    return made;
  };
  const change = (made, [, value, more]) => {
    say(made.children[1], value);
    say(made.children[2], more ?? "");
    made.children[2].hidden = !more;
  };
  return children(parent, ([term]) => term, create, change);
}

const bounded = (bound) => [
  "Bound",
  `+${share(bound.tolerance, 1)}`,
  `longest wait at most, against first come, first served; ${tokens(bound.backlog)} of work ` +
    `wait, ${whole(bound.spare)} may go first`,
];

/** Shows the figures at the top. */
export function figures(parent) {
  const update = terms(parent);
  return (engine) =>
    update([
      ["Policy", engine.policy],
      ["Running", whole(engine.running), `of ${whole(engine.seats)} seats`],
      ["Paused", whole(engine.paused)],
      ["Waiting", whole(engine.waiting)],
      ["Longest wait", seconds(engine.waiting ? engine.longest_wait : 0)],
      [
        "KV cache",
        share(engine.kv_used, engine.kv_tokens),
        `${whole(engine.kv_used)} of ${tokens(engine.kv_tokens)}`,
      ],
      ...(engine.bound ? [bounded(engine.bound)] : []),
    ]);
}

const CLASSES = [
  { head: "class", cell: (it) => it.name },
  { head: "running", cell: (it) => whole(it.running), number: true },
  { head: "waiting", cell: (it) => whole(it.waiting), number: true },
  { head: "finished", cell: (it) => whole(it.finished), number: true },
  { head: "attained", cell: (it) => share(it.attained, it.finished), number: true },
  { head: "missed", cell: (it) => listed(it.missed) || "nothing" },
];

const listed = (counts) =>
  Object.entries(counts)
    .filter(([, count]) => count)
    .map(([name, count]) => `${name} ${whole(count)}`)
    .join(", ");

/** Shows the service classes, where there are any. */
export function classes(parent) {
  const show = table(parent, "Service classes", CLASSES, (it) => it.name, "");
  return (engine) => {
    parent.hidden = !engine.classes.length;
    show(engine.classes);
  };
}

const PREDICTORS = [
  { head: "predictor", cell: (it) => it.source },
  { head: "used", cell: (it) => whole(it.used), number: true },
  { head: "missing", cell: (it) => whole(it.missing), number: true },
  { head: "judged", cell: (it) => whole(it.judged), number: true },
  { head: "mean error", cell: (it) => whole(it.error), number: true },
  { head: "pairs right", cell: (it) => share(it.pairs_right, 1), number: true },
];

const LEARNING = {
  off: "Nothing is learned here.",
  gathering: "Learning: gathers finished requests; nothing learned acts yet.",
  acting: "Learning: what was learned acts.",
  stopped: "Learning stopped: its process ended. See the server's log.",
};

function learned({ state, told, starts, prompt_version: prompt, probe_version: probe }) {
  const said = [LEARNING[state]];
  if (state !== "off") said.push(`${whole(told)} finished requests told.`);
  if (prompt) said.push(`Predictions from prompts: version ${prompt}.`);
  if (probe) said.push(`From hidden states: version ${probe}.`);
  if (starts > 1) said.push(`Its process was started ${whole(starts)} times.`);
  return said.join(" ");
}

/** Shows the predictors, and what is learned. */
export function predictors(parent, learner) {
  const show = table(parent, "Predictors", PREDICTORS, (it) => it.source, "None is in use.");
  return (engine) => {
    say(learner, learned(engine.learner));
    show(engine.predictors);
  };
}

/** Shows what was counted since the start. */
export function totals(parent) {
  const update = terms(parent);
  return ({ totals: it }) => {
    const evicted = Object.values(it.evicted).reduce((sum, count) => sum + count, 0);
    update([
      ["Arrived", whole(it.arrived)],
      ["Admitted", whole(it.admitted)],
      ["Finished", whole(it.finished)],
      ["Aborted", whole(it.aborted)],
      ["Overtakings", whole(it.overtakings), "pairs of which the later one was admitted first"],
      ["Paused", whole(it.paused), `${whole(it.resumed)} of them resumed`],
      ["Evicted", whole(evicted), [listed(it.evicted), `${tokens(it.recomputed)} recomputed`].filter(Boolean).join("; ")],
      ["Promoted", whole(it.promoted)],
      ["Steps", whole(it.steps), `${share(it.full_steps, it.steps)} with all seats taken`],
      ["Scheduling", seconds(it.scheduler_s), `in all; lengthwise added ${seconds(it.ranking_s)} of it`],
      ["Hints ignored", whole(it.ignored_hints)],
    ]);
  };
}
