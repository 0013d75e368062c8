"""Breaking the glass: for a reason, and for a time, somebody who cares for a patient sees what is marked as restricted.

It never waits for permission, because care may not; it raises an alarm at once, and somebody reviews it afterwards.

References
----------
45 CFR 164.312(a)(2)(ii), emergency access procedure; HL7 v3 PurposeOfUse ``BTG``
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Row, bindparam, func, select, update

from osler.audit import Agent, AuditRecord
from osler.errors import InputRejected, NotFound
from osler.storage.blobs import Sealer
from osler.storage.database import Database
from osler.storage.tables import audit_event, broken_glass

SHORTEST_WORDS: Final = 10
LONGEST_WORDS: Final = 2000
_OPEN: Final = select(broken_glass.c.patient).where(  # made once: it runs before every request of a person's apps
    broken_glass.c.person == bindparam("who"),
    broken_glass.c.ends_at > bindparam("now"),
    broken_glass.c.opened_at <= bindparam("now"),
)


@dataclass(frozen=True, slots=True)
class Opening:
    """One time that glass was broken.

    Parameters
    ----------
    id, person : str
    patient : str
        Logical id of the Patient: a pseudonym.
    opened_at, ends_at : float
        Seconds since the epoch, UTC.
    reason : str
    reviewed_at : float or None
    reviewed_by, review : str or None
    """

    id: str
    person: str
    patient: str
    opened_at: float
    ends_at: float
    reason: str
    reviewed_at: float | None = None
    reviewed_by: str | None = None
    review: str | None = None

    def broken(self, agent: Agent, role: str) -> AuditRecord:
        """Return the record of the breaking, which is an alarm."""
        return AuditRecord(
            "glass-broken",
            agent=agent,
            patient=self.patient,
            entities=(f"glass:{self.id}",),
            detail={"role": role, "seconds": round(self.ends_at - self.opened_at)},
            purpose="BTG",
        )

    def reviewed(self, agent: Agent) -> AuditRecord:
        """Return the record of the review."""
        entities = (f"glass:{self.id}", f"user:{self.person}")
        return AuditRecord("glass-reviewed", agent=agent, patient=self.patient, entities=entities)


class BrokenGlass:
    """Who broke the glass for whom.

    Parameters
    ----------
    database : Database
    sealer : Sealer
        What people write may name a patient, so it is sealed.
    lasts_s : float
        How long it stays open, seconds.
    """

    def __init__(self, database: Database, *, sealer: Sealer, lasts_s: float = 3600.0) -> None:
        self._database = database
        self._sealer = sealer
        self.lasts_s = lasts_s

    def open_for(self, person: str, now: float) -> frozenset[str]:
        """Return the patients (logical ids) whose restricted resources a person may see now."""
        with self._database.read() as connection:
            return frozenset(connection.execute(_OPEN, {"who": person, "now": now}).scalars())

    def break_for(self, connection: Connection, person: str, patient: str, reason: str, *, now: float) -> Opening:
        """Open it, within the caller's transaction, which also writes the audit's entry.

        Raises
        ------
        InputRejected
            If the reason says too little, or too much.
        """
        reason = _words(reason, "the reason")
        opening = Opening(str(uuid.uuid4()), person, patient, now, now + self.lasts_s, reason)
        row = {
            "id": opening.id,
            "person": person,
            "patient": patient,
            "opened_at": now,
            "ends_at": opening.ends_at,
            "reason_sealed": self._sealer.seal(reason.encode(), _aad(opening.id, "reason")),
        }
        connection.execute(broken_glass.insert(), row)
        return opening

    def list(self, *, unreviewed: bool = False, person: str | None = None, limit: int = 200) -> list[Opening]:
        """Return the times that it was broken, the latest first."""
        statement = select(broken_glass).order_by(broken_glass.c.opened_at.desc(), broken_glass.c.id).limit(limit)
        if unreviewed:
            statement = statement.where(broken_glass.c.reviewed_at.is_(None))
        if person is not None:
            statement = statement.where(broken_glass.c.person == person)
        with self._database.read() as connection:
            return [self._opening(row) for row in connection.execute(statement)]

    def accesses(self, opening: Opening) -> int:
        """Return how often the person came to the patient's record while it was open, by the audit."""
        column = audit_event.c
        statement = (
            select(func.count())
            .select_from(audit_event)
            .where(
                column.patient == opening.patient,
                column.agent == opening.person,
                column.recorded_at.between(opening.opened_at, opening.ends_at),
                column.kind.not_like("glass-%"),
            )
        )
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def untold(self) -> Sequence[Opening]:
        """Return those whose alarm has not gone out, the earliest first."""
        statement = select(broken_glass).where(broken_glass.c.told_at.is_(None)).order_by(broken_glass.c.opened_at)
        with self._database.read() as connection:
            return [self._opening(row) for row in connection.execute(statement)]

    def told(self, connection: Connection, opening_id: str, *, now: float) -> None:
        """Note that its alarm has gone out, within the caller's transaction."""
        connection.execute(update(broken_glass).where(broken_glass.c.id == opening_id).values(told_at=now))

    def review(self, connection: Connection, opening_id: str, words: str, *, by: str, now: float) -> Opening:
        """Note what somebody found who looked at it, within the caller's transaction. The first review stands.

        Raises
        ------
        NotFound
            If there is none of that id that waits for a review.
        InputRejected
            If the words say too little or too much, or it is one's own.
        """
        words = _words(words, "the review")
        statement = select(broken_glass).where(broken_glass.c.id == opening_id, broken_glass.c.reviewed_at.is_(None))
        row = connection.execute(statement).one_or_none()
        if row is None:
            raise NotFound("nothing of that id waits for a review")
        if row.person == by:
            raise InputRejected("somebody else must review it")
        sealed = self._sealer.seal(words.encode(), _aad(opening_id, "review"))
        connection.execute(
            update(broken_glass)
            .where(broken_glass.c.id == opening_id)
            .values(reviewed_at=now, reviewed_by=by, review_sealed=sealed)
        )
        return self._opening(connection.execute(select(broken_glass).where(broken_glass.c.id == opening_id)).one())

    def _opening(self, row: Row[tuple[object, ...]]) -> Opening:
        review = None
        if row.review_sealed is not None:
            review = self._sealer.open(row.review_sealed, _aad(row.id, "review")).decode()
        reason = self._sealer.open(row.reason_sealed, _aad(row.id, "reason")).decode()
        return Opening(
            row.id,
            row.person,
            row.patient,
            row.opened_at,
            row.ends_at,
            reason,
            reviewed_at=row.reviewed_at,
            reviewed_by=row.reviewed_by,
            review=review,
        )


def _words(text: str, what: str) -> str:
    text = " ".join(text.split())
    if not SHORTEST_WORDS <= len(text) <= LONGEST_WORDS:
        raise InputRejected(f"{what} needs {SHORTEST_WORDS} to {LONGEST_WORDS} characters")
    return text


def _aad(opening_id: str, part: str) -> bytes:
    return f"broken-glass/{opening_id}/{part}".encode()
