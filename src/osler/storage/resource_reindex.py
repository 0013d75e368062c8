"""The index built anew, when it was built by other rules than those that hold now."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from osler.errors import IntegrityError
from osler.standards.fhir_json import loads
from osler.storage.blobs import Sealer
from osler.storage.database import Database
from osler.storage.resource_index import ResourceIndex, index_version
from osler.storage.stored import open_stored
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_index as built
from osler.storage.tables import resource_reference, resource_span, resource_token

_AT_ONCE: Final = 500
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
    """Build the index anew if it was built by other rules; all or nothing.

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
        How many resources could not be indexed because their text is damaged; they cannot be found.
    """
    with database.read() as connection:
        if _holds(connection):
            return 0

    def change(connection: Connection) -> int:
        # Another process may have done it while this one waited for its turn.
        return 0 if _holds(connection) else _build(connection, sealer, ResourceIndex(index), progress)

    return database.write(change)


def _holds(connection: Connection) -> bool:
    return connection.execute(select(built.c.version)).scalar() == index_version()


def _build(connection: Connection, sealer: Sealer, index: ResourceIndex, progress: Callable[[int, int], None]) -> int:
    for table in (resource_token, resource_span, resource_reference, built):
        connection.execute(delete(table))
    count = connection.execute(select(func.count()).select_from(resources)).scalar_one()
    done, damaged, after = 0, 0, ("", "")
    key = tuple_(resources.c.type, resources.c.id)
    while True:
        some = select(resources).where(key > after).order_by(resources.c.type, resources.c.id).limit(_AT_ONCE)
        rows = connection.execute(some).mappings().all()
        if not rows:
            break
        changed: list[dict[str, Any]] = []
        for row in rows:
            if row["deleted"]:
                continue
            try:
                stamped = loads(open_stored(row, sealer).text)
            except IntegrityError:
                damaged += 1
            else:
                changed.append({"of_type": row["type"], "of_id": row["id"], **index.add(connection, stamped)})
        if changed:
            connection.execute(_ROW, changed)
        done += len(rows)
        progress(done, count)
        after = (rows[-1]["type"], rows[-1]["id"])
    connection.execute(built.insert(), {"id": 1, "version": index_version()})
    return damaged
