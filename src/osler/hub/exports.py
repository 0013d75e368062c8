"""Bulk exports at work: a piece at a time, each in bounded memory, so that a restart goes on where it was.

References
----------
HL7 FHIR Bulk Data Access 2.0.0, Export
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog
from sqlalchemy import Connection

from osler.api.forms import parse_pairs
from osler.api.services import Audit
from osler.api.smart.reach import reach_of
from osler.api.smart.standing import standing
from osler.api.smart.tokens import Grant
from osler.audit import HUB, Agent, AuditRecord
from osler.config import Config
from osler.domain.reach import Reach
from osler.errors import InputRejected, IntegrityError
from osler.standards import fhir
from osler.standards.fhir_conditions import Condition
from osler.standards.fhir_matching import matches
from osler.standards.fhir_query import parse_query
from osler.storage.database import Database
from osler.storage.export_files import ExportFiles
from osler.storage.exports import COMPLETE, FAILED, Asked, Export, ExportFile, ExportStore, Position
from osler.storage.opening import blob_folder, watermark
from osler.storage.resource_snapshot import Snapshot
from osler.storage.resources import ResourceStore
from osler.storage.room import DiskRoom
from osler.storage.stored import Stored, within
from osler.stores import Stores

_PIECE_BYTES: Final = 4_000_000
_PIECE_RESOURCES: Final = 10_000
_PIECE_LOOKS: Final = 20_000
_GROUP: Final = 500  # patients that are looked for together
_RECORDS: Final = 200  # audit entries that are written together

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at a time; small in tests."""

    resources: int = _PIECE_RESOURCES
    looks: int = _PIECE_LOOKS
    size: int = _PIECE_BYTES


class Ledger(Protocol):
    """What an export is made from, and where it is put on record."""

    @property
    def database(self) -> Database:
        """The ledger itself."""
        ...

    @property
    def resources(self) -> ResourceStore:
        """The resources in it."""
        ...

    @property
    def audit(self) -> Audit:
        """The audit log in it."""
        ...


@dataclass(slots=True)
class _Piece:
    """Some resources of one type."""

    type: str
    following: Position
    texts: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    size: int = 0
    looks: int = 0

    def add(self, stored: Stored) -> None:
        """Take a resource in, or that it was deleted."""
        if stored.deleted:
            self.deleted.append(stored.reference)
        else:
            self.texts.append(stored.text)
            self.size += len(stored.text)
        self.patients.update([stored.patient] if stored.patient else [])

    def full(self, limits: Limits) -> bool:
        """Tell whether it is enough for one file, or for one look at the table."""
        kept = len(self.texts) + len(self.deleted)
        return self.size >= limits.size or self.looks >= limits.looks or kept >= limits.resources


def open_exports(stores: Stores, config: Config) -> ExportStore:
    """Open the table of exports and the folder of their files."""
    sealer = stores.keyring.sealer("record")
    folder = blob_folder(config) / "exports"
    room = DiskRoom(folder, watermark(config))
    return ExportStore(sealer, ExportFiles(folder, sealer=sealer, check_room=room.take))


