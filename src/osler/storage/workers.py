"""Who works: each worker's own sign of life, in the ledger. Every function joins the transaction of its caller."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select, update

from osler.storage.database import insert_ignore
from osler.storage.tables import worker as table

BEAT_S: Final = 5.0
"""How often a worker gives a sign, seconds."""

LOST_S: Final = 30.0
"""One that gives none for this time is gone, seconds."""


@dataclass(frozen=True, slots=True)
class WorkerSign:
    """What a worker says of itself.

    Parameters
    ----------
    id : str
        The leases of its jobs begin with it.
    host : str
    pid : int
    models : tuple of str
        ``name@version`` of those that it can run now.
    tags : tuple of str
    device : str
    gpu_memory_mb : int
    busy : int
        Jobs in work.
    draining : bool
        It takes no more.
    started_at, heartbeat_at : float
        Seconds since the epoch, UTC.
    """

    id: str
    host: str
    pid: int
    models: tuple[str, ...]
    tags: tuple[str, ...]
    device: str
    gpu_memory_mb: int
    busy: int
    draining: bool
    started_at: float
    heartbeat_at: float


def sign(connection: Connection, one: WorkerSign) -> None:
    """Give a sign of life."""
    values: dict[str, Any] = {name: getattr(one, name) for name in WorkerSign.__slots__}
    values |= {"models": json.dumps(one.models), "tags": json.dumps(one.tags)}
    if connection.execute(update(table).where(table.c.id == one.id).values(**values)).rowcount == 0:
        insert_ignore(connection, table, [values])


def leave(connection: Connection, ids: Sequence[str]) -> None:
    """Take workers off the list."""
    connection.execute(delete(table).where(table.c.id.in_(ids)))


def listing(connection: Connection) -> list[WorkerSign]:
    """Return the workers, the lost ones too, by host and id."""
    return [_sign(row) for row in connection.execute(select(table).order_by(table.c.host, table.c.id))]


def _sign(row: Row[Any]) -> WorkerSign:
    values = dict(row._mapping)
    return WorkerSign(**values | {name: tuple(json.loads(values[name])) for name in ("models", "tags")})
