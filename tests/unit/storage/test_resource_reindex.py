"""The index built anew, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, delete, event, select, text, update

from osler.domain.reach import EVERYTHING, Part
from osler.standards.fhir_json import dumps
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.database import sqlite_url
from osler.storage.migrate import upgrade
from osler.storage.resource_index import index_version
from osler.storage.resource_reindex import AT_ONCE, reindex
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.stored import binding
from osler.storage.tables import resource, resource_index, resource_reference, resource_span, resource_token
from osler.vault import KeyRing

INDEX = (resource_token, resource_span, resource_reference)
RESOURCES = (
    {"resourceType": "Patient", "id": "a", "name": [{"family": "Adler"}], "birthDate": "1970-01-01"},
    *(
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final",
            "code": {"coding": [{"code": "c"}]},
            "subject": {"reference": "Patient/a"},
            "valueQuantity": {"value": number, "code": "mg"},
        }
        for number in range(3)
    ),
)


@pytest.fixture
def keyed(keyring: KeyRing) -> dict[str, Any]:
    return {"sealer": keyring.sealer("record"), "index": keyring.index}


@pytest.fixture
def store(database: Database, keyed: Any) -> ResourceStore:
    made = ResourceStore(database, **keyed)
    database.write(lambda connection: [made.put(connection, each) for each in RESOURCES])
    return made


def rows(database: Database) -> dict[str, set[tuple[Any, ...]]]:
    with database.read() as connection:
        found = {table.name: set(map(tuple, connection.execute(select(table)))) for table in INDEX}
        own = select(resource.c.type, resource.c.id, resource.c.patient, resource.c.date_at, resource.c.present)
        return found | {"resource": set(map(tuple, connection.execute(own)))}


def forget(connection: Connection) -> None:
    for table in (*INDEX, resource_index):
        connection.execute(delete(table))
    connection.execute(update(resource).values(present=0, patient=None, date_at=0.0))


def test_it_is_rebuilt_as_it_was_and_then_left_alone(database: Database, store: ResourceStore, keyed: Any) -> None:
    before = rows(database)
    database.write(forget)
    told: list[tuple[int, int]] = []

    assert reindex(database, **keyed, progress=lambda done, of: told.append((done, of))) == 0

    assert rows(database) == before
    assert told == [(4, 4)]
    assert reindex(database, **keyed, progress=lambda done, of: told.append((done, of))) == 0
    assert len(told) == 1


def test_other_rules_build_it_anew(database: Database, store: ResourceStore, keyed: Any) -> None:
    before = rows(database)
    database.write(lambda c: c.execute(resource_index.insert(), {"id": 1, "version": "older"}))
    database.write(lambda c: c.execute(delete(resource_span)))

    reindex(database, **keyed)

    assert rows(database) == before
    with database.read() as connection:
        assert connection.execute(select(resource_index.c.version)).scalar_one() == index_version()


def many(database: Database, store: ResourceStore, number: int) -> None:
    made = [RESOURCES[1] | {"id": f"n{at}"} for at in range(number)]
    database.write(lambda connection: [store.put(connection, each) for each in made])


def test_it_is_built_in_pieces_so_that_other_writers_have_their_turn(
    database: Database, store: ResourceStore, keyed: Any
) -> None:
    many(database, store, 2 * AT_ONCE)
    before = rows(database)
    database.write(forget)
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)
    told: list[int] = []

    assert reindex(database, **keyed, progress=lambda done, _: told.append(done)) == 0

    assert rows(database) == before
    assert told == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 4]
    assert len(commits) >= 4


class Killed(Exception):
    pass


def killed(*_: int) -> None:
    raise Killed


def test_what_was_broken_off_is_gone_on_with(database: Database, store: ResourceStore, keyed: Any) -> None:
    many(database, store, AT_ONCE)
    before = rows(database)
    database.write(forget)
    with pytest.raises(Killed):
        reindex(database, **keyed, progress=killed)
    assert rows(database) != before
    told: list[int] = []

    assert reindex(database, **keyed, progress=lambda done, _: told.append(done)) == 0

    assert rows(database) == before
    assert told == [4]


def test_what_is_written_meanwhile_is_in_it_once(database: Database, store: ResourceStore, keyed: Any) -> None:
    many(database, store, 2 * AT_ONCE)
    database.write(forget)

    def write(done: int, _: int) -> None:
        other = {"code": {"coding": [{"code": "d"}]}}
        for logical_id in ("n0", "o2"):  # one that is in the index already, one that is not
            changed = RESOURCES[1] | {"id": logical_id, "valueString": str(done)} | other
            del changed["valueQuantity"]
            database.write(lambda connection, changed=changed: store.put(connection, changed))

    reindex(database, **keyed, progress=write)

    was = rows(database)
    database.write(forget)
    reindex(database, **keyed)
    assert rows(database) == was


def test_several_may_build_it_together(database: Database, store: ResourceStore, keyed: Any) -> None:
    many(database, store, 3 * AT_ONCE)
    before = rows(database)
    database.write(forget)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: reindex(database, **keyed), range(4))) == [0] * 4

    assert rows(database) == before


def test_what_belongs_where_others_do_comes_last(database: Database, store: ResourceStore, keyed: Any) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    task = {"resourceType": "Task", "id": "t", "status": "ready", "intent": "order", "meta": {"security": [label]}}
    about = {"for": {"reference": "Patient/a"}}
    told = {"resourceType": "Provenance", "id": "p", "target": [{"reference": "Task/t"}]}
    for made in (task | about, told):
        database.write(lambda connection, made=made: store.put(connection, made))
    database.write(forget)
    database.write(lambda connection: connection.execute(update(resource).values(restricted=False)))

    reindex(database, **keyed)

    kept = store.read("Provenance", "p")
    assert (kept.patient, kept.restricted) == ("a", True)


def test_a_damaged_text_is_left_out_and_the_rest_is_found(database: Database, store: ResourceStore, keyed: Any) -> None:
    spoil = update(resource).where(resource.c.id == "o1").values(sealed=b"damaged")
    database.write(lambda c: c.execute(spoil))

    assert reindex(database, **keyed) == 1
    assert reindex(database, **keyed) == 0

    search: Callable[..., Any] = ResourceSearch(database, **keyed).search
    page = search(parse_query("Observation", [("code", "c")], now=0.0), lambda *_: EVERYTHING)
    assert sorted(match.id for match in page.matches) == ["o0", "o2"]


def test_resources_of_an_older_ledger_are_found_after_the_upgrade(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "old.db"))

    def to_the_last_release(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", "osler.storage:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")

    database.write(to_the_last_release)
    keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
    keyed: Any = {"sealer": keys.sealer("record"), "index": keys.index}
    kept = RESOURCES[1] | {"meta": {"versionId": "1", "lastUpdated": "2024-01-01T00:00:00.000Z"}}
    sealed = keys.sealer("record").seal(dumps(kept).encode(), binding("Observation", "o0", 1))
    row = {"type": "Observation", "id": "o0", "version": 1, "patient": "a", "date_at": 0.0, "updated_at": 0.0}
    insert = text(
        "INSERT INTO resource (type, id, version, patient, date_at, updated_at, sealed)"
        " VALUES (:type, :id, :version, :patient, :date_at, :updated_at, :sealed)"
    )
    database.write(lambda c: c.execute(insert, row | {"sealed": sealed}))

    upgrade(database)
    assert reindex(database, **keyed) == 0

    page = ResourceSearch(database, **keyed).search(
        parse_query("Observation", [("patient", "a"), ("code", "c"), ("value-quantity", "0||mg")], now=0.0),
        lambda *_: (Part("a"),),
    )
    assert [match.id for match in page.matches] == ["o0"]
    database.close()
