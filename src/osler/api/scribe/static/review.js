// The page on which a person reviews a note and signs it.

import { Refused, call, of } from "./api.js";
import { ask, byId, clock, el, many, pause, root, tell } from "./dom.js";
import { editor } from "./editor.js";
import * as draw from "./note.js";
import { onKeys, step } from "./keys.js";
import { Player } from "./player.js";
import { searchIn } from "./search.js";
import { cameBack, deliveries, differs, label, sign, signProven } from "./signing.js";
import { TranscriptView, speakers } from "./transcript.js";
import { sentence } from "./words.js";

const POLL_MS = 1500;
const POLLS = 400;
const page = byId("page");
const { encounter, changes, signs, problems } = page.dataset;
const player = new Player(encounter);
const view = new TranscriptView(byId("utterances"), { onPlay: playUtterance, onLook: cite });

let held, note, revision, transcript, signed;
let current = "";
let written = null; // what somebody is writing: {id} or {key}, with text, utterances, words
const chosen = {}; // by section, how it was last asked for anew
let queue = Promise.resolve();

const shown = {
  changes: changes === "yes",
  audio: false,
  problems: problems.split(" "),
  said: (number) => view.get(number),
};

// ------------------------------------------------------------------------------------------------------- loading

async function load() {
  for (let polls = 0; polls < POLLS; polls += 1) {
    held = (await call("GET", of(encounter))).data;
    if (held.status === "open") return location.replace(`${root}/scribe/record/${encodeURIComponent(encounter)}`);
    if (held.status !== "recorded" && held.status !== "transcribed") break;
    wait();
    await pause(POLL_MS);
  }
  wait();
  if (held.status === "drafted" || held.status === "signed") await loadNote();
}

function wait() {
  const words = {
    recorded: held.transcribed_s ? `Being transcribed: ${clock(held.transcribed_s)} so far.` : "Waits to be transcribed.",
    transcribed: "The note is being drafted.",
    failed: `That failed: ${held.reason || "no reason is known"}.${held.audio.deleted_at ? "" : " Nothing that came is lost."}`,
  }[held.status];
  byId("waiting").hidden = !words;
  byId("waiting-bar").hidden = held.status === "failed";
  byId("retry").hidden = !words;
  byId("retry").textContent = held.status === "failed" ? "Try again" : "Look again";
  if (words && byId("waiting-words").textContent !== words) byId("waiting-words").textContent = words;
}

async function loadNote() {
  const [found, said] = await Promise.all([call("GET", of(encounter, "note")), call("GET", of(encounter, "transcript"))]);
  [note, revision, transcript] = [found.data, found.revision, said.data];
  signed = held.deliveries.length || held.status === "signed" ? await signedNote() : null;
  shown.audio = held.audio.bytes > 0 && !held.audio.deleted_at;
  view.show(transcript, shown);
  byId("panes").hidden = false;
  render();
}

async function signedNote() {
  try {
    return (await call("GET", of(encounter, "signed"))).data;
  } catch (error) {
    if (error.status !== 404) throw error;
    return null;
  }
}

byId("retry").addEventListener("click", () =>
  attempt(async () => {
    if (held.status === "failed") await call("POST", of(encounter, "retry"));
    await load();
  }),
);

// ------------------------------------------------------------------------------------------------------- showing

function render() {
  const left = omitted();
  const content = draw.sections(note, shown, acts);
  byId("sections").replaceChildren(...content);
  byId("omissions").hidden = !left.length;
  byId("omissions").querySelector("ul").replaceChildren(...draw.omissions(left, shown, acts));
  const orders = note.orders ?? [];
  byId("orders").hidden = !orders.length;
  byId("orders").querySelector("ul").replaceChildren(...draw.orders(orders, shown, acts));
  byId("codes").hidden = !note.codes.length;
  byId("codes").querySelector("ul").replaceChildren(...draw.codes(note.codes, shown, acts));
  byId("deliveries").hidden = !held.deliveries.length;
  byId("deliveries").querySelector("div").replaceChildren(...deliveries(held.deliveries, retryDelivery));
  byId("notes").replaceChildren(...draw.remarks(note));
  byId("jumps").replaceChildren(...draw.jumps(note, left.length, acts));
  byId("transcript-notes").replaceChildren(...transcript.warnings.map((words) => el("p", { class: "warning" }, sentence(words))));
  showSpeakers();
  const { words, tone } = label(held.status, signed, amended());
  tell(byId("label"), words);
  byId("label").className = `label ${tone}`;
  byId("sign-open").hidden = signs !== "yes" || (signed !== null && !amended());
  if (written) write();
  else focusOn(current, { quietly: true });
}

