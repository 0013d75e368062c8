"""What is about a patient who was merged into another is made to be about that one, in pieces.

A merge is on record as soon as its message is taken: from then on the patient *is* the survivor, and both Patients say
so. What is about the patient follows, a piece a transaction, so that no other writer waits for a long record. A kill
loses nothing: what was begun is whole after the next step.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection, select, tuple_

from osler.errors import IntegrityError, OslerError
from osler.standards import fhir
from osler.standards.fhir_references import repointed
from osler.storage.orders import moved, moving, survivor_of
from osler.storage.tables import resource as resources
from osler.stores import Stores

AT_ONCE: Final = 25
"""Resources that one transaction moves at most."""

log = structlog.get_logger(__name__)

_Position = tuple[int, tuple[str, float, str]]
_FIRST: Final = ("", -math.inf, "")
_START: Final[_Position] = (0, _FIRST)


@dataclass(frozen=True, slots=True)
class Merges:
    """Brings merges to their end.

    Parameters
    ----------
    stores : Stores
    monotonic : callable
        Seconds.
    """

    stores: Stores
    monotonic: Callable[[], float] = time.monotonic

    def step(self) -> bool:
        """Bring the merge that began first to its end; False when there was none.

        Raises
        ------
        StorageBusy, StorageFull
            If the database cannot commit now: the rest remains to be done.
        """
        return self._step(deadline=None)

    def hurry(self, *, most_s: float) -> None:
        """Bring merges to their end, as far as that goes within a time; what is left is for :meth:`step`."""
        deadline = self.monotonic() + most_s
        try:
            while self.monotonic() < deadline and self._step(deadline=deadline):
                pass
        except OslerError as error:
            log.warning("a merge goes on later", reason=str(error))

    def _step(self, *, deadline: float | None) -> bool:
        with self.stores.database.read() as connection:
            waiting = moving(connection)
        after: _Position | None = _START if waiting else None
        while after is not None and (deadline is None or self.monotonic() < deadline):
            after = self.stores.database.write(partial(self._piece, patient=waiting[0], after=after))
        return bool(waiting)

    def _piece(self, connection: Connection, patient: str, after: _Position) -> _Position | None:
        """Move some resources; return the place of the last one, or None when the merge is whole."""
        survivor = survivor_of(connection, patient)
        if survivor == patient:  # the merge was turned round meanwhile
            return None
        phase, last, left = *after, AT_ONCE
        while phase < len(_PHASES):
            mine = (resources.c.patient == patient, ~resources.c.deleted, _PHASES[phase], tuple_(*_KEY) > last)
            rows = connection.execute(select(*_KEY).where(*mine).order_by(*_KEY).limit(left)).all()
            for kind, _, logical_id in rows:
                self._move(connection, (kind, logical_id), f"Patient/{patient}", f"Patient/{survivor}")
            left -= len(rows)
            if not left:
                return phase, (rows[-1].type, rows[-1].date_at, rows[-1].id)
            phase, last = phase + 1, _FIRST
        moved(connection, patient)
        return None

    def _move(self, connection: Connection, key: tuple[str, str], old: str, new: str) -> None:
        try:
            held = self.stores.resources.held(connection, *key)
        except IntegrityError as error:  # it can be read by nobody, and must not keep the others from being moved
            log.error("a resource of a merged patient could not be moved", type=key[0], reason=str(error))
            return
        if held is None:
            return
        resource = fhir.loads(held.text)
        made = repointed(resource, old, new)
        if made != resource:
            self.stores.resources.save(connection, made, held)


_KEY: Final = (resources.c.type, resources.c.date_at, resources.c.id)  # as the rows of a patient are indexed
_PHASES: Final = (  # what belongs where others do comes after them
    resources.c.type.not_in(("Patient", "Binary", "Provenance")),
    resources.c.type == "Binary",
    resources.c.type == "Provenance",
)
