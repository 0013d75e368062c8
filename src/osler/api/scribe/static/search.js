// Search in transcript and note.

import { many } from "./dom.js";

/** Let an input mark what holds its words; `places` returns [{item, text}], `say` tells how many there are. */
export function searchIn(input, places, say) {
  let hits = [];
  let at = -1;

  const look = () => {
    for (const one of document.querySelectorAll(".hit")) one.classList.remove("hit", "hit-now");
    const words = input.value.trim().toLowerCase();
    hits = words ? places().filter(({ text }) => text.toLowerCase().includes(words)) : [];
    hits.forEach(({ item }) => item.classList.add("hit"));
    at = -1;
    say(words ? many(hits.length, "place") : "");
  };
  const next = (step) => {
    if (!hits.length) return;
    hits[at]?.item.classList.remove("hit-now");
    at = (at + step + hits.length) % hits.length;
    hits[at].item.classList.add("hit-now");
    hits[at].item.scrollIntoView({ block: "center" });
    say(`${at + 1} of ${many(hits.length, "place")}`);
  };
  input.addEventListener("input", look);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      next(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      const found = hits[at]?.item;
      input.value = "";
      look();
      if (found) found.focus();
      else input.blur();
    }
  });
}
