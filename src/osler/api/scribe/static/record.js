// The page that records an encounter. What was heard is kept at once and sent when it can be; nothing is lost when the
// network goes, the page is loaded again, or the browser is closed.

import { Refused, call, of } from "./api.js";
import { ask, byId, clock, many, moment, root, seal, tell } from "./dom.js";
import { handIn } from "./files.js";
import { Keep } from "./keep.js";
import { Microphone, NoMicrophone } from "./microphone.js";
import { Sender, freeTake } from "./sender.js";

const PART_SLICES = 5;
const SILENT_MS = 10000;
const METHODS = { verbal: "by word of mouth", written: "in writing", electronic: "electronically" };

const encounter = byId("page").dataset.encounter;
const review = `${root}/scribe/review/${encodeURIComponent(encounter)}`;
const [start, pauseButton, finish] = ["start", "pause", "finish"].map(byId);

let keep, sender, microphone, held;
let take = 0;
let order = 0;
let before = 0;
let state = "ready";
let heardAt = 0;

const seconds = () => before + (microphone?.seconds ?? 0);

async function main() {
  held = (await call("GET", of(encounter))).data;
  if (!window.isSecureContext) {
    if (held.status !== "open") return location.replace(review);
    tell(byId("alert"), "This browser records only where the address begins with https.");
  } else if (await alone()) await open();
  handIn(encounter, review, (words) => tell(byId("alert"), words));
  show();
}

/** Hold the encounter for this window; false when another window records it. */
function alone() {
  return new Promise((resolve) => {
    const hold = () => {
      resolve(true);
      return new Promise(() => {});
    };
    navigator.locks.request(`osler-record-${encounter}`, { signal: AbortSignal.timeout(3000) }, hold).catch(() => {
      tell(byId("alert"), "This encounter is open in another window: go on there.");
      state = "elsewhere";
      resolve(false);
    });
  });
}

async function open() {
  keep = await Keep.open(seal);
  navigator.storage?.persist?.();
  await keep.gather(encounter);
  before = (await keep.takes(encounter)).reduce((sum, one) => sum + one.seconds, 0);
  const left = await keep.waiting(encounter);
  if (held.status !== "open" && !left.length) return location.replace(review);
  sender = new Sender(encounter, keep, { paused: held.paused });
  sender.waiting = left.reduce((sum, part) => sum + part.seconds, 0);
  sender.addEventListener("change", show);
  sender.addEventListener("moved", ({ detail }) => {
    if (take === detail.from) take = detail.to;
  });
  sender.addEventListener("withdrawn", () => attempt(forgotten));
  sender.run().catch(trouble);
}

// ---------------------------------------------------------------------------------------------------- what people do

start.addEventListener("click", () => attempt(begin));
pauseButton.addEventListener("click", () => attempt(state === "paused" ? resume : halt));
finish.addEventListener("click", () => attempt(end));

async function begin() {
  microphone = await Microphone.open();
  take = await freeTake(encounter, keep);
  order = 0;
  microphone.onSlice = slice;
  microphone.onLost = () => attempt(lost);
  microphone.onTrouble = trouble;
  sender.pause(false);
  microphone.start();
  state = "recording";
  heardAt = performance.now();
  navigator.wakeLock?.request("screen").catch(() => {});
  requestAnimationFrame(meter);
  show();
}

async function halt() {
  state = "paused";
  await microphone.pause();
  await keep.part(encounter, take);
  sender.pause(true);
  show();
}

async function resume() {
  sender.pause(false);
  microphone.resume();
  state = "recording";
  heardAt = performance.now();
  requestAnimationFrame(meter);
  show();
}

async function lost() {
  state = "ready";
  await close();
  if (!sender.stuck) tell(byId("alert"), "The microphone is gone. What it heard is kept. Connect it and go on recording.");
  show();
}

/** Say that the browser cannot keep what is heard, which is all that this page can do about it. */
function trouble(error) {
  tell(byId("alert"), "The browser cannot keep the recording: its storage may be full. Finish now, or make room.");
  console.error(error.name);
}

async function end() {
  state = "finishing";
  show();
  if (microphone) await close();
  sender.wake();
  if (!(await sender.drained())) return show();
  const takes = Object.fromEntries((await keep.takes(encounter)).map(({ take, count }) => [take, count]));
  try {
    await call("POST", of(encounter, "finish"), { json: { takes } });
  } catch (error) {
    state = "ready";
    throw error;
  }
  await keep.forget(encounter);
  state = "done";
  location.assign(review);
}

/** Stop the microphone and keep what it heard to the last. */
async function close() {
  await microphone.stop();
  await keep.part(encounter, take);
  before += microphone.seconds;
  microphone = undefined;
}

/** Stop the microphone and keep nothing. */
async function drop() {
  if (!microphone) return;
  microphone.onSlice = async () => {};
  await microphone.stop();
  microphone = undefined;
  await keep.forget(encounter);
  state = "ready";
  show();
}

