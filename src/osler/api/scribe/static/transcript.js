// The transcript: utterances, of which some light up because a statement rests on them.

import { clock, el, visible } from "./dom.js";
import { role } from "./words.js";

export class TranscriptView {
  #list;
  #byNumber = new Map();

  /** `onPlay` is called with an utterance that somebody wants to hear, `onLook` with one that is looked at, or null. */
  constructor(list, { onPlay, onLook }) {
    this.#list = list;
    this.onPlay = onPlay;
    this.onLook = onLook;
  }

  /** Show a transcript; `audio` says whether any of it can be played. */
  show(transcript, { audio }) {
    const corrections = Map.groupBy
      ? Map.groupBy(transcript.corrections, (one) => one.utterance)
      : grouped(transcript.corrections);
    this.#byNumber.clear();
    this.#list.replaceChildren(
      ...transcript.utterances.map((said) => this.#utterance(said, corrections.get(said.number) ?? [], audio)),
    );
  }

  get(number) {
    return this.#byNumber.get(number)?.said;
  }

  all() {
    return [...this.#byNumber.values()].map(({ item, said }) => ({ item, text: said.text }));
  }

  /** Light the utterances of some evidence, and mark the words in them. */
  light(evidence, { scroll }) {
    this.dark();
    for (const { utterance, quote } of evidence) {
      const held = this.#byNumber.get(utterance);
      if (!held) continue;
      held.item.classList.add("lit");
      mark(held.words, held.said.text, quote);
    }
    if (scroll && evidence.length) this.#byNumber.get(evidence[0].utterance)?.item.scrollIntoView({ block: "nearest" });
  }

  dark() {
    for (const { item, words, said } of this.#byNumber.values()) {
      if (!item.classList.contains("lit")) continue;
      item.classList.remove("lit");
      words.textContent = visible(said.text);
    }
  }

  /** Move the focus to an utterance. */
  focus(number) {
    this.#byNumber.get(number)?.item.focus();
  }

  #utterance(said, corrections, audio) {
    const words = el("p", { class: "words", dir: "auto" }, visible(said.text));
    const timed = said.start !== null && said.end !== null;
    const at = timed ? clock(said.start) : `${said.number}`;
    const head = timed && audio
      ? el("button", { type: "button", class: "play", onclick: () => this.onPlay(said), "aria-label": `Play from ${at}` }, "▶ ", at)
      : el("span", { class: "at" }, at);
    const item = el(
      "li",
      {
        id: `u${said.number}`,
        tabindex: -1,
        class: `utterance ${said.role}`,
        onmouseenter: () => this.onLook(said),
        onmouseleave: () => this.onLook(null),
        onfocus: () => this.onLook(said),
        onblur: () => this.onLook(null),
      },
      el("div", { class: "who" }, head, " ", el("b", {}, role(said.role)), el("small", {}, ` ${said.speaker}`)),
      words,
      corrections.length
        ? el("p", { class: "hint" }, `Heard: ${corrections.map((c) => `“${c.heard}”, written: “${c.written}”`).join("; ")}`)
        : null,
    );
    this.#byNumber.set(said.number, { item, words, said });
    return item;
  }
}

function mark(element, text, quote) {
  const at = quote ? text.indexOf(quote) : -1;
  const [from, to] = at < 0 ? [0, text.length] : [at, at + quote.length];
  const [before, inside, after] = [text.slice(0, from), text.slice(from, to), text.slice(to)].map(visible);
  element.replaceChildren(before, el("mark", {}, inside), after);
}

function grouped(corrections) {
  const found = new Map();
  for (const one of corrections) found.set(one.utterance, [...(found.get(one.utterance) ?? []), one]);
  return found;
}

/** Make what says, and changes, the role of each voice. */
export function speakers(transcript, shown, setRoles) {
  const voices = new Map(transcript.utterances.map((said) => [said.speaker, said.role]));
  const choose = (speaker, now) =>
    el(
      "label",
      {},
      `${speaker} `,
      el(
        "select",
        { disabled: !shown.changes, onchange: (event) => setRoles({ [speaker]: event.currentTarget.value }) },
        ...["clinician", "patient", "other"].map((one) => el("option", { value: one, selected: one === now }, role(one))),
      ),
    );
  const [first, second] = [...voices];
  const swap = () => setRoles({ [first[0]]: second[1], [second[0]]: first[1] });
  const both = voices.size === 2 && shown.changes;
  return [
    ...[...voices].map(([speaker, now]) => choose(speaker, now)),
    both ? el("button", { type: "button", class: "chip", onclick: swap }, "Swap") : "",
  ];
}
