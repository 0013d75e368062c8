"""The resources of a type as they were at one moment, in the order of their ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, select

from osler.storage.blobs import Sealer
from osler.storage.stored import Stored, open_stored
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_history as history

_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which resources are asked for.

    Parameters
    ----------
    type : str
    at : float
        The moment, seconds since the epoch, UTC.
    after : str
        Id of the one that came last before; empty to begin.
    patients : tuple of str or None
        Only those about one of these patients; None for all.
    of_patients : bool
        Only those about some patient.
    """

    type: str
    at: float
    after: str = ""
    patients: tuple[str, ...] | None = None
    of_patients: bool = False


def versions_at(connection: Connection, sealer: Sealer, wanted: Snapshot) -> Iterator[tuple[str, Stored | None]]:
    """Yield the id of each resource with the version that held at the moment; None when there was none yet.

    Rows are fetched as they are asked for: who stops early has not read the rest.

    Raises
    ------
    IntegrityError
        If a text is not what was written there.
    """
    reading = connection.execution_options(stream_results=True, yield_per=_AT_ONCE)
    with reading.execute(_current(wanted)) as rows:
        for row in rows.mappings():
            held = row if row["updated_at"] <= wanted.at else _before(connection, row, wanted.at)
            yield row["id"], None if held is None else open_stored(held, sealer)


def _current(wanted: Snapshot) -> Select[Any]:
    statement = select(resources).where(resources.c.type == wanted.type, resources.c.id > wanted.after)
    if wanted.patients is not None:
        statement = statement.where(resources.c.patient.in_(wanted.patients))
    elif wanted.of_patients:
        statement = statement.where(resources.c.patient.is_not(None))
    return statement.order_by(resources.c.id)


def _before(connection: Connection, row: RowMapping, at: float) -> RowMapping | None:
    statement = (
        select(history)
        .where(history.c.type == row["type"], history.c.id == row["id"], history.c.updated_at <= at)
        .order_by(history.c.version.desc())
        .limit(1)
    )
    return connection.execute(statement).mappings().one_or_none()
