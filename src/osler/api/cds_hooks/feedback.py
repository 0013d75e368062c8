"""Which cards were shown, and what became of them: taken, or overridden and why.

References
----------
CDS Hooks 2.0, Feedback
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from osler.api.cds_hooks.cards import Card
from osler.errors import Malformed, NotFound
from osler.standards import fhir
from osler.standards.fhir_dates import parse_span
from osler.storage.blobs import Sealer
from osler.storage.database import Database, insert_ignore
from osler.storage.tables import cds_card, cds_feedback

_OUTCOMES: Final = ("accepted", "overridden")
_MAX_ENTRIES: Final = 100
_MAX_COMMENT: Final = 4000
_MAX_CODE: Final = 64


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of one card.

    Parameters
    ----------
    card : str
        UUID.
    outcome : {"accepted", "overridden"}
    reason : str
        Code of the override reason, or empty.
    comment : str
        What the person wrote, or empty.
    at : float
        Seconds since the epoch, UTC.
    """

    card: str
    outcome: str
    reason: str
    comment: str
    at: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How often the cards of one topic of one model had an outcome; ``outcome`` is empty while nothing is known."""

    model: str
    topic: str
    outcome: str
    reason: str
    cards: int


def parse_feedback(body: bytes) -> list[Feedback]:
    """Read the body of a feedback call.

    Raises
    ------
    Malformed
        If it is not as the standard says.
    """
    entries = fhir.loads(body).get("feedback")
    if not isinstance(entries, list) or not 0 < len(entries) <= _MAX_ENTRIES:
        raise Malformed(f"feedback: a list of 1 to {_MAX_ENTRIES} entries is needed")
    return list(_entries(entries))


class CardStore:
    """Keeps what was shown and what was answered.

    Parameters
    ----------
    database : Database
    sealer : Sealer
        For comments.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def shown(
        self, connection: Connection, cards: Iterable[Card], *, service: str, client_id: str, patient: str, now: float
    ) -> None:
        """Note cards, within the caller's transaction."""
        rows = [
            {
                "id": card.uuid,
                "service": service,
                "client_id": client_id,
                "patient": patient or None,
                "topic": card.topic,
                "about": card.about,
                "model": card.model,
                "shown_at": now,
            }
            for card in cards
        ]
        if rows:
            connection.execute(cds_card.insert(), rows)

    def answered(
        self, connection: Connection, feedback: Sequence[Feedback], *, service: str, client_id: str, now: float
    ) -> int:
        """Keep feedback within the caller's transaction; return how much of it was new. The first word on a card stays.

        Raises
        ------
        NotFound
            If a card was not shown by this service to this client.
        """
        ids = {one.card for one in feedback}
        known = connection.execute(
            select(cds_card.c.id).where(
                cds_card.c.id.in_(ids), cds_card.c.service == service, cds_card.c.client_id == client_id
            )
        ).scalars()
        if ids - set(known):
            raise NotFound("there is no such card of this service for this client")
        rows = [
            {
                "card_id": one.card,
                "outcome": one.outcome,
                "reason": one.reason,
                "comment_sealed": self._sealer.seal(one.comment.encode(), one.card.encode()) if one.comment else None,
                "outcome_at": one.at,
                "received_at": now,
            }
            for one in feedback
        ]
        return insert_ignore(connection, cds_feedback, rows)

    def tally(self, model: str = "") -> list[Tally]:
        """Count cards by model, topic, outcome and reason; of one model (``name`` or ``name@version``) when given."""
        joined = cds_card.outerjoin(cds_feedback, cds_feedback.c.card_id == cds_card.c.id)
        by = (
            cds_card.c.model,
            cds_card.c.topic,
            func.coalesce(cds_feedback.c.outcome, ""),
            func.coalesce(cds_feedback.c.reason, ""),
        )
        statement = select(*by, func.count()).select_from(joined).group_by(*by).order_by(*by)
        with self._database.read() as connection:
            found = [Tally(*row) for row in connection.execute(statement)]
        return [t for t in found if model in ("", t.model, t.model.rpartition("@")[0])]


def _entries(entries: list[Any]) -> Iterator[Feedback]:
    for index, entry in enumerate(entries):
        where = f"feedback[{index}]"
        if not isinstance(entry, Mapping):
            raise Malformed(f"{where}: an object is needed")
        card, outcome = entry.get("card"), entry.get("outcome")
        if not isinstance(card, str) or not card or not card.isprintable():
            raise Malformed(f"{where}.card: the UUID of a card is needed")
        if outcome not in _OUTCOMES:
            raise Malformed(f"{where}.outcome: must be accepted or overridden")
        if outcome == "accepted" and not isinstance(entry.get("acceptedSuggestions"), list):
            raise Malformed(f"{where}.acceptedSuggestions: is needed with the outcome accepted")
        reason, comment = _override(entry.get("overrideReason"), where)
        yield Feedback(card, outcome, reason, comment, _time(entry.get("outcomeTimestamp"), where))


def _override(value: Any, where: str) -> tuple[str, str]:
    if value is None:
        return "", ""
    if not isinstance(value, Mapping):
        raise Malformed(f"{where}.overrideReason: an object is needed")
    reason, comment = value.get("reason"), value.get("userComment", "")
    code = reason.get("code", "") if isinstance(reason, Mapping) else ""
    if not isinstance(code, str) or len(code) > _MAX_CODE or not code.isprintable() or not isinstance(comment, str):
        raise Malformed(f"{where}.overrideReason: a code is a short word, and a comment a text")
    return code, comment[:_MAX_COMMENT]


def _time(value: Any, where: str) -> float:
    if not isinstance(value, str) or "T" not in value:
        raise Malformed(f"{where}.outcomeTimestamp: a time is needed")
    return parse_span(value)[0]
