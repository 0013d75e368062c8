"""The manifest of a backup: what it is, and the hash of each file in it, signed."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from osler.audit.signing import is_signed
from osler.errors import ConfigError, IntegrityError
from osler.hub.backup.archive import safe_name

MANIFEST: Final = "manifest.jsonl"
SIGNATURE: Final = "manifest.sig"
_FORMAT: Final = 1
_DOMAIN: Final = b"osler backup manifest 1\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a backup is.

    Parameters
    ----------
    osler : str
        Version of the program that made it.
    made_at : float
        Seconds since the epoch, UTC.
    database : {"sqlite", "postgresql"}
    schema : str
        Revision of the database's schema.
    blobs : bool
        Whether blobs are in it.
    public_key : str
        Of the key that signs the audit log and this manifest, hex.
    """

    osler: str
    made_at: float
    database: str
    schema: str
    blobs: bool
    public_key: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: its name, its size in bytes, the SHA-256 of its content in hex."""

    name: str
    size: int
    sha256: str


@dataclass(slots=True)
class Sums:
    """Counts and hashes chunks that pass."""

    size: int = 0

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256()

    _digest: Any = None

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the chunks."""
        for chunk in chunks:
            self._digest.update(chunk)
            self.size += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """Hash of what passed, hex."""
        return str(self._digest.hexdigest())


def checked(chunks: Iterable[bytes], entry: Entry) -> Iterator[bytes]:
    """Yield the chunks of a file, and find out at their end whether they were the right ones.

    Raises
    ------
    IntegrityError
        If they were not; whoever keeps them must not count them as kept before the end.
    """
    sums = Sums()
    for chunk in sums.passing(chunks):
        if sums.size > entry.size:
            break
        yield chunk
    if (sums.size, sums.sha256) != (entry.size, entry.sha256):
        raise IntegrityError(f"{entry.name} is not what was backed up")


class ManifestWriter:
    """Gathers the lines."""

    def __init__(self, about: About) -> None:
        self._lines = [_line({"format": _FORMAT, **asdict(about)})]

    def add(self, entry: Entry) -> None:
        """Add a file."""
        self._lines.append(_line([entry.name, entry.size, entry.sha256]))

    def finish(self, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
        """Return the manifest and its signature."""
        content = b"".join([*self._lines, _line({"files": len(self._lines) - 1})])
        return content, key.sign(_DOMAIN + hashlib.sha256(content).digest())


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read."""

    about: About
    files: int
    _lines: tuple[bytes, ...]

    @property
    def key(self) -> Ed25519PublicKey:
        """The key that it names as its signer's."""
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.about.public_key))

    def entries(self) -> Iterator[Entry]:
        """Yield the files in the order in which they were added."""
        for line in self._lines:
            name, size, sha256 = json.loads(line)
            yield Entry(safe_name(name), int(size), str(sha256))


def read_manifest(found: dict[str, bytes], known: Ed25519PublicKey | None) -> Manifest:
    """Read a manifest and check its signature.

    Parameters
    ----------
    found : dict
        Content of the files ``MANIFEST`` and ``SIGNATURE``.
    known : Ed25519PublicKey or None
        The key that must have signed; None: the one that the manifest names.

    Raises
    ------
    ConfigError
        If the backup was not finished, or has a form that this program does not know.
    IntegrityError
        If it was changed, or another hub made it.
    """
    if MANIFEST not in found or SIGNATURE not in found:
        raise ConfigError("it has no manifest: it is no backup, or one that was not finished")
    content = found[MANIFEST]
    try:
        first, *lines, last = content.splitlines(keepends=True)
        head, files = json.loads(first), int(json.loads(last)["files"])
        if head.pop("format") != _FORMAT:
            raise ConfigError("the backup was made by a newer program")
        manifest = Manifest(About(**head), files, tuple(lines))
        named = manifest.key
    except (ValueError, TypeError, KeyError, AttributeError):
        raise IntegrityError("the manifest of the backup is damaged") from None
    if not is_signed(known or named, found[SIGNATURE], _DOMAIN + hashlib.sha256(content).digest()):
        raise IntegrityError("the manifest of the backup was changed, or another hub made it")
    if len(lines) != files:
        raise IntegrityError("the manifest of the backup is damaged")
    return manifest


def public_hex(key: Ed25519PublicKey) -> str:
    """Return a public key in hex."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def _line(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
