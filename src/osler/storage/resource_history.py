"""The history of resources: all versions, the latest first, in pages."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, func, or_, select, true, union_all

from osler.domain.reach import NO_PATIENT, Reach
from osler.storage.blobs import Sealer
from osler.storage.stored import Stored, open_stored, within
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_history as history

Position = tuple[float, str, int]
"""Where a page ends: time, id and version of its last entry."""
_COLUMNS: Final = tuple(column.name for column in history.c)


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which versions are asked for.

    Parameters
    ----------
    type : str
    id : str
        Logical id; empty for all resources of the type.
    since : float or None
        Only versions that came to be then or later, seconds since the epoch, UTC.
    at : (float, float) or None
        Only versions that were current at some time of this interval.
    count : int
        Versions on a page.
    after : Position or None
        Where the page before ended.
    """

    type: str
    id: str = ""
    since: float | None = None
    at: tuple[float, float] | None = None
    count: int = 100
    after: Position | None = None


def history_page(
    connection: Connection, sealer: Sealer, query: HistoryQuery, reach: Reach
) -> tuple[list[Stored], Position | None]:
    """Return one page of versions, and where it ends when there are more.

    A version is within reach when it is itself and the current version is too: what is now restricted, or another
    patient's, shows nothing of its past.

    Raises
    ------
    IntegrityError
        If a text is not what was written there.
    """
    found: list[Stored] = []
    for stored in _versions(connection, sealer, query, reach):
        if len(found) == query.count:
            return found, _position(found[-1])
        found.append(stored)
    return found, None


def _versions(connection: Connection, sealer: Sealer, query: HistoryQuery, reach: Reach) -> Iterator[Stored]:
    """Yield all that are left, read in pages: a granular scope is decided by the text."""
    granular = any(part.tokens for part in reach)
    current: dict[str, bool] = {}
    while reach:
        rows = connection.execute(_select(query, reach)).mappings().all()
        for row in rows:
            stored = open_stored(row, sealer)
            if granular and stored.id not in current:
                newest = select(resources).where(resources.c.type == stored.type, resources.c.id == stored.id)
                current[stored.id] = within(reach, open_stored(connection.execute(newest).mappings().one(), sealer))
            if not granular or (current[stored.id] and within(reach, stored)):
                yield stored
        if len(rows) <= query.count:
            return
        query = replace(query, after=_position(stored))


def _select(query: HistoryQuery, reach: Reach) -> Select[Any]:
    now, past = resources, history
    same = and_(now.c.type == past.c.type, now.c.id == past.c.id)
    parts = [
        select(*(now.c[name] for name in _COLUMNS)).where(*_wanted(now, query), _within(now, reach)),
        select(*(past.c[name] for name in _COLUMNS))
        .join(now, same)
        .where(*_wanted(past, query), _within(past, reach), _within(now, reach)),
    ]
    found = union_all(*parts).subquery("version")
    newest = (
        (found.c.version.desc(),)
        if query.id
        else (found.c.updated_at.desc(), found.c.id.desc(), found.c.version.desc())
    )
    return select(found).order_by(*newest).limit(query.count + 1)


def _wanted(row: FromClause, query: HistoryQuery) -> Iterator[ColumnElement[bool]]:
    yield row.c.type == query.type
    if query.id:
        yield row.c.id == query.id
    if query.since is not None:
        yield row.c.updated_at >= query.since
    if query.at is not None:
        low, high = query.at
        yield row.c.updated_at < high
        if row is history:
            yield _replaced_at() > low
    if query.after is not None:
        at, logical_id, version = query.after
        if query.id:  # one resource's versions are in the order of their numbers, as its key is
            yield row.c.version < version
            return
        yield row.c.updated_at <= at
        yield or_(row.c.updated_at < at, row.c.id < logical_id, and_(row.c.id == logical_id, row.c.version < version))


def _replaced_at() -> ColumnElement[float]:
    """Return when a version of the history was followed by the next one."""

    def of(following: FromClause) -> ColumnElement[float]:
        key = (following.c.type == history.c.type, following.c.id == history.c.id)
        return (
            select(following.c.updated_at)
            .where(*key, following.c.version == history.c.version + 1)
            .correlate(history)
            .scalar_subquery()
        )

    return func.coalesce(of(history.alias("following")), of(resources.alias("followed_by")))


def _within(row: FromClause, reach: Reach) -> ColumnElement[bool]:
    return or_(
        *(
            and_(
                true() if part.patient is None else func.coalesce(row.c.patient, NO_PATIENT) == part.patient,
                true() if part.restricted else ~row.c.restricted,
            )
            for part in reach
        )
    )


def _position(stored: Stored) -> Position:
    return stored.updated_at, stored.id, stored.version
