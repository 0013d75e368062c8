"""FHIR R4 over HTTP: one row a rule of the standard.

Each row: what is asked, and the status that must come; some rules look at headers or the body besides.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.api.app import Services, create_app
from osler.api.smart.clients import ClientStore
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import TokenStore
from osler.audit import AuditLog
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.standards import fhir
from osler.standards.fhir_search import SEARCHABLE
from osler.storage import Database
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

BASE = "/fhir/R4"
LOINC = "http://loinc.org"


def observation(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "identifier": [{"system": "urn:lab", "value": f"L{number}"}],
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "718-7"}]},
        "subject": {"reference": "Patient/OSL-A"},
        "effectiveDateTime": f"2024-01-{number:02}",
        "valueQuantity": {"value": fhir.FhirDecimal("0.930")},
    } | changes


RESOURCES = [
    {"resourceType": "Patient", "id": "OSL-A", "identifier": [{"system": "urn:mrn", "value": "A|1"}]},
    {"resourceType": "Patient", "id": "OSL-B", "identifier": [{"value": "B"}]},
    observation(1),
    observation(2, status="preliminary"),
    observation(3, subject={"reference": "Patient/OSL-B"}),
    observation(4, code={"coding": [{"system": "urn:own", "code": "718-7"}]}, effectiveDateTime="2024-02-01T10:00:00Z"),
    observation(5, subject={"reference": "Device/d1"}, effectivePeriod={"start": "2024-03"}, effectiveDateTime=None),
    {"resourceType": "Device", "id": "d1", "status": "active"},
    {
        "resourceType": "ImagingStudy",
        "id": "i1",
        "status": "available",
        "subject": {"reference": "Patient/OSL-A"},
        "started": "2024-01-01",
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.1"}],
    },
    {
        "resourceType": "Provenance",
        "id": "v1",
        "target": [{"reference": "Observation/o1"}],
        "recorded": "2024-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Device/d1"}}],
    },
]


@pytest.fixture(scope="module")
def services(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("fhir")
    database = Database(new_sqlite(folder / "osler.db"))
    keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
    services = Services(
        base_url="http://hub.example",
        database=database,
        audit=AuditLog(database, signing_key=Ed25519PrivateKey.generate(), checkpoints=folder / "checkpoints"),
        resources=ResourceStore(
            database, sealer=keys.sealer("record"), index=keys.index, clock=lambda: 1_700_000_000.0
        ),
        search=ResourceSearch(database, sealer=keys.sealer("record"), index=keys.index),
        clients=ClientStore(database),
        tokens=TokenStore(database),
        accept=lambda received: None,
        metrics=Metrics(),
    )

    def fill(connection: Any) -> None:
        for resource in RESOURCES:
            services.resources.put(connection, {k: v for k, v in resource.items() if v is not None})

    database.write(fill)
    yield services
    database.close()


@pytest.fixture(scope="module")
def client(services: Services) -> Iterator[httpx.Client]:
    server = WebServer(create_app(services), "127.0.0.1:0")
    server.start()
    with httpx.Client(base_url=server.url) as client:
        yield client
    server.stop()


@pytest.fixture(scope="module")
def bearer(services: Services) -> Callable[[str], dict[str, str]]:
    client_id = services.clients.add("spec", "system/*.cruds", secret="x" * 12)

    def make(scope: str = "system/*.rs") -> dict[str, str]:
        token = services.database.write(lambda c: services.tokens.issue(c, client_id, parse_scopes(scope)))
        return {"authorization": f"Bearer {token}"}

    return make


STATUS = [
    # rule, method, path, headers, status
    ("3.1.0.2 read", "GET", "/Observation/o1", {}, 200),
    ("3.1.0.2 read with HEAD", "HEAD", "/Observation/o1", {}, 200),
    ("3.1.0.2 read of what is not there", "GET", "/Observation/none", {}, 404),
    ("3.1.0.2 read of an id that cannot be", "GET", "/Observation/a_b%20c", {}, 404),
    ("3.1.0.2 read of another type's id", "GET", "/Patient/o1", {}, 404),
    ("3.1.0.2 a type that is not served", "GET", "/Medication/o1", {}, 404),
    ("3.1.0.2 a type that does not exist", "GET", "/Elephant", {}, 404),
    ("3.1.0.2 type names have a case", "GET", "/observation/o1", {}, 404),
    ("3.1.0.11 search", "GET", "/Observation", {}, 200),
    ("3.1.0.11 search with HEAD", "HEAD", "/Observation?status=final", {}, 200),
    ("3.1.0.11 the form must be a form", "POST", "/Observation/_search", {"content-type": "application/json"}, 415),
    ("3.1.0.9 capabilities", "GET", "/metadata", {}, 200),
    ("SMART configuration", "GET", "/.well-known/smart-configuration", {}, 200),
    ("no redirect to another spelling", "GET", "/Observation/o1/", {}, 404),
    ("3.1.0.1.11 Accept fhir+json", "GET", "/Observation/o1", {"accept": "application/fhir+json"}, 200),
    ("3.1.0.1.11 Accept json", "GET", "/Observation/o1", {"accept": "application/json"}, 200),
    ("3.1.0.1.11 Accept of a browser", "GET", "/Observation/o1", {"accept": "text/html,*/*;q=0.8"}, 200),
    ("3.1.0.1.11 Accept empty", "GET", "/Observation/o1", {"accept": ""}, 200),
    ("3.1.0.1.11 Accept XML alone", "GET", "/Observation/o1", {"accept": "application/fhir+xml"}, 406),
    ("3.1.0.1.11 Accept with quality 0", "GET", "/Observation/o1", {"accept": "application/json;q=0"}, 406),
    ("3.1.0.1.14 FHIR version 4.0", "GET", "/Observation/o1", {"accept": "application/json; fhirVersion=4.0"}, 200),
    ("3.1.0.1.14 FHIR version 3.0", "GET", "/Observation/o1", {"accept": "application/fhir+json;fhirVersion=3.0"}, 406),
    ("3.1.0.1.11 _format json", "GET", "/Observation/o1?_format=json", {"accept": "text/html"}, 200),
    ("3.1.0.1.11 _format fhir+json", "GET", "/Observation/o1?_format=application/fhir%2Bjson", {}, 200),
    ("3.1.0.1.11 _format with a bare +", "GET", "/Observation/o1?_format=application/fhir+json", {}, 200),
    ("3.1.0.1.11 _format xml", "GET", "/Observation/o1?_format=xml", {"accept": "application/json"}, 406),
    ("3.1.0.1.11 capabilities as XML", "GET", "/metadata?_format=xml", {}, 406),
    ("3.1.0.5 If-None-Match of this version", "GET", "/Observation/o1", {"if-none-match": 'W/"1"'}, 304),
    ("3.1.0.5 If-None-Match of another", "GET", "/Observation/o1", {"if-none-match": 'W/"2"'}, 200),
    ("3.1.1.2 lenient by default", "GET", "/Observation?colour=red", {}, 200),
    ("3.1.1.2 lenient when asked", "GET", "/Observation?colour=red", {"prefer": "handling=lenient"}, 200),
    ("3.1.1.2 strict when asked", "GET", "/Observation?colour=red", {"prefer": "handling=strict"}, 400),
    ("3.1.1.2 strict among others", "GET", "/Observation?colour=red", {"prefer": 'a=b; handling="strict"'}, 400),
    ("3.1.1.2 strict knows all of ours", "GET", "/Observation?status=final&_count=1&_sort=-date&_format=json",
     {"prefer": "handling=strict"}, 200),
    ("3.1.1.4.5 an unknown modifier is refused", "GET", "/Observation?status:above=final", {}, 400),
    ("3.1.1.4.7 a date that is none", "GET", "/Observation?date=sometime", {}, 400),
    ("a cursor that we did not make", "GET", "/Observation?_cursor=AAAA", {}, 400),
    ("a cursor that is no base64", "GET", "/Observation?_cursor=%C3%A9", {}, 400),
    ("a value that is not UTF-8", "GET", "/Observation?status=%FF", {}, 400),
    ("a flood of parameters", "GET", "/Observation?" + "a=1&" * 200, {}, 400),
    ("3.1.0.11 search of all types is not offered", "GET", "?_id=x", {}, 405),
    ("3.1.0.13 history of all types is not offered", "GET", "/_history", {}, 404),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "method", "path", "headers", "status"), STATUS, ids=[row[0] for row in STATUS])
def test_status(
    client: httpx.Client, bearer: Any, rule: str, method: str, path: str, headers: Any, status: int
) -> None:
    answer = client.request(method, BASE + path, headers=bearer() | headers)

    assert answer.status_code == status, rule
    if status >= 400:
        assert answer.headers["content-type"] == "application/fhir+json"
        document = fhir.loads(answer.content)
        assert document["resourceType"] == "OperationOutcome"
        assert fhir.validate(document) == []
    if status == 405:
        assert answer.headers["allow"]
    assert answer.headers["x-content-type-options"] == "nosniff"


ACCESS = [
    # rule, scope of the token (None: no header; text with a blank: the header as it is), method, path, status
    ("RFC 6750 3 no token", None, "GET", "/Observation/o1", 401),
    ("RFC 6750 3 no token, type unknown", None, "GET", "/Elephant", 401),
    ("RFC 6750 3 an unknown token", "Bearer abc", "GET", "/Observation/o1", 401),
    ("RFC 6750 3 two tokens", "bearer abc def", "GET", "/Observation/o1", 401),
    ("RFC 6750 3 a token too long", "Bearer " + "a" * 4000, "GET", "/Observation/o1", 401),
    ("RFC 6750 3 another scheme", "Basic YTpi", "GET", "/Observation/o1", 401),
    ("SMART read covers read", "system/Observation.read", "GET", "/Observation/o1", 200),
    ("SMART read covers search", "system/Observation.read", "GET", "/Observation", 200),
    ("SMART r is not s", "system/Observation.r", "GET", "/Observation", 403),
    ("SMART r is not s, by POST", "system/Observation.r", "POST", "/Observation/_search", 403),
    ("SMART s is not r", "system/Observation.s", "GET", "/Observation/o1", 403),
    ("SMART s covers search", "system/Observation.s", "GET", "/Observation", 200),
    ("SMART another type", "system/Patient.rs", "GET", "/Observation/o1", 403),
    ("SMART another type, id unknown: the same answer", "system/Patient.rs", "GET", "/Observation/none", 403),
    ("SMART all types", "system/*.rs", "GET", "/Patient/OSL-A", 200),
    ("SMART write is not read", "system/*.write", "GET", "/Patient/OSL-A", 403),
    ("SMART all rights", "system/*.*", "GET", "/Patient/OSL-A", 200),
    ("the capabilities are open", None, "GET", "/metadata", 200),
    ("the SMART configuration is open", None, "GET", "/.well-known/smart-configuration", 200),
]


@pytest.mark.parametrize(("rule", "scope", "method", "path", "status"), ACCESS, ids=[row[0] for row in ACCESS])
def test_access(
    client: httpx.Client,
    services: Services,
    bearer: Any,
    rule: str,
    scope: str | None,
    method: str,
    path: str,
    status: int,
) -> None:
    headers = {} if scope is None else {"authorization": scope} if " " in scope else bearer(scope)
    if method == "POST":
        headers["content-type"] = "application/x-www-form-urlencoded"

    answer = client.request(method, BASE + path, headers=headers)

    assert answer.status_code == status, rule
    newest, *_ = services.audit.search(limit=1)  # type: ignore[attr-defined]
    if status in (401, 403):
        assert answer.headers["www-authenticate"].startswith('Bearer realm="osler"')
        assert (newest.event, newest.outcome) == ("access-denied", 8)
        assert "0.930" not in answer.text
        assert "OSL-A" not in answer.text
    if status == 403:
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


SEARCH = [
    # rule, type, query, ids in the order that they must come
    ("newest first by default, no date last", "Observation", "", "o5 o4 o3 o2 o1"),
    ("_sort date", "Observation", "_sort=date", "o1 o2 o3 o4 o5"),
    ("_sort -date", "Observation", "_sort=-date&_count=2", "o5 o4"),
    ("_id", "Observation", "_id=o2", "o2"),
    ("_id OR", "Observation", "_id=o2,o1,none", "o2 o1"),
    ("patient by id", "Observation", "patient=OSL-A", "o4 o2 o1"),
    ("patient by reference", "Observation", "patient=Patient/OSL-B", "o3"),
    ("patient by our URL", "Observation", "patient=http://hub.example/fhir/R4/Patient/OSL-B", "o3"),
    ("patient by another's URL", "Observation", "patient=http://x/fhir/R4/Patient/OSL-B", ""),
    ("subject that is no patient", "Observation", "subject=Device/d1", "o5"),
    ("subject by bare id", "Observation", "subject=d1", "o5"),
    ("patient is no device", "Observation", "patient=d1", ""),
    ("identifier, any system", "Observation", "identifier=L1", "o1"),
    ("identifier, this system", "Observation", "identifier=urn:lab|L1", "o1"),
    ("identifier, another system", "Observation", "identifier=urn:x|L1", ""),
    ("identifier, no system", "Observation", "identifier=|L1", ""),
    ("identifier, all of a system", "Observation", "identifier=urn:lab|&_count=1", "o5"),
    ("identifier with an escaped bar", "Patient", "identifier=A%5C|1", "OSL-A"),
    ("identifier without a system", "Patient", "identifier=|B", "OSL-B"),
    ("status", "Observation", "status=preliminary", "o2"),
    ("status with its system", "Observation", "status=http://hl7.org/fhir/observation-status|preliminary", "o2"),
    ("status OR", "Observation", "status=preliminary,final&_count=3", "o5 o4 o3"),
    ("status AND status", "Observation", "status=preliminary&status=final", ""),
    ("code, any system", "Observation", "code=718-7&patient=OSL-A", "o4 o2 o1"),
    ("code, this system", "Observation", f"code={LOINC}|718-7&patient=OSL-A", "o2 o1"),
    ("code, all of a system", "Observation", "code=urn:own|", "o4"),
    ("date, a day", "Observation", "date=2024-01-02", "o2"),
    ("date, a month", "Observation", "date=2024-01", "o3 o2 o1"),
    ("date, a second", "Observation", "date=2024-02-01T10:00:00Z", "o4"),
    ("date, in another zone", "Observation", "date=2024-02-01T12:00:00%2B02:00", "o4"),
    ("date OR", "Observation", "date=2024-01-01,2024-01-03", "o3 o1"),
    ("date AND", "Observation", "date=ge2024-01-02&date=lt2024-01-03", "o2"),
    ("date ne", "Observation", "date=ne2024-01", "o5 o4"),
    ("date gt", "Observation", "date=gt2024-01-03", "o5 o4"),
    ("date ge", "Observation", "date=ge2024-01-03", "o5 o4 o3"),
    ("date lt", "Observation", "date=lt2024-01-02", "o1"),
    ("date le", "Observation", "date=le2024-01-02", "o2 o1"),
    ("date sa", "Observation", "date=sa2024-02-01", "o5"),
    ("date eb", "Observation", "date=eb2024-01-03", "o2 o1"),
    ("an open period is never before", "Observation", "date=eb2099", "o4 o3 o2 o1"),
    ("started of a study", "ImagingStudy", "started=2024&patient=OSL-A", "i1"),
    ("a study by its UID", "ImagingStudy", "identifier=urn:dicom:uid|urn:oid:2.25.1", "i1"),
    ("target of a provenance", "Provenance", "target=Observation/o1", "v1"),
    ("recorded of a provenance", "Provenance", "recorded=2024-01-01", "v1"),
    ("_lastUpdated", "Device", "_lastUpdated=2023-11-14", "d1"),
    ("_lastUpdated, later", "Device", "_lastUpdated=gt2023-11-15", ""),
    ("unknown is left out when lenient", "Observation", "colour=red&status=preliminary", "o2"),
    ("empty is left out", "Observation", "patient=&status=preliminary", "o2"),
]


@pytest.mark.parametrize("by", ["GET", "POST"])
@pytest.mark.parametrize(("rule", "type_name", "query", "ids"), SEARCH, ids=[row[0] for row in SEARCH])
def test_search(client: httpx.Client, bearer: Any, by: str, rule: str, type_name: str, query: str, ids: str) -> None:
    if by == "GET":
        answer = client.get(f"{BASE}/{type_name}?{query}", headers=bearer())
    else:
        form = bearer() | {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        answer = client.post(f"{BASE}/{type_name}/_search", content=query, headers=form)

    bundle = fhir.loads(answer.content)
    assert answer.status_code == 200
    assert fhir.validate(bundle) == []
    entries = [e for e in bundle.get("entry", []) if e["search"]["mode"] == "match"]
    assert [e["resource"]["id"] for e in entries] == ids.split(), rule
    assert all(e["fullUrl"] == f"http://hub.example/fhir/R4/{type_name}/{e['resource']['id']}" for e in entries)
    if "_count" not in query:
        assert bundle["total"] == len(entries)


def test_get_and_post_are_one_search_with_parameters_in_both_places(client: httpx.Client, bearer: Any) -> None:
    form = bearer() | {"content-type": "application/x-www-form-urlencoded"}

    answer = client.post(f"{BASE}/Observation/_search?patient=OSL-A", content="status=preliminary", headers=form)

    assert [e["resource"]["id"] for e in answer.json()["entry"]] == ["o2"]


def test_the_self_link_says_what_was_understood(client: httpx.Client, bearer: Any) -> None:
    query = "colour=red&status=final&_count=1&_sort=-date&code=http://loinc.org|718-7"

    links = {
        x["relation"]: x["url"] for x in client.get(f"{BASE}/Observation?{query}", headers=bearer()).json()["link"]
    }

    understood = "status=final&_count=1&_sort=-date&code=http%3A%2F%2Floinc.org%7C718-7"
    assert links["self"] == f"http://hub.example/fhir/R4/Observation?{understood}"
    assert links["next"].startswith(links["self"] + "&_cursor=")


def test_pages_follow_their_links_and_end(client: httpx.Client, bearer: Any) -> None:
    headers, seen, url, totals = bearer(), [], f"http://hub.example{BASE}/Observation?_count=2", []
    while url:
        bundle = client.get(url.removeprefix("http://hub.example"), headers=headers).json()
        seen += [e["resource"]["id"] for e in bundle["entry"]]
        totals.append(bundle["total"])
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)

    assert seen == ["o5", "o4", "o3", "o2", "o1"]
    assert totals == [5, 5, 5]


def test_a_cursor_opens_no_other_search(client: httpx.Client, bearer: Any) -> None:
    headers = bearer()
    bundle = client.get(f"{BASE}/Observation?_count=1&patient=OSL-A", headers=headers).json()
    cursor = bundle["link"][1]["url"].rpartition("_cursor=")[2]

    for other in ("Observation?_count=1&patient=OSL-B", "Observation?_count=1", "Patient?_count=1&patient=OSL-A"):
        assert client.get(f"{BASE}/{other}&_cursor={cursor}", headers=headers).status_code == 400
    assert client.get(f"{BASE}/Observation?_count=1&patient=OSL-A&_cursor={cursor}", headers=headers).status_code == 200


def test_count_zero_and_total_none(client: httpx.Client, bearer: Any) -> None:
    counted = client.get(f"{BASE}/Observation?_count=0", headers=bearer()).json()
    uncounted = client.get(f"{BASE}/Observation?_total=none&_count=1", headers=bearer()).json()

    assert (counted["total"], "entry" in counted) == (5, False)
    assert ("total" in uncounted, len(uncounted["entry"])) == (False, 1)


def test_read_gives_the_text_as_stored_with_its_version(client: httpx.Client, bearer: Any) -> None:
    answer = client.get(f"{BASE}/Observation/o1", headers=bearer())

    assert '"value":0.930' in answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["meta"] == {"versionId": "1", "lastUpdated": "2023-11-14T22:13:20.000Z"}


def test_a_read_and_a_search_are_on_record_by_patient(client: httpx.Client, services: Services, bearer: Any) -> None:
    audit: Any = services.audit
    client.get(f"{BASE}/Observation/o3", headers=bearer())
    read, *_ = audit.search(limit=1)
    client.get(f"{BASE}/Observation?identifier=L1,L3", headers=bearer())
    searched = audit.search(limit=2)
    client.get(f"{BASE}/Observation?identifier=nothing", headers=bearer())
    empty, *_ = audit.search(limit=1)
    client.get(f"{BASE}/Observation/none", headers=bearer())
    missed, *_ = audit.search(limit=1)

    assert (read.event, read.patient, read.outcome) == ("resource-read", "OSL-B", 0)
    assert "Observation/o3/_history/1" in json.dumps(read.resource)
    assert {(e.event, e.patient) for e in searched} == {("resource-searched", "OSL-A"), ("resource-searched", "OSL-B")}
    assert (empty.event, empty.patient) == ("resource-searched", None)
    assert "nothing" not in json.dumps(empty.resource), "a value that was asked for may be an identity"
    assert (missed.event, missed.outcome) == ("resource-read", 4)


def test_the_capability_statement_is_valid_and_claims_what_the_table_holds(client: httpx.Client) -> None:
    statement = fhir.loads(client.get(f"{BASE}/metadata").content)

    assert fhir.validate(statement) == []
    claimed = {r["type"]: {p["name"]: p["type"] for p in r["searchParam"]} for r in statement["rest"][0]["resource"]}
    assert claimed == {s.type: {p.name: p.kind for p in s.parameters.values()} for s in SEARCHABLE.values()}
    looking = ["read", "search-type"]
    changing = ["vread", "history-instance", "history-type", "create", "update", "patch", "delete"]
    for resource in statement["rest"][0]["resource"]:
        codes = [i["code"] for i in resource["interaction"]]
        written = [] if resource["type"] == "AuditEvent" else changing
        assert codes == looking + written
        assert resource["conditionalDelete"] == ("single" if written else "not-supported")


def test_the_smart_configuration_names_the_token_endpoint(client: httpx.Client) -> None:
    document = client.get(f"{BASE}/.well-known/smart-configuration").json()

    assert document["token_endpoint"] == "http://hub.example/oauth/token"
    assert document["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert "authorization_endpoint" not in document
