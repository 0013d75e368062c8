"""A data folder: made once, opened by every command that works on it."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from osler.audit import AuditLog, create_signing_key, read_signing_key
from osler.config import Config
from osler.errors import ConfigError
from osler.queue.embedded import EmbeddedQueue
from osler.storage import Database, migrate
from osler.storage.blobs import FolderBlobs
from osler.storage.database import sqlite_url
from osler.storage.private_files import sync_folder
from osler.storage.resources import ResourceStore
from osler.stores import Stores
from osler.vault import KeyRing, Vault, create_master_key, read_master_key

ROLES: Final = ("dimse", "http", "deidentifier", "worker", "publisher")

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


def create_data_dir(config: Config, environ: Mapping[str, str]) -> None:
    """Make the folder, the keys and the database; what is there already is left as it is."""
    data_dir = config.data_dir
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("keys", "audit", "blobs", "spool"):
        (data_dir / name).mkdir(exist_ok=True, mode=0o700)
    if not environ.get("OSLER_MASTER_KEY") and not master_key_file(data_dir).exists():
        create_master_key(master_key_file(data_dir))
    if not (data_dir / "keys" / "audit.key").exists():
        create_signing_key(data_dir / "keys" / "audit.key")
    settings = data_dir / "osler.toml"
    if not settings.exists():
        settings.write_text(_FIRST_CONFIG, encoding="utf-8")
    database = open_database(config)
    try:
        migrate.upgrade(database)
    finally:
        database.close()


def open_database(config: Config) -> Database:
    """Open the configured database."""
    url = config.text("storage.database")
    if url == "sqlite":
        url = sqlite_url(config.data_dir / "osler.db")
    return Database(url, busy_s=config.number("storage.busy_s"))


@contextlib.contextmanager
def open_stores(config: Config, environ: Mapping[str, str]) -> Iterator[Stores]:
    """Open everything that the steps work on, and close it at the end.

    Raises
    ------
    ConfigError
        If the folder was never made, or a key cannot be read.
    """
    data_dir = config.data_dir
    if not (data_dir / "keys" / "audit.key").is_file():
        raise ConfigError(f"{data_dir} is not an Osler data folder yet; make it with: osler init --data-dir {data_dir}")
    database = open_database(config)
    try:
        migrate.check(database)
        keyring = _open_keyring(database, config, environ.get("OSLER_MASTER_KEY"))
        audit = AuditLog(
            database,
            signing_key=read_signing_key(data_dir / "keys" / "audit.key"),
            checkpoints=data_dir / "audit" / "checkpoints.jsonl",
        )
        root = config.text("storage.blobs")
        blobs = data_dir / "blobs" if root == "folder" else Path(root)
        room = config.integer("storage.min_free_mb") * 1_000_000
        yield Stores(
            database=database,
            keyring=keyring,
            identified=FolderBlobs(blobs / "identified", sealer=keyring.sealer("blob"), min_free_bytes=room),
            deidentified=FolderBlobs(blobs / "deidentified", min_free_bytes=room),
            vault=Vault(database, keyring, audit),
            audit=audit,
            resources=ResourceStore(database, sealer=keyring.sealer("record"), index=keyring.index),
            queue=EmbeddedQueue(
                database,
                lease_s=config.number("queue.lease_s"),
                max_attempts=config.integer("queue.max_attempts"),
                backoff_s=config.number("queue.backoff_s"),
                ageing_s=config.number("queue.ageing_s"),
            ),
        )
    finally:
        database.close()


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
