"""What is to be delivered, and how far it has come: at least once, with effects that are the same when done twice."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, case, exists, func, or_, select, update

from osler.domain.events import Delivery, Recorded
from osler.domain.inference_json import loads
from osler.domain.states import DeliveryState, Role
from osler.errors import Malformed, NotFound
from osler.storage import Database
from osler.storage.database import insert_ignore
from osler.storage.due import due, in_turn
from osler.storage.tables import inference, outbox

_NAMESPACE: Final = uuid.UUID("0f6a4d7e-2f0f-4c5b-8f51-0f0a52b7d6a1")
LONGEST_BACKOFF_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery that a publisher has claimed.

    Parameters
    ----------
    id, idempotency_key : str
    kind : {"fhir", "sr", "sc", "alert", "oru"}
    destination : str
        Name in the configuration; empty for the hub's own FHIR store.
    attempts : int
        This one included.
    recorded : Recorded
    lease_owner : str
    """

    id: str
    idempotency_key: str
    kind: str
    destination: str
    attempts: int
    recorded: Recorded
    lease_owner: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One delivery as a person sees it in a list."""

    id: str
    kind: str
    destination: str
    state: DeliveryState
    attempts: int
    study_uid: str
    model: str
    reason: str | None
    reference: str | None
    available_at: float
    finished_at: float | None


class Outbox:
    """The table of deliveries.

    Parameters
    ----------
    database : Database
    clock : callable
        Seconds since the epoch, UTC.
    backoff_s : float
        Wait before the second attempt; doubles with each further one up to ten minutes.
    max_attempts : int
        Attempts before a person must look.
    lease_s : float
        A claim that is not answered in this time is free again. Longer than the slowest delivery.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        backoff_s: float = 5.0,
        max_attempts: int = 50,
        lease_s: float = 120.0,
    ) -> None:
        self._database = database
        self._clock = clock
        self._backoff_s = backoff_s
        self._max_attempts = max_attempts
        self._lease_s = lease_s

    def claim(self, owner: str, *, kinds: Sequence[str] = (), limit: int = 1) -> list[Entry]:
        """Take the deliveries that are due, alerts first.

        Parameters
        ----------
        owner : str
            Who takes them; different for each start of a publisher. It has done with what it took of those kinds
            before.
        kinds : sequence of str
            Take only these; empty for all.
        limit : int
        """
        now = self._clock()

        def take(connection: Connection) -> list[Entry]:
            due = _due(now, owner).where(outbox.c.kind.in_(kinds)) if kinds else _due(now, owner)
            rows = connection.execute(due.limit(limit).with_for_update(skip_locked=True, of=outbox)).all()
            if rows:
                connection.execute(
                    update(outbox)
                    .where(outbox.c.id.in_([r.id for r in rows]))
                    .values(lease_owner=owner, lease_until=now + self._lease_s, attempts=outbox.c.attempts + 1)
                )
            return [entry for r in rows if (entry := self._entry(connection, r, owner))]

        return self._database.write(take)

    def _entry(self, connection: Connection, row: Row[Any], owner: str) -> Entry | None:
        """Read a claimed row; one that cannot be read waits for a person and holds up no other."""
        try:
            recorded = Recorded(row.inference_id, loads(row.body), row.revision, row.recorded_at)
        except Malformed:
            values = {"state": DeliveryState.FAILED, "finished_at": self._clock(), "lease_owner": None}
            reason = "the result in the ledger cannot be read"
            connection.execute(update(outbox).where(outbox.c.id == row.id).values(reason=reason, **values))
            return None
        return Entry(row.id, row.idempotency_key, row.kind, row.destination, row.attempts + 1, recorded, owner)

    def done(self, connection: Connection, entry: Entry, delivery: Delivery) -> bool:
        """Note that a delivery has arrived; False when the lease was lost and another has answered for it.

        Parameters
        ----------
        connection : Connection
            Of the transaction that also writes the audit entry.
        """
        return bool(
            connection.execute(
                _mine(entry).values(
                    state=DeliveryState.DELIVERED,
                    reference=delivery.reference,
                    reason=delivery.warning,
                    finished_at=self._clock(),
                    lease_owner=None,
                    lease_until=None,
                )
            ).rowcount
        )

    def retry(self, connection: Connection, entry: Entry, reason: str, *, retryable: bool) -> DeliveryState:
        """Note that a delivery did not arrive: it waits for its next attempt, or for a person.

        Parameters
        ----------
        reason : str
            Without any value from the data.
        retryable : bool
            Whether the same may succeed later.

        Returns
        -------
        DeliveryState
            FAILED when it is not retryable or its attempts are spent.
        """
        now = self._clock()
        values: dict[str, Any] = {"reason": reason, "lease_owner": None, "lease_until": None}
        if retryable and entry.attempts < self._max_attempts:
            state = DeliveryState.PENDING
            values["available_at"] = now + min(LONGEST_BACKOFF_S, self._backoff_s * 2.0 ** min(entry.attempts - 1, 20))
        else:
            state = DeliveryState.FAILED
            values["finished_at"] = now
        connection.execute(_mine(entry).values(state=state, **values))
        return state

    def release(self, owner_prefix: str) -> int:
        """Free what publishers whose name begins so have claimed and cannot answer for any more (after a crash)."""
        held = outbox.c.state == DeliveryState.PENDING, outbox.c.lease_owner.startswith(owner_prefix, autoescape=True)
        free = update(outbox).where(*held).values(lease_owner=None, lease_until=None)
        return self._database.write(lambda c: c.execute(free).rowcount)

    def again(self, connection: Connection, entry_id: str) -> None:
        """Set a failed delivery up for another round of attempts.

        Raises
        ------
        NotFound
            If no failed delivery has that id.
        """
        failed = update(outbox).where(outbox.c.id == entry_id, outbox.c.state == DeliveryState.FAILED)
        values = {"state": DeliveryState.PENDING, "attempts": 0, "available_at": self._clock(), "finished_at": None}
        if not connection.execute(failed.values(**values)).rowcount:
            raise NotFound("no failed delivery has that id")

    def entries(self, *, state: DeliveryState | None = None, limit: int = 1000) -> list[Listed]:
        """List deliveries, the latest first."""
        query = select(outbox, inference.c.study_uid, inference.c.model).join(inference)
        if state is not None:
            query = query.where(outbox.c.state == state)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(outbox.c.created_at.desc(), outbox.c.id).limit(limit)).mappings()
            return [Listed(**{f: row[f] for f in Listed.__dataclass_fields__ if f != "state"},
                           state=DeliveryState(row["state"])) for row in rows]  # fmt: skip

    def next_due(self) -> float | None:
        """Return when the next delivery is due, seconds since the epoch; None when nothing waits."""
        due = case((outbox.c.lease_until > outbox.c.available_at, outbox.c.lease_until), else_=outbox.c.available_at)
        with self._database.read() as connection:
            return connection.execute(
                select(func.min(due)).where(outbox.c.state == DeliveryState.PENDING)
            ).scalar_one_or_none()

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many deliveries stand in each (kind, state)."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(outbox.c.kind, outbox.c.state, func.count()).group_by(outbox.c.kind, outbox.c.state)
            ).all()
        return {(str(kind), str(state)): int(count) for kind, state, count in rows}


