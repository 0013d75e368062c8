"""What only PostgreSQL has: restarts, time-outs, and messages between processes."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, text

from osler.audit import HUB, AuditLog, AuditRecord
from osler.errors import StorageBusy
from osler.storage import Database
from osler.storage.database import Limits
from osler.storage.migrate import upgrade
from osler.storage.notify import Listener, announce
from postgresql_peer import PostgresqlServer

WRITERS = 4


@pytest.fixture(scope="module")
def server(need: Callable[..., str]) -> Iterator[PostgresqlServer]:
    made = PostgresqlServer(need("initdb"), need("postgres")).start()
    yield made
    made.remove()


@pytest.fixture
def database(server: PostgresqlServer) -> Iterator[Database]:
    opened = Database(server.url(), busy_s=10.0, limits=Limits(pool=4, statement_s=2.0, idle_s=1.0))
    upgrade(opened)
    opened.write(lambda c: c.execute(text("CREATE TABLE IF NOT EXISTS written (id text PRIMARY KEY)")))
    yield opened
    opened.close()


class Writers:
    """Threads that write until they are stopped; a write that fails is tried again."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self.acknowledged: list[str] = []
        self._database = database
        self._audit = audit
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            name = f"{number}-{count}"
            try:
                self._database.write(partial(self._change, name=name))
            except StorageBusy:
                self._stop.wait(0.05)
                continue
            self.acknowledged.append(name)
            count += 1

    def _change(self, connection: Connection, name: str) -> None:
        # A commit whose answer was lost is done again: as everywhere in the flow, a key makes that harmless.
        added = text("INSERT INTO written VALUES (:id) ON CONFLICT DO NOTHING")
        if connection.execute(added, {"id": name}).rowcount:
            self._audit.append(connection, AuditRecord(event="hub-started", agent=HUB))


def test_nothing_is_lost_when_the_server_is_killed_and_starts_again(
    server: PostgresqlServer, database: Database, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    audit = AuditLog(database, signing_key=key, checkpoints=tmp_path / "checkpoints")
    heard = threading.Event()
    listener = Listener(database, lambda step: heard.set() if step == "infer" else None)
    listener.start()
    assert listener.wait(10)

    with Writers(database, audit) as writers:
        acknowledged = writers.acknowledged
        for _ in range(2):
            wait_for(len(acknowledged) + 50, acknowledged)
            server.kill()
            server.start()
            back_at = time.monotonic()
            wait_for(len(acknowledged) + 50, acknowledged)
            assert time.monotonic() - back_at < 30

    with database.read() as connection:
        written = set(connection.execute(text("SELECT id FROM written")).scalars())
    assert set(acknowledged) <= written
    assert len(written) <= len(acknowledged) + WRITERS
    report = audit.verify()
    assert report.ok
    assert report.entries == len(written)
    heard.clear()
    deadline = time.monotonic() + 30
    while not heard.wait(0.2):
        database.write(lambda c: announce(c, "infer"))
        assert time.monotonic() < deadline, "the listener came back"
    listener.stop()


def wait_for(count: int, acknowledged: list[str]) -> None:
    deadline = time.monotonic() + 60
    while len(acknowledged) < count:
        assert time.monotonic() < deadline, f"{len(acknowledged)} of {count} writes were acknowledged"
        time.sleep(0.02)


def test_another_process_hears_what_a_change_announced_and_nothing_of_one_that_failed(
    server: PostgresqlServer, database: Database
) -> None:
    heard: list[str] = []
    infer = threading.Event()

    def on_step(step: str) -> None:
        heard.append(step)
        if step == "infer":
            infer.set()

    listener = Listener(database, on_step)
    listener.start()
    assert listener.wait(10)
    deadline = time.monotonic() + 10
    while len(heard) < 4:  # all look once when it begins
        assert time.monotonic() < deadline
        time.sleep(0.01)
    heard.clear()
    infer.clear()

    def fails(connection: Connection) -> None:
        announce(connection, "publish")
        raise StorageBusy("no")

    with pytest.raises(StorageBusy):
        database.write(fails)
    program = (
        "import sys; from osler.storage import Database; from osler.storage.notify import announce\n"
        "d = Database(sys.argv[1]); d.write(lambda c: announce(c, 'infer')); d.close()"
    )
    subprocess.run([sys.executable, "-c", program, server.url()], check=True, timeout=60)
    assert infer.wait(10)
    assert heard == ["infer"]
    listener.stop()


def test_a_statement_that_takes_too_long_is_ended_and_the_writer_goes_on(database: Database) -> None:
    began = time.monotonic()
    with pytest.raises(StorageBusy):
        database.write(lambda c: c.execute(text("SELECT pg_sleep(30)")))
    assert time.monotonic() - began < 20
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    assert database.write(lambda c: c.execute(text("SELECT 2")).scalar_one()) == 2


def test_a_transaction_that_idles_is_ended_and_said_to_be_busy(database: Database) -> None:
    with pytest.raises(StorageBusy):
        idle_too_long(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def idle_too_long(database: Database) -> None:
    alive = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
    with database.read() as connection, database.engine.connect() as other:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        deadline = time.monotonic() + 20
        while other.execute(alive, {"pid": pid}).scalar_one():
            other.rollback()
            assert time.monotonic() < deadline, "the server ends it"
            time.sleep(0.1)
        connection.execute(text("SELECT 1"))


def test_an_upgrade_waits_for_the_writer_only_so_long(server: PostgresqlServer, database: Database) -> None:
    hasty = Database(server.url(), busy_s=0.5)
    release, holds = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        holds.set()
        release.wait(20)

    held = database.submit(hold)
    assert holds.wait(10)
    with pytest.raises(StorageBusy):
        upgrade(hasty)
    release.set()
    held.exception(20)
    upgrade(hasty)
    hasty.close()


def test_on_sqlite_nobody_listens_and_nothing_is_announced(new_sqlite: Callable[[Path], str], tmp_path: Path) -> None:
    database = Database(new_sqlite(tmp_path / "osler.db"))
    listener = Listener(database, lambda step: pytest.fail("nobody speaks"))
    listener.start()
    database.write(lambda c: announce(c, "infer"))
    assert listener.wait(0.1) is False
    listener.stop()
    database.close()
