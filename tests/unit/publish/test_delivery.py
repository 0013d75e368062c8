from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, select, update

from osler.config import Config, Destination
from osler.domain.events import Delivery, Recorded
from osler.domain.identifiers import Identity, PseudonymKind
from osler.domain.states import DeliveryState
from osler.errors import IntegrityError, NotFound, StorageBusy
from osler.ingest.mllp import MllpListener
from osler.models.cxr.pixels import read_grey
from osler.publish import overlay
from osler.publish.alert import Alert
from osler.publish.delivery import Means, Publisher
from osler.publish.fhir import report_id as report_of
from osler.publish.ids import logical_id
from osler.publish.outbox import Entry, Listed, Outbox, send_anew
from osler.publish.reidentify import Reidentifier
from osler.standards import fhir
from osler.standards.hl7v2 import parse
from osler.storage.orders import merge
from osler.storage.resources import ResourceStore, Stored
from osler.storage.tables import alert, study
from osler.testing import FakeClock
from osler.testing.ledger import Ledger
from osler.testing.peers import Pacs, Pager
from osler.testing.results import radiograph


@dataclass
class Notes:
    """A witness that remembers, and that can fail like a full disk."""

    said: list[tuple[str, str]] = field(default_factory=list)
    failing: int = 0

    def delivered(self, connection: Connection, entry: Entry, delivery: Delivery, patient: str) -> None:
        if self.failing:
            self.failing -= 1
            raise StorageBusy("the audit cannot be written now")
        assert patient.startswith("OSL-")
        self.said.append(("delivered", entry.kind))

    def failed(self, connection: Connection, entry: Entry, state: DeliveryState, reason: str) -> None:
        self.said.append((state.value, entry.kind))

    def escalated(self, connection: Connection, alert: Alert, patient: str) -> None:
        self.said.append(("escalated", str(alert.level)))

    def acknowledged(self, connection: Connection, alert: Alert, patient: str) -> None:
        self.said.append(("acknowledged", alert.acknowledged_by or ""))


@dataclass
class Site:
    """A publisher with a PACS, a pager and a FHIR store."""

    ledger: Ledger
    means: Means
    publisher: Publisher
    outbox: Outbox
    resources: ResourceStore
    notes: Notes
    clock: FakeClock
    pacs: Pacs
    pager: Pager
    statuses: list[int]
    config: Config

    def send_to(self, *destinations: Destination) -> None:
        """Put other destinations in place of those that are there."""
        self.config = replace(self.config, destinations=destinations)
        self.publisher = Publisher(self.means, self.config, witness=self.notes, owner="hub/1", clock=self.clock)

    def run(self, *kinds: str) -> None:
        while self.publisher.step(kinds):
            pass

    def row(self, kind: str) -> Listed:
        return next(r for r in self.outbox.entries() if r.kind == kind)


@pytest.fixture
def site(tmp_path: Path, ledger: Ledger, make_config: Callable[..., Config]) -> Iterator[Site]:
    statuses = [0x0000]
    pacs = Pacs(tmp_path / "pacs", answer=lambda: statuses[0])
    pager = Pager("s")
    clock = FakeClock(1_767_346_300.0)
    config = make_config(
        Destination("pacs", "dicom", address=pacs.address, ae_title="PACS"),
        Destination("pager", "webhook", url=pager.url, secret="s", when="critical"),
        publish__secondary_capture=True,
        alert__escalate_s=60.0,
        alert__max_escalations=2,
    )
    outbox = Outbox(ledger.database, clock=clock, backoff_s=5.0, max_attempts=3, lease_s=60.0)
    resources = ResourceStore(
        ledger.database, sealer=ledger.keyring.sealer("record"), index=ledger.keyring.index, clock=clock
    )
    means = Means(
        database=ledger.database,
        outbox=outbox,
        reidentifier=Reidentifier(ledger.database, ledger, ledger.identified.get),
        put=resources.put,
        held=lambda connection, kind, logical_id: _opened(resources.current(connection, kind, logical_id)),
        lookup=ledger.lookup,
        heatmap=ledger.deidentified.get,
        render=read_grey,
        card=lambda model: None,
    )
    notes = Notes()
    publisher = Publisher(means, config, witness=notes, owner="hub/1", clock=clock)
    yield Site(ledger, means, publisher, outbox, resources, notes, clock, pacs, pager, statuses, config)
    pacs.stop()
    pager.stop()


