"""Results from workers that hold no key of the hub: they hand them in, and the hub records them.

A job whose result is handed in stays in progress under the lease of its worker, which does not end any more: nobody
else works on it, and the hub completes it with what was handed in. Every function joins the transaction of its caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from osler.domain.events import Job
from osler.domain.findings import Inference
from osler.domain.inference_json import dumps
from osler.domain.states import JobState
from osler.storage.database import insert_ignore
from osler.storage.due import NEVER
from osler.storage.notify import announce
from osler.storage.tables import handed_in as table
from osler.storage.tables import job as job_table


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What a worker handed in; ``body`` is JSON, unchecked."""

    job_id: str
    lease: str
    body: str


def hand_in(connection: Connection, job: Job, inference: Inference, *, now: float) -> bool:
    """Leave a result for the hub; False when the lease was lost, and nothing was left."""
    held = (
        job_table.c.id == job.id,
        job_table.c.state == JobState.IN_PROGRESS.value,
        job_table.c.lease_owner == job.lease_owner,
    )
    if connection.execute(update(job_table).where(*held).values(lease_until=NEVER)).rowcount != 1:
        return False
    announce(connection, "results")
    row = {"job_id": job.id, "lease": job.lease_owner, "body": dumps(inference), "handed_in_at": now}
    return insert_ignore(connection, table, [row]) == 1


def waiting(connection: Connection, *, limit: int) -> Sequence[HandedIn]:
    """Return what waits for the hub, the oldest first."""
    query = select(table.c.job_id, table.c.lease, table.c.body).order_by(table.c.handed_in_at).limit(limit)
    return [HandedIn(*row) for row in connection.execute(query)]


def drop(connection: Connection, one: HandedIn) -> None:
    """Forget what was handed in."""
    connection.execute(delete(table).where(table.c.job_id == one.job_id, table.c.lease == one.lease))
