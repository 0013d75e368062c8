"""The quarantine as a place that people work in: each look and each decision is on record before the answer."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from osler.audit import Agent, AuditRecord
from osler.deidentify.dicom.admission import REVIEWABLE
from osler.errors import DeidentificationRefused, NotFound
from osler.storage import quarantine
from osler.storage.quarantine import Decision, Entry, HeldState
from osler.stores import Stores

HOLDS_FAST: Final = "a look at the pixels cannot lift this rule: discard it, or have it corrected and sent again"


class Quarantine:
    """What is held, as one person sees it.

    Parameters
    ----------
    stores : Stores
    person : Agent
        Who looks and decides.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, stores: Stores, person: Agent, *, clock: Callable[[], float] = time.time) -> None:
        self._stores = stores
        self._person = person
        self._clock = clock

    def entries(self, *, states: Sequence[HeldState] = (), limit: int = 1000) -> list[Entry]:
        """Return entries, the oldest first; those of all states unless some are named."""

        def look(connection: Connection) -> list[Entry]:
            found = quarantine.entries(connection, states=states, limit=limit)
            self._stores.audit.append(
                connection, AuditRecord("quarantine-listed", agent=self._person, detail={"entries": len(found)})
            )
            return found

        return self._stores.database.write(look)

    def show(self, entry_id: str) -> Entry:
        """Return one entry.

        Raises
        ------
        NotFound
            If there is none of that id.
        """

        def look(connection: Connection) -> Entry:
            found = quarantine.entry(connection, entry_id)
            self._record(connection, "quarantine-viewed", found)
            return found

        return self._stores.database.write(look)

    def open(self, entry_id: str) -> bytes:
        """Return the instance as it was received, identified, for a person to look at.

        Raises
        ------
        NotFound
            If there is none of that id, or it was discarded.
        IntegrityError
            If the file is not what was received.
        """

        def look(connection: Connection) -> Entry:
            found = quarantine.entry(connection, entry_id)
            self._record(connection, "quarantine-opened", found)
            return found

        return self._stores.identified.get(self._stores.database.write(look).blob)

    def release(self, entry_ids: Sequence[str], *, why: str) -> list[Entry]:
        """Let instances go through de-identification again: a person has looked at the pixels and answers for them.

        All or none. What was released before stays so.

        Raises
        ------
        DeidentificationRefused
            If a rule holds one that no look at pixels can lift.
        NotFound
            If there is none of an id, or it was discarded.
        """
        decision = Decision(self._person.name, why, self._clock())

        def decide(connection: Connection) -> list[Entry]:
            for entry_id in dict.fromkeys(entry_ids):
                held = quarantine.entry(connection, entry_id)
                if held.state is HeldState.RELEASED:
                    continue
                if held.state is HeldState.DISCARDED:
                    raise NotFound("that instance was discarded; its sender may send it again")
                if held.rule not in REVIEWABLE:
                    raise DeidentificationRefused(held.rule, HOLDS_FAST)
                revision = quarantine.release(connection, held, decision)
                self._record(connection, "quarantine-released", held, why=why, revision=revision)
            return [quarantine.entry(connection, entry_id) for entry_id in entry_ids]

        return self._stores.database.write(decide)

    def discard(self, entry_ids: Sequence[str], *, why: str) -> list[Entry]:
        """Give instances up: the files are removed, who did it and why stays. All or none; again is no error.

        Raises
        ------
        NotFound
            If there is none of an id, or it was released.
        """
        decision = Decision(self._person.name, why, self._clock())

        def decide(connection: Connection) -> list[Entry]:
            for entry_id in dict.fromkeys(entry_ids):
                held = quarantine.entry(connection, entry_id)
                if held.state is HeldState.RELEASED:
                    raise NotFound("that instance is not held any more")
                if held.state is HeldState.HELD:
                    quarantine.discard(connection, held, decision)
                    self._record(connection, "quarantine-discarded", held, why=why)
            return [quarantine.entry(connection, entry_id) for entry_id in entry_ids]

        discarded = self._stores.database.write(decide)

        def remove(connection: Connection) -> None:
            # Within a change: the same file cannot be filed anew between the question and the removal.
            for one in discarded:
                if not quarantine.is_needed(connection, one.blob):
                    self._stores.identified.delete(one.blob)

        self._stores.database.write(remove)
        return discarded

    def _record(self, connection: Connection, event: str, held: Entry, **detail: str | int) -> None:
        self._stores.audit.append(
            connection,
            AuditRecord(
                event,
                agent=self._person,
                patient=held.patient,
                entities=(f"quarantine:{held.id}", f"study:{held.study_uid or held.study_id}"),
                detail={"rule": held.rule, **detail},
            ),
        )
