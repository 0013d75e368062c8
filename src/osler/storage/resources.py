"""FHIR resources in the ledger: sealed text, and an index of keyed terms by which they are found.

A search never opens what it does not return: terms are compared as HMACs, dates as intervals. The index holds the date
of its resource in its key, so that a page sorted by date is read in order.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, select

from osler.errors import IntegrityError, Malformed, NotFound
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.standards.fhir_dates import parse_span
from osler.standards.fhir_query import Query
from osler.standards.fhir_search import NO_DATE, SEARCHABLE, index_of, patient_of
from osler.storage.blobs import Sealer
from osler.storage.database import Database
from osler.storage.resource_search import SPAN, matching_keys, page_keys
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_history as history
from osler.storage.tables import resource_token as tokens

_LOGICAL_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TOKEN_KEY: Final = ("type", "parameter", "value", "date_at", "id")


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource as it is kept.

    Parameters
    ----------
    type, id : str
    version : int
        From 1.
    updated_at : float
        Seconds since the epoch, UTC, to the millisecond.
    patient : str or None
        Logical id (a pseudonym) of the Patient that it is about.
    text : str
        JSON, with ``meta.versionId`` and ``meta.lastUpdated``.
    """

    type: str
    id: str
    version: int
    updated_at: float
    patient: str | None
    text: str

    @property
    def reference(self) -> str:
        """Relative reference, ``Type/id``."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search.

    Parameters
    ----------
    matches : tuple of Stored
    total : int or None
        How many match in all, as counted with the first page; None when it was not asked for.
    cursor : str
        Where the next page starts; empty on the last.
    """

    matches: tuple[Stored, ...]
    total: int | None
    cursor: str


