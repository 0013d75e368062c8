"""Bulk exports in the ledger: what was asked for, how far it has come, and which files it has."""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, select, update

from osler.storage.blobs import Sealer
from osler.storage.database import insert_ignore
from osler.storage.export_files import ExportFiles
from osler.storage.tables import export as exports
from osler.storage.tables import export_file as files
from osler.storage.tables import export_patient as patients

RUNNING: Final = "running"
COMPLETE: Final = "complete"
FAILED: Final = "failed"
ENDED: Final = "ended"
"""Cancelled or expired: nobody is shown it any more, and its files go."""
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """What an export is to hold.

    Parameters
    ----------
    request : str
        The URL of the request, for the manifest.
    level : {"system", "patient", "group"}
    types : tuple of str
        Resource types, in order.
    filters : tuple of (str, str)
        Type and query of each ``_typeFilter``.
    since : float or None
        Only what was changed later, seconds since the epoch, UTC.
    patients : tuple of str or None
        Logical ids; None for all.
    left_out : tuple of str
        In words, what was asked for and is not in it.
    """

    request: str
    level: str
    types: tuple[str, ...]
    filters: tuple[tuple[str, str], ...] = ()
    since: float | None = None
    patients: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next piece of an export begins: type and group of patients by number, and the id before."""

    type: int = 0
    group: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it stands.

    Parameters
    ----------
    id, client_id, scope : str
    asked : Asked
    state : str
    step : int
    position : Position
    written : int
        Resources so far.
    created_at : float
        The moment that it shows, seconds since the epoch, UTC.
    expires_at : float or None
    """

    id: str
    client_id: str
    scope: str
    asked: Asked
    state: str
    step: int
    position: Position
    written: int
    created_at: float
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file: its name, the type of its resources, and how many they are.

    Bundles tell what was deleted, OperationOutcomes what is left out.
    """

    name: str
    type: str
    count: int


class ExportStore:
    """The table of exports.

    Parameters
    ----------
    sealer : Sealer
        Of the purpose ``record``.
    folder : ExportFiles
        Where the files are.
    """

    def __init__(self, sealer: Sealer, folder: ExportFiles) -> None:
        self._sealer = sealer
        self.folder = folder

    def add(self, connection: Connection, client_id: str, scope: str, asked: Asked, *, now: float) -> str:
        """Begin an export, and return its id."""
        export_id = str(uuid.uuid4())
        row = {
            "id": export_id,
            "client_id": client_id,
            "scope": scope,
            "asked_sealed": self._sealer.seal(json.dumps(asdict(asked)).encode(), _aad(export_id)),
            "state": RUNNING,
            "step": 0,
            "position": _written(Position()),
            "written": 0,
            "created_at": round(now, 3),
            "stepped_at": now,
        }
        connection.execute(exports.insert(), row)
        return export_id

    def running(self, connection: Connection) -> list[str]:
        """Return the clients of the exports that run, one for each."""
        statement = select(exports.c.client_id).where(exports.c.state == RUNNING)
        return list(connection.execute(statement).scalars())

    def find(self, connection: Connection, export_id: str) -> Export | None:
        """Return an export that has not ended, or None."""
        return self._first(connection, exports.c.id == export_id, exports.c.state != ENDED)

    def next(self, connection: Connection) -> Export | None:
        """Return the running export that has waited longest, or None."""
        return self._first(connection, exports.c.state == RUNNING)

    def files(self, connection: Connection, export_id: str) -> list[ExportFile]:
        """Return the files of an export, in the order in which they came to be."""
        statement = select(files.c.name, files.c.type, files.c.count).where(files.c.export_id == export_id)
        rows = connection.execute(statement.order_by(files.c.step, files.c.name))
        return [ExportFile(name, type_name, count) for name, type_name, count in rows]

    def new_patients(self, connection: Connection, export_id: str, found: Collection[str]) -> list[str]:
        """Note whose data an export holds, and return those who were not noted before."""
        wanted = sorted(set(found))
        fresh: list[str] = []
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            known = select(patients.c.patient).where(patients.c.export_id == export_id, patients.c.patient.in_(some))
            noted = set(connection.execute(known).scalars())
            fresh += (patient for patient in some if patient not in noted)
        insert_ignore(connection, patients, [{"export_id": export_id, "patient": patient} for patient in fresh])
        return fresh

    def advance(
        self, connection: Connection, before: Export, after: Export, *, made: Sequence[ExportFile], now: float
    ) -> bool:
        """Note a piece that is done, with its files; False when it is done already, or not wanted.

        Parameters
        ----------
        before, after : Export
            As it was read, and with the position, count and state that hold now.
        """
        mine = (exports.c.id == before.id, exports.c.step == before.step, exports.c.state == RUNNING)
        values = {
            "step": before.step + 1,
            "position": _written(after.position),
            "written": after.written,
            "state": after.state,
            "stepped_at": now,
            "expires_at": after.expires_at,
        }
        if not connection.execute(update(exports).where(*mine).values(values)).rowcount:
            return False
        if made:
            place = {"export_id": before.id, "step": before.step}
            connection.execute(files.insert(), [place | asdict(file) for file in made])
        return True

    def end(self, connection: Connection, export_id: str) -> bool:
        """Show an export to nobody any more; False when it had ended before."""
        here = (exports.c.id == export_id, exports.c.state != ENDED)
        return bool(connection.execute(update(exports).where(*here).values(state=ENDED)).rowcount)

    def expired(self, connection: Connection, now: float) -> list[tuple[str, str]]:
        """Return id and client of the exports whose time is over."""
        over = (exports.c.expires_at < now, exports.c.state != ENDED)
        rows = connection.execute(select(exports.c.id, exports.c.client_id).where(*over))
        return [(row.id, row.client_id) for row in rows]

    def ended(self, connection: Connection) -> list[str]:
        """Return the exports whose files are to go."""
        return list(connection.execute(select(exports.c.id).where(exports.c.state == ENDED)).scalars())

    def forget(self, connection: Connection, export_id: str) -> None:
        """Remove an export whose files are gone."""
        for table in (patients, files):
            connection.execute(delete(table).where(table.c.export_id == export_id))
        connection.execute(delete(exports).where(exports.c.id == export_id))

    def _first(self, connection: Connection, *where: ColumnElement[bool]) -> Export | None:
        statement = select(exports).where(*where).order_by(exports.c.stepped_at, exports.c.id).limit(1)
        row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else self._opened(row)

    def _opened(self, row: RowMapping) -> Export:
        asked = json.loads(self._sealer.open(row["asked_sealed"], _aad(row["id"])))
        listed = {name: tuple(value) for name, value in asked.items() if isinstance(value, list)}
        listed["filters"] = tuple((type_name, query) for type_name, query in asked["filters"])
        names = ("id", "client_id", "scope", "state", "step", "written", "created_at", "expires_at")
        return Export(
            asked=Asked(**(asked | listed)),
            position=Position(**json.loads(row["position"])),
            **{name: row[name] for name in names},
        )


def _written(position: Position) -> str:
    return json.dumps(asdict(position))


def _aad(export_id: str) -> bytes:
    return f"export/{export_id}".encode()
