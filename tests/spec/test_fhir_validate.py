"""The operation $validate: what would be wrong with a resource, told without writing it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server import FHIR_JSON, HUB, FhirServer
from osler.standards import fhir

GOOD = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
BASE_PROFILE = "http://hl7.org/fhir/StructureDefinition/Observation"
OTHER_PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("fhir")
    running = FhirServer(new_sqlite(folder / "osler.db"), folder, max_resource_bytes=300_000)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def patient(server: FhirServer) -> str:
    return server.create({"resourceType": "Patient"})


def wrapped(resource: Any = None, **simple: str) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [{"name": name, "valueString": value} for name, value in simple.items()]
    if resource is not None:
        parameters.append({"name": "resource", "resource": resource})
    return {"resourceType": "Parameters", "parameter": parameters}


VALIDATED = [
    # rule, path, body, [(severity, code, expression)]
    ("a sound one", "/Observation/$validate", GOOD, [("information", "informational", None)]),
    ("inside Parameters", "/Observation/$validate", wrapped(GOOD), [("information", "informational", None)]),
    ("a missing element", "/Observation/$validate", {"resourceType": "Observation", "status": "final"},
     [("error", "required", "Observation.code")]),
    ("a missing element inside Parameters", "/Observation/$validate", wrapped({"resourceType": "Observation"}),
     [("error", "required", "Observation.code"), ("error", "required", "Observation.status")]),
    ("a code that the binding does not have", "/Observation/$validate", GOOD | {"status": "done"},
     [("error", "code-invalid", "Observation.status")]),
    ("another type than the URL's", "/Patient/$validate", GOOD, [("error", "invalid", None)]),
    ("a reference that leads nowhere", "/Observation/$validate", GOOD | {"subject": {"reference": "Patient/none"}},
     [("error", "not-found", "Observation.subject.reference")]),
    ("a reference to elsewhere", "/Observation/$validate",
     GOOD | {"subject": {"reference": "https://other.example/Patient/1"}}, [("information", "informational", None)]),
    ("rules that nobody here knows", "/Observation/$validate", GOOD | {"implicitRules": "urn:x"},
     [("error", "not-supported", "Observation.implicitRules")]),
    ("an update without an id", "/Observation/$validate?mode=update", GOOD, [("error", "required", "Observation")]),
    ("an update with one", "/Observation/$validate?mode=update", GOOD | {"id": "a"},
     [("information", "informational", None)]),
    ("an id that is not the URL's", "/Observation/b/$validate", GOOD | {"id": "a"},
     [("error", "invalid", "Observation.id")]),
    ("the base profile", f"/Observation/$validate?profile={BASE_PROFILE}", GOOD,
     [("information", "informational", None)]),
    ("another profile", f"/Observation/$validate?profile={OTHER_PROFILE}", GOOD,
     [("information", "not-supported", None)]),
    ("another profile inside Parameters", "/Observation/$validate", wrapped(GOOD, profile=OTHER_PROFILE),
     [("information", "not-supported", None)]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "body", "issues"), VALIDATED, ids=[row[0] for row in VALIDATED])
def test_validated(server: FhirServer, rule: str, path: str, body: Any, issues: list[Any]) -> None:
    answer = server.call("POST", path, body)

    assert answer.status_code == 200, (rule, answer.text)
    outcome = fhir.loads(answer.content)
    assert fhir.validate(outcome) == []
    found = {(i["severity"], i["code"], (i.get("expression") or [None])[0]) for i in outcome["issue"]}
    assert found == set(issues)


REFUSED = [
    # rule, method, path, headers, body, scope, status
    ("not JSON", "POST", "/Observation/$validate", {}, "{", "system/*.cruds", 400),
    ("nothing", "POST", "/Observation/$validate", {}, "", "system/*.cruds", 400),
    ("no resource", "POST", "/Observation/$validate", {}, '{"status":"final"}', "system/*.cruds", 400),
    ("Parameters without one", "POST", "/Observation/$validate", {}, wrapped(mode="create"), "system/*.cruds", 400),
    ("Parameters that are none", "POST", "/Observation/$validate", {},
     {"resourceType": "Parameters", "parameter": 1}, "system/*.cruds", 400),
    ("a mode that is none", "POST", "/Observation/$validate?mode=eat", {}, GOOD, "system/*.cruds", 400),
    ("a type that is not served", "POST", "/Elephant/$validate", {}, GOOD, "system/*.cruds", 404),
    ("XML", "POST", "/Observation/$validate", {"content-type": "application/fhir+xml"}, "<a/>", "system/*.cruds", 415),
    ("too large", "POST", "/Observation/$validate", {}, " " * 300_001, "system/*.cruds", 413),
    ("no right to the type", "POST", "/Observation/$validate", {}, GOOD, "system/Patient.cruds", 403),
    ("a stored one that is not there", "GET", "/Observation/none/$validate", {}, None, "system/*.cruds", 404),
    ("a stored one needs the right to read", "GET", "/Observation/none/$validate", {}, None,
     "system/Observation.c", 403),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "method", "path", "headers", "body", "scope", "status"), REFUSED, ids=[row[0] for row in REFUSED]
)
def test_refused(
    server: FhirServer,
    rule: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Any,
    scope: str,
    status: int,
) -> None:
    answer = server.call(method, path, body, headers, scope)

    assert answer.status_code == status, (rule, answer.text)
    assert fhir.loads(answer.content)["resourceType"] == "OperationOutcome"


def test_any_right_to_the_type_suffices_for_a_body(server: FhirServer) -> None:
    for right in "cruds":
        assert server.call("POST", "/Observation/$validate", GOOD, scope=f"system/Observation.{right}").is_success


def test_it_writes_nothing_and_is_on_record(server: FhirServer) -> None:
    before = server.call("GET", "/Observation?_summary=count").json()["total"]

    server.call("POST", "/Observation/$validate", GOOD)

    assert server.call("GET", "/Observation?_summary=count").json()["total"] == before
    assert server.audit.search(event="resource-validated")[0].outcome == 0


def test_a_stored_one(server: FhirServer, patient: str) -> None:
    held = server.create(GOOD | {"subject": {"reference": patient}})

    answer = server.call("GET", f"/{held}/$validate")
    deletion = server.call("POST", f"/{patient}/$validate?mode=delete", "")

    assert answer.json()["issue"][0]["severity"] == "information"
    entry = server.audit.search(event="resource-validated", patient=patient.partition("/")[2])
    assert len(entry) == 2, "whoever asks who looked at this patient finds both"
    assert [issue["code"] for issue in deletion.json()["issue"]] == ["conflict"]
    assert server.call("GET", f"/{held}").headers["etag"] == 'W/"1"'


def test_references_are_no_oracle(server: FhirServer, patient: str) -> None:
    """Whether something is there is told only as far as the caller may read it."""
    sent = GOOD | {"subject": {"reference": patient}, "focus": [{"reference": "Patient/none"}]}

    blind = server.call("POST", "/Observation/$validate", sent, scope="system/Observation.c").json()["issue"]
    granular = "system/Observation.c system/Patient.rs?identifier=x"
    narrow = server.call("POST", "/Observation/$validate", sent, scope=granular).json()["issue"]

    assert [issue["code"] for issue in blind] == ["informational"]
    assert [(i["severity"], i["diagnostics"]) for i in narrow] == [
        ("warning", "there is no such resource that you may read")
    ] * 2, "one that is there and one that is not look the same"


def test_a_long_body_is_read_for_those_who_may_ask_alone(server: FhirServer) -> None:
    long = fhir.dumps(GOOD | {"note": [{"text": "x" * 100_000}]})

    assert server.call("POST", "/Observation/$validate", long).is_success
    assert server.call("POST", "/Observation/$validate", long, scope="system/Patient.r").status_code == 403


def test_it_is_announced(server: FhirServer) -> None:
    statement = server.http.get("/fhir/R4/metadata", headers={"accept": FHIR_JSON}).json()

    assert statement["implementation"]["url"] == f"{HUB}/fhir/R4"
    for resource in statement["rest"][0]["resource"]:
        assert "validate" in [operation["name"] for operation in resource["operation"]]
