// Elements made of text alone: what was said or written never becomes markup.

export const byId = (id) => document.getElementById(id);

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export const root = meta("root");
export const seal = meta("seal");

/** Show what would turn the order of letters around: text of others may not look like what it is not. */
export const visible = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

/** Make an element: `el("li", {class: "x", onclick: f, data: {id: 1}}, "text", otherElement)`. */
export function el(name, given = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(made.dataset, value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Show words in an element, or hide it when there are none. */
export function tell(element, words) {
  element.textContent = words;
  element.hidden = !words;
}

/** Write seconds as m:ss or h:mm:ss. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Write a moment as people here write it. */
export const moment = (at) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/** Write a number with its noun: `many(1, "word")`, `many(2, "word")`. */
export const many = (n, noun, plural = `${noun}s`) => `${n} ${n === 1 ? noun : plural}`;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Ask something in the dialog of the page; true when the answer is yes. */
export function ask(words) {
  const dialog = byId("ask");
  byId("ask-words").textContent = words;
  return new Promise((resolve) => {
    let yes = false;
    const button = dialog.querySelector("[data-yes]");
    const agree = () => {
      yes = true;
      dialog.close();
    };
    button.addEventListener("click", agree);
    dialog.addEventListener(
      "close",
      () => {
        button.removeEventListener("click", agree);
        resolve(yes);
      },
      { once: true },
    );
    dialog.showModal();
  });
}

for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
