"""The queue as a table of the ledger, in SQLite or PostgreSQL."""

import json
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select, update

from osler.domain.events import Deidentified, DeidentifiedInstance, Job
from osler.domain.states import AgeBand, JobState, Priority
from osler.errors import IntegrityError, NotFound
from osler.queue.port import Entry
from osler.storage.database import Database, insert_ignore
from osler.storage.tables import job as table

_RANK: Final = {Priority.HIGH.value: 0, Priority.MEDIUM.value: 1, Priority.LOW.value: 2}
_LONGEST_BACKOFF_S: Final = 600.0
_LONGEST_REASON: Final = 300


class EmbeddedQueue:
    """See :class:`osler.queue.port.Queue`.

    Parameters
    ----------
    database : Database
    lease_s : float
        How long a claim holds without a sign from its holder, seconds.
    max_attempts : int
        Claims before a job that never completes is set aside.
    backoff_s : float
        Wait before the second attempt, seconds; doubles with each further one, up to ten minutes.
    ageing_s : float
        A waiting job gains one priority after each such time, seconds.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        database: Database,
        *,
        lease_s: float = 30.0,
        max_attempts: int = 4,
        backoff_s: float = 2.0,
        ageing_s: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._backoff_s = backoff_s
        self._ageing_s = ageing_s
        self._clock = clock

    def put(self, connection: Connection, study: Deidentified, model: str) -> bool:
        """Add a job; see the port."""
        if not isinstance(study, Deidentified):
            raise IntegrityError("only a de-identified study may be queued")
        now = self._clock()
        row = {
            "id": secrets.token_hex(16),
            "idempotency_key": f"{study.study_instance_uid}/{study.revision}/{model}",
            "study_uid": study.study_instance_uid,
            "revision": study.revision,
            "model": model,
            "priority": study.priority.value,
            "state": JobState.SCHEDULED.value,
            "body": _body(study),
            "attempts": 0,
            "available_at": now,
            "dead": False,
            "created_at": now,
        }
        return insert_ignore(connection, table, [row]) == 1

    def claim(self, owner: str, *, models: Sequence[str], limit: int, now: float | None = None) -> list[Job]:
        """Lease jobs of one model; see the port."""
        at = self._clock() if now is None else now
        waiting = and_(table.c.model.in_(models), or_(_ready(at), self._spent(at)))
        with self._database.read() as connection:  # an idle worker must not keep the writer busy
            if connection.execute(select(table.c.id).where(waiting).limit(1)).first() is None:
                return []
        return self._database.write(lambda connection: self._claim(connection, owner, models, limit, at))

    def _claim(self, connection: Connection, owner: str, models: Sequence[str], limit: int, now: float) -> list[Job]:
        connection.execute(
            update(table)
            .where(self._spent(now))
            .values(
                **_finished(JobState.CANCELED, now),
                dead=True,
                reason=f"the worker ended or gave no sign, {self._max_attempts} times",
            )
        )
        urgent = (
            select(table.c.id, table.c.model)
            .where(_ready(now))
            .order_by(*self._order())
            .with_for_update(skip_locked=True)  # PostgreSQL; SQLite's writer is alone anyway
        )
        found = connection.execute(urgent.where(table.c.model.in_(models)).limit(1)).all()
        if not found:
            return []
        if limit > 1:
            found = connection.execute(urgent.where(table.c.model == found[0].model).limit(limit)).all()
        ids = [row.id for row in found]
        rows = {row.id: row for row in connection.execute(select(table).where(table.c.id.in_(ids)))}
        lease = f"{owner}#{secrets.token_hex(8)}"  # new with each claim: it is what fences off a former holder
        connection.execute(
            update(table)
            .where(table.c.id.in_(ids))
            .values(
                state=JobState.IN_PROGRESS.value,
                attempts=table.c.attempts + 1,
                lease_owner=lease,
                lease_until=now + self._lease_s,
                started_at=func.coalesce(table.c.started_at, now),
            )
        )
        return [_job(rows[id_], lease, now + self._lease_s) for id_ in ids]

    def extend(self, jobs: Sequence[Job], now: float | None = None) -> list[Job]:
        """Renew leases; see the port."""
        until = (self._clock() if now is None else now) + self._lease_s

        def change(connection: Connection) -> list[Job]:
            held = [job for job in jobs if _change_held(connection, job, {"lease_until": until})]
            return [replace(job, lease_until=until) for job in held]

        return self._database.write(change) if jobs else []

    def complete(self, connection: Connection, job: Job) -> bool:
        """Complete a job; see the port."""
        return _change_held(connection, job, {**_finished(JobState.COMPLETED, self._clock()), "reason": None})

    def fail(self, job: Job, reason: str, *, retryable: bool = True) -> bool:
        """Put back or set aside; see the port."""
        now = self._clock()
        if retryable and job.attempts < self._max_attempts:
            wait = min(self._backoff_s * 2.0 ** (job.attempts - 1), _LONGEST_BACKOFF_S)
            values: dict[str, Any] = _scheduled(now + wait)
        else:
            values = {**_finished(JobState.CANCELED, now), "dead": True}
        values["reason"] = reason[:_LONGEST_REASON]
        return self._database.write(lambda connection: _change_held(connection, job, values))

    def release(self, job: Job, reason: str) -> bool:
        """Give back without counting the attempt; see the port."""
        values = {
            **_scheduled(self._clock() + self._backoff_s),
            "attempts": job.attempts - 1,
            "reason": reason[:_LONGEST_REASON],
        }
        return self._database.write(lambda connection: _change_held(connection, job, values))

    def entries(self, *, states: Collection[JobState] = (), dead: bool | None = None, limit: int = 1000) -> list[Entry]:
        """List jobs; see the port."""
        query = select(table).order_by(*self._order()).limit(limit)
        if states:
            query = query.where(table.c.state.in_([state.value for state in states]))
        if dead is not None:
            query = query.where(table.c.dead.is_(dead))
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """Count jobs; see the port."""
        found = dict.fromkeys([*(state.value for state in JobState), "dead"], 0)
        query = select(table.c.state, table.c.dead, func.count()).group_by(table.c.state, table.c.dead)
        with self._database.read() as connection:
            for state, dead, count in connection.execute(query):
                found[state] += count
                found["dead"] += count if dead else 0
        return found

    def retry(self, job_id: str, *, connection: Connection | None = None) -> bool:
        """Schedule a canceled job anew; see the port."""
        values = {
            **_scheduled(self._clock()),
            "attempts": 0,
            "dead": False,
            "reason": None,
            "started_at": None,
            "finished_at": None,
        }
        return self._operate(job_id, table.c.state == JobState.CANCELED.value, values, connection)

    def discard(self, job_id: str, *, connection: Connection | None = None) -> bool:
        """Cancel a job for good; see the port."""
        values = {**_finished(JobState.CANCELED, self._clock()), "dead": False, "reason": "discarded by an operator"}
        open_or_dead = or_(
            table.c.state.in_([JobState.SCHEDULED.value, JobState.IN_PROGRESS.value]), table.c.dead.is_(True)
        )
        return self._operate(job_id, open_or_dead, values, connection)

    def _operate(
        self, job_id: str, condition: ColumnElement[bool], values: dict[str, Any], connection: Connection | None
    ) -> bool:
        def change(connection: Connection) -> bool:
            if connection.execute(select(table.c.id).where(table.c.id == job_id)).first() is None:
                raise NotFound("there is no such job")
            statement = update(table).where(table.c.id == job_id, condition).values(**values)
            return connection.execute(statement).rowcount == 1

        return self._database.write(change) if connection is None else change(connection)

    def _order(self) -> tuple[ColumnElement[Any], ...]:
        """Order by when a job of the highest priority would have had to arrive to be as urgent now.

        To gain one priority each ``ageing_s`` is the same as to have arrived ``ageing_s`` later for each priority
        below the highest, and that sum does not change while the job waits.
        """
        rank = case(_RANK, value=table.c.priority, else_=len(_RANK))
        return (table.c.created_at + rank * self._ageing_s, table.c.created_at, table.c.id)

    def _spent(self, now: float) -> ColumnElement[bool]:
        """Jobs whose last lease ended without a sign: they may be what ends the workers."""
        return and_(_expired(now), table.c.attempts >= self._max_attempts)


def _expired(now: float) -> ColumnElement[bool]:
    return and_(table.c.state == JobState.IN_PROGRESS.value, table.c.lease_until <= now)


def _ready(now: float) -> ColumnElement[bool]:
    return or_(and_(table.c.state == JobState.SCHEDULED.value, table.c.available_at <= now), _expired(now))


def _scheduled(available_at: float) -> dict[str, Any]:
    return {
        "state": JobState.SCHEDULED.value,
        "available_at": available_at,
        "lease_owner": None,
        "lease_until": None,
    }


def _finished(state: JobState, now: float) -> dict[str, Any]:
    return {"state": state.value, "finished_at": now, "lease_owner": None, "lease_until": None}


def _change_held(connection: Connection, job: Job, values: dict[str, Any]) -> bool:
    """Change a job if the lease is still the one that it was claimed with."""
    statement = update(table).where(
        table.c.id == job.id, table.c.state == JobState.IN_PROGRESS.value, table.c.lease_owner == job.lease_owner
    )
    return connection.execute(statement.values(**values)).rowcount == 1


def _body(study: Deidentified) -> str:
    instances = [[i.sop_instance_uid, i.series_instance_uid, i.sop_class_uid, i.blob] for i in study.instances]
    return json.dumps({"age_band": study.age_band.value, "instances": instances}, separators=(",", ":"))


def _job(row: Row[Any], lease: str, lease_until: float) -> Job:
    body = json.loads(row.body)
    study = Deidentified(
        study_instance_uid=row.study_uid,
        revision=row.revision,
        instances=tuple(DeidentifiedInstance(*instance) for instance in body["instances"]),
        age_band=AgeBand(body["age_band"]),
        priority=Priority(row.priority),
    )
    return Job(row.id, row.model, study, row.attempts + 1, lease, lease_until)


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        model=row.model,
        study_instance_uid=row.study_uid,
        revision=row.revision,
        priority=Priority(row.priority),
        state=JobState(row.state),
        dead=row.dead,
        attempts=row.attempts,
        reason=row.reason,
        created_at=row.created_at,
        available_at=row.available_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
