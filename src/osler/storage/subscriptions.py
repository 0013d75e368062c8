"""Subscriptions that are active, and what their subscribers are still to be told, in the ledger.

Whether a change matches is found out within its transaction, so that none is missed and none is told that did not
happen. It costs one look at a small table where there is nothing to match.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from sqlalchemy import Connection, RowMapping, bindparam, delete, exists, func, or_, select, update

from osler.errors import Malformed
from osler.standards.fhir import Resource
from osler.standards.fhir_conditions import Condition
from osler.standards.fhir_index import index_of
from osler.standards.fhir_matching import matchable, matches
from osler.standards.fhir_query import parse_query
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.blobs import Sealer
from osler.storage.database import has_rows
from osler.storage.due import due
from osler.storage.stored import Stored
from osler.storage.tables import notification as notifications
from osler.storage.tables import subscription as subscriptions

UNTOLD: Final = frozenset({"AuditEvent", "Subscription"})
"""Types that nobody can wait for."""
_NEVER: Final = (Condition("", ()),)
_KEPT: Final = 1000  # criteria that are kept understood


@dataclass(frozen=True, slots=True)
class Channel:
    """What is waited for, and how it is told.

    Parameters
    ----------
    criteria : str
        ``Type?parameters``.
    endpoint : str
    payload : str
        Media type in which the resource itself is sent; empty when it is not.
    headers : tuple of (str, str)
    """

    criteria: str
    endpoint: str
    payload: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def type(self) -> str:
        """Type of the resources that are waited for."""
        return self.criteria.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Active:
    """A subscription that is active.

    Parameters
    ----------
    id : str
        Of the Subscription.
    client_id, scope : str
        Who wrote it, and what they could reach then.
    grant_id : str or None
        What a person let the client do; None for a client of its own.
    channel : Channel
    ends_at : float or None
        Seconds since the epoch, UTC.
    attempts : int
        That failed, since one did not.
    available_at : float
        When it may be tried next.
    """

    id: str
    client_id: str
    scope: str
    grant_id: str | None
    channel: Channel
    ends_at: float | None = None
    attempts: int = 0
    available_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Notification:
    """A version of a resource that a subscriber is to be told of."""

    seq: int
    type: str
    id: str
    version: int


class SubscriptionStore:
    """The tables of subscriptions and notifications.

    Parameters
    ----------
    sealer : Sealer
        Of the purpose ``record``.
    base : str
        Our FHIR base URL: an absolute reference under it means the same as a relative one.
    """

    def __init__(self, sealer: Sealer, *, base: str) -> None:
        self._sealer = sealer
        self._base = base
        self._understood: dict[bytes, tuple[Condition, ...]] = {}

    def saved(self, connection: Connection, stored: Stored, resource: Resource) -> None:
        """Note who is to be told of a version, within the transaction that makes it.

        Parameters
        ----------
        stored : Stored
        resource : dict
            What ``stored.text`` says, with ``meta.lastUpdated``.
        """
        if not has_rows(connection, subscriptions):
            return
        rows = connection.execute(_WAITING, {"type": stored.type}).mappings().all()
        if not rows:
            return
        indexed = index_of(resource)
        told = [row["id"] for row in rows if matches(resource, self._conditions(row), indexed)]
        what = {"type": stored.type, "id": stored.id, "version": stored.version, "created_at": stored.updated_at}
        if told:
            connection.execute(_NOTE, [what | {"subscription_id": each} for each in told])

    def set(self, connection: Connection, active: Active) -> None:
        """Make a subscription active, in place of what it was before; what waits for it goes on waiting."""
        sealed = self._sealer.seal(json.dumps(asdict(active.channel)).encode(), _aad(active.id))
        row = {
            "client_id": active.client_id,
            "scope": active.scope,
            "grant_id": active.grant_id,
            "type": active.channel.type,
            "sealed": sealed,
            "ends_at": active.ends_at,
            "attempts": active.attempts,
            "available_at": active.available_at,
        }
        here = subscriptions.c.id == active.id
        if not connection.execute(update(subscriptions).where(here).values(row)).rowcount:
            connection.execute(subscriptions.insert(), row | {"id": active.id})

    def drop(self, connection: Connection, subscription_id: str) -> None:
        """Make a subscription inactive: what waits for it is not told any more."""
        connection.execute(delete(notifications).where(notifications.c.subscription_id == subscription_id))
        connection.execute(delete(subscriptions).where(subscriptions.c.id == subscription_id))

    def find(self, connection: Connection, subscription_id: str) -> Active | None:
        """Return a subscription when it is active."""
        statement = select(subscriptions).where(subscriptions.c.id == subscription_id)
        row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else self._opened(row)

    def count(self, connection: Connection, client_id: str) -> int:
        """Return how many active subscriptions a client has."""
        mine = select(func.count()).select_from(subscriptions).where(subscriptions.c.client_id == client_id)
        return connection.execute(mine).scalar_one()

    def due(self, connection: Connection, *, now: float, limit: int) -> list[Active]:
        """Return the subscriptions that have something to be told now, or whose time is over."""
        waits = exists().where(notifications.c.subscription_id == subscriptions.c.id)
        over = subscriptions.c.ends_at <= now
        statement = select(subscriptions).where(due(subscriptions.c.available_at, now), or_(waits, over))
        rows = connection.execute(statement.order_by(subscriptions.c.available_at).limit(limit)).mappings()
        return [self._opened(row) for row in rows]

    def claim(self, connection: Connection, active: Active, until: float) -> bool:
        """Keep others from a subscription until a time; False when one was faster."""
        mine = (subscriptions.c.id == active.id, subscriptions.c.available_at == active.available_at)
        return bool(connection.execute(update(subscriptions).where(*mine).values(available_at=until)).rowcount)

    def waiting(self, connection: Connection, subscription_id: str, *, limit: int) -> list[Notification]:
        """Return what is to be told first, in order."""
        here = notifications.c.subscription_id == subscription_id
        statement = select(notifications).where(here).order_by(notifications.c.seq).limit(limit)
        return [
            Notification(row["seq"], row["type"], row["id"], row["version"])
            for row in connection.execute(statement).mappings()
        ]

    def told(self, connection: Connection, subscription_id: str, done: Sequence[Notification]) -> None:
        """Note that some need not be told any more."""
        if done:
            mine = (notifications.c.subscription_id == subscription_id, notifications.c.seq <= done[-1].seq)
            connection.execute(delete(notifications).where(*mine))

    def put_off(self, connection: Connection, subscription_id: str, *, attempts: int, until: float) -> None:
        """Set when a subscription is tried next."""
        values = {"attempts": attempts, "available_at": until}
        connection.execute(update(subscriptions).where(subscriptions.c.id == subscription_id).values(values))

    def _opened(self, row: RowMapping) -> Active:
        channel = json.loads(self._sealer.open(row["sealed"], _aad(row["id"])))
        channel["headers"] = tuple((name, value) for name, value in channel["headers"])
        names = ("id", "client_id", "scope", "grant_id", "ends_at", "attempts", "available_at")
        return Active(channel=Channel(**channel), **{name: row[name] for name in names})

    def _conditions(self, row: RowMapping) -> tuple[Condition, ...]:
        known = self._understood.get(row["sealed"])
        if known is None:
            if len(self._understood) >= _KEPT:
                self._understood.clear()
            criteria = self._opened(row).channel.criteria
            try:
                known = conditions_of(criteria, base=self._base, now=row["available_at"])
            except Malformed:
                known = _NEVER  # an earlier version took them: no change fails for that
            self._understood[row["sealed"]] = known
        return known


def conditions_of(criteria: str, *, base: str, now: float) -> tuple[Condition, ...]:
    """Understand criteria that each resource can be held against by itself.

    Parameters
    ----------
    criteria : str
        ``Type?parameters``.
    base : str
        Our FHIR base URL.
    now : float
        Seconds since the epoch, for the prefix ``ap``.

    Raises
    ------
    Malformed
        If the type is not served or cannot be waited for, a parameter is not known, or asks for more than the resource.
    """
    type_name, _, text = criteria.partition("?")
    if type_name not in SEARCHABLE or type_name in UNTOLD:
        raise Malformed("the criteria name no type of resource that can be waited for")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise Malformed("the criteria cannot be decoded") from None
    conditions = parse_query(type_name, pairs, now=now, base=base, strict=True).conditions
    if len(conditions) != len(pairs) or not matchable(conditions):
        raise Malformed("the criteria must be search parameters of the type itself: no chain, no _has, no result form")
    return conditions


_WAITING: Final[Any] = select(subscriptions).where(subscriptions.c.type == bindparam("type"))
_NOTE: Final = notifications.insert()


def _aad(subscription_id: str) -> bytes:
    return f"subscription/{subscription_id}".encode()
