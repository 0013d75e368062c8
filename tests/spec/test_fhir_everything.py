"""The operation Patient/$everything: the whole record, and not a byte of another's."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server import HUB, FhirServer
from osler.api.people.roles import Role
from osler.standards import fhir


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("fhir")
    if request.param == "postgresql":
        url = request.getfixturevalue("new_postgresql")()
    else:
        url = request.getfixturevalue("new_sqlite")(folder / "osler.db")
    running = FhirServer(url, folder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def record(server: FhirServer) -> dict[str, str]:
    """Create two patients with records that share people; return references by a short name."""
    made: dict[str, str] = {}
    made["house"] = server.create({"resourceType": "Organization", "name": "House"})
    above = {"partOf": {"reference": made["house"]}}
    made["ward"] = server.create({"resourceType": "Organization", "name": "Ward"} | above)
    made["doctor"] = server.create({"resourceType": "Practitioner"})
    made["role"] = server.create(
        {
            "resourceType": "PractitionerRole",
            "practitioner": {"reference": made["doctor"]},
            "organization": {"reference": made["ward"]},
        }
    )
    made["stranger"] = server.create({"resourceType": "Practitioner"})
    for name in ("ann", "bob"):
        made[name] = server.create({"resourceType": "Patient", "birthDate": "1970-01-01"})
        subject = {"reference": made[name]}
        made[f"{name} visit"] = server.create(
            {
                "resourceType": "Encounter",
                "status": "finished",
                "class": {"code": "AMB"},
                "subject": subject,
                "period": {"start": "2020-03-01", "end": "2020-03-05"},
            }
        )
        made[f"{name} value"] = server.create(
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "subject": subject,
                "effectiveDateTime": "2021-05-05",
                "performer": [{"reference": made["role"]}],
            }
        )
        made[f"{name} secret"] = server.create(
            {
                "resourceType": "Condition",
                "subject": subject,
                "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
            }
        )
        made[f"{name} flag"] = server.create(
            {"resourceType": "Flag", "status": "active", "code": {"text": "x"}, "subject": subject}
        )
    # of Bob, and yet in Ann's compartment: she performed it
    made["shared"] = server.create(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": made["bob"]},
            "performer": [{"reference": made["ann"]}],
        }
    )
    gone = server.create({"resourceType": "Condition", "subject": {"reference": made["ann"]}})
    server.call("DELETE", f"/{gone}")
    return made


CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ANN = {"ann", "ann visit", "ann value", "ann secret", "ann flag"}
PEOPLE = {"role", "doctor", "ward", "house"}


def found(bundle: dict[str, Any], record: dict[str, str], mode: str) -> set[str]:
    names = {reference: name for name, reference in record.items()}
    return {
        names[entry["fullUrl"].removeprefix(f"{HUB}/fhir/R4/")]
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == mode
    }


ASKED = [
    # rule, query, scope, matches, referenced
    ("all of it", "", "system/*.rs", ANN | {"shared"}, PEOPLE),
    ("some types", "?_type=Patient,Encounter", "system/*.rs", {"ann", "ann visit"}, set()),
    ("types of people come when they are asked for", "?_type=Observation,PractitionerRole", "system/*.rs",
     {"ann value", "shared"}, {"role"}),
    ("care from a day on", "?start=2021-01-01", "system/*.rs", ANN - {"ann visit"} | {"shared"}, PEOPLE),
    ("care until a day", "?end=2020-12-31", "system/*.rs", ANN - {"ann value"} | {"shared"}, set()),
    ("care within a period that began before", "?start=2020-03-04&end=2020-03-04&_type=Encounter", "system/*.rs",
     {"ann visit"}, set()),
    ("only types that may be read and searched", "", "system/Patient.r system/Encounter.rs system/Condition.r",
     {"ann", "ann visit"}, set()),
    ("people that may not be read stay away", "", "system/Patient.r system/Observation.rs system/PractitionerRole.r",
     {"ann", "ann value", "shared"}, {"role"}),
    ("a granular scope", "", "system/Patient.r system/Observation.rs?performer:identifier=x", {"ann"}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "query", "scope", "matches", "referenced"), ASKED, ids=[row[0] for row in ASKED])
def test_everything(
    server: FhirServer,
    record: dict[str, str],
    rule: str,
    query: str,
    scope: str,
    matches: set[str],
    referenced: set[str],
) -> None:
    answer = server.call("GET", f"/{record['ann']}/$everything{query}", scope=scope)

    assert answer.status_code == 200, (rule, answer.text)
    bundle = fhir.loads(answer.content)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    assert found(bundle, record, "match") == matches
    assert found(bundle, record, "include") == referenced
    assert bundle["link"][0]["url"] == f"{HUB}/fhir/R4/{record['ann']}/$everything{query.replace(',', '%2C')}"


def test_pages_bring_each_once(server: FhirServer, record: dict[str, str]) -> None:
    for count in (1, 2, 5, 6, 7):
        path, seen = f"/{record['ann']}/$everything?_count={count}", []
        while path:
            bundle = server.call("GET", path).json()
            some = [e["fullUrl"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
            assert len(some) <= count
            seen += some
            path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
            path = path.removeprefix(f"{HUB}/fhir/R4")
        assert len(seen) == len(set(seen)) == 6
        assert seen[0].endswith(record["ann"]), "the patient comes first"


def test_since(server: FhirServer, record: dict[str, str]) -> None:
    late = server.create({"resourceType": "Flag", "status": "active", "code": {"text": "x"},
                          "subject": {"reference": record["bob"]}})  # fmt: skip
    stamp = server.call("GET", f"/{late}").json()["meta"]["lastUpdated"]

    bundle = server.call("GET", f"/{record['bob']}/$everything?_since={quote(stamp)}").json()

    assert [entry["fullUrl"] for entry in bundle["entry"]] == [f"{HUB}/fhir/R4/{late}"]


def test_parameters_in_the_body(server: FhirServer, record: dict[str, str]) -> None:
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "_type", "valueString": "Patient,Encounter"}, {"name": "_count", "valueInteger": 1},
    ]}  # fmt: skip

    bundle = server.call("POST", f"/{record['ann']}/$everything", body).json()

    assert found(bundle, record, "match") == {"ann"}
    following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    rest = server.call("GET", following.removeprefix(f"{HUB}/fhir/R4")).json()
    assert found(rest, record, "match") == {"ann visit"}


REFUSED = [
    # rule, path ({ann}), scope, status
    ("a patient that is not there", "/Patient/none/$everything", "system/*.rs", 404),
    ("a patient that cannot be", "/Patient/%00/$everything", "system/*.rs", 404),
    ("another type", "/Practitioner/x/$everything", "system/*.rs", 404),
    ("no right to Patient", "/{ann}/$everything", "system/Observation.rs", 403),
    ("a type that is not served", "/{ann}/$everything?_type=Elephant", "system/*.rs", 400),
    ("_count that is none", "/{ann}/$everything?_count=0", "system/*.rs", 400),
    ("_since that is none", "/{ann}/$everything?_since=now", "system/*.rs", 400),
    ("start that is none", "/{ann}/$everything?start=now", "system/*.rs", 400),
    ("a cursor that is none", "/{ann}/$everything?_cursor=%21", "system/*.rs", 400),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "scope", "status"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(server: FhirServer, record: dict[str, str], rule: str, path: str, scope: str, status: int) -> None:
    answer = server.call("GET", path.replace("{ann}", record["ann"]), scope=scope)

    assert answer.status_code == status, (rule, answer.text)
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_patient_launch_reaches_its_own_patient_alone(server: FhirServer, record: dict[str, str]) -> None:
    headers = server.person("dr", Role.CLINICIAN, "patient/*.rs", patient=record["ann"].partition("/")[2])

    own = server.call("GET", f"/{record['ann']}/$everything", headers=headers).json()
    other = server.call("GET", f"/{record['bob']}/$everything", headers=headers)
    cursor = server.call("GET", f"/{record['bob']}/$everything?_count=1").json()["link"][1]["url"].partition("?")[2]
    stolen = server.call("GET", f"/{record['ann']}/$everything?{cursor}", headers=headers).json()

    assert found(own, record, "match") == ANN - {"ann secret"}, "restricted records need the glass broken"
    assert found(own, record, "include") == PEOPLE
    assert other.status_code == 404
    assert found(stolen, record, "match") <= ANN - {"ann secret"}


def test_it_is_on_record_for_each_patient(server: FhirServer, record: dict[str, str]) -> None:
    ann, bob = (record[name].partition("/")[2] for name in ("ann", "bob"))
    before = {p: len(server.audit.search(event="everything-read", patient=p)) for p in (ann, bob)}

    server.call("GET", f"/{record['ann']}/$everything")

    entry = server.audit.search(event="everything-read", patient=ann)[0].resource
    assert len(server.audit.search(event="everything-read", patient=ann)) == before[ann] + 1
    assert len(server.audit.search(event="everything-read", patient=bob)) == before[bob] + 1, "one observation was his"
    assert f"{record['ann value']}/_history/1" in str(entry)
    assert record["bob value"] not in str(entry)


def test_a_miss_is_on_record(server: FhirServer) -> None:
    server.call("GET", "/Patient/nobody/$everything")

    assert server.audit.search(event="everything-read")[0].outcome == 4
