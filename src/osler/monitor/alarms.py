"""The alarms of drift: opened by the look that first sees a change, closed when it has not been seen for long."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from osler.monitor.cases import last_seq
from osler.monitor.drift import WINDOWS, Change
from osler.storage.database import insert_ignore
from osler.storage.tables import drift_alarm as alarms
from osler.storage.tables import drift_watch as watches

_UNSEEN: Final = 2 * max(WINDOWS)


@dataclass(frozen=True, slots=True)
class Watch:
    """How far the watch of a model has come.

    Parameters
    ----------
    reference_seq : int
        The reference begins after this case.
    looked_seq : int
        The last case at the last look.
    looked_at : float
        Seconds since the epoch, UTC.
    changes : tuple of dict
        What the last look saw, see :meth:`osler.monitor.drift.Change.document`.
    """

    model: str
    reference_seq: int
    looked_seq: int
    looked_at: float
    changes: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Alarm:
    """One change of one variable in one stream of a model's cases, seen for the first time at ``opened_at``."""

    id: str
    model: str
    stream: str
    variable: str
    kind: str
    psi: float
    chance: float
    opened_at: float
    closed_at: float | None = None


def watch_of(connection: Connection, model: str) -> Watch | None:
    """Return the watch of a model; None before its reference is whole."""
    row = connection.execute(select(watches).where(watches.c.model == model)).first()
    if row is None:
        return None
    return Watch(row.model, row.reference_seq, row.looked_seq, row.looked_at, tuple(json.loads(row.changes)))


def begin(connection: Connection, model: str, *, now: float) -> None:
    """Begin to watch a model from its first case on, or do nothing when that has begun."""
    row = {"model": model, "reference_seq": 0, "looked_seq": 0, "looked_at": now, "changes": "[]"}
    insert_ignore(connection, watches, [row])


def new_reference(connection: Connection, model: str, *, now: float) -> None:
    """Take what comes from now on as the reference, and close the alarms: what changed is how it shall be."""
    begin(connection, model, now=now)
    seq = last_seq(connection, model)
    connection.execute(
        update(watches)
        .where(watches.c.model == model)
        .values(reference_seq=seq, looked_seq=seq, looked_at=now, changes="[]")
    )
    open_ones = (alarms.c.model == model, alarms.c.closed_at.is_(None))
    connection.execute(update(alarms).where(*open_ones).values(closed_at=now))


def note(
    connection: Connection, before: Watch, changes: Sequence[Change], *, seq: int, now: float
) -> list[Alarm] | None:
    """Write a look down: open the alarms that are new, close those that have not been seen for long.

    Returns
    -------
    list of Alarm or None
        The new ones, one a variable and stream; None when another process has looked meanwhile.
    """
    mine = (watches.c.model == before.model, watches.c.looked_seq == before.looked_seq)
    seen = json.dumps([change.document() for change in changes])
    moved = update(watches).where(*mine).values(looked_seq=seq, looked_at=now, changes=seen)
    if not connection.execute(moved).rowcount:
        return None
    opened: list[Alarm] = []
    known = {(row.stream, row.variable): row.id for row in _open(connection, before.model)}
    for change in sorted((c for c in changes if c.stands_out), key=lambda c: c.chance):
        key = (change.stream, change.variable)
        if key in known:
            figures = {"seen_seq": seq, "psi": change.psi, "chance": change.chance}
            connection.execute(update(alarms).where(alarms.c.id == known[key]).values(figures))
            continue
        alarm = Alarm(
            secrets.token_hex(12), before.model, *key, change.kind, psi=change.psi, chance=change.chance, opened_at=now
        )
        row = {name: getattr(alarm, name) for name in Alarm.__dataclass_fields__}
        connection.execute(alarms.insert().values(row | {"seen_seq": seq}))
        known[key] = alarm.id
        opened.append(alarm)
    gone = (alarms.c.model == before.model, alarms.c.closed_at.is_(None), alarms.c.seen_seq <= seq - _UNSEEN)
    connection.execute(update(alarms).where(*gone).values(closed_at=now))
    return opened


def open_alarms(connection: Connection, model: str = "") -> list[Alarm]:
    """Return the open alarms, of one model or of all."""
    return [_alarm(row) for row in _open(connection, model)]


def untold(connection: Connection) -> list[Alarm]:
    """Return the alarms that have not gone out yet."""
    waiting = select(alarms).where(alarms.c.told_at.is_(None)).order_by(alarms.c.opened_at, alarms.c.id)
    return [_alarm(row) for row in connection.execute(waiting)]


def told(connection: Connection, ids: Sequence[str], *, now: float) -> None:
    """Note that alarms have gone out."""
    connection.execute(update(alarms).where(alarms.c.id.in_(ids)).values(told_at=now))


def _open(connection: Connection, model: str) -> list[Row[Any]]:
    query = select(alarms).where(alarms.c.closed_at.is_(None))
    if model:
        query = query.where(alarms.c.model == model)
    return list(connection.execute(query.order_by(alarms.c.opened_at, alarms.c.stream, alarms.c.variable)))


def _alarm(row: Row[Any]) -> Alarm:
    return Alarm(**{name: getattr(row, name) for name in Alarm.__dataclass_fields__})
