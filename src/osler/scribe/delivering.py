"""Signed notes go out: into our own chart, as an HL7 v2 message, to an EHR's FHIR server; each retried alone."""

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog
from sqlalchemy import Connection

from osler.audit import HUB
from osler.config import Destination
from osler.domain.encounter import Documented
from osler.domain.states import DeliveryState
from osler.errors import OslerError
from osler.publish.mllp_sender import send
from osler.publish.note.amendment import outgoing as amended
from osler.publish.note.amendment import taken_back
from osler.publish.note.document import document, resources
from osler.publish.note.ehr import Outgoing
from osler.publish.note.mdm import Addressed, mdm
from osler.registry.boundary import call
from osler.scribe.publishing import Published, preliminary, published
from osler.scribe.record import record
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.storage import encounters, note_deliveries
from osler.storage.note_deliveries import NoteDelivery
from osler.stores import Stores

_LEASE_S: Final = 300.0

log = structlog.get_logger(__name__)

Items = Mapping[str, str]


class EhrDoor(Protocol):
    """Brings resources to one EHR."""

    def bring(self, note: Published, outgoing: tuple[Outgoing, ...], places: Items) -> tuple[DeliveryState, str, Items]:
        """Return how it stands, why, and where each resource is there."""
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """Where notes go besides the chart.

    Parameters
    ----------
    receivers : mapping of str to Destination
        Of HL7 v2 messages, by name.
    ehrs : mapping of str to EhrDoor
    base_url : str
    site, issuer : str
        Of the settings ``site.name`` and ``site.issuer``.
    tls : callable
        Returns the TLS context for a receiver, None for none.
    backoff_s : float
    max_attempts : int
    """

    receivers: Mapping[str, Destination]
    ehrs: Mapping[str, EhrDoor]
    base_url: str
    site: str
    issuer: str
    tls: Callable[[Destination], ssl.SSLContext | None]
    backoff_s: float = 5.0
    max_attempts: int = 50