def _opened(stored: Stored | None) -> dict | None:
    return None if stored is None else fhir.loads(stored.text)


@pytest.fixture
def recorded(site: Site, record: Callable[..., Recorded]) -> Recorded:
    heatmap = site.ledger.deidentified.put(overlay.png(overlay.picture(np.ones((7, 7), np.float32))))
    return record(radiograph(), config=site.config, now=site.clock.now, heatmap=heatmap)


def test_everything_reaches_its_place(site: Site, recorded: Recorded) -> None:
    site.run()

    assert [r.state for r in site.outbox.entries()] == [DeliveryState.DELIVERED] * 4
    assert sorted(site.pacs.received) == sorted([site.row("sr").reference, site.row("sc").reference])
    (message,) = site.pager.messages
    assert message.signed
    report = site.resources.read(*str(site.row("fhir").reference).split("/"))
    assert '"status":"preliminary"' in report.text
    assert message.body["report"] == site.row("fhir").reference
    assert sorted(site.notes.said) == [("delivered", kind) for kind in ("alert", "fhir", "sc", "sr")]
    assert site.publisher.step() is False


def test_what_a_person_has_confirmed_no_model_takes_back(site: Site, recorded: Recorded) -> None:
    report_id = report_of(recorded.inference)
    confirmed = {"resourceType": "DiagnosticReport", "id": report_id, "status": "final", "code": {"text": "x"}}
    site.ledger.database.write(lambda c: site.resources.put(c, confirmed))

    site.run("fhir")

    assert site.row("fhir").state is DeliveryState.DELIVERED
    assert "a person has confirmed" in str(site.row("fhir").reason)
    assert '"status":"final"' in site.resources.read("DiagnosticReport", report_id).text


def test_a_busy_pacs_holds_up_nothing_else(site: Site, recorded: Recorded) -> None:
    site.statuses[0] = 0xA700

    site.run()

    assert site.row("sr").state is DeliveryState.PENDING
    assert "A700" in str(site.row("sr").reason)
    assert {site.row(k).state for k in ("fhir", "alert")} == {DeliveryState.DELIVERED}

    site.statuses[0] = 0x0000
    site.clock.advance(5.0)
    site.run()

    assert site.row("sr").state is DeliveryState.DELIVERED
    assert site.row("sr").attempts == 2
    assert len(site.pacs.received) == 2


def test_a_warning_is_told_from_a_failure(site: Site, recorded: Recorded) -> None:
    site.statuses[0] = 0xB000

    site.run()

    assert (site.row("sr").state, site.row("sr").reason) == (DeliveryState.DELIVERED, "status B000")


def test_a_refusal_waits_for_a_person(site: Site, recorded: Recorded) -> None:
    site.statuses[0] = 0xC000

    site.run()

    assert site.row("sr").state is DeliveryState.FAILED
    assert ("failed", "sr") in site.notes.said
    site.statuses[0] = 0x0000
    site.ledger.database.write(lambda c: site.outbox.again(c, site.row("sr").id))
    site.run()
    assert site.row("sr").state is DeliveryState.DELIVERED


def test_attempts_come_to_an_end(site: Site, recorded: Recorded) -> None:
    site.statuses[0] = 0xA700
    for _ in range(4):
        site.run("sr")
        site.clock.advance(600)

    assert (site.row("sr").state, site.row("sr").attempts) == (DeliveryState.FAILED, 3)


def test_what_was_sent_but_not_noted_is_sent_again_as_the_same(site: Site, recorded: Recorded) -> None:
    site.notes.failing = 1
    site.run("sr")
    (first,) = site.pacs.folder.glob("*.dcm")
    before = first.read_bytes()
    assert site.row("sr").state is DeliveryState.PENDING

    site.clock.advance(5.0)
    site.run("sr")

    (second,) = site.pacs.folder.glob("*.dcm")
    assert len(site.pacs.received) == 2
    assert second.read_bytes() == before
    assert site.row("sr").state is DeliveryState.DELIVERED


