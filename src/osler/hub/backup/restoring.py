"""Put a backup back into a new data folder, and prove that it is whole."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import select

from osler.audit import Agent, AuditRecord, VerifyReport, read_signing_key
from osler.audit.checkpoints import CheckpointFile
from osler.audit.verify import verify_chain
from osler.config import Config, load
from osler.errors import ConfigError, IntegrityError
from osler.hub.backup import archive
from osler.hub.backup.manifest import MANIFEST, SIGNATURE, Entry, Manifest, checked, read_manifest
from osler.hub.backup.taking import CHECKPOINTS, CONFIGURATION, DATABASE, Progress
from osler.hub.opening import master_key_file, open_database, open_stores, signing_key_file
from osler.storage import migrate
from osler.storage.blobs import Blobs
from osler.storage.dump import load as load_database
from osler.storage.dump import require_empty
from osler.storage.opening import Zone, open_blobs
from osler.storage.private_files import write_private
from osler.storage.tables import instance

_MAY_BE_THERE: Final = frozenset({"keys", CONFIGURATION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put back.

    Parameters
    ----------
    files, size, blobs : int
        Files, bytes, and how many of the files are blobs.
    entries : int
        Of the audit log.
    problems : tuple of str
        What its verification found.
    missing : int
        Blobs that the database names and the backup lacks.
    trusted : bool
        Whether the manifest was checked with a key that did not come from the backup itself.
    public_key : str
        The key that signed it, hex.
    opens : bool
        Whether keys are there and the hub's program fits, so that it can be served.
    words : str
        What is to be done before, when it does not open.
    """

    files: int
    size: int
    blobs: int
    entries: int
    problems: tuple[str, ...]
    missing: int
    trusted: bool
    public_key: str
    opens: bool
    words: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, and the audit log holds."""
        return not self.problems and not self.missing


@dataclass(slots=True)
class _Seen:
    files: int = 0
    size: int = 0
    blobs: int = 0
    refs: set[bytes] = field(default_factory=set)


def check(source: Path, *, known: Ed25519PublicKey | None, progress: Progress) -> tuple[Manifest, int]:
    """Read a whole backup and compare each hash; return its manifest and its size, bytes.

    Raises
    ------
    ConfigError, IntegrityError
        If it is none, or was changed.
    """
    with _opened(source, known) as (reader, manifest):
        size = 0
        for number, entry in enumerate(manifest.entries(), 1):
            for chunk in checked(reader.read(entry.name), entry):
                size += len(chunk)
            progress("checking files", number, manifest.files)
    return manifest, size


def restore(
    source: Path,
    data_dir: Path,
    keys: Mapping[str, bytes],
    *,
    agent: Agent,
    environ: Mapping[str, str],
    progress: Progress,
) -> Restored:
    """Make a data folder from a backup.

    Parameters
    ----------
    source : Path
    data_dir : Path
        New or empty; it may hold ``keys`` and ``osler.toml`` already, which are left as they are.
    keys : mapping
        Files of keys, from :func:`osler.hub.backup.sealed_keys.open_keys`; empty: they are there, or come later.
    agent : Agent
    environ : mapping
    progress : callable

    Raises
    ------
    ConfigError
        If the folder or the database is not empty, or the source is no backup.
    IntegrityError
        If the backup was changed, or another hub made it. The folder has no keys then, so nothing serves it.
    """
    _require_new(data_dir, keys)
    known = _known_key(data_dir, keys)
    with _opened(source, known) as (reader, manifest):
        for name in ("", "keys", "audit", "blobs", "spool"):
            (data_dir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = _put_back(reader, manifest, data_dir, environ, progress)
    for name, content in keys.items():
        write_private(data_dir / "keys" / name, content)
    config = load(environ, data_dir=data_dir)
    report, missing = _verify(config, manifest, known or manifest.key, seen)
    opens, words = _opens(config, environ, agent, seen)
    return Restored(
        files=seen.files,
        size=seen.size,
        blobs=seen.blobs,
        entries=report.entries,
        problems=tuple(f"{problem.seq}: {problem.words}" for problem in report.problems),
        missing=missing,
        trusted=known is not None,
        public_key=manifest.about.public_key,
        opens=opens,
        words=words,
    )


@contextlib.contextmanager
def _opened(source: Path, known: Ed25519PublicKey | None) -> Iterator[tuple[archive.Reader, Manifest]]:
    reader = archive.open_archive(source)
    try:
        yield reader, read_manifest(reader.last(MANIFEST, SIGNATURE), known)
    finally:
        reader.close()


def _require_new(data_dir: Path, keys: Mapping[str, bytes]) -> None:
    there = {path.name for path in data_dir.iterdir()} if data_dir.is_dir() else set()
    if there - _MAY_BE_THERE:
        raise ConfigError(f"{data_dir} is in use: restore into a new folder")
    for name in keys:
        if (data_dir / "keys" / name).exists():
            raise ConfigError(f"{data_dir / 'keys' / name} is there already; a key is never overwritten")


def _known_key(data_dir: Path, keys: Mapping[str, bytes]) -> Ed25519PublicKey | None:
    path = signing_key_file(data_dir)
    if path.name in keys:
        try:
            return cast(Ed25519PrivateKey, load_pem_private_key(keys[path.name], password=None)).public_key()
        except ValueError:
            raise ConfigError("the file of keys holds no key of the audit log") from None
    return read_signing_key(path).public_key() if path.is_file() else None


def _put_back(
    reader: archive.Reader, manifest: Manifest, data_dir: Path, environ: Mapping[str, str], progress: Progress
) -> _Seen:
    seen = _Seen()
    entries = manifest.entries()
    places: _Places | None = None
    for number, entry in enumerate(entries, 1):
        chunks = checked(reader.read(entry.name), entry)
        if entry.name == CONFIGURATION:
            content = b"".join(chunks)
            if not (data_dir / CONFIGURATION).exists():
                write_private(data_dir / CONFIGURATION, content)
        else:
            places = places or _Places(load(environ, data_dir=data_dir), manifest, environ)
            places.put(entry, chunks, seen)
        seen.files, seen.size = seen.files + 1, seen.size + entry.size
        progress("putting files back", number, manifest.files)
    return seen


class _Places:
    """Where the files of a backup go."""

    def __init__(self, config: Config, manifest: Manifest, environ: Mapping[str, str]) -> None:
        self._config = config
        self._about = manifest.about
        self._environ = environ
        self._stores: dict[str, Blobs] = {}
        database = open_database(config)
        try:
            if database.dialect != self._about.database:
                raise ConfigError(f"the backup is of {self._about.database}; storage.database is {database.dialect}")
            require_empty(database)
        finally:
            database.close()

    def put(self, entry: Entry, chunks: Iterator[bytes], seen: _Seen) -> None:
        top, _, rest = entry.name.partition("/")
        if entry.name == CHECKPOINTS:
            write_private(self._config.data_dir / "audit" / CHECKPOINTS, b"".join(chunks))
        elif entry.name == DATABASE[self._about.database]:
            self._put_database(chunks)
        elif top == "models" and rest:
            _write(self._config.data_dir / entry.name, chunks)
        elif top == "blobs" and rest.count("/") == 2:
            zone, _, ref = rest.split("/")
            self._blobs(zone).bring_back(ref, chunks)
            seen.blobs += 1
            seen.refs.add(bytes.fromhex(ref))
        else:
            raise IntegrityError("the backup names a file that no backup has")

    def _blobs(self, zone: str) -> Blobs:
        if zone not in ("identified", "deidentified"):
            raise IntegrityError("the backup names a file that no backup has")
        if zone not in self._stores:
            self._stores[zone] = open_blobs(self._config, cast(Zone, zone))
        return self._stores[zone]

    def _put_database(self, chunks: Iterator[bytes]) -> None:
        coming = self._config.data_dir / "spool" / "database.coming"
        _write(coming, chunks)
        database = open_database(self._config)
        try:
            load_database(database, coming, environ=self._environ)
        finally:
            database.close()
            coming.unlink(missing_ok=True)


def _write(path: Path, chunks: Iterator[bytes]) -> None:
    with archive.translated("the data folder"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as file:
            path.chmod(0o600)
            file.writelines(chunks)


def _verify(config: Config, manifest: Manifest, key: Ed25519PublicKey, seen: _Seen) -> tuple[VerifyReport, int]:
    database = open_database(config)
    try:
        report = verify_chain(database, key, CheckpointFile(config.data_dir / "audit" / CHECKPOINTS))
        missing = 0
        if manifest.about.blobs:
            with database.read() as connection:
                named = select(instance.c.blob, instance.c.deidentified_blob).where(instance.c.state != "discarded")
                refs = {ref for row in connection.execute(named) for ref in row if ref}
            missing = sum(bytes.fromhex(ref) not in seen.refs for ref in refs)
        return report, missing
    finally:
        database.close()


def _opens(config: Config, environ: Mapping[str, str], agent: Agent, seen: _Seen) -> tuple[bool, str]:
    """Put the restoration on record; without keys, or with an older schema, that must wait."""
    if not signing_key_file(config.data_dir).is_file():
        return False, f"bring the keys back into {signing_key_file(config.data_dir).parent}"
    if not environ.get("OSLER_MASTER_KEY") and not master_key_file(config.data_dir).is_file():
        return False, f"bring {master_key_file(config.data_dir).name} back"
    database = open_database(config)
    try:
        migrate.check(database)
    except ConfigError as error:
        return False, str(error)
    finally:
        database.close()
    with open_stores(config, environ) as stores:
        detail = {"files": seen.files, "bytes": seen.size}
        stores.audit.record(AuditRecord(event="backup-restored", agent=agent, detail=detail))
        stores.audit.checkpoint()
    return True, ""