const showSpeakers = () => byId("speakers").replaceChildren(...speakers(transcript, shown, setRoles));
const omitted = () => note.omissions;
const statements = () => note.sections.flatMap((section) => section.statements);

const amended = () => signed !== null && differs(note, signed.note);

// --------------------------------------------------------------------------------------------- looking and listening

function look(evidence, { scroll = false } = {}) {
  const places = evidence ?? statementOf(current)?.evidence ?? [];
  view.light(places, { scroll });
}

function statementOf(id) {
  if (id.startsWith("statement-")) return statements().find((one) => `statement-${one.id}` === id);
  if (id.startsWith("omission-")) return omitted()[Number(id.slice("omission-".length))];
  if (id.startsWith("order-")) return note.orders.find((one) => `order-${one.id}` === id);
  return undefined;
}

function cite(said) {
  for (const item of document.querySelectorAll(".cited")) item.classList.remove("cited");
  if (!said) return;
  for (const one of statements()) {
    if (one.evidence.some(({ utterance }) => utterance === said.number)) byId(`statement-${one.id}`)?.classList.add("cited");
  }
  for (const one of note.orders ?? []) {
    if (one.evidence.some(({ utterance }) => utterance === said.number)) byId(`order-${one.id}`)?.classList.add("cited");
  }
}

function arrive(item, evidence) {
  const before = byId(current);
  if (before && before !== item) rove(before, -1);
  current = item.id;
  rove(item, 0);
  look(evidence, { scroll: true });
}

function rove(item, index) {
  item.tabIndex = index;
  for (const button of item.querySelectorAll("button")) button.tabIndex = index;
}

async function hear(owner, places) {
  if (player.playing === owner) {
    player.stop();
    return say("Stopped.");
  }
  const timed = places.filter(({ start }) => start !== null && start !== undefined);
  if (!shown.audio || !timed.length) {
    if (places.length) view.focus(places[0].utterance);
    return say(shown.audio ? "" : "There is no audio of this encounter any more; this is where it stands.");
  }
  say("Playing.");
  await attempt(async () => (await player.play(owner, timed)) && say(""));
}

function playUtterance(said) {
  hear(`u${said.number}`, [{ utterance: said.number, start: said.start, end: said.end }]);
}

// ------------------------------------------------------------------------------------------------------- changing

/** Send a change of the note; resolves to whether it was taken. Changes go one after another. */
function change(method, parts, json, done, { wrote = false } = {}) {
  const turn = queue.then(async () => {
    let taken = false;
    await attempt(async () => {
      try {
        const found = await call(method, of(encounter, "note", ...parts), { json, revision });
        [note, revision, taken] = [found.data, found.revision, true];
      } catch (error) {
        if (error.status !== 412) throw error;
        await again();
      }
    });
    if (taken) {
      if (wrote) written = null;
      render();
      say(done);
    }
    return taken;
  });
  queue = turn.catch(() => false);
  return turn;
}

/** Somebody else has changed the note: show it as it is, and keep what is being written. */
async function again() {
  held = (await call("GET", of(encounter))).data;
  if (written) written.words = "Somebody changed the note meanwhile; it is shown as it is now. Your words are kept: look at them and save again.";
  if (held.status !== "drafted" && held.status !== "signed") await load();
  else await loadNote();
  if (!written) tell(byId("alert"), "Somebody changed the note meanwhile. It is shown as it is now; do it again.");
}

