"""A data folder: made once, opened by every command that works on it."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import select

from osler.audit import AuditLog, create_signing_key, read_signing_key
from osler.config import Config
from osler.errors import ConfigError
from osler.hub.subscriptions import open_subscriptions
from osler.hub.upgrading import Upgrade, upgrade
from osler.queue.opening import open_queue
from osler.storage import Database, migrate
from osler.storage.database import Limits, sqlite_url
from osler.storage.opening import open_blobs
from osler.storage.private_files import sync_folder, write_private
from osler.storage.resource_reindex import reindex
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.tables import audit_head, data_key
from osler.stores import Stores, WorkerStores
from osler.vault import KeyRing, Vault, create_master_key, read_master_key

log = structlog.get_logger(__name__)

ROLES: Final = ("dimse", "mllp", "http", "deidentifier", "worker", "scribe", "publisher")

_FIRST_CONFIG = """\
# Osler. Every setting with its default: `osler config show`; check this file: `osler config check`.

[dimse]
ae_title = "OSLER"
accept = ["*@127.0.0.1"]        # calling AE title @ address; loopback with any title

[study]
quiet_s = 3

# [[destination]]
# name = "pacs"
# kind = "dicom"
# address = "127.0.0.1:4242"
# ae_title = "PACS"
"""


def master_key_file(data_dir: Path) -> Path:
    """Return where the master key lies."""
    return data_dir / "keys" / "master.key"


def signing_key_file(data_dir: Path) -> Path:
    """Return where the key lies that signs the audit log."""
    return data_dir / "keys" / "audit.key"


def create_data_dir(config: Config, environ: Mapping[str, str]) -> Upgrade | None:
    """Make the folder, the keys and the database; what is there already is left as it is.

    Returns
    -------
    Upgrade or None
        What was done to the database of an older program.

    Raises
    ------
    ConfigError
        If the folder cannot be made, or a key is gone that the database was made with: a new one would not open it.
    """
    data_dir = config.data_dir
    settings = data_dir / "osler.toml"
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("keys", "audit", "blobs", "spool"):
            (data_dir / name).mkdir(exist_ok=True, mode=0o700)
        if not settings.exists():
            write_private(settings, _FIRST_CONFIG.encode())  # it may come to hold the secret of a webhook
    except OSError as error:
        raise ConfigError(f"{data_dir} cannot be made: {error.strerror}") from None
    database = open_database(config)
    try:
        upgraded = upgrade(database, environ)
        _create_keys(database, data_dir, from_environ=bool(environ.get("OSLER_MASTER_KEY")))
        return upgraded
    finally:
        database.close()


def _create_keys(database: Database, data_dir: Path, *, from_environ: bool) -> None:
    master, signing = master_key_file(data_dir), signing_key_file(data_dir)
    with database.read() as connection:
        sealed = connection.execute(select(data_key.c.id).limit(1)).first() is not None
        signed = connection.execute(select(audit_head.c.id).limit(1)).first() is not None
    if not from_environ and not master.exists() and not master.with_suffix(".new").exists():
        if sealed:
            raise ConfigError(f"{master} is missing, and the database was made with it: bring it back from its backup")
        create_master_key(master)
    if not signing.exists():
        if signed:
            raise ConfigError(
                f"{signing} is missing, and the audit log was signed with it: bring it back from its backup"
            )
        create_signing_key(signing)


def open_database(config: Config) -> Database:
    """Open the configured database."""
    url = config.text("storage.database")
    if url == "sqlite":
        url = sqlite_url(config.data_dir / "osler.db")
    limits = Limits(
        pool=max(1, config.integer("storage.pool")),
        statement_s=config.number("storage.statement_s"),
        idle_s=config.number("storage.idle_s"),
    )
    return Database(url, busy_s=config.number("storage.busy_s"), limits=limits)


@contextlib.contextmanager
def open_stores(config: Config, environ: Mapping[str, str]) -> Iterator[Stores]:
    """Open everything that the steps work on, and close it at the end.

    Raises
    ------
    ConfigError
        If the folder was never made, or a key cannot be read.
    """
    data_dir = config.data_dir
    if not signing_key_file(data_dir).is_file():
        raise ConfigError(
            f"{signing_key_file(data_dir)} is missing; if {data_dir} is not an Osler data folder yet, make it with: "
            f"osler init --data-dir {data_dir}"
        )
    database = open_database(config)
    try:
        migrate.check(database)
        keyring = _open_keyring(database, config, environ.get("OSLER_MASTER_KEY"))
        _reindex(database, keyring)
        audit = AuditLog(
            database,
            signing_key=read_signing_key(signing_key_file(data_dir)),
            checkpoints=data_dir / "audit" / "checkpoints.jsonl",
            address=config.base_url,
        )
        with contextlib.closing(open_queue(config, database)) as queue:
            yield Stores(
                database=database,
                keyring=keyring,
                identified=open_blobs(config, "identified", sealer=keyring.sealer("blob")),
                deidentified=open_blobs(config, "deidentified"),
                vault=Vault(database, keyring, audit),
                audit=audit,
                resources=ResourceStore(
                    database,
                    sealer=keyring.sealer("record"),
                    index=keyring.index,
                    on_saved=open_subscriptions(keyring, config).saved,
                ),
                search=ResourceSearch(database, sealer=keyring.sealer("record"), index=keyring.index),
                queue=queue,
            )
    finally:
        database.close()


@contextlib.contextmanager
def open_worker_stores(config: Config) -> Iterator[WorkerStores]:
    """Open what a worker needs, which is of the de-identified zone, and close it at the end.

    No key is read: of the data folder only the settings, the spool and the cache of models are used.

    Raises
    ------
    ConfigError
        If the ledger is not there, or not of this version.
    """
    database = open_database(config)
    try:
        migrate.check(database)
        with contextlib.closing(open_queue(config, database)) as queue:
            yield WorkerStores(database, open_blobs(config, "deidentified"), queue)
    finally:
        database.close()


def _reindex(database: Database, keyring: KeyRing) -> None:
    def progress(done: int, of: int) -> None:
        log.info("index being rebuilt", done=done, of=of)

    damaged = reindex(database, sealer=keyring.sealer("record"), index=keyring.index, progress=progress)
    if damaged:
        log.error("resources could not be indexed", damaged=damaged)


def replace_master_key(data_dir: Path, keyring: KeyRing) -> None:
    """Wrap all data keys under a new master key in the file. A kill at any moment leaves a folder that opens."""
    path = master_key_file(data_dir)
    coming = path.with_suffix(".new")
    create_master_key(coming)
    keyring.rewrap(read_master_key(coming, None))
    coming.replace(path)
    sync_folder(path.parent)


def _open_keyring(database: Database, config: Config, from_environ: str | None) -> KeyRing:
    path, tenant = master_key_file(config.data_dir), config.text("site.tenant")
    coming = path.with_suffix(".new")
    try:
        return KeyRing.open(database, master_key=read_master_key(path, from_environ), tenant=tenant)
    except ConfigError:
        if from_environ or not coming.is_file():
            raise
    # A replacement of the master key was killed after the data keys had been wrapped under the new one.
    keyring = KeyRing.open(database, master_key=read_master_key(coming, None), tenant=tenant)
    coming.replace(path)
    return keyring
