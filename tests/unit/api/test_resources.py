"""FHIR resources in the ledger, on both databases."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from osler.domain.reach import EVERYTHING
from osler.errors import IntegrityError, NotFound
from osler.standards import fhir
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.resource_search import Page, ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.tables import resource, resource_history, resource_reference, resource_span, resource_token
from osler.vault import KeyRing

PATIENT = {
    "resourceType": "Patient",
    "id": "osl-a",
    "identifier": [{"system": "urn:mrn", "value": "CANARY"}],
    "name": [{"family": "CANARY"}],
    "telecom": [{"system": "email", "value": "CANARY@example.org"}],
    "address": [{"line": ["CANARY 1"], "city": "CANARY"}],
    "managingOrganization": {"reference": "http://elsewhere/Organization/CANARY", "identifier": {"value": "CANARY"}},
    "meta": {"source": "urn:CANARY", "tag": [{"code": "CANARY"}], "profile": ["http://CANARY|1"]},
    "birthDate": "1970-01-01",
}


def observation(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"security": [{"code": "AIAST"}]},
        "status": "preliminary",
        "code": {"coding": [{"code": "c"}]},
        "subject": {"reference": "Patient/osl-a"},
        "effectiveDateTime": "2024-01-01",
        "valueQuantity": {"value": fhir.FhirDecimal("0.930")},
    } | changes


@pytest.fixture
def store(database: Database, keyring: KeyRing) -> ResourceStore:
    return ResourceStore(
        database, sealer=keyring.sealer("record"), index=keyring.index, clock=lambda: 1_700_000_000.1234
    )


@pytest.fixture
def put(database: Database, store: ResourceStore) -> Callable[..., int]:
    def run(content: dict[str, Any]) -> int:
        return database.write(lambda connection: store.put(connection, content))

    return run


Found = Callable[..., Page]


@pytest.fixture
def found(database: Database, keyring: KeyRing) -> Found:
    search = ResourceSearch(database, sealer=keyring.sealer("record"), index=keyring.index)
    return lambda type_name, *pairs: search.search(parse_query(type_name, pairs, now=0.0), lambda *_: EVERYTHING)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_what_is_put_is_read_with_its_stamps(store: ResourceStore, put: Any) -> None:
    assert put(observation(1)) == 1

    stored = store.read("Observation", "o1")

    assert (stored.version, stored.updated_at, stored.patient) == (1, 1_700_000_000.123, "osl-a")
    document = fhir.loads(stored.text)
    assert document["meta"] == {
        "security": [{"code": "AIAST"}],
        "versionId": "1",
        "lastUpdated": "2023-11-14T22:13:20.123Z",
    }
    assert '"value":0.930' in stored.text
    assert fhir.validate(document) == []


def test_the_same_content_again_is_no_new_version(database: Database, put: Any) -> None:
    put(observation(1))
    reordered = dict(reversed(observation(1).items()))
    stamped = observation(
        1, meta={"versionId": "9", "lastUpdated": "2001-01-01T00:00:00Z", "security": [{"code": "AIAST"}]}
    )

    assert [put(content) for content in (observation(1), reordered, stamped)] == [1, 1, 1]
    assert (count(database, resource), count(database, resource_history)) == (1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "final"},
        {"valueQuantity": {"value": fhir.FhirDecimal("0.93")}},
        {"meta": {}},
        {"subject": {"reference": "Patient/osl-b"}},
        {"effectiveDateTime": "2024-01-02"},
    ],
)
def test_another_content_is_a_new_version_and_the_old_one_is_kept_but_not_found(
    database: Database, store: ResourceStore, put: Any, found: Found, changes: dict[str, Any]
) -> None:
    put(observation(1))
    rows = count(database, resource_token)

    assert put(observation(1, **changes)) == 2

    assert store.read("Observation", "o1").version == 2
    assert (count(database, resource), count(database, resource_history)) == (1, 1)
    assert count(database, resource_token) == rows - 2 * ("meta" in changes), "its label was two terms"
    assert [m.version for m in found("Observation").matches] == [2]
    assert found("Observation", ("_id", "o1")).total == 1


def test_an_old_value_finds_nothing_once_it_has_changed(put: Any, found: Found) -> None:
    put(observation(1))
    put(observation(1, status="final", effectiveDateTime="2025-01-01"))

    assert found("Observation", ("status", "preliminary")).total == 0
    assert found("Observation", ("date", "2024")).total == 0
    assert found("Observation", ("status", "final"), ("date", "2025")).total == 1


def test_a_change_that_fails_leaves_nothing(database: Database, store: ResourceStore) -> None:
    def change(connection: Any) -> None:
        store.put(connection, observation(1))
        raise NotFound("x")

    with pytest.raises(NotFound):
        database.write(change)

    with pytest.raises(NotFound):
        store.read("Observation", "o1")
    assert count(database, resource_token) == 0


def test_nothing_of_the_patient_stands_in_the_tables_in_clear(database: Database, put: Any) -> None:
    put(PATIENT)
    put(PATIENT | {"gender": "female"})

    with database.read() as connection:
        for table in (resource, resource_history, resource_token, resource_span, resource_reference):
            rows = connection.execute(select(table)).all()
            assert rows
            assert "canary" not in str(rows).lower()


def test_a_text_that_stands_in_anothers_place_is_damage(
    database: Database, store: ResourceStore, put: Any, found: Found
) -> None:
    put(observation(1))
    put(observation(2))
    with database.read() as connection:
        other = connection.execute(select(resource.c.sealed).where(resource.c.id == "o2")).scalar_one()
    database.write(lambda c: c.execute(resource.update().where(resource.c.id == "o1").values(sealed=other)))

    with pytest.raises(IntegrityError):
        store.read("Observation", "o1")
    with pytest.raises(IntegrityError):
        found("Observation", ("_id", "o1"))


def test_a_match_for_two_alternatives_comes_once(put: Any, found: Found) -> None:
    put(observation(1, identifier=[{"value": "a"}, {"value": "b"}]))

    page = found("Observation", ("identifier", "a,b"))

    assert (len(page.matches), page.total) == (1, 1)


def test_sorting_by_update_holds_with_conditions(database: Database, keyring: KeyRing, found: Found) -> None:
    now = 1_700_000_000.0
    store = ResourceStore(database, sealer=keyring.sealer("record"), index=keyring.index, clock=lambda: now)
    for number in (3, 1, 2):
        now += 1
        database.write(lambda c, n=number: store.put(c, observation(n, effectiveDateTime=f"2024-01-0{n}")))

    def ids(*pairs: tuple[str, str]) -> str:
        return " ".join(m.id for m in found("Observation", *pairs).matches)

    assert ids(("_sort", "_lastUpdated")) == "o3 o1 o2"
    assert ids(("_sort", "-_lastUpdated"), ("patient", "osl-a")) == "o2 o1 o3"
    assert ids(("_sort", "-_lastUpdated"), ("date", "ge2024-01-02")) == "o2 o3"
    assert ids(("_sort", "date")) == "o1 o2 o3"
