"""Subscribers are told: each in the order of the changes, none beyond what it may see at that moment.

References
----------
HL7 FHIR R4 4.0.1, Subscription (rest-hook)
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Connection

from osler.api.smart.reach import reach_of
from osler.api.smart.standing import standing
from osler.audit import HUB, Agent, AuditRecord
from osler.config import Config
from osler.domain.reach import Reach
from osler.errors import DeliveryRefused, IntegrityError, NotFound, PeerUnavailable
from osler.hub.exports import Ledger
from osler.publish.hosts import AllowedHosts
from osler.publish.rest_hook import WHOLE_S, Call, call
from osler.standards import fhir
from osler.storage.stored import Stored
from osler.storage.subscriptions import Active, Notification, SubscriptionStore
from osler.vault import KeyRing

_SIDE_BY_SIDE: Final = 8  # subscribers that are called at the same time
_BATCH: Final = 50
_LEASE_S: Final = 120.0
_ROUND_S: Final = 10.0  # after this no further call begins, so that a slow subscriber does not hold up the others
_BACKOFF_S: Final = 5.0
_LONGEST_BACKOFF_S: Final = 600.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Round:
    """What came of calling one subscriber."""

    active: Active
    done: list[Notification] = field(default_factory=list)
    told: list[Stored] = field(default_factory=list)
    failure: str = ""
    over: str = ""
    damage: IntegrityError | None = None


def open_subscriptions(keyring: KeyRing, config: Config) -> SubscriptionStore:
    """Open the tables of subscriptions."""
    return SubscriptionStore(keyring.sealer("record"), base=f"{config.base_url}/fhir/R4")


class Notifier:
    """Tells subscribers.

    Parameters
    ----------
    ledger : Ledger
    store : SubscriptionStore
    hosts : AllowedHosts
    max_attempts : int
        Calls that fail before a subscription ends.
    whole_s : float
        Longest time of one call, seconds.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: SubscriptionStore,
        *,
        hosts: AllowedHosts,
        max_attempts: int,
        whole_s: float = WHOLE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._hosts = hosts
        self._max_attempts = max_attempts
        self._whole_s = whole_s
        self._clock = clock

    def step(self) -> bool:
        """Call the subscribers that have something to be told; False when there is none.

        Raises
        ------
        IntegrityError
            If a resource is not what was written. It is not told, and the others have been.
        """
        claimed = self._claim()
        if not claimed:
            return False
        rounds = asyncio.run(self._serve_all(claimed))
        for each in rounds:
            self._ledger.database.write(lambda connection, each=each: self._settle(connection, each))  # type: ignore[misc]
        damage = next((each.damage for each in rounds if each.damage is not None), None)
        if damage is not None:
            raise damage
        return True

    def _claim(self) -> list[Active]:
        now = self._clock()
        with self._ledger.database.read() as connection:
            due = self._store.due(connection, now=now, limit=_SIDE_BY_SIDE)
        if not due:
            return []
        until = now + _LEASE_S
        return self._ledger.database.write(
            lambda connection: [active for active in due if self._store.claim(connection, active, until)]
        )

    async def _serve_all(self, claimed: list[Active]) -> list[_Round]:
        return list(await asyncio.gather(*(self._serve(active) for active in claimed)))

    async def _serve(self, active: Active) -> _Round:
        """Call one subscriber, until there is no more, a call fails, or it is the others' turn."""
        made = _Round(active)
        with self._ledger.database.read() as connection:
            waiting = self._store.waiting(connection, active.id, limit=_BATCH)
        deadline = time.monotonic() + _ROUND_S
        for notification in waiting:
            reaches = self._reaches(made)
            if made.over or time.monotonic() > deadline:
                return made
            try:
                stored = self._current(notification, reaches)
                if stored is not None:
                    await call(_call(active, stored), self._hosts, whole_s=self._whole_s)
                    made.told.append(stored)
            except (PeerUnavailable, DeliveryRefused) as error:
                made.failure = str(error)
                return made
            except IntegrityError as error:
                made.damage = error
            made.done.append(notification)
        if not waiting:
            self._reaches(made)
        return made

    def _reaches(self, made: _Round) -> list[Reach]:
        """Return how far a subscriber reaches at this moment, and say when it is over."""
        active, now = made.active, self._clock()
        with self._ledger.database.read() as connection:
            grant = standing(connection, active.client_id, active.scope, active.grant_id, now=now)
        reaches: list[Reach] = [()]
        if grant is not None:
            reaches = [reach_of(grant, active.channel.type, right) for right in "rs"]
        if active.ends_at is not None and active.ends_at <= now:
            made.over = "its time is over"
        elif not all(reaches):
            made.over = "the subscriber may not see these resources any more"
        return reaches

    def _current(self, notification: Notification, reaches: list[Reach]) -> Stored | None:
        """Return the version that is to be told; None when it is out of reach, or the resource is gone."""
        resources, kind, logical_id = self._ledger.resources, notification.type, notification.id
        with self._ledger.database.read() as connection:
            if resources.current(connection, kind, logical_id) is None:
                return None
            try:
                version = str(notification.version)
                found = [resources.version(connection, kind, logical_id, version, reach=reach) for reach in reaches]
            except NotFound:
                return None
        return found[0]

    def _settle(self, connection: Connection, made: _Round) -> None:
        active, now = made.active, self._clock()
        self._store.told(connection, active.id, made.done)
        self._ledger.audit.append(connection, *(_told(active, stored) for stored in made.told))
        held = self._store.find(connection, active.id)
        if held is None or _what(held) != _what(active):
            return  # it was written anew meanwhile: what came of the one before does not count
        attempts = active.attempts + 1 if not made.told else 1
        if made.over:
            self._end(connection, active, "off", made.over)
        elif made.failure and attempts >= self._max_attempts:
            self._end(connection, active, "error", f"{made.failure}; it was tried {attempts} times")
        elif made.failure:
            wait_s = min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2.0 ** (attempts - 1))
            log.warning("subscriber not told", subscription=active.id, attempts=attempts, reason=made.failure)
            self._store.put_off(connection, active.id, attempts=attempts, until=now + wait_s)
        else:
            self._store.put_off(connection, active.id, attempts=0, until=now)

    def _end(self, connection: Connection, active: Active, status: str, reason: str) -> None:
        """Make a subscription inactive, and say so in its resource."""
        log.error("subscription ended", subscription=active.id, status=status, reason=reason)
        self._store.drop(connection, active.id)
        held = self._ledger.resources.current(connection, "Subscription", active.id)
        if held is not None:
            resource = fhir.loads(held.text) | {"status": status, "error": reason}
            self._ledger.resources.save(connection, resource, held)
        entities = (f"Subscription/{active.id}",)
        detail = {"status": status, "reason": reason, "client": active.client_id}
        record = AuditRecord("subscription-ended", agent=HUB, outcome=4, entities=entities, detail=detail)
        self._ledger.audit.append(connection, record)


def _what(active: Active) -> tuple[object, ...]:
    return active.channel, active.client_id, active.scope, active.grant_id


def _call(active: Active, stored: Stored) -> Call:
    channel = active.channel
    if not channel.payload:
        return Call(channel.endpoint, channel.headers)
    return Call(channel.endpoint, channel.headers, stored.reference, stored.text, channel.payload)


def _told(active: Active, stored: Stored) -> AuditRecord:
    return AuditRecord(
        "subscriber-told",
        agent=HUB,
        patient=stored.patient,
        entities=(f"{stored.reference}/_history/{stored.version}",),
        detail={"subscription": active.id, "payload": active.channel.payload or "none"},
        recipient=Agent(active.client_id, "client", urlsplit(active.channel.endpoint).hostname or ""),
    )
