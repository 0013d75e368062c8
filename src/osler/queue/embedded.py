"""The queue that needs nothing but the ledger: workers look for jobs in its table."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, or_, select

from osler.domain.events import Job
from osler.queue.ledger import JobLedger, ready
from osler.storage.tables import job as table


class EmbeddedQueue(JobLedger):
    """See :class:`osler.queue.port.Queue`."""

    def claim(self, owner: str, *, models: Sequence[str], limit: int, now: float | None = None) -> list[Job]:
        """Lease jobs of one model; see the port."""
        at = self._clock() if now is None else now
        waiting = and_(table.c.model.in_(models), or_(ready(at), self._spent(at)))
        with self._database.read() as connection:  # an idle worker must not keep the writer busy
            if connection.execute(select(table.c.id).where(waiting).limit(1)).first() is None:
                return []
        return self._database.write(lambda connection: self._claim(connection, owner, models, limit, at))

    def relay(self) -> bool:
        """Nothing is to be brought anywhere; see the port."""
        return False

    def reachable(self) -> bool:
        """Be as reachable as the ledger; see the port."""
        return True

    def close(self) -> None:
        """Nothing is held; see the port."""

    def _claim(self, connection: Connection, owner: str, models: Sequence[str], limit: int, now: float) -> list[Job]:
        self._bury_spent(connection, now)
        urgent = (
            select(table.c.id, table.c.model)
            .where(ready(now))
            .order_by(*self._order(now))
            .with_for_update(skip_locked=True)  # PostgreSQL; SQLite's writer is alone anyway
        )
        found = connection.execute(urgent.where(table.c.model.in_(models)).limit(1)).all()
        if not found:
            return []
        if limit > 1:
            found = connection.execute(urgent.where(table.c.model == found[0].model).limit(limit)).all()
        return self._take(connection, owner, [row.id for row in found], now)
