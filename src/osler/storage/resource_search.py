"""Searching the resources: pages, totals, and what comes along with the matches."""

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from osler.domain.reach import ReachOf
from osler.errors import IntegrityError, Malformed, TooCostly
from osler.standards.fhir_conditions import Condition, Text
from osler.standards.fhir_index import Term, has_text, keys_of
from osler.standards.fhir_json import Resource, loads
from osler.standards.fhir_order import rank, sort_value, with_id
from osler.standards.fhir_paging import read_cursor, write_cursor
from osler.standards.fhir_query import Query
from osler.standards.fhir_result import Sort
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.blobs import Sealer
from osler.storage.database import Database
from osler.storage.resource_includes import included
from osler.storage.resource_index import ResourceIndex
from osler.storage.resource_pages import Position, count_statement, executed, page_statement, position_values
from osler.storage.resource_shape import Values
from osler.storage.stored import Stored, open_stored

COUNTED: Final = 1000
"""How far matches are counted when nobody asked for the total."""
MOST_OPENED: Final = 5000
"""Resources that are opened to be sorted, or compared in clear, for one answer."""
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search.

    Parameters
    ----------
    matches : tuple of Stored
    total : int or None
        How many match in all, as counted with the first page; None when it was not asked for and is not cheap.
    cursor : str
        Where the next page starts; empty on the last.
    included : tuple of Stored
        What the matches refer to, and what refers to them, as far as it was asked for.
    """

    matches: tuple[Stored, ...]
    total: int | None
    cursor: str
    included: tuple[Stored, ...] = ()


class ResourceSearch:
    """Finds resources.

    Parameters
    ----------
    database : Database
    sealer : Sealer
        Of the purpose ``record``.
    index : callable
        ``index(purpose, *parts)``: a keyed hash of 32 bytes.
    most_opened : int
        Resources that are opened to be sorted, or compared in clear, for one answer.
    """

    def __init__(
        self, database: Database, *, sealer: Sealer, index: Callable[..., bytes], most_opened: int = MOST_OPENED
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._index = ResourceIndex(index)
        self._most_opened = most_opened

    def search(self, query: Query, reach_of: ReachOf) -> Page:
        """Return one page of the current resources that match and are within reach.

        Pages are cut by the key of the last match, not by its number: each match that was there from the first page
        on comes once, whatever is written between two pages.

        Parameters
        ----------
        query : Query
        reach_of : ReachOf
            Holds for the matches, for all that a chain or ``_has`` passes through, and for what comes along.

        Raises
        ------
        Malformed
            If the cursor was not made for this query and this reach.
        TooCostly
            If more resources than are opened for one answer would have to be sorted, or compared in clear.
        """
        with self._database.read() as connection:
            return self.search_in(connection, query, reach_of)

    def search_in(self, connection: Connection, query: Query, reach_of: ReachOf) -> Page:
        """Return what :meth:`search` does, as a transaction sees it."""
        aad = _cursor_aad(query, reach_of)
        after, total = self._open_cursor(query.cursor, aad) if query.cursor else (None, None)
        values = Values(self._index, reach_of)
        reading = _Reading(query, values, self._sealer, self._most_opened)
        matches, last = reading.page(connection, after) if query.count else ((), None)
        if not query.cursor and query.total != "none":
            # A page that is the only one has been counted.
            total = len(matches) if query.count and last is None else reading.total(connection)
        along = included(connection, query, matches, values, self._sealer)
        return Page(matches, total, self._seal_cursor([*last, total], aad) if last else "", along)

    def _seal_cursor(self, position: list[Any], aad: bytes) -> str:
        sealed = self._sealer.seal(json.dumps(position).encode(), aad)
        return write_cursor(sealed)

    def _open_cursor(self, cursor: str, aad: bytes) -> tuple[Position, int | None]:
        try:
            *position, total = json.loads(self._sealer.open(read_cursor(cursor), aad))
        except (ValueError, IntegrityError):
            raise Malformed("the cursor does not belong to this search") from None
        return tuple(position), total


class _Reading:
    """The reading of the answers to one search."""

    def __init__(self, query: Query, values: Values, sealer: Sealer, most_opened: int) -> None:
        self._query = query
        self._sealer = sealer
        self._most_opened = most_opened
        self._shape = values.shape_of(query)
        self._values = dict(values.bound)
        # What the index alone cannot tell is compared in the resource itself.
        self._unsure = [c for c in query.conditions if any(isinstance(t, Text) and t.partial for t in c.any_of)]

    def total(self, connection: Connection) -> int | None:
        """Return how many match; None when it was not asked for and is not cheap to say."""
        exact = self._query.total == "accurate"
        if self._unsure:
            return sum(1 for _ in self._all(connection)) if exact else None
        total = self._count(connection, None if exact else COUNTED + 1)
        return total if exact or total <= COUNTED else None

    def page(self, connection: Connection, after: Position | None) -> tuple[tuple[Stored, ...], Position | None]:
        """Return the matches after a position, and where they end when there are more."""
        if any(key.parameter for key in self._query.sort):
            return self._sorted(connection, after)
        count, opened = self._query.count, 0
        size = min(max(count, _AT_ONCE), self._most_opened) if self._unsure else count
        matches: list[Stored] = []
        while True:
            rows = self._rows(connection, after, size + 1)
            for number, row in enumerate(rows[:size], 1):
                stored = open_stored(row, self._sealer)
                if self._holds(stored):
                    matches.append(stored)
                if len(matches) == count:
                    return tuple(matches), self._position(row) if number < len(rows) else None
            if len(rows) <= size:
                return tuple(matches), None
            after = self._position(rows[size - 1])
            opened += size
            if opened >= self._most_opened:
                raise TooCostly("what is asked for leads to too many resources: ask for a longer text, or more besides")

    def _sorted(self, connection: Connection, after: Position | None) -> tuple[tuple[Stored, ...], Position | None]:
        """Return the page in an order that only the resources themselves tell: all matches are opened."""
        count, keys = self._query.count, with_id(self._query.sort)
        placed = ((_values_of(stored, row, keys), stored) for row, stored in self._all(connection))
        ranked = ((rank(values, keys), values, stored) for values, stored in placed)
        bound = None if after is None else rank(after, keys)
        least = heapq.nsmallest(count + 1, (r for r in ranked if bound is None or r[0] > bound), key=itemgetter(0))
        last = least[count - 1][1] if len(least) > count else None
        return tuple(stored for _, _, stored in least[:count]), last

    def _all(self, connection: Connection) -> Iterator[tuple[RowMapping, Stored]]:
        """Open all matches, unless the index leads to more than are opened for one answer."""
        if self._count(connection, self._most_opened + 1) > self._most_opened:
            raise TooCostly(f"more than {self._most_opened} resources would have to be opened: ask for fewer of them")
        after: Position | None = None
        while True:
            rows = self._rows(connection, after, _AT_ONCE)
            for row in rows:
                stored = open_stored(row, self._sealer)
                if self._holds(stored):
                    yield row, stored
            if len(rows) < _AT_ONCE:
                return
            after = self._position(rows[-1])

    def _rows(self, connection: Connection, after: Position | None, most: int) -> Sequence[RowMapping]:
        values = self._values | position_values(after or (), most)
        return executed(connection, page_statement, self._shape, values, further=after is not None).mappings().all()

    def _count(self, connection: Connection, most: int | None) -> int:
        total: int = executed(connection, count_statement, self._shape, self._values, most=most).scalar_one()
        return total

    def _position(self, row: RowMapping) -> Position:
        return tuple(row[key.column] for key in self._shape.keys)

    def _holds(self, stored: Stored) -> bool:
        if not self._unsure:
            return True
        resource = loads(stored.text)
        return all(_holds(resource, condition) for condition in self._unsure)


def _values_of(stored: Stored, row: RowMapping, keys: Sequence[Sort]) -> Position:
    resource = loads(stored.text)
    return tuple(
        row[key.column] if key.column else sort_value(resource, key.parameter, descending=key.descending)
        for key in keys
    )


def _holds(resource: Resource, condition: Condition) -> bool:
    """Tell whether a condition on a string holds, whichever of its texts the index could not compare whole."""
    known = SEARCHABLE[resource["resourceType"]].parameters
    return any(
        has_text(resource, known[test.parameter], test.folded, anywhere=test.anywhere)
        if isinstance(test, Text)
        else isinstance(test, Term) and test in keys_of(resource, known[test.parameter])
        for test in condition.any_of
    )


def _cursor_aad(query: Query, reach_of: ReachOf) -> bytes:
    """Return what a cursor is bound to: the search as it was understood, and how far the access reached."""
    asked = json.dumps([query.type, query.understood, repr(reach_of(query.type, "s"))])
    return b"cursor:" + hashlib.sha256(asked.encode()).digest()
