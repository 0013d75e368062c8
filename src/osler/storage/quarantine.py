"""What is held for a person, and what a person decided. Every function joins the transaction of its caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Row, Select, exists, select, update

from osler.domain.states import StudyState
from osler.errors import NotFound
from osler.storage.studies import DISCARDED
from osler.storage.tables import instance, quarantine, study


class HeldState(StrEnum):
    """Where an entry stands."""

    HELD = "held"
    RELEASED = "released"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Entry:
    """One instance in quarantine. It holds pseudonyms and the hub's own ids.

    Parameters
    ----------
    id, study_id, instance_id : str
    rule, reason : str
        What refused, and why, without any value.
    state : HeldState
    held_at : float
        Seconds since the epoch, UTC.
    decided_at, decided_by, why : float, str, str, or None
        Nobody has decided yet, or (without a person) it was received once more.
    sop_class_uid, source : str
    size : int
        Bytes, as received.
    blob : str
        The identified blob.
    study_uid, patient : str or None
        Pseudonyms; None until an instance of the study has been de-identified.
    """

    id: str
    study_id: str
    instance_id: str
    rule: str
    reason: str
    state: HeldState
    held_at: float
    decided_at: float | None
    decided_by: str | None
    why: str | None
    sop_class_uid: str
    source: str
    size: int
    blob: str
    study_uid: str | None
    patient: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided: who, why, and when (seconds since the epoch, UTC)."""

    by: str
    why: str
    at: float


_ENTRIES: Final[Select[tuple[object, ...]]] = select(
    quarantine,
    instance.c.sop_class_uid,
    instance.c.source,
    instance.c.size,
    instance.c.blob,
    study.c.study_uid,
    study.c.patient,
).select_from(quarantine.join(instance, quarantine.c.instance_id == instance.c.id).join(study))


def entries(connection: Connection, *, states: Sequence[HeldState] = (), limit: int = 1000) -> list[Entry]:
    """Return entries, the oldest first; those of all states unless some are named."""
    wanted = _ENTRIES.order_by(quarantine.c.created_at, quarantine.c.id).limit(limit)
    if states:
        wanted = wanted.where(quarantine.c.state.in_([s.value for s in states]))
    return [_entry(row) for row in connection.execute(wanted)]


def entry(connection: Connection, entry_id: str) -> Entry:
    """Return one entry.

    Raises
    ------
    NotFound
        If there is none of that id.
    """
    row = connection.execute(_ENTRIES.where(quarantine.c.id == entry_id)).first()
    if row is None:
        raise NotFound("there is nothing of that id in quarantine")
    return _entry(row)


def release(connection: Connection, held: Entry, decision: Decision) -> int:
    """Let an instance that is held go through de-identification again, in a new revision of its study.

    A study that is being received, or that nobody has claimed yet, takes it along in the revision that it has.

    Returns
    -------
    int
        The revision.
    """
    _decide(connection, held, HeldState.RELEASED, decision)
    row = connection.execute(select(study).where(study.c.id == held.study_id).with_for_update()).one()
    revision = int(row.revision)
    waits = row.state == StudyState.COMPLETE and row.owner is None and row.lease_until is None
    if row.state != StudyState.RECEIVING and not waits:
        revision += 1
        connection.execute(
            update(study)
            .where(study.c.id == held.study_id)
            .values(
                state=StudyState.COMPLETE,
                revision=revision,
                completed_at=decision.at,
                owner=None,
                lease_until=None,
                attempts=0,
            )
        )
    connection.execute(
        update(instance).where(instance.c.id == held.instance_id).values(state="received", revision=revision)
    )
    return revision


def discard(connection: Connection, held: Entry, decision: Decision) -> None:
    """Give an instance that is held up. Its file is removed by whoever calls, once this is durable.

    A study in quarantine of which nothing else is left is discarded with it.
    """
    _decide(connection, held, HeldState.DISCARDED, decision)
    connection.execute(select(study.c.id).where(study.c.id == held.study_id).with_for_update())
    connection.execute(update(instance).where(instance.c.id == held.instance_id).values(state=DISCARDED))
    left = exists().where(instance.c.study_id == held.study_id, instance.c.state != DISCARDED)
    waits = study.c.id == held.study_id, study.c.state == StudyState.QUARANTINED
    connection.execute(update(study).where(*waits, ~left).values(state=DISCARDED))


def is_needed(connection: Connection, blob: str) -> bool:
    """Tell whether an instance that was not discarded has this file."""
    needed = select(exists().where(instance.c.blob == blob, instance.c.state != DISCARDED))
    return bool(connection.execute(needed).scalar_one())


def _decide(connection: Connection, held: Entry, state: HeldState, decision: Decision) -> None:
    connection.execute(
        update(quarantine)
        .where(quarantine.c.id == held.id)
        .values(state=state.value, decided_at=decision.at, decided_by=decision.by, why=decision.why)
    )


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    values = row._mapping
    return Entry(
        state=HeldState(values["state"]),
        held_at=values["created_at"],
        **{name: values[name] for name in Entry.__slots__ if name not in ("state", "held_at")},
    )
