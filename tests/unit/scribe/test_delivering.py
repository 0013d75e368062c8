"""Signed notes on their way: each destination alone, each version in order, and never an old one over a new one."""

import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osler.config import Destination
from osler.domain.encounter import Subject
from osler.domain.reach import EVERYTHING
from osler.domain.states import DeliveryState
from osler.errors import Conflict, DeliveryRefused, NotFound, OslerError, PeerUnavailable
from osler.publish.note.ehr import Outgoing
from osler.scribe.capture import Wanted
from osler.scribe.delivering import NoteDeliveries
from osler.scribe.desk import ScribeDesk
from osler.scribe.publishing import Published
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.storage import Database
from scribe_lab import ANN, REFUSED, Lab

DELIVERED, FAILED, PENDING = DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.PENDING


class Receiver:
    """An HL7 v2 receiver on a real socket that answers as it is told, each message on its own connection."""

    def __init__(self) -> None:
        self.code = "AA"
        self.messages: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                content = b""
                while not content.endswith(b"\x1c\r"):
                    content += connection.recv(65536)
                self.messages.append(content.decode())
                control = content.split(b"|")[9].decode()
                head = "MSH|^~\\&|EHR|X|OSLER|Y|20260101||ACK^T02|1|P|2.5.1"
                connection.sendall(f"\x0b{head}\rMSA|{self.code}|{control}\r\x1c\r".encode())


