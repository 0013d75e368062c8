"""Whatever one does to the audit log without its key is found, and the entry is named."""

import contextlib
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from osler.audit import Agent, AuditLog, AuditRecord, VerifyReport
from osler.storage import Database

ENTRIES = 12
COLUMNS = ("recorded_at", "kind", "action", "outcome", "agent", "patient", "body", "previous", "hash")
BLOBS = ("previous", "hash")
SEQS = st.integers(1, ENTRIES)


@dataclass(frozen=True)
class Bench:
    """A log of twelve entries, checkpoints at 5 and 12, and a second door to its file, without the key."""

    log: AuditLog
    raw: sqlite3.Connection
    checkpoints: Path

    @contextlib.contextmanager
    def tampered(self) -> Iterator[sqlite3.Connection]:
        """Give a cursor to tamper with; everything is as before when the block ends."""
        sound = self.checkpoints.read_bytes()
        try:
            yield self.raw
        finally:
            self.raw.executescript(
                "DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM sound_event;"
                "DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM sound_head;"
            )
            self.checkpoints.write_bytes(sound)

    def named(self) -> tuple[VerifyReport, set[int]]:
        """Verify; return the report and the numbers that it names."""
        report = self.log.verify()
        return report, {problem.seq for problem in report.problems}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, new_sqlite: Callable[[Path], str]) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("chain")
    database = Database(new_sqlite(folder / "osler.db"))
    log = AuditLog(database, signing_key=Ed25519PrivateKey.generate(), checkpoints=folder / "checkpoints")
    for n in range(1, ENTRIES + 1):
        log.record(AuditRecord("resource-read", agent=Agent(f"agent-{n}", "person"), patient=f"OSL-{n}"))
        if n in (5, ENTRIES):
            log.checkpoint()
    raw = sqlite3.connect(folder / "osler.db", isolation_level=None)
    raw.executescript(
        "PRAGMA synchronous=OFF; CREATE TABLE sound_event AS SELECT * FROM audit_event;"
        "CREATE TABLE sound_head AS SELECT * FROM audit_head;"
    )
    assert log.verify().ok
    yield Bench(log, raw, folder / "checkpoints")
    raw.close()
    database.close()
    shutil.rmtree(folder)


@given(seq=SEQS, column=st.sampled_from(COLUMNS), place=st.integers(0, 10_000), mask=st.integers(1, 255))
@settings(max_examples=250, deadline=None)
def test_one_changed_byte_is_found_and_its_entry_named(
    bench: Bench, seq: int, column: str, place: int, mask: int
) -> None:
    with bench.tampered() as raw:
        (stored,) = raw.execute(f"SELECT {column} FROM sound_event WHERE seq = ?", (seq,)).fetchone()
        number = column == "recorded_at"
        content = bytearray(
            struct.pack(">d", stored) if number else stored if isinstance(stored, bytes) else stored.encode()
        )
        content[place % len(content)] ^= mask
        changed = struct.unpack(">d", content)[0] if number else bytes(content)
        assume(changed == changed)  # NaN cannot be stored
        value = "?" if number or column in BLOBS else "CAST(? AS TEXT)"
        raw.execute(f"UPDATE audit_event SET {column} = {value} WHERE seq = ?", (changed, seq))
        report, named = bench.named()
        assert not report.ok
        assert named == {seq}


@given(column=st.sampled_from(("seq", "hash", "signature")), bit=st.integers(0, 511))
@settings(max_examples=80, deadline=None)
def test_one_changed_bit_of_the_head_is_found(bench: Bench, column: str, bit: int) -> None:
    with bench.tampered() as raw:
        (stored,) = raw.execute(f"SELECT {column} FROM audit_head").fetchone()
        changed: int | bytes
        if isinstance(stored, int):
            changed = stored ^ (1 << bit % 63)
        else:
            content = bytearray(stored)
            content[bit // 8 % len(content)] ^= 1 << bit % 8
            changed = bytes(content)
        raw.execute(f"UPDATE audit_head SET {column} = ?", (changed,))
        report, _ = bench.named()
        assert "head" in {problem.kind for problem in report.problems}


@given(place=st.integers(0, 10_000), mask=st.integers(1, 255))
@settings(max_examples=120, deadline=None)
def test_one_changed_byte_of_the_checkpoints_is_found(bench: Bench, place: int, mask: int) -> None:
    with bench.tampered():
        content = bytearray(bench.checkpoints.read_bytes())
        content[place % (len(content) - 1)] ^= mask  # without the last line's end the line counts as unfinished
        bench.checkpoints.write_bytes(content)
        report, _ = bench.named()
        assert "checkpoint" in {problem.kind for problem in report.problems}


@given(gone=st.sets(SEQS, min_size=1))
@settings(max_examples=80, deadline=None)
def test_deleted_entries_are_named(bench: Bench, gone: set[int]) -> None:
    with bench.tampered() as raw:
        raw.executemany("DELETE FROM audit_event WHERE seq = ?", [(seq,) for seq in gone])
        report, named = bench.named()
        starts = {seq for seq in gone if seq - 1 not in gone}
        assert named == starts
        tail = {p.seq for p in report.problems if p.kind == "truncated"}
        assert tail == {seq for seq in starts if set(range(seq, ENTRIES + 1)) <= gone}
        assert {p.kind for p in report.problems} <= {"deleted", "truncated"}


@given(order=st.permutations(range(1, ENTRIES + 1)))
@settings(max_examples=80, deadline=None)
def test_entries_that_changed_places_are_named(bench: Bench, order: list[int]) -> None:
    moved = {seq for seq, source in enumerate(order, 1) if seq != source}
    assume(moved)
    with bench.tampered() as raw:
        raw.execute("UPDATE audit_event SET seq = -seq")
        for seq, source in enumerate(order, 1):
            raw.execute("UPDATE audit_event SET seq = ? WHERE seq = ?", (seq, -source))
        report, _ = bench.named()
        assert {p.seq for p in report.problems if p.kind == "reordered"} == moved


@given(keep=st.integers(0, ENTRIES - 1), forge=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_log_that_was_cut_off_is_found(bench: Bench, keep: int, forge: bool) -> None:
    with bench.tampered() as raw:
        raw.execute("DELETE FROM audit_event WHERE seq > ?", (keep,))
        if forge:
            raw.execute(
                "UPDATE audit_head SET seq = ?, hash = ?",
                (keep, raw.execute("SELECT hash FROM sound_event WHERE seq = ?", (keep,)).fetchone()[0])
                if keep
                else (0, bytes(32)),
            )
        report, _ = bench.named()
        assert (keep + 1, "truncated") in {(p.seq, p.kind) for p in report.problems}
        assert forge == ("head" in {p.kind for p in report.problems})
