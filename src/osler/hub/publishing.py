"""What a publisher works with, and how its deeds come into the audit."""

import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Connection

from osler.audit import HUB, Agent, AuditLog, AuditRecord
from osler.config import Config, Destination
from osler.domain.events import Delivery
from osler.domain.identifiers import Identity
from osler.domain.states import DeliveryState
from osler.metrics import Metrics
from osler.models.cxr.pixels import read_grey
from osler.plugins import Card
from osler.publish.alert import Alert
from osler.publish.delivery import Means, Publisher
from osler.publish.outbox import Entry, Outbox
from osler.publish.reidentify import Reidentifier
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.storage.stored import Stored
from osler.stores import Stores

log = structlog.get_logger(__name__)


def make_publisher(
    stores: Stores,
    config: Config,
    *,
    metrics: Metrics,
    owner: str,
    cards: Mapping[str, Card] | None = None,
    person: Agent | None = None,
) -> Publisher:
    """Put a publisher together.

    Parameters
    ----------
    cards : mapping of str to Card, optional
        Cards of the models in use, by ``name@version``; a result says what its card says.
    person : Agent, optional
        Who acts, when it is not the hub itself.
    """
    means = Means(
        database=stores.database,
        outbox=Outbox(
            stores.database,
            backoff_s=config.number("publish.backoff_s"),
            max_attempts=config.integer("publish.max_attempts"),
        ),
        reidentifier=Reidentifier(stores.database, VaultDoor(stores, HUB), stores.identified.get),
        put=stores.resources.put,
        held=lambda connection, kind, logical_id: _opened(stores.resources.current(connection, kind, logical_id)),
        lookup=stores.vault.lookup,
        heatmap=stores.deidentified.get,
        render=read_grey,
        card=lambda version: (cards or {}).get(str(version)),
    )
    addresses = {one.name: host_of(one) for one in config.destinations}
    witness = AuditWitness(stores.audit, metrics, person or HUB, addresses)
    return Publisher(means, config, witness=witness, owner=owner)


def host_of(destination: Destination) -> str:
    """Return the host of a destination, as the audit names it: the rest of a URL may be a secret."""
    return urlsplit(destination.url).hostname or "" if destination.url else destination.address


def _opened(stored: Stored | None) -> Resource | None:
    return None if stored is None else fhir.loads(stored.text)


class VaultDoor:
    """The vault, opened in somebody's name for the one purpose of giving a result back to its study.

    Parameters
    ----------
    stores : Stores
    agent : Agent
    """

    def __init__(self, stores: Stores, agent: Agent) -> None:
        self._vault = stores.vault
        self._agent = agent

    def lookup(self, identity: Identity) -> bytes:
        """Return the keyed index of an identity."""
        return self._vault.lookup(identity)

    def reverse(self, pseudonyms: Sequence[str]) -> list[Identity]:
        """Return the identities behind pseudonyms, in order."""
        return self._vault.reverse(pseudonyms, agent=self._agent, reason="publish")


class AuditWitness:
    """Writes what a publisher does into the audit, and counts it.

    Parameters
    ----------
    audit : AuditLog
    metrics : Metrics
    agent : Agent
    addresses : mapping of str to str
        Of the destinations, by name.
    """

    def __init__(
        self, audit: AuditLog, metrics: Metrics, agent: Agent, addresses: Mapping[str, str] | None = None
    ) -> None:
        self._audit = audit
        self._metrics = metrics
        self._agent = agent
        self._addresses = addresses or {}

    def delivered(self, connection: Connection, entry: Entry, delivery: Delivery, patient: str) -> None:
        """Note a delivery; the first message of an alert is the alert."""
        raised = entry.kind == "alert" and entry.recorded.inference.critical
        name = entry.destination
        self._metrics.delivery(
            name or "fhir",
            "warning" if delivery.warning else "delivered",
            seconds=time.time() - entry.recorded.recorded_at,
        )
        record = AuditRecord(
            "alert-raised" if raised else "result-disclosed" if name else "result-published",
            agent=self._agent,
            patient=patient,
            entities=(f"study:{entry.recorded.inference.study_instance_uid}", delivery.reference or entry.id),
            detail={"kind": entry.kind, "destination": name or "fhir", "warning": delivery.warning or "none"},
            recipient=Agent(name, "peer", self._addresses.get(name, "")) if name else None,
        )
        self._audit.append(connection, record)

    def failed(self, connection: Connection, entry: Entry, state: DeliveryState, reason: str) -> None:
        """Note a delivery that did not arrive; only the last attempt is an event of its own."""
        gone = state is DeliveryState.FAILED
        self._metrics.delivery(entry.destination or "fhir", "failed" if gone else "put-off")
        tell, words = (log.error, "delivery failed") if gone else (log.warning, "delivery put off")
        tell(words, kind=entry.kind, destination=entry.destination or "fhir", attempts=entry.attempts, reason=reason)
        if gone:
            self._append(
                connection,
                "delivery-failed",
                outcome=8,
                entities=(f"study:{entry.recorded.inference.study_instance_uid}",),
                kind=entry.kind,
                destination=entry.destination or "fhir",
                reason=reason,
            )

    def escalated(self, connection: Connection, alert: Alert, patient: str) -> None:
        """Note that an alert goes out again."""
        self._append(connection, "alert-escalated", patient=patient, entities=(f"alert:{alert.id}",), level=alert.level)

    def acknowledged(self, connection: Connection, alert: Alert, patient: str) -> None:
        """Note who took an alert in hand."""
        self._append(
            connection,
            "alert-acknowledged",
            patient=patient,
            entities=(f"alert:{alert.id}",),
            by=alert.acknowledged_by or "",
        )

    def _append(
        self,
        connection: Connection,
        event: str,
        *,
        patient: str | None = None,
        outcome: int = 0,
        entities: tuple[str, ...],
        **detail: str | int,
    ) -> None:
        self._audit.append(
            connection,
            AuditRecord(event, agent=self._agent, outcome=outcome, patient=patient, entities=entities, detail=detail),
        )