def test_a_message_sent_twice_is_known_by_its_key(site: Site, recorded: Recorded) -> None:
    site.notes.failing = 1
    site.run("alert")
    site.clock.advance(5.0)
    site.run("alert")

    first, second = site.pager.messages
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_a_resource_written_again_has_no_new_version(site: Site, recorded: Recorded) -> None:
    site.notes.failing = 1
    site.run("fhir")
    assert site.row("fhir").state is DeliveryState.PENDING
    site.clock.advance(5.0)
    site.run("fhir")

    assert site.resources.read(*str(site.row("fhir").reference).split("/")).version == 1


def test_nothing_is_kept_of_a_result_whose_audit_fails(site: Site, recorded: Recorded) -> None:
    site.notes.failing = 1

    site.run("fhir")

    with pytest.raises(NotFound):
        site.resources.read("Patient", _patient(site).lower())


def test_the_wrong_patient_stops_it_and_nothing_is_sent(site: Site, recorded: Recorded) -> None:
    row = update(study).values(patient_lookup=b"another")
    site.ledger.database.write(lambda c: c.execute(row))

    for _ in ("fhir", "sr", "sc"):
        with pytest.raises(IntegrityError):
            site.run("fhir", "sr", "sc")

    assert site.pacs.received == []
    assert {site.row(k).state for k in ("fhir", "sr", "sc")} == {DeliveryState.FAILED}
    site.run("fhir", "sr", "sc")


def test_a_destination_that_is_gone_waits_for_a_person(
    site: Site, record: Callable[..., Recorded], make_config: Callable[..., Config]
) -> None:
    gone = make_config(Destination("gone", "dicom", address="127.0.0.1:9", ae_title="X"))
    record(config=gone, now=site.clock.now)

    site.run("sr")

    assert (site.row("sr").state, site.row("sr").destination) == (DeliveryState.FAILED, "gone")


def test_a_later_revision_takes_the_place_of_what_still_waits(site: Site, record: Callable[..., Recorded]) -> None:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}
    record(radiograph(**uids), config=site.config, now=site.clock.now)
    later = record(radiograph(**uids), config=site.config, now=site.clock.now + 1)
    site.clock.advance(2)

    site.run("fhir", "sr")

    report = site.resources.read(*str(site.row("fhir").reference).split("/"))
    assert report.version == 1
    assert report.text.count('"reference":"Observation/') == len(later.inference.results) == 2
    assert len(site.pacs.received) == 1
    reasons = [r.reason for r in site.outbox.entries(state=DeliveryState.DELIVERED) if r.kind in ("fhir", "sr")]
    assert sorted(map(str, reasons)) == ["None", "None", *["a later revision of the study has taken its place"] * 2]


class TestAlert:
    def test_it_goes_out_again_until_a_person_acknowledges_it(self, site: Site, recorded: Recorded) -> None:
        site.run("alert")
        site.clock.advance(60.0)
        assert site.publisher.escalate() is True
        assert site.publisher.escalate() is False
        site.run("alert")
        assert [m.body["level"] for m in site.pager.messages] == [0, 1]

        alert_id = site.pager.messages[0].body["id"]
        assert site.publisher.acknowledge(alert_id, by="dr-a").acknowledged_by == "dr-a"

        site.clock.advance(600.0)
        assert site.publisher.escalate() is False
        assert ("escalated", "1") in site.notes.said
        assert ("acknowledged", "dr-a") in site.notes.said

    def test_its_communication_is_in_progress_until_then(self, site: Site, recorded: Recorded) -> None:
        site.run()
        found = self.communication(site)
        assert '"status":"in-progress"' in found

        with site.ledger.database.read() as connection:
            alert_id = connection.execute(select(alert.c.id)).scalar_one()
        site.publisher.acknowledge(alert_id, by="dr-a")

        assert '"status":"completed"' in self.communication(site)
        assert "Acknowledged by dr-a." in self.communication(site)

    def test_acknowledged_before_it_was_sent_it_is_not_sent(self, site: Site, recorded: Recorded) -> None:
        with site.ledger.database.read() as connection:
            alert_id = connection.execute(select(alert.c.id)).scalar_one()
        site.publisher.acknowledge(alert_id, by="dr-a")

        site.run()

        assert site.pager.messages == []
        assert site.row("alert").state is DeliveryState.DELIVERED
        assert '"status":"completed"' in self.communication(site)

    def test_a_pager_that_is_down_gets_it_later(self, site: Site, recorded: Recorded) -> None:
        url = site.pager.url
        site.pager.stop()
        site.run("alert")
        assert site.row("alert").state is DeliveryState.PENDING
        assert str(url) not in str(site.row("alert").reason)

    @staticmethod
    def communication(site: Site) -> str:
        with site.ledger.database.read() as connection:
            alert_id = connection.execute(select(alert.c.id)).scalar_one()
        return site.resources.read("Communication", logical_id("Communication", alert_id)).text


