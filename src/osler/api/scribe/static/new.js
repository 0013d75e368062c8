// Opening an encounter.

import { Refused, call } from "./api.js";
import { byId, root, tell } from "./dom.js";

const form = byId("open");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const json = {
    patient: `Patient/${form.dataset.patient}`,
    template: fields.get("template"),
    detail: fields.get("detail"),
    by_problem: { true: true, false: false }[fields.get("by_problem")] ?? null,
    patient_called: fields.get("patient_called"),
  };
  const method = fields.get("consent");
  // The browser knows what the hour means here.
  if (method) json.consent = { method, time: (fields.get("time") ? new Date(fields.get("time")) : new Date()).toISOString() };
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    const { data } = await call("POST", `${root}/scribe/encounters`, { json });
    location.assign(`${root}/scribe/record/${encodeURIComponent(data.id)}`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell(byId("wrong"), error.message);
    button.disabled = false;
  }
});
