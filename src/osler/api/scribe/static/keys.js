// The keyboard of the review.

/** Let keys act, except where somebody writes: `doing` gets the function of the key. */
export function onKeys(keys, doing) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, dialog[open]")) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    doing(act);
  });
}

/** Go on by so many statements from the one of an id, or by so many utterances where the focus is in the transcript. */
export function step(by, id) {
  const said = document.activeElement?.closest(".utterance");
  const items = [...document.querySelectorAll(said ? ".utterance" : ".stop")];
  const at = items.indexOf(said ?? document.getElementById(id));
  const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
