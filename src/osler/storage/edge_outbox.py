"""What an edge has to forward to its hub, and how far it has come.

::

    new ──▶ waiting ──▶ forwarded ──▶ answered
     │         └──▶ refused   └──▶ refused        a person must look
     └──▶ skipped                                 there was no room for it

A later revision of a study has all instances of the earlier one, which is then superseded unless the hub has it
already. Every function joins the transaction of its caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, case, exists, func, or_, select, update

from osler.domain.events import Deidentified, Job
from osler.domain.manifest import dumps, loads, manifest_of
from osler.domain.states import JobState, Priority, StudyState
from osler.storage.database import insert_ignore
from osler.storage.due import due
from osler.storage.studies import forget_files, reopen
from osler.storage.tables import edge_outbox as table
from osler.storage.tables import job
from osler.storage.tables import study as own_study


class State(StrEnum):
    """How far a study has come on its way to the hub."""

    NEW = "new"
    WAITING = "waiting"
    SKIPPED = "skipped"
    FORWARDED = "forwarded"
    ANSWERED = "answered"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


_ORDER: Final = case({Priority.HIGH.value: 0, Priority.MEDIUM.value: 1}, value=table.c.priority, else_=2)
_SENT: Final = (State.FORWARDED, State.ANSWERED)


@dataclass(frozen=True, slots=True)
class Entry:
    """A study on its way; times are seconds since the epoch, ``size`` the bytes of its files."""

    study: Deidentified
    state: State
    size: int
    kept: bool
    attempts: int
    reason: str | None
    created_at: float
    forwarded_at: float | None


def enqueue(connection: Connection, study: Deidentified, *, now: float) -> bool:
    """Note that a study is to go to the hub; False when this revision of it is noted already."""
    uid = study.study_instance_uid
    row = {
        "study_uid": uid,
        "revision": study.revision,
        "state": State.NEW,
        "priority": study.priority.value,
        "body": dumps(manifest_of(study)),
        "size": 0,
        "kept": True,
        "attempts": 0,
        "available_at": now,
        "created_at": now,
    }
    if not insert_ignore(connection, table, [row]):
        return False
    earlier = (table.c.study_uid == uid, table.c.revision < study.revision)
    connection.execute(update(table).where(*earlier).values(size=0, kept=False))  # the later one carries the files
    unsent = table.c.state.not_in(_SENT)
    connection.execute(update(table).where(*earlier, unsent).values(state=State.SUPERSEDED))
    return True


def first(connection: Connection, *states: State, now: float | None = None, limit: int = 1) -> list[Entry]:
    """Return entries in these states, the most urgent and then the oldest first.

    Parameters
    ----------
    now : float, optional
        Leave out those whose time has not come.
    """
    query = select(table).where(table.c.state.in_(states)).limit(limit)
    if now is not None:
        query = query.where(due(table.c.available_at, now))
    return [_entry(row) for row in connection.execute(query.order_by(_ORDER, table.c.created_at, table.c.study_uid))]


def find(connection: Connection, study_uid: str) -> Entry | None:
    """Return the last revision of a study."""
    query = select(table).where(table.c.study_uid == study_uid).order_by(table.c.revision.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _entry(row)


def change(connection: Connection, entry: Entry, state: State, **values: Any) -> bool:
    """Bring an entry into another state; False when it is in another already than it was."""
    return _change(connection, entry, state=state, **values)


def again(connection: Connection, study_uid: str, *, now: float) -> bool:
    """Forward a study that was skipped or refused; one whose files are gone is read once more, as a new revision.

    False when it is neither, or on its way already.
    """
    entry = find(connection, study_uid)
    if entry is None or entry.state not in (State.SKIPPED, State.REFUSED):
        return False
    return change(connection, entry, State.NEW) if entry.kept else reopen(connection, study_uid, at=now)


def put_off(connection: Connection, entry: Entry, *, until: float, reason: str | None) -> None:
    """Leave an entry in its state until its time comes."""
    _change(connection, entry, available_at=until, attempts=entry.attempts + 1, reason=reason)


def used_bytes(connection: Connection) -> int:
    """Return the bytes of all files that are kept."""
    return int(connection.execute(select(func.coalesce(func.sum(table.c.size), 0)).where(table.c.kept)).scalar_one())


def counts(connection: Connection) -> dict[str, int]:
    """Return how many studies stand in each state."""
    found = dict.fromkeys((state.value for state in State), 0)
    rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
    return found | {str(state): int(count) for state, count in rows}


def evictable(connection: Connection) -> Entry | None:
    """Return the study whose files may go first: the one that was forwarded longest ago, else one that cannot be.

    While a model still reads it here, or a person has to look at a job of it, it stays.
    """
    open_jobs = exists().where(
        job.c.study_uid == table.c.study_uid,
        or_(job.c.state.in_([JobState.SCHEDULED.value, JobState.IN_PROGRESS.value]), job.c.dead.is_(True)),
    )
    states = [*_SENT, State.SKIPPED]
    at_rest = exists().where(own_study.c.study_uid == table.c.study_uid, own_study.c.state == StudyState.QUEUED)
    query = select(table).where(table.c.kept, table.c.state.in_(states), at_rest, ~open_jobs)
    rank = case((table.c.state == State.SKIPPED, 1), else_=0)
    row = connection.execute(query.order_by(rank, table.c.forwarded_at, table.c.created_at).limit(1)).first()
    return None if row is None else _entry(row)


def forget(connection: Connection, entry: Entry) -> bool:
    """Note that the files of a study go; a later revision has them made anew from what was received.

    False when one is on its way, which needs them.
    """
    return forget_files(connection, entry.study.study_instance_uid)


def forgotten(connection: Connection, entry: Entry) -> None:
    """Note that they are gone."""
    _change(connection, entry, kept=False)


def answered_job(connection: Connection, study: Deidentified, model: str, *, now: float) -> Job:
    """Complete the job, just put, that stands for the work of the hub's model."""
    same = and_(job.c.study_uid == study.study_instance_uid, job.c.revision == study.revision, job.c.model == model)
    values = {"state": JobState.COMPLETED.value, "attempts": 1, "started_at": now, "finished_at": now}
    connection.execute(update(job).where(same).values(**values))
    job_id = connection.execute(select(job.c.id).where(same)).scalar_one()
    return Job(job_id, model, study, 1, "hub", now)


def _change(connection: Connection, entry: Entry, **values: Any) -> bool:
    return connection.execute(update(table).where(_same(entry)).values(**values)).rowcount == 1


def _same(entry: Entry) -> ColumnElement[bool]:
    study = entry.study
    return and_(
        table.c.study_uid == study.study_instance_uid,
        table.c.revision == study.revision,
        table.c.state == entry.state,
    )


def _entry(row: Row[Any]) -> Entry:
    manifest = loads(row.body)
    study = Deidentified(row.study_uid, row.revision, manifest.instances, manifest.age_band, manifest.priority)
    return Entry(
        study, State(row.state), row.size, row.kept, row.attempts, row.reason, row.created_at, row.forwarded_at
    )


def listed(entries: Sequence[Entry]) -> list[Mapping[str, object]]:
    """Return entries as rows for a person."""
    return [
        {
            "study_uid": e.study.study_instance_uid,
            "revision": e.study.revision,
            "state": e.state.value,
            "bytes": e.size if e.kept else 0,
            "attempts": e.attempts,
            "reason": e.reason,
        }
        for e in entries
    ]
