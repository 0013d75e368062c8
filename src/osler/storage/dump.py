"""Copies of the whole database, each one snapshot, taken while others write."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from sqlalchemy import inspect
from sqlalchemy.engine import make_url

from osler.errors import ConfigError, IntegrityError, StorageBusy, StorageFull
from osler.storage.database import Database

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much; the unit is the database's own."""

_PAGES: Final = 4096
_PG_TIMEOUT_S: Final = 24 * 3600.0


def dump(database: Database, target: Path, *, environ: Mapping[str, str], progress: Progress) -> None:
    """Write a snapshot of the database to a new file that only its owner may read.

    Parameters
    ----------
    database : Database
    target : Path
    environ : mapping
        Where the programs of PostgreSQL are (``PATH``).
    progress : callable

    Raises
    ------
    StorageBusy, StorageFull
        If it cannot be written or read now.
    ConfigError
        If the client programs of PostgreSQL are not installed.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    if database.dialect == "sqlite":
        _dump_sqlite(_sqlite_path(database.url), target, progress)
    else:
        _run(["pg_dump", "--format=custom", "--no-owner", f"--file={target}"], database.url, environ)


def load(database: Database, source: Path, *, environ: Mapping[str, str]) -> None:
    """Fill an empty database with a snapshot, all of it or nothing.

    Raises
    ------
    ConfigError
        If the database is not empty, or the client programs of PostgreSQL are not installed.
    IntegrityError
        If the snapshot is damaged.
    """
    require_empty(database)
    if database.dialect == "sqlite":
        _check_sqlite(source)
        database.close()
        target = _sqlite_path(database.url)
        for left in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm"))):
            left.unlink(missing_ok=True)
        shutil.copyfile(source, coming := target.with_name(target.name + ".coming"))
        coming.chmod(0o600)
        with coming.open("rb") as file:
            os.fsync(file.fileno())
        coming.replace(target)
    else:
        _run(
            ["pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", str(source)],
            database.url,
            environ,
            restoring=True,
        )


def require_empty(database: Database) -> None:
    """Refuse a database that has tables.

    Raises
    ------
    ConfigError
        If it has.
    """
    with database.read() as connection:
        if inspect(connection).get_table_names():
            raise ConfigError("storage.database is not empty: a backup is put into an empty one only")


def _sqlite_path(url: str) -> Path:
    return Path(unquote(str(make_url(url).database)))


def _dump_sqlite(path: Path, target: Path, progress: Progress) -> None:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as source, closing(sqlite3.connect(target)) as copy:
            # A snapshot that is held open: without it each commit of a running hub would begin the copy anew.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(copy, pages=_PAGES, progress=lambda _, left, of: progress(of - left, of), sleep=0)
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise StorageFull("the disk of the backup is full") from None
        raise StorageBusy(f"the database could not be copied ({error.sqlite_errorname})") from None
    except sqlite3.DatabaseError as error:
        raise IntegrityError(f"the database is damaged ({type(error).__name__})") from None


def _check_sqlite(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as copy:
            (said,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        said = type(error).__name__
    if said != "ok":
        raise IntegrityError("the database in the backup is damaged")


def _run(command: list[str], url: str, environ: Mapping[str, str], *, restoring: bool = False) -> None:
    """Run a client program; the password travels in the environment, where other users do not see it."""
    name, *options = command
    program = shutil.which(name, path=environ.get("PATH", ""))
    if program is None:
        raise ConfigError(f"{name} is not installed: PostgreSQL's client programs make and restore its backups")
    outside = {name: value for name, value in environ.items() if not name.startswith("OSLER_")}  # the master key
    at = make_url(url)
    plain = at.set(password=None).render_as_string().replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        done = subprocess.run(
            [program, f"--dbname={plain}", *options],
            env={**outside, **({"PGPASSWORD": str(at.password)} if at.password else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_PG_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StorageBusy(f"{name} did not end") from None
    if done.returncode:  # what it says may quote rows
        if b"No space left" in done.stderr:
            raise StorageFull(f"{name}: the disk is full")
        if restoring:
            raise IntegrityError(f"{name} refused the snapshot (exit code {done.returncode}); the database is empty")
        raise StorageBusy(f"{name} failed (exit code {done.returncode}): look at the server's log and its version")
