"""A person signs what passed the gate and what people wrote; it is the note. A change after that is an amendment."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from osler.audit import Agent
from osler.domain.encounter import Documented, EncounterState
from osler.errors import Conflict, PreconditionFailed, Unprocessable
from osler.scribe.note import review_of, signable, statements
from osler.scribe.papers import Json, Paper, Papers
from osler.scribe.record import record
from osler.storage import encounters, note_deliveries
from osler.stores import Stores

_REFUSED = {
    "another-encounter": "the note is not of this encounter: write it anew, or remove it",
}


class Signing:
    """Signs notes.

    Parameters
    ----------
    stores : Stores
    destinations : sequence of str
        Where signed notes go; empty names our own chart.
    clock : callable
        Seconds since the epoch, UTC.
    wake : callable
        Told that there is something to deliver.
    """

    def __init__(
        self,
        stores: Stores,
        destinations: Sequence[str],
        *,
        clock: Callable[[], float] = time.time,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._stores = stores
        self._destinations = tuple(destinations)
        self._papers = Papers(stores.identified)
        self._clock = clock
        self._wake = wake

    def sign(self, agent: Agent, encounter_id: str, revision: int, *, practitioner: str | None) -> Json:
        """Sign a note, in the name of who has just proven to be that person.

        Parameters
        ----------
        agent : Agent
        encounter_id : str
        revision : int
            Of the note that the person has seen.
        practitioner : str or None
            ``Practitioner/id`` of the person.

        Raises
        ------
        PreconditionFailed
            If the note was changed meanwhile.
        Conflict
            If there is nothing to sign, or nothing has changed since it was signed.
        Unprocessable
            If the gate has refused the note as a whole, or nothing of it may be signed.
        """
        with self._stores.database.read() as connection:
            before, text = self._signable(connection, encounter_id, revision)
            drafted = encounters.document(connection, encounter_id, Paper.NOTE, 1)
        note, now = json.loads(text), self._clock()
        seen_s = round(now - drafted.created_at, 1) if drafted else 0.0
        signed: Json = {
            "note": note,
            "revision": revision,
            "signed_at": now,
            "signed_by": agent.name,
            "practitioner": practitioner or "",
            "review": {**asdict(review_of(note)), "seconds": seen_s},
        }
        blob = self._papers.stage(signed)

        def within(connection: Connection) -> Json:
            again = encounters.find(connection, encounter_id, lock=True)
            if self._check(connection, again, revision) != before:
                raise Conflict("the note has been signed, and nothing was changed since")
            version = encounters.keep(connection, encounter_id, Paper.SIGNED, blob, by=agent.name, now=now)
            encounters.move(connection, encounter_id, EncounterState.SIGNED, now=now)
            note_deliveries.add(connection, encounter_id, version, self._destinations, now=now)
            event = "note-signed" if version == 1 else "note-amended"
            detail: dict[str, Any] = {"version": version, "changed": signed["review"]["words_changed"]}
            self._stores.audit.append(connection, record(event, agent, again, **detail))
            return {**signed, "version": version}

        made = self._stores.database.write(within)
        self._wake()
        return made

    def content(self, encounter_id: str, revision: int) -> str:
        """Return the SHA-256 of a note that may be signed; raises what :meth:`sign` does."""
        with self._stores.database.read() as connection:
            _, text = self._signable(connection, encounter_id, revision)
        return hashlib.sha256(text.encode()).hexdigest()

    def _signable(self, connection: Connection, encounter_id: str, revision: int) -> tuple[int, str]:
        """Return the version that was signed last, 0 for none, and the note that may be signed."""
        before = self._check(connection, encounters.find(connection, encounter_id), revision)
        last = self._papers.load(connection, encounter_id, Paper.SIGNED) if before else {}
        if last.get("revision") == revision:
            raise Conflict("the note has been signed, and nothing was changed since")
        text = self._papers.text(connection, encounter_id, Paper.NOTE)
        _require_signable(json.loads(text))
        return before, text

    @staticmethod
    def _check(connection: Connection, held: Documented, revision: int) -> int:
        """Return the version that was signed last, 0 for none."""
        if held.state not in (EncounterState.DRAFTED, EncounterState.SIGNED):
            raise Conflict(f"there is no draft to sign: the encounter is {held.state.value}")
        if held.revision != revision:
            raise PreconditionFailed("the note was changed meanwhile: read it again")
        signed = encounters.document(connection, held.id, Paper.SIGNED)
        return signed.version if signed else 0


def _require_signable(note: Json) -> None:
    if note["refusal"] and any(s["state"] == "drafted" for s in statements(note)):
        words = _REFUSED.get(note["refusal"], "the gate has refused the note as a whole")
        raise Unprocessable(words)
    if not any(signable(statement) for statement in statements(note)):
        raise Unprocessable("nothing of the note may be signed")
