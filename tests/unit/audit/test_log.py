"""The audit log: entries with their change, search, export, checkpoints."""

import dataclasses
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, select, update

from osler.audit import Agent, AuditLog, AuditRecord, create_signing_key, read_signing_key, to_fhir
from osler.errors import ConfigError, IntegrityError, StorageBusy
from osler.storage import Database
from osler.storage.tables import audit_event, audit_head, data_key

ANN, BOB = Agent("ann", "person", "10.0.0.1"), Agent("bob", "client")


def read(agent: Agent = ANN, patient: str = "OSL-AAAAAAAAAAAA") -> AuditRecord:
    return AuditRecord("resource-read", agent=agent, patient=patient, entities=("Observation/1",))


def open_log(database: Database, folder: Path, *, key: int = 0, times: Iterator[float] | None = None) -> AuditLog:
    signing_key = Ed25519PrivateKey.from_private_bytes(bytes([key]) * 32)
    if times is None:
        return AuditLog(database, signing_key=signing_key, checkpoints=folder / "checkpoints")
    return AuditLog(database, signing_key=signing_key, checkpoints=folder / "checkpoints", clock=lambda: next(times))


def test_entries_are_numbered_without_gaps(audit_log: AuditLog) -> None:
    audit_log.record(read())
    audit_log.record(read(), read())
    audit_log.record()
    assert [entry.seq for entry in audit_log.search()] == [3, 2, 1]
    report = audit_log.verify()
    assert (report.ok, report.entries) == (True, 3)


def test_an_entry_is_there_when_and_only_when_its_change_is(audit_log: AuditLog, database: Database) -> None:
    def change(connection: Connection, fail: bool) -> None:
        connection.execute(
            data_key.insert().values(id=str(fail), tenant="", purpose="", wrapped=b"", active=False, created_at=0.0)
        )
        audit_log.append(connection, read(), read())
        if fail:
            raise StorageBusy("no")

    audit_log.record(read())
    with pytest.raises(StorageBusy):
        database.write(lambda connection: change(connection, True))
    database.write(lambda connection: change(connection, False))
    with database.read() as connection:
        assert connection.execute(select(data_key.c.id)).scalars().all() == ["False"]
    assert [entry.seq for entry in audit_log.search()] == [3, 2, 1]
    assert audit_log.verify().ok


