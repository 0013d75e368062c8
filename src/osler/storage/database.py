"""One door to the ledger: ``read`` for a snapshot, ``write`` for a durable change.

Writes of all threads meet in one committer: it takes whatever waits, runs each in a savepoint, and commits them
together, so that a hundred acknowledgements cost one fsync. A write returns after its commit is on disk.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from osler.errors import ConfigError, IntegrityError, OslerError, StorageBusy, StorageFull

T = TypeVar("T")
_MAX_GROUP = 256


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
        self._engine = _engine(url, busy_s)
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
        with _translated(), self._engine.connect() as connection:
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
        if threading.current_thread() is self._committer:
            raise IntegrityError("a change called write() inside a change")
        self._start()
        work = _Work(change, Future())
        self._waiting.put(work)
        return work.done.result()

    def close(self) -> None:
        """Commit what waits and close all connections."""
        with self._starting:
            self._closed = True
            if self._committer is not None:
                self._waiting.put(None)
                self._committer.join()
        self._engine.dispose()

    def _start(self) -> None:
        if self._committer is not None and not self._closed:
            return
        with self._starting:
            if self._closed:
                raise StorageBusy("the database is closed")
            if self._committer is None:
                self._committer = threading.Thread(target=self._commit_loop, name="ledger-committer", daemon=True)
                self._committer.start()

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
                _begin(connection)
                for work in group:
                    try:
                        with connection.begin_nested():
                            results.append((work, work.change(connection)))
                    except BaseException as error:  # given to the caller, whose change it was
                        if isinstance(error, DBAPIError) and error.connection_invalidated:
                            raise
                        work.done.set_exception(_translate(error) if isinstance(error, SQLAlchemyError) else error)
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
    count = 0
    for row in rows:
        count += connection.execute(statement.values(**row)).rowcount
    return count


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


def _engine(url: str, busy_s: float) -> Engine:
    try:
        if url.startswith("postgresql"):
            url = url.replace("postgresql://", "postgresql+psycopg://", 1)
            return sqlalchemy.create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=8)
        engine = sqlalchemy.create_engine(url, connect_args={"timeout": busy_s, "check_same_thread": False})
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


def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.info["immediate"] = True
        connection.begin()
    else:
        connection.begin()
        connection.execute(text("SET LOCAL lock_timeout = '30s'"))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise _translate(error) from None


def _translate(error: BaseException) -> OslerError:
    """Turn a driver's error into ours, without its text: parameters may hold anything."""
    if isinstance(error, OperationalError):
        said = str(error.orig).lower()
        if "full" in said or "no space" in said:
            return StorageFull("the database's disk is full")
        return StorageBusy("the database did not answer in time")
    return IntegrityError(f"the database refused a change ({type(error).__name__})")
