"""The quarantine as a place that people work in: each look and each decision is on record before the answer."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from osler.audit import Agent, AuditRecord
from osler.deidentify.dicom.admission import REVIEWABLE
from osler.errors import DeidentificationRefused, NotFound
from osler.storage import quarantine
from osler.storage.quarantine import Decision, Entry, HeldState
from osler.stores import Stores

NOT_SEEN: Final = "you have not looked at its pixels: draw its sheet first, or say why you release it unseen"
HOLDS_FAST: Final = "a look at the pixels cannot lift this rule: discard it, or have it corrected and sent again"

_MOST_LOOKS: Final = 100_000


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

    def sheet(self, entry_id: str, path: Path) -> str:
        """Draw the pixels of an instance into a file; that this person was shown them is on record before it is there.

        Returns
        -------
        str
            How many frames were shown or looked at, for people: ``3 of 3``.

        Raises
        ------
        NotFound, IntegrityError
            As :meth:`open`.
        Malformed, DeidentificationRefused, ConfigError
            As :func:`osler.hub.review.draw_sheet` and :func:`osler.hub.review.keep_sheet`.
        """
        from osler.hub.review import draw_sheet, keep_sheet  # the decoders cost what does not draw a second

        with self._stores.database.read() as connection:
            held = quarantine.entry(connection, entry_id)
        sheet, frames = draw_sheet(self._stores.identified.get(held.blob), path)
        self.open(entry_id)
        keep_sheet(sheet, path)
        return frames

    def release(self, entry_ids: Sequence[str], *, why: str, unseen: str = "") -> list[Entry]:
        """Let instances go through de-identification again: a person has looked at the pixels and answers for them.

        All or none. What was released before stays so.

        Parameters
        ----------
        entry_ids : sequence of str
        why : str
        unseen : str
            Why what this person was not shown is released all the same; without it that is refused.

        Raises
        ------
        DeidentificationRefused
            If a rule holds one that no look at pixels can lift, or this person has not looked.
        NotFound
            If there is none of an id, or it was discarded.
        """
        decision = Decision(self._person.name, why, self._clock())
        seen = self._seen()

        def decide(connection: Connection) -> list[Entry]:
            for entry_id in dict.fromkeys(entry_ids):
                held = quarantine.entry(connection, entry_id)
                if held.state is HeldState.RELEASED:
                    continue
                if held.state is HeldState.DISCARDED:
                    raise NotFound("that instance was discarded; its sender may send it again")
                if held.rule not in REVIEWABLE:
                    raise DeidentificationRefused(held.rule, HOLDS_FAST)
                if not unseen and held.id not in seen:
                    raise DeidentificationRefused("not-seen", NOT_SEEN)
                looked = {} if held.id in seen else {"unseen": unseen}
                revision = quarantine.release(connection, held, decision)
                self._record(connection, "quarantine-released", held, why=why, revision=revision, **looked)
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

    def _seen(self) -> frozenset[str]:
        """Return the ids of what this person was shown, by the audit."""
        shown = self._stores.audit.search(agent=self._person.name, event="quarantine-opened", limit=_MOST_LOOKS)
        entities = (entity for entry in shown for entity in entry.resource.get("entity", ()))
        named = (entity.get("what", {}).get("identifier", {}) for entity in entities)
        return frozenset(one["value"] for one in named if one.get("system") == "urn:osler:quarantine")

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
