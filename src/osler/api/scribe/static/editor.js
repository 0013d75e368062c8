// A place to write in: saves with Enter, leaves with Escape.

import { el } from "./dom.js";

/**
 * Make an editor. `given` is {text, sections?, section?, utterances?, words?}; `save` gets {text, section}.
 * What is written there is kept by `keep`, so that it outlives whatever is shown anew around it.
 */
export function editor(given, { save, leave, keep }) {
  const area = el("textarea", { rows: 2, maxlength: 4000, "aria-label": "Statement", dir: "auto", value: given.text });
  const chosen = given.sections
    ? el(
        "select",
        { "aria-label": "Section", onchange: () => keep(area.value, chosen.value) },
        ...given.sections.map(({ key, title }) => el("option", { value: key, selected: key === given.section }, title)),
      )
    : null;
  const done = () => area.value.trim() && save({ text: area.value, section: chosen?.value ?? given.section });
  area.addEventListener("input", () => {
    keep(area.value, chosen?.value ?? given.section);
    fit(area);
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      done();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      leave();
    }
  });
  const made = el(
    "div",
    { class: "editor" },
    given.words ? el("p", { class: "warning", role: "alert" }, given.words) : null,
    chosen,
    area,
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "button", class: "small", onclick: done }, "Save"),
      el("button", { type: "button", class: "small quiet", onclick: leave }, "Leave it"),
    ),
  );
  requestAnimationFrame(() => {
    fit(area);
    area.focus();
    made.scrollIntoView({ block: "nearest" });
  });
  return made;
}

function fit(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}
