// Plays places of the recording, one at a time.

import { call, of } from "./api.js";

const MARGIN_S = 0.3;
const APART_S = 2;
const LONGEST_S = 115;

export class Player {
  #encounter;
  #audio = new Audio();
  #stopping = new AbortController();
  /** What is being played, as its owner named it; empty when nothing is. */
  playing = "";

  constructor(encounter) {
    this.#encounter = encounter;
  }

  /** Play places ({start, end}) one after another; resolves to whether it came to the end. */
  async play(name, places) {
    this.stop();
    const { signal } = (this.#stopping = new AbortController());
    this.playing = name;
    try {
      for (const { start, end } of together(places)) {
        const query = new URLSearchParams({ start: start.toFixed(2), end: end.toFixed(2) });
        const { data } = await call("GET", `${of(this.#encounter, "audio")}?${query}`, { signal });
        await this.#one(URL.createObjectURL(data), signal);
      }
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      if (!signal.aborted) this.playing = "";
    }
    return !signal.aborted;
  }

  stop() {
    this.#stopping.abort();
    this.#audio.pause();
    this.playing = "";
  }

  #one(address, signal) {
    return new Promise((resolve, reject) => {
      const end = (act) => () => {
        URL.revokeObjectURL(address);
        act();
      };
      this.#audio.onended = end(resolve);
      this.#audio.onerror = end(resolve);
      signal.addEventListener("abort", end(() => reject(signal.reason)), { once: true });
      this.#audio.src = address;
      this.#audio.play().catch(end(resolve));
    });
  }
}

/** Join places that are close to each other, with a margin around. */
export function together(places) {
  const sorted = places
    .filter(({ start, end }) => start !== null && end !== null && end > start)
    .map(({ start, end }) => ({ start: Math.max(0, start - MARGIN_S), end: Math.min(end + MARGIN_S, start + LONGEST_S) }))
    .sort((a, b) => a.start - b.start);
  const joined = [];
  for (const place of sorted) {
    const last = joined.at(-1);
    if (last && place.start - last.end < APART_S && place.end - last.start <= LONGEST_S) last.end = Math.max(last.end, place.end);
    else joined.push(place);
  }
  return joined;
}
