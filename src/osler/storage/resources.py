"""FHIR resources in the ledger: sealed text, its history, and an index by which they are found.

What is deleted keeps its row, so that its versions go on being counted and its history can be read.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, or_, select

from osler.domain.reach import EVERYTHING, Reach
from osler.errors import Gone, NotFound
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.standards.fhir_dates import NO_DATE
from osler.storage.blobs import Sealer
from osler.storage.database import Database
from osler.storage.resource_compartment import Compartment, members
from osler.storage.resource_history import HistoryQuery, Position, history_page
from osler.storage.resource_index import BELONGING, ResourceIndex, belonging
from osler.storage.resource_snapshot import Snapshot, versions_at
from osler.storage.stored import Stored, binding, open_stored, within
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_history as history
from osler.storage.tables import resource_reference as references

_LOGICAL_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


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
    on_saved : callable, optional
        Called with each new version and the resource that it holds, within its transaction.
    """

    def __init__(
        self,
        database: Database,
        *,
        sealer: Sealer,
        index: Callable[..., bytes],
        clock: Callable[[], float] = time.time,
        on_saved: Callable[[Connection, Stored, Resource], None] | None = None,
    ) -> None:
        self._database = database
        self._on_saved = on_saved
        self._sealer = sealer
        self._index = ResourceIndex(index)
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
        held = self.held(connection, resource["resourceType"], resource["id"])
        if held is not None and not held.deleted and _content(fhir.loads(held.text)) == _content(resource):
            return held.version
        return self.save(connection, resource, held).version

    def save(self, connection: Connection, resource: Resource, held: Stored | None, *, method: str = "PUT") -> Stored:
        """Keep the next version of a resource.

        Parameters
        ----------
        connection : Connection
            Inside ``Database.write``.
        resource : dict
            As for :meth:`put`.
        held : Stored or None
            What :meth:`held` returned within the same transaction: the version that holds until now.
        method : {"POST", "PUT", "PATCH"}
            How it comes to be, for the history.
        """
        version, updated_at = self._next(held)
        stamped = _stamped(resource, version, updated_at)
        text = fhir.dumps(stamped)
        if held is not None:
            self._retire(connection, held)
        index = self._index.add(connection, stamped)
        saved = Stored(
            stamped["resourceType"],
            stamped["id"],
            version,
            updated_at,
            index["patient"],
            text,
            method=method,
            restricted=index["restricted"],
        )
        self._write(connection, saved, index, new=held is None)
        if held is None or (held.patient, held.restricted) != (saved.patient, saved.restricted):
            self._take_along(connection, saved)
        if self._on_saved is not None:
            self._on_saved(connection, saved, stamped)
        return saved

    def delete(self, connection: Connection, held: Stored) -> Stored:
        """Delete a resource: from now on it is found no more, and its history says so.

        Parameters
        ----------
        connection : Connection
            Inside ``Database.write``.
        held : Stored
            What :meth:`held` returned within the same transaction; not deleted yet.
        """
        version, updated_at = self._next(held)
        gone = replace(held, version=version, updated_at=updated_at, method="DELETE")
        self._retire(connection, held)
        self._write(connection, gone, {"date_at": NO_DATE, "present": 0}, new=False)
        return gone

    def read(self, type_name: str, logical_id: str, reach: Reach = EVERYTHING) -> Stored:
        """Return the current version.

        Raises
        ------
        NotFound
            If there is none, or it is out of reach.
        Gone
            If it has been deleted.
        IntegrityError
            If the text is not what was written.
        """
        with self._database.read() as connection:
            return self.find(connection, type_name, logical_id, reach)

    def find(self, connection: Connection, type_name: str, logical_id: str, reach: Reach) -> Stored:
        """Return the current version as a transaction sees it; otherwise as :meth:`read` does."""
        return _visible(self.held(connection, type_name, logical_id), reach)

    def version(
        self, connection: Connection, type_name: str, logical_id: str, version: str, *, reach: Reach = EVERYTHING
    ) -> Stored:
        """Return one version; both it and the current one must be within reach.

        Raises
        ------
        NotFound, Gone, IntegrityError
            As :meth:`read` does; ``Gone`` if this is the version that says that it was deleted.
        """
        number = int(version) if version.isascii() and version.isdecimal() and len(version) < 10 else 0
        held = self._seen(connection, type_name, logical_id, reach)
        if held.version == number:
            return _visible(held, reach)
        key = {"type": type_name, "id": logical_id, "version": number}
        row = connection.execute(_VERSION, key).mappings().one_or_none()
        return _visible(None if row is None else open_stored(row, self._sealer), reach)

    def history(
        self, connection: Connection, query: HistoryQuery, reach: Reach = EVERYTHING
    ) -> tuple[list[Stored], Position | None]:
        """Return one page of versions, the latest first, and where it ends when there are more.

        Raises
        ------
        NotFound
            If one resource is asked for, and it is not there or out of reach.
        IntegrityError
            If a text is not what was written.
        """
        if query.id:
            self._seen(connection, query.type, query.id, reach)
        return history_page(connection, self._sealer, query, reach)

    def compartment(self, connection: Connection, wanted: Compartment) -> Iterator[Stored]:
        """Yield what belongs to a patient, but for the Patient itself; who may see it is for the caller to ask.

        Raises
        ------
        IntegrityError
            If a text is not what was written.
        """
        return members(connection, self._sealer, wanted)

    def snapshot(self, connection: Connection, wanted: Snapshot) -> Iterator[tuple[str, Stored | None]]:
        """Yield the id of each resource with the version that held at one moment; None when there was none yet.

        Raises
        ------
        IntegrityError
            If a text is not what was written.
        """
        return versions_at(connection, self._sealer, wanted)

    def _seen(self, connection: Connection, type_name: str, logical_id: str, reach: Reach) -> Stored:
        """Return the current version, deleted or not, when it is within reach."""
        held = self.held(connection, type_name, logical_id)
        if held is None or not within(reach, held):
            raise NotFound("there is no such resource")
        return held

    def current(self, connection: Connection, type_name: str, logical_id: str) -> Stored | None:
        """Return the current version as a transaction sees it, or None when there is none or it is deleted."""
        held = self.held(connection, type_name, logical_id)
        return None if held is None or held.deleted else held

    def held(self, connection: Connection, type_name: str, logical_id: str) -> Stored | None:
        """Return the current version as a transaction sees it, also one that says that the resource is deleted."""
        if not _LOGICAL_ID.fullmatch(logical_id):
            return None
        row = connection.execute(_CURRENT, {"type": type_name, "id": logical_id}).mappings().one_or_none()
        return None if row is None else open_stored(row, self._sealer)

    def missing(self, connection: Connection, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return which of these, each a type and an id, are not there (or not any more)."""
        return {
            (type_name, logical_id)
            for type_name, logical_id in set(wanted)
            if connection.execute(_THERE, {"type": type_name, "id": logical_id}).first() is None
        }

    def referring(self, connection: Connection, type_name: str, logical_id: str) -> tuple[str, str] | None:
        """Return type and id of a resource that points to this one by a search parameter, or None.

        Provenance does not count: it tells of what has been, and outlives it. Nor does the context of a Binary.
        """
        key = {"target": f"{type_name}/{logical_id}", "type": type_name, "id": logical_id}
        row = connection.execute(_REFERRING, key).first()
        return None if row is None else (row.type, row.id)

    def _take_along(self, connection: Connection, moved: Stored) -> None:
        """Let what belongs where a resource does belong where it now does."""
        for row in connection.execute(_TELLING, {"target": moved.reference}).all():
            told = self.held(connection, row.type, row.id)
            if told is not None:
                values = belonging(connection, fhir.loads(told.text))
                connection.execute(_REPLACE.values(values), {"of_type": told.type, "of_id": told.id})
                if told.type != _LAST and (told.patient, told.restricted) != tuple(values.values()):
                    self._take_along(connection, told)

    def _next(self, held: Stored | None) -> tuple[int, float]:
        return 1 if held is None else held.version + 1, round(self._clock(), 3)

    def _retire(self, connection: Connection, held: Stored) -> None:
        """Copy the current version to the history, and take it out of the index."""
        connection.execute(_RETIRE, {"type": held.type, "id": held.id})
        if not held.deleted:
            self._index.remove(connection, fhir.loads(held.text))

    def _write(self, connection: Connection, stored: Stored, index: Mapping[str, Any], *, new: bool) -> None:
        key = {"type": stored.type, "id": stored.id}
        row = {
            "version": stored.version,
            "patient": stored.patient,
            "date_at": index["date_at"],
            "present": index["present"],
            "updated_at": stored.updated_at,
            "method": stored.method,
            "deleted": stored.deleted,
            "restricted": stored.restricted,
            "sealed": self._sealer.seal(stored.text.encode(), binding(stored.type, stored.id, stored.version)),
        }
        if new:
            connection.execute(_ADD, key | row)
        else:
            connection.execute(_REPLACE, row | {f"of_{name}": value for name, value in key.items()})


_CURRENT: Final = select(resources).where(resources.c.type == bindparam("type"), resources.c.id == bindparam("id"))
_THERE: Final = select(resources.c.version).where(
    resources.c.type == bindparam("type"), resources.c.id == bindparam("id"), ~resources.c.deleted
)
_ADD: Final = resources.insert()
_VERSION: Final = select(history).where(
    history.c.type == bindparam("type"), history.c.id == bindparam("id"), history.c.version == bindparam("version")
)
_KEPT: Final = tuple(column.name for column in history.c)
_RETIRE: Final = history.insert().from_select(
    _KEPT,
    select(*(resources.c[name] for name in _KEPT)).where(
        resources.c.type == bindparam("type"), resources.c.id == bindparam("id")
    ),
)
_REPLACE: Final = resources.update().where(
    resources.c.type == bindparam("of_type"), resources.c.id == bindparam("of_id")
)
_LAST: Final = "Provenance"  # nothing belongs where a Provenance does
_TELLING: Final = select(references.c.type, references.c.id).where(
    or_(*(and_(references.c.type == kind, references.c.parameter == link) for kind, link in BELONGING.items())),
    references.c.target == bindparam("target"),
)
_REFERRING: Final = (
    select(references.c.type, references.c.id)
    .where(
        references.c.target == bindparam("target"),
        references.c.type.not_in(BELONGING),
        or_(references.c.type != bindparam("type"), references.c.id != bindparam("id")),
    )
    .limit(1)
)


def _visible(stored: Stored | None, reach: Reach) -> Stored:
    if stored is None or not within(reach, stored):
        raise NotFound("there is no such resource")
    if stored.deleted:
        raise Gone("the resource has been deleted")
    return stored


def _stamped(resource: Resource, version: int, updated_at: float) -> Resource:
    meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": fhir.instant(updated_at)}
    return {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta} | {
        name: value for name, value in resource.items() if name not in ("resourceType", "id", "meta")
    }


def _content(resource: Resource) -> str:
    """Return what makes two versions the same: all but the stamps."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    return fhir.dumps(dict(sorted((resource | {"meta": meta}).items())))
