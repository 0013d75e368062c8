"""The answer to a search over HTTP (R4 3.1.1.5): entries and their modes, subsets, links, the record."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select

from fhir_server import HUB, FhirServer
from osler.standards import fhir
from osler.standards.fhir_search import SEARCHABLE
from osler.standards.fhir_subset import SUBSETTED, subset
from osler.storage.tables import audit_event

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A</div>'},
    "active": True,
    "name": [{"family": "Adler", "given": ["Ida"]}],
    "contact": [{"name": {"family": "Other"}}],
    "link": [{"other": {"reference": "Patient/p2"}, "type": "seealso"}],
}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/p1"},
    "valueQuantity": {"value": fhir.FhirDecimal("0.930")},
    "note": [{"text": "n"}],
}
STUDY = {
    "resourceType": "ImagingStudy",
    "id": "i1",
    "status": "available",
    "subject": {"reference": "Patient/p1"},
    "series": [
        {
            "id": "s",
            "uid": "1.2",
            "modality": {"code": "CT"},
            "instance": [{"uid": "1.2.3", "sopClass": {"code": "urn:oid:1"}}],
        }
    ],
}


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("searchset")
    running = FhirServer(new_sqlite(folder / "osler.db"), folder)
    put = running.services.resources.put
    for resource in (PATIENT, {"resourceType": "Patient", "id": "p2"}, OBSERVATION, STUDY):
        running.database.write(lambda connection, resource=resource: put(connection, resource))
    yield running
    running.stop()


def entries(server: FhirServer, path: str, **how: Any) -> list[tuple[str, str]]:
    answer = server.call("GET", path, **how)
    assert answer.status_code == 200, answer.text
    return [(e["search"]["mode"], e.get("fullUrl", "")) for e in answer.json().get("entry", [])]


def test_entries_say_why_they_are_there(server: FhirServer) -> None:
    base = f"{HUB}/fhir/R4"
    answer = server.call("GET", "/Observation?_include=Observation:subject&colour=red&_count=5")

    bundle = answer.json()
    assert fhir.validate(fhir.loads(answer.text)) == []
    assert [(e["search"]["mode"], e.get("fullUrl")) for e in bundle["entry"]] == [
        ("match", f"{base}/Observation/o1"),
        ("include", f"{base}/Patient/p1"),
        ("outcome", None),
    ]
    assert bundle["total"] == 1
    assert '"value":0.930' in answer.text
    (issue,) = bundle["entry"][2]["resource"]["issue"]
    assert (issue["severity"], issue["code"]) == ("warning", "not-supported")
    assert issue["diagnostics"] == "search parameter 2 was not understood and is left out"
    assert dict(parse_qsl(urlsplit(bundle["link"][0]["url"]).query)) == {
        "_include": "Observation:subject",
        "_count": "5",
    }


def test_strict_handling_refuses_what_lenient_leaves_out(server: FhirServer) -> None:
    path = "/Observation?colour=red"

    assert server.call("GET", path, headers={"prefer": "handling=strict"}).status_code == 400
    assert server.call("GET", path, headers={"prefer": "handling=lenient"}).status_code == 200
    assert server.call("GET", path).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["", "status=final&_include=*", "_summary=true", "_elements=status&_count=1", "colour=red", "_summary=count"],
)
def test_post_equals_get(server: FhirServer, query: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    by_get = server.call("GET", f"/Observation?{query}" if query else "/Observation")
    by_post = server.call("POST", "/Observation/_search", query, headers=form)

    assert by_post.status_code == by_get.status_code == 200
    assert by_post.json() == by_get.json()


def test_what_a_scope_does_not_give_does_not_come_along(server: FhirServer) -> None:
    path = "/Observation?_include=Observation:subject"

    assert [mode for mode, _ in entries(server, path, scope="system/Observation.rs system/Patient.rs")] == [
        "match",
        "include",
    ]
    assert [mode for mode, _ in entries(server, path, scope="system/Observation.rs")] == ["match"]
    assert entries(server, "/Observation?patient.name=adler", scope="system/Observation.rs") == []


def test_a_search_and_what_came_along_are_on_record(server: FhirServer) -> None:
    server.call("GET", "/Observation?_include=Observation:subject&status=final")

    with server.database.read() as connection:
        body = connection.execute(select(audit_event.c.body).order_by(audit_event.c.seq.desc()).limit(1)).scalar_one()
    seen = json.dumps(json.loads(body))
    assert "Observation/o1/_history/1" in seen
    assert "Patient/p1/_history/1" in seen


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("_elements=name", "resourceType id meta active name link"),
        ("_elements=active,contact", "resourceType id meta active contact link"),
        ("_summary=true", "resourceType id meta active name link"),
        ("_summary=text", "resourceType id meta text active link"),
        ("_summary=data", "resourceType id meta active name contact link"),
        ("_summary=false", "resourceType id meta text active name contact link"),
    ],
)
def test_parts_of_a_resource_are_marked_as_such(server: FhirServer, query: str, wanted: str) -> None:
    (entry,) = server.call("GET", f"/Patient?_id=p1&{query}").json()["entry"]
    resource = entry["resource"]

    assert " ".join(resource) == wanted
    assert (SUBSETTED in resource["meta"].get("tag", [])) == (query != "_summary=false")


def test_a_summary_leaves_out_what_is_deep(server: FhirServer) -> None:
    (entry,) = server.call("GET", "/ImagingStudy?_summary=true").json()["entry"]

    assert entry["resource"]["series"] == [{"id": "s", "uid": "1.2", "modality": {"code": "CT"}}]


def test_a_choice_is_asked_for_by_its_stem_and_decimals_stay(server: FhirServer) -> None:
    answer = server.call("GET", "/Observation?_elements=value")

    assert '"valueQuantity":{"value":0.930}' in answer.text
    assert "note" not in answer.json()["entry"][0]["resource"]


def test_the_summary_count_has_no_entries(server: FhirServer) -> None:
    bundle = server.call("GET", "/Observation?_summary=count&colour=red").json()

    assert (bundle["total"], bundle.get("entry")) == (1, None)


@pytest.mark.parametrize("type_name", sorted(SEARCHABLE))
def test_no_part_loses_what_is_mandatory(type_name: str) -> None:
    whole = {"resourceType": type_name, "id": "x", **dict.fromkeys(SEARCHABLE[type_name].kept, "y"), "text": {}}

    for part in (subset(whole, "text"), subset(whole, "data"), subset(whole, "", ["id"])):
        assert set(part) >= SEARCHABLE[type_name].kept | {"resourceType", "id"}
        assert part["meta"]["tag"] == [SUBSETTED]
    assert whole.get("meta") is None, "the resource itself is left as it is"


def test_a_provenance_belongs_to_the_patient_of_its_targets_wherever_it_stands_in_a_transaction(
    server: FhirServer,
) -> None:
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": "urn:uuid:1b9c1d6a-0000-4000-8000-000000000001"}],
        "recorded": "2024-01-01T00:00:00Z",
        "agent": [{"who": {"display": "somebody"}}],
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": provenance, "request": {"method": "POST", "url": "Provenance"}},
            {
                "fullUrl": "urn:uuid:1b9c1d6a-0000-4000-8000-000000000001",
                "resource": {k: v for k, v in OBSERVATION.items() if k != "id"},
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    made = server.call("POST", "", bundle)
    assert made.status_code == 200, made.text
    provenance_id = made.json()["entry"][0]["response"]["location"].split("/Provenance/")[1].split("/")[0]

    assert server.services.resources.read("Provenance", provenance_id).patient == "p1"
