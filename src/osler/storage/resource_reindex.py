"""The index built anew, when it was built by other rules than those that hold now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, select, tuple_, update

from osler.errors import IntegrityError
from osler.standards.fhir_json import loads
from osler.storage.blobs import Sealer
from osler.storage.database import Database
from osler.storage.resource_index import ResourceIndex, index_version
from osler.storage.stored import open_stored
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_index as built
from osler.storage.tables import resource_reference, resource_span, resource_token

AT_ONCE: Final = 200
"""Resources that one transaction indexes."""
_LAST: Final = ("Binary", "Provenance")  # what belongs where others do comes after them
_ROW: Final = (
    update(resources)
    .where(resources.c.type == bindparam("of_type"), resources.c.id == bindparam("of_id"))
    .values({name: bindparam(name) for name in ("patient", "date_at", "restricted", "present")})
)


def reindex(
    database: Database,
    *,
    sealer: Sealer,
    index: Callable[..., bytes],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> int:
    """Build the index anew if it was built by other rules, a piece a transaction.

    Other writers have their turn between two pieces, and several processes may do it together. What a kill leaves is
    gone on with at the next call. Until this returns, nothing may be searched: of an index that is not whole, only a
    part is found.

    Parameters
    ----------
    database : Database
    sealer : Sealer
        Of the purpose ``record``.
    index : callable
        ``index(purpose, *parts)``: a keyed hash of 32 bytes.
    progress : callable
        Told how many resources are done, and of how many.

    Returns
    -------
    int
        How many resources this call could not index because their text is damaged; they cannot be found.
    """
    with database.read() as connection:
        if _holds(connection):
            return 0
        count = connection.execute(select(func.count()).select_from(resources)).scalar_one()
    database.write(_begin)
    rebuilt, done, damaged = _Rebuilt(sealer, ResourceIndex(index)), 0, 0
    while (piece := database.write(rebuilt.piece)) is not None:
        done, damaged = done + piece.done, damaged + piece.damaged
        if piece.done:
            progress(min(done, count), count)
    return damaged


def _holds(connection: Connection) -> bool:
    """Tell whether the index is whole, and by the rules of now."""
    return connection.execute(select(built)).all() == [(1, index_version(), None)]


def _begin(connection: Connection) -> None:
    """Empty the index, unless it is being built by the rules of now already."""
    if connection.execute(select(built.c.version)).scalar() == index_version():
        return
    for table in (resource_token, resource_span, resource_reference, built):
        connection.execute(delete(table))
    connection.execute(built.insert(), {"id": 1, "version": index_version(), "built_to": "/"})


@dataclass(frozen=True, slots=True)
class _Piece:
    """How many resources a transaction went through, and how many of them are damaged."""

    done: int
    damaged: int


@dataclass(frozen=True, slots=True)
class _Rebuilt:
    sealer: Sealer
    index: ResourceIndex

    def piece(self, connection: Connection) -> _Piece | None:
        """Index the next resources; None when the index is whole."""
        (_, version, built_to) = connection.execute(select(built)).one()
        if built_to is None or version != index_version():
            return None  # another process has ended it, or has begun one by the rules of another program
        type_name, _, logical_id = built_to.partition("/")
        rows = _next(connection, type_name, logical_id)
        changed: list[dict[str, Any]] = []
        damaged = 0
        for row in rows:
            if row["deleted"]:
                continue
            try:
                stamped = loads(open_stored(row, self.sealer).text)
            except IntegrityError:
                damaged += 1
                continue
            self.index.remove(connection, stamped)  # it may have been written since this was begun
            changed.append({"of_type": row["type"], "of_id": row["id"], **self.index.add(connection, stamped)})
        if changed:
            connection.execute(_ROW, changed)
        last = f"{rows[-1]['type']}/{rows[-1]['id']}" if rows else None
        connection.execute(update(built).values(built_to=last))
        return _Piece(len(rows), damaged)


def _next(connection: Connection, type_name: str, logical_id: str) -> Sequence[RowMapping]:
    """Return the next resources in the order of type and id, those that belong where others do at the end."""
    key = (resources.c.type, resources.c.id)
    if type_name not in _LAST:
        some = select(resources).where(tuple_(*key) > (type_name, logical_id), resources.c.type.not_in(_LAST))
        if rows := connection.execute(some.order_by(*key).limit(AT_ONCE)).mappings().all():
            return rows
        type_name = ""
    for last in _LAST:
        if last >= type_name:
            some = select(resources).where(
                resources.c.type == last, resources.c.id > (logical_id if last == type_name else "")
            )
            if rows := connection.execute(some.order_by(resources.c.id).limit(AT_ONCE)).mappings().all():
                return rows
    return ()
