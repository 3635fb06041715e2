// Building the page's elements. Text is always set as text: nothing of a server or a file becomes HTML.

/** An element with classes and children; strings are text. */
export function element(tag, className, ...children) {
  const result = document.createElement(tag);
  if (className) result.className = className;
  result.append(...children);
  return result;
}

/** A button that says what it does. */
export function button(text, onClick) {
  const result = element("button", "", text);
  result.type = "button";
  result.addEventListener("click", onClick);
  return result;
}

const SVG = "http://www.w3.org/2000/svg";

/** One of the icons of `icons.svg`; it is decoration, its neighbor says what it means. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** A button with an icon only; `label` is what it does. */
export function iconButton(name, label, onClick) {
  const result = button("", onClick);
  result.className = "plain square";
  result.title = label;
  result.setAttribute("aria-label", label);
  result.replaceChildren(icon(name));
  return result;
}
