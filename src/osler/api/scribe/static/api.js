// Calls to /scribe/encounters in the name of who is signed in.

import { root } from "./dom.js";

const PROOF = /<meta name="csrf" content="([A-Za-z0-9_-]+)">/;
const TAG = /^(?:W\/)?"(\d+)"$/;

let csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** An answer that is no success, with words for a person. */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }

  /** Whether it may go better later, without anybody doing anything. */
  get passes() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  /** Whether nobody is signed in any more. */
  get signedOut() {
    return this.status === 401;
  }
}

/** Return the address of an encounter's parts. */
export const of = (encounter, ...parts) =>
  `${root}/scribe/encounters/${[encounter, ...parts].map(encodeURIComponent).join("/")}`;

/**
 * Send a request; the answer is {status, data, revision}.
 * @throws {Refused} with status 0 when the hub cannot be reached.
 */
export async function call(method, path, { json, body, type, revision, signal } = {}) {
  const send = () => {
    const headers = { accept: "application/json" };
    if (method !== "GET") headers["x-csrf"] = csrf;
    if (json !== undefined) headers["content-type"] = "application/json";
    else if (type) headers["content-type"] = type;
    if (revision !== undefined) headers["if-match"] = `W/"${revision}"`;
    const content = json === undefined ? body : JSON.stringify(json);
    return fetch(path, { method, headers, body: content, signal, cache: "no-store", credentials: "same-origin" });
  };
  let answer = await reach(send);
  // Who signed in again has another proof: take it from the page, once.
  if (method !== "GET" && answer.status === 403 && (await renewed())) answer = await reach(send);
  if (!answer.ok) throw new Refused(answer.status, await words(answer));
  const kind = answer.headers.get("content-type") ?? "";
  const data = kind.includes("json") ? await answer.json() : await answer.blob();
  return { status: answer.status, data, revision: Number(TAG.exec(answer.headers.get("etag") ?? "")?.[1] ?? -1) };
}

/** Send a file and tell how much of it has gone, 0 to 1. */
export function upload(path, content, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("x-csrf", csrf);
    request.setRequestHeader("content-type", content.type || "application/octet-stream");
    request.upload.addEventListener("progress", (event) => event.total && onSent(event.loaded / event.total));
    request.addEventListener("error", () => reject(new Refused(0, "The hub cannot be reached.")));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve();
      else reject(new Refused(request.status, said(request.responseText, request.status)));
    });
    request.send(content);
  });
}

async function reach(send) {
  try {
    return await send();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The hub cannot be reached.");
  }
}

async function renewed() {
  const answer = await reach(() => fetch(location.href, { cache: "no-store", credentials: "same-origin" }));
  const found = PROOF.exec(await answer.text())?.[1];
  if (answer.redirected || !found || found === csrf) return false;
  csrf = found;
  return true;
}

async function words(answer) {
  return said(await answer.text(), answer.status);
}

function said(text, status) {
  if (status === 401) return "You are signed out.";
  let found = "";
  try {
    const issue = JSON.parse(text).issue[0];
    found = issue.diagnostics ?? issue.details?.text ?? "";
  } catch {
    found = "";
  }
  found ||= `That did not work (${status}).`;
  return found.charAt(0).toUpperCase() + found.slice(1).replace(/[^.!?]$/, "$&.");
}
