"""The order of a search by what resources say, and how much is opened for one answer: on both databases."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fhir_server import FhirServer
from osler.domain.reach import EVERYTHING, Part, Reach
from osler.errors import Malformed, TooCostly
from osler.standards import fhir
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.resource_search import Page, ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

LONG = "Wolfeschlegelsteinhausenbergerdorff"


def patient(logical_id: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": logical_id, "name": [{"family": name} for name in names]} | more


def observation(logical_id: str, code: str, value: str, **more: Any) -> dict[str, Any]:
    system, _, code = code.rpartition("|")
    quantity = {"value": fhir.FhirDecimal(value or "0"), "code": "mg", "system": "urn:u"}
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"coding": [{"code": code} | ({"system": system} if system else {})]},
        **({"valueQuantity": quantity} if value else {}),
    } | more


def risk(logical_id: str, probability: str = "") -> dict[str, Any]:
    prediction = {"prediction": [{"probabilityDecimal": fhir.FhirDecimal(probability)}]} if probability else {}
    return {"resourceType": "RiskAssessment", "id": logical_id, "status": "final"} | prediction


RESOURCES: list[dict[str, Any]] = [
    patient("p1", "éclair", gender="male", birthDate="1970-01-01", meta={"source": "urn:b"}),
    patient("p2", "Ebert", "Zorn", gender="female", birthDate="1970-01-01", meta={"source": "urn:a"}),
    patient("p3", "adam", gender="female", deceasedDateTime="2020-01-01"),
    patient("p4", LONG, birthDate="1950", deceasedDateTime="2019-01-01"),
    {"resourceType": "Patient", "id": "p5", "active": True},
    observation("o1", "urn:a|b", "10", subject={"reference": "Patient/p2"}, effectiveDateTime="2024-01-02"),
    observation("o2", "urn:b|a", "9.5", subject={"reference": "Patient/p1"}, effectiveDateTime="2024-01-01"),
    observation("o3", "urn:a|A", "-2e1", subject={"reference": "Group/g"}, effectiveDateTime="2024-01-02"),
    observation("o4", "c", "", subject={"reference": "http://x.org/Patient/p"}, effectiveDateTime="2024-01-03"),
    observation("o5", "urn:a|b", "1E2"),
    risk("r1", "0.5"), risk("r2", "0.25"), risk("r3", "1e-3"), risk("r4"),
    *({"resourceType": "Organization", "id": f"g{n}", "name": f"{LONG} {n}"} for n in range(4)),
]  # fmt: skip

Search = Callable[..., Page]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int], ResourceSearch]]:
    if request.param == "sqlite":
        url = request.getfixturevalue("new_sqlite")(tmp_path_factory.mktemp("sort") / "osler.db")
    else:
        url = request.getfixturevalue("new_postgresql")()
    database = Database(url)
    keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
    keyed: Any = {"sealer": keys.sealer("record"), "index": keys.index}
    store = ResourceStore(database, **keyed)
    database.write(lambda connection: [store.put(connection, each) for each in RESOURCES])

    yield lambda most: ResourceSearch(database, **keyed, most_opened=most)
    database.close()


@pytest.fixture
def search(opened: Callable[[int], ResourceSearch]) -> Search:
    def run(type_name: str, query: str, most: int = 5000, reach: Reach = EVERYTHING) -> Page:
        asked = parse_query(type_name, parse_qsl(query), now=0.0, strict=True)
        return opened(most).search(asked, lambda *_: reach)

    return run


ROWS: list[tuple[str, str, str, str]] = [
    ("string: without case and accents", "Patient", "family", "p3 p2 p1 p4 p5"),
    ("string: the highest of several when it descends", "Patient", "-family", "p2 p4 p1 p3 p5"),
    ("string: any part of a name", "Patient", "name", "p3 p2 p1 p4 p5"),
    ("token: code, then system, without case", "Observation", "code", "o3 o2 o1 o5 o4"),
    ("token: descending", "Observation", "-code", "o4 o5 o1 o2 o3"),
    ("token: a code of the standard", "Patient", "gender", "p2 p3 p1 p4 p5"),
    ("token: none comes last either way", "Patient", "-gender,_id", "p1 p2 p3 p4 p5"),
    ("token: said or not", "Patient", "-deceased,_id", "p3 p4 p1 p2 p5"),
    ("reference", "Observation", "subject", "o3 o2 o1 o4 o5"),
    ("reference: descending", "Observation", "-subject", "o4 o1 o2 o3 o5"),
    ("reference: of one type alone", "Observation", "patient", "o2 o1 o4 o3 o5"),
    ("quantity: by its number", "Observation", "value-quantity", "o3 o2 o1 o5 o4"),
    ("quantity: descending", "Observation", "-value-quantity", "o5 o1 o2 o3 o4"),
    ("quantity: stored under others", "Observation", "combo-value-quantity", "o3 o2 o1 o5 o4"),
    ("number", "RiskAssessment", "probability", "r3 r2 r1 r4"),
    ("number: descending", "RiskAssessment", "-probability", "r1 r2 r3 r4"),
    ("uri", "Patient", "_source", "p2 p1 p3 p4 p5"),
    ("a date that is not the one of the type", "Patient", "death-date", "p4 p3 p1 p2 p5"),
    ("a date of the type, then a value", "Patient", "-birthdate,family", "p2 p1 p4 p3 p5"),
    ("a value, then the date of the type", "Observation", "code,-date", "o3 o2 o1 o5 o4"),
    ("two values, against each other", "Patient", "gender,-family", "p2 p3 p1 p4 p5"),
    ("equal ones: by id, in the last direction", "Observation", "-status", "o5 o4 o3 o2 o1"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "type_name", "sort", "wanted"), ROWS, ids=[row[0] for row in ROWS])
@pytest.mark.parametrize("count", [1, 2, 100])
def test_sorts_by_value(search: Search, rule: str, type_name: str, sort: str, wanted: str, count: int) -> None:
    seen: list[str] = []
    cursor, totals = "", set()
    while True:
        page = search(type_name, f"_sort={sort}&_count={count}{cursor}")
        seen += [match.id for match in page.matches]
        totals.add(page.total)
        if not page.cursor:
            break
        assert len(page.matches) == count
        cursor = f"&_cursor={page.cursor}"

    assert (" ".join(seen), totals) == (wanted, {len(wanted.split())})


def test_sorts_what_else_is_asked_for_and_within_reach(search: Search) -> None:
    assert [m.id for m in search("Patient", "_sort=family&gender=female").matches] == ["p3", "p2"]
    assert [m.id for m in search("Patient", "_sort=-family&gender=male,female&_total=none").matches] == [
        "p2",
        "p1",
        "p3",
    ]
    reach = (Part("p1", restricted=True), Part("p2"))
    page = search("Observation", "_sort=value-quantity", reach=reach)
    assert ([m.id for m in page.matches], page.total) == (["o2", "o1"], 2)


def test_a_cursor_belongs_to_its_order(search: Search) -> None:
    cursor = search("Patient", "_sort=family&_count=2").cursor

    for query in ("_sort=-family", "_sort=name", "_sort=family,_id", ""):
        with pytest.raises(Malformed, match="cursor"):
            search("Patient", f"{query}&_count=2&_cursor={cursor}")


def test_more_than_can_be_sorted_are_refused(search: Search) -> None:
    assert len(search("Patient", "_sort=family", most=5).matches) == 5
    with pytest.raises(TooCostly, match="more than 4 resources"):
        search("Patient", "_sort=family&_count=1", most=4)
    assert len(search("Patient", "_sort=family&gender=female", most=2).matches) == 2
    assert len(search("Patient", "_sort=birthdate", most=1).matches) == 5, "the index is in this order"
    assert search("Patient", "_sort=family&_summary=count", most=1).total == 5, "nothing is sorted"


# ------------------------------------------------------------------------------------ what is compared in clear


START = LONG[:24].lower()  # the index knows no more of a start


@pytest.mark.parametrize("text", [f"name={START}x", "name:contains=wolfeschlegelsteinhausenbergerdorff 02"])
def test_what_is_compared_in_clear_is_bounded(search: Search, text: str) -> None:
    none = search("Organization", text, most=5)
    assert (none.matches, none.total) == ((), 0)
    counted = search("Organization", f"{text}&_count=0&_total=accurate", most=4)
    assert counted.total == 0
    for query in ("_count=1", "_count=100", "_count=0&_total=accurate", "_summary=count", "_sort=name"):
        with pytest.raises(TooCostly, match=r"too many resources|more than 3 resources"):
            search("Organization", f"{text}&{query}", most=3)


def test_a_page_that_is_full_is_given_whatever_comes_after_it(search: Search) -> None:
    page = search("Organization", f"name={LONG}&_count=2", most=3)
    assert ([m.id for m in page.matches], page.total) == (["g3", "g2"], None)
    page = search("Organization", f"name={LONG}&_count=2&_cursor={page.cursor}", most=3)
    assert ([m.id for m in page.matches], page.cursor) == (["g1", "g0"], "")


def test_a_longer_text_among_shorter_ones(search: Search) -> None:
    found = search("Patient", f"family=adam,{LONG},ebert&_sort=_id&_total=accurate")

    assert ([m.id for m in found.matches], found.total) == (["p2", "p3", "p4"], 3)


# ------------------------------------------------------------------------------------------------------ over HTTP


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("server")
    url = new_sqlite(folder / "osler.db")
    database = Database(url)
    keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
    bounded = ResourceSearch(database, sealer=keys.sealer("record"), index=keys.index, most_opened=3)
    running = FhirServer(url, folder, search=bounded)
    for each in RESOURCES:
        if each["resourceType"] in ("Patient", "RiskAssessment"):
            running.call("PUT", f"/{each['resourceType']}/{each['id']}", fhir.dumps(each))
    yield running
    running.stop()
    database.close()


def test_the_answer_says_how_it_is_sorted(server: FhirServer) -> None:
    page = server.call("GET", "/Patient?gender=male,female&_sort=-family&_count=2").json()

    links = {link["relation"]: link["url"] for link in page["link"]}
    assert links["self"].endswith("/Patient?gender=male%2Cfemale&_sort=-family&_count=2")
    assert [e["resource"]["id"] for e in page["entry"]] == ["p2", "p1"]
    rest = server.call("GET", links["next"].partition("/fhir/R4")[2]).json()
    assert ([e["resource"]["id"] for e in rest["entry"]], page["total"], rest["total"]) == (["p3"], 3, 3)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_too_costly_is_refused_in_words(server: FhirServer, method: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    given = ("/Patient?_sort=family", None, {}) if method == "GET" else ("/Patient/_search", "_sort=family", form)
    refused = server.call(method, *given)

    assert refused.status_code == 422
    (issue,) = refused.json()["issue"]
    assert (issue["severity"], issue["code"]) == ("error", "too-costly")
    assert "more than 3 resources" in issue["diagnostics"]


def test_the_audit_log_is_not_sorted_by_what_its_entries_say(server: FhirServer) -> None:
    lenient = server.call("GET", "/AuditEvent?_sort=agent-name&_count=1").json()

    assert lenient["link"][0]["url"].endswith("/AuditEvent?_count=1")
    assert lenient["entry"][-1]["search"]["mode"] == "outcome"
    strict = server.call("GET", "/AuditEvent?_sort=agent-name", headers={"prefer": "handling=strict"})
    assert strict.status_code == 400


def test_a_search_that_is_too_costly_does_not_undo_a_transaction(server: FhirServer) -> None:
    made = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "GET", "url": "Patient?_sort=family"}},
        {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient"}},
    ]}  # fmt: skip
    answer = server.call("POST", "", made).json()

    assert [e["response"]["status"][:3] for e in answer["entry"]] == ["422", "201"]
    assert answer["entry"][0]["response"]["outcome"]["issue"][0]["code"] == "too-costly"
    assert server.call("POST", "", made | {"entry": made["entry"][:1]}).status_code == 422
