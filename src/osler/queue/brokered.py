"""The queue that tells a broker of its jobs, so that many workers wait without asking the database.

The ledger is the truth, the broker carries references. A put or a retry leaves the job unpublished; the relay publishes
it once that is committed. A worker that gets a reference leases the job by its id, and the lease decides: a reference
that came twice, too early, or after its job had ended is dropped. A reference is given back to the broker when the
ledger says that the job has left this worker's hands, that is, after the effect was committed.

What a broker lost is found by counting: jobs that have waited for ``republish_s`` are compared with what the broker
says is waiting, and the difference is published again. So is each job whose lease ended without a sign. And a worker
to whom the broker brings nothing takes what has waited that long from the ledger itself: where a reference lies with
a worker that is busy, the job does not wait for it.
"""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any, Final, Unpack

import structlog
from sqlalchemy import Connection, Row, and_, case, func, or_, select, update

from osler.domain.events import Job
from osler.domain.states import JobState, Priority
from osler.errors import PeerUnavailable, Transient
from osler.queue.ledger import JobLedger, Terms, expired, ready
from osler.queue.transport import LONGEST_BATCH, Incoming, Outgoing, Reference, Transport
from osler.storage.database import Database
from osler.storage.due import due, has_come
from osler.storage.tables import job as table

_LOOKS: Final = 3  # for lost references, in each republish_s
_ROUNDS: Final = 16  # of dropped references in one claim

log = structlog.get_logger(__name__)