/** Put the editor where it belongs. */
function write() {
  if (written.id && !statements().some((one) => one.id === written.id)) written = { ...written, id: undefined };
  written.key ??= note.sections[0].key;
  const save = ({ text, section }) =>
    written.id
      ? change("PATCH", ["statements", written.id], { text }, "Saved.", { wrote: true })
      : change("POST", ["sections", section, "statements"], { text, utterances: written.utterances ?? [] }, "Added.", {
          wrote: true,
        });
  const leave = () => {
    written = null;
    render();
    say("Left as it was.");
  };
  const keep = (text, section) => {
    written.text = text;
    written.key = section ?? written.key;
  };
  const named = note.sections.filter((one, at, every) => every.findIndex(({ key }) => key === one.key) === at);
  const given = { text: written.text, section: written.key, words: written.words, sections: written.choose ? named : null };
  const made = editor(given, { save, leave, keep });
  const item = byId(written.id ? `statement-${written.id}` : written.at ?? "");
  if (item) {
    if (written.id && !written.words) item.querySelector(".text").hidden = true;
    item.append(made);
  } else {
    const section = [...document.querySelectorAll(".note-section")].find((one) => one.dataset.key === written.key);
    section.append(made);
  }
}

/** Whether somebody is writing; then nothing else begins, so that no word is lost. */
function writing() {
  if (!written) return false;
  document.querySelector(".editor textarea")?.focus();
  say("Save or leave what you are writing first.");
  return true;
}

const acts = {
  look,
  arrive,
  hear,
  goTo: (id) => focusOn(id),
  edit(id) {
    if (writing()) return;
    const found = statements().find((one) => one.id === id);
    if (found.state === "removed") return say("It is removed: bring it back first.");
    written = { id, text: found.text };
    render();
    say("");
  },
  add(key) {
    if (writing()) return;
    written = { key, text: "" };
    render();
    say("");
  },
  addOmission(one) {
    if (writing()) return;
    const at = `omission-${omitted().indexOf(one)}`;
    const utterances = [...new Set(one.evidence.map(({ utterance }) => utterance))];
    written = { key: draw.homeOf(note, one.kind).key, text: one.text, utterances, choose: true, at };
    render();
  },
  remove(id) {
    const found = statements().find((one) => one.id === id);
    if (found.state === "removed") return found.drafted ? acts.restore(id) : say("You wrote it: add it again.");
    return change("DELETE", ["statements", id], undefined, "Removed. Press x to bring it back.");
  },
  restore: (id) => change("POST", ["statements", id, "restore"], undefined, "As it was drafted."),
  async regenerate(section, style) {
    if (writing()) return;
    const own = note.sections
      .filter(({ key }) => key === section.key)
      .flatMap((one) => one.statements)
      .filter(({ state }) => state === "edited" || state === "removed").length;
    const words = `${section.title} is written anew. ${many(own, "change")} of yours there ${own === 1 ? "is" : "are"} lost.`;
    if (own && !(await ask(words))) return;
    chosen[section.key] = { ...chosen[section.key], ...style };
    say("Being written anew.");
    await change("POST", ["sections", section.key, "regenerate"], chosen[section.key], `${section.title} is written anew.`);
  },
  order(id, state) {
    if (writing()) return undefined;
    const done = { kept: "Kept: it goes out with the signed note, as a proposal.", dropped: "Dropped. Press x to bring it back.", staged: "Left open." };
    return change("PUT", ["orders", id], { state }, done[state]);
  },
  code: (code, accepted) => change("PUT", ["codes", code], { accepted }, accepted ? `${code} taken.` : `${code} left.`),
};

async function setRoles(roles) {
  if (writing()) return showSpeakers();
  const own = statements().filter(({ state }) => state !== "drafted").length;
  const lost = own ? ` ${many(own, "change")} of yours ${own === 1 ? "is" : "are"} lost.` : "";
  if (!(await ask(`The note is drafted anew with these roles.${lost}`))) return showSpeakers();
  await attempt(async () => {
    try {
      await call("PUT", of(encounter, "roles"), { json: roles, revision });
      byId("panes").hidden = true;
      await load();
    } catch (error) {
      if (error.status !== 412) throw error;
      await again();
    }
  });
}

async function retryDelivery(id) {
  await attempt(async () => {
    await call("POST", of(encounter, "deliveries", id, "retry"));
    await follow();
  });
}

async function openSign() {
  if (byId("sign-open").hidden || writing()) return;
  const outcome = await sign(encounter, note, revision, omitted().length);
  if (outcome === "changed") await attempt(again);
  if (outcome === true) await attempt(showSigned);
}

