// A round of fhir-kit-client over a FHIR server. The argument is JSON: base, clientId, secret. Prints what it has seen.
import {Client} from "fhir-kit-client";

const {base, clientId, secret} = JSON.parse(process.argv[2]);
const client = new Client({baseUrl: base});
const seen = {};
const status = promise => promise.then(() => 200, error => error.response?.status ?? String(error));

const found = await client.smartAuthMetadata();
seen.tokenUrl = found.tokenUrl.href;
seen.fhirVersion = (await client.capabilityStatement()).fhirVersion;
seen.anonymous = await status(client.search({resourceType: "Patient"}));

const answer = await fetch(found.tokenUrl, {
  method: "POST",
  body: new URLSearchParams({grant_type: "client_credentials", scope: "system/*.cruds", client_id: clientId, client_secret: secret}),
});
client.bearerToken = (await answer.json()).access_token;

const patient = await client.create({
  resourceType: "Patient",
  body: {
    resourceType: "Patient",
    identifier: [{system: "urn:mrn", value: "K-1"}],
    name: [{family: "Kestrel", given: ["Kit"]}],
    gender: "female",
    birthDate: "1980-04-05",
  },
});
const subject = {reference: `Patient/${patient.id}`};
seen.created = [patient.meta.versionId, client.constructor.httpFor(patient).response.status];
seen.read = (await client.read({resourceType: "Patient", id: patient.id})).name[0].family;
const updated = await client.update({resourceType: "Patient", id: patient.id, body: {...patient, gender: "other"}});
seen.updated = [updated.meta.versionId, updated.gender];
const patched = await client.patch({
  resourceType: "Patient",
  id: patient.id,
  jsonPatch: [{op: "replace", path: "/birthDate", value: "1980-04-06"}, {op: "add", path: "/name/-", value: {text: "KK"}}],
});
seen.patched = [patched.meta.versionId, patched.birthDate, patched.name.length];
seen.vread = (await client.vread({resourceType: "Patient", id: patient.id, version: "1"})).gender;
seen.conditional = await client.update({
  resourceType: "Patient",
  searchParams: {identifier: "urn:mrn|K-1"},
  body: {...patched, id: undefined, active: true},
}).then(one => [one.id === patient.id, one.active, one.meta.versionId]);

const code = {coding: [{system: "http://loinc.org", code: "718-7"}]};
const entry = number => ({
  fullUrl: `urn:uuid:00000000-0000-4000-8000-00000000000${number}`,
  resource: {
    resourceType: "Observation",
    status: "final",
    code,
    subject,
    effectiveDateTime: `2026-03-0${number}`,
    valueQuantity: {value: number, unit: "g/dL"},
    ...(number > 1 ? {derivedFrom: [{reference: "urn:uuid:00000000-0000-4000-8000-000000000001"}]} : {}),
  },
  request: {method: "POST", url: "Observation"},
});
const made = await client.transaction({body: {resourceType: "Bundle", type: "transaction", entry: [1, 2, 3, 4, 5].map(entry)}});
seen.transaction = [made.type, made.entry.map(one => one.response.status.slice(0, 3))];
const batch = await client.batch({
  body: {
    resourceType: "Bundle",
    type: "batch",
    entry: [
      {request: {method: "GET", url: `Patient/${patient.id}`}},
      {request: {method: "GET", url: "Patient/nobody"}},
      {request: {method: "GET", url: "Observation?date=ge2026-03-04"}},
    ],
  },
});
seen.batch = batch.entry.map(one => one.response.status.slice(0, 3));
seen.batchSearch = batch.entry[2].resource.total;

let page = await client.search({resourceType: "Observation", searchParams: {patient: patient.id, _sort: "-date", _count: "2"}});
const dates = [];
seen.pages = 0;
for (; page; page = await client.nextPage({bundle: page})) {
  seen.pages += 1;
  dates.push(...page.entry.map(one => one.resource.effectiveDateTime));
}
seen.dates = dates;
const first = (await client.search({resourceType: "Observation", searchParams: {date: "2026-03-02"}})).entry[0].resource;
seen.resolved = (await client.resolve({reference: first.derivedFrom[0].reference, context: first})).effectiveDateTime;
seen.included = (await client.search({
  resourceType: "Observation",
  searchParams: {date: "2026-03-02", _include: "Observation:subject"},
})).entry.map(one => one.search.mode);
seen.posted = (await client.search({
  resourceType: "Observation",
  searchParams: {code: "http://loinc.org|718-7", _summary: "count"},
  options: {postSearch: true},
})).total;
const history = await client.history({resourceType: "Patient", id: patient.id});
seen.history = [history.type, history.entry.map(one => one.resource.meta.versionId)];
const typed = await client.history({resourceType: "Observation"});
seen.typeHistory = [typed.type, typed.entry.length];
seen.validated = (await client.operation({
  name: "validate",
  resourceType: "Patient",
  input: {resourceType: "Patient", gender: "nothing of the list"},
})).issue.some(issue => issue.severity === "error");
seen.everything = (await client.operation({name: "everything", resourceType: "Patient", id: patient.id, method: "GET"})).entry.length;
seen.refused = await status(client.create({resourceType: "Observation", body: {resourceType: "Observation", status: "final"}}));
await client.delete({resourceType: "Observation", id: first.id});
seen.gone = await status(client.read({resourceType: "Observation", id: first.id}));
console.log(JSON.stringify(seen));
