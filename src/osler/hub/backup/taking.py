"""Make a backup of a data folder, while its hub runs."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from osler import __version__
from osler.audit import Agent, AuditRecord, read_signing_key
from osler.audit.checkpoints import CheckpointFile
from osler.config import Config
from osler.errors import ConfigError, NotFound, OslerError
from osler.hub.backup import archive
from osler.hub.backup.manifest import MANIFEST, SIGNATURE, About, Entry, ManifestWriter, Sums, public_hex
from osler.hub.backup.sealed_keys import read_keys, seal_keys
from osler.hub.opening import signing_key_file
from osler.storage import migrate
from osler.storage.dump import dump
from osler.storage.opening import Zone
from osler.stores import Stores

Progress = Callable[[str, int, int], None]
"""Told of a step, how much is done, and of how much; 0: nobody knows."""

CONFIGURATION: Final = "osler.toml"
CHECKPOINTS: Final = "checkpoints.jsonl"
DATABASE: Final = {"sqlite": "database.sqlite3", "postgresql": "database.pgdump"}
ZONES: Final[tuple[Zone, ...]] = get_args(Zone)


@dataclass(frozen=True, slots=True)
class Taken:
    """A finished backup: how many files, how many bytes, and the hash of its manifest's signature key, hex."""

    place: Path
    files: int
    size: int
    blobs: int
    public_key: str
    keys: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What goes into a backup.

    Parameters
    ----------
    place : Path
        New: a folder, or a file that ends in ``.tar``.
    blobs : bool
    keys : Path or None
        New file for the keys, apart from the backup.
    passphrase : str
        Seals the keys.
    """

    place: Path
    blobs: bool = True
    keys: Path | None = None
    passphrase: str = ""


def back_up(
    config: Config, stores: Stores, wanted: Wanted, *, agent: Agent, environ: Mapping[str, str], progress: Progress
) -> Taken:
    """Copy everything that is needed to begin anew elsewhere.

    Raises
    ------
    ConfigError
        If the place is taken, or lies within the data folder, or holds the keys as well.
    StorageBusy, StorageFull
        If something cannot be read or written; what was written is removed.
    """
    _check_places(config, wanted)
    detail = {"blobs": int(wanted.blobs), "keys": int(wanted.keys is not None)}
    stores.audit.record(AuditRecord(event="backup-started", agent=agent, detail=detail))
    key = read_signing_key(signing_key_file(config.data_dir))
    about = About(
        osler=__version__,
        made_at=time.time(),
        database=stores.database.dialect,
        schema=migrate.revision(stores.database),
        blobs=wanted.blobs,
        public_key=public_hex(key.public_key()),
    )
    writer = archive.create(wanted.place)
    try:
        backup = _Backup(config, stores, writer, ManifestWriter(about), progress)
        backup.copy(wanted, environ)
        if wanted.keys is not None:
            seal_keys(wanted.keys, read_keys(signing_key_file(config.data_dir).parent), wanted.passphrase)
        manifest, signature = backup.manifest.finish(key)
        writer.add(MANIFEST, len(manifest), [manifest])
        writer.add(SIGNATURE, len(signature), [signature])
        writer.finish()
    except BaseException as error:
        writer.close()
        archive.remove(wanted.place)
        if isinstance(error, OslerError):
            stores.audit.record(AuditRecord(event="backup-made", agent=agent, outcome=8, detail=detail))
        raise
    writer.close()
    done = {**detail, "files": backup.files, "bytes": backup.size}
    stores.audit.record(AuditRecord(event="backup-made", agent=agent, detail=done))
    return Taken(wanted.place, backup.files, backup.size, backup.blobs, about.public_key, wanted.keys)


def _check_places(config: Config, wanted: Wanted) -> None:
    place, data_dir = wanted.place.absolute(), config.data_dir
    if place.is_relative_to(data_dir):
        raise ConfigError("a backup inside the data folder would be lost with it: name another place")
    if wanted.keys is None:
        return
    if wanted.keys.absolute().is_relative_to(place) or wanted.keys.absolute().is_relative_to(data_dir):
        raise ConfigError("whoever has the backup must not have the keys with it: name another place for them")
    if wanted.keys.exists():
        raise ConfigError(f"{wanted.keys} is there already; a key is never overwritten")


class _Backup:
    """Files on their way into an archive."""

    def __init__(
        self, config: Config, stores: Stores, writer: archive.Writer, manifest: ManifestWriter, progress: Progress
    ) -> None:
        self._config = config
        self._stores = stores
        self._writer = writer
        self._progress = progress
        self.manifest = manifest
        self.files = self.size = self.blobs = 0

    def copy(self, wanted: Wanted, environ: Mapping[str, str]) -> None:
        """Copy all: the checkpoints must not reach further than the database, nor the database than the blobs."""
        data_dir = self._config.data_dir
        if (data_dir / CONFIGURATION).is_file():
            self._add_file(CONFIGURATION, data_dir / CONFIGURATION)
        checkpoints = b"".join(CheckpointFile(data_dir / "audit" / CHECKPOINTS).lines())
        self._add(CHECKPOINTS, len(checkpoints), [checkpoints])
        self._add_database(wanted.place.absolute().parent, environ)
        for path in _files_below(data_dir / "models"):
            self._add_file(path.relative_to(data_dir).as_posix(), path)
        if wanted.blobs:
            for zone in ZONES:
                self._add_blobs(zone)

    def _add_database(self, folder: Path, environ: Mapping[str, str]) -> None:
        database = self._stores.database
        with archive.translated("the backup"), tempfile.TemporaryDirectory(prefix=".osler-backup-", dir=folder) as room:
            copy = Path(room) / "database"
            dump(
                database,
                copy,
                environ=environ,
                progress=lambda done, of: self._progress("copying the database", done, of),
            )
            self._add_file(DATABASE[database.dialect], copy)

    def _add_blobs(self, zone: Zone) -> None:
        store = getattr(self._stores, zone)
        for ref in store.refs():
            try:
                kept = store.kept(ref)
            except NotFound:  # a person discarded it meanwhile
                continue
            self._add(f"blobs/{zone}/{ref[:2]}/{ref}", kept.size, kept.chunks)
            self.blobs += 1
            self._progress(f"copying {zone} blobs", self.blobs, 0)

    def _add_file(self, name: str, path: Path) -> None:
        with archive.translated("the backup"):
            self._add(name, path.stat().st_size, archive.chunks_of(path.open("rb")))

    def _add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        sums = Sums()
        self._writer.add(name, size, sums.passing(chunks))
        self.manifest.add(Entry(name, sums.size, sums.sha256))
        self.files += 1
        self.size += sums.size


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