/** Somebody withdrew the consent elsewhere. */
async function forgotten() {
  await drop();
  before = 0;
  held = (await call("GET", of(encounter))).data;
  show();
}

async function slice(content, length) {
  await keep.slice(encounter, take, order, content, length, microphone.type);
  order += 1;
  if (order % PART_SLICES) return;
  await keep.part(encounter, take);
  sender.wake();
}

for (const button of document.querySelectorAll("[data-consent]")) {
  button.addEventListener("click", () =>
    attempt(async () => {
      const json = { method: button.dataset.consent, time: new Date().toISOString() };
      held = (await call("PUT", of(encounter, "consent"), { json })).data;
      show();
      start.focus();
    }),
  );
}

async function withdraw() {
  if (!(await ask("The recording is deleted at once, here and at the hub. Withdraw the consent?"))) return;
  await drop();
  held = (await call("DELETE", of(encounter, "consent"))).data;
  await keep.forget(encounter);
  before = 0;
  show();
}

byId("rescue").addEventListener("click", () =>
  attempt(async () => {
    const parts = await keep.waiting(encounter);
    const contents = await Promise.all(parts.map(({ take, number }) => keep.content(encounter, take, number)));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(contents, { type: contents[0]?.type }));
    link.download = "recording.webm";
    link.click();
    URL.revokeObjectURL(link.href);
  }),
);

byId("discard").addEventListener("click", () =>
  attempt(async () => {
    if (!(await ask("It exists nowhere else. Delete it?"))) return;
    await keep.forget(encounter);
    location.assign(review);
  }),
);

/** Do it, and say in words when it does not work. */
async function attempt(what) {
  tell(byId("alert"), "");
  try {
    await what();
  } catch (error) {
    if (!(error instanceof Refused || error instanceof NoMicrophone)) {
      tell(byId("alert"), "That did not work. What is recorded is kept; load this page again.");
      throw error;
    }
    tell(byId("alert"), error.message);
    show();
  }
}

// ----------------------------------------------------------------------------------------------------- what they see

const STATES = { ready: "Ready", recording: "Recording", paused: "Paused", finishing: "Finishing", done: "Finished" };

function show() {
  const opened = held.status === "open" && state !== "elsewhere";
  const consented = Boolean(held.consent);
  byId("consent").hidden = !opened || consented;
  byId("recorder").hidden = !opened || !consented || !sender || Boolean(sender.stuck);
  byId("files").hidden = held.status !== "open" || state !== "ready" || seconds() > 0;
  byId("audio-form").hidden = !consented;
  if (consented) given();
  if (!sender) return;
  if (sender.stuck && state === "recording") attempt(lost);
  byId("stuck").hidden = !sender.stuck || !consented;
  byId("stuck-words").textContent = sender.stuck;
  byId("lamp").dataset.state = sender.held && state === "recording" ? "offline" : state;
  set(byId("state"), STATES[state]);
  byId("clock").textContent = clock(seconds());
  const something = seconds() > 0 || held.audio.bytes > 0;
  start.hidden = state !== "ready";
  start.textContent = something ? "Go on recording" : "Record";
  pauseButton.hidden = state !== "recording" && state !== "paused";
  pauseButton.textContent = state === "paused" ? "Resume" : "Pause";
  finish.disabled = !something || state === "finishing";
  waits();
}

function waits() {
  const rest = Math.round(sender.waiting);
  const left = many(rest, "second");
  const words = {
    "": rest ? `${left} on the way.` : seconds() ? "Everything up to now has arrived." : "Nothing waits on this computer.",
    offline: `Offline: ${left} waiting on this computer, sent as soon as the hub can be reached.`,
    "signed-out": `You are signed out: ${left} waiting on this computer. Sign in again and they are sent; recording goes on.`,
  };
  set(byId("sent"), words[sender.held]);
  byId("sent").classList.toggle("held", Boolean(sender.held));
  byId("sign-in").hidden = sender.held !== "signed-out";
}

function given() {
  const { method, time, recorded_by } = held.consent;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link";
  button.textContent = "Withdraw it";
  button.addEventListener("click", () => attempt(withdraw));
  byId("given").replaceChildren(`Consent given ${METHODS[method]}, ${moment(time)}, noted by ${recorded_by}. `, button);
}

/** Change words only when they differ, so that they are not read out again. */
function set(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function meter() {
  if (state !== "recording" || !microphone) {
    byId("level").value = 0;
    return;
  }
  const { level } = microphone;
  byId("level").value = level;
  byId("clock").textContent = clock(seconds());
  if (level > 0.01) heardAt = performance.now();
  else if (performance.now() - heardAt > SILENT_MS) {
    heardAt = performance.now();
    tell(byId("alert"), "Nothing has been heard for ten seconds. Is it the right microphone?");
  }
  requestAnimationFrame(meter);
}

document.addEventListener("visibilitychange", () => document.hidden && microphone?.flush());
addEventListener("beforeunload", (event) => {
  microphone?.flush();
  if (microphone || (sender?.waiting && state !== "done")) event.preventDefault();
});

attempt(main);