async function showSigned() {
  await load();
  say("Signed.");
  byId("label").tabIndex = -1;
  byId("label").focus();
  await follow();
  const lost = held.deliveries.filter(({ status }) => status === "failed").length;
  const all = held.deliveries.length && held.deliveries.every(({ status }) => status === "delivered");
  if (lost) say(`Signed. ${many(lost, "delivery", "deliveries")} failed: see where the note went.`);
  else if (all) say("Signed and delivered.");
}

/** Look after deliveries that are on their way, for a while. */
async function follow() {
  for (let polls = 0; polls < 40; polls += 1) {
    held = (await call("GET", of(encounter))).data;
    byId("deliveries").hidden = !held.deliveries.length;
    byId("deliveries").querySelector("div").replaceChildren(...deliveries(held.deliveries, retryDelivery));
    if (!held.deliveries.some(({ status }) => status === "pending")) break;
    await pause(POLL_MS);
  }
}

// ------------------------------------------------------------------------------------------------------- keyboard

const KEYS = {
  j: () => step(1, current),
  ArrowDown: () => step(1, current),
  k: () => step(-1, current),
  ArrowUp: () => step(-1, current),
  p: () => current && hear(byId(current)?.dataset.id ?? current, statementOf(current)?.evidence ?? []),
  e: (id) => id && shown.changes && acts.edit(id),
  x: (id) => shown.changes && (id ? acts.remove(id) : decide("dropped")),
  o: () => shown.changes && decide("kept"),
  a: () => shown.changes && addHere(),
  t: () => toTranscript(),
  s: () => openSign(),
  "/": () => byId("search").focus(),
  "?": () => byId("help").showModal(),
  Escape: () => player.stop(),
};

onKeys(KEYS, (act) => byId("panes").hidden || act(byId(current)?.dataset.id));

/** Keep or drop the order that is looked at; the same again leaves it open. */
function decide(state) {
  const one = current.startsWith("order-") ? statementOf(current) : undefined;
  if (one) acts.order(one.id, one.state === state ? "staged" : state);
}

function toTranscript() {
  if (document.activeElement?.closest(".utterance")) return focusOn(current);
  const [place] = statementOf(current)?.evidence ?? [];
  if (place) view.focus(place.utterance);
}

function addHere() {
  const item = byId(current);
  if (item?.dataset.omission) return acts.addOmission(omitted()[Number(item.dataset.omission)]);
  acts.add(item?.closest(".note-section")?.dataset.key ?? note.sections[0].key);
}

/** Move the focus to a statement; quietly only when it had it before everything was shown anew. */
function focusOn(id, { quietly = false } = {}) {
  const item = byId(id) ?? document.querySelector(".stop");
  if (!item) return;
  if (quietly && !id) item.tabIndex = 0;
  else if (document.activeElement === document.body || !quietly) item.focus({ preventScroll: quietly });
  else rove(item, 0);
}

byId("help-open").addEventListener("click", () => byId("help").showModal());
byId("sign-open").addEventListener("click", openSign);
searchIn(
  byId("search"),
  () => [
    ...view.all(),
    ...[...document.querySelectorAll(".stop")].map((item) => ({ item, text: item.querySelector(".text").textContent })),
  ],
  say,
);
addEventListener("beforeunload", (event) => written?.text && event.preventDefault());

// ------------------------------------------------------------------------------------------------------- telling

function say(words) {
  byId("status").textContent = words;
}

/** Do it, and say in words when it does not work. */
async function attempt(what) {
  tell(byId("alert"), "");
  try {
    await what();
  } catch (error) {
    if (!(error instanceof Refused)) {
      tell(byId("alert"), "That did not work. Load this page again.");
      throw error;
    }
    const more = error.signedOut ? " Sign in again in another tab, then go on here." : "";
    tell(byId("alert"), error.message + more);
  }
}

const back = cameBack();
await attempt(load);
if (back === "no") tell(byId("alert"), "The note is not signed: you did not sign in again, or as somebody else. Nothing of it is lost.");
if (back === true)
  await attempt(async () => {
    await signProven(encounter, revision);
    await showSigned();
  });
