"""Versions of FHIR resources in the ledger, on both databases: next, deleted, past, and within reach or not."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from osler.domain.reach import EVERYTHING, NO_PATIENT, Part, Reach
from osler.errors import Gone, NotFound
from osler.standards import fhir
from osler.storage import Database
from osler.storage.resource_history import HistoryQuery, Position
from osler.storage.resources import ResourceStore
from osler.storage.stored import Stored
from osler.storage.tables import resource_reference, resource_token
from osler.vault import KeyRing

PATIENT = {"resourceType": "Patient", "id": "a", "active": True}
RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
OF_A: Reach = (Part(patient="a"),)
OF_B: Reach = (Part(patient="b"),)
FINAL: Reach = (Part(tokens=(("status", ("code", "final")),), restricted=True),)


def observation(logical_id: str = "o", *, status: str = "final", patient: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": status,
        "code": {"coding": [{"system": "urn:x", "code": "c"}]},
        "subject": {"reference": f"Patient/{patient}"},
    } | more


class Ledger:
    """The store with a clock that goes on by a second at each reading."""

    def __init__(self, database: Database, keyring: KeyRing) -> None:
        self.database = database
        self.now = 1_700_000_000.0
        self.store = ResourceStore(database, sealer=keyring.sealer("record"), index=keyring.index, clock=self.tick)

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def save(self, resource: dict[str, Any], method: str = "PUT") -> Stored:
        def change(connection: Any) -> Stored:
            held = self.store.held(connection, resource["resourceType"], resource["id"])
            return self.store.save(connection, resource, held, method=method)

        return self.database.write(change)

    def delete(self, type_name: str, logical_id: str) -> Stored:
        def change(connection: Any) -> Stored:
            held = self.store.held(connection, type_name, logical_id)
            assert held is not None
            return self.store.delete(connection, held)

        return self.database.write(change)

    def history(self, type_name: str, logical_id: str = "", reach: Reach = EVERYTHING, **how: Any) -> list[str]:
        versions, _ = self.page(HistoryQuery(type_name, logical_id, **how), reach)
        return [f"{v.id}/{v.version} {v.method}" for v in versions]

    def page(self, query: HistoryQuery, reach: Reach = EVERYTHING) -> tuple[list[Stored], Position | None]:
        with self.database.read() as connection:
            return self.store.history(connection, query, reach)

    def version(self, type_name: str, logical_id: str, version: str, reach: Reach = EVERYTHING) -> Stored:
        with self.database.read() as connection:
            return self.store.version(connection, type_name, logical_id, version, reach=reach)


@pytest.fixture
def ledger(database: Database, keyring: KeyRing) -> Ledger:
    return Ledger(database, keyring)


def rows(database: Database, table: Any) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_each_save_is_the_next_version_and_the_past_can_be_read(ledger: Ledger) -> None:
    saved = [
        ledger.save(observation(status=s), m) for s, m in (("final", "POST"), ("amended", "PUT"), ("final", "PATCH"))
    ]

    assert [s.version for s in saved] == [1, 2, 3]
    assert ledger.store.read("Observation", "o") == saved[2]
    assert [ledger.version("Observation", "o", str(n)) for n in (1, 2, 3)] == saved
    assert ledger.history("Observation", "o") == ["o/3 PATCH", "o/2 PUT", "o/1 POST"]
    assert fhir.loads(saved[1].text)["meta"] == {"versionId": "2", "lastUpdated": "2023-11-14T22:13:22.000Z"}


@pytest.mark.parametrize(
    ("moved", "patient", "restricted"),
    [({"patient": "b"}, "b", False), ({"meta": RESTRICTED}, "a", True), ({"status": "amended"}, "a", False)],
)
def test_a_provenance_belongs_where_its_target_does(
    ledger: Ledger, moved: dict[str, Any], patient: str, restricted: bool
) -> None:
    ledger.save(observation())
    told = {"resourceType": "Provenance", "id": "p", "recorded": "2026-01-02T09:00:00Z"}
    ledger.save(told | {"target": [{"reference": "Observation/o/_history/1"}], "agent": [{"who": {"display": "x"}}]})

    ledger.save(observation(**moved))

    held = ledger.store.read("Provenance", "p")
    assert (held.patient, held.restricted, held.version) == (patient, restricted, 1)


@pytest.mark.parametrize("version", ["0", "4", "-1", "01x", "", "9" * 30, "１"])
def test_a_version_that_is_not_there_is_not_found(ledger: Ledger, version: str) -> None:
    ledger.save(observation())

    with pytest.raises(NotFound):
        ledger.version("Observation", "o", version)


def test_what_is_deleted_is_gone_but_its_past_is_not(ledger: Ledger, database: Database) -> None:
    first = ledger.save(observation(), "POST")
    gone = ledger.delete("Observation", "o")

    assert (gone.version, gone.deleted, gone.patient) == (2, True, "a")
    with pytest.raises(Gone):
        ledger.store.read("Observation", "o")
    with pytest.raises(Gone):
        ledger.version("Observation", "o", "2")
    assert ledger.version("Observation", "o", "1") == first
    assert ledger.history("Observation", "o") == ["o/2 DELETE", "o/1 POST"]
    assert (rows(database, resource_token), rows(database, resource_reference)) == (0, 0)


def test_what_was_deleted_can_come_back(ledger: Ledger) -> None:
    ledger.save(observation(), "POST")
    ledger.delete("Observation", "o")
    back = ledger.save(observation(status="amended"))

    assert back.version == 3
    assert ledger.store.read("Observation", "o") == back
    with pytest.raises(Gone):
        ledger.version("Observation", "o", "2")
    assert ledger.history("Observation", "o") == ["o/3 PUT", "o/2 DELETE", "o/1 POST"]


def test_the_hub_puts_back_what_was_deleted_though_the_content_is_the_same(ledger: Ledger, database: Database) -> None:
    ledger.save(observation())
    ledger.delete("Observation", "o")

    assert database.write(lambda connection: ledger.store.put(connection, observation())) == 3
    assert database.write(lambda connection: ledger.store.put(connection, observation())) == 3


def test_current_is_none_when_it_is_deleted(ledger: Ledger, database: Database) -> None:
    ledger.save(observation())
    ledger.delete("Observation", "o")

    with database.read() as connection:
        assert ledger.store.current(connection, "Observation", "o") is None
        held = ledger.store.held(connection, "Observation", "o")
    assert held is not None
    assert held.deleted


READS = [
    # rule, resource, reach, whether it is read
    ("everything", observation(), EVERYTHING, True),
    ("nothing", observation(), (), False),
    ("the patient's", observation(), OF_A, True),
    ("another patient's", observation(), OF_B, False),
    ("one of two parts", observation(), (*OF_B, *OF_A), True),
    ("a patient's compartment has the patient", PATIENT, OF_A, True),
    ("of no patient", {"resourceType": "Device", "id": "d"}, (Part(patient=NO_PATIENT),), True),
    ("of no patient, but it has one", observation(), (Part(patient=NO_PATIENT),), False),
    ("restricted, not within", observation(meta=RESTRICTED), OF_A, False),
    ("restricted, within", observation(meta=RESTRICTED), (Part(patient="a", restricted=True),), True),
    ("a term that it has", observation(), FINAL, True),
    ("a term that it has not", observation(status="amended"), FINAL, False),
    ("two terms, one of them not", observation(),
     (Part(tokens=(("status", ("code", "final")), ("code", ("code", "d")))),), False),
    ("a term with its system", observation(), (Part(tokens=(("code", ("both", "urn:x", "c")),)),), True),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "content", "reach", "visible"), READS, ids=[row[0] for row in READS])
@pytest.mark.parametrize("deleted", [False, True], ids=["there", "deleted"])
def test_reach(ledger: Ledger, rule: str, content: dict[str, Any], reach: Reach, visible: bool, deleted: bool) -> None:
    place = (content["resourceType"], content["id"])
    ledger.save(content)
    if deleted:
        ledger.delete(*place)

    looks: list[Callable[[], Any]] = [
        lambda: ledger.store.read(*place, reach),
        lambda: ledger.version(*place, "1", reach),
    ]
    if visible and deleted:
        with pytest.raises(Gone):
            looks[0]()
        assert looks[1]().version == 1
    elif visible:
        assert [look().version for look in looks] == [1, 1]
    else:
        for look in (*looks, lambda: ledger.history(*place, reach=reach)):
            with pytest.raises(NotFound) as refused:
                look()
            assert not isinstance(refused.value, Gone), "that it was there is not told"
    assert len(ledger.history(place[0], reach=reach)) == (1 + deleted) * visible


def test_the_past_of_what_is_now_out_of_reach_is_out_of_reach(ledger: Ledger) -> None:
    ledger.save(observation())
    ledger.save(observation(meta=RESTRICTED))

    assert ledger.history("Observation", reach=OF_A) == []
    with pytest.raises(NotFound):
        ledger.version("Observation", "o", "1", OF_A)


def test_a_past_that_was_out_of_reach_stays_so(ledger: Ledger) -> None:
    ledger.save(observation(patient="b"))
    ledger.save(observation(patient="a"))
    ledger.save(observation(patient="a", status="amended"))

    assert ledger.history("Observation", "o", reach=OF_A) == ["o/3 PUT", "o/2 PUT"]
    with pytest.raises(NotFound):
        ledger.version("Observation", "o", "1", OF_A)


@pytest.fixture
def four(ledger: Ledger) -> Ledger:
    """Make o/1 at 1, p/1 at 2, o/2 at 3, p/2 (deleted) at 4, o/3 at 5, seconds after the start."""
    ledger.save(observation("o"))
    ledger.save(observation("p"))
    ledger.save(observation("o", status="amended"))
    ledger.delete("Observation", "p")
    ledger.save(observation("o"))
    ledger.save({"resourceType": "Patient", "id": "o"})
    return ledger


START = 1_700_000_000.0
HISTORY = [
    # rule, id, how, versions
    ("type, the latest first", "", {}, "o/3 p/2 o/2 p/1 o/1"),
    ("instance", "o", {}, "o/3 o/2 o/1"),
    ("_since is inclusive", "", {"since": START + 4}, "o/3 p/2"),
    ("_since, instance", "o", {"since": START + 3.5}, "o/3"),
    ("_at a moment", "", {"at": (START + 2, START + 2.5)}, "p/1 o/1"),
    ("_at before all", "", {"at": (START - 9, START - 8)}, ""),
    ("_at the moment of a change", "o", {"at": (START + 3, START + 3.001)}, "o/2"),
    ("_at a time in which one followed another", "o", {"at": (START + 2, START + 6)}, "o/3 o/2 o/1"),
    ("_at now", "", {"at": (START + 99, START + 100)}, "o/3 p/2"),
    ("_at and _since", "o", {"at": (START + 4, START + 9), "since": START + 4}, "o/3"),
]


@pytest.mark.parametrize(("rule", "logical_id", "how", "versions"), HISTORY, ids=[row[0] for row in HISTORY])
@pytest.mark.parametrize("count", [1, 2, 100])
def test_history(four: Ledger, rule: str, logical_id: str, how: Any, versions: str, count: int) -> None:
    seen, after = [], None
    while True:
        query = HistoryQuery("Observation", logical_id, count=count, after=after, **how)
        page, after = four.page(query)
        assert len(page) <= count
        seen += [f"{v.id}/{v.version}" for v in page]
        if after is None:
            break

    assert seen == versions.split(), rule


def test_history_by_a_granular_scope_fills_its_pages(ledger: Ledger) -> None:
    for number in range(12):
        ledger.save(observation(f"o{number:02}", status="final" if number % 5 == 0 else "amended"))

    page, after = ledger.page(HistoryQuery("Observation", count=2), FINAL)
    rest, end = ledger.page(HistoryQuery("Observation", count=2, after=after), FINAL)

    assert [v.id for v in (*page, *rest)] == ["o10", "o05", "o00"]
    assert end is None


def test_pages_of_a_history_are_not_disturbed_by_what_is_written_between_them(four: Ledger) -> None:
    page, after = four.page(HistoryQuery("Observation", count=2))
    four.save(observation("new"))
    four.save(observation("o", status="amended"))
    rest, _ = four.page(HistoryQuery("Observation", count=9, after=after))

    assert [f"{v.id}/{v.version}" for v in (*page, *rest)] == ["o/3", "p/2", "o/2", "p/1", "o/1"]


def test_missing_names_what_is_not_there(ledger: Ledger, database: Database) -> None:
    ledger.save(observation())
    ledger.save(observation("p"))
    ledger.delete("Observation", "p")
    wanted = [("Observation", "o"), ("Observation", "p"), ("Observation", "q"), ("Patient", "o")]

    with database.read() as connection:
        assert ledger.store.missing(connection, wanted) == set(wanted[1:])
        assert ledger.store.missing(connection, []) == set()
