"""What stands in the ledger now, as values of gauges: for Prometheus and for ``osler top``."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from osler.domain.states import DeliveryState, JobState, Priority, StudyState
from osler.metrics import Figures
from osler.storage.tables import alert, audit_head, job, outbox, quarantine, study

Values = dict[tuple[str, ...], float]
_HERE: Final = "fhir"  # what the metrics call the hub's own store


def standing(connection: Connection, now: float) -> Figures:
    """Read the ledger.

    Parameters
    ----------
    connection : Connection
    now : float
        Seconds since the epoch, UTC.
    """
    scheduled = job.c.state == JobState.SCHEDULED.value
    pending, failed = outbox.c.state == DeliveryState.PENDING, outbox.c.state == DeliveryState.FAILED
    before_queue = study.c.state.in_((StudyState.RECEIVING, StudyState.COMPLETE))
    destination = outbox.c.destination
    unacknowledged = alert.c.acknowledged_at.is_(None)
    held = quarantine.c.state == "held"
    entries = connection.execute(select(audit_head.c.seq)).scalar_one_or_none()
    return Figures(
        {
            "osler_jobs": _grouped(connection, func.count(), (job.c.state, job.c.priority)),
            "osler_jobs_dead": {(): _one(connection, select(func.count()).where(job.c.dead.is_(True)))},
            "osler_queue_age_seconds": {(priority.value,): 0.0 for priority in Priority}
            | _ages(_grouped(connection, func.min(job.c.created_at), (job.c.priority,), scheduled), now),
            "osler_studies_waiting": _grouped(connection, func.count(), (study.c.state,), before_queue),
            "osler_quarantine_held": {(): _one(connection, select(func.count()).select_from(quarantine).where(held))},
            "osler_deliveries_waiting": _named(_grouped(connection, func.count(), (destination,), pending)),
            "osler_deliveries_failed": _named(_grouped(connection, func.count(), (destination,), failed)),
            "osler_outbox_age_seconds": _named(
                _ages(_grouped(connection, func.min(outbox.c.created_at), (destination,), pending), now)
            ),
            "osler_alerts_open": {(): _one(connection, select(func.count()).select_from(alert).where(unacknowledged))},
            "osler_alert_age_seconds": _ages(
                {(): _one(connection, select(func.min(alert.c.raised_at)).where(unacknowledged)) or now}, now
            ),
            "osler_audit_entries": {(): float(entries or 0)},
        }
    )


def _grouped(
    connection: Connection, value: Any, by: Iterable[ColumnElement[Any]], *where: ColumnElement[bool]
) -> Values:
    columns = tuple(by)
    rows = connection.execute(select(*columns, value).where(*where).group_by(*columns))
    return {tuple(map(str, row[:-1])): float(row[-1]) for row in rows}


def _one(connection: Connection, query: Any) -> float:
    return float(connection.execute(query).scalar_one() or 0)


def _ages(since: Values, now: float) -> Values:
    return {labels: max(0.0, now - at) for labels, at in since.items()}


def _named(values: Values) -> Values:
    return {(destination or _HERE,): value for (destination,), value in values.items()}
