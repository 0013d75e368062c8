"""One door to the ledger: ``read`` for a snapshot, ``write`` for a durable change.

Writes of all threads meet: whoever has the turn takes whatever waits, runs each in a savepoint, and commits them
together, so that a hundred acknowledgements cost one fsync; who is alone does its own, and no thread waits for another.
A write returns after its commit is on disk.

Between processes, one writes at a time, on both databases: SQLite by ``BEGIN IMMEDIATE``, PostgreSQL by an advisory
lock. So a change sees all that was committed before it, and two changes cannot wait for each other's rows.
"""

import collections
import contextlib
import functools
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Engine, LargeBinary, cast, event, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from osler.errors import ConfigError, IntegrityError, OslerError, StorageBusy, StorageFull

T = TypeVar("T")
_MAX_GROUP = 256
_WRITER_LOCK = 0x6F736C6572  # "osler"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of connections to PostgreSQL.

    Parameters
    ----------
    pool : int
        Connections that are kept; as many again are made when they are needed.
    statement_s : float
        A statement that takes longer is ended by the server, seconds.
    idle_s : float
        A transaction in which nothing happens for longer is ended by the server, seconds.
    """

    pool: int = 8
    statement_s: float = 60.0
    idle_s: float = 300.0


@dataclass(slots=True)
class _Work(Generic[T]):
    change: Callable[[Connection], T]
    done: Future[T]
    asked_at: float


class Database:
    """The ledger in SQLite or PostgreSQL.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, ``sqlite:////path/osler.db`` or ``postgresql://...``.
    busy_s : float
        How long a write waits for another process's lock, seconds.
    limits : Limits
        Of PostgreSQL's connections.
    """

    def __init__(self, url: str, *, busy_s: float = 30.0, limits: "Limits | None" = None) -> None:
        self.url = url
        self.dialect = "postgresql" if url.startswith("postgresql") else "sqlite"
        self._busy_s = busy_s
        self._limits = limits or Limits()
        self._engine = _engine(url, busy_s, self._limits)
        self._reader = self._engine
        if self.dialect == "postgresql":
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._waiting: collections.deque[_Work[Any]] = collections.deque()
        self._turn = threading.Lock()
        self._writer = 0  # identity of the thread that has the turn
        self._begun: queue.SimpleQueue[bool] = queue.SimpleQueue()  # false at the end
        self._committer: threading.Thread | None = None
        self._closed = False
        self._starting = threading.Lock()
        self.on_wait: Callable[[float], None] = lambda seconds: None
        """Told how long each change waited for the writer, seconds."""

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, for migrations."""
        return self._engine

    def connection_arguments(self) -> dict[str, Any]:
        """Return how to connect to PostgreSQL, for a connection outside the pool."""
        return {**self._engine.dialect.create_connect_args(self._engine.url)[1], **_KEEP_ALIVE}

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read-only snapshot."""
        with _translated(), self._reader.connect() as connection:
            yield connection

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run a change and return its result once it is durable.

        Parameters
        ----------
        change : callable
            Gets a connection inside a transaction. Must be quick, must not touch the network, and must not call
            ``write`` itself. An exception rolls back this change alone and comes back to the caller.

        Raises
        ------
        StorageBusy, StorageFull
            If the database cannot commit now.
        """
        work = self._ask(change)
        with self._turn:
            while not work.done.done():
                self._commit()
        return work.done.result()

    def submit(self, change: Callable[[Connection], T]) -> "Future[T]":
        """Begin a change and return at once; the future has its result once it is durable. As ``write`` otherwise."""
        return self._ask(change, begin=True).done

    def close(self) -> None:
        """Commit what waits and close all connections."""
        with self._starting:
            self._closed = True
            if self._committer is not None:
                self._begun.put(False)
                self._committer.join()
        with self._turn:
            while self._waiting:
                self._commit()
        self._engine.dispose()

    def _ask(self, change: Callable[[Connection], T], *, begin: bool = False) -> _Work[T]:
        if threading.get_ident() == self._writer:
            raise IntegrityError("a change called write() inside a change")
        work = _Work(change, Future(), time.perf_counter())
        with self._starting:
            if self._closed:
                raise StorageBusy("the database is closed")
            self._waiting.append(work)
            if begin and self._committer is None:
                self._committer = threading.Thread(target=self._commit_begun, name="ledger-committer", daemon=True)
                self._committer.start()
        if begin:
            self._begun.put(True)
        return work

    def _commit_begun(self) -> None:
        """Commit what nobody waits for."""
        while self._begun.get():
            with self._turn:
                while self._waiting:
                    self._commit()

    def _commit(self) -> None:
        """Commit what waits, as the one who has the turn."""
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MAX_GROUP))]
        done: list[tuple[_Work[Any], Any]] = []
        self._writer = threading.get_ident()
        try:
            with _translated(), self._engine.connect() as connection:
                _begin(connection, self._busy_s)
                done = self._run(connection, group)
                if done:
                    connection.commit()
        except BaseException as error:  # nothing of the group is durable
            for work in group:
                if not work.done.done():
                    work.done.set_exception(error if isinstance(error, Exception) else StorageBusy("interrupted"))
            if not isinstance(error, Exception):
                raise
            return
        finally:
            self._writer = 0
        for work, result in done:
            work.done.set_result(result)

    def _run(self, connection: Connection, group: list[_Work[Any]]) -> list[tuple[_Work[Any], Any]]:
        """Run each change of a group, and return those that are to be committed, with their results."""
        done = []
        alone = len(group) == 1  # then all that there is can be rolled back
        for work in group:
            self.on_wait(time.perf_counter() - work.asked_at)
            # In the driver's own words: begin_nested() costs three times as much as the savepoint itself.
            if not alone:
                connection.exec_driver_sql("SAVEPOINT change")
            try:
                done.append((work, work.change(connection)))
            except BaseException as error:  # given to the caller, whose change it was
                if isinstance(error, KeyboardInterrupt) or (
                    isinstance(error, DBAPIError) and error.connection_invalidated
                ):
                    raise
                work.done.set_exception(_translate(error) if isinstance(error, SQLAlchemyError) else error)
                if not alone:
                    connection.exec_driver_sql("ROLLBACK TO SAVEPOINT change")
            if not alone:
                connection.exec_driver_sql("RELEASE SAVEPOINT change")
        return done


