"""The jobs of the ledger: what every queue does in the same way, in SQLite or PostgreSQL.

How a job finds its worker differs (:mod:`osler.queue.embedded`, :mod:`osler.queue.brokered`); that it is leased, ends
once, and is never lost is decided here.
"""

import json
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, not_, or_, select, update

from osler.domain.events import Deidentified, DeidentifiedInstance, Job
from osler.domain.states import AgeBand, JobState, Priority
from osler.errors import IntegrityError, NotFound
from osler.queue.port import Entry
from osler.storage.database import Database, insert_ignore
from osler.storage.due import due, in_turn
from osler.storage.notify import announce
from osler.storage.tables import job as table

_RANK: Final = {Priority.HIGH.value: 0, Priority.MEDIUM.value: 1, Priority.LOW.value: 2}
_LONGEST_BACKOFF_S: Final = 600.0
_LONGEST_REASON: Final = 300


class Terms(TypedDict, total=False):
    """The keyword parameters of a :class:`JobLedger`."""

    lease_s: float
    max_attempts: int
    backoff_s: float
    ageing_s: float
    share_s: float
    clock: Callable[[], float]


_USUAL: Final[Terms] = {
    "lease_s": 30.0,
    "max_attempts": 4,
    "backoff_s": 2.0,
    "ageing_s": 120.0,
    "share_s": 1.0,
    "clock": time.time,
}


