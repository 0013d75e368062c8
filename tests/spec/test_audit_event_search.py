"""AuditEvent over FHIR: read and search straight from the log, by the rules of R4, within what a token gives."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fhir_server import HUB, FhirServer
from osler.api.people.roles import Role
from osler.api.smart.context import NOWHERE, LaunchContext
from osler.api.smart.reach import reach_of
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import ActingFor, Grant
from osler.audit import Agent, AuditLog, AuditRecord
from osler.audit.balp import PROFILES
from osler.audit.search import AuditSearch
from osler.domain.reach import NO_PATIENT, Part, Reach
from osler.errors import NotFound
from osler.standards import fhir
from osler.standards.fhir_query import parse_query
from osler.storage import Database

DAY = 86400.0
FIRST = 1_767_225_600.0  # 2026-01-01T00:00:00Z
ANN = Agent("Ann Ångström", "person", "192.0.2.1", via="app-1")
BOB = Agent("bob", "person", "192.0.2.2", via="app-2")
BULK = Agent("bulk-9", "client", "192.0.2.9")
HUB_ITSELF = Agent("osler", "system")

# Entry n is the n-th of these, recorded at noon of the n-th of January 2026.
RECORDS = [
    AuditRecord("resource-read", agent=ANN, patient="P1", entities=("Observation/o1/_history/1",)),
    AuditRecord("resource-read", agent=BOB, patient="P2", entities=("Observation/o2/_history/3",)),
    AuditRecord("resource-created", agent=ANN, patient="P1", entities=("Observation/o3/_history/1",)),
    AuditRecord("resource-searched", agent=BULK, patient="P1", entities=("Observation/o1/_history/1",),
                detail={"type": "Observation", "parameters": "code", "matches": 1}),
    AuditRecord("access-denied", agent=Agent("unknown", "peer", "192.0.2.66"), outcome=8, detail={"reason": "x"}),
    AuditRecord("hub-started", agent=HUB_ITSELF),
    AuditRecord("resource-deleted", agent=BULK, entities=("Device/d1/_history/2",)),
    AuditRecord("resource-read", agent=ANN, patient="P2", entities=("Patient/P2/_history/1",)),
]  # fmt: skip
ALL = set(range(1, len(RECORDS) + 1))


class Clock:
    def __init__(self) -> None:
        self.day = 0

    def __call__(self) -> float:
        self.day += 1
        return FIRST + (self.day - 1) * DAY + DAY / 2


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("audit")
    if request.param == "sqlite":
        url = request.getfixturevalue("new_sqlite")(folder / "osler.db")
    else:
        url = request.getfixturevalue("new_postgresql")()
    key, own = Ed25519PrivateKey.generate(), Database(url)
    log = AuditLog(own, signing_key=key, checkpoints=folder / "checkpoints", address=HUB, clock=Clock())
    for record in RECORDS:
        log.record(record)
    server = FhirServer(url, folder, audit=log)
    yield server
    server.stop()
    own.close()


def found(server: FhirServer, query: str, scope: str = "system/AuditEvent.rs") -> set[int]:
    answer = server.call("GET", f"/AuditEvent?_count=500&{query}", scope=scope)
    assert answer.status_code == 200, answer.text
    return {int(e["resource"]["id"]) for e in answer.json().get("entry", ())} & ALL


REST = "http://terminology.hl7.org/CodeSystem/audit-event-type|rest"
SEARCHES = [
    # rule, query, entries
    ("all", "", ALL),
    ("_id", "_id=3", {3}),
    ("_id, two", "_id=3,5", {3, 5}),
    ("_id that is no number", "_id=abc", set()),
    ("_id in another writing", "_id=03", set()),
    ("date, a day", "date=2026-01-02", {2}),
    ("date, an instant", "date=2026-01-02T12:00:00.000Z", {2}),
    ("date, a month", "date=2026-01", ALL),
    ("date ne", "date=ne2026-01-02", ALL - {2}),
    ("date lt", "date=lt2026-01-03", {1, 2}),
    ("date le", "date=le2026-01-03", {1, 2, 3}),
    ("date gt", "date=gt2026-01-07", {8}),
    ("date ge", "date=ge2026-01-07", {7, 8}),
    ("date sa", "date=sa2026-01-07", {8}),
    ("date eb", "date=eb2026-01-02", {1}),
    ("date, two of them", "date=ge2026-01-03&date=lt2026-01-05", {3, 4}),
    ("_lastUpdated", "_lastUpdated=lt2026-01-03", {1, 2}),
    ("patient", "patient=Patient/P1", {1, 3, 4}),
    ("patient by its id", "patient=P1", {1, 3, 4}),
    ("patient by its URL", f"patient={HUB}/fhir/R4/Patient/P1", {1, 3, 4}),
    ("patients", "patient=P1,P2", {1, 2, 3, 4, 8}),
    ("patient of nobody", "patient:missing=true", {5, 6, 7}),
    ("patient of somebody", "patient:missing=false", {1, 2, 3, 4, 8}),
    ("agent by identifier", "agent:identifier=urn:osler:person|bob", {2}),
    ("agent by identifier, any system", "agent:identifier=bulk-9", {4, 7}),
    ("agent by identifier, the client of a person", "agent:identifier=urn:osler:client|app-1", {1, 3, 8}),
    ("agent by identifier, a system", "agent:identifier=urn:osler:person|", {1, 2, 3, 8}),
    ("agent by reference", "agent=Practitioner/x", set()),
    ("agent-name starts so", "agent-name=ann", {1, 3, 8}),
    ("agent-name without accents", "agent-name=ann%20angstrom", {1, 3, 8}),
    ("agent-name, not the middle", "agent-name=angstrom", set()),
    ("agent-name contains", "agent-name:contains=ANGST", {1, 3, 8}),
    ("agent-name exactly", f"agent-name:exact={quote('Ann Ångström')}", {1, 3, 8}),
    ("agent-name not exactly", "agent-name:exact=ann", set()),
    ("agent-name is of people", "agent-name=bulk", set()),
    ("entity", "entity=Observation/o1", {1, 4}),
    ("entity, a patient", "entity=Patient/P2", {2, 8}),
    ("entity, not the start of an id", "entity=Observation/o", set()),
    ("entity-role", "entity-role=http://terminology.hl7.org/CodeSystem/object-role|24", {4}),
    ("action", "action=C", {3}),
    ("actions", "action=C,D", {3, 7}),
    ("action with its system", "action=http://hl7.org/fhir/audit-event-action|D", {7}),
    ("action not", "action:not=R", ALL - {1, 2, 8}),
    ("outcome", "outcome=8", {5}),
    ("outcome not", "outcome:not=8", ALL - {5}),
    ("type", "type=rest", {1, 2, 3, 4, 7, 8}),
    ("type with its system", f"type={REST}", {1, 2, 3, 4, 7, 8}),
    ("type in another system", "type=urn:x|rest", set()),
    ("type of a system", "type=http://dicom.nema.org/resources/ontology/DCM|", {5, 6}),
    ("type not", "type:not=rest", {5, 6}),
    ("subtype", "subtype=http://hl7.org/fhir/restful-interaction|read", {1, 2, 8}),
    ("subtype of ours", "subtype=urn:osler:audit-event|access-denied", {5}),
    ("address", "address=192.0.2.66", {5}),
    ("_profile", f"_profile={PROFILES}PatientRead", {1, 2, 8}),
    ("a site that is not said", "site:missing=true", ALL),
    ("several", "patient=P1&action=R&date=lt2026-01-03", {1}),
    ("several that only the entry tells", "address=192.0.2.1&entity=Observation/o3", {3}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "query", "entries"), SEARCHES, ids=[row[0] for row in SEARCHES])
def test_search(server: FhirServer, rule: str, query: str, entries: set[int]) -> None:
    assert found(server, query) == entries, rule


REFUSED = [
    ("an unknown parameter, strict", "colour=red", {"prefer": "handling=strict"}),
    ("a chain", "patient.name=x", {}),
    ("a date that is none", "date=soon", {}),
    ("a cursor of nobody", "_cursor=AAAA", {}),
    ("a cursor far before the first", f"_cursor={base64.urlsafe_b64encode(b'[1, -1e300, null]').decode()}", {}),
    ("a cursor that is no list", f"_cursor={base64.urlsafe_b64encode(b'{}').decode()}", {}),
]


@pytest.mark.parametrize(("rule", "query", "headers"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_asked(server: FhirServer, rule: str, query: str, headers: dict[str, str]) -> None:
    answer = server.call("GET", f"/AuditEvent?{query}", headers=headers)
    assert answer.status_code == 400, rule


@pytest.mark.parametrize("sort", ["-date", "date", "-_lastUpdated", "_id", "-_id", "-date,_id"])
@pytest.mark.parametrize("query", ["", "address=192.0.2.1,192.0.2.2,192.0.2.9", "patient=P1,P2"])
def test_pages_return_each_match_once_while_entries_are_added(server: FhirServer, sort: str, query: str) -> None:
    whole = found(server, query)
    order: list[int] = []
    path = f"/AuditEvent?_count=2&date=lt2026-01-09&_sort={sort}&{query}"
    while path:
        page = server.call("GET", path).json()  # each of them adds an entry itself
        entries = [int(e["resource"]["id"]) for e in page.get("entry", ())]
        assert len(entries) <= 2
        order += entries
        path = next((li["url"].partition("/fhir/R4")[2] for li in page["link"] if li["relation"] == "next"), "")
    assert order == sorted(whole, reverse=sort.startswith("-"))


@pytest.mark.parametrize(
    ("query", "total"),
    [("patient=P1", 3), ("patient=P1&_count=1", 3), ("patient=P1&_summary=count", 3), ("patient=P1&_count=0", 3)],
)
def test_total(server: FhirServer, query: str, total: int) -> None:
    assert server.call("GET", f"/AuditEvent?date=lt2026-01-09&{query}").json()["total"] == total


def test_total_by_what_only_the_entries_tell(server: FhirServer) -> None:
    page = server.call("GET", "/AuditEvent?address=192.0.2.1&_count=1").json()
    assert "total" not in page
    assert server.call("GET", "/AuditEvent?address=192.0.2.1&_summary=count").json()["total"] == 3


def test_an_entry_is_what_the_chain_holds(server: FhirServer) -> None:
    answer = server.call("GET", "/AuditEvent/1")
    assert answer.status_code == 200
    document = fhir.loads(answer.content)
    assert fhir.validate(document) == []
    entry = next(e for e in server.audit.search(limit=1000) if e.seq == 1)
    assert json.loads(answer.text) == entry.resource
    assert answer.text == json.dumps(entry.resource, separators=(",", ":"), sort_keys=True), "byte for byte"


@pytest.mark.parametrize("path", ["/AuditEvent/9999", "/AuditEvent/01", "/AuditEvent/x", "/AuditEvent/1/_history/1",
                                  "/AuditEvent/1/_history", "/AuditEvent/_history"])  # fmt: skip
def test_what_is_not_there(server: FhirServer, path: str) -> None:
    assert server.call("GET", path).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("PUT", "/AuditEvent/1"), ("DELETE", "/AuditEvent/1"),
                                              ("POST", "/AuditEvent"), ("PATCH", "/AuditEvent/1")])  # fmt: skip
def test_nobody_writes(server: FhirServer, method: str, path: str) -> None:
    body = {"resourceType": "AuditEvent", "id": "1"} if method != "DELETE" else None
    assert server.call(method, path, body).status_code >= 400
    log = server.services.audit
    assert isinstance(log, AuditLog)
    assert log.verify().ok


def test_post_is_get_and_batch_too(server: FhirServer) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    posted = server.call("POST", "/AuditEvent/_search", "patient=P1&date=lt2026-01-09", headers=form).json()
    assert {e["resource"]["id"] for e in posted["entry"]} == {"1", "3", "4"}
    entries = [{"request": {"method": "GET", "url": u}} for u in ("AuditEvent/1", "AuditEvent?patient=P1&_count=1")]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    one, some = server.call("POST", "", batch).json()["entry"]
    assert one["resource"]["id"] == "1"
    assert some["resource"]["total"] >= 3


def test_includes_are_not_offered_and_the_self_link_says_so(server: FhirServer) -> None:
    page = server.call("GET", "/AuditEvent?_include=AuditEvent:patient&patient=P1&_count=1").json()
    assert "_include" not in page["link"][0]["url"]
    statement = server.call("GET", "/metadata").json()
    (mine,) = [r for r in statement["rest"][0]["resource"] if r["type"] == "AuditEvent"]
    assert "searchInclude" not in mine
    assert {i["code"] for i in mine["interaction"]} == {"read", "search-type"}
    assert not [i for r in statement["rest"][0]["resource"] for i in r.get("searchRevInclude", ()) if "Audit" in i]


def test_elements_and_pretty(server: FhirServer) -> None:
    page = server.call("GET", "/AuditEvent?_id=1&_elements=action&_pretty=true").json()
    (entry,) = page["entry"]
    assert entry["resource"]["action"] == "R"
    assert "entity" not in entry["resource"]


def test_each_look_is_on_record(server: FhirServer) -> None:
    server.call("GET", "/AuditEvent/1")
    read = server.audit.search(limit=1)[0]
    assert (read.event, read.patient, read.agent) == ("audit-searched", "P1", server.client_id)
    assert {"reference": "AuditEvent/1"} in [e.get("what") for e in read.resource["entity"]]

    server.call("GET", "/AuditEvent?patient=P1&date=lt2026-01-09&agent-name=Secretive")
    searched = server.audit.search(limit=1)[0]
    assert (searched.event, searched.patient) == ("audit-searched", "P1")
    assert "Secretive" not in json.dumps(searched.resource), "names of parameters only"
    assert (
        base64.b64decode(next(e["query"] for e in searched.resource["entity"] if "query" in e))
        == b"AuditEvent?patient&date&agent-name"
    )

    server.call("GET", "/AuditEvent/9999")
    missed = server.audit.search(limit=1)[0]
    assert (missed.event, missed.outcome) == ("resource-read", 4)


SCOPES = [
    ("system/AuditEvent.rs", 200, ALL),
    ("system/*.rs", 200, ALL),
    ("system/AuditEvent.s?type=110113", 200, {5}),
    ("system/AuditEvent.s?type=rest&action=R", 200, {1, 2, 8}),
    ("system/AuditEvent.r", 403, set()),
    ("system/Patient.rs", 403, set()),
    ("user/AuditEvent.rs", 403, set()),
    ("patient/AuditEvent.rs", 403, set()),
]


@pytest.mark.parametrize(("scope", "status", "entries"), SCOPES, ids=[row[0] for row in SCOPES])
def test_scopes_of_a_program(server: FhirServer, scope: str, status: int, entries: set[int]) -> None:
    answer = server.call("GET", "/AuditEvent?_count=500", scope=scope)
    assert answer.status_code == status
    if status == 200:
        assert {int(e["resource"]["id"]) for e in answer.json().get("entry", ())} & ALL == entries
        other = (ALL - entries or {9999}).pop()
        held = "system/AuditEvent.rs" if "?" not in scope else scope.replace(".s?", ".rs?")
        assert server.call("GET", f"/AuditEvent/{other}", scope=held).status_code == 404


def test_a_cursor_of_another_token_shows_no_more(server: FhirServer) -> None:
    page = server.call("GET", "/AuditEvent?_count=1").json()
    cursor = page["link"][1]["url"].partition("_cursor=")[2]
    narrow = server.call("GET", f"/AuditEvent?_count=500&_cursor={cursor}", scope="system/AuditEvent.s?type=110113")
    assert {int(e["resource"]["id"]) for e in narrow.json()["entry"]} & ALL == {5}


OFFICER, ANN_HERSELF = ActingFor("pia", Role.PRIVACY_OFFICER, None), ActingFor("ann", Role.CLINICIAN, None)
P1 = LaunchContext(patient="P1")
REACHES = [
    ("a privacy officer sees all", "user/AuditEvent.rs", OFFICER, NOWHERE, (Part(),)),
    ("by any scope of theirs", "user/*.rs", OFFICER, NOWHERE, (Part(),)),
    ("a clinician sees none", "user/*.rs user/AuditEvent.rs", ANN_HERSELF, NOWHERE, ()),
    ("a launch of all types does not mean the log", "patient/*.rs", OFFICER, P1, ()),
    ("a launch that names it sees its patient's", "patient/AuditEvent.rs", OFFICER, P1, (Part(patient="P1"),)),
    ("but not a clinician's", "patient/AuditEvent.rs", ANN_HERSELF, P1, ()),
]


@pytest.mark.parametrize(("rule", "scopes", "person", "context", "reach"), REACHES, ids=[row[0] for row in REACHES])
def test_who_may(rule: str, scopes: str, person: ActingFor, context: LaunchContext, reach: Reach) -> None:
    grant = Grant("app", parse_scopes(scopes), person=person, context=context)
    assert (reach_of(grant, "AuditEvent", "s"), reach_of(grant, "AuditEvent", "r")) == (reach, reach), rule


@pytest.mark.parametrize(
    ("reach", "entries"),
    [
        ((), set()),
        ((Part(patient="P1"),), {1, 3, 4}),
        ((Part(patient="P1"), Part(patient="P2")), {1, 2, 3, 4, 8}),
        ((Part(patient=NO_PATIENT),), {5, 6, 7}),
        ((Part(patient="P1", tokens=(("action", ("code", "C")),)), Part(patient=NO_PATIENT)), {3, 5, 6, 7}),
    ],
)
def test_reach_holds_in_the_query(server: FhirServer, reach: Reach, entries: set[int]) -> None:
    search = AuditSearch(server.database)
    query = parse_query("AuditEvent", [("date", "lt2026-01-09"), ("_total", "accurate")], now=FIRST)
    page = search.search(query, lambda _type, _right: reach)
    assert {int(m.id) for m in page.matches} == entries
    assert page.total == len(entries)
    with server.database.read() as connection:
        for number in ALL:
            if number in entries:
                assert search.find(connection, str(number), reach).id == str(number)
            else:
                with pytest.raises(NotFound):
                    search.find(connection, str(number), reach)


@pytest.mark.parametrize("sort", ["-date", "date", "_id", "-_id"])
@pytest.mark.parametrize(
    ("pairs", "entries"),
    [
        ([("outcome", "8")], {5}),
        ([("address", "192.0.2.9")], {4, 7}),
        ([("entity", "Observation/o1")], {1, 4}),
        ([("patient", "P1,P2"), ("action", "R")], {1, 2, 8}),
        ([("outcome", "12")], set()),
    ],
)
def test_a_page_passes_by_a_bounded_number_of_entries(
    server: FhirServer, sort: str, pairs: list[tuple[str, str]], entries: set[int]
) -> None:
    search, found, cursor, pages = AuditSearch(server.database, most_passed=2), [], "", 0
    while cursor or not pages:
        given = [*pairs, ("date", "lt2026-01-09"), ("_sort", sort), *([("_cursor", cursor)] if cursor else [])]
        page = search.search(parse_query("AuditEvent", given, now=FIRST), lambda _type, _right: (Part(),))
        found += [int(match.id) for match in page.matches]
        cursor, pages = page.cursor, pages + 1
        assert page.total is None or page.total == len(entries)
    assert found == sorted(entries, reverse=sort.startswith("-"))
    assert pages > 1


def test_an_empty_log_has_one_empty_page(new_sqlite: Callable[[Path], str], tmp_path: Path) -> None:
    """A log without an entry has no page."""
    database = Database(new_sqlite(tmp_path / "empty.db"))
    query: Any = parse_query("AuditEvent", [], now=FIRST)
    page = AuditSearch(database).search(query, lambda _type, _right: (Part(),))
    assert (page.matches, page.total, page.cursor) == ((), 0, "")
    database.close()
