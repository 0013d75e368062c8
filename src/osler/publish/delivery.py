"""One delivery after another: claim it, make what it needs, send it, and note in one transaction what came of it."""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, select

from osler.config import Config, Destination
from osler.domain.events import Delivery, Recorded
from osler.domain.findings import ModelVersion
from osler.domain.identifiers import Identity, PseudonymKind
from osler.domain.states import DeliveryState
from osler.errors import DeliveryRefused, IntegrityError, OslerError
from osler.plugins import Card
from osler.publish import alert as alerting
from osler.publish import mail, secondary_capture, sr, webhook
from osler.publish.alert import Alert
from osler.publish.fhir import Context, communication, report_id, resources
from osler.publish.message import Message
from osler.publish.mllp_sender import send
from osler.publish.oru import Envelope, Survivor, numbers_of, oru
from osler.publish.outbox import Entry, Outbox, earlier_versions, recorded_result, superseded
from osler.publish.reidentify import IdentifiedStudy, Reidentifier
from osler.publish.secondary_capture import Render
from osler.publish.store_scu import store
from osler.publish.verification import awaits_verification
from osler.standards.fhir import Resource
from osler.standards.fhir_references import repointed
from osler.standards.hl7v2 import FROM_HL7V2
from osler.storage import Database
from osler.storage.orders import orders_for, survivor_of
from osler.storage.tables import study
from osler.tls import client_context

_DELIVERIES = {"dicom": ("sr", "sc"), "webhook": ("alert",), "smtp": ("alert",), "hl7v2": ("oru",)}
_SUPERSEDED = "a later revision of the study has taken its place"
_CONFIRMED = "a person has confirmed the result before; what they confirmed stays"


class Witness(Protocol):
    """Writes the audit entry of each outcome, in its transaction."""

    def delivered(self, connection: Connection, entry: Entry, delivery: Delivery, patient: str) -> None:
        """Note that a result has reached a destination."""
        ...

    def failed(self, connection: Connection, entry: Entry, state: DeliveryState, reason: str) -> None:
        """Note that an attempt did not succeed; ``state`` is PENDING when there will be another."""
        ...

    def escalated(self, connection: Connection, alert: Alert, patient: str) -> None:
        """Note that nobody acknowledged an alert in time, and that it goes out again."""
        ...

    def acknowledged(self, connection: Connection, alert: Alert, patient: str) -> None:
        """Note that a person has taken an alert in hand."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a publisher works with.

    Parameters
    ----------
    database : Database
    outbox : Outbox
    reidentifier : Reidentifier
    put : callable
        Keeps a FHIR resource, within the transaction of the connection.
    held : callable
        Returns the current version of a FHIR resource within the transaction of the connection, or None.
    lookup : callable
        Returns the keyed index of an identity.
    heatmap : callable
        Reads a heatmap by its blob reference.
    render : callable
        Shows a source image as grey values.
    card : callable
        Returns the card of a model version, or None when it is not installed here.
    """

    database: Database
    outbox: Outbox
    reidentifier: Reidentifier
    put: Callable[[Connection, Resource], object]
    held: Callable[[Connection, str, str], Resource | None]
    lookup: Callable[[Identity], bytes]
    heatmap: Callable[[str], bytes]
    render: Render
    card: Callable[[ModelVersion], Card | None]


