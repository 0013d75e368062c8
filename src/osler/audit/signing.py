"""The chain's hashes and signatures.

::

    hash(n)      SHA-256 over the JSON array [hash(n - 1) in hex, seq, recorded_at, kind, action, outcome, agent,
                 patient], without spaces and in ASCII, and the body after it; hash(0) is 32 zero bytes
    head         Ed25519 over "osler audit head 1", seq, hash
    checkpoint   Ed25519 over "osler audit checkpoint 1", seq, hash, time in milliseconds
"""

import hashlib
import json
import math
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from osler.errors import ConfigError
from osler.storage.private_files import read_private, write_private

GENESIS: Final = bytes(32)
COLUMNS: Final = ("recorded_at", "kind", "action", "outcome", "agent", "patient", "body")
_encode: Final[Callable[[Any], str]] = json.JSONEncoder(separators=(",", ":")).encode


canonical: Final[Callable[[Any], str]] = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
"""The one JSON text of a resource: keys in order, no spaces, ASCII."""


def entry_hash(previous: bytes, seq: int, columns: tuple[Any, ...]) -> bytes:
    """Return the hash of an entry.

    Parameters
    ----------
    previous : bytes
        Hash of the entry before it.
    seq : int
    columns : tuple
        Values of ``COLUMNS``, in that order.
    """
    *others, body = columns
    text = f"[{','.join(map(_json, (previous.hex(), seq, *others)))}]{body}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _json(value: Any) -> str:
    """Write a value in JSON. What each entry has takes the short way; what damage left there takes the long one."""
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is float and math.isfinite(value):
        return repr(value)
    return _encode(value)


def head_message(seq: int, digest: bytes) -> bytes:
    """Return what the head's signature covers."""
    return b"osler audit head 1\0" + seq.to_bytes(8, "big") + digest


def checkpoint_message(seq: int, digest: bytes, at: float) -> bytes:
    """Return what a checkpoint's signature covers; ``at`` in seconds since the epoch, to the millisecond."""
    return b"osler audit checkpoint 1\0" + seq.to_bytes(8, "big") + digest + round(at * 1000).to_bytes(8, "big")


def is_signed(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Tell whether the signature of a message holds."""
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def create_signing_key(path: Path) -> None:
    """Write a new Ed25519 key (PKCS #8, PEM) to a file of mode 0600.

    Raises
    ------
    ConfigError
        If there is a file of that name.
    """
    write_private(
        path,
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read the signing key.

    Raises
    ------
    ConfigError
        If it is missing, is no Ed25519 key, or lies in a file that others may read.
    """
    try:
        key = serialization.load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} does not hold an Ed25519 key")
    return key
