"""Documented encounters in the ledger. Every function joins the transaction of its caller."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select, update

from osler.domain.encounter import Consent, ConsentMethod, Documented, EncounterState, Subject
from osler.errors import Conflict, NotFound
from osler.storage.database import insert_ignore
from osler.storage.due import due
from osler.storage.tables import scribe_document as documents
from osler.storage.tables import scribe_encounter as table
from osler.storage.tables import scribe_part as parts


@dataclass(frozen=True, slots=True)
class AudioPart:
    """One part of a take; the parts of a take, in order, are one file."""

    take: int
    number: int
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Kept:
    """One version of a document of an encounter."""

    version: int
    blob: str
    created_by: str
    created_at: float


def create(connection: Connection, new: Documented) -> None:
    """Add an encounter."""
    connection.execute(
        table.insert().values(
            id=new.id,
            **asdict(new.subject),
            state=new.state.value,
            template=new.template,
            detail=new.detail,
            by_problem=new.by_problem,
            patient_called=new.patient_called,
            consent=_consent_text(new.consent),
            paused=new.paused,
            reason=new.reason,
            progress_s=new.progress_s,
            revision=new.revision,
            created_by=new.created_by,
            created_at=new.created_at,
            updated_at=new.updated_at,
            attempts=0,
            available_at=new.created_at,
        )
    )


def find(connection: Connection, encounter_id: str, *, lock: bool = False) -> Documented:
    """Return an encounter; with ``lock`` nobody else changes it within this transaction.

    Raises
    ------
    NotFound
    """
    query = select(table).where(table.c.id == encounter_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound("there is no encounter of that id")
    return _documented(connection, row)


def newest(
    connection: Connection, *, state: EncounterState | None, patient: str, before: float, limit: int
) -> list[Documented]:
    """Return the encounters that changed last; an empty ``patient`` is any."""
    query = select(table).where(table.c.updated_at < before).order_by(table.c.updated_at.desc()).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state.value)
    if patient:
        query = query.where(table.c.patient == patient)
    return [_documented(connection, row) for row in connection.execute(query).all()]


def change(connection: Connection, encounter_id: str, *, now: float, **values: Any) -> None:
    """Set columns of an encounter."""
    connection.execute(update(table).where(table.c.id == encounter_id).values(updated_at=now, **values))


def consented(connection: Connection, encounter_id: str, consent: Consent | None, *, now: float) -> None:
    """Set or withdraw the consent."""
    change(connection, encounter_id, now=now, consent=_consent_text(consent))


def move(connection: Connection, encounter_id: str, state: EncounterState, *, now: float, **values: Any) -> None:
    """Bring an encounter into a state, free for whoever takes the next step; a step that begins anew has no past."""
    fresh = {"attempts": 0, "available_at": now, "lease_owner": None, "lease_until": None, "reason": "", **values}
    change(connection, encounter_id, now=now, state=state.value, **fresh)


# ----------------------------------------------------------------------------------------------------- steps


def claim(
    connection: Connection, states: Sequence[EncounterState], owner: str, *, now: float, lease_s: float
) -> Documented | None:
    """Take the encounter that has waited longest in one of the states; None when there is none."""
    free = or_(table.c.lease_until.is_(None), due(table.c.lease_until, now))
    waits = table.c.state.in_([s.value for s in states]) & due(table.c.available_at, now) & free
    query = select(table.c.id).where(waits).order_by(table.c.available_at).limit(1).with_for_update(skip_locked=True)
    encounter_id = connection.execute(query).scalar()
    if encounter_id is None:
        return None
    taken = {"lease_owner": owner, "lease_until": now + lease_s, "attempts": table.c.attempts + 1}
    connection.execute(update(table).where(table.c.id == encounter_id).values(**taken))
    return find(connection, encounter_id)


def holds(connection: Connection, encounter_id: str, owner: str) -> bool:
    """Tell whether a claim still is the owner's; nobody else changes it within this transaction."""
    query = select(table.c.lease_owner).where(table.c.id == encounter_id).with_for_update()
    return connection.execute(query).scalar() == owner


def renew(connection: Connection, encounter_id: str, owner: str, *, until: float, progress_s: float) -> bool:
    """Go on holding a claim, and tell how far the work has come; False when it is not the owner's any more."""
    mine = (table.c.id == encounter_id) & (table.c.lease_owner == owner)
    changed = connection.execute(update(table).where(mine).values(lease_until=until, progress_s=progress_s))
    return bool(changed.rowcount)


def release(connection: Connection, owner_prefix: str) -> None:
    """Free what former lives of a process held."""
    mine = table.c.lease_owner.startswith(owner_prefix, autoescape=True)
    connection.execute(update(table).where(mine).values(lease_owner=None, lease_until=None))


def attempts(connection: Connection, encounter_id: str) -> int:
    """Return how often the step that waits has been begun."""
    return int(connection.execute(select(table.c.attempts).where(table.c.id == encounter_id)).scalar_one())


# ----------------------------------------------------------------------------------------------------- audio


def add_part(connection: Connection, encounter_id: str, part: AudioPart, *, now: float) -> None:
    """Note a part.

    Raises
    ------
    Conflict
        If one is here under its number.
    """
    row = {"encounter_id": encounter_id, **asdict(part), "received_at": now}
    if not insert_ignore(connection, parts, [row]):
        raise Conflict("a part is here under that number")


def part_at(connection: Connection, encounter_id: str, take: int, number: int) -> AudioPart | None:
    """Return a part, None when it is not here."""
    same = (parts.c.encounter_id == encounter_id, parts.c.take == take, parts.c.number == number)
    row = connection.execute(select(parts).where(*same)).one_or_none()
    return None if row is None else AudioPart(row.take, row.number, row.blob, row.size)


