// One tab for each engine, where there are several.

import { children, make, mark, say } from "./dom.js";

/** Shows tabs; calls `chosen(engine)` when another one is taken. */
export function tabs(parent, panel, chosen) {
  let current = null;
  const create = (engine) => {
    const made = make("button", "", `Engine ${engine.engine}`);
    made.type = "button";
    made.id = `tab-${engine.engine}`;
    made.dataset.engine = engine.engine;
    made.setAttribute("role", "tab");
    made.setAttribute("aria-controls", panel.id);
    return made;
  };
  const change = (made, engine) => {
    const own = engine.engine === current;
    mark(made, "aria-selected", String(own));
    made.tabIndex = own ? 0 : -1;
    say(made, `Engine ${engine.engine} (${engine.running} running, ${engine.waiting} waiting)`);
  };
  const update = children(parent, (engine) => engine.engine, create, change);
  const take = (button) => {
    current = Number(button.dataset.engine);
    button.focus();
    chosen(current);
  };
  parent.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) take(button);
  });
  parent.addEventListener("keydown", (event) => {
    const all = [...parent.children];
    const at = all.indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    take(all.at(to % all.length));
  });
  /** The engine to show, of those there are. */
  return (engines) => {
    const found = engines.find((engine) => engine.engine === current) ?? engines[0];
    current = found.engine;
    parent.hidden = engines.length < 2;
    if (parent.hidden) {
      panel.removeAttribute("role");
      panel.removeAttribute("aria-labelledby");
    } else {
      panel.setAttribute("role", "tabpanel");
      mark(panel, "aria-labelledby", `tab-${current}`);
    }
    update(engines);
    return found;
  };
}