def test_logs_in_several_processes_make_one_chain(database_url: str, tmp_path: Path) -> None:
    databases = [Database(database_url) for _ in range(3)]
    logs = [open_log(database, tmp_path) for database in databases]

    def work(log: AuditLog) -> None:
        for _ in range(20):
            log.record(read())

    threads = [threading.Thread(target=work, args=(log,)) for log in logs for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = logs[0].verify()
    assert (report.ok, report.entries) == (True, 120)
    for database in databases:
        database.close()


def test_search(database: Database, tmp_path: Path) -> None:
    log = open_log(database, tmp_path, times=iter([10.0, 20.0, 30.0, 40.0]))
    log.record(read(ANN, "OSL-A"))
    log.record(read(BOB, "OSL-A"))
    log.record(AuditRecord("token-issued", agent=ANN, outcome=4))
    log.record(read(BOB, "OSL-B"))
    found = {
        "patient": log.search(patient="OSL-A"),
        "agent": log.search(agent="ann"),
        "event": log.search(event="token-issued"),
        "time": log.search(since=20, until=40),
        "both": log.search(agent="bob", patient="OSL-B"),
        "limit": log.search(limit=1),
        "nothing": log.search(patient="OSL-C"),
    }
    assert {name: [entry.seq for entry in entries] for name, entries in found.items()} == {
        "patient": [2, 1],
        "agent": [3, 1],
        "event": [3],
        "time": [3, 2],
        "both": [4],
        "limit": [4],
        "nothing": [],
    }
    (login,) = found["event"]
    assert (login.recorded_at, login.event, login.action, login.outcome, login.agent, login.patient) == (
        30.0, "token-issued", "E", 4, "ann", None,
    )  # fmt: skip
    assert login.resource["outcome"] == "4"


def test_export_is_one_resource_a_line_in_order(database: Database, tmp_path: Path) -> None:
    log = open_log(database, tmp_path, times=iter(float(t) for t in range(2)))
    log.record(*[read()] * 600)
    log.record(read())
    everything, latest = io.StringIO(), io.StringIO()
    assert log.export(everything) == 601
    assert log.export(latest, since=1) == 1
    lines = everything.getvalue().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [str(n) for n in range(1, 602)]
    assert latest.getvalue().splitlines() == lines[-1:]
    assert {json.loads(line)["resourceType"] for line in lines} == {"AuditEvent"}


def test_a_checkpoint_says_how_far_the_chain_reaches(audit_log: AuditLog, tmp_path: Path) -> None:
    assert audit_log.checkpoint() is False
    audit_log.record(read(), read())
    assert audit_log.checkpoint() is True
    assert audit_log.checkpoint() is False
    audit_log.record(read())
    assert audit_log.checkpoint() is True
    lines = [json.loads(line) for line in (tmp_path / "checkpoints").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [2, 3]
    report = audit_log.verify()
    assert (report.ok, report.checkpoints, report.checkpointed) == (True, 2, 3)


def test_a_checkpoint_line_that_was_never_finished_does_no_harm(audit_log: AuditLog, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints"
    audit_log.record(read())
    audit_log.checkpoint()
    whole = file.read_bytes()
    for torn in (whole[:40], whole[:-1]):
        file.write_bytes(whole + torn)
        assert audit_log.verify().ok
    audit_log.record(read())
    assert audit_log.checkpoint() is True
    assert file.read_bytes().startswith(whole)
    assert audit_log.verify().checkpointed == 2


def test_a_checkpoint_that_cannot_be_written_says_so(database: Database, tmp_path: Path) -> None:
    log = open_log(database, tmp_path / "nowhere")
    log.record(read())
    with pytest.raises(StorageBusy, match="checkpoint"):
        log.checkpoint()


def test_a_database_that_was_set_back_stops_the_checkpoints(audit_log: AuditLog, database: Database) -> None:
    audit_log.record(read(), read())
    with database.read() as connection:
        head = connection.execute(select(audit_head)).one()
    audit_log.record(read())
    audit_log.checkpoint()

    def set_back(connection: Connection) -> None:
        connection.execute(delete(audit_event).where(audit_event.c.seq == 3))
        connection.execute(update(audit_head).values(**head._asdict()))

    database.write(set_back)
    with pytest.raises(IntegrityError, match="entry 3"):
        audit_log.checkpoint()
    audit_log.record(read(), read())  # and again when it has grown beyond the last checkpoint
    with pytest.raises(IntegrityError, match="entry 3"):
        audit_log.checkpoint()
    assert not audit_log.verify().ok


def test_a_head_that_we_did_not_sign_stops_the_log(database: Database, tmp_path: Path) -> None:
    ours, theirs = open_log(database, tmp_path), open_log(database, tmp_path, key=1)
    ours.record(read())
    with pytest.raises(IntegrityError, match="head"):
        theirs.record(read())
    database.write(lambda c: c.execute(update(audit_head).values(seq=0, hash=bytes(32))))
    with pytest.raises(IntegrityError, match="head"):
        ours.record(read())
    with pytest.raises(IntegrityError, match="head"):
        ours.checkpoint()


def test_a_head_that_is_gone_stops_the_log(audit_log: AuditLog, database: Database) -> None:
    audit_log.record(read())
    database.write(lambda c: c.execute(delete(audit_head)))
    with pytest.raises(IntegrityError, match="no head"):
        audit_log.record(read())
    assert audit_log.verify().problems[0].kind == "head"


def test_signing_keys(tmp_path: Path) -> None:
    create_signing_key(tmp_path / "audit.key")
    key = read_signing_key(tmp_path / "audit.key")
    key.public_key().verify(read_signing_key(tmp_path / "audit.key").sign(b"x"), b"x")
    with pytest.raises(ConfigError, match="never overwritten"):
        create_signing_key(tmp_path / "audit.key")
    (tmp_path / "other.key").write_text("not a key")
    (tmp_path / "other.key").chmod(0o600)
    with pytest.raises(ConfigError, match="Ed25519"):
        read_signing_key(tmp_path / "other.key")


def test_what_is_added_together_is_written_as_if_each_were_alone(audit_log: AuditLog, database: Database) -> None:
    searched = AuditRecord("resource-searched", agent=BOB, detail={"type": "Observation", "parameters": "code"})
    added = [
        dataclasses.replace(searched, patient="p1", entities=("Observation/1/_history/1",)),
        dataclasses.replace(searched, patient="p2", entities=("Observation/2/_history/1", "Observation/3/_history/2")),
        dataclasses.replace(searched, patient="not an id \N{SNOWMAN}", entities=("job:7", 'Observation/"', "x" * 300)),
        dataclasses.replace(searched, patient="0-0", entities=("Observation/0-0", "Ob\0/1", "study:2.25.1")),
        dataclasses.replace(searched, agent=ANN, purpose="BTG"),
        dataclasses.replace(read(), entities=("Observation/1/_history/1", "note/1")),
        AuditRecord("hub-started", agent=BOB),
    ]
    audit_log.record(*added)
    with database.read() as connection:
        rows = connection.execute(select(audit_event).order_by(audit_event.c.seq)).all()
    alone = [to_fhir(each, seq=row.seq, recorded_at=row.recorded_at) for each, row in zip(added, rows, strict=True)]
    assert [row.body for row in rows] == [json.dumps(each, separators=(",", ":"), sort_keys=True) for each in alone]