class Publisher:
    """Delivers what is due.

    Parameters
    ----------
    means : Means
    config : Config
    witness : Witness
    owner : str
        Different for each start.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self, means: Means, config: Config, *, witness: Witness, owner: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._means = means
        self._config = config
        self._witness = witness
        self._owner = owner
        self._clock = clock
        self.on_tried: Callable[[Entry, float, OslerError | None], None] = lambda entry, began_at, error: None
        """Told of each attempt that has just ended, when it began (seconds since the epoch), and its error."""
        self._kinds = {"fhir": self._fhir, "sr": self._sr, "sc": self._sc, "alert": self._alert, "oru": self._oru}

    def step(self, kinds: Sequence[str] = ()) -> bool:
        """Attempt the next delivery that is due; False when none is.

        Parameters
        ----------
        kinds : sequence of str
            Only these, so that alerts need not wait behind a slow PACS; empty for all.

        Raises
        ------
        IntegrityError
            If a result cannot be bound to its patient beyond doubt. It was not sent, and will not be tried again by
            itself.
        """
        entry = next(iter(self._means.outbox.claim(self._owner, kinds=kinds)), None)
        if entry is None:
            return False
        began_at = self._clock()
        try:
            settle = self._kinds[entry.kind](entry)
            self._means.database.write(lambda c: self._settle(c, entry, settle))
            self.on_tried(entry, began_at, None)
        except OslerError as error:
            self.on_tried(entry, began_at, error)
            reason, retryable = str(error), error.retryable
            self._means.database.write(lambda c: self._put_off(c, entry, reason, retryable))
            if isinstance(error, IntegrityError):
                raise
        return True

    def release(self, owner_prefix: str) -> int:
        """Free what publishers whose name begins so have claimed and cannot answer for any more (after a crash)."""
        return self._means.outbox.release(owner_prefix)

    def escalate(self) -> bool:
        """Send again the alerts that nobody has acknowledged in time; False when there was none."""

        def change(connection: Connection) -> bool:
            alerts = alerting.escalate(
                connection,
                destinations=self._config.destinations,
                now=self._clock(),
                escalate_s=self._config.number("alert.escalate_s"),
                max_escalations=self._config.integer("alert.max_escalations"),
            )
            for one in alerts:
                recorded = recorded_result(connection, one.inference_id)
                self._witness.escalated(connection, one, _patient(connection, recorded))
            return bool(alerts)

        return self._means.database.write(change)

    def acknowledge(self, alert_id: str, *, by: str) -> Alert:
        """Note that a person has taken an alert in hand, in the ledger and in its Communication.

        Raises
        ------
        NotFound
            If there is no such alert.
        """

        def change(connection: Connection) -> Alert:
            alert = alerting.acknowledge(connection, alert_id, by=by, now=self._clock())
            recorded = recorded_result(connection, alert.inference_id)
            patient = _patient(connection, recorded)
            self._means.put(connection, communication(recorded, alert, patient_pseudonym=patient))
            self._witness.acknowledged(connection, alert, patient)
            return alert

        return self._means.database.write(change)

    def _settle(self, connection: Connection, entry: Entry, settle: Callable[[Connection], Delivery]) -> None:
        delivery = settle(connection)
        if self._means.outbox.done(connection, entry, delivery):
            self._witness.delivered(connection, entry, delivery, _patient(connection, entry.recorded))

    def _put_off(self, connection: Connection, entry: Entry, reason: str, retryable: bool) -> None:
        state = self._means.outbox.retry(connection, entry, reason, retryable=retryable)
        self._witness.failed(connection, entry, state, reason)

    def _fhir(self, entry: Entry) -> Callable[[Connection], Delivery]:
        recorded = entry.recorded
        source = self._means.reidentifier.source(recorded)
        inference = recorded.inference
        with self._means.database.read() as connection:
            context = Context(
                replaced=tuple(report_id(inference, earlier) for earlier in earlier_versions(connection, recorded)),
                orders=self._orders(connection, source),
            )
        made = resources(recorded, source, card=self._means.card(inference.model), context=context)
        reference = f"DiagnosticReport/{report_id(inference)}"

        def keep(connection: Connection) -> Delivery:
            if superseded(connection, recorded):
                return Delivery(reference, _SUPERSEDED)
            alert = alerting.alert_of(connection, recorded.id)
            told = [communication(recorded, alert, patient_pseudonym=source.patient)] if alert else []
            patient = survivor_of(connection, source.patient)
            confirmed = [resource for resource in made if self._confirmed(connection, resource)]
            for resource in (*made, *told):
                if resource not in confirmed and not self._known_better(connection, resource, patient):
                    whole = repointed(resource, f"Patient/{source.patient}", f"Patient/{patient}")
                    self._means.put(connection, whole)
            return Delivery(reference, _CONFIRMED if confirmed else None)

        return keep

    def _orders(self, connection: Connection, source: IdentifiedStudy) -> tuple[str, ...]:
        """Return the ServiceRequests that the study was made for: accession and record number must both agree."""
        identity, look = source.first.identity, self._means.lookup
        if not identity.accession_number:
            return ()
        accession = look(Identity(PseudonymKind.ACCESSION, identity.accession_number))
        patient = look(Identity(PseudonymKind.PATIENT, identity.patient_id))
        return tuple(request for request, _ in orders_for(connection, accession=accession, patient=patient))

    def _known_better(self, connection: Connection, resource: Resource, patient: str) -> bool:
        """Tell whether a Patient is known from HL7 v2, or was merged into another: no header takes that back."""
        if resource["resourceType"] != "Patient":
            return False
        held = self._means.held(connection, "Patient", resource["id"])
        from_messages = held is not None and held.get("meta", {}).get("source") == FROM_HL7V2
        return bool(from_messages or patient != resource["id"])

    def _confirmed(self, connection: Connection, resource: Resource) -> bool:
        """Tell whether a person answers for what is held already: no model takes that back."""
        if not awaits_verification(resource):
            return False
        held = self._means.held(connection, resource["resourceType"], resource["id"])
        return held is not None and not awaits_verification(held)

    def _sr(self, entry: Entry) -> Callable[[Connection], Delivery]:
        if self._superseded(entry.recorded):
            return lambda _: Delivery(sr.sr_uid(entry.recorded), _SUPERSEDED)
        source = self._means.reidentifier.source(entry.recorded)
        document = sr.build(entry.recorded, source, card=self._means.card(entry.recorded.inference.model))
        return self._store([document], entry)

    def _sc(self, entry: Entry) -> Callable[[Connection], Delivery]:
        if self._superseded(entry.recorded):
            return lambda _: Delivery("", _SUPERSEDED)
        source = self._means.reidentifier.source(entry.recorded)
        images = secondary_capture.build(entry.recorded, source, render=self._means.render, heatmap=self._means.heatmap)
        return self._store(images, entry)

    def _oru(self, entry: Entry) -> Callable[[Connection], Delivery]:
        if self._superseded(entry.recorded):
            return lambda _: Delivery("", _SUPERSEDED)
        recorded, destination = entry.recorded, self._destination(entry)
        source = self._means.reidentifier.source(recorded)
        with self._means.database.read() as connection:
            held = self._means.held(connection, "DiagnosticReport", report_id(recorded.inference))
            orders = [
                numbers_of(request)
                for one in self._orders(connection, source)
                if (request := self._means.held(connection, "ServiceRequest", one))
            ]
            patient = survivor_of(connection, source.patient)
            known = self._means.held(connection, "Patient", patient) or {}
        merged = patient != source.patient
        survivor = Survivor(self._means.reidentifier.whose(patient), known) if merged else None
        envelope = Envelope(
            control_id=entry.id,
            sender=("OSLER", self._config.text("site.name")),
            receiver=(destination.application, destination.facility),
            status=(held or {}).get("status", "preliminary"),
            now=self._clock(),
            issuer=self._config.text("site.issuer"),
        )
        content = oru(recorded, source, envelope, orders=orders, survivor=survivor)
        delivery = send(content, destination, control_id=entry.id, tls=self._tls(destination))
        return lambda _: delivery

    def _store(self, objects: Sequence[object], entry: Entry) -> Callable[[Connection], Delivery]:
        title = self._config.text("dimse.ae_title")
        destination = self._destination(entry)
        delivery = store(objects, destination, calling_ae_title=title, tls=self._tls(destination))  # type: ignore[arg-type]
        return lambda _: delivery

    def _alert(self, entry: Entry) -> Callable[[Connection], Delivery]:
        with self._means.database.read() as connection:
            alert = alerting.alert_of(connection, entry.recorded.id)
            patient = _patient(connection, entry.recorded)
        if alert is not None and alert.acknowledged_at is not None:
            late = Delivery(alert.id, "it was acknowledged before it was sent")
            return lambda _: late
        message = Message(entry.recorded, patient, self._config.base_url, alert, entry.idempotency_key)
        destination, hosts = self._destination(entry), self._config.items("alert.allowed_hosts")
        if destination.kind == "webhook":
            delivery = webhook.send(message, destination, allowed_hosts=hosts, clock=self._clock)
        else:
            delivery = mail.send(message, destination, allowed_hosts=hosts)
        return lambda _: delivery

    def _tls(self, destination: Destination) -> ssl.SSLContext | None:
        return client_context(self._config) if destination.tls else None

    def _destination(self, entry: Entry) -> Destination:
        for destination in self._config.destinations:
            if destination.name == entry.destination and entry.kind in _DELIVERIES[destination.kind]:
                return destination
        raise DeliveryRefused(f"the configuration has no destination {entry.destination} for it any more")

    def _superseded(self, recorded: Recorded) -> bool:
        with self._means.database.read() as connection:
            return superseded(connection, recorded)


def _patient(connection: Connection, recorded: Recorded) -> str:
    """Return the pseudonym of the patient of a result; after a merge, of the patient that they are now."""
    found = connection.execute(
        select(study.c.patient).where(study.c.study_uid == recorded.inference.study_instance_uid)
    ).scalar_one_or_none()
    if not found:
        raise IntegrityError("the ledger does not have the patient of a result")
    return survivor_of(connection, str(found))
