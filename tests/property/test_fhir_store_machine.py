"""The FHIR store agrees with a dictionary under any order of changes."""

import itertools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from osler.domain.reach import EVERYTHING
from osler.errors import Gone, NotFound
from osler.standards import fhir
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.resource_history import HistoryQuery
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

IDS = st.sampled_from(["a", "b", "c"])
STATUS = st.sampled_from(["final", "amended", "preliminary"])
DECIMALS = st.sampled_from(["1.0", "1.00", "1E-22", "-0.930", "7"])


def observation(logical_id: str, status: str, value: str) -> dict[str, Any]:
    number: Any = int(value) if value.isdecimal() else fhir.FhirDecimal(value)
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": status,
        "code": {"text": "x"},
        "valueQuantity": {"value": number},
    }


class Store(RuleBasedStateMachine):
    """Versions of each id in the model: the content, or None for a deletion."""

    create: Callable[[Path], str]
    root: Path
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.folder = self.root / str(next(self.numbers))
        self.folder.mkdir()
        self.database = Database(self.create(self.folder / "osler.db"))
        keys = KeyRing.open(self.database, master_key=bytes(32), tenant="default")
        clock = itertools.count(1_700_000_000)
        sealer = keys.sealer("record")
        self.store = ResourceStore(self.database, sealer=sealer, index=keys.index, clock=lambda: float(next(clock)))
        self.search = ResourceSearch(self.database, sealer=sealer, index=keys.index)
        self.model: dict[str, list[dict[str, Any] | None]] = {}
        self.order: list[tuple[str, int]] = []

    def note(self, logical_id: str, content: dict[str, Any] | None) -> None:
        versions = self.model.setdefault(logical_id, [])
        versions.append(content)
        self.order.append((logical_id, len(versions)))

    @rule(logical_id=IDS, status=STATUS, value=DECIMALS)
    def save(self, logical_id: str, status: str, value: str) -> None:
        content = observation(logical_id, status, value)

        def change(connection: Any) -> int:
            held = self.store.held(connection, "Observation", logical_id)
            return self.store.save(connection, content, held).version

        assert self.database.write(change) == len(self.model.get(logical_id, [])) + 1
        self.note(logical_id, content)

    @rule(logical_id=IDS, status=STATUS, value=DECIMALS)
    def put(self, logical_id: str, status: str, value: str) -> None:
        content = observation(logical_id, status, value)
        versions = self.model.get(logical_id, [])
        version = self.database.write(lambda connection: self.store.put(connection, content))
        if versions and versions[-1] and fhir.dumps(versions[-1]) == fhir.dumps(content):
            assert version == len(versions)
        else:
            self.note(logical_id, content)
            assert version == len(self.model[logical_id])

    @rule(logical_id=IDS)
    def delete(self, logical_id: str) -> None:
        def change(connection: Any) -> bool:
            held = self.store.held(connection, "Observation", logical_id)
            if held is None or held.deleted:
                return False
            self.store.delete(connection, held)
            return True

        versions = self.model.get(logical_id)
        assert self.database.write(change) == bool(versions and versions[-1])
        if versions and versions[-1]:
            self.note(logical_id, None)

    @rule(logical_id=IDS, status=STATUS)
    def change_that_fails(self, logical_id: str, status: str) -> None:
        def change(connection: Any) -> None:
            held = self.store.held(connection, "Observation", logical_id)
            self.store.save(connection, observation(logical_id, status, "7"), held)
            raise NotFound("no")

        with pytest.raises(NotFound):
            self.database.write(change)

    @invariant()
    def reads_are_the_last_versions(self) -> None:
        for logical_id in ("a", "b", "c"):
            versions = self.model.get(logical_id)
            if not versions:
                with pytest.raises(NotFound):
                    self.store.read("Observation", logical_id)
            elif versions[-1] is None:
                with pytest.raises(Gone):
                    self.store.read("Observation", logical_id)
            else:
                found = fhir.loads(self.store.read("Observation", logical_id).text)
                assert found.pop("meta")["versionId"] == str(len(versions))
                assert fhir.dumps(found) == fhir.dumps(versions[-1])

    @invariant()
    def searches_find_what_holds_and_nothing_else(self) -> None:
        for status in ("final", "amended", "preliminary"):
            query = parse_query("Observation", [("status", status)], now=0.0)
            found = {match.id for match in self.search.search(query, lambda *_: EVERYTHING).matches}
            held = {i for i, versions in self.model.items() if versions[-1] and versions[-1]["status"] == status}
            assert found == held

    @invariant()
    def histories_are_all_versions_in_order(self) -> None:
        with self.database.read() as connection:
            found, _ = self.store.history(connection, HistoryQuery("Observation", count=500))
        assert [(v.id, v.version) for v in found] == self.order[::-1]
        for version in found:
            content = self.model[version.id][version.version - 1]
            assert version.deleted == (content is None)
            assert content is None or fhir.loads(version.text)["status"] == content["status"]

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)


def test_the_store_agrees_with_a_dictionary(new_sqlite: Callable[[Path], str]) -> None:
    with tempfile.TemporaryDirectory() as root:
        machine = type("Machine", (Store,), {"create": staticmethod(new_sqlite), "root": Path(root)})
        run_state_machine_as_test(machine, settings=settings(max_examples=15, stateful_step_count=15))
