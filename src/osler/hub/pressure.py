"""When more waits than the hub is meant to keep, senders are asked to come again later; urgent work passes."""

import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, func, select

from osler.domain.events import Received
from osler.domain.identifiers import Identity, PseudonymKind
from osler.domain.states import URGENT, JobState, Priority, StudyState
from osler.errors import Overloaded
from osler.metrics import Metrics
from osler.storage.orders import orders_for
from osler.storage.tables import job, study
from osler.stores import Stores

_COUNT_S: Final = 1.0


class BackPressure:
    """Stands before ``accept``.

    Parameters
    ----------
    stores : Stores
    accept : callable
        Files an instance.
    max_waiting : int
        Studies before the queue and jobs in it, above which nothing is taken but what is urgent, or belongs to a study
        that is arriving; 0 for no limit.
    metrics : Metrics
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        stores: Stores,
        accept: Callable[[Received], None],
        *,
        max_waiting: int,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stores = stores
        self._accept = accept
        self._max_waiting = max_waiting
        self._metrics = metrics
        self._clock = clock
        self._counting = threading.Lock()
        self._counted_at = float("-inf")
        self._waiting = 0

    def accept(self, received: Received) -> None:
        """File one instance, unless too much waits.

        Raises
        ------
        Overloaded
            If it is to be sent again later.
        StorageFull, StorageBusy
            From filing it.
        """
        if self.full() and not self._passes(received):
            self._metrics.refused("queue", Overloaded.__name__)
            raise Overloaded("more waits here than can be worked on soon; send it again later")
        self._accept(received)

    def full(self) -> bool:
        """Tell whether only what is urgent is taken now."""
        return bool(self._max_waiting) and self.waiting() >= self._max_waiting

    def waiting(self) -> int:
        """Return how much waits, as it was within the last second."""
        with self._counting:
            if self._clock() - self._counted_at >= _COUNT_S:
                with self._stores.database.read() as connection:
                    self._waiting = _count(connection)
                self._counted_at = self._clock()
            return self._waiting

    def _passes(self, received: Received) -> bool:
        identity, look = received.identity, self._stores.vault.lookup
        if identity.priority in URGENT:
            return True
        uid = look(Identity(PseudonymKind.UID, identity.study_instance_uid))
        accession = look(Identity(PseudonymKind.ACCESSION, identity.accession_number))
        patient = look(Identity(PseudonymKind.PATIENT, identity.patient_id))
        arriving = select(study.c.id).where(study.c.lookup == uid, study.c.state == StudyState.RECEIVING)
        with self._stores.database.read() as connection:
            if connection.execute(arriving).first() is not None:
                return True
            if not identity.accession_number:
                return False
            return any(p is Priority.HIGH for _, p in orders_for(connection, accession=accession, patient=patient))


def _count(connection: Connection) -> int:
    jobs = select(func.count()).select_from(job).where(job.c.state == JobState.SCHEDULED.value)
    studies = select(func.count()).select_from(study)
    studies = studies.where(study.c.state.in_((StudyState.RECEIVING, StudyState.COMPLETE)))
    return int(connection.execute(jobs).scalar_one() + connection.execute(studies).scalar_one())
