// The note: sections of statements, each with what stands behind it and what may be done with it.

import { clock, el, many, visible } from "./dom.js";
import { kind, orderKind, orderState, refusal, role, sentence, signable, verdict } from "./words.js";

const HOME = {
  medication: [/medic/, /subj|hist/],
  allergy: [/allerg/, /subj|hist/],
  plan: [/plan|disposition/],
  problem: [/assess|impression|diagn/, /plan/],
  symptom: [/present|hpi/, /subj|hist/],
};

/** Return the section in which something of a kind is looked for. */
export function homeOf(note, kind) {
  const named = note.sections.map((section) => ({ section, name: `${section.key} ${section.title}`.toLowerCase() }));
  const found = (HOME[kind] ?? []).map((form) => named.find(({ name }) => form.test(name))).find(Boolean);
  return found?.section ?? note.sections[0];
}

/** Make the sections. `acts` are the functions of the page; `shown` says what it may do and knows. */
export function sections(note, shown, acts) {
  const first = new Set();
  return note.sections.map((section) => {
    const tools = !first.has(section.key) && shown.changes;
    first.add(section.key);
    const grouped = note.sections.some(({ key, problem }) => key === section.key && problem);
    const title = section.problem ? `${section.title}: ${visible(section.problem)}` : section.title;
    const id = `section-${note.sections.indexOf(section)}`;
    return el(
      "section",
      { class: "note-section", "aria-labelledby": id, data: { key: section.key } },
      el("div", { class: "section-head" }, el("h3", { id, dir: "auto" }, title), tools ? sectionTools(section, title, grouped, shown, acts) : null),
      el("ol", { class: "statements" }, ...section.statements.map((one) => statement(one, shown, acts))),
      section.statements.length ? null : el("p", { class: "hint" }, "Nothing."),
    );
  });
}

function sectionTools(section, title, grouped, shown, acts) {
  const chip = (words, style) =>
    el("button", { type: "button", class: "chip", onclick: () => acts.regenerate(section, style) }, words);
  const again = ["brief", "standard", "full"].map((detail) => chip(detail, { detail }));
  if (shown.problems.includes(section.key)) {
    again.push(grouped ? chip("not by problem", { by_problem: false }) : chip("by problem", { by_problem: true }));
  }
  return el(
    "div",
    { class: "section-tools" },
    el("button", { type: "button", class: "chip", onclick: () => acts.add(section.key), "aria-label": `Add to ${title}` }, "+ Add"),
    el("details", { class: "menu" }, el("summary", { class: "chip", "aria-label": `Write ${title} anew` }, "Write anew"), el("div", {}, ...again)),
  );
}

function statement(one, shown, acts) {
  const { mark, words, tone } = verdict(one);
  const whyId = `why-${one.id}`;
  const text = visible(one.text);
  const body = signable(one) ? text : el("del", {}, text);
  return el(
    "li",
    {
      class: `stop statement ${tone}`,
      id: `statement-${one.id}`,
      tabindex: -1,
      data: { id: one.id },
      "aria-describedby": words ? whyId : null,
      onmouseenter: () => acts.look(one.evidence, { scroll: false }),
      onmouseleave: () => acts.look(null),
      onfocusin: (event) => acts.arrive(event.currentTarget, one.evidence),
    },
    el("p", { class: "text", dir: "auto" }, body),
    words ? el("p", { class: `why ${tone}`, id: whyId }, el("b", { "aria-hidden": "true" }, `${mark} `), words) : null,
    el("div", { class: "under" }, evidence(one.evidence, one.id, shown, acts), shown.changes ? buttons(one, acts) : null),
  );
}

function buttons(one, acts) {
  const button = (words, act) => el("button", { type: "button", class: "chip", tabindex: -1, onclick: act }, words);
  const gone = one.state === "removed";
  return el(
    "div",
    { class: "acts" },
    gone ? null : button("Edit", () => acts.edit(one.id)),
    gone && !one.drafted ? null : button(gone ? "Bring back" : "Remove", () => acts.remove(one.id)),
    one.state === "edited" ? button("As drafted", () => acts.restore(one.id)) : null,
  );
}

/** Make the chips that lead to where something was said. */
export function evidence(places, owner, shown, acts) {
  if (!places.length) return el("div", { class: "evidence" }, el("span", { class: "hint" }, "Not from the conversation."));
  const chips = places.map((place) => {
    const said = shown.said(place.utterance);
    const who = said ? role(said.role) : "";
    const timed = place.start !== null && place.start !== undefined;
    const words = timed ? `${shown.audio ? "▶ " : ""}${clock(place.start)} ${who}` : `${who} ${place.utterance}`;
    const label = `${timed && shown.audio ? "Play" : "Show"} ${who} ${timed ? `at ${clock(place.start)}` : place.utterance}: ${visible(place.quote)}`;
    const act = () => acts.hear(owner, [place]);
    return el("button", { type: "button", class: "chip place", tabindex: -1, onclick: act, "aria-label": label, title: visible(place.quote) }, words);
  });
  return el("div", { class: "evidence" }, ...chips);
}

