"""The check of the whole chain: what was edited, deleted, reordered or cut off, and where."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, Row, Select, Text, select, type_coerce
from sqlalchemy.types import NullType

from osler.audit.checkpoints import Checkpoint, CheckpointFile
from osler.audit.head import read_head
from osler.audit.signing import COLUMNS, GENESIS, entry_hash
from osler.errors import IntegrityError
from osler.storage.database import Database, undecoded
from osler.storage.tables import audit_event

ProblemKind = Literal["edited", "deleted", "reordered", "truncated", "head", "checkpoint"]
_MAX_PROBLEMS: Final = 1000
_PAGE: Final = 1000


class Problem(NamedTuple):
    """One thing that is wrong: the entry's number, the kind, and words for a person."""

    seq: int
    kind: ProblemKind
    words: str


@dataclass(slots=True)
class VerifyReport:
    """What the check found.

    Parameters
    ----------
    entries : int
        Entries that are there.
    checkpoints : int
        Checkpoints whose signature holds.
    checkpointed : int
        Entry that the last of them vouches for; later ones are vouched for by the signed head alone.
    problems : list of Problem
        At most 1000; a last one says so when there are more.
    """

    entries: int = 0
    checkpoints: int = 0
    checkpointed: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def add(self, seq: int, kind: ProblemKind, words: str) -> None:
        """Note a problem."""
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(Problem(seq, kind, words))
        elif len(self.problems) == _MAX_PROBLEMS:
            self.problems.append(Problem(seq, kind, "there are more problems from here on"))


def verify_chain(database: Database, key: Ed25519PublicKey, checkpoints: CheckpointFile) -> VerifyReport:
    """Check every entry, the head and every checkpoint against each other in one snapshot.

    Parameters
    ----------
    database : Database
    key : Ed25519PublicKey
    checkpoints : CheckpointFile
    """
    report = VerifyReport()
    # In this order: a checkpoint that is written after the snapshot may reach further than it.
    signed = _signed(checkpoints.lines(), key, report)
    with database.read() as connection:
        last = _check_entries(connection, signed, report)
        _check_head(connection, key, last, report)
    return report


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry as it is stored, or what the chain begins with."""

    seq: int = 0
    columns: tuple[Any, ...] = ()
    previous: bytes = GENESIS
    hash: bytes = GENESIS
    sound: bool = True


def _check_entries(connection: Connection, signed: Iterator[Checkpoint], report: VerifyReport) -> _Entry:
    """Check the entries one after another and return the last."""
    last, checkpoint = _Entry(), next(signed, None)
    for entry in _entries(connection, report):
        report.entries += 1
        if entry.seq <= last.seq:
            report.add(entry.seq, "edited", "the log never gives such a number")
            continue
        _check_entry(entry, last, report)
        last = entry
        while checkpoint is not None and checkpoint.seq < entry.seq:
            checkpoint = next(signed, None)
        if checkpoint is not None and checkpoint.seq == entry.seq and checkpoint.hash != entry.hash:
            report.add(entry.seq, "edited", "the entry is not the one that a checkpoint was made of")
    for later in signed:
        checkpoint = later
    if checkpoint is not None and checkpoint.seq > last.seq:
        report.add(last.seq + 1, "truncated", f"the log ends at {last.seq}, a checkpoint reaches {checkpoint.seq}")
    return last


def _check_entry(entry: _Entry, last: _Entry, report: VerifyReport) -> None:
    if not entry.sound:
        written = _written_as(entry)
        if written is None:
            report.add(entry.seq, "edited", "the entry is not what its hash was made of")
        else:
            report.add(entry.seq, "reordered", f"the entry was written as number {written}")
    if entry.seq > last.seq + 1:
        gone = (
            f"entry {last.seq + 1} is"
            if entry.seq == last.seq + 2
            else f"entries {last.seq + 1} to {entry.seq - 1} are"
        )
        report.add(last.seq + 1, "deleted", f"{gone} missing")
    elif entry.sound and last.sound and entry.previous != last.hash:
        report.add(last.seq, "edited", "the entry is not the one that its successor was chained to")


def _written_as(entry: _Entry) -> int | None:
    """Return the number under which the entry is sound, if there is one: its body names it."""
    try:
        seq = int(json.loads(entry.columns[COLUMNS.index("body")])["id"])
        sound = seq != entry.seq and entry_hash(entry.previous, seq, entry.columns) == entry.hash
    except (ValueError, TypeError, KeyError):
        return None
    return seq if sound else None


def _check_head(connection: Connection, key: Ed25519PublicKey, last: _Entry, report: VerifyReport) -> None:
    try:
        head = read_head(connection)
    except IntegrityError as error:
        report.add(last.seq, "head", str(error))
        return
    if head is None:
        if last.seq:
            report.add(last.seq, "head", "the signed head of the log is missing")
        return
    if not head.holds(key):
        report.add(head.seq, "head", "the signature of the head does not hold")
    if head.seq > last.seq:
        report.add(last.seq + 1, "truncated", f"the log ends at {last.seq}, its head says {head.seq}")
    elif head.seq < last.seq:
        report.add(head.seq + 1, "head", f"the log goes on to {last.seq}, its head says {head.seq}")
    elif head.hash != last.hash:
        report.add(last.seq, "edited", "the last entry is not the one that the head was made of")


def _signed(lines: Iterator[bytes], key: Ed25519PublicKey, report: VerifyReport) -> Iterator[Checkpoint]:
    """Yield the checkpoints that hold, in order."""
    reached = -1
    for number, line in enumerate(lines, 1):
        try:
            checkpoint = Checkpoint.parse(line)
        except ValueError:
            report.add(max(reached, 0), "checkpoint", f"line {number} of the checkpoints is no checkpoint")
            continue
        if not checkpoint.holds(key):
            report.add(checkpoint.seq, "checkpoint", f"the signature in line {number} of the checkpoints does not hold")
        elif checkpoint.seq <= reached:
            report.add(checkpoint.seq, "checkpoint", f"line {number} of the checkpoints is out of order")
        else:
            reached = checkpoint.seq
            report.checkpoints, report.checkpointed = report.checkpoints + 1, reached
            yield checkpoint


def _entries(connection: Connection, report: VerifyReport) -> Iterator[_Entry]:
    column = audit_event.c
    query: Select[Any] = select(
        column.seq,
        *(
            undecoded(connection, column[name]) if isinstance(column[name].type, Text) else column[name]
            for name in COLUMNS
        ),
        type_coerce(column.previous, NullType()),
        type_coerce(column.hash, NullType()),
    ).order_by(column.seq)
    after: int | None = None
    while True:
        page = connection.execute((query if after is None else query.where(column.seq > after)).limit(_PAGE)).all()
        for row in page:
            if not isinstance(row[0], int):
                report.add((after or 0) + 1, "edited", "an entry has no number")
                return
            after = row[0]
            yield _entry(row)
        if len(page) < _PAGE:
            return


def _entry(row: Row[Any]) -> _Entry:
    seq, *columns, previous, digest = tuple(row)
    values = tuple(c.decode("utf-8", "surrogateescape") if isinstance(c, bytes) else c for c in columns)
    previous = previous if isinstance(previous, bytes) else b""
    return _Entry(seq, values, previous, digest, sound=entry_hash(previous, seq, values) == digest)