def _patient(site: Site) -> str:
    with site.ledger.database.read() as connection:
        return str(connection.execute(select(study.c.patient)).scalar_one())


class TestMessages:
    """Results as HL7 v2: in order, and again when a person has changed what they are."""

    @pytest.fixture
    def emr(self) -> Iterator[MllpListener]:
        self.received: list[bytes] = []
        self.codes = ["AA"]

        def answer(message: bytes, address: str) -> bytes:
            self.received.append(message)
            code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
            control_id = parse(message).segments[0].field(10)
            return f"MSH|^~\\&|E|H|O|R|2026||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r".encode()

        listener = MllpListener(answer, address=("127.0.0.1", 0), allowed=("127.0.0.1",))
        listener.start()
        yield listener
        listener.stop()

    def plan(self, site: Site, emr: MllpListener, record: Callable[..., Recorded]) -> Recorded:
        site.send_to(Destination("emr", "hl7v2", address=f"127.0.0.1:{emr.port}", application="EMR"))
        return record(radiograph(), config=site.config, now=site.clock.now)

    def letters(self) -> list[str]:
        return [next(s for s in parse(m).segments if s.name == "OBX").field(11) for m in self.received]

    def test_a_result_and_its_confirmation_arrive_in_order(
        self, site: Site, emr: MllpListener, record: Callable[..., Recorded]
    ) -> None:
        recorded = self.plan(site, emr, record)
        self.codes = ["AR", "AA"]  # the first attempt is put off
        site.run()
        assert site.row("oru").state is DeliveryState.PENDING
        report = f"DiagnosticReport/{report_of(recorded.inference)}"
        held = fhir.loads(site.resources.read(*report.split("/")).text)
        site.ledger.database.write(lambda c: site.resources.put(c, held | {"status": "final"}))
        assert site.ledger.database.write(lambda c: send_anew(c, report, 2, now=site.clock.now)) == 1
        assert site.ledger.database.write(lambda c: send_anew(c, report, 2, now=site.clock.now)) == 0

        site.run()
        assert len(self.received) == 1, "the later one must not overtake"
        site.clock.advance(60.0)
        site.run()

        assert [r.state for r in site.outbox.entries() if r.kind == "oru"] == [DeliveryState.DELIVERED] * 2
        assert self.letters() == ["P", "F", "F"]

    def test_after_a_merge_it_is_about_the_survivor(
        self, site: Site, emr: MllpListener, record: Callable[..., Recorded]
    ) -> None:
        self.plan(site, emr, record)
        gone, (survivor,) = _patient(site), site.ledger.vault.pseudonyms([Identity(PseudonymKind.PATIENT, "P200")])
        patient = {"resourceType": "Patient", "id": survivor, "name": [{"family": "Doe", "given": ["Jane"]}]}
        site.ledger.database.write(lambda c: site.resources.put(c, patient))
        site.ledger.database.write(lambda c: merge(c, gone, survivor, now=site.clock.now))

        site.run()

        pid = next(s for s in parse(self.received[0]).segments if s.name == "PID")
        assert (pid.field(3), pid.field(5)) == ("P200^^^^MR~P100^^^^MR", "Doe^Jane")

    def test_a_message_at_fault_waits_for_a_person(
        self, site: Site, emr: MllpListener, record: Callable[..., Recorded]
    ) -> None:
        self.plan(site, emr, record)
        self.codes = ["AE"]

        site.run()

        assert (site.row("oru").state, site.row("oru").reason) == (
            DeliveryState.FAILED,
            "the HL7 v2 receiver answered AE",
        )
