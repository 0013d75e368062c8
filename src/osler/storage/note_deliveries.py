"""Where signed notes go, and how far each has come. Every function joins the transaction of its caller."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, or_, select, update

from osler.domain.states import DeliveryState
from osler.errors import Conflict, NotFound
from osler.storage.database import insert_ignore
from osler.storage.due import due
from osler.storage.tables import scribe_delivery as table

_LONGEST_BACKOFF_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class NoteDelivery:
    """One version of a signed note on its way to one destination.

    Parameters
    ----------
    id, encounter_id : str
    version : int
        Of the signed note.
    destination : str
        Empty for our own chart.
    state : DeliveryState
    attempts : int
    reason : str
        Why it failed or waits; quotes nothing.
    items : mapping of str to str
        What became of each resource or message.
    """

    id: str
    encounter_id: str
    version: int
    destination: str
    state: DeliveryState
    attempts: int
    reason: str
    items: Mapping[str, str]


def add(connection: Connection, encounter_id: str, version: int, destinations: Sequence[str], *, now: float) -> None:
    """Let a version go to the destinations; one that is there already stays as it is."""
    rows = [
        {
            "id": str(uuid.uuid4()),
            "encounter_id": encounter_id,
            "version": version,
            "destination": destination,
            "state": DeliveryState.PENDING.value,
            "attempts": 0,
            "reason": "",
            "items": "{}",
            "available_at": now,
        }
        for destination in destinations
    ]
    if rows:
        insert_ignore(connection, table, rows)


def of(connection: Connection, encounter_id: str) -> list[NoteDelivery]:
    """Return all deliveries of an encounter's notes."""
    query = select(table).where(table.c.encounter_id == encounter_id).order_by(table.c.version, table.c.destination)
    return [_delivery(row) for row in connection.execute(query)]


def claim(connection: Connection, owner: str, *, now: float, lease_s: float) -> NoteDelivery | None:
    """Take a delivery that is due: an amendment not before what it amends; None when there is none."""
    free = or_(table.c.lease_until.is_(None), due(table.c.lease_until, now))
    earlier = table.alias()
    before = (
        select(earlier.c.id)
        .where(
            earlier.c.encounter_id == table.c.encounter_id,
            earlier.c.destination == table.c.destination,
            earlier.c.version < table.c.version,
            earlier.c.state == DeliveryState.PENDING.value,
        )
        .exists()
    )
    waits = (table.c.state == DeliveryState.PENDING.value) & due(table.c.available_at, now) & free & ~before
    query = select(table).where(waits).order_by(table.c.available_at).limit(1).with_for_update(skip_locked=True)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    taken = {"lease_owner": owner, "lease_until": now + lease_s, "attempts": row.attempts + 1}
    connection.execute(update(table).where(table.c.id == row.id).values(**taken))
    return _delivery(row, attempts=row.attempts + 1)


def end(
    connection: Connection,
    held: NoteDelivery,
    state: DeliveryState,
    *,
    now: float,
    reason: str,
    items: Mapping[str, str],
) -> bool:
    """Note that a delivery is done, or that a person must look; False when another has taken it over meanwhile."""
    values = {"state": state.value, "reason": reason, "items": json.dumps(dict(items)), "finished_at": now}
    return _settle(connection, held, **values)


def put_off(
    connection: Connection,
    held: NoteDelivery,
    *,
    now: float,
    backoff_s: float,
    reason: str,
    items: Mapping[str, str],
) -> None:
    """Let a delivery be tried again later."""
    wait_s = min(backoff_s * 2 ** (held.attempts - 1), _LONGEST_BACKOFF_S)
    _settle(connection, held, available_at=now + wait_s, reason=reason, items=json.dumps(dict(items)))


def retry(connection: Connection, encounter_id: str, delivery_id: str, *, now: float) -> None:
    """Let a delivery that failed be tried again.

    Raises
    ------
    NotFound
        If there is none of that id that has failed.
    Conflict
        If a later version goes there: what it amends must not come after it.
    """
    failed = (
        (table.c.id == delivery_id)
        & (table.c.encounter_id == encounter_id)
        & (table.c.state == DeliveryState.FAILED.value)
    )
    later = table.alias()
    superseded = (
        select(later.c.id)
        .where(
            failed,
            later.c.encounter_id == table.c.encounter_id,
            later.c.destination == table.c.destination,
            later.c.version > table.c.version,
        )
        .limit(1)
    )
    if connection.execute(superseded).scalar() is not None:
        raise Conflict("a later version of the note goes there: that one stands")
    fresh = {"state": DeliveryState.PENDING.value, "attempts": 0, "available_at": now, "reason": ""}
    if not connection.execute(update(table).where(failed).values(**fresh)).rowcount:
        raise NotFound("there is no failed delivery of that id")


def release(connection: Connection, owner_prefix: str) -> None:
    """Free what former lives of a process held."""
    mine = table.c.lease_owner.startswith(owner_prefix, autoescape=True)
    connection.execute(update(table).where(mine).values(lease_owner=None, lease_until=None))


def _settle(connection: Connection, held: NoteDelivery, **values: Any) -> bool:
    """Settle what this attempt took, and nothing that a later one has."""
    values |= {"lease_owner": None, "lease_until": None}
    mine = (
        (table.c.id == held.id)
        & (table.c.state == DeliveryState.PENDING.value)
        & (table.c.attempts == held.attempts)
        & table.c.lease_owner.is_not(None)
    )
    return bool(connection.execute(update(table).where(mine).values(**values)).rowcount)


def _delivery(row: Row[Any], *, attempts: int | None = None) -> NoteDelivery:
    return NoteDelivery(
        id=row.id,
        encounter_id=row.encounter_id,
        version=row.version,
        destination=row.destination,
        state=DeliveryState(row.state),
        attempts=row.attempts if attempts is None else attempts,
        reason=row.reason,
        items=json.loads(row.items),
    )