class BrokeredQueue(JobLedger):
    """See :class:`osler.queue.port.Queue`.

    Parameters
    ----------
    database : Database
    transport : Transport
    republish_s : float
        How long a job may wait before its reference is looked for at the broker, seconds.
    terms
        As of :class:`osler.queue.ledger.JobLedger`.
    """

    def __init__(
        self, database: Database, transport: Transport, *, republish_s: float = 15.0, **terms: Unpack[Terms]
    ) -> None:
        super().__init__(database, **terms)
        self._transport = transport
        self._republish_s = republish_s
        self._next_look = 0.0
        self._next_late = 0.0
        self._held: dict[str, tuple[str, Incoming]] = {}  # by job id, with its lease
        self._holding = threading.Lock()

    def claim(self, owner: str, *, models: Sequence[str], limit: int, now: float | None = None) -> list[Job]:
        """Lease jobs of one model; see the port. References that lead to nothing are dropped on the way."""
        self._settle_ended()
        for _ in range(_ROUNDS):
            incoming = self._transport.receive(models, limit)
            if not incoming:
                return self._claim_late(owner, models, limit, now)
            jobs = self.lease(owner, list(dict.fromkeys(one.reference.job_id for one in incoming)), now)
            self._transport.settle(self._hold(jobs, incoming))
            if jobs:
                return jobs
        return []

    def _claim_late(self, owner: str, models: Sequence[str], limit: int, now: float | None) -> list[Job]:
        """Lease what the broker should have brought long ago, but not while it is away: then the hub only waits."""
        at = self._clock() if now is None else now
        if not has_come(self._next_late, at) or not self._transport.reachable():
            return []
        before = at - self._republish_s
        # A line may take no references while the broker is there: what it was not told of is late as well.
        untold = and_(table.c.published_at.is_(None), due(table.c.available_at, before))
        late = and_(ready(at), or_(_late(before), untold), table.c.model.in_(models))
        query = select(table.c.id, table.c.model).where(late).order_by(*self._order(at)).limit(limit)
        with self._database.read() as connection:
            found = connection.execute(query).all()
        if not found:
            self._next_late = at + min(1.0, self._republish_s / _LOOKS)
        return self.lease(owner, [row.id for row in found if row.model == found[0].model], now)

    def relay(self) -> bool:
        """Publish what the broker has not been told of; see the port."""
        if not self._transport.reachable():
            return False
        now = self._clock()
        self._look_for_lost(now)
        with self._database.read() as connection:
            if connection.execute(select(table.c.id).where(_unpublished(now)).limit(1)).first() is None:
                return False
        rows = self._database.write(lambda connection: self._mark(connection, now))
        outgoing = [_outgoing(row, now) for row in rows]
        confirmed: set[str] = set()
        try:
            confirmed = self._transport.publish(outgoing)
        finally:
            missed = [row.id for row in rows if row.id not in confirmed]
            if missed:
                unmark = update(table).where(table.c.id.in_(missed)).values(published_at=None)
                self._database.write(lambda connection: connection.execute(unmark))
        return bool(rows) and not missed

    def reachable(self) -> bool:
        """Tell whether the broker is there; see the port."""
        return self._transport.reachable()

    def close(self) -> None:
        """Disconnect from the broker; see the port."""
        with contextlib.suppress(Transient):  # a database that is away must not keep the broker from being left
            self._settle_ended()
        self._transport.close()

    def _mark(self, connection: Connection, now: float) -> list[Any]:
        """Mark jobs as published, before they are: two relays must not publish the same.

        One that is killed before it published leaves jobs that only the count finds.
        """
        self._bury_spent(connection, now)
        order = self._order(now)
        query = (
            select(
                *(table.c[name] for name in ("id", "model", "priority", "available_at", "dead", "state")),
                order[0].label("urgent_at"),
            )
            .where(_unpublished(now))
            .order_by(*order)
            .limit(LONGEST_BATCH)
        )
        rows = list(connection.execute(query))
        told_at = case((due(table.c.available_at, now), now), else_=table.c.available_at)
        connection.execute(update(table).where(table.c.id.in_([row.id for row in rows])).values(published_at=told_at))
        return rows

    def _look_for_lost(self, now: float) -> None:
        """Mark as unpublished what has waited long and cannot be among what waits at the broker."""
        if not has_come(self._next_look, now):
            return
        self._next_look = now + self._republish_s / _LOOKS
        with self._database.read() as connection:
            late = _late(now - self._republish_s)
            query = (
                select(table.c.model, table.c.priority, func.count(), func.sum(case((late, 1), else_=0)))
                .where(_told(now))
                .group_by(table.c.model, table.c.priority)
            )
            lines = [tuple(row) for row in connection.execute(query)]
        for model, priority, count, overdue in lines:
            if overdue:
                lost = min(overdue, count - self._waiting(model, priority, count))
                if lost > 0:
                    log.warning("references lost by the broker", model=model, priority=priority, count=lost)
                    self._forget(model, priority, lost, now)

    def _waiting(self, model: str, priority: str, otherwise: int) -> int:
        try:
            return self._transport.waiting(model, Priority(priority))
        except PeerUnavailable:
            return otherwise

    def _forget(self, model: str, priority: str, count: int, now: float) -> None:
        """Mark the longest published of a line as unpublished."""
        oldest = (
            select(table.c.id)
            .where(_told(now), _late(now - self._republish_s), table.c.model == model, table.c.priority == priority)
            .order_by(table.c.published_at)
            .limit(count)
        )

        def change(connection: Connection) -> None:
            ids = list(connection.execute(oldest).scalars())
            connection.execute(update(table).where(table.c.id.in_(ids)).values(published_at=None))

        self._database.write(change)

    def _hold(self, jobs: Sequence[Job], incoming: Sequence[Incoming]) -> list[Incoming]:
        """Keep the reference of each leased job; return those that lead to nothing, or were kept for a lost lease."""
        leases = {job.id: job.lease_owner for job in jobs}
        useless: list[Incoming] = []
        with self._holding:
            for one in incoming:
                lease = leases.pop(one.reference.job_id, None)
                if lease is None:
                    useless.append(one)
                    continue
                former = self._held.get(one.reference.job_id)
                if former is not None:
                    useless.append(former[1])
                self._held[one.reference.job_id] = (lease, one)
        return useless

    def _settle_ended(self) -> None:
        """Settle what the ledger says is no longer in our hands: completed, put back, or lost."""
        with self._holding:
            held = dict(self._held)
        if not held:
            return
        query = select(table.c.id, table.c.lease_owner).where(
            table.c.id.in_(list(held)), table.c.state == JobState.IN_PROGRESS.value
        )
        with self._database.read() as connection:
            ours = {(row.id, row.lease_owner) for row in connection.execute(query)}
        with self._holding:
            ended = [id_ for id_, kept in held.items() if (id_, kept[0]) not in ours and self._held.get(id_) is kept]
            settled = [self._held.pop(id_)[1] for id_ in ended]
        self._transport.settle(settled)


def _unpublished(now: float) -> Any:
    never = table.c.published_at.is_(None)
    return or_(
        and_(table.c.state == JobState.SCHEDULED.value, never),
        and_(table.c.state == JobState.CANCELED.value, never, table.c.dead.is_(True)),
        and_(expired(now), or_(never, _published_before(now))),
    )


def _published_before(now: float) -> Any:
    """Jobs that were published last while their lease, which has ended, was held; or while a clock was wrong."""
    ended = and_(table.c.lease_until <= now, table.c.published_at < table.c.lease_until)
    return or_(ended, and_(table.c.lease_until > now, table.c.published_at > now))


def _told(now: float) -> Any:
    """Jobs that could be claimed and that the broker was told of since."""
    return and_(ready(now), table.c.published_at.is_not(None))


def _late(before: float) -> Any:
    return due(table.c.published_at, before)


def _outgoing(row: Row[Any], now: float) -> Outgoing:
    reference = Reference(row.id, row.model, Priority(row.priority), row.urgent_at)
    waits = row.state == JobState.SCHEDULED.value and not has_come(row.available_at, now)
    return Outgoing(reference, delay_s=row.available_at - now if waits else 0.0, dead=row.dead)