class Door:
    """An EHR that answers as it is told."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.places: list[Mapping[str, str]] = []

    def bring(
        self, note: Published, outgoing: tuple[Outgoing, ...], places: Mapping[str, str]
    ) -> tuple[DeliveryState, str, Mapping[str, str]]:
        """Answer."""
        self.places.append(dict(places))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        state: DeliveryState = answer[0]
        return state, answer[1], answer[2]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def lab(database: Database, tmp_path: Path, receiver: Receiver, door: Door) -> Lab:
    to = Destination(name="lab", kind="hl7v2", address=receiver.address)
    return Lab(database, tmp_path, outside={"receivers": {"lab": to}, "ehrs": {"ehr": door}})


def states(lab: Lab, key: str) -> dict[tuple[str, int], DeliveryState]:
    return {(one.destination, one.version): one.state for one in lab.sent(key)}


def deliver(lab: Lab, most: int = 20) -> None:
    """Deliver all that is due, and what falls due within half an hour."""
    for _ in range(most):
        while lab.deliveries.step():
            pass
        lab.now += 100


def desk_of(lab: Lab) -> ScribeDesk:
    return ScribeDesk(lab.stores, lab.capture, lab.reviewing, lab.signing, lab.means.templates, "soap")


def test_a_note_under_review_is_read_as_a_preliminary_document_that_the_signed_one_supersedes(lab: Lab) -> None:
    lab.put({"resourceType": "Practitioner", "id": "D1", "name": [{"family": "Dale"}]})
    key = lab.capture.create(ANN, Wanted(Subject("P1", "D1"), "soap")).id
    lab.capture.transcript(ANN, key, lab.ear.transcript)
    assert lab.steps.draft()
    desk = desk_of(lab)

    def read(bundle: Resource) -> tuple[Resource, Resource]:
        found = [entry["resource"] for entry in bundle["entry"]]
        composition = found[0]
        (whole,) = [
            one
            for one in found
            if one["resourceType"] == "Provenance"
            and one["target"][0]["reference"] == f"Composition/{composition['id']}"
        ]
        return composition, whole

    bundle = desk.preliminary(ANN, key, "http://hub.test")
    composition, whole = read(bundle)
    assert (composition["resourceType"], composition["status"]) == ("Composition", "preliminary")
    assert [one["code"] for one in composition["meta"]["security"]] == ["AIAST"]
    assert composition["author"][0]["reference"].startswith("Device/")
    assert "attester" not in composition
    assert [one["type"]["coding"][0]["code"] for one in whole["agent"]] == ["author"]
    assert "signature" not in whole
    assert "20 mg" not in fhir.dumps(bundle)  # the gate refused it
    assert "note-read" in lab.events()
    with lab.database.read() as connection:
        assert lab.stores.resources.current(connection, "Composition", composition["id"]) is None

    lab.sign(key)
    final, signed = read(desk.document(ANN, key, "http://hub.test"))
    assert (final["id"], final["status"]) == (composition["id"], "final")
    assert "security" not in final.get("meta", {})
    assert [one["type"]["coding"][0]["code"] for one in signed["agent"]] == ["author", "verifier"]
    with pytest.raises(Conflict, match="signed"):
        desk.preliminary(ANN, key, "http://hub.test")
    with pytest.raises(Conflict, match="practitioner"):
        desk.preliminary(ANN, lab.drafted(), "http://hub.test")


def test_a_signed_note_is_in_the_chart_at_the_receiver_and_at_the_ehr(lab: Lab, receiver: Receiver, door: Door) -> None:
    door.answers = [(DELIVERED, "", {"Composition/x": "Composition/77"})]
    key = lab.drafted()
    refused = lab.note(key)["sections"][0]["statements"][1]
    assert refused["id"] == REFUSED
    lab.sign(key)
    deliver(lab)
    assert set(states(lab, key).values()) == {DELIVERED}
    chart = next(one for one in lab.sent(key) if not one.destination)
    kinds = {name.partition("/")[0] for name in chart.items}
    assert {"Composition", "DocumentReference", "Provenance"} <= kinds
    (message,) = receiver.messages
    assert "MDM^T02" in message
    assert refused["text"] not in message
    with lab.database.read() as connection:
        stored = [lab.stores.resources.current(connection, *name.split("/")) for name in chart.items]
    assert all(refused["text"] not in one.text for one in stored if one)
    assert lab.events().count("note-disclosed") == 2


def test_who_is_away_is_asked_again_and_the_others_are_not_held_up(lab: Lab, receiver: Receiver, door: Door) -> None:
    door.answers = [
        PeerUnavailable("the EHR does not answer"),
        (PENDING, "half", {"Condition/a": "Condition/1"}),
        (DELIVERED, "", {}),
    ]
    receiver.code = "AR"
    key = lab.drafted()
    lab.sign(key)
    while lab.deliveries.step():
        pass
    assert states(lab, key) == {("", 1): DELIVERED, ("ehr", 1): PENDING, ("lab", 1): PENDING}
    assert {one.reason for one in lab.sent(key)} >= {"the EHR does not answer"}
    receiver.code = "AA"
    deliver(lab)
    assert set(states(lab, key).values()) == {DELIVERED}
    assert door.places[2] == {"Condition/a": "Condition/1"}
    first, second = receiver.messages
    assert first.split("|")[9] == second.split("|")[9]  # the same control id: the receiver can tell


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([DeliveryRefused("the EHR does not know the patient")], "the EHR does not know the patient"),
        ([PeerUnavailable("away")] * 3, "away"),
        ([(PENDING, "half", {})] * 3, "half"),
        ([ValueError("Quillfeather")], "ValueError"),
    ],
)
def test_what_cannot_be_delivered_waits_for_a_person(lab: Lab, door: Door, answers: list[Any], reason: str) -> None:
    door.answers = [*answers, (DELIVERED, "", {})]
    key = lab.drafted()
    lab.sign(key)
    deliver(lab)
    one = next(one for one in lab.sent(key) if one.destination == "ehr")
    assert one.state is FAILED
    assert reason in one.reason
    assert "Quillfeather" not in one.reason
    assert "note-delivery-failed" in lab.events()
    desk = desk_of(lab)
    with pytest.raises(NotFound):
        desk.retry_delivery(ANN, lab.open(), one.id)
    desk.retry_delivery(ANN, key, one.id)
    deliver(lab)
    assert set(states(lab, key).values()) == {DELIVERED}


def test_a_failed_version_is_not_sent_after_the_one_that_amends_it(lab: Lab, door: Door) -> None:
    door.answers = [DeliveryRefused("no"), (DELIVERED, "", {})]
    key = lab.drafted()
    lab.sign(key)
    deliver(lab)
    lab.reviewing.edit(ANN, key, 1, "s1", "Cough.")
    lab.sign(key)
    deliver(lab)
    assert (states(lab, key)["ehr", 1], states(lab, key)["ehr", 2]) == (FAILED, DELIVERED)
    failed = next(one for one in lab.sent(key) if one.state is FAILED)
    with pytest.raises(Conflict, match="later version"):
        desk_of(lab).retry_delivery(ANN, key, failed.id)


def test_an_amendment_waits_for_what_it_amends(lab: Lab, door: Door) -> None:
    door.answers = [PeerUnavailable("away"), (DELIVERED, "1", {}), (DELIVERED, "2", {})]
    key = lab.drafted()
    lab.sign(key)
    lab.reviewing.edit(ANN, key, 1, "s1", "Cough.")
    lab.sign(key)
    while lab.deliveries.step():
        pass
    assert (states(lab, key)["ehr", 1], states(lab, key)["ehr", 2]) == (PENDING, PENDING)
    deliver(lab)
    assert set(states(lab, key).values()) == {DELIVERED}


def test_who_lost_the_claim_does_not_undo_what_another_did(lab: Lab, door: Door) -> None:
    class Slow(Door):
        def bring(
            self, note: Published, outgoing: tuple[Outgoing, ...], places: Mapping[str, str]
        ) -> tuple[DeliveryState, str, Mapping[str, str]]:
            lab.now += 301
            while lab.deliveries_of("two").step():
                pass
            raise DeliveryRefused("too late")

    key = lab.drafted()
    lab.sign(key)
    door.answers = [(DELIVERED, "", {})]
    worker = NoteDeliveries(lab.stores, replace(lab.outside, ehrs={"ehr": Slow()}), owner="one", clock=lab.clock)
    while worker.step():
        pass
    assert set(states(lab, key).values()) == {DELIVERED}
    assert "note-delivery-failed" not in lab.events()


def test_a_patient_who_is_not_in_the_chart_any_more_stops_every_delivery(lab: Lab) -> None:
    key = lab.drafted()
    lab.sign(key)
    lab.database.write(
        lambda c: lab.stores.resources.delete(c, lab.stores.resources.find(c, "Patient", "P1", EVERYTHING))
    )
    deliver(lab)
    assert set(states(lab, key).values()) == {FAILED}
    assert {one.reason for one in lab.sent(key)} == {"the patient of the note is not in the chart"}


def test_an_amendment_in_the_chart_keeps_the_history(lab: Lab, door: Door) -> None:
    door.answers = [(DELIVERED, "", {}), (DELIVERED, "", {})]
    key = lab.drafted()
    lab.sign(key)
    deliver(lab)
    lab.reviewing.edit(ANN, key, 1, "s1", "Cough for one week.")
    lab.sign(key)
    deliver(lab)
    desk = desk_of(lab)
    bundle = desk.document(ANN, key, "http://hub.test")
    assert "Cough for one week." in str(bundle)
    first, second = (
        {name for name in one.items if name.startswith("Composition/")} for one in lab.sent(key) if not one.destination
    )
    with lab.database.read() as connection:
        found = [lab.stores.resources.current(connection, *name.split("/")) for name in sorted(first | second)]
    assert all(one is not None for one in found)
    assert any("Cough for one week." in one.text for one in found if one)


def test_there_is_no_document_before_a_signature(lab: Lab) -> None:
    with pytest.raises(OslerError) as refused:
        desk_of(lab).document(ANN, lab.drafted(), "http://hub.test")
    assert refused.value.http_status == 404
