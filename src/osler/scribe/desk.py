"""Everything that the outside can do with encounters, in one place."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from osler.audit import Agent, AuditRecord
from osler.domain.encounter import Documented, EncounterState
from osler.domain.note import Template
from osler.domain.reach import Reach
from osler.errors import NotFound
from osler.scribe.capture import Capture
from osler.scribe.delivering import document_of
from osler.scribe.hearing import SpeechEar
from osler.scribe.papers import Json, Paper, Papers
from osler.scribe.record import record
from osler.scribe.review import Reviewing
from osler.scribe.signing import Signing
from osler.standards.fhir import Resource
from osler.storage import encounters, note_deliveries
from osler.storage.note_deliveries import NoteDelivery
from osler.stores import Stores

SOON_S: Final = 7 * 86400.0
"""So long before audio that nobody finished is deleted, people are warned, seconds."""


@dataclass(frozen=True, slots=True)
class ScribeDesk:
    """What pages and programs work with.

    Parameters
    ----------
    stores : Stores
    capture : Capture
    reviewing : Reviewing
    signing : Signing
    templates : mapping of str to Template
    template : str
        What is taken when nobody names one.
    ear : SpeechEar, optional
    """

    stores: Stores
    capture: Capture
    reviewing: Reviewing
    signing: Signing
    templates: Mapping[str, Template]
    template: str
    ear: SpeechEar | None = None

    def find(self, encounter_id: str) -> Documented:
        """Return an encounter, without a record of it: whoever asks must still be let in."""
        with self.stores.database.read() as connection:
            return encounters.find(connection, encounter_id)

    def show(self, agent: Agent, encounter_id: str) -> tuple[Documented, list[NoteDelivery], list[Json]]:
        """Return an encounter, where its notes went, and the orders of its note; the audit has it before."""
        with self.stores.database.read() as connection:
            held = encounters.find(connection, encounter_id)
            sent = note_deliveries.of(connection, encounter_id)
            drafted = held.state in (EncounterState.DRAFTED, EncounterState.SIGNED)
            note = Papers(self.stores.identified).load(connection, encounter_id, Paper.NOTE) if drafted else {}
        self.stores.audit.record(record("encounter-read", agent, held))
        return held, sent, list(note.get("orders", ()))

    def newest(
        self, *, state: EncounterState | None = None, patient: str = "", before: float = float("inf"), limit: int = 50
    ) -> Sequence[Documented]:
        """Return the encounters that changed last."""
        with self.stores.database.read() as connection:
            return encounters.newest(connection, state=state, patient=patient, before=before, limit=limit)

    def ending(self, limit: int = 50) -> Sequence[Documented]:
        """Return the encounters whose audio is soon deleted because nobody goes on with them."""
        since = self.capture.clock() - self.capture.limits.keep_unfinished_s + SOON_S
        with self.stores.database.read() as connection:
            return [one for one in encounters.idle(connection, since=since, limit=limit) if one.audio_bytes]

    def listed(self, agent: Agent, found: Sequence[Documented], reach: Reach) -> list[Documented]:
        """Return those of patients within reach; the audit has it before."""
        seen: dict[str, bool] = {}
        with self.stores.database.read() as connection:
            for patient in {one.subject.patient for one in found}:
                with contextlib.suppress(NotFound):
                    seen[patient] = bool(self.stores.resources.find(connection, "Patient", patient, reach))
        shown = [one for one in found if one.subject.patient in seen]
        self.stores.audit.record(AuditRecord("encounters-listed", agent=agent, detail={"count": len(shown)}))
        return shown

    def document(self, agent: Agent, encounter_id: str, base_url: str) -> Resource:
        """Return the signed note as a FHIR document; the audit has it before."""
        with self.stores.database.read() as connection:
            held = encounters.find(connection, encounter_id)
            signed = encounters.document(connection, encounter_id, Paper.SIGNED)
        if signed is None:
            raise NotFound("nobody has signed the note yet")
        self.stores.audit.record(record("signed-read", agent, held))
        return document_of(self.stores, held, signed.version, base_url=base_url)

    def preliminary(self, agent: Agent, encounter_id: str, base_url: str) -> Resource:
        """Return what may be signed of a note under review, as a FHIR document; the audit has it before.

        Raises
        ------
        Conflict, Unprocessable
            If it could not be signed now.
        """
        held = self.find(encounter_id)
        self.signing.content(encounter_id, held.revision)
        self.stores.audit.record(record("note-read", agent, held))
        return document_of(self.stores, held, None, base_url=base_url)

    def retry_delivery(self, agent: Agent, encounter_id: str, delivery_id: str) -> None:
        """Let a delivery that failed be tried again."""
        now = self.capture.clock()

        def within(connection: Connection) -> None:
            note_deliveries.retry(connection, encounter_id, delivery_id, now=now)
            held = encounters.find(connection, encounter_id)
            self.stores.audit.append(connection, record("note-delivery-retried", agent, held))

        self.stores.database.write(within)
