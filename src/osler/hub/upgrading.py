"""A data folder of an older program: its database is copied as it was, then brought on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osler.errors import ConfigError
from osler.storage import Database, migrate
from osler.storage.dump import dump
from osler.storage.private_files import sync_folder


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was done to a database.

    Parameters
    ----------
    before, after : str
        Revisions of its schema.
    copy : Path or None
        The database as it was; None for PostgreSQL, which has tools of its own.
    """

    before: str
    after: str
    copy: Path | None


def upgrade(database: Database, environ: Mapping[str, str]) -> Upgrade | None:
    """Bring the schema to that of this program; None when there was nothing older.

    A SQLite file is copied before, beside itself, with the revision in its name; a copy of the same name, which an
    earlier attempt left, is replaced.

    Raises
    ------
    ConfigError
        If the database was written by a newer program, or the copy cannot be made: then nothing was changed.
    StorageFull
        If there is no room for the copy.
    """
    before = migrate.behind(database)
    copy = _copied(database, before, environ) if before and database.dialect == "sqlite" else None
    migrate.upgrade(database)
    return Upgrade(before, migrate.revision(database), copy) if before else None


def _copied(database: Database, revision: str, environ: Mapping[str, str]) -> Path:
    path = Path(str(database.engine.url.database))
    copy = path.with_name(f"{path.name}.before-{revision}")
    coming = copy.with_name(f"{copy.name}.coming")
    try:
        coming.unlink(missing_ok=True)
        dump(database, coming, environ=environ, progress=lambda done, of: None)
        coming.replace(copy)
        sync_folder(copy.parent)
    except OSError as error:
        raise ConfigError(f"{copy} cannot be written: {error.strerror}") from None
    return copy