def next_upload(connection: Connection, encounter_id: str) -> int:
    """Return the number that no file on its way has yet: below 0, it is no take before all of it is here."""
    last = select(func.min(parts.c.take)).where(parts.c.encounter_id == encounter_id, parts.c.take < 0)
    return int(connection.execute(last).scalar() or 0) - 1


def take_up(connection: Connection, encounter_id: str, upload: int) -> list[AudioPart]:
    """Make a file that is wholly here the next take; return its parts."""
    mine = parts.c.encounter_id == encounter_id
    last = connection.execute(select(func.max(parts.c.take)).where(mine, parts.c.take >= 0)).scalar()
    take = 0 if last is None else int(last) + 1
    connection.execute(update(parts).where(mine, parts.c.take == upload).values(take=take))
    return [part for part in audio(connection, encounter_id) if part.take == take]


def audio(connection: Connection, encounter_id: str, *, unfinished: bool = False) -> list[AudioPart]:
    """Return all parts, in order; with ``unfinished`` also those of files on their way, and of those that broke off."""
    query = select(parts).where(parts.c.encounter_id == encounter_id).order_by(parts.c.take, parts.c.number)
    if not unfinished:
        query = query.where(parts.c.take >= 0)
    return [AudioPart(row.take, row.number, row.blob, row.size) for row in connection.execute(query)]


def forget_audio(connection: Connection, encounter_id: str, gone: Sequence[AudioPart], *, now: float) -> bool:
    """Take all parts off the ledger; False when that was done before."""
    count, mine = forget_parts(connection, encounter_id, gone), parts.c.encounter_id == encounter_id
    if connection.execute(select(parts.c.blob).where(mine).limit(1)).scalar() is None:
        change(connection, encounter_id, now=now, audio_deleted_at=now, audio_until=None)
    return count > 0


def forget_parts(connection: Connection, encounter_id: str, gone: Sequence[AudioPart]) -> int:
    """Take parts off the ledger; return how many were there."""
    mine = parts.c.encounter_id == encounter_id
    return sum(connection.execute(parts.delete().where(mine, parts.c.blob == one.blob)).rowcount for one in gone)


def audio_due(connection: Connection, *, now: float) -> str | None:
    """Return an encounter whose audio has been kept long enough."""
    query = select(table.c.id).where(table.c.audio_until <= now).order_by(table.c.audio_until).limit(1)
    return connection.execute(query).scalar()


def idle(connection: Connection, *, since: float, limit: int) -> list[Documented]:
    """Return the encounters with audio with which nobody did anything since then, and that wait for no step of ours.

    Those of which the time of the audio is set are not among them. The first is the one that has waited longest.
    """
    last = func.max(parts.c.received_at)
    silent = select(parts.c.encounter_id).group_by(parts.c.encounter_id).having(last <= since)
    ours = [EncounterState.RECORDED.value, EncounterState.TRANSCRIBED.value]
    left = table.c.audio_until.is_(None) & table.c.state.not_in(ours)
    query = select(table).where(table.c.id.in_(silent), left, table.c.updated_at <= since)
    rows = connection.execute(query.order_by(table.c.updated_at).limit(limit)).all()
    return [_documented(connection, row) for row in rows]


# ------------------------------------------------------------------------------------------------- documents


def keep(connection: Connection, encounter_id: str, kind: str, blob: str, *, by: str, now: float) -> int:
    """Add a version of a document; return its number, from 1."""
    same = (documents.c.encounter_id == encounter_id, documents.c.kind == kind)
    last = connection.execute(select(func.max(documents.c.version)).where(*same)).scalar() or 0
    row = {"encounter_id": encounter_id, "kind": kind, "version": last + 1}
    connection.execute(documents.insert().values(**row, blob=blob, created_by=by, created_at=now))
    return int(last) + 1


def document(connection: Connection, encounter_id: str, kind: str, version: int | None = None) -> Kept | None:
    """Return a version of a document, the last when none is named; None when there is none."""
    query = select(documents).where(documents.c.encounter_id == encounter_id, documents.c.kind == kind)
    if version is not None:
        query = query.where(documents.c.version == version)
    row = connection.execute(query.order_by(documents.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else Kept(row.version, row.blob, row.created_by, row.created_at)


# ------------------------------------------------------------------------------------------------------ rows


def _documented(connection: Connection, row: Row[Any]) -> Documented:
    whole = func.coalesce(func.sum(parts.c.size).filter(parts.c.take >= 0), 0)
    size, last = connection.execute(
        select(whole, func.max(parts.c.received_at)).where(parts.c.encounter_id == row.id)
    ).one()
    return Documented(
        id=row.id,
        subject=Subject(row.patient, row.practitioner, row.encounter),
        state=EncounterState(row.state),
        template=row.template,
        detail=row.detail,
        consent=_consent(row.consent),
        paused=row.paused,
        reason=row.reason,
        progress_s=row.progress_s,
        revision=row.revision,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        audio_bytes=int(size),
        audio_deleted_at=row.audio_deleted_at,
        by_problem=row.by_problem,
        patient_called=row.patient_called or "the patient",
        audio_until=row.audio_until,
        touched_at=max(row.updated_at, last or 0.0),
    )


def _consent_text(consent: Consent | None) -> str | None:
    return None if consent is None else json.dumps(asdict(consent))


def _consent(text: str | None) -> Consent | None:
    if text is None:
        return None
    held = json.loads(text)
    return Consent(ConsentMethod(held["method"]), held["obtained_at"], held["recorded_by"])