/** Say what a reader should know of the whole. */
export function remarks({ refusal: refused, warnings, author }) {
  const how = author.kind === "extractive" ? "" : "a language model, ";
  return [
    refused ? el("p", { class: "alert", role: "alert" }, refusal(refused)) : "",
    ...warnings.map((words) => el("p", { class: "warning" }, sentence(words))),
    el("p", { class: "hint" }, `Drafted by ${how}${author.name} ${author.version}.`),
  ];
}

/** Make what leads to the first statement that is struck through, and to what is not in the note. */
export function jumps(note, left, acts) {
  const open = (note.orders ?? []).filter(({ state }) => state === "staged");
  const refused = note.sections.flatMap(({ statements }) => statements).filter((one) => one.state === "drafted" && !one.passed);
  const jump = (tone, words, id) =>
    el("button", { type: "button", class: `chip jump ${tone}`, onclick: () => acts.goTo(id) }, words);
  return [
    refused.length ? jump("wrong", `✕ ${refused.length} struck through`, `statement-${refused[0].id}`) : "",
    left ? jump("left", `⚠ ${left} said, not noted`, "omission-0") : "",
    open.length ? jump("", `${many(open.length, "order")} to keep or drop`, `order-${open[0].id}`) : "",
  ];
}

/** Make the items of what was said and is not in the note. */
export function omissions(found, shown, acts) {
  return found.map((one, index) =>
    el(
      "li",
      {
        class: "stop omission",
        id: `omission-${index}`,
        tabindex: -1,
        data: { omission: index },
        onmouseenter: () => acts.look(one.evidence, { scroll: false }),
        onmouseleave: () => acts.look(null),
        onfocusin: (event) => acts.arrive(event.currentTarget, one.evidence),
      },
      el("p", { class: "text", dir: "auto" }, el("b", { class: "kind" }, kind(one.kind)), " ", visible(one.text)),
      one.evidence[0] ? el("p", { class: "quote", dir: "auto" }, "“", visible(one.evidence[0].quote), "”") : null,
      el(
        "div",
        { class: "under" },
        evidence(one.evidence, `omission-${index}`, shown, acts),
        shown.changes
          ? el("button", { type: "button", class: "chip", tabindex: -1, onclick: () => acts.addOmission(one) }, "Add to the note")
          : null,
      ),
    ),
  );
}

/** Make the items of staged orders. */
export function orders(found, shown, acts) {
  return found.map((one) => {
    const button = (words, state) =>
      el("button", { type: "button", class: "chip", tabindex: -1, onclick: () => acts.order(one.id, state), "aria-label": `${words}: ${visible(one.name)}` }, words);
    const how = [one.dose, one.route, one.frequency, one.as_needed ? "as needed" : "", one.duration, one.when].filter(Boolean).join(", ");
    const name = [el("b", { class: "kind" }, orderKind(one)), " ", visible(one.name), how ? ` – ${visible(how)}` : ""];
    const toStatement = () => acts.goTo(`statement-${one.statements[0]}`);
    return el(
      "li",
      {
        class: `stop order ${one.state}`,
        id: `order-${one.id}`,
        tabindex: -1,
        data: { order: one.id },
        "aria-describedby": `state-${one.id}`,
        onmouseenter: () => acts.look(one.evidence, { scroll: false }),
        onmouseleave: () => acts.look(null),
        onfocusin: (event) => acts.arrive(event.currentTarget, one.evidence),
      },
      el("p", { class: "text", dir: "auto" }, one.state === "dropped" ? el("del", {}, ...name) : name),
      one.condition ? el("p", { class: "why", dir: "auto" }, `Only: “${visible(one.condition)}”`) : null,
      el("p", { class: `why ${one.state}`, id: `state-${one.id}` }, orderState(one)),
      el(
        "div",
        { class: "under" },
        evidence(one.evidence, `order-${one.id}`, shown, acts),
        el("button", { type: "button", class: "chip", tabindex: -1, onclick: toStatement, "aria-label": `Show the statement of ${visible(one.name)}` }, "Where from"),
        shown.changes
          ? el(
              "div",
              { class: "decide" },
              one.state === "kept" ? button("Leave open", "staged") : button("Keep", "kept"),
              one.state === "dropped" ? button("Bring back", "staged") : button("Drop", "dropped"),
            )
          : null,
      ),
    );
  });
}

/** Make the items of suggested codes. */
export function codes(found, shown, acts) {
  return found.map((one) => {
    const box = el("input", {
      type: "checkbox",
      checked: one.accepted,
      disabled: !shown.changes,
      onchange: (event) => acts.code(one.code, event.currentTarget.checked),
    });
    const toStatement = () => acts.goTo(`statement-${one.statement}`);
    return el(
      "li",
      { onmouseenter: () => acts.look(one.evidence, { scroll: false }), onmouseleave: () => acts.look(null) },
      el("label", {}, box, " ", el("code", {}, one.code), " ", visible(one.display)),
      el("button", { type: "button", class: "chip", onclick: toStatement, "aria-label": `Show the statement of ${one.code}` }, "Where from"),
    );
  });
}
