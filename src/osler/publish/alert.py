"""Alerts: raised when a critical finding is recorded, sent again until a person acknowledges them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from osler.config import ALERTING, Destination
from osler.domain.states import DeliveryState
from osler.errors import NotFound
from osler.storage.database import insert_ignore
from osler.storage.tables import alert, outbox

_NAMESPACE: Final = uuid.UUID("52c9f0d1-8a40-4c66-bb0e-0c1f6f1f6a0e")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Parameters
    ----------
    id, inference_id : str
    level : int
        How often it was sent again.
    raised_at, escalate_at, acknowledged_at : float or None
        Seconds since the epoch, UTC. ``escalate_at`` is None when it will not be sent again.
    acknowledged_by : str or None
    """

    id: str
    inference_id: str
    level: int
    raised_at: float
    escalate_at: float | None = None
    acknowledged_at: float | None = None
    acknowledged_by: str | None = None


def alerts(connection: Connection, *, open_only: bool = False) -> list[Alert]:
    """List the alerts, the latest first."""
    query = select(alert).order_by(alert.c.raised_at.desc(), alert.c.id)
    if open_only:
        query = query.where(alert.c.acknowledged_at.is_(None))
    return [_alert(row) for row in connection.execute(query)]


def alert_of(connection: Connection, inference_id: str) -> Alert | None:
    """Return the alert that an inference raised, if it raised one."""
    row = connection.execute(select(alert).where(alert.c.inference_id == inference_id)).first()
    return None if row is None else _alert(row)


def acknowledge(connection: Connection, alert_id: str, *, by: str, now: float) -> Alert:
    """Note that a person has taken an alert in hand; it is not sent again. The first acknowledgement stands.

    Raises
    ------
    NotFound
        If there is no such alert.
    """
    connection.execute(
        update(alert)
        .where(alert.c.id == alert_id, alert.c.acknowledged_at.is_(None))
        .values(state="acknowledged", acknowledged_at=now, acknowledged_by=by, escalate_at=None)
    )
    row = connection.execute(select(alert).where(alert.c.id == alert_id)).first()
    if row is None:
        raise NotFound("no alert has that id")
    return _alert(row)


def escalate(
    connection: Connection, *, destinations: Sequence[Destination], now: float, escalate_s: float, max_escalations: int
) -> list[Alert]:
    """Plan to send again every alert that nobody has acknowledged in time.

    Returns
    -------
    list of Alert
        The alerts that were escalated, with their new level.
    """
    waiting = select(alert).where(alert.c.acknowledged_at.is_(None), alert.c.escalate_at <= now)
    escalated = []
    for row in connection.execute(waiting.with_for_update(skip_locked=True)).all():
        level = row.level + 1
        again_at = now + escalate_s if level < max_escalations else None
        connection.execute(update(alert).where(alert.c.id == row.id).values(level=level, escalate_at=again_at))
        insert_ignore(
            connection, outbox, [_sending(row, d.name, level, now) for d in destinations if d.kind in ALERTING]
        )
        escalated.append(Alert(row.id, row.inference_id, level, row.raised_at, again_at))
    return escalated


def next_escalation(connection: Connection) -> float | None:
    """Return when the next alert is to be sent again, seconds since the epoch; None when none is."""
    return connection.execute(
        select(alert.c.escalate_at)
        .where(alert.c.acknowledged_at.is_(None), alert.c.escalate_at.is_not(None))
        .order_by(alert.c.escalate_at)
        .limit(1)
    ).scalar_one_or_none()


def _sending(row: Row[Any], destination: str, level: int, now: float) -> dict[str, Any]:
    key = f"{row.inference_id}/alert/{destination}/{level}"
    return {
        "id": str(uuid.uuid5(_NAMESPACE, key)),
        "idempotency_key": key,
        "inference_id": row.inference_id,
        "kind": "alert",
        "destination": destination,
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "available_at": now,
        "created_at": now,
    }


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        row.id, row.inference_id, row.level, row.raised_at, row.escalate_at, row.acknowledged_at, row.acknowledged_by
    )
