// Elements that are made once and then changed in place, so that nothing flickers or loses focus.

const SVG = "http://www.w3.org/2000/svg";

/** An element with its class names and text. Text is never read as HTML. */
export function make(tag, names = "", text = "") {
  const made = document.createElement(tag);
  if (names) made.className = names;
  if (text) made.textContent = text;
  return made;
}

/** An element of SVG with its attributes. */
export function draw(tag, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text) made.textContent = text;
  return made;
}

/** Change a text where it differs. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Change a CSS property where it differs. */
export function style(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

/** Change an attribute where it differs. */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * The children of an element, one for each of some items, kept by their keys.
 *
 * `create(item)` makes a child; `change(child, item, index)` brings it up to date.
 * A child stays where it is, unless its place among the others changed.
 */
export function children(parent, keyOf, create, change) {
  const known = new Map();
  return (items) => {
    const keys = new Set(items.map(keyOf));
    for (const [key, child] of known) {
      if (!keys.has(key)) {
        child.remove();
        known.delete(key);
      }
    }
    let next = parent.firstChild;
    items.forEach((item, index) => {
      const key = keyOf(item);
      let child = known.get(key);
      if (!child) {
        child = create(item);
        known.set(key, child);
      }
      if (child === next) next = child.nextSibling;
      else parent.insertBefore(child, next);
      change(child, item, index);
    });
  };
}
