"""Every access is on record before it is answered: who, by which app, whom it is about, what, and by which parameters.

One row an interaction, over real HTTP. The form is that of IHE BALP 1.1.3.
"""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt

from fhir_server import HUB, FhirServer
from osler.api.cds_hooks.feedback import CardStore
from osler.api.people.roles import Role
from osler.audit import Agent, AuditEntry, AuditRecord
from osler.audit.balp import PROFILES
from osler.errors import StorageBusy
from osler.hub.exports import Exports
from osler.standards import fhir
from osler.vault import KeyRing
from smart_flow import PASSWORD, SmartSite

SECRET = "Ottilie-Vandermeer"  # a value that a search asks for: it must not stand in the log
PATCH = {"content-type": "application/json-patch+json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def patient(logical_id: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": logical_id, "name": [{"family": f"{SECRET}{logical_id}"}]}


def observation(logical_id: str, of: str | None) -> dict[str, Any]:
    subject = {"subject": {"reference": f"Patient/{of}"}} if of else {}
    code = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
    return {"resourceType": "Observation", "id": logical_id, "status": "final", "code": code} | subject


RESOURCES = [
    patient("P1"),
    patient("P2"),
    observation("o1", "P1"),
    observation("o2", "P2"),
    observation("o3", "P1"),
    observation("o4", None),
    {"resourceType": "Device", "id": "d1", "status": "active"},
]


@dataclass(frozen=True)
class Said:
    """What one entry says."""

    event: str
    patient: str | None = None
    entities: tuple[str, ...] = ()
    profile: str = ""
    query: str = ""
    outcome: int = 0


@dataclass(frozen=True)
class Row:
    """One interaction: what is asked, how it is answered, and what goes on record."""

    name: str
    method: str
    path: str
    said: tuple[Said, ...]
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def batch(kind: str, *entries: tuple[str, str, Any]) -> dict[str, Any]:
    def entry(method: str, url: str, resource: Any) -> dict[str, Any]:
        return {"request": {"method": method, "url": url}} | ({"resource": resource} if resource else {})

    return {"resourceType": "Bundle", "type": kind, "entry": [entry(*each) for each in entries]}