def insert_ignore(connection: Connection, table: sqlalchemy.Table, rows: list[dict[str, Any]]) -> int:
    """Insert rows, leaving out those that a unique constraint forbids; return how many went in."""
    if not rows:
        return 0
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        statement: Any = pg_insert(table).on_conflict_do_nothing()
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        statement = sqlite_insert(table).on_conflict_do_nothing()
    return connection.execute(statement, rows, execution_options={"preserve_rowcount": True}).rowcount


def insert_rows(connection: Connection, table: sqlalchemy.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, all with the same columns and values as the driver takes them; a third of the usual way's time."""
    if rows:
        statement = _insertion(table.name, tuple(rows[0]), connection.dialect.paramstyle)
        connection.exec_driver_sql(statement, list(rows))


@functools.lru_cache(maxsize=64)
def _insertion(table: str, names: tuple[str, ...], style: str) -> str:
    values = ", ".join(f"%({name})s" if style == "pyformat" else f":{name}" for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {table} ({columns}) VALUES ({values})"  # noqa: S608 - our own names


def has_rows(connection: Connection, table: sqlalchemy.Table) -> bool:
    """Tell whether a table has any row. The driver itself is asked, which takes a twentieth of the usual way."""
    driver: Any = connection.connection.driver_connection
    try:
        return driver.execute(f"SELECT 1 FROM {table.name} LIMIT 1").fetchone() is not None  # noqa: S608 - our own name
    except connection.dialect.loaded_dbapi.Error as error:
        raise StorageBusy(f"the database did not answer ({type(error).__name__})") from None


def undecoded(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Select a text column in a way that no damage can make unreadable: as bytes on SQLite, which keeps any bytes."""
    return cast(column, LargeBinary) if connection.dialect.name == "sqlite" else column


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :wait, true)")
_LOCK_WRITER = text("SELECT pg_advisory_xact_lock(:key)")


_KEEP_ALIVE: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A host that is gone without a word is noticed within half a minute."""
_LOST: Final = frozenset({"25006", "25P02", "25P03", "57P01", "57P02", "57P03"})
"""States of PostgreSQL that another connection may not be in: read-only, aborted, idle too long, shutting down."""


def _engine(url: str, busy_s: float, limits: Limits) -> Engine:
    try:
        if url.startswith("postgresql"):
            url = url.replace("postgresql://", "postgresql+psycopg://", 1)
            return sqlalchemy.create_engine(
                url,
                pool_pre_ping=True,
                pool_size=limits.pool,
                max_overflow=limits.pool,
                pool_timeout=busy_s,
                connect_args={**_KEEP_ALIVE, "application_name": "osler", "options": _options(url, limits)},
            )
        engine = sqlalchemy.create_engine(url, connect_args={"timeout": busy_s, "check_same_thread": False})
        _create_private(engine.url.database)
    except (SQLAlchemyError, ImportError) as error:
        raise ConfigError(
            "storage.database cannot be opened: for PostgreSQL install osler[postgres]; else check the URL"
        ) from error

    @event.listens_for(engine, "connect")
    def _pragmas(dbapi_connection: Any, _record: Any) -> None:
        # The driver must not open transactions by itself: savepoints need our own BEGIN.
        dbapi_connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-32000"):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _deferred(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        statement = "BEGIN IMMEDIATE" if connection.info.pop("immediate", False) else "BEGIN"
        try:
            driver.execute(statement)  # a twentieth of the time of the usual way, and each request begins three times
        except driver.Error as error:
            raise DBAPIError.instance(statement, None, error, driver.Error) from None

    return engine


def _options(url: str, limits: Limits) -> str:
    """Return the settings of a session; those that the URL asks for come after ours."""
    own = (
        f"-c statement_timeout={round(limits.statement_s * 1000)} "
        f"-c idle_in_transaction_session_timeout={round(limits.idle_s * 1000)}"
    )
    given = sqlalchemy.make_url(url).query.get("options", "")
    return f"{own} {given if isinstance(given, str) else ' '.join(given)}".strip()


def _create_private(path: str | None) -> None:
    """Make a new SQLite file for its owner alone; the files that SQLite puts beside it take their mode from it."""
    if path:
        # A file that is there is not opened: closing it would drop the locks that this process holds on it.
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _begin(connection: Connection, busy_s: float) -> None:
    if connection.dialect.name == "sqlite":
        connection.info["immediate"] = True
        connection.begin()
    else:
        connection.begin()
        connection.execute(_LOCK_TIMEOUT, {"wait": f"{max(1, round(busy_s * 1000))}ms"})
        connection.execute(_LOCK_WRITER, {"key": _WRITER_LOCK})


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise _translate(error) from None


def _translate(error: BaseException) -> OslerError:
    """Turn a driver's error into ours, without its text: parameters may hold anything."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return StorageBusy("too many connections to the database are in use")
    if isinstance(error, DBAPIError) and (
        error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _LOST
    ):
        return StorageBusy("the connection to the database was lost")
    if isinstance(error, OperationalError):
        said = str(error.orig).lower()
        if "full" in said or "no space" in said:
            return StorageFull("the database's disk is full")
        return StorageBusy("the database did not answer in time")
    return IntegrityError(f"the database refused a change ({type(error).__name__})")