def superseded(connection: Connection, recorded: Recorded) -> bool:
    """Whether the same model has read a later revision of the study, so that its result takes the place of this one."""
    later = select(func.count()).where(
        inference.c.study_uid == recorded.inference.study_instance_uid,
        inference.c.model == str(recorded.inference.model),
        inference.c.role != Role.SHADOW.value,
        inference.c.revision > recorded.revision,
    )
    return bool(connection.execute(later).scalar_one())


def send_anew(connection: Connection, report: str, version: int, *, now: float) -> int:
    """Plan messages that say what has become of a report: to each receiver of HL7 v2 that heard of it.

    Parameters
    ----------
    report : str
        ``DiagnosticReport/id``.
    version : int
        The version that is to be told; the same one is told once.
    """
    told = outbox.alias("told")
    rows = connection.execute(
        select(told.c.inference_id, told.c.destination)
        .distinct()
        .join(outbox, outbox.c.inference_id == told.c.inference_id)
        .where(outbox.c.kind == "fhir", outbox.c.reference == report, told.c.kind == "oru")
    ).all()
    keys = {f"{row.inference_id}/oru/{row.destination}/{version}": row for row in rows}
    return insert_ignore(
        connection,
        outbox,
        [
            {
                "id": str(uuid.uuid5(_NAMESPACE, key)),
                "idempotency_key": key,
                "inference_id": row.inference_id,
                "kind": "oru",
                "destination": row.destination,
                "state": DeliveryState.PENDING,
                "attempts": 0,
                "available_at": now,
                "created_at": now,
            }
            for key, row in keys.items()
        ],
    )


