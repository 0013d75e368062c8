"""Fixtures that every kind of test shares."""

import itertools
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from osler.audit import AuditLog
    from osler.storage import Database
    from osler.vault import KeyRing, Vault
    from s3_peer import S3Server

# A loaded machine is no fault of the code: no example fails for its time.
settings.register_profile("osler", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("osler")

REQUIRE_PEERS = os.environ.get("OSLER_REQUIRE_PEERS") == "1"


_PROGRAMS = (
    "/usr/sbin",
    "/usr/lib/postgresql/15/bin",
    str(Path(sys.executable).parent),
    str(Path(__file__).parent / "peers" / "mlserver" / "bin"),
)


def find_program(*names: str) -> str | None:
    """Return the path of the first of the programs that this machine has."""
    for name in names:
        path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_PROGRAMS)))
        if path:
            return path
    return None


@pytest.fixture(autouse=True)
def _silent_logs() -> None:
    """Begin each test with logs that go nowhere: the stream that a command inside another test set up is gone."""
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())


@pytest.fixture(scope="session")
def need() -> Callable[..., str]:
    """Return the path of a peer program, or skip with the reason (fail when OSLER_REQUIRE_PEERS=1)."""

    def _need(*names: str) -> str:
        path = find_program(*names)
        if path is None:
            message = f"needs the program {' or '.join(names)}, which is not on this machine"
            if REQUIRE_PEERS:
                pytest.fail(message)
            pytest.skip(message)
        return path

    return _need


@pytest.fixture(scope="session")
def need_peer() -> Callable[[str], Path]:
    """Return the folder of the npm packages when one is installed there, or skip (fail when OSLER_REQUIRE_PEERS=1)."""
    folder = Path(__file__).parent / "peers"

    def _need_peer(package: str) -> Path:
        if not (folder / "node_modules" / package).is_dir():
            message = f"needs npm's {package}: run npm ci in tests/peers"
            if REQUIRE_PEERS:
                pytest.fail(message)
            pytest.skip(message)
        return folder

    return _need_peer


@pytest.fixture(scope="session")
def s3_server(need: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator["S3Server"]:
    """Start an S3 server of our own."""
    from s3_peer import S3Server, low_ports

    server = S3Server(need("weed"), tmp_path_factory.mktemp("s3"), low_ports(4))
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that finds a free TCP port on loopback."""

    def _free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return _free_port


@pytest.fixture(scope="session")
def postgresql_server(need: Callable[..., str]) -> Iterator[str]:
    """Start a PostgreSQL of our own on a Unix socket; return its base URL, ``postgresql://osler@/{database}?host=...``."""
    from postgresql_peer import PostgresqlServer

    server = PostgresqlServer(need("initdb"), need("postgres"))
    try:
        yield server.start().url("{database}")
    finally:
        server.remove()


@pytest.fixture(scope="session")
def new_postgresql(postgresql_server: str) -> Callable[[], str]:
    """Return a function that makes a PostgreSQL database with the ledger's schema and returns its URL."""
    import psycopg

    from osler.storage import Database
    from osler.storage.migrate import upgrade

    def create(name: str, template: str) -> str:
        with psycopg.connect(postgresql_server.format(database="postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return postgresql_server.format(database=name)

    model = Database(create("ledger", "template1"))
    upgrade(model)
    model.close()
    numbers = itertools.count()
    return lambda: create(f"test{next(numbers)}", "ledger")


@pytest.fixture(scope="session")
def new_empty_postgresql(postgresql_server: str) -> Callable[[], str]:
    """Return a function that makes a PostgreSQL database with nothing in it and returns its URL."""
    import psycopg

    numbers = itertools.count()

    def create() -> str:
        name = f"empty{next(numbers)}"
        with psycopg.connect(postgresql_server.format(database="postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return postgresql_server.format(database=name)

    return create


@pytest.fixture(scope="session")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Return a function that makes a SQLite file with the ledger's schema and returns its URL."""
    from osler.storage import Database
    from osler.storage.database import sqlite_url
    from osler.storage.migrate import upgrade

    model = tmp_path_factory.mktemp("sqlite") / "ledger.db"
    database = Database(sqlite_url(model))
    upgrade(database)
    database.close()
    return lambda path: sqlite_url(Path(shutil.copyfile(model, path)))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a fresh database with the ledger's schema, once for each kind of database."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("new_postgresql")()
    else:
        url = request.getfixturevalue("new_sqlite")(tmp_path / "osler.db")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator["Database"]:
    """Open a fresh database with the ledger's schema, once for each kind of database."""
    from osler.storage import Database

    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def keyring(database: "Database") -> "KeyRing":
    """Open the keys of a tenant in the fresh database."""
    from osler.vault import KeyRing

    return KeyRing.open(database, master_key=bytes(range(32)), tenant="default")


@pytest.fixture
def audit_log(database: "Database", tmp_path: Path) -> "AuditLog":
    """Open the audit log of the fresh database."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from osler.audit import AuditLog

    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return AuditLog(database, signing_key=key, checkpoints=tmp_path / "checkpoints")


@pytest.fixture
def vault(database: "Database", keyring: "KeyRing", audit_log: "AuditLog") -> "Vault":
    """Open the vault of the fresh database."""
    from osler.vault import Vault

    return Vault(database, keyring, audit_log)