class ResourceStore:
    """Keeps FHIR resources.

    Parameters
    ----------
    database : Database
    sealer : Sealer
        Of the purpose ``record``.
    index : callable
        ``index(purpose, *parts)``: a keyed hash of 32 bytes.
    clock : callable
        Returns seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        *,
        sealer: Sealer,
        index: Callable[..., bytes],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._index = index
        self._clock = clock

    def put(self, connection: Connection, resource: Resource) -> int:
        """Keep a resource under its type and id; the same content again makes no new version.

        Parameters
        ----------
        connection : Connection
            Inside ``Database.write``.
        resource : dict
            With ``resourceType`` (one of :data:`SEARCHABLE`) and ``id``; valid by the R4 definitions. Its
            ``meta.versionId`` and ``meta.lastUpdated`` are set here.

        Returns
        -------
        int
            The version that now holds.
        """
        held = self._held(connection, resource["resourceType"], resource["id"])
        if held is None:
            version = 1
        else:
            before = fhir.loads(self._open(held).text)
            if _content(before) == _content(resource):
                return int(held["version"])
            version = int(held["version"]) + 1
            self._retire(connection, held, before)
        stamped = _stamped(resource, version, round(self._clock(), 3))
        self._insert(connection, stamped, version)
        return version

    def read(self, type_name: str, logical_id: str) -> Stored:
        """Return the current version.

        Raises
        ------
        NotFound
            If there is none.
        IntegrityError
            If the text is not what was written.
        """
        row = None
        if _LOGICAL_ID.fullmatch(logical_id):
            with self._database.read() as connection:
                row = self._held(connection, type_name, logical_id)
        if row is None:
            raise NotFound("there is no such resource")
        return self._open(row)

    def search(self, query: Query) -> Page:
        """Return one page of the current resources that match.

        Pages are cut by the key of the last match, not by its number: each match that was there from the first page
        on comes once, whatever is written between two pages.

        Raises
        ------
        Malformed
            If the cursor was not made for this query.
        """
        aad = _cursor_aad(query)
        after, total = self._open_cursor(query.cursor, aad) if query.cursor else (None, None)
        keys = matching_keys(query, self._term)
        with self._database.read() as connection:
            if query.total and not query.cursor:
                total = connection.execute(select(func.count()).select_from(keys.subquery())).scalar_one()
            if query.count == 0:
                return Page((), total, "")
            found = connection.execute(page_keys(query, keys, after)).all()
            matches = self._fetch(connection, query.type, [logical_id for _, logical_id in found[: query.count]])
        more = len(found) > query.count
        cursor = self._seal_cursor([*found[query.count - 1], total], aad) if more else ""
        return Page(matches, total, cursor)

    def _held(self, connection: Connection, type_name: str, logical_id: str) -> RowMapping | None:
        statement = select(resources).where(resources.c.type == type_name, resources.c.id == logical_id)
        return connection.execute(statement).mappings().one_or_none()

    def _retire(self, connection: Connection, held: RowMapping, before: Resource) -> None:
        """Move a version to the history, and take it out of the index: its own text says where it stands there."""
        kept = {name: held[name] for name in ("type", "id", "version", "updated_at", "patient", "restricted", "sealed")}
        connection.execute(history.insert(), kept | {"method": "PUT"})
        connection.execute(delete(resources).where(resources.c.type == held["type"], resources.c.id == held["id"]))
        keys = [{f"of_{name}": row[name] for name in _TOKEN_KEY} for row in self._rows(before)]
        connection.execute(
            delete(tokens).where(*(tokens.c[name] == bindparam(f"of_{name}") for name in _TOKEN_KEY)), keys
        )

    def _insert(self, connection: Connection, stamped: Resource, version: int) -> None:
        rows = self._rows(stamped)
        type_name, logical_id = stamped["resourceType"], stamped["id"]
        row = {
            "type": type_name,
            "id": logical_id,
            "version": version,
            "patient": patient_of(stamped),
            "date_at": rows[0]["date_at"],
            "updated_at": parse_span(stamped["meta"]["lastUpdated"])[0],
            "deleted": False,
            "restricted": False,
            "sealed": self._sealer.seal(fhir.dumps(stamped).encode(), _aad(type_name, logical_id, version)),
        }
        connection.execute(resources.insert(), row)
        connection.execute(tokens.insert(), rows)

    def _rows(self, stamped: Resource) -> list[dict[str, Any]]:
        """Return the rows of the index for one version; never none, for each has an id."""
        terms, spans = index_of(stamped)
        main = SEARCHABLE[stamped["resourceType"]].date
        date_at = next((s.low for s in spans if s.parameter == main), NO_DATE)
        place = {"type": stamped["resourceType"], "date_at": date_at, "id": stamped["id"], "low": None, "high": None}
        return [
            *(place | {"parameter": t.parameter, "value": self._term(t.parameter, t.parts)} for t in terms),
            *(place | {"parameter": s.parameter, "value": SPAN, "low": s.low, "high": s.high} for s in spans),
        ]

    def _fetch(self, connection: Connection, type_name: str, ids: list[str]) -> tuple[Stored, ...]:
        statement = select(resources).where(resources.c.type == type_name, resources.c.id.in_(ids))
        rows = {row["id"]: row for row in connection.execute(statement).mappings()} if ids else {}
        return tuple(self._open(rows[logical_id]) for logical_id in ids)

    def _term(self, parameter: str, parts: tuple[str, ...]) -> bytes:
        return self._index("resource", parameter, *parts)

    def _open(self, row: RowMapping) -> Stored:
        aad = _aad(row["type"], row["id"], row["version"])
        text = self._sealer.open(row["sealed"], aad).decode()
        return Stored(row["type"], row["id"], row["version"], row["updated_at"], row["patient"], text)

    def _seal_cursor(self, position: list[Any], aad: bytes) -> str:
        sealed = self._sealer.seal(json.dumps(position).encode(), aad)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _open_cursor(self, cursor: str, aad: bytes) -> tuple[tuple[float, str], int | None]:
        try:
            sealed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            key, last_id, total = json.loads(self._sealer.open(sealed, aad))
        except (ValueError, IntegrityError):
            raise Malformed("the cursor does not belong to this search") from None
        return (key, last_id), total


def _stamped(resource: Resource, version: int, updated_at: float) -> Resource:
    meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": fhir.instant(updated_at)}
    return {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta} | {
        name: value for name, value in resource.items() if name not in ("resourceType", "id", "meta")
    }


def _content(resource: Resource) -> str:
    """Return what makes two versions the same: all but the stamps."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    return fhir.dumps(dict(sorted((resource | {"meta": meta}).items())))


def _aad(type_name: str, logical_id: str, version: int) -> bytes:
    return f"{type_name}/{logical_id}/{version}".encode()


def _cursor_aad(query: Query) -> bytes:
    return b"cursor:" + hashlib.sha256(json.dumps([query.type, query.understood]).encode()).digest()
