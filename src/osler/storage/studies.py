"""The ledger of studies and instances: filing, completion, the outcome of de-identification.

Every function joins the transaction of its caller.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, case, exists, func, select, update

from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import Priority, StudyState
from osler.storage.database import insert_ignore
from osler.storage.due import due, in_turn
from osler.storage.notify import announce
from osler.storage.tables import instance, quarantine, study

DAMAGED: Final = "damaged"
"""State of an instance whose file is not what was received, and rule of its quarantine. It may be sent again."""
DISCARDED: Final = "discarded"
"""State of an instance that a person has discarded; its file is gone. It may be sent again."""


class Filed(StrEnum):
    """What filing one instance came to."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    MISMATCH = "patient-mismatch"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One instance to be filed; ``*_lookup`` are keyed indices, ``blob`` the identified blob."""

    study_lookup: bytes
    patient_lookup: bytes
    sop_lookup: bytes
    blob: str
    size: int
    sop_class_uid: str
    transfer_syntax_uid: str
    source: str
    priority: Priority
    received_at: float


@dataclass(frozen=True, slots=True)
class FiledInstance:
    """Where an arrival was filed.

    ``first`` says that it opened a study or a new revision of it, ``again`` that it came before, and was damaged or
    discarded.
    """

    outcome: Filed
    study_id: str
    revision: int
    first: bool = False
    again: bool = False


class Refused(NamedTuple):
    """An instance that could not be made safe: the rule that refused, and the reason without any value."""

    instance_id: str
    rule: str
    reason: str


def new_id() -> str:
    """Return a fresh random row id."""
    return secrets.token_hex(12)


def file_instance(connection: Connection, arrival: Arrival) -> FiledInstance:
    """File one instance under its study, opening the study or a new revision of it when needed.

    The same instance again changes nothing. Other bytes under the same SOP Instance UID are kept apart. An instance
    that names another patient than its study is held in quarantine.
    """
    row = _study_row(connection, arrival)
    known = connection.execute(
        select(instance.c.id, instance.c.blob, instance.c.state).where(instance.c.lookup == arrival.sop_lookup)
    ).all()
    same = next((k for k in known if k.blob == arrival.blob), None)
    known = [k for k in known if k.state != DISCARDED]
    barred = any(k.blob != arrival.blob for k in known) or row.patient_lookup != arrival.patient_lookup
    if same is not None and not (same.state == DAMAGED or (same.state == DISCARDED and not barred)):
        return FiledInstance(Filed.DUPLICATE, row.id, row.revision)
    if same is not None:
        return _take_again(connection, row, same.id, arrival)
    outcome = Filed.NEW
    if known:
        outcome = Filed.CONFLICT
    elif row.patient_lookup != arrival.patient_lookup:
        outcome = Filed.MISMATCH
    revision, first = row.revision, row.first_received_at == row.last_received_at == arrival.received_at
    if outcome is Filed.NEW:
        revision, opened = _touch(connection, row.id, arrival)
        first = first or opened
    instance_id = new_id()
    state = {Filed.NEW: "received", Filed.CONFLICT: "conflict", Filed.MISMATCH: "quarantined"}[outcome]
    connection.execute(
        instance.insert().values(
            id=instance_id,
            study_id=row.id,
            lookup=arrival.sop_lookup,
            blob=arrival.blob,
            size=arrival.size,
            sop_class_uid=arrival.sop_class_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            source=arrival.source,
            revision=revision,
            state=state,
            received_at=arrival.received_at,
        )
    )
    if outcome is not Filed.NEW:
        reason = {
            Filed.CONFLICT: "other content under a SOP Instance UID that was received before",
            Filed.MISMATCH: "the instance names another patient than the rest of its study",
        }[outcome]
        rule = "uid-conflict" if outcome is Filed.CONFLICT else "patient-mismatch"
        hold(connection, study_id=row.id, refused=Refused(instance_id, rule, reason), at=arrival.received_at)
    return FiledInstance(outcome, row.id, revision, first)


def complete_studies(connection: Connection, *, now: float, quiet_s: float, force_s: float) -> list[tuple[str, int]]:
    """Mark the studies complete that have been quiet long enough, or that have waited the longest time.

    Returns
    -------
    list of (study id, revision)
    """
    receiving = select(study.c.id, study.c.revision).where(
        study.c.state == StudyState.RECEIVING,
        due(study.c.last_received_at, now - quiet_s) | (study.c.first_received_at <= now - force_s),
    )
    done = [(row.id, row.revision) for row in connection.execute(receiving.with_for_update())]
    if done:
        connection.execute(
            update(study)
            .where(study.c.id.in_([i for i, _ in done]))
            .values(state=StudyState.COMPLETE, completed_at=now, owner=None, lease_until=None, attempts=0)
        )
        announce(connection, "deidentify")
    return done


