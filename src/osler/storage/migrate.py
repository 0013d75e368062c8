"""Bring the ledger's schema to the version of this program."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from osler.errors import ConfigError
from osler.storage.database import Database


def upgrade(database: Database) -> None:
    """Apply the migrations that the ledger lacks, all or none; safe when several processes do so at once.

    Raises
    ------
    ConfigError
        If the ledger was written by a newer program.
    """

    def change(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":  # an index of years of data may take its time
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        config = _config()
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    database.write(change)


def check(database: Database) -> None:
    """Refuse a ledger whose schema is not that of this program.

    Raises
    ------
    ConfigError
        If it is behind (``upgrade`` brings it on) or ahead.
    """
    scripts = ScriptDirectory.from_config(_config())
    with database.read() as connection:
        _refuse_newer(connection, scripts)
        if _revision(connection) != scripts.get_current_head():
            raise ConfigError(
                "the database's schema is behind this program: stop the hub, back the database up, and run "
                "osler init on the same data folder; it brings the schema on and leaves what is there"
            )


def behind(database: Database) -> str:
    """Return the revision of a ledger that ``upgrade`` would change; empty when it is new, or as it should be.

    Raises
    ------
    ConfigError
        If the ledger was written by a newer program.
    """
    scripts = ScriptDirectory.from_config(_config())
    with database.read() as connection:
        _refuse_newer(connection, scripts)
        held = _revision(connection) or ""
    return "" if held == scripts.get_current_head() else held


def revision(database: Database) -> str:
    """Return the revision of the ledger's schema; empty when it has none."""
    with database.read() as connection:
        return _revision(connection) or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "osler.storage:migrations")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    revision = _revision(connection)
    if revision is not None and revision not in known:
        raise ConfigError(f"the database's schema ({revision}) is newer than this program")
