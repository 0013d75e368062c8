// What the gate and the states say, in words for a person.

const REASONS = {
  "quote-not-found": "the quoted words are not in the transcript",
  "no-evidence": "nothing in the conversation stands behind it",
  unsupported: "too little of it was said there",
  number: "a number is not the one that was said",
  drug: "a drug that was not named there",
  dose: "the dose is not the one that was said",
  laterality: "left and right do not agree with what was said",
  negation: "the conversation says the opposite",
  certainty: "it is surer than what was said",
  allergy: "what was said of the allergy is different",
  action: "starting, stopping or changing was said differently",
  order: "nobody ordered that",
  "too-long": "it is too long to be held to what was said",
  placeholder: "it names somebody or something that was not named there",
  instruction: "it rests on words that speak to the program, not to the patient",
};

const ROLES = { clinician: "Clinician", patient: "Patient", other: "Other" };
const KINDS = { problem: "Problem", medication: "Medication", allergy: "Allergy", plan: "Plan", symptom: "Symptom" };
const REFUSALS = {
  "another-encounter": "This note does not fit this conversation: it may be of another encounter. It cannot be signed as it was drafted.",
};
const DELIVERED = { pending: "on its way", delivered: "arrived", failed: "failed" };

export const reason = (rule) => REASONS[rule] ?? rule.replaceAll("-", " ");
export const role = (name) => ROLES[name] ?? name;
export const kind = (name) => KINDS[name] ?? name;
const ORDERS = { medication: "Medication", laboratory: "Laboratory", imaging: "Imaging", referral: "Referral", "follow-up": "Visit", procedure: "Procedure or therapy" };
const ACTIONS = { start: "start", stop: "stop", change: "change", refill: "refill" };

/** Say what an order is of, and what is to be done. */
export const orderKind = ({ kind: of, action }) => (ACTIONS[action] ? `${ORDERS[of] ?? of}, ${ACTIONS[action]}` : (ORDERS[of] ?? of));

/** Say what a person did with an order. */
export function orderState({ state, by }) {
  if (state === "kept") return `✓ Kept by ${by}: goes out with the note, as a proposal.`;
  if (state === "dropped") return `− Dropped by ${by}.`;
  return "Not decided: it stays words of the note.";
}

export const refusal = (name) => REFUSALS[name] ?? "The draft as a whole was refused, and cannot be signed as it was drafted.";
export const delivered = (state) => DELIVERED[state] ?? state;

/** Whether a statement goes into the signed note. */
export const signable = ({ state, passed }) => state !== "removed" && (passed || state === "edited" || state === "added");

/** Say what stands against a statement, or who answers for it: {mark, words, tone}. */
export function verdict(statement) {
  const { state, by, support, severity, reasons, passed } = statement;
  const told = reasons.includes("dose") ? reasons.filter((one) => one !== "number") : reasons;
  const why = told.map(reason).join("; ");
  if (state === "removed") return { mark: "−", words: `Removed by ${by}.`, tone: "removed" };
  if (state === "added" || state === "edited") {
    const whose = state === "added" ? `Written by ${by}.` : `Changed by ${by}.`;
    const doubt = passed || support === "unmentioned" ? "" : ` The check disagrees: ${why}.`;
    return { mark: "✎", words: whose + doubt, tone: doubt ? "doubt" : "own" };
  }
  if (!passed) {
    const grave = severity === "major" ? " Could do harm." : "";
    const what = support === "contradicted" ? "Contradicted" : "Not supported";
    return { mark: "✕", words: `${what}: ${why || "refused"}.${grave} Left out of the note.`, tone: "refused" };
  }
  if (support === "inference") return { mark: "≈", words: "Inferred from what was said.", tone: "inferred" };
  return { mark: "", words: "", tone: "" };
}

/** Write words of the hub as a sentence. */
export const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1).replace(/[^.!?]$/, "$&.");
