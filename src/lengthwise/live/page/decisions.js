// The last decisions of an engine in words, newest first. The words are the server's.

import { children, make, mark, say } from "./dom.js";
import { clock, whole } from "./numbers.js";

const KEPT = 150;

const GROUPS = {
  all: () => true,
  seats: (it) => ["paused", "resumed", "evicted", "promoted"].includes(it.kind),
  order: (it) => it.kind === "admitted" && it.overtook > 0,
  ends: (it) => ["arrived", "finished", "aborted"].includes(it.kind),
};

/** What is kept of one engine's decisions while the page is open. */
export class History {
  constructor() {
    this.groups = Object.fromEntries(Object.keys(GROUPS).map((name) => [name, []]));
    this.judged = [];
    this.newest = 0;
    this.missed = 0;
  }

  /** Take in what an engine says; returns how many decisions there were since the last time. */
  add(engine) {
    const last = engine.decisions.at(-1)?.index ?? 0;
    if (last < this.newest) Object.assign(this, new History());
    const fresh = engine.decisions
      .map((it, at) => ({ ...it, words: engine.words[at] }))
      .filter((it) => it.index > this.newest);
    const gap = fresh.length && this.newest ? fresh[0].index - this.newest - 1 : 0;
    this.missed += gap;
    this.newest = Math.max(this.newest, last);
    for (const [name, belongs] of Object.entries(GROUPS)) {
      this.groups[name] = [...this.groups[name], ...fresh.filter(belongs)].slice(-KEPT);
    }
    const told = fresh.filter((it) => it.kind === "finished" && it.predicted != null);
    this.judged = [...this.judged, ...told].slice(-300);
    return gap + fresh.length;
  }
}

function create(decision) {
  const made = make("li", decision.kind);
  const time = make("time", "", clock(decision.at));
  mark(time, "datetime", new Date(1000 * decision.at).toISOString());
  made.append(time, make("span", "", decision.words));
  return made;
}

/** Shows a history; `kinds` is the select that says which of it. */
export function decisions(parent, kinds, below) {
  const update = children(parent, (it) => it.index, create, () => {});
  let shown = null;
  const show = () => {
    if (!shown) return;
    update(shown.groups[kinds.value].toReversed());
    const missed = shown.missed;
    say(below, missed ? `${whole(missed)} came too fast to be shown: --lengthwise-log has all.` : "");
  };
  kinds.addEventListener("change", show);
  return (history) => {
    shown = history;
    show();
  };
}
