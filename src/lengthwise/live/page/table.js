// Tables with headers; a column of names is there once a row has one.

import { children, make, say } from "./dom.js";

/**
 * A table below an element. Returns a function that shows rows.
 *
 * A column is `{head, cell(row, index), number, optional}`; the first one is the row's header.
 */
export function table(parent, caption, columns, keyOf, empty) {
  const box = make("div", "box");
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", caption);
  const whole = make("table");
  whole.append(make("caption", "unseen", caption));
  const head = make("thead").appendChild(make("tr"));
  const heads = columns.map((column) => {
    const made = make("th", column.number ? "number" : "", column.head);
    made.scope = "col";
    made.hidden = Boolean(column.optional);
    return head.appendChild(made);
  });
  const body = make("tbody");
  whole.append(head.parentNode, body);
  box.append(whole);
  const none = make("p", "none", empty);
  parent.append(box, none);

  const create = () => {
    const row = make("tr");
    columns.forEach((column, at) => {
      const cell = make(at ? "td" : "th", column.number ? "number" : "name");
      if (!at) cell.scope = "row";
      row.append(cell);
    });
    return row;
  };
  const change = (row, item, index) =>
    columns.forEach((column, at) => {
      const cell = row.children[at];
      say(cell, column.cell(item, index));
      if (cell.hidden !== heads[at].hidden) cell.hidden = heads[at].hidden;
    });
  const update = children(body, keyOf, create, change);
  return (rows, instead = empty) => {
    say(none, instead);
    columns.forEach((column, at) => {
      if (heads[at].hidden && rows.some((row, index) => column.cell(row, index)))
        heads[at].hidden = false;
    });
    update(rows);
    box.hidden = rows.length === 0;
    none.hidden = rows.length > 0;
  };
}