def earlier_versions(connection: Connection, recorded: Recorded) -> list[str]:
    """Return the other versions (``name@version``) of the same model that have read the study before."""
    model = recorded.inference.model
    found = connection.execute(
        select(inference.c.model, func.min(inference.c.created_at))
        .where(
            inference.c.study_uid == recorded.inference.study_instance_uid,
            inference.c.model != str(model),
            inference.c.role != Role.SHADOW.value,
            inference.c.created_at < recorded.recorded_at,
        )
        .group_by(inference.c.model)
        .order_by(func.min(inference.c.created_at))
    )
    return [row.model for row in found if row.model.rpartition("@")[0] == model.name]


def recorded_result(connection: Connection, inference_id: str) -> Recorded:
    """Read an inference from the ledger.

    Raises
    ------
    NotFound
    """
    row = connection.execute(select(inference).where(inference.c.id == inference_id)).first()
    if row is None:
        raise NotFound("no inference has that id")
    return Recorded(row.id, loads(row.body), row.revision, row.created_at)


def _due(now: float, owner: str) -> Any:
    earlier = outbox.alias("earlier")
    waits = (  # messages arrive in the order of what they say: an older one that is put off holds up the later ones
        exists()
        .where(
            earlier.c.kind == "oru",
            earlier.c.destination == outbox.c.destination,
            earlier.c.state == DeliveryState.PENDING,
            or_(
                earlier.c.created_at < outbox.c.created_at,
                and_(
                    earlier.c.created_at == outbox.c.created_at,
                    earlier.c.idempotency_key < outbox.c.idempotency_key,
                ),
            ),
        )
        .correlate(outbox)
    )
    # What the owner has claimed already it could not put down: the database was away then.
    free = outbox.c.lease_until.is_(None) | due(outbox.c.lease_until, now) | (outbox.c.lease_owner == owner)
    recorded = (inference.c.body, inference.c.revision, inference.c.study_uid, inference.c.model)
    return (
        select(outbox, *recorded, inference.c.created_at.label("recorded_at"))
        .join(inference)
        .where(outbox.c.state == DeliveryState.PENDING, due(outbox.c.available_at, now), free)
        .where(or_(outbox.c.kind != "oru", ~waits))
        .order_by(case((outbox.c.kind == "alert", 0), else_=1), in_turn(outbox.c.available_at, now), outbox.c.id)
    )


def _mine(entry: Entry) -> Any:
    """Address a claimed row as long as the claim holds: after the lease has run out, until another takes it."""
    return update(outbox).where(
        outbox.c.id == entry.id,
        outbox.c.state == DeliveryState.PENDING,
        outbox.c.lease_owner == entry.lease_owner,
        outbox.c.attempts == entry.attempts,
    )
