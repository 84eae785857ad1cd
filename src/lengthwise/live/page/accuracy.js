// Predicted against actual tokens of the last finished requests, on logarithmic axes.

import { children, draw, make, mark, say } from "./dom.js";
import { share, whole } from "./numbers.js";

const SIZE = 300;
const LEFT = 46;
const SIDE = SIZE - LEFT - 20;
const HEIGHT = SIDE + 46;

function axes(svg) {
  const parts = draw("g", { class: "axes" });
  svg.append(parts);
  return (top) => {
    parts.replaceChildren();
    const place = (value) => (SIDE * Math.log10(value)) / Math.log10(top);
    for (let tick = 1; tick <= top; tick *= 10) {
      const x = LEFT + place(tick);
      const y = 8 + SIDE - place(tick);
      parts.append(
        draw("line", { x1: x, x2: x, y1: 8, y2: 8 + SIDE }),
        draw("line", { x1: LEFT, x2: LEFT + SIDE, y1: y, y2: y }),
        draw("text", { x, y: 8 + SIDE + 14, "text-anchor": "middle" }, whole(tick)),
        draw("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, whole(tick)),
      );
    }
    parts.append(
      draw("line", { class: "same", x1: LEFT, y1: 8 + SIDE, x2: LEFT + SIDE, y2: 8 }),
      draw("text", { x: LEFT + SIDE / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "predicted tokens"),
      draw("text", { transform: `translate(10 ${8 + SIDE / 2}) rotate(-90)`, "text-anchor": "middle" }, "actual tokens"),
    );
  };
}

function summary(judged) {
  if (!judged.length) return "No request with a prediction has finished yet.";
  const close = judged.filter((it) => it.tokens <= 2 * it.predicted && it.predicted <= 2 * it.tokens);
  const requests = judged.length === 1 ? "1 request" : `${whole(judged.length)} requests`;
  return `The last ${requests} that finished with a prediction: ${share(close.length, judged.length)}` +
    " had between half and twice the tokens that were predicted.";
}

/** Shows the finished requests that a history has judged. */
export function accuracy(parent, note) {
  const figure = make("figure");
  const svg = draw("svg", { viewBox: `0 0 ${SIZE} ${HEIGHT}`, role: "img" });
  figure.append(svg);
  parent.append(figure);
  const scale = axes(svg);
  const dots = draw("g", { class: "dots" });
  svg.append(dots);
  let top = 0;
  const place = (value) => (SIDE * Math.log10(Math.max(value, 1))) / Math.log10(top);
  const update = children(
    dots,
    (it) => it.index,
    (it) => {
      const dot = draw("circle", { r: 3 });
      const said = `r${it.number}: ${whole(it.predicted)} predicted, ${whole(it.tokens)} actual`;
      dot.append(draw("title", {}, said));
      return dot;
    },
    (dot, it) => {
      mark(dot, "cx", (LEFT + place(it.predicted)).toFixed(1));
      mark(dot, "cy", (8 + SIDE - place(it.tokens)).toFixed(1));
    },
  );
  return (history) => {
    const judged = history.judged;
    const largest = Math.max(10, ...judged.map((it) => Math.max(it.predicted, it.tokens)));
    const wanted = 10 ** Math.ceil(Math.log10(largest));
    if (wanted !== top) scale((top = wanted));
    update(judged);
    figure.hidden = !judged.length;
    say(note, summary(judged));
    mark(svg, "aria-label", `Predicted against actual tokens. ${summary(judged)}`);
  };
}
