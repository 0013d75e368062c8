"""Reading and searching the entries of the log as FHIR AuditEvents, straight from the chain's table.

References
----------
HL7 FHIR R4 4.0.1, AuditEvent; 3.1.1 Search
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true

from osler.audit.conditions import Conditions
from osler.domain.reach import NO_PATIENT, Reach, ReachOf
from osler.errors import Malformed, NotFound
from osler.standards.fhir_paging import read_cursor, write_cursor
from osler.standards.fhir_query import Query
from osler.standards.fhir_result import Sort
from osler.storage.database import Database
from osler.storage.resource_search import COUNTED, Page
from osler.storage.stored import Stored, within
from osler.storage.tables import audit_event

AUDIT_EVENT: Final = "AuditEvent"
_MOST_READ: Final = 10_000
"""Entries that are opened for one page; what the columns tell alone opens none."""
_MOST_PAGES: Final = 20
"""Pages of such a search that are counted."""
_CHUNK: Final = 500
_FAR: Final = 2**62
_COLUMNS: Final = {"date_at": "recorded_at", "updated_at": "recorded_at", "id": "seq"}
_ROW: Final = (audit_event.c.seq, audit_event.c.recorded_at, audit_event.c.patient, audit_event.c.body)

Position = tuple[float, int]


class AuditSearch:
    """Finds entries of the audit log.

    Parameters
    ----------
    database : Database
    most_passed : int
        Entries that one page passes by where no index leads to the matches.
    """

    def __init__(self, database: Database, *, most_passed: int = 50_000) -> None:
        self._database = database
        self._most_passed = most_passed

    def find(self, connection: Connection, logical_id: str, reach: Reach) -> Stored:
        """Return one entry.

        Raises
        ------
        NotFound
            If there is none of that number within reach.
        """
        number = int(logical_id) if logical_id.isascii() and logical_id.isdecimal() and len(logical_id) < 19 else -1
        row = connection.execute(select(*_ROW).where(audit_event.c.seq == number)).one_or_none()
        found = None if row is None or str(number) != logical_id else _stored(row)
        if found is None or not within(reach, found):
            raise NotFound("there is no such resource")
        return found

    def search(self, query: Query, reach_of: ReachOf) -> Page:
        """Return one page of the entries that match and are within reach.

        Pages are cut by time and number of the last match. Patient, date, type, subtype and the person who acts lead to
        the entries by an index. Where something else is asked for besides, a page passes by a bounded number of them:
        it may hold fewer matches than asked for, and there is a next one.

        Raises
        ------
        Malformed
            If the cursor is none of ours, or a parameter asks for what cannot be asked of the log.
        """
        with self._database.read() as connection:
            return self.search_in(connection, query, reach_of)

    def search_in(self, connection: Connection, query: Query, reach_of: ReachOf) -> Page:
        """Return what :meth:`search` does, as a transaction sees it."""
        after, total = _read_cursor(query.cursor) if query.cursor else (None, None)
        reading = _Reading(connection, query, reach_of(query.type, "s"), self._most_passed)
        matches, last = reading.page(after, query.count) if query.count else ([], None)
        if not query.cursor and query.total != "none":
            total = len(matches) if query.count and last is None else reading.total()
        return Page(tuple(matches), total, _write_cursor(last, total) if last else "")


class _Reading:
    """The statements of one search, and the reading of their answers."""

    def __init__(self, connection: Connection, query: Query, reach: Reach, most_passed: int) -> None:
        self._connection = connection
        self._most_passed = most_passed
        self._exact = query.total == "accurate"
        self._reach = reach
        self._conditions = Conditions(connection, query.conditions)
        keys = {_COLUMNS[key.column]: key.descending for key in reversed(query.sort)}
        last = query.sort[-1].descending
        self._keys = [Sort(column, descending) for column, descending in reversed(keys.items()) if column != "seq"]
        if query.sort[0].column == "id":
            self._keys = []
            last = query.sort[0].descending
        self._keys.append(Sort("seq", last))
        self._unsure = self._conditions.unsure or any(part.tokens for part in reach)

    def page(self, after: Position | None, count: int) -> tuple[list[Stored], Position | None]:
        """Return the matches after a position, and where they end when there may be more."""
        matches: list[Stored] = []
        opened, size = 0, max(count, _CHUNK) if self._unsure else count
        edge = self._edge(after)
        while True:
            rows = self._connection.execute(self._statement(after, edge, size + 1)).all()
            for number, row in enumerate(rows[:size], 1):
                after, opened = (row.recorded_at, row.seq), opened + 1
                stored = _stored(row)
                if self._holds(stored):
                    matches.append(stored)
                if len(matches) == count:
                    return matches, after if number < len(rows) else edge
            if len(rows) <= size:
                return matches, edge
            if opened >= _MOST_READ:
                return matches, after

    def total(self) -> int | None:
        """Return how many match; None when it was not asked for and is not cheap to say.

        Raises
        ------
        Malformed
            If it is asked for and far too many entries would have to be looked into.
        """
        if self._unsure:
            return self._total_by_reading() if self._exact else None
        if not self._exact and self._edge(None) is not None:
            return None
        found = self._found(audit_event.c.seq)
        bounded = found if self._exact else found.limit(COUNTED + 1)
        total: int = self._connection.execute(select(func.count()).select_from(bounded.subquery())).scalar_one()
        return total if self._exact or total <= COUNTED else None

    def _total_by_reading(self) -> int:
        total, after = 0, None
        for _ in range(_MOST_PAGES):
            matches, after = self.page(after, _MOST_READ)
            total += len(matches)
            if after is None:
                return total
        raise Malformed("too many entries to count by this: add a patient, a date or a type")

    def _found(self, *columns: Any) -> Select[Any]:
        return self._led(*columns).where(*self._conditions.others)

    def _led(self, *columns: Any) -> Select[Any]:
        return select(*columns).where(_within(self._reach), *self._conditions.leading)

    def _edge(self, after: Position | None) -> Position | None:
        """Return how far a page may pass by entries; None for as far as there are any."""
        if not self._conditions.others:
            return None
        key = self._keys[0]
        statement = self._led(_column(key)).order_by(_ordered(key)).offset(self._most_passed).limit(1)
        if after is not None:
            statement = statement.where(_after(self._keys, after))
        value = self._connection.execute(statement).scalar_one_or_none()
        if value is None:
            return None
        last = 0 if self._keys[-1].descending else _FAR
        return (value, last) if key.column == "recorded_at" else (0.0, value)

    def _statement(self, after: Position | None, edge: Position | None, limit: int) -> Select[Any]:
        statement = self._found(*_ROW)
        if after is not None:
            statement = statement.where(_after(self._keys, after))
        if edge is not None:
            key = self._keys[0]
            column, value = _column(key), edge[key.column == "seq"]
            statement = statement.where(column >= value if key.descending else column <= value)
        return statement.order_by(*map(_ordered, self._keys)).limit(limit)

    def _holds(self, stored: Stored) -> bool:
        if not self._unsure:
            return True
        return within(self._reach, stored) and self._conditions.hold(json.loads(stored.text))


def _within(reach: Reach) -> ColumnElement[bool]:
    """Return that an entry is about a patient within reach, as far as the column tells."""
    patients = {part.patient for part in reach}
    if None in patients:
        return true()
    named = audit_event.c.patient.in_(sorted(patient for patient in patients if patient))
    return or_(named, audit_event.c.patient.is_(None)) if NO_PATIENT in patients else named


def _after(keys: Sequence[Sort], position: Position) -> ColumnElement[bool]:
    """Return that an entry comes after a position in the order of the page."""
    first, *others = keys
    column, value = _column(first), position[first.column == "seq"]
    beyond: ColumnElement[bool] = column < value if first.descending else column > value
    if not others:
        return beyond
    bound = column <= value if first.descending else column >= value  # where the index is entered
    return and_(bound, or_(beyond, _after(others, position)))


def _column(key: Sort) -> Any:
    return audit_event.c[key.column]


def _ordered(key: Sort) -> Any:
    return _column(key).desc() if key.descending else _column(key).asc()


def _stored(row: Any) -> Stored:
    return Stored(AUDIT_EVENT, str(row.seq), 1, row.recorded_at, row.patient, row.body, "POST")


def _write_cursor(position: Position, total: int | None) -> str:
    return write_cursor(json.dumps([*position, total]).encode())


def _read_cursor(cursor: str) -> tuple[Position, int | None]:
    try:
        at, seq, total = json.loads(read_cursor(cursor))
        if not 0 <= seq <= _FAR:
            raise ValueError(cursor)
        position = (float(at), int(seq))
        return position, None if total is None else min(max(int(total), 0), 2**31)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise Malformed("the cursor does not belong to this search") from None