class WaitingInstance(NamedTuple):
    """An identified instance that waits; ``reviewed`` says that a person has released it from quarantine."""

    instance_id: str
    blob: str
    reviewed: bool


@dataclass(frozen=True, slots=True)
class StudyClaim:
    """A complete study that this process de-identifies; ``instances`` are not yet done."""

    study_id: str
    revision: int
    priority: Priority
    attempts: int
    instances: tuple[WaitingInstance, ...]


def claim_complete(connection: Connection, *, owner: str, now: float, lease_s: float) -> StudyClaim | None:
    """Claim the next complete study for de-identification; urgent ones first."""
    # An owner has one at a time: what it has claimed already it could not close, because the database was away.
    free = study.c.lease_until.is_(None) | due(study.c.lease_until, now) | (study.c.owner == owner)
    row = connection.execute(
        select(study)
        .where(study.c.state == StudyState.COMPLETE, free)
        .order_by(_rank(), in_turn(study.c.completed_at, now))
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    connection.execute(
        update(study)
        .where(study.c.id == row.id)
        .values(owner=owner, lease_until=now + lease_s, attempts=study.c.attempts + 1)
    )
    released = exists().where(
        quarantine.c.instance_id == instance.c.id,
        quarantine.c.state == "released",
        quarantine.c.decided_by.is_not(None),
    )
    waiting = connection.execute(
        select(instance.c.id, instance.c.blob, released.label("reviewed"))
        .where(instance.c.study_id == row.id, _waits())
        .order_by(instance.c.received_at, instance.c.id)
    )
    return StudyClaim(
        row.id,
        row.revision,
        Priority(row.priority),
        row.attempts + 1,
        tuple(WaitingInstance(w.id, w.blob, bool(w.reviewed)) for w in waiting),
    )


def extend_claim(connection: Connection, claim: StudyClaim, *, owner: str, until: float) -> None:
    """Keep a claim while the work goes on."""
    connection.execute(
        update(study).where(study.c.id == claim.study_id, study.c.owner == owner).values(lease_until=until)
    )


def release(connection: Connection, owner_prefix: str) -> None:
    """Free what former lives of a process held."""
    held = study.c.owner.startswith(owner_prefix, autoescape=True)
    connection.execute(update(study).where(held).values(owner=None, lease_until=None))


def postpone(connection: Connection, study_id: str, *, until: float) -> None:
    """Give a claim back; nobody takes it before ``until``."""
    connection.execute(update(study).where(study.c.id == study_id).values(owner=None, lease_until=until))


def mark_deidentified(connection: Connection, instance_id: str, made: DeidentifiedInstance) -> None:
    """Note that an instance is de-identified, and as what; one that waits no longer is left as it is."""
    connection.execute(
        update(instance)
        .where(instance.c.id == instance_id, _waits())
        .values(state="deidentified", deidentified_blob=made.blob)
        .values(sop_uid=made.sop_instance_uid, series_uid=made.series_instance_uid)
    )


def hold_refused(connection: Connection, claim: StudyClaim, refused: Refused, *, at: float) -> bool:
    """Put an instance of a claim into quarantine.

    False when it does not wait in this revision any more: another process held it, or a person has released it since.
    """
    state = DAMAGED if refused.rule == DAMAGED else "quarantined"
    held = connection.execute(
        update(instance)
        .where(instance.c.id == refused.instance_id, _waits(), instance.c.revision <= claim.revision)
        .values(state=state)
    )
    if held.rowcount:
        hold(connection, study_id=claim.study_id, refused=refused, at=at)
    return bool(held.rowcount)


def hold(connection: Connection, *, study_id: str, refused: Refused, at: float) -> None:
    """Write an instance into the quarantine's list with the reason."""
    row = {"id": new_id(), "study_id": study_id, "state": "held", "created_at": at}
    row |= {"instance_id": refused.instance_id, "rule": refused.rule, "reason": refused.reason}
    connection.execute(quarantine.insert(), row)


def deidentified_instances(connection: Connection, study_id: str) -> Sequence[DeidentifiedInstance]:
    """Return all instances of a study that are de-identified."""
    rows = connection.execute(
        select(instance)
        .where(instance.c.study_id == study_id, instance.c.state == "deidentified", ~_waits())
        .order_by(instance.c.series_uid, instance.c.received_at, instance.c.id)
    )
    return [DeidentifiedInstance(r.sop_uid, r.series_uid, r.sop_class_uid, r.deidentified_blob) for r in rows]


def forget_files(connection: Connection, study_uid: str) -> bool:
    """Note that the de-identified files of a study go; its next revision has them made anew.

    False when that is on its way.
    """
    query = select(study.c.id, study.c.state).where(study.c.study_uid == study_uid).with_for_update()
    row = connection.execute(query).one()
    if row.state != StudyState.QUEUED:
        return False
    mine = (instance.c.study_id == row.id, instance.c.state == "deidentified")
    connection.execute(update(instance).where(*mine).values(deidentified_blob=None))
    return True


def reopen(connection: Connection, study_uid: str, *, at: float) -> bool:
    """Have a study de-identified and read once more, as a new revision; False when one is on its way."""
    return (
        connection.execute(
            update(study)
            .where(study.c.study_uid == study_uid, study.c.state == StudyState.QUEUED)
            .values(
                state=StudyState.COMPLETE,
                revision=study.c.revision + 1,
                completed_at=at,
                owner=None,
                lease_until=None,
                attempts=0,
            )
        ).rowcount
        == 1
    )


def _waits() -> ColumnElement[bool]:
    """Tell which instances are to be de-identified: as they came, or since what was made of them was forgotten."""
    forgotten = (instance.c.state == "deidentified") & instance.c.deidentified_blob.is_(None)
    return (instance.c.state == "received") | forgotten


def close_revision(
    connection: Connection, claim: StudyClaim, safe: Deidentified | None, *, patient: str | None, accession: str | None
) -> bool:
    """Note the outcome of a revision; False when a newer revision has begun (it will carry these instances along)."""
    current = connection.execute(
        select(study.c.revision, study.c.state).where(study.c.id == claim.study_id).with_for_update()
    ).one()
    values: dict[str, object] = {"owner": None, "lease_until": None}
    if safe is not None:
        values |= {"study_uid": safe.study_instance_uid, "age_band": safe.age_band}
        values |= {"patient": patient, "accession": accession}
    still = bool(current.revision == claim.revision and current.state == StudyState.COMPLETE)
    if still:
        values["state"] = StudyState.QUEUED if safe is not None else StudyState.QUARANTINED
    connection.execute(update(study).where(study.c.id == claim.study_id).values(**values))
    return still


def counts(connection: Connection) -> dict[str, int]:
    """Return how many studies stand in each state."""
    rows = connection.execute(select(study.c.state, func.count()).group_by(study.c.state))
    return {str(state): int(count) for state, count in rows}


def _study_row(connection: Connection, arrival: Arrival) -> Row[Any]:
    find = select(study).where(study.c.lookup == arrival.study_lookup).with_for_update()
    row = connection.execute(find).first()
    if row is None:
        insert_ignore(
            connection,
            study,
            [
                {
                    "id": new_id(),
                    "lookup": arrival.study_lookup,
                    "patient_lookup": arrival.patient_lookup,
                    "state": StudyState.RECEIVING,
                    "revision": 1,
                    "priority": arrival.priority,
                    "first_received_at": arrival.received_at,
                    "last_received_at": arrival.received_at,
                    "attempts": 0,
                }
            ],
        )
        row = connection.execute(find).one()
    return row


def _take_again(connection: Connection, row: Row[Any], instance_id: str, arrival: Arrival) -> FiledInstance:
    """Take an instance that was damaged or discarded, and which has now come once more."""
    revision, opened = _touch(connection, row.id, arrival)
    connection.execute(update(instance).where(instance.c.id == instance_id).values(state="received", revision=revision))
    connection.execute(
        update(quarantine)
        .where(quarantine.c.instance_id == instance_id, quarantine.c.state == "held")
        .values(state="released", decided_at=arrival.received_at)
    )
    return FiledInstance(Filed.NEW, row.id, revision, opened, again=True)


def _touch(connection: Connection, study_id: str, arrival: Arrival) -> tuple[int, bool]:
    row = connection.execute(
        select(study.c.state, study.c.revision, study.c.priority).where(study.c.id == study_id)
    ).one()
    values: dict[str, object] = {"last_received_at": arrival.received_at}
    opened = row.state != StudyState.RECEIVING
    revision = row.revision
    if opened:
        revision += 1
        values |= {
            "state": StudyState.RECEIVING,
            "revision": revision,
            "first_received_at": arrival.received_at,
            "owner": None,
            "lease_until": None,
        }
    if _ORDER[arrival.priority] < _ORDER[Priority(row.priority)]:
        values["priority"] = arrival.priority
    connection.execute(update(study).where(study.c.id == study_id).values(**values))
    return revision, opened


_ORDER = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


def _rank() -> ColumnElement[int]:
    return case(*((study.c.priority == p, rank) for p, rank in _ORDER.items()), else_=9)
