"""What ``osler audit verify`` finds: each way to tamper, and how it is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, func, select, text, update

from osler.audit import Agent, AuditLog, AuditRecord, VerifyReport
from osler.audit.signing import COLUMNS, entry_hash
from osler.audit.verify import Problem
from osler.errors import IntegrityError
from osler.storage import Database
from osler.storage.tables import audit_event as entries
from osler.storage.tables import audit_head as head

Tamper = Callable[[Connection], object]


@pytest.fixture
def log(audit_log: AuditLog) -> AuditLog:
    """A log of ten entries with checkpoints at 4 and 7."""
    for n in range(1, 11):
        audit_log.record(AuditRecord("resource-read", agent=Agent("ann", "person"), patient=f"OSL-{n}"))
        if n in (4, 7):
            audit_log.checkpoint()
    assert audit_log.verify() == VerifyReport(entries=10, checkpoints=2, checkpointed=7)
    return audit_log


def edit(seq: int, **values: object) -> Tamper:
    return lambda c: c.execute(update(entries).where(entries.c.seq == seq).values(**values))


def remove(*seqs: int) -> Tamper:
    return lambda c: c.execute(delete(entries).where(entries.c.seq.in_(seqs)))


def exchange(one: int, other: int) -> Tamper:
    def change(connection: Connection) -> None:
        for source, target in ((one, -1), (other, one), (-1, other)):
            connection.execute(update(entries).where(entries.c.seq == source).values(seq=target))

    return change


def move_up_after(seq: int) -> Tamper:
    """Delete an entry and close the gap."""

    def change(connection: Connection) -> None:
        remove(seq)(connection)
        for later in range(seq + 1, 11):
            connection.execute(update(entries).where(entries.c.seq == later).values(seq=later - 1))

    return change


def rewrite_from(seq: int, **values: object) -> Tamper:
    """Edit an entry and compute its hash and all later ones anew, as one can who has no key."""

    def change(connection: Connection) -> None:
        edit(seq, **values)(connection)
        previous = connection.execute(select(entries.c.hash).where(entries.c.seq == seq - 1)).scalar_one()
        for row in connection.execute(select(entries).where(entries.c.seq >= seq).order_by(entries.c.seq)).all():
            digest = entry_hash(bytes(previous), row.seq, tuple(getattr(row, name) for name in COLUMNS))
            edit(row.seq, previous=previous, hash=digest)(connection)
            previous = digest

    return change


def all_of(*tampers: Tamper) -> Tamper:
    return lambda connection: [tamper(connection) for tamper in tampers]


def append_forged(connection: Connection) -> None:
    row = dict(connection.execute(select(entries).where(entries.c.seq == 10)).one()._mapping)
    row |= {"seq": 11, "previous": row["hash"]}
    row["hash"] = entry_hash(bytes(row["previous"]), 11, tuple(row[name] for name in COLUMNS))
    connection.execute(entries.insert().values(**row))


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        pytest.param(edit(5, patient="OSL-6"), {(5, "edited")}, id="patient"),
        pytest.param(edit(5, outcome="8"), {(5, "edited")}, id="outcome"),
        pytest.param(edit(5, patient=None), {(5, "edited")}, id="patient removed"),
        pytest.param(edit(5, recorded_at=1.0), {(5, "edited")}, id="time"),
        pytest.param(edit(5, body="{}"), {(5, "edited")}, id="body"),
        pytest.param(edit(5, body="[]", hash=b""), {(5, "edited")}, id="body and hash"),
        pytest.param(edit(5, hash=bytes(32)), {(5, "edited")}, id="hash"),
        pytest.param(edit(5, previous=bytes(32)), {(5, "edited")}, id="previous"),
        pytest.param(edit(10, patient="x"), {(10, "edited")}, id="the last"),
        pytest.param(edit(1, patient="x"), {(1, "edited")}, id="the first"),
        pytest.param(all_of(edit(3, agent="x"), edit(9, agent="x")), {(3, "edited"), (9, "edited")}, id="two"),
        pytest.param(remove(5), {(5, "deleted")}, id="one deleted"),
        pytest.param(remove(1), {(1, "deleted")}, id="the first deleted"),
        pytest.param(remove(2, 3, 4, 8), {(2, "deleted"), (8, "deleted")}, id="several deleted"),
        pytest.param(exchange(5, 6), {(5, "reordered"), (6, "reordered")}, id="neighbours"),
        pytest.param(exchange(2, 9), {(2, "reordered"), (9, "reordered")}, id="far apart"),
        pytest.param(
            move_up_after(8),
            {(8, "reordered"), (9, "reordered"), (10, "truncated")},
            id="deleted and closed up",
        ),
        pytest.param(remove(9, 10), {(9, "truncated")}, id="cut off"),
        pytest.param(remove(*range(6, 11)), {(6, "truncated")}, id="cut off before a checkpoint"),
        pytest.param(
            all_of(remove(9, 10), lambda c: c.execute(update(head).values(seq=8))),
            {(8, "head"), (8, "edited")},
            id="cut off, head adapted",
        ),
        pytest.param(
            rewrite_from(8, agent="x"),
            {(10, "edited")},
            id="rewritten after the last checkpoint",
        ),
        pytest.param(
            rewrite_from(3, agent="x"),
            {(4, "edited"), (7, "edited"), (10, "edited")},
            id="rewritten before checkpoints",
        ),
        pytest.param(lambda c: rewrite_one(c, 5), {(5, "edited")}, id="one rewritten with its hash"),
        pytest.param(append_forged, {(11, "head")}, id="one added"),
        pytest.param(
            lambda c: c.execute(update(entries).where(entries.c.seq == 1).values(seq=-3)),
            {(-3, "edited"), (1, "deleted")},
            id="impossible number",
        ),
        pytest.param(lambda c: c.execute(delete(head)), {(10, "head")}, id="head deleted"),
        pytest.param(lambda c: c.execute(update(head).values(seq=11)), {(11, "head"), (11, "truncated")}, id="head"),
        pytest.param(lambda c: c.execute(update(head).values(signature=bytes(64))), {(10, "head")}, id="signature"),
        pytest.param(
            all_of(lambda c: c.execute(delete(entries)), lambda c: c.execute(delete(head))),
            {(1, "truncated")},
            id="everything deleted",
        ),
    ],
)
def test_tampering_is_found_and_named(
    log: AuditLog, database: Database, tamper: Tamper, found: set[tuple[int, str]]
) -> None:
    database.write(tamper)
    report = log.verify()
    assert {(problem.seq, problem.kind) for problem in report.problems} == found
    assert not report.ok


def rewrite_one(connection: Connection, seq: int) -> None:
    edit(seq, agent="x")(connection)
    row = connection.execute(select(entries).where(entries.c.seq == seq)).one()
    edit(seq, hash=entry_hash(bytes(row.previous), seq, tuple(getattr(row, n) for n in COLUMNS)))(connection)


def test_a_database_set_back_with_its_old_head_is_found(audit_log: AuditLog, database: Database) -> None:
    record = AuditRecord("token-issued", agent=Agent("ann", "person"))
    audit_log.record(record, record)
    with database.read() as connection:
        old = connection.execute(select(head)).one()._asdict()
    audit_log.record(record, record)
    audit_log.checkpoint()

    def set_back(connection: Connection) -> None:
        remove(3, 4)(connection)
        connection.execute(update(head).values(**old))

    database.write(set_back)
    assert audit_log.verify().problems == [Problem(3, "truncated", "the log ends at 2, a checkpoint reaches 4")]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda lines: [lines[0], lines[1].replace(b'"seq": 7', b'"seq": 6')], {(6, "checkpoint")}),
        (lambda lines: [lines[0].replace(b'"hash": "', b'"hash": "0'), lines[1]], {(0, "checkpoint")}),
        (lambda lines: [lines[1], lines[0]], {(4, "checkpoint")}),
        (lambda lines: [lines[0], lines[0], lines[1]], {(4, "checkpoint")}),
        (lambda lines: [b"{}\n", *lines], {(0, "checkpoint")}),
        (lambda lines: [lines[0], b"\xff\xfe\n", lines[1]], {(4, "checkpoint")}),
        (lambda lines: [lines[0], b'{"seq": 1e999}\n', lines[1]], {(4, "checkpoint")}),
        (lambda lines: [lines[0].upper(), lines[1]], {(0, "checkpoint")}),
    ],
)
def test_false_checkpoints_are_named(
    log: AuditLog,
    tmp_path: Path,
    change: Callable[[list[bytes]], list[bytes]],
    found: set[tuple[int, str]],
) -> None:
    file = tmp_path / "checkpoints"
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))
    assert {(problem.seq, problem.kind) for problem in log.verify().problems} == found


def test_another_hubs_key_vouches_for_nothing(log: AuditLog, database: Database, tmp_path: Path) -> None:
    other = AuditLog(database, signing_key=Ed25519PrivateKey.generate(), checkpoints=tmp_path / "checkpoints")
    kinds = {(problem.seq, problem.kind) for problem in other.verify().problems}
    assert kinds == {(4, "checkpoint"), (7, "checkpoint"), (10, "head")}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "values",
    ["body = X'7b22ff'", "agent = X'80'", "recorded_at = 'later'", "hash = 'text'", "previous = 5", "seq = 'five'"],
)
def test_what_the_column_cannot_hold_is_named_not_stumbled_over(log: AuditLog, database: Database, values: str) -> None:
    database.write(lambda c: c.execute(text(f"UPDATE audit_event SET {values} WHERE seq = 5")))
    found = {problem.kind for problem in log.verify().problems if problem.seq in (5, 11)}
    assert "edited" in found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("values", ["seq = -1", "seq = 'ten'", "hash = 'text'", "signature = 5"])
def test_a_head_that_is_no_head_is_named(log: AuditLog, database: Database, values: str) -> None:
    database.write(lambda c: c.execute(text(f"UPDATE audit_head SET {values}")))
    assert [problem.kind for problem in log.verify().problems] == ["head"]
    with pytest.raises(IntegrityError, match="cannot be read"):
        log.record(AuditRecord("token-issued", agent=Agent("ann", "person")))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_search_that_meets_a_broken_entry_says_so(log: AuditLog, database: Database) -> None:
    database.write(edit(5, body="{"))
    with pytest.raises(IntegrityError, match="entry 5"):
        log.search()


def test_a_long_log_is_read_in_pages_and_problems_are_capped(audit_log: AuditLog, database: Database) -> None:
    record = AuditRecord("token-issued", agent=Agent("ann", "person"))
    audit_log.record(*[record] * 2500)
    assert audit_log.verify().entries == 2500
    database.write(lambda c: c.execute(update(entries).values(agent="x")))
    report = audit_log.verify()
    assert len(report.problems) == 1001
    assert report.problems[-1].words == "there are more problems from here on"


def test_an_empty_log_is_sound(audit_log: AuditLog, database: Database) -> None:
    assert audit_log.verify() == VerifyReport()
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(head)).scalar_one() == 0
