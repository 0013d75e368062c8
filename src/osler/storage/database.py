"""One door to the ledger: ``read`` for a snapshot, ``write`` for a durable change.

Writes of all threads meet in one committer: it takes whatever waits, runs each in a savepoint, and commits them
together, so that a hundred acknowledgements cost one fsync. A write returns after its commit is on disk.

Between processes, one writes at a time, on both databases: SQLite by ``BEGIN IMMEDIATE``, PostgreSQL by an advisory
lock. So a change sees all that was committed before it, and two changes cannot wait for each other's rows.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Engine, LargeBinary, cast, event, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from osler.errors import ConfigError, IntegrityError, OslerError, StorageBusy, StorageFull

T = TypeVar("T")
_MAX_GROUP = 256
_WRITER_LOCK = 0x6F736C6572  # "osler"


@dataclass(slots=True)
class _Work(Generic[T]):
    change: Callable[[Connection], T]
    done: Future[T]


class Database:
    """The ledger in SQLite or PostgreSQL.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, ``sqlite:////path/osler.db`` or ``postgresql://...``.
    busy_s : float
        How long a write waits for another process's lock, seconds.
    """

    def __init__(self, url: str, *, busy_s: float = 30.0) -> None:
        self.url = url
        self.dialect = "postgresql" if url.startswith("postgresql") else "sqlite"
        self._busy_s = busy_s
        self._engine = _engine(url, busy_s)
        self._reader = self._engine
        if self.dialect == "postgresql":
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._waiting: queue.SimpleQueue[_Work[Any] | None] = queue.SimpleQueue()
        self._committer: threading.Thread | None = None
        self._closed = False
        self._starting = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, for migrations."""
        return self._engine

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read-only snapshot."""
        with _translated(), self._reader.connect() as connection:
            yield connection
            connection.rollback()

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
        return self.submit(change).result()

    def submit(self, change: Callable[[Connection], T]) -> "Future[T]":
        """Begin a change and return at once; the future has its result once it is durable. As ``write`` otherwise."""
        if threading.current_thread() is self._committer:
            raise IntegrityError("a change called write() inside a change")
        work = _Work(change, Future())
        with self._starting:
            if self._closed:
                raise StorageBusy("the database is closed")
            if self._committer is None:
                self._committer = threading.Thread(target=self._commit_loop, name="ledger-committer", daemon=True)
                self._committer.start()
            self._waiting.put(work)
        return work.done

    def close(self) -> None:
        """Commit what waits and close all connections."""
        with self._starting:
            self._closed = True
            if self._committer is not None:
                self._waiting.put(None)
                self._committer.join()
        self._engine.dispose()

    def _commit_loop(self) -> None:
        while True:
            first = self._waiting.get()
            group: list[_Work[Any]] = []
            stop = first is None
            if first is not None:
                group.append(first)
            while not stop and len(group) < _MAX_GROUP:
                try:
                    work = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if work is None:
                    stop = True
                else:
                    group.append(work)
            if group:
                self._commit(group)
            if stop:
                return

    def _commit(self, group: list[_Work[Any]]) -> None:
        results: list[tuple[_Work[Any], Any]] = []
        try:
            with _translated(), self._engine.connect() as connection:
                _begin(connection, self._busy_s)
                for work in group:
                    # In the driver's own words: begin_nested() costs three times as much as the savepoint itself.
                    connection.exec_driver_sql("SAVEPOINT change")
                    try:
                        results.append((work, work.change(connection)))
                    except BaseException as error:  # given to the caller, whose change it was
                        if isinstance(error, DBAPIError) and error.connection_invalidated:
                            raise
                        work.done.set_exception(_translate(error) if isinstance(error, SQLAlchemyError) else error)
                        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT change")
                    connection.exec_driver_sql("RELEASE SAVEPOINT change")
                connection.commit()
        except BaseException as error:  # nothing of the group is durable
            for work in group:
                if not work.done.done():
                    work.done.set_exception(error)
            return
        for work, result in results:
            work.done.set_result(result)


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


def _engine(url: str, busy_s: float) -> Engine:
    try:
        if url.startswith("postgresql"):
            url = url.replace("postgresql://", "postgresql+psycopg://", 1)
            return sqlalchemy.create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=8)
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
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.pop("immediate", False) else "BEGIN")

    return engine


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
    if isinstance(error, OperationalError):
        said = str(error.orig).lower()
        if "full" in said or "no space" in said:
            return StorageFull("the database's disk is full")
        return StorageBusy("the database did not answer in time")
    return IntegrityError(f"the database refused a change ({type(error).__name__})")
