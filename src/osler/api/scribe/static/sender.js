// Sends what is kept, part by part and in order, for as long as it takes; pauses and resumes go the same way.

import { Refused, call, of } from "./api.js";

const LONGEST_WAIT_MS = 15000;

export class Sender extends EventTarget {
  /** What waits, seconds. */
  waiting = 0;
  /** Why nothing goes at the moment: "", "offline" or "signed-out". */
  held = "";
  /** Why the rest can never go, in words; empty while it can. */
  stuck = "";

  #encounter;
  #keep;
  #paused;
  #wantPaused;
  #failures = 0;
  #wake = () => {};
  #ended = false;

  constructor(encounter, keep, { paused }) {
    super();
    this.#encounter = encounter;
    this.#keep = keep;
    this.#paused = this.#wantPaused = paused;
    addEventListener("online", () => this.wake());
    addEventListener("focus", () => this.wake());
  }

  /** Look at once whether something can be sent. */
  wake() {
    this.#failures = 0;
    this.#wake();
  }

  /** Say to the hub that the recording pauses or goes on, after what was recorded before. */
  pause(paused) {
    this.#wantPaused = paused;
    this.wake();
  }

  /** Stop sending. */
  end() {
    this.#ended = true;
    this.#wake();
  }

  /** Resolve when everything has arrived. */
  async drained() {
    while (!this.#ended && !this.stuck) {
      const left = await this.#keep.waiting(this.#encounter);
      if (!left.length) return true;
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
    return false;
  }

  /** Send until `end`. */
  async run() {
    while (!this.#ended && !this.stuck) {
      let idle = true;
      try {
        idle = !(await this.#step());
        this.held = "";
        this.#failures = 0;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.held = error.signedOut ? "signed-out" : "offline";
        this.#failures += 1;
      }
      await this.#count();
      if (idle && !this.#ended && !this.stuck) await this.#sleep();
    }
  }

  /** Do the next thing; false when there is nothing to do. */
  async #step() {
    const [next] = await this.#keep.waiting(this.#encounter);
    if (!next && this.#paused === this.#wantPaused) return false;
    try {
      if (!next || this.#paused) await this.#turn(next ? false : this.#wantPaused);
      if (next) await this.#send(next);
    } catch (error) {
      if (!(error instanceof Refused) || error.passes || error.signedOut) throw error;
      await this.#understand(error, next);
    }
    return true;
  }

  async #turn(paused) {
    await call("POST", of(this.#encounter, paused ? "pause" : "resume"));
    this.#paused = paused;
  }

  async #send({ take, number }) {
    const content = await this.#keep.content(this.#encounter, take, number);
    await call("PUT", of(this.#encounter, "audio", take, number), { body: content, type: content.type });
    await this.#keep.arrived(this.#encounter, take, number);
  }

  /** Find out why the hub will not have it, and what to do. */
  async #understand(error, next) {
    const { data: now } = await call("GET", of(this.#encounter));
    if (!now.consent) {
      await this.#keep.forget(this.#encounter);
      this.stuck = "The consent was withdrawn. What was recorded is deleted, here and there.";
      this.dispatchEvent(new Event("withdrawn"));
    } else if (now.status !== "open") {
      this.stuck = "The recording was finished somewhere else, and what is left on this computer was not taken.";
    } else if (now.paused !== this.#paused) {
      this.#paused = now.paused;
    } else if (error.status === 409 && next?.number === 0) {
      await this.#make_room(next.take);
    } else {
      this.stuck = error.message;
    }
  }

  /** Another computer records the same encounter and has taken our number: take a free one. */
  async #make_room(take) {
    const free = await freeTake(this.#encounter, this.#keep);
    this.dispatchEvent(new CustomEvent("moved", { detail: { from: take, to: free } }));
    await this.#keep.move(this.#encounter, take, free);
  }

  async #count() {
    const left = await this.#keep.waiting(this.#encounter);
    this.waiting = left.reduce((sum, part) => sum + part.seconds, 0);
    this.dispatchEvent(new Event("change"));
  }

  #sleep() {
    const wait = this.held ? Math.min(LONGEST_WAIT_MS, 1000 * 2 ** Math.min(this.#failures, 4)) : LONGEST_WAIT_MS;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Return a number that no take has, here or at the hub (as far as that can be asked). */
export async function freeTake(encounter, keep) {
  const mine = (await keep.takes(encounter)).map(({ take }) => take);
  try {
    const { data } = await call("GET", of(encounter, "audio"));
    mine.push(...data.takes.map(({ take }) => take));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  return Math.max(-1, ...mine) + 1;
}
