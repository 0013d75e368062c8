// Signing, and where signed notes went.

import { Refused, call, of } from "./api.js";
import { byId, el, many, moment, tell } from "./dom.js";
import { delivered, signable } from "./words.js";

/**
 * Ask for the password and sign; resolves to true, to "changed" when the note is another by now, or to false.
 * Who has no password here leaves for the identity provider, and comes back to {@link cameBack}.
 */
export function sign(encounter, note, revision, left) {
  const [dialog, form, password] = ["sign", "sign-form", "password"].map(byId);
  const every = note.sections.flatMap((section) => section.statements);
  const signed = every.filter(signable).length;
  const struck = every.filter((one) => one.state === "drafted" && !one.passed).length;
  byId("sign-words").textContent = `You answer for ${many(signed, "statement")}. It is then your note, and goes to the chart.`;
  const parts = [];
  if (struck) parts.push(`${many(struck, "statement")} struck through ${struck === 1 ? "is" : "are"} left out.`);
  if (left) parts.push(`${many(left, "thing was", "things were")} said and ${left === 1 ? "is" : "are"} not in the note.`);
  const orders = note.orders ?? [];
  const kept = orders.filter(({ state }) => state === "kept").length;
  const open = orders.filter(({ state }) => state === "staged").length;
  if (kept) parts.push(`${many(kept, "order goes", "orders go")} out as ${kept === 1 ? "a proposal" : "proposals"}: nothing is placed.`);
  if (open) parts.push(`${many(open, "order is", "orders are")} neither kept nor dropped, and ${open === 1 ? "stays" : "stay"} words of the note.`);
  tell(byId("sign-left"), parts.join(" "));
  tell(byId("sign-wrong"), "");
  return new Promise((resolve) => {
    let outcome = false;
    const submit = async (event) => {
      event.preventDefault();
      const button = form.querySelector("[type=submit]");
      button.disabled = true;
      tell(byId("sign-wrong"), "");
      try {
        if (!password) {
          const { data } = await call("POST", of(encounter, "sign", "again"), { revision });
          location.assign(data.location);
          return;
        }
        await call("POST", of(encounter, "sign"), { json: { password: password.value }, revision });
        outcome = true;
        dialog.close();
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 412) {
          outcome = "changed";
          dialog.close();
        } else {
          tell(byId("sign-wrong"), error.message);
          password?.select();
        }
      } finally {
        button.disabled = false;
      }
    };
    const end = () => {
      form.removeEventListener("submit", submit);
      if (password) password.value = "";
      resolve(outcome);
    };
    form.addEventListener("submit", submit);
    dialog.addEventListener("close", end, { once: true });
    dialog.showModal();
    (password ?? form.querySelector("[type=submit]")).focus();
  });
}

/** Return whether somebody comes back from signing in again: true, false for not at all, "no" for in vain. */
export function cameBack() {
  const came = { "#signed-in-again": true, "#not-signed-in-again": "no" }[location.hash] ?? false;
  if (came) history.replaceState(null, "", location.pathname + location.search);
  return came;
}

/** Sign after that. */
export const signProven = (encounter, revision) => call("POST", of(encounter, "sign"), { json: {}, revision });

/** Whether a note says something else than another. */
export const differs = (one, other) => substance(one) !== substance(other);
const substance = ({ sections, codes, orders = [] }) => JSON.stringify([sections, codes, orders]);

/** Say who signed, or that nobody has: {words, tone}. */
export function label(status, signed, changed) {
  if (!signed) return { words: "AI draft – nobody has signed it", tone: "ai" };
  const who = `${signed.signed_by}, ${moment(signed.signed_at * 1000)}`;
  if (changed) return { words: `Changed since it was signed by ${who} – sign it again`, tone: "ai" };
  return { words: `Signed by ${who}`, tone: "signed" };
}

/** Make the list of deliveries; `retry` is called with the id of one that failed. */
export function deliveries(found, retry) {
  return found.map((one) =>
    el(
      "div",
      { class: `delivery ${one.status}` },
      el(
        "p",
        {},
        el("b", {}, one.destination === "chart" ? "Chart" : one.destination),
        ` · version ${one.version} · `,
        el("span", { class: `state ${one.status}` }, delivered(one.status)),
        one.attempts > 1 ? ` after ${many(one.attempts, "attempt")}` : "",
      ),
      one.reason ? el("p", { class: "hint" }, one.reason) : null,
      Object.keys(one.items).length
        ? el(
            "details",
            {},
            el("summary", {}, many(Object.keys(one.items).length, "item")),
            el("ul", {}, ...Object.entries(one.items).map(([item, state]) => el("li", {}, el("code", {}, item), ` ${state}`))),
          )
        : null,
      one.status === "failed"
        ? el("button", { type: "button", class: "chip", onclick: () => retry(one.id) }, "Try again")
        : null,
    ),
  );
}