O1, O2, O3, O4 = (f"Observation/o{n}/_history/1" for n in (1, 2, 3, 4))
P1, P2 = "Patient/P1/_history/1", "Patient/P2/_history/1"
READS = [
    Row("read", "GET", "/Observation/o1", (Said("resource-read", "P1", (O1,), "PatientRead"),)),
    Row("read of nobody's", "GET", "/Device/d1", (Said("resource-read", None, ("Device/d1/_history/1",), "Read"),)),
    Row("HEAD", "HEAD", "/Observation/o1", (Said("resource-read", "P1", (O1,), "PatientRead"),)),
    Row("read that is not modified", "GET", "/Observation/o1",
        (Said("resource-read", "P1", (O1,), "PatientRead"),), 304,
        headers={"if-none-match": 'W/"1"'}),
    Row("read of nothing", "GET", "/Observation/none", (Said("resource-read", outcome=4),), 404),
    Row("vread", "GET", "/Observation/o1/_history/1", (Said("version-read", "P1", (O1,), "PatientRead"),)),
    Row("history", "GET", "/Observation/o1/_history", (Said("history-read", "P1", (O1,)),)),
    Row("history of the type", "GET", "/Patient/_history",
        (Said("history-read", "P1", (P1,)), Said("history-read", "P2", (P2,)))),
    Row("search", "GET", "/Observation?patient=P1&code=718-7&_sort=-date",
        (Said("resource-searched", "P1", (O1, O3), "PatientQuery", "Observation?patient&code"),)),
    Row("search by POST", "POST", "/Observation/_search",
        (Said("resource-searched", "P2", (O2,), "PatientQuery", "Observation?patient"),),
        body="patient=P2", headers=FORM),
    Row("search that finds several patients'", "GET", "/Observation?_id=o1,o2,o4",
        (Said("resource-searched", "P1", (O1,), "PatientQuery", "Observation?_id"),
         Said("resource-searched", "P2", (O2,), "PatientQuery", "Observation?_id"),
         Said("resource-searched", None, (O4,), "Query", "Observation?_id"))),
    Row("search that finds nothing", "GET", f"/Patient?name={SECRET}x&birthdate=1970-01-01",
        (Said("resource-searched", None, (), "Query", "Patient?name&birthdate"),)),
    Row("search without parameters", "GET", "/Device",
        (Said("resource-searched", None, ("Device/d1/_history/1",), "Query", "Device"),)),
    Row("chained search", "GET", f"/Observation?patient.name={SECRET}P1",
        (Said("resource-searched", "P1", (O1, O3), "PatientQuery", "Observation?patient"),)),
    Row("include", "GET", "/Observation?_id=o1&_include=Observation:subject",
        (Said("resource-searched", "P1", (O1, P1), "PatientQuery", "Observation?_id"),)),
    Row("revinclude", "GET", "/Patient?_id=P2&_revinclude=Observation:subject",
        (Said("resource-searched", "P2", (O2, P2), "PatientQuery", "Patient?_id"),)),
    Row("$everything", "GET", "/Patient/P2/$everything", (Said("everything-read", "P2", (O2, P2)),)),
    Row("batch", "POST", "",
        (Said("resource-read", "P1", (O1,), "PatientRead"),
         Said("resource-searched", "P2", (P2,), "PatientQuery", "Patient?_id"),
         Said("resource-read", outcome=4)),
        body=batch("batch", ("GET", "Observation/o1", None), ("GET", "Patient?_id=P2", None),
                   ("GET", "Patient/x", None))),
    Row("transaction that reads", "POST", "", (Said("resource-read", "P2", (O2,), "PatientRead"),),
        body=batch("transaction", ("GET", "Observation/o2", None))),
    Row("the log itself", "GET", "/AuditEvent?patient=P1", (Said("audit-searched", "P1", query="AuditEvent?patient"),)),
    Row("an entry of the log", "GET", "/AuditEvent/1", (Said("audit-searched", "P1", ("AuditEvent/1",)),)),
    Row("a search that is refused", "GET", "/Observation?date=soon", (), 400),
]  # fmt: skip
WRITES = [
    Row("update as create", "PUT", "/Observation/n1",
        (Said("resource-updated", "P1", ("Observation/n1/_history/1",), "PatientUpdate"),), 201,
        observation("n1", "P1")),
    Row("update", "PUT", "/Observation/n1",
        (Said("resource-updated", "P1", ("Observation/n1/_history/2",), "PatientUpdate"),), 200,
        observation("n1", "P1") | {"status": "amended"}),
    Row("patch", "PATCH", "/Observation/n1",
        (Said("resource-patched", "P1", ("Observation/n1/_history/3",), "PatientUpdate"),), 200,
        json.dumps([{"op": "replace", "path": "/status", "value": "final"}]), PATCH),
    Row("vread of the version before", "GET", "/Observation/n1/_history/2",
        (Said("version-read", "P1", ("Observation/n1/_history/2",), "PatientRead"),)),
    Row("update that is refused", "PUT", "/Observation/n1", (Said("resource-updated", outcome=4),), 412,
        observation("n1", "P1"), {"if-match": 'W/"1"'}),
    Row("transaction", "POST", "",
        (Said("resource-updated", "P1", ("Observation/n2/_history/1",), "PatientUpdate"),
         Said("resource-updated", None, ("Device/d1/_history/2",), "Update")),
        body=batch("transaction", ("PUT", "Observation/n2", observation("n2", "P1")),
                   ("PUT", "Device/d1", {"resourceType": "Device", "id": "d1", "status": "inactive"}))),
    Row("transaction that is refused", "POST", "", (Said("transaction-refused", outcome=4),), 404,
        body=batch("transaction", ("GET", "Observation/none", None))),
    Row("delete", "DELETE", "/Observation/n1",
        (Said("resource-deleted", "P1", ("Observation/n1/_history/4",), "PatientDelete"),), 204),
    Row("read of what was deleted", "GET", "/Observation/n1", (Said("resource-read", outcome=4),), 410),
]  # fmt: skip


FIRST = AuditRecord("resource-read", agent=Agent("first", "client"), patient="P1")


class Site:
    """A server with its resources."""

    def __init__(self, url: str, folder: Path) -> None:
        self.fhir = FhirServer(url, folder)
        services = self.fhir.services
        self.fhir.database.write(lambda c: [services.resources.put(c, each) for each in RESOURCES])
        services.audit.record(FIRST)
        self._seen = 0

    def entries(self) -> list[AuditEntry]:
        """Return what went on record since the last call."""
        found = [e for e in reversed(self.fhir.audit.search(limit=100)) if e.seq > self._seen]
        self._seen = max((e.seq for e in found), default=self._seen)
        return found


