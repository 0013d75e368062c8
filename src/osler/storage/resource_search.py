"""Searching the resources: pages, totals, and what comes along with the matches."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from osler.domain.reach import ReachOf
from osler.errors import IntegrityError, Malformed
from osler.standards.fhir_conditions import Condition, Text
from osler.standards.fhir_index import has_text
from osler.standards.fhir_json import loads
from osler.standards.fhir_query import Query
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
    """

    def __init__(self, database: Database, *, sealer: Sealer, index: Callable[..., bytes]) -> None:
        self._database = database
        self._sealer = sealer
        self._index = ResourceIndex(index)

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
        """
        with self._database.read() as connection:
            return self.search_in(connection, query, reach_of)

    def search_in(self, connection: Connection, query: Query, reach_of: ReachOf) -> Page:
        """Return what :meth:`search` does, as a transaction sees it."""
        aad = _cursor_aad(query, reach_of)
        after, total = self._open_cursor(query.cursor, aad) if query.cursor else (None, None)
        values = Values(self._index, reach_of)
        reading = _Reading(query, values, self._sealer)
        matches, last = reading.page(connection, after) if query.count else ((), None)
        if not query.cursor and query.total != "none":
            # A page that is the only one has been counted.
            total = len(matches) if query.count and last is None else reading.total(connection)
        along = included(connection, query, matches, values, self._sealer)
        return Page(matches, total, self._seal_cursor([*last, total], aad) if last else "", along)

    def _seal_cursor(self, position: list[Any], aad: bytes) -> str:
        sealed = self._sealer.seal(json.dumps(position).encode(), aad)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _open_cursor(self, cursor: str, aad: bytes) -> tuple[Position, int | None]:
        try:
            sealed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            *position, total = json.loads(self._sealer.open(sealed, aad))
        except (ValueError, IntegrityError):
            raise Malformed("the cursor does not belong to this search") from None
        return tuple(position), total


class _Reading:
    """The reading of the answers to one search."""

    def __init__(self, query: Query, values: Values, sealer: Sealer) -> None:
        self._query = query
        self._sealer = sealer
        self._shape = values.shape_of(query)
        self._values = dict(values.bound)
        # What the index alone cannot tell is compared in the resource itself.
        self._unsure = [c for c in query.conditions if any(isinstance(t, Text) and t.partial for t in c.any_of)]

    def total(self, connection: Connection) -> int | None:
        """Return how many match; None when it was not asked for and is not cheap to say."""
        exact = self._query.total == "accurate"
        if self._unsure:
            return self._total_by_reading(connection) if exact else None
        most = None if exact else COUNTED + 1
        total: int = executed(connection, count_statement, self._shape, self._values, most=most).scalar_one()
        return total if exact or total <= COUNTED else None

    def page(self, connection: Connection, after: Position | None) -> tuple[tuple[Stored, ...], Position | None]:
        """Return the matches after a position, and where they end when there are more."""
        count = self._query.count
        matches: list[Stored] = []
        while True:
            left = count - len(matches)
            values = self._values | position_values(after or (), left + 1)
            found = executed(connection, page_statement, self._shape, values, further=after is not None)
            rows = found.mappings().all()
            read = [open_stored(row, self._sealer) for row in rows[:left]]
            matches += [stored for stored in read if self._holds(stored)]
            more = len(rows) > left
            if more:
                after = tuple(rows[left - 1][key.column] for key in self._shape.keys)
            if not more or len(matches) == count:
                return tuple(matches), after if more else None

    def _holds(self, stored: Stored) -> bool:
        return not self._unsure or all(_holds(loads(stored.text), condition) for condition in self._unsure)

    def _total_by_reading(self, connection: Connection) -> int:
        total, after = 0, None
        while True:
            matches, after = self.page(connection, after)
            total += len(matches)
            if after is None:
                return total


def _holds(resource: dict[str, Any], condition: Condition) -> bool:
    parameters = SEARCHABLE[resource["resourceType"]].parameters
    return any(
        has_text(resource, parameters[test.parameter], test.folded, anywhere=test.anywhere)
        for test in condition.any_of
        if isinstance(test, Text)
    )


def _cursor_aad(query: Query, reach_of: ReachOf) -> bytes:
    """Return what a cursor is bound to: the search as it was understood, and how far the access reached."""
    asked = json.dumps([query.type, query.understood, repr(reach_of(query.type, "s"))])
    return b"cursor:" + hashlib.sha256(asked.encode()).digest()
