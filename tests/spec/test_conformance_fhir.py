"""FHIR R4 and US Core as a certifier asks for them: each row one question and what must come of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_examples import examples
from fhir_server import FhirServer

TYPES = sorted({one["resourceType"] for one in examples()})
IDS = {name: sorted(one["id"] for one in examples() if one["resourceType"] == name) for name in TYPES}
OF_PATIENT = [
    name
    for name in TYPES
    if name not in {"Binary", "Group", "Practitioner", "PractitionerRole", "Organization", "Provenance"}
]
ALL = "system/*.cruds"
LOINC = "http://loinc.org"


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("conformance")
    server = FhirServer(new_sqlite(folder / "osler.db"), folder)
    try:
        for one in examples():
            made = server.call("PUT", f"/{one['resourceType']}/{one['id']}", json.dumps(one))
            assert made.status_code == 201, made.text
        for method, path, status in (
            ("PUT", "changed", 201),
            ("PUT", "changed", 200),
            ("PUT", "gone", 201),
            ("DELETE", "gone", 204),
        ):
            body = json.dumps({**PATIENT, "id": path}) if method == "PUT" else None
            assert server.call(method, f"/Patient/{path}", body).status_code == status
        yield server
    finally:
        server.stop()


def ids(bundle: dict[str, Any], mode: str = "match") -> set[str]:
    return {one["resource"]["id"] for one in bundle.get("entry", ()) if one["search"]["mode"] == mode}


# --------------------------------------------------------------------------------------------- CapabilityStatement

CAPABILITY: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("it is one", lambda c: c["resourceType"] == "CapabilityStatement"),
    ("of R4", lambda c: c["fhirVersion"] == "4.0.1"),
    ("of a server that runs", lambda c: (c["kind"], c["status"]) == ("instance", "active")),
    ("with its date", lambda c: bool(c["date"])),
    ("JSON", lambda c: {"json", "application/fhir+json"} & set(c["format"])),
    ("JSON Patch", lambda c: "application/json-patch+json" in c["patchFormat"]),
    ("one server", lambda c: [one["mode"] for one in c["rest"]] == ["server"]),
    ("transactions", lambda c: {"code": "transaction"} in c["rest"][0]["interaction"]),
    ("batches", lambda c: {"code": "batch"} in c["rest"][0]["interaction"]),
    ("every type", lambda c: set(TYPES) <= {one["type"] for one in c["rest"][0]["resource"]}),
    (
        "each can be read and searched",
        lambda c: all(
            {"read", "search-type"} <= {i["code"] for i in one["interaction"]} for one in c["rest"][0]["resource"]
        ),
    ),
    ("each says how it is versioned", lambda c: all(one["versioning"] for one in c["rest"][0]["resource"])),
    (
        "each parameter has type and definition",
        lambda c: all(
            p["type"] and p["definition"].startswith("http")
            for one in c["rest"][0]["resource"]
            for p in one["searchParam"]
        ),
    ),
    ("no empty list", lambda c: "[]" not in json.dumps(c)),
]


@pytest.mark.parametrize(("rule", "check"), CAPABILITY, ids=[row[0] for row in CAPABILITY])
def test_capability_statement(server: FhirServer, rule: str, check: Callable[[dict[str, Any]], object]) -> None:
    answer = server.http.get("/fhir/R4/metadata")

    assert answer.status_code == 200
    assert check(answer.json()), rule


def test_each_parameter_that_is_claimed_is_understood(server: FhirServer) -> None:
    values = {"date": "2026", "number": "1", "quantity": "1", "uri": "urn:x", "reference": "Patient/pat"}
    for resource in server.http.get("/fhir/R4/metadata").json()["rest"][0]["resource"]:
        for parameter in resource["searchParam"]:
            if parameter["type"] == "composite":
                continue
            query = f"/{resource['type']}?{parameter['name']}={values.get(parameter['type'], 'x')}&_count=1"
            answer = server.call("GET", query, headers={"prefer": "handling=strict"})
            assert answer.status_code == 200, (query, answer.text)


# ----------------------------------------------------------------------------------------------- each type


@pytest.mark.parametrize("name", TYPES)
def test_read_needs_a_token(server: FhirServer, name: str) -> None:
    assert server.http.get(f"/fhir/R4/{name}/{IDS[name][0]}").status_code == 401


@pytest.mark.parametrize("name", TYPES)
def test_search_needs_a_token(server: FhirServer, name: str) -> None:
    assert server.http.get(f"/fhir/R4/{name}").status_code == 401


@pytest.mark.parametrize("name", TYPES)
def test_read_needs_the_scope(server: FhirServer, name: str) -> None:
    other = "Flag" if name != "Flag" else "Task"
    assert server.call("GET", f"/{name}/{IDS[name][0]}", scope=f"system/{other}.rs").status_code == 403


@pytest.mark.parametrize("name", TYPES)
def test_search_needs_the_scope(server: FhirServer, name: str) -> None:
    assert server.call("GET", f"/{name}", scope=f"system/{name}.r").status_code == 403


@pytest.mark.parametrize("name", TYPES)
def test_read_gives_what_was_written(server: FhirServer, name: str) -> None:
    for one in (one for one in examples() if one["resourceType"] == name):
        answer = server.call("GET", f"/{name}/{one['id']}", scope=f"system/{name}.r")
        found = answer.json()
        meta = found.pop("meta")
        assert found == one
        assert meta["versionId"] == "1"
        assert answer.headers["etag"] == 'W/"1"'
        assert answer.headers["content-type"].startswith("application/fhir+json")


@pytest.mark.parametrize("name", TYPES)
def test_vread_and_history(server: FhirServer, name: str) -> None:
    first = IDS[name][0]
    assert server.call("GET", f"/{name}/{first}/_history/1").json()["id"] == first
    history = server.call("GET", f"/{name}/{first}/_history").json()
    assert [one["resource"]["id"] for one in history["entry"]] == [first]
    assert history["entry"][0]["request"]["method"] == "PUT"


@pytest.mark.parametrize("name", TYPES)
def test_search_by_id_and_last_updated(server: FhirServer, name: str) -> None:
    found = server.call("GET", f"/{name}?_id={','.join(IDS[name])}&_lastUpdated=gt2020-01-01").json()
    assert (found["type"], found["total"], ids(found)) == ("searchset", len(IDS[name]), set(IDS[name]))
    assert all(one["fullUrl"].endswith(f"{name}/{one['resource']['id']}") for one in found["entry"])
    assert [link["relation"] for link in found["link"]] == ["self"]


@pytest.mark.parametrize("name", TYPES)
def test_post_search_is_the_same(server: FhirServer, name: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    posted = server.call("POST", f"/{name}/_search", f"_id={IDS[name][0]}", headers=form).json()
    assert posted["entry"] == server.call("GET", f"/{name}?_id={IDS[name][0]}").json()["entry"]


@pytest.mark.parametrize("name", OF_PATIENT)
def test_provenance_comes_along(server: FhirServer, name: str) -> None:
    found = server.call("GET", f"/{name}?_revinclude=Provenance:target").json()
    assert ids(found, "include") == ({"origin"} if name == "RiskAssessment" else set())


# ------------------------------------------------------------------------------------- US Core: required searches

SEARCHES = [
    # type, query, found
    ("Patient", "_id=pat", "pat"),
    ("Patient", "identifier=urn:mrn|M-1", "pat"),
    ("Patient", "identifier=M-1", "pat"),
    ("Patient", "name=Amb", "pat"),
    ("Patient", "family=amber&gender=female", "pat"),
    ("Patient", "birthdate=1970-01-02&name=ada", "pat"),
    ("Patient", "birthdate=1970-01-02&family=Amber", "pat"),
    ("Patient", "gender=female&name=Ada", "pat"),
    ("Patient", "gender=male&name=Ada", ""),
    ("Patient", "death-date=gt2000", ""),
    ("Practitioner", "name=Holt", "doc"),
    ("Practitioner", "identifier=http://hl7.org/fhir/sid/us-npi|9941339100", "doc"),
    ("Practitioner", "_id=doc", "doc"),
    ("PractitionerRole", "practitioner=Practitioner/doc", "role"),
    ("PractitionerRole", "practitioner.identifier=http://hl7.org/fhir/sid/us-npi|9941339100", "role"),
    ("PractitionerRole", "practitioner.name=Holt", "role"),
    ("Organization", "name=St+Mary", "org"),
    ("Organization", "identifier=1234567893", "org"),
    ("Encounter", "patient=pat", "enc"),
    ("Encounter", "_id=enc", "enc"),
    ("Encounter", "date=ge2026-03-01&patient=pat", "enc"),
    ("Encounter", "date=lt2026-03-01&patient=pat", ""),
    ("Encounter", "class=EMER&patient=pat", "enc"),
    ("Encounter", "patient=pat&type=http://snomed.info/sct|50849002", "enc"),
    ("Encounter", "patient=pat&status=in-progress", "enc"),
    ("Condition", "patient=pat", "condition"),
    ("Condition", "patient=pat&category=encounter-diagnosis", "condition"),
    ("Condition", "patient=pat&clinical-status=active", "condition"),
    ("Condition", "patient=pat&code=http://snomed.info/sct|195967001", "condition"),
    ("Condition", "patient=pat&encounter=enc", "condition"),
    ("Condition", "patient=pat&recorded-date=2026-03-01", "condition"),
    ("AllergyIntolerance", "patient=Patient/pat", "allergy"),
    ("AllergyIntolerance", "patient=pat&clinical-status=active", "allergy"),
    ("MedicationRequest", "patient=pat&intent=order", "prescription"),
    ("MedicationRequest", "patient=pat&intent=order&status=active", "prescription"),
    ("MedicationRequest", "patient=pat&intent=order&encounter=enc", "prescription"),
    ("MedicationRequest", "patient=pat&intent=order&authoredon=ge2026-03", "prescription"),
    ("MedicationRequest", "patient=pat&intent=order,plan,proposal", "prescription"),
    ("Observation", "patient=pat&category=laboratory", "lab"),
    ("Observation", "patient=pat&category=vital-signs", "bp"),
    ("Observation", f"patient=pat&code={LOINC}|2160-0", "lab"),
    ("Observation", f"patient=pat&code={LOINC}|2160-0,{LOINC}|85354-9", "lab bp"),
    ("Observation", "patient=pat&category=laboratory&date=2026-03-01", "lab"),
    *(
        ("Observation", f"patient=pat&category=laboratory&date={prefix}2026-03-01T08:00:00Z", found)
        for prefix, found in (("gt", "lab"), ("ge", "lab"), ("lt", ""), ("le", ""))
    ),
    ("Observation", "patient=pat&category=laboratory&status=final", "lab"),
    ("Observation", "patient=pat&category=laboratory&_lastUpdated=gt2020", "lab"),
    ("Observation", f"component-code={LOINC}|8480-6", "bp"),
    ("Observation", f"component-code-value-quantity={LOINC}|8480-6$gt120", "bp"),
    ("Observation", f"code-value-quantity={LOINC}|2160-0$lt1.05", ""),
    ("DiagnosticReport", "patient=pat", "report"),
    ("DiagnosticReport", "patient=pat&category=RAD", "report"),
    ("DiagnosticReport", "patient=pat&category=LAB", ""),
    ("DiagnosticReport", f"patient=pat&code={LOINC}|36643-5", "report"),
    ("DiagnosticReport", "patient=pat&category=RAD&date=2026-03-01", "report"),
    ("DiagnosticReport", "patient=pat&status=final", "report"),
    ("DocumentReference", "patient=pat", "document"),
    ("DocumentReference", "_id=document", "document"),
    ("DocumentReference", f"patient=pat&type={LOINC}|18748-4", "document"),
    ("DocumentReference", "patient=pat&date=ge2026-03-01", "document"),
    ("DocumentReference", "patient=pat&period=ge2026-03-01", "document"),
    ("DocumentReference", "patient=pat&period=2026-03-01", ""),
    ("DocumentReference", "patient=pat&status=current", "document"),
    ("ServiceRequest", "patient=pat", "order"),
    ("ServiceRequest", f"patient=pat&code={LOINC}|36643-5", "order"),
    ("ServiceRequest", "patient=pat&code=36643-5&authored=2026-03-01", "order"),
    ("ServiceRequest", "patient=pat&status=active", "order"),
    ("ImagingStudy", "patient=pat&started=2026-03-01", "study"),
    ("ImagingStudy", "identifier=urn:dicom:uid|urn:oid:2.25.1", "study"),
    ("ImagingStudy", "basedon=ServiceRequest/order", "study"),
    ("Device", "type=http://snomed.info/sct|706689003", "model"),
    ("RiskAssessment", "subject=Patient/pat&date=2026-03-01", "risk"),
    ("Task", "patient=pat&status=requested", "task"),
    ("Task", "focus=ServiceRequest/order", "task"),
    ("Flag", "patient=pat", "flag"),
    ("Communication", "subject=Patient/pat&status=completed", "alert"),
    ("Composition", "patient=pat&type=18748-4", "composition"),
    ("Provenance", "target=RiskAssessment/risk", "origin"),
    ("Group", "member=Patient/pat", "cohort"),
    ("MedicationStatement", "patient=pat&status=active", "taken"),
]


@pytest.mark.parametrize(("name", "query", "found"), SEARCHES, ids=[f"{row[0]}?{row[1]}" for row in SEARCHES])
def test_search(server: FhirServer, name: str, query: str, found: str) -> None:
    answer = server.call("GET", f"/{name}?{query}", headers={"prefer": "handling=strict"}, scope="system/*.rs")

    assert answer.status_code == 200, answer.text
    assert ids(answer.json()) == set(found.split())


@pytest.mark.parametrize("name", [name for name in OF_PATIENT if name not in {"Patient", "Device", "ImagingStudy"}])
def test_each_reference_to_the_patient_leads_there(server: FhirServer, name: str) -> None:
    found = server.call("GET", f"/{name}?patient=pat&_include={name}:patient").json()
    assert ids(found) == set(IDS[name])
    assert ids(found, "include") == {"pat"}


# -------------------------------------------------------------------------------------------------- the rules of HTTP

PATIENT = {"resourceType": "Patient", "active": True}
RULES = [
    # rule, method, path, body, headers, status
    ("unknown resource", "GET", "/Patient/nobody", None, {}, 404),
    ("unknown type", "GET", "/Spaceship/1", None, {}, 404),
    ("unknown version", "GET", "/Patient/pat/_history/99", None, {}, 404),
    ("an id that is none", "GET", "/Patient/a_b", None, {}, 404),
    ("create", "POST", "/Patient", PATIENT, {}, 201),
    ("create by update", "PUT", "/Patient/new", {**PATIENT, "id": "new"}, {}, 201),
    ("update", "PUT", "/Patient/changed", {**PATIENT, "id": "changed", "active": False}, {}, 200),
    ("another id in the body", "PUT", "/Patient/new", {**PATIENT, "id": "old"}, {}, 400),
    ("another type in the body", "POST", "/Patient", {"resourceType": "Flag"}, {}, 400),
    (
        "update of a version that is over",
        "PUT",
        "/Patient/changed",
        {**PATIENT, "id": "changed"},
        {"if-match": 'W/"1"'},
        412,
    ),
    ("no JSON", "POST", "/Patient", "{", {}, 400),
    ("no FHIR", "POST", "/Patient", {**PATIENT, "gender": "of no list"}, {}, 400),
    ("XML", "POST", "/Patient", "<Patient/>", {"content-type": "application/fhir+xml"}, 415),
    ("XML wanted", "GET", "/Patient/pat", None, {"accept": "application/fhir+xml"}, 406),
    ("plain JSON wanted", "GET", "/Patient/pat", None, {"accept": "application/json"}, 200),
    ("by _format", "GET", "/Patient/pat?_format=json", None, {"accept": "text/html"}, 200),
    ("not changed", "GET", "/Patient/pat", None, {"if-none-match": 'W/"1"'}, 304),
    ("conditional create, there", "POST", "/Patient", PATIENT, {"if-none-exist": "identifier=urn:mrn|M-1"}, 200),
    ("a parameter of nobody, leniently", "GET", "/Patient?colour=blue", None, {}, 200),
    ("a parameter of nobody, strictly", "GET", "/Patient?colour=blue", None, {"prefer": "handling=strict"}, 400),
    ("a date that is none", "GET", "/Patient?birthdate=then", None, {}, 400),
    ("a method of none", "POST", "/Patient/pat", PATIENT, {}, 405),
    ("delete of what never was", "DELETE", "/Patient/nobody", None, {}, 204),
    ("read of what was deleted", "GET", "/Patient/gone", None, {}, 410),
    ("delete of what was deleted", "DELETE", "/Patient/gone", None, {}, 204),
    ("AuditEvents are not written", "POST", "/AuditEvent", {"resourceType": "AuditEvent"}, {}, 405),
]


@pytest.mark.parametrize(("rule", "method", "path", "body", "headers", "status"), RULES, ids=[row[0] for row in RULES])
def test_http(
    server: FhirServer, rule: str, method: str, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    answer = server.call(method, path, body, headers)

    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert answer.json()["issue"][0]["severity"] in {"error", "fatal"}
