"""The ledger on SQLite and on PostgreSQL: the same promises on both."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, event, func, insert, inspect, select, text

from osler.audit import AuditLog, create_signing_key, read_signing_key
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import ConfigError, IntegrityError, NotFound, StorageBusy
from osler.storage import Database
from osler.storage.database import insert_ignore, sqlite_url
from osler.storage.migrate import check, upgrade
from osler.storage.tables import audit_event, data_key, metadata, pseudonym
from osler.vault import KeyRing, Vault

MASTER = bytes(range(32))
APPENDER = """
import sys
from pathlib import Path
from osler.audit import Agent, AuditLog, AuditRecord, read_signing_key
from osler.storage import Database
url, folder = sys.argv[1], Path(sys.argv[2])
log = AuditLog(Database(url), signing_key=read_signing_key(folder / "key"), checkpoints=folder / "checkpoints")
while True:
    log.record(AuditRecord("token-issued", agent=Agent("ann", "person")))
    log.checkpoint()
    print("written", flush=True)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        database = Database(sqlite_url(tmp_path / "empty.db"))
    else:
        server: str = request.getfixturevalue("postgresql_server")
        name = f"empty{tmp_path.name}".lower()
        admin = Database(server.format(database="postgres"))
        with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}"'))
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        admin.close()
        database = Database(server.format(database=name))
    yield database
    database.close()


def key_row(number: int | str) -> dict[str, object]:
    return {"id": str(number), "tenant": "", "purpose": "", "wrapped": b"", "active": False, "created_at": 0.0}


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(data_key)).scalar_one()


# ------------------------------------------------------------------------------------------------ migrations


def test_the_migrations_make_what_the_program_expects(empty: Database) -> None:
    upgrade(empty)
    check(empty)
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_upgrade_again_changes_nothing(database: Database) -> None:
    database.write(lambda c: c.execute(insert(data_key), [key_row(1)]))
    upgrade(database)
    assert count(database) == 1


def test_an_old_or_empty_ledger_is_refused_until_upgraded(empty: Database) -> None:
    with pytest.raises(ConfigError, match="behind"):
        check(empty)
    upgrade(empty)
    check(empty)


def test_a_newer_ledger_is_refused(database: Database) -> None:
    database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    for refuse in (check, upgrade):
        with pytest.raises(ConfigError, match="newer"):
            refuse(database)


def test_processes_that_upgrade_at_once_do_not_disturb_each_other(empty: Database) -> None:
    others = [Database(empty.url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, others))
    check(empty)
    for other in others:
        other.close()


def test_a_failed_upgrade_leaves_nothing(empty: Database) -> None:
    empty.write(lambda c: c.execute(text("CREATE TABLE study (id INTEGER)")))
    with pytest.raises((IntegrityError, StorageBusy)):
        upgrade(empty)
    with empty.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["study"]


# --------------------------------------------------------------------------------------------------- writing


def test_a_change_that_fails_goes_alone(database: Database) -> None:
    barrier = threading.Event()
    database.write(lambda c: None)

    def work(number: int) -> str:
        def change(connection: Connection) -> None:
            barrier.wait(10)
            connection.execute(insert(data_key), [key_row(number)])
            if number % 3 == 0:
                raise NotFound("mine")
            if number % 3 == 1:
                connection.execute(insert(data_key), [key_row(number)])  # breaks the primary key

        try:
            database.write(change)
        except NotFound:
            return "failed"
        except IntegrityError:
            return "refused"
        return "kept"

    with ThreadPoolExecutor(30) as pool:
        done = [pool.submit(work, number) for number in range(30)]
        barrier.set()
        results = [future.result() for future in done]
    assert results == ["failed", "refused", "kept"] * 10
    assert count(database) == 10


def test_waiting_changes_share_a_commit(database: Database) -> None:
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)
    begun, go_on = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        begun.set()
        go_on.wait(10)

    database.submit(first)
    assert begun.wait(10)
    waiting = [database.submit(lambda c, n=n: c.execute(insert(data_key), [key_row(n)])) for n in range(50)]
    go_on.set()
    for future in waiting:
        future.result()
    assert count(database) == 50
    assert len(commits) == 2


def test_insert_ignore_counts_what_went_in(database: Database) -> None:
    def change(connection: Connection) -> list[int]:
        return [
            insert_ignore(connection, data_key, []),
            insert_ignore(connection, data_key, [key_row(1)]),
            insert_ignore(connection, data_key, [key_row(1)]),
            insert_ignore(connection, data_key, [key_row(n) for n in range(5)]),
        ]

    assert database.write(change) == [0, 1, 0, 4]


def test_a_read_sees_one_moment(database: Database) -> None:
    with database.read() as connection:
        before = connection.execute(select(func.count()).select_from(data_key)).scalar_one()
        database.write(lambda c: c.execute(insert(data_key), [key_row(1)]))
        after = connection.execute(select(func.count()).select_from(data_key)).scalar_one()
    assert (before, after, count(database)) == (0, 0, 1)