class JobLedger:
    """All of :class:`osler.queue.port.Queue` but ``claim``.

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
    share_s : float
        The jobs of one site that wait take turns as if they had come so far apart, seconds, so that those of other
        sites go between; no turn is put off by more than ``ageing_s``.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, database: Database, **terms: Unpack[Terms]) -> None:
        given: Terms = {**_USUAL, **terms}
        self._database = database
        self._lease_s = given["lease_s"]
        self._max_attempts = given["max_attempts"]
        self._backoff_s = given["backoff_s"]
        self._ageing_s = given["ageing_s"]
        self._share_s = given["share_s"]
        self._clock = given["clock"]

    def put(self, connection: Connection, study: Deidentified, model: str, *, site: str = "") -> bool:
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
            "site": site,
            "turn": self._turn(connection, site, study.priority, now),
            "state": JobState.SCHEDULED.value,
            "body": _body(study),
            "attempts": 0,
            "available_at": now,
            "dead": False,
            "created_at": now,
        }
        announce(connection, "infer")
        return insert_ignore(connection, table, [row]) == 1

    def lease(self, owner: str, job_ids: Sequence[str], now: float | None = None) -> list[Job]:
        """Claim jobs by id; those that may not be claimed now are left out.

        A job whose time has not come is marked unpublished: whatever announced it came too early.
        """
        at = self._clock() if now is None else now

        def change(connection: Connection) -> list[Job]:
            chosen = table.c.id.in_(job_ids)
            self._bury_spent(connection, at)
            jobs = self._take(connection, owner, job_ids, at)
            if len(jobs) < len(job_ids):
                early = and_(table.c.state == JobState.SCHEDULED.value, not_(due(table.c.available_at, at)))
                connection.execute(update(table).where(chosen, early).values(published_at=None))
            return jobs

        return self._database.write(change) if job_ids else []

    def _bury_spent(self, connection: Connection, now: float) -> None:
        connection.execute(
            update(table)
            .where(self._spent(now))
            .values(**_dead(now), reason=f"the worker ended or gave no sign, {self._max_attempts} times")
        )

    def _take(self, connection: Connection, owner: str, job_ids: Sequence[str], now: float) -> list[Job]:
        """Lease those of the jobs that are ready, in the order given, within a transaction."""
        lease = f"{owner}#{secrets.token_hex(8)}"  # new with each claim: it is what fences off a former holder
        taken = (
            update(table)
            .where(table.c.id.in_(job_ids), ready(now))
            .values(
                state=JobState.IN_PROGRESS.value,
                attempts=table.c.attempts + 1,
                lease_owner=lease,
                lease_until=now + self._lease_s,
                started_at=func.coalesce(table.c.started_at, now),
            )
            .returning(table)
        )
        rows = {row.id: row for row in connection.execute(taken)}
        return [_job(rows[id_], lease, now + self._lease_s) for id_ in job_ids if id_ in rows]

    def extend(self, jobs: Sequence[Job], now: float | None = None) -> list[Job]:
        """Renew leases; see the port."""
        until = (self._clock() if now is None else now) + self._lease_s

        def change(connection: Connection) -> list[Job]:
            held = [job for job in jobs if _change_held(connection, job, {"lease_until": until})]
            return [replace(job, lease_until=until) for job in held]

        return self._database.write(change) if jobs else []

    def held(self, connection: Connection, job_id: str, lease: str) -> Job | None:
        """Return a job by its lease; see the port."""
        query = select(table).where(
            table.c.id == job_id, table.c.state == JobState.IN_PROGRESS.value, table.c.lease_owner == lease
        )
        row = connection.execute(query).first()
        return None if row is None else _job(row, lease, row.lease_until)

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
            values = _dead(now)
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
        query = select(table).order_by(*self._order(self._clock())).limit(limit)
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

    def _turn(self, connection: Connection, site: str, priority: Priority, now: float) -> float:
        """Return when a job counts as having arrived: after those of its site and priority that wait."""
        if not site:
            return now
        waiting = select(func.max(table.c.turn)).where(
            table.c.site == site, table.c.priority == priority.value, table.c.state == JobState.SCHEDULED.value
        )
        last = connection.execute(waiting).scalar_one()
        return now if last is None else min(max(now, last + self._share_s), now + self._ageing_s)

    def _order(self, now: float) -> tuple[ColumnElement[Any], ...]:
        """Order by when a job of the highest priority would have had to take its turn to be as urgent now.

        To gain one priority each ``ageing_s`` is the same as to have arrived ``ageing_s`` later for each priority
        below the highest, and that sum does not change while the job waits.
        """
        rank = case(_RANK, value=table.c.priority, else_=len(_RANK))
        return (in_turn(table.c.turn, now) + rank * self._ageing_s, table.c.created_at, table.c.id)

    def _spent(self, now: float) -> ColumnElement[bool]:
        """Jobs whose last lease ended without a sign: they may be what ends the workers."""
        return and_(expired(now), table.c.attempts >= self._max_attempts)


def expired(now: float) -> ColumnElement[bool]:
    """Tell which jobs have lost their worker."""
    return and_(table.c.state == JobState.IN_PROGRESS.value, due(table.c.lease_until, now))


def ready(now: float) -> ColumnElement[bool]:
    """Tell which jobs may be claimed: scheduled and due, or leased and given up."""
    return or_(and_(table.c.state == JobState.SCHEDULED.value, due(table.c.available_at, now)), expired(now))


def _scheduled(available_at: float) -> dict[str, Any]:
    return {
        "state": JobState.SCHEDULED.value,
        "available_at": available_at,
        "lease_owner": None,
        "lease_until": None,
        "published_at": None,
    }


def _dead(now: float) -> dict[str, Any]:
    return {**_finished(JobState.CANCELED, now), "dead": True, "published_at": None}


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
    body = {"age_band": study.age_band.value, "instances": instances, "trace": study.trace}
    return json.dumps(body, separators=(",", ":"))


def _job(row: Row[Any], lease: str, lease_until: float) -> Job:
    body = json.loads(row.body)
    study = Deidentified(
        study_instance_uid=row.study_uid,
        revision=row.revision,
        instances=tuple(DeidentifiedInstance(*instance) for instance in body["instances"]),
        age_band=AgeBand(body["age_band"]),
        priority=Priority(row.priority),
        trace=body.get("trace", ""),
    )
    return Job(row.id, row.model, study, row.attempts, lease, lease_until)


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
