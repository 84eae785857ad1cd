// The live page: asks once a second while it is seen, and shows what the engines say.

import { accuracy } from "./accuracy.js";
import { ask, hasKey, keepKey, KeyWanted } from "./ask.js";
import { decisions, History } from "./decisions.js";
import { mark, say } from "./dom.js";
import { clock } from "./numbers.js";
import { paused, queue } from "./queue.js";
import { seats } from "./seats.js";
import { classes, figures, predictors, totals } from "./summary.js";
import { tabs } from "./tabs.js";

const EVERY_MS = 1000;
/** Long lists come less often: telling them costs the engine time. */
const ROW_MS = 20;
const FEW_ROWS = 50;
const MOST_ROWS = 1000;
const QUEUE_ROWS = 25;
const FEW_DECISIONS = 50;
const MORE_DECISIONS = 200;
const ALL_DECISIONS = 1000;

const part = (id) => document.getElementById(id);
const [status, hold, form, main] = ["status", "hold", "key", "content"].map(part);

const histories = new Map();
let engines = [];
let silent = [];
let held = false;
let timer = 0;
let wanted = { rows: FEW_ROWS, decisions: ALL_DECISIONS };
let listed = -Infinity;
let asking = false;

const showEngine = [
  figures(part("figures")),
  seats(part("seats"), part("seats-note")),
  paused(part("paused")),
  queue(part("queue"), part("waiting-by"), part("queue-note")),
  classes(part("classes")),
  predictors(part("predictors"), part("learner")),
  totals(part("totals")),
];
const showHistory = [
  decisions(part("decisions"), part("kinds"), part("decisions-note")),
  accuracy(part("accuracy"), part("accuracy-note")),
];
const choose = tabs(part("tabs"), part("panel"), show);

function show() {
  if (!engines.length) return;
  const engine = choose(engines);
  say(part("model"), engine.model);
  say(part("time"), clock(engine.at));
  say(part("listed"), engine.at - engine.listed > 1.5 ? `, lists of ${clock(engine.listed)}` : "");
  document.title = `${engine.waiting} waiting · lengthwise`;
  for (const each of showEngine) each(engine);
  for (const each of showHistory) each(histories.get(engine.engine));
  main.hidden = false;
}

function take(found, lists) {
  for (const engine of found) {
    const before = engines.find((it) => it.engine === engine.engine);
    engine.listed = lists || !before ? engine.at : before.listed;
    if (!lists) engine.requests = before?.requests ?? [];
  }
  // One of several engines may be silent: its last state stays.
  silent = engines.filter((it) => !found.some((each) => each.engine === it.engine));
  engines = [...found, ...silent].sort((one, two) => one.engine - two.engine);
  let fresh = 0;
  for (const engine of found) {
    if (!histories.has(engine.engine)) histories.set(engine.engine, new History());
    fresh = Math.max(fresh, histories.get(engine.engine).add(engine));
  }
  const needed = Math.max(...engines.map((it) => it.running + it.paused)) + QUEUE_ROWS;
  wanted = {
    rows: Math.min(Math.max(FEW_ROWS, needed), MOST_ROWS),
    decisions: fresh > 0.8 * FEW_DECISIONS ? MORE_DECISIONS : FEW_DECISIONS,
  };
}

function tell(state, line) {
  mark(status, "class", state);
  mark(main, "class", state);
  say(status, line);
}

function askForKey() {
  tell("alarm", hasKey() ? "The server refused this API key." : "This server wants its API key.");
  if (!form.hidden) return;
  form.hidden = false;
  if (document.activeElement === document.body) part("key-text").focus();
}

async function update() {
  if (asking) return;
  asking = true;
  try {
    const now = performance.now();
    const lists = now - listed >= wanted.rows * ROW_MS - EVERY_MS / 2;
    take(await ask(lists ? wanted.rows : 0, wanted.decisions), lists);
    if (lists) listed = now;
    form.hidden = true;
    if (engines.length) show();
    if (silent.length) tell("alarm", `No answer of engine ${silent.map((it) => it.engine).join(", ")}.`);
    else if (!held) tell("live", engines.length ? "Live" : "The server has no engine.");
  } catch (error) {
    if (error instanceof KeyWanted) askForKey();
    else tell("alarm", `${engines.length ? "Out of date: " : "No data: "}${error.message.replace(/\.$/, "")}.`);
  } finally {
    asking = false;
    plan();
  }
}

/** The next question; none while nobody looks, updating is stopped, or a key is awaited. */
function plan() {
  clearTimeout(timer);
  if (held || document.hidden || !form.hidden) return;
  timer = setTimeout(update, EVERY_MS);
}

hold.addEventListener("click", () => {
  held = !held;
  say(hold, held ? "Update again" : "Stop updating");
  clearTimeout(timer);
  if (held) tell("held", "Stopped");
  else update();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden || held) clearTimeout(timer);
  else if (form.hidden) update();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(part("key-text").value);
  part("key-text").value = "";
  update();
});

update();