def test_a_write_inside_a_write_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError, match="inside"):
        database.write(lambda c: database.write(lambda inner: None))
    assert database.write(lambda c: 7) == 7


def test_a_closed_database_says_so(database: Database) -> None:
    database.write(lambda c: None)
    database.close()
    with pytest.raises(StorageBusy, match="closed"):
        database.write(lambda c: None)


def test_another_writer_that_does_not_end_is_busy(database_url: str) -> None:
    holder, waiter = Database(database_url), Database(database_url, busy_s=0.2)
    begun, go_on = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        begun.set()
        go_on.wait(10)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(holder.write, hold)
        begun.wait(10)
        with pytest.raises(StorageBusy):
            waiter.write(lambda c: None)
        go_on.set()
        held.result()
    waiter.write(lambda c: c.execute(insert(data_key), [key_row(1)]))
    assert count(holder) == 1
    holder.close()
    waiter.close()


def test_no_message_quotes_what_was_written(database: Database) -> None:
    row = key_row("CANARY-77")
    with pytest.raises(IntegrityError) as refused:
        database.write(lambda c: c.execute(insert(data_key), [row, row]))
    assert "CANARY" not in repr(refused.value)
    assert refused.value.__cause__ is None


# ------------------------------------------------------------------------------------- vault, keys and audit


def test_processes_that_meet_a_new_identity_agree_on_its_pseudonym(database_url: str, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    databases = [Database(database_url) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:  # both make the tenant's keys
        rings = list(pool.map(lambda d: KeyRing.open(d, master_key=MASTER, tenant="default"), databases))
    logs = [AuditLog(d, signing_key=key, checkpoints=tmp_path / "checkpoints") for d in databases]
    vaults = [Vault(d, ring, log, cache_size=0) for d, ring, log in zip(databases, rings, logs, strict=True)]
    asked = [Identity(PseudonymKind.UID, f"1.2.{n}") for n in range(60)]
    start = threading.Barrier(8)

    def ask(worker: int) -> dict[Identity, str]:
        start.wait(10)
        mine = asked[worker * 5 :] + asked[: worker * 5]
        found: dict[Identity, str] = {}
        for at in range(0, 60, 20):
            found |= zip(mine[at : at + 20], vaults[worker % 2].pseudonyms(mine[at : at + 20]), strict=True)
        return found

    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(ask, range(8))
    assert all(other == first for other in others)
    with databases[0].read() as connection:
        assert connection.execute(select(func.count()).select_from(pseudonym)).scalar_one() == 60
        purposes = connection.execute(select(data_key.c.purpose)).scalars().all()
    assert sorted(purposes) == ["blob", "index", "record", "vault"]
    report = logs[0].verify()
    assert (report.ok, report.entries) == (True, 24)
    for database in databases:
        database.close()


def test_keys_rotate_while_others_seal_and_open(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(2)]
    rings = [KeyRing.open(d, master_key=MASTER, tenant="default", refresh_s=0) for d in databases]
    stop = threading.Event()

    def work(ring: KeyRing, other: KeyRing) -> int:
        done = 0
        while not stop.is_set() or not done:
            assert other.sealer("blob").open(ring.sealer("blob").seal(b"text", b"ref"), b"ref") == b"text"
            done += 1
        return done

    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(work, *rings), pool.submit(work, *rings[::-1])]
        for ring in rings * 5:
            ring.rotate()
        stop.set()
        assert all(worker.result() for worker in workers)
    with databases[0].read() as connection:
        active = connection.execute(select(data_key.c.purpose).where(data_key.c.active)).scalars().all()
    assert sorted(active) == ["blob", "index", "record", "vault"]
    for database in databases:
        database.close()


def test_killed_processes_leave_a_sound_chain_with_all_that_was_acknowledged(database_url: str, tmp_path: Path) -> None:
    create_signing_key(tmp_path / "key")
    acknowledged = 0
    for wanted in (3, 7):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", APPENDER, database_url, tmp_path], stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            for _ in range(wanted):
                assert process.stdout.readline() == "written\n"
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            rest, _ = process.communicate()
            acknowledged += wanted + rest.count("written\n")
    database = Database(database_url)
    log = AuditLog(database, signing_key=read_signing_key(tmp_path / "key"), checkpoints=tmp_path / "checkpoints")
    report = log.verify()
    assert report.problems == []
    assert report.entries >= acknowledged
    with database.read() as connection:
        assert connection.execute(select(func.max(audit_event.c.seq))).scalar_one() == report.entries
    database.close()


def test_a_postgresql_that_is_not_there_is_busy(free_port: Callable[[], int]) -> None:
    pytest.importorskip("psycopg")
    database = Database(f"postgresql://osler@127.0.0.1:{free_port()}/osler")
    with pytest.raises(StorageBusy):
        database.write(lambda c: None)
    with pytest.raises(StorageBusy), database.read():
        pass
    database.close()