class NoteDeliveries:
    """Delivers, one note to one destination at a time.

    Parameters
    ----------
    stores : Stores
    outside : Outside
    owner : str
        Of claims; different for each start.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, stores: Stores, outside: Outside, *, owner: str, clock: Callable[[], float] = time.time) -> None:
        self._stores = stores
        self._outside = outside
        self._owner = owner
        self._clock = clock

    def step(self) -> bool:
        """Deliver what has been due longest; False when nothing is."""
        one = self._stores.database.write(
            lambda c: note_deliveries.claim(c, self._owner, now=self._clock(), lease_s=_LEASE_S)
        )
        if one is None:
            return False
        try:
            call("the delivery of a note", lambda: self._deliver(one))  # one bad note must not stop the hub
        except OslerError as error:
            self._failed(one, error)
        return True

    def _deliver(self, one: NoteDelivery) -> None:
        with self._stores.database.read() as connection:
            held = encounters.find(connection, one.encounter_id)
            note = published(self._stores, connection, held, one.version)
            before = self._before(connection, note)
        if not one.destination:
            self._into_chart(one, held, note, before)
        elif one.destination in self._outside.receivers:
            self._as_message(one, held, note)
        elif one.destination in self._outside.ehrs:
            self._to_ehr(one, held, note, before)
        else:
            self._end(one, held, DeliveryState.FAILED, "the settings have no destination of that name", {})

    def _into_chart(self, one: NoteDelivery, held: Documented, note: Published, before: list[Resource]) -> None:
        now = self._clock()
        told = [*note.around, *resources(note.note, note.items, base_url=self._outside.base_url)]

        def within(connection: Connection) -> None:
            made = [*told, *self._taken_back(connection, before, told)]
            items = {f"{r['resourceType']}/{r['id']}": "stored" for r in made}
            if not note_deliveries.end(connection, one, DeliveryState.DELIVERED, now=now, reason="", items=items):
                return
            for resource in made:
                self._stores.resources.put(connection, resource)
            self._stores.audit.append(
                connection, record("note-published", HUB, held, version=one.version, resources=len(items))
            )

        self._stores.database.write(within)

    def _before(self, connection: Connection, note: Published) -> list[Resource]:
        """Return what the version that an amendment replaces had published."""
        if note.note.amends is None:
            return []
        held = encounters.find(connection, note.note.encounter_id)
        earlier = published(self._stores, connection, held, note.note.amends)
        return resources(earlier.note, earlier.items, base_url=self._outside.base_url)

    def _taken_back(self, connection: Connection, before: list[Resource], made: list[Resource]) -> list[Resource]:
        """Return what our chart has of that and the amendment does not say any more, as it is to become."""
        found = []
        for resource, change in taken_back(before, made):
            stored = self._stores.resources.current(connection, resource["resourceType"], resource["id"])
            if stored is not None and not stored.deleted:
                found.append(change(fhir.loads(stored.text)))
        return found

    def _as_message(self, one: NoteDelivery, held: Documented, note: Published) -> None:
        receiver = self._outside.receivers[one.destination]
        addressed = Addressed(
            control_id=one.id.replace("-", "")[:20],
            sender=("OSLER", self._outside.site),
            receiver=(receiver.application, receiver.facility),
            now=self._clock(),
            issuer=self._outside.issuer,
        )
        send(mdm(note.note, addressed), receiver, control_id=addressed.control_id, tls=self._outside.tls(receiver))
        self._end(one, held, DeliveryState.DELIVERED, "", {f"MDM {addressed.control_id}": "acknowledged"})

    def _to_ehr(self, one: NoteDelivery, held: Documented, note: Published, earlier: list[Resource]) -> None:
        made = resources(note.note, note.items, base_url=self._outside.base_url)
        outgoing = amended((*note.around, *made), earlier)
        with self._stores.database.read() as connection:
            before = {
                ours: theirs
                for other in note_deliveries.of(connection, one.encounter_id)
                if other.destination == one.destination
                for ours, theirs in other.items.items()
                if "/" in theirs  # a place; what waits has none of its own, and must not hide the one of before
            }
        state, reason, items = self._outside.ehrs[one.destination].bring(note, outgoing, before)
        if state is DeliveryState.PENDING and one.attempts < self._outside.max_attempts:
            now, wait_s = self._clock(), self._outside.backoff_s
            self._stores.database.write(
                lambda c: note_deliveries.put_off(c, one, now=now, backoff_s=wait_s, reason=reason, items=items)
            )
        else:
            ended = DeliveryState.FAILED if state is DeliveryState.PENDING else state
            self._end(one, held, ended, reason, items)

    def _end(self, one: NoteDelivery, held: Documented, state: DeliveryState, reason: str, items: Items) -> None:
        now, done = self._clock(), state is DeliveryState.DELIVERED
        event = "note-disclosed" if done else "note-delivery-failed"
        entry = record(event, HUB, held, destination=one.destination or "chart", version=one.version)

        def within(connection: Connection) -> None:
            if note_deliveries.end(connection, one, state, now=now, reason=reason, items=items):
                self._stores.audit.append(connection, replace(entry, outcome=0 if done else 8))

        self._stores.database.write(within)

    def _failed(self, one: NoteDelivery, error: OslerError) -> None:
        log.warning("note not delivered", delivery=one.id, error=type(error).__name__)
        if error.retryable and one.attempts < self._outside.max_attempts:
            now, wait_s = self._clock(), self._outside.backoff_s
            self._stores.database.write(
                lambda c: note_deliveries.put_off(c, one, now=now, backoff_s=wait_s, reason=str(error), items=one.items)
            )
            return
        with self._stores.database.read() as connection:
            held = encounters.find(connection, one.encounter_id)
        self._end(one, held, DeliveryState.FAILED, str(error), one.items)


def document_of(stores: Stores, held: Documented, version: int | None, *, base_url: str) -> Resource:
    """Return a version of a signed note as a FHIR document Bundle; None: the note under review, preliminary."""
    with stores.database.read() as connection:
        note = published(stores, connection, held, version) if version else preliminary(stores, connection, held)
    return document(note.note, note.items, base_url=base_url)