class Exports:
    """Does what exports ask for.

    Parameters
    ----------
    ledger : Ledger
    store : ExportStore
    keep_s : float
        How long the files are kept, seconds.
    base : str
        Our FHIR base URL.
    limits : Limits
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: ExportStore,
        *,
        keep_s: float,
        base: str,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._keep_s = keep_s
        self._base = base
        self._limits = limits
        self._clock = clock

    def step(self) -> bool:
        """Do the next piece of the export that has waited longest; False when none runs.

        Raises
        ------
        IntegrityError
            If a resource is not what was written. The export has failed, and will not meet it again.
        """
        self._clear()
        database, now = self._ledger.database, self._clock()
        with database.read() as connection:
            export = self._store.next(connection)
            if export is None:
                return False
            grant = standing(connection, export.client_id, export.scope, None, now=now)
        if grant is None:
            self._fail(export)
            return True
        try:
            if export.position.type >= len(export.asked.types):
                self._complete(export)
            else:
                self._keep(export, self._piece(export, grant))
        except (IntegrityError, InputRejected) as error:
            self._fail(export)
            if isinstance(error, IntegrityError):
                raise
        return True

    def _piece(self, export: Export, grant: Grant) -> _Piece:
        """Read resources until there are enough for a file, or no more of this type and these patients."""
        asked, position, limits = export.asked, export.position, self._limits
        type_name = asked.types[position.type]
        reaches = [reach_of(grant, type_name, right) for right in "rs"]
        filters = [self._conditions(export, query) for name, query in asked.filters if name == type_name]
        patients = None if asked.patients is None else asked.patients[position.group * _GROUP :][:_GROUP]
        wanted = Snapshot(type_name, export.created_at, position.after, patients, asked.level != "system")
        among = None if asked.patients is None else frozenset(asked.patients)
        piece = _Piece(type_name, self._following(export))
        with self._ledger.database.read() as connection:
            for logical_id, stored in self._ledger.resources.snapshot(connection, wanted):
                piece.looks += 1
                if stored is not None and _wanted(stored, asked, among, filters) and _seen(stored, reaches):
                    piece.add(stored)
                if piece.full(limits):
                    piece.following = replace(position, after=logical_id)
                    break
        return piece

    def _conditions(self, export: Export, query: str) -> tuple[Condition, ...]:
        type_name, _, text = query.partition("?")
        return parse_query(type_name, parse_pairs(text), now=export.created_at, base=self._base).conditions

    def _following(self, export: Export) -> Position:
        """Return where to go on when there is no more of this type and these patients."""
        groups = 1 if export.asked.patients is None else -(-len(export.asked.patients) // _GROUP)
        if export.position.group + 1 < groups:
            return Position(export.position.type, export.position.group + 1)
        return Position(export.position.type + 1)

    def _keep(self, export: Export, piece: _Piece) -> None:
        after = replace(export, position=piece.following, written=export.written + len(piece.texts))
        self._put_on_record(export, sorted(piece.patients))
        deleted = [_deletions(piece.deleted)] if piece.deleted else []
        self._advance(export, after, {piece.type: piece.texts, "Bundle": deleted})

    def _put_on_record(self, export: Export, patients: list[str]) -> None:
        """Write down whose data is taken in, each patient once, before anybody can have it."""
        for start in range(0, len(patients), _RECORDS):
            some = patients[start : start + _RECORDS]

            def note(connection: Connection, some: list[str] = some) -> None:
                fresh = self._store.new_patients(connection, export.id, some)
                records = [_exported(export, p) for p in fresh]
                self._ledger.audit.append(connection, *records)

            self._ledger.database.write(note)

    def _complete(self, export: Export) -> None:
        issues = [fhir.Issue("not-supported", "", words, severity="warning") for words in export.asked.left_out]
        texts = [fhir.dumps(fhir.operation_outcome([issue])) for issue in issues]
        after = replace(export, state=COMPLETE, expires_at=self._clock() + self._keep_s)
        self._advance(export, after, {"OperationOutcome": texts})

    def _fail(self, export: Export) -> None:
        log.error("export failed", export=export.id)
        self._advance(export, replace(export, state=FAILED, expires_at=self._clock() + self._keep_s), {})

    def _advance(self, before: Export, after: Export, texts: Mapping[str, list[str]]) -> None:
        folder = self._store.folder
        made = [
            ExportFile(folder.write(before.id, "".join(f"{text}\n" for text in lines).encode()), type_name, len(lines))
            for type_name, lines in texts.items()
            if lines
        ]
        noted = self._ledger.database.write(
            lambda connection: self._store.advance(connection, before, after, made=made, now=self._clock())
        )
        for file in made if not noted else ():
            folder.discard(before.id, file.name)  # it was cancelled, or another process was faster

    def _clear(self) -> None:
        """Take away what has expired, and the files of all that has ended."""
        database, now = self._ledger.database, self._clock()
        with database.read() as connection:
            expired, ended = self._store.expired(connection, now), self._store.ended(connection)
        for export_id, client_id in expired:
            detail = {"reason": "expired", "client": client_id}
            record = AuditRecord("export-ended", agent=HUB, entities=(f"export:{export_id}",), detail=detail)

            def end(connection: Connection, export_id: str = export_id, record: AuditRecord = record) -> None:
                if self._store.end(connection, export_id):
                    self._ledger.audit.append(connection, record)

            database.write(end)
        for export_id in (*ended, *(export_id for export_id, _ in expired)):
            self._store.folder.remove(export_id)
            database.write(lambda connection, export_id=export_id: self._store.forget(connection, export_id))  # type: ignore[misc]


def _seen(stored: Stored, reaches: list[Reach]) -> bool:
    return all(within(reach, stored) for reach in reaches)


def _wanted(
    stored: Stored, asked: Asked, patients: frozenset[str] | None, filters: list[tuple[Condition, ...]]
) -> bool:
    """Tell whether a version is asked for; whose it was then may not be whose it is now."""
    if asked.since is None and stored.deleted:
        return False
    if asked.since is not None and stored.updated_at <= asked.since:
        return False
    if asked.level != "system" and stored.patient is None:
        return False
    if patients is not None and stored.patient not in patients:
        return False
    return not filters or any(matches(fhir.loads(stored.text), conditions) for conditions in filters)


def _deletions(references: list[str]) -> str:
    entries = [{"request": {"method": "DELETE", "url": reference}} for reference in references]
    return fhir.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _exported(export: Export, patient: str) -> AuditRecord:
    recipient = Agent(export.client_id, "client")
    entities = (f"export:{export.id}",)
    return AuditRecord("patient-exported", agent=HUB, patient=patient, entities=entities, recipient=recipient)