@pytest.fixture(scope="module")
def site(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("balp")
    site = Site(new_sqlite(folder / "osler.db"), folder)
    yield site
    site.fhir.stop()


def said_by(entry: AuditEntry) -> Said:
    resource = entry.resource
    entities = resource.get("entity", ())
    found = tuple(
        sorted(
            e["what"]["reference"] for e in entities if "reference" in e.get("what", {}) and e["role"]["code"] != "1"
        )
    )
    query = next((base64.b64decode(e["query"]).decode() for e in entities if "query" in e), "")
    profile = "".join(resource["meta"].get("profile", ())).removeprefix(PROFILES)
    return Said(entry.event, entry.patient, found, profile, query, entry.outcome)


@pytest.mark.parametrize("row", READS, ids=lambda row: row.name)
def test_what_a_client_reads(site: Site, row: Row) -> None:
    does(site, row)


def test_what_a_client_writes(site: Site) -> None:
    for row in WRITES:  # each after the one before
        does(site, row)


def does(site: Site, row: Row) -> None:
    """Do what a row says, and check what is on record of it."""
    site.entries()
    answer = site.fhir.call(row.method, row.path, row.body, row.headers)
    assert answer.status_code == row.status, (row.name, answer.text)
    entries = site.entries()
    key = repr
    assert sorted(map(said_by, entries), key=key) == sorted(row.said, key=key)
    for entry in entries:
        assert fhir.validate(entry.resource) == []
        assert entry.agent == site.fhir.client_id
        agent = next(a for a in entry.resource["agent"] if a["requestor"])
        assert agent["who"]["identifier"] == {"system": "urn:osler:client", "value": site.fhir.client_id}
        assert agent["network"]["address"] == "127.0.0.1"
        named = [e for e in entry.resource.get("entity", ()) if e.get("role", {}).get("code") == "1"]
        assert [e["what"]["reference"] for e in named] == ([f"Patient/{entry.patient}"] if entry.patient else [])
        assert SECRET not in json.dumps(entry.resource), "names of parameters, never their values"


def test_a_client_creates(site: Site) -> None:
    body = observation("x", "P2")
    del body["id"]
    site.entries()
    answer = site.fhir.call("POST", "/Observation", body)
    made = answer.headers["location"].partition("/fhir/R4/")[2]
    (entry,) = site.entries()
    assert said_by(entry) == Said("resource-created", "P2", (made,), "PatientCreate")
    assert fhir.validate(entry.resource) == []


DENIALS = [
    ("no token", "GET", "/Observation/o1", None, 401, "Unauthenticated"),
    ("a token that does not hold", "GET", "/Observation/o1", "", 401, "Unauthenticated"),
    ("no token, to write", "POST", "/Observation", None, 401, "Unauthenticated"),
    ("no token, to search", "GET", f"/Patient?name={SECRET}", None, 401, "Unauthenticated"),
    ("no token, operation", "GET", "/Patient/P1/$everything", None, 401, "Unauthenticated"),
    ("no token, batch", "POST", "", None, 401, "Unauthenticated"),
    ("a scope that is too narrow", "GET", "/Observation/o1", "system/Patient.rs", 403, "AccessDenied"),
    ("a scope to read alone", "DELETE", "/Observation/o1", "system/*.rs", 403, "AccessDenied"),
    ("a scope without the log", "GET", "/AuditEvent", "system/Observation.rs", 403, "AccessDenied"),
]


@pytest.mark.parametrize(("name", "method", "path", "scope", "status", "reason"), DENIALS, ids=[d[0] for d in DENIALS])
def test_a_denial(site: Site, name: str, method: str, path: str, scope: str | None, status: int, reason: str) -> None:
    held = site.fhir.bearer(scope) if scope else {} if scope is None else {"authorization": "Bearer nonsense"}
    headers = held | {"content-type": "application/fhir+json"}
    content = "{}" if method == "POST" else None
    site.entries()
    answer = site.fhir.http.request(method, f"/fhir/R4{path}", content=content, headers=headers)
    assert answer.status_code == status, name
    (entry,) = site.entries()
    assert (entry.event, entry.outcome, entry.patient) == ("access-denied", 8, None)
    assert entry.agent == (site.fhir.client_id if scope else "unknown")
    (detail,) = [{d["type"]: d["valueString"] for d in e["detail"]} for e in entry.resource["entity"] if "detail" in e]
    assert (detail["reason"], detail["method"]) == (reason, method)
    assert detail["route"].startswith("/fhir/R4")
    assert "o1" not in detail["route"]
    assert SECRET not in json.dumps(entry.resource)
    assert fhir.validate(entry.resource) == []


def test_an_export(site: Site) -> None:
    """The start, each patient whose data went in, to whom, each file and the end."""
    services, store = site.fhir.services, site.fhir.services.exports
    assert store is not None
    work = Exports(services, store, keep_s=3600.0, base=f"{HUB}/fhir/R4")
    site.entries()
    headers = {"prefer": "respond-async"}
    started = site.fhir.call("GET", "/$export?_type=Observation", headers=headers, scope="system/*.rs")
    status = started.headers["content-location"].removeprefix(f"{HUB}/fhir/R4")
    (entry,) = site.entries()
    assert (entry.event, entry.agent) == ("export-started", site.fhir.client_id)
    while work.step():
        pass
    exported = {e.patient: e for e in site.entries() if e.event == "patient-exported"}
    assert set(exported) == {"P1", "P2"}
    recipient = next(a for a in exported["P1"].resource["agent"] if a["type"]["coding"][0]["code"] == "110152")
    assert recipient["who"]["identifier"]["value"] == site.fhir.client_id
    manifest = site.fhir.call("GET", status, scope="system/*.rs").json()
    site.entries()
    for each in manifest["output"]:
        assert site.fhir.call("GET", each["url"].removeprefix(f"{HUB}/fhir/R4"), scope="system/*.rs").status_code == 200
    assert {e.event for e in site.entries()} == {"export-downloaded"}
    site.fhir.call("DELETE", status, scope="system/*.rs")
    assert "export-ended" in {e.event for e in site.entries()}


def test_a_cds_call(new_sqlite: Callable[[Path], str], tmp_path: Path) -> None:
    key = jwk.ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384", "use": "sig"})
    url = new_sqlite(tmp_path / "cds.db")
    first = FhirServer(url, tmp_path)
    keys = KeyRing.open(first.database, master_key=bytes(32), tenant="default")
    server = FhirServer(url, tmp_path, cards=CardStore(first.database, keys.sealer("record")))
    ehr = server.services.clients.add(
        "ehr", "system/Patient.rs", jwks=json.dumps({"keys": [key.as_dict(private=False)]})
    )
    chart = patient("P1") | {"identifier": [{"system": "urn:mrn", "value": SECRET}]}
    server.database.write(lambda c: server.services.resources.put(c, chart))
    path, now = "/cds-services/osler-patient-view", int(time.time())
    claims = {"iss": ehr, "aud": HUB + path, "iat": now, "exp": now + 200, "jti": str(uuid.uuid4())}
    token = jwt.encode({"alg": "ES384", "kid": "k1", "typ": "JWT"}, claims, key, algorithms=["ES384"])
    body = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/u", "patientId": "P1"},
        "prefetch": {"patient": chart},
    }
    answer = server.http.post(path, json=body, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    entry = server.services.audit.search(limit=1)[0]  # type: ignore[attr-defined]
    assert (entry.event, entry.agent, entry.patient) == ("cds-called", ehr, "P1")
    assert SECRET not in json.dumps(entry.resource)

    again = server.http.post(path, json=body, headers={"authorization": f"Bearer {token}"})
    assert again.status_code == 401, "a JWT holds once"
    entry = server.services.audit.search(limit=1)[0]  # type: ignore[attr-defined]
    assert (entry.event, entry.outcome) == ("access-denied", 8)
    server.stop()
    first.stop()


@pytest.fixture(scope="module")
def people(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmartSite]:
    folder = tmp_path_factory.mktemp("people")
    site = SmartSite(new_sqlite(folder / "osler.db"), folder)
    yield site
    site.stop()


def test_a_person_by_an_app(people: SmartSite) -> None:
    """Sign-in, consent, token, and then each read in the person's name by the app."""
    app = people.app("launch/patient patient/*.rs")
    token = people.tokens(app)["access_token"]
    events = people.audit.search(limit=20)
    assert {"signed-in", "resource-searched", "access-granted", "token-issued"} <= {e.event for e in events}
    granted = next(e for e in events if e.event == "access-granted")
    assert (granted.agent, granted.patient) == ("ann", "P1")
    issued = next(e for e in events if e.event == "token-issued")
    assert (issued.agent, issued.patient) == (app.client_id, "P1")

    assert people.read(token, "Observation/o1").status_code == 200
    entry = people.entry()
    assert said_by(entry) == Said("resource-read", "P1", (O1,), "PatientRead")
    person, client, server = entry.resource["agent"]
    assert (person["who"]["identifier"]["value"], person["name"], person["requestor"]) == ("ann", "ann", True)
    assert person["type"]["coding"][0]["code"] == "IRCP"
    assert (client["who"]["identifier"]["value"], client["requestor"]) == (app.client_id, False)
    assert client["network"]["address"] == "127.0.0.1"
    assert server["network"]["address"].startswith("http://")

    assert people.read(token, "Observation/o2").status_code == 404, "another patient's"
    assert said_by(people.entry()) == Said("resource-read", None, (), outcome=4)
    assert people.read(token, "AuditEvent").status_code == 403
    assert (people.entry().event, people.entry().agent) == ("access-denied", app.client_id)


def test_a_privacy_officer_reads_the_log_and_a_clinician_does_not(people: SmartSite) -> None:
    ann = people.tokens(people.app("launch/patient patient/Observation.rs"))["access_token"]
    assert people.read(ann, "Observation/o1").status_code == 200
    people.people.users.add("pia", Role.PRIVACY_OFFICER, PASSWORD)
    app = people.app("user/AuditEvent.rs user/Observation.rs")
    held = people.token(app.exchange(people.code(app, people.browser("pia"), of=None)))["access_token"]
    page = people.read(held, "AuditEvent?patient=P1&agent-name=ann&_sort=-date").json()
    assert page["entry"]
    assert {e["resource"]["resourceType"] for e in page["entry"]} == {"AuditEvent"}
    entry = people.entry()
    assert (entry.event, entry.agent, entry.patient) == ("audit-searched", "pia", "P1")
    assert people.read(held, "Observation/o1").status_code == 403, "not what is wrong with patients"

    other = people.app("user/AuditEvent.rs user/Observation.rs")
    held = people.tokens(other)["access_token"]
    assert people.read(held, "AuditEvent?patient=P1").status_code == 403
    assert people.read(held, "AuditEvent/1").status_code == 403
    assert people.entry().event == "access-denied"


def test_signing_in_and_out(people: SmartSite) -> None:
    browser = people.browser("ann")
    assert (people.entry().event, people.entry().agent, people.entry().outcome) == ("signed-in", "ann", 0)
    browser.open("/account")
    browser.submit(next(n for n, form in enumerate(browser.forms) if "sign-out" in form.action))
    assert (people.entry().event, people.entry().agent) == ("signed-out", "ann")


def test_a_failed_sign_in(people: SmartSite) -> None:
    browser = people.browser(None)
    browser.open("/oauth/sign-in")
    browser.submit(username="ann", password=f"{PASSWORD}?")
    entry = people.entry()
    assert (entry.event, entry.outcome) == ("sign-in-failed", 8)
    assert PASSWORD not in json.dumps(entry.resource)


class Refusing:
    """An audit log that cannot be written."""

    def append(self, _connection: Any, *_records: AuditRecord) -> None:
        raise StorageBusy("the disk is full")

    def record(self, *_records: AuditRecord) -> None:
        raise StorageBusy("the disk is full")


UNWRITTEN = [row for row in (*READS, *WRITES) if row.said and row.status < 300 and row.name != "HEAD"]


@pytest.fixture(scope="module")
def unwritable(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("unwritable")
    server = FhirServer(new_sqlite(folder / "osler.db"), folder, audit=Refusing())
    things = [*RESOURCES, observation("n1", "P1")]
    server.database.write(lambda c: [server.services.resources.put(c, each) for each in things])
    server.audit.record(FIRST)
    yield server
    server.stop()


@pytest.mark.parametrize("row", UNWRITTEN, ids=lambda row: row.name)
def test_what_cannot_be_put_on_record_is_not_answered(unwritable: FhirServer, row: Row) -> None:
    with unwritable.database.read() as connection:
        before = unwritable.services.resources.current(connection, "Observation", "n1")
    answer = unwritable.call(row.method, row.path.replace("/_history/2", "/_history/1"), row.body, row.headers)
    if row.name == "batch":
        assert {e["response"]["status"][:3] for e in answer.json()["entry"]} == {"503"}
        assert not any("resource" in e for e in answer.json()["entry"])
    else:
        assert answer.status_code == 503, answer.text
        assert answer.json()["resourceType"] == "OperationOutcome"
    assert SECRET not in answer.text
    with unwritable.database.read() as connection:
        after = unwritable.services.resources.current(connection, "Observation", "n1")
    assert after == before, "a write that is not on record did not happen"
