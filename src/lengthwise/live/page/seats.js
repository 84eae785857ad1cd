// The seats: who has them, what is answered, what is expected still.

import { children, make, mark, say, style } from "./dom.js";
import { range, tokens, whole } from "./numbers.js";

const most = (request) => request.tokens + Math.max(request.left ?? 0, request.high ?? 0);

const whoseOf = (request) => [request.tenant, request.service].filter(Boolean);

function described(request) {
  const whose = whoseOf(request).map((name) => `, ${name}`);
  const expected =
    request.left == null
      ? "how many more is not known"
      : `${whole(request.left)} more expected (${range(request.low, request.high)})`;
  return `r${request.number}${whose.join("")}: ${tokens(request.tokens)} answered, ${expected}`;
}

function create() {
  const cell = make("li", "seat");
  const text = make("span", "unseen");
  const line = make("span", "line");
  line.append(make("b"), make("span", "count"));
  line.setAttribute("aria-hidden", "true");
  const bar = make("span", "bar");
  bar.append(make("i", "done"), make("i", "left"), make("i", "range"));
  const whose = make("bdi", "whose");
  whose.setAttribute("aria-hidden", "true");
  cell.append(text, line, whose, bar);
  return cell;
}

function change(cell, request, scale) {
  const [text, line, whose, bar] = cell.children;
  const expected = request.left == null ? "" : ` of ~${whole(request.tokens + request.left)}`;
  say(text, described(request));
  mark(cell, "title", described(request));
  say(whose, whoseOf(request).join(" · "));
  whose.hidden = !whose.textContent;
  say(line.firstChild, `r${request.number}`);
  say(line.lastChild, `${whole(request.tokens)}${expected}`);
  const part = (value) => `${((100 * value) / scale).toFixed(2)}%`;
  style(bar, "--answered", part(request.tokens));
  style(bar, "--expected", part(request.left ?? 0));
  style(bar, "--from", part(request.tokens + (request.low ?? 0)));
  style(bar, "--span", part((request.high ?? 0) - (request.low ?? 0)));
  bar.lastChild.hidden = request.low == null || request.high == null;
}

function note(engine, shown) {
  // A list that has others too has all who sit.
  const hidden = shown === engine.requests.length ? engine.running - shown : 0;
  const free = Math.max(engine.seats - engine.running, 0);
  const said = [`${whole(free)} of ${whole(engine.seats)} seats free.`];
  if (hidden > 0) said.push(`${whole(hidden)} more not shown.`);
  return said.join(" ");
}

/** Shows the requests of an engine that have a seat. */
export function seats(parent, below) {
  let scale = 1;
  const update = children(
    parent,
    (request) => request.number,
    create,
    (cell, request) => change(cell, request, scale),
  );
  return (engine) => {
    const seated = engine.requests.filter((request) => request.where === "running");
    // By number: whoever sits stays in place while others come and go.
    seated.sort((one, two) => one.number - two.number);
    scale = Math.max(1, ...seated.map(most));
    update(seated);
    say(below, note(engine, seated.length));
  };
}
