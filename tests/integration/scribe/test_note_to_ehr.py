"""A signed note at an EHR's FHIR server over a line that loses answers: each resource once, an amendment after it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server import FhirServer
from losing_proxy import LosingProxy
from osler.config import load
from osler.domain.states import DeliveryState
from osler.ehr_settings import Ehr
from osler.hub.ehr_delivery import EhrNotes
from osler.ingest.ehr.client_key import make_key, public_jwks
from osler.storage import Database
from scribe_lab import ANN, REFUSED, Lab

PERSON: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:mrn", "value": "M-1"}],
    "name": [{"family": "Amber", "given": ["Ada"]}],
    "birthDate": "1961-04-05",
}


class Peer:
    """The EHR behind its line, and our hub."""

    def __init__(self, new_sqlite: Callable[[Path], str], folder: Path) -> None:
        self.proxy = LosingProxy()
        (folder / "ehr").mkdir()
        self.server = FhirServer(new_sqlite(folder / "ehr.db"), folder / "ehr", base_url=self.proxy.url)
        self.proxy.target = self.server._server.url
        key = make_key(folder / "client.json", "ES384")
        client = self.server.services.clients.add("osler", "system/*.cruds", jwks=json.dumps(public_jwks(key)))
        ehr = Ehr("ehr", f"{self.proxy.url}/fhir/R4", client, key_file=str(folder / "client.json"))
        self.database = Database(new_sqlite(folder / "hub.db"))
        self.lab = Lab(self.database, folder)
        door = EhrNotes(load({}, data_dir=folder / "data"), ehr, self.lab.stores)
        self.lab = Lab(self.database, folder, outside={"ehrs": {"ehr": door}, "max_attempts": 9})
        self.lab.put({**PERSON, "id": "P5"})

    def stop(self) -> None:
        """End."""
        self.server.stop()
        self.proxy.stop()
        self.database.close()

    def signed(self) -> str:
        """Return an encounter whose note has been signed."""
        key = self.lab.open(patient="P5")
        self.lab.capture.transcript(ANN, key, self.lab.ear.transcript)
        assert self.lab.steps.draft()
        self.lab.sign(key)
        return key

    def deliver(self) -> None:
        """Deliver whatever falls due."""
        for _ in range(12):
            while self.lab.deliveries.step():
                pass
            self.lab.now += 700

    def at_ehr(self, key: str) -> tuple[DeliveryState, str]:
        """Return how the last version stands at the EHR."""
        one = [sent for sent in self.lab.sent(key) if sent.destination == "ehr"][-1]
        return one.state, one.reason

    def count(self, kind: str, patient: str) -> int:
        """Return how many resources of a kind the EHR has of a patient."""
        answer = self.server.call("GET", f"/{kind}?patient={patient}&_summary=count")
        total: int = answer.json()["total"]
        return total


@pytest.fixture
def peer(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[Peer]:
    made = Peer(new_sqlite, tmp_path)
    yield made
    made.stop()


def test_a_note_arrives_once_over_a_line_that_loses_answers(peer: Peer) -> None:
    patient = peer.server.create(PERSON)
    peer.proxy.rule = lambda method, path, count: "lose" if method in ("POST", "PUT") and count == 2 else "pass"
    key = peer.signed()
    peer.deliver()
    assert peer.at_ehr(key) == (DeliveryState.DELIVERED, "")
    assert peer.count("Composition", patient) == 1
    found = peer.server.call("GET", f"/Composition?patient={patient}").json()
    refused = next(s for s in peer.lab.note(key)["sections"][0]["statements"] if s["id"] == REFUSED)
    assert "cough for three days" in str(found)
    assert refused["text"] not in str(found)

    peer.lab.reviewing.edit(ANN, key, 1, "s1", "Cough for one week.")
    peer.lab.sign(key)
    peer.deliver()
    assert peer.at_ehr(key) == (DeliveryState.DELIVERED, "")
    assert "Cough for one week." in str(peer.server.call("GET", f"/Composition?patient={patient}").json())
    assert peer.lab.events().count("note-disclosed") == 2


def test_an_ehr_that_does_not_know_the_patient_gets_nothing(peer: Peer) -> None:
    key = peer.signed()
    peer.deliver()
    state, reason = peer.at_ehr(key)
    assert state is DeliveryState.FAILED
    assert reason
    assert "Amber" not in reason
    assert not [path for path in peer.proxy.posted() if path != "token"]


def test_an_ehr_that_is_away_gets_it_when_it_is_back(peer: Peer) -> None:
    peer.server.create(PERSON)
    peer.proxy.rule = lambda method, path, count: "drop"
    key = peer.signed()
    while peer.lab.deliveries.step():
        pass
    assert peer.at_ehr(key)[0] is DeliveryState.PENDING
    peer.proxy.reset()
    peer.deliver()
    assert peer.at_ehr(key) == (DeliveryState.DELIVERED, "")
