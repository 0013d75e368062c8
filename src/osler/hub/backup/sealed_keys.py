"""The files of ``keys/`` in one file that a passphrase opens, to be kept apart from the backups.

One JSON object: the parameters of Argon2id (RFC 9106, section 4) and, under the key that it derives, AES-256-GCM of
the files, bound to the parameters.
"""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from osler.errors import AccessDenied, ConfigError, IntegrityError
from osler.hub.backup.archive import safe_name
from osler.storage.private_files import write_private

LEAST_PASSPHRASE: Final = 12
_KDF: Final = {"kdf": "argon2id", "time": 3, "memory_kib": 65536, "lanes": 4}
_MOST: Final = {"time": 64, "memory_kib": 4 * 1024 * 1024, "lanes": 64}


def read_keys(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder of keys."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def seal_keys(path: Path, files: Mapping[str, bytes], passphrase: str) -> None:
    """Write the file.

    Raises
    ------
    ConfigError
        If the passphrase is too short, or there is a file of that name.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise ConfigError(f"the passphrase must have at least {LEAST_PASSPHRASE} characters")
    nonce = os.urandom(12)
    head = {"format": 1, **_KDF, "salt": os.urandom(16).hex(), "nonce": nonce.hex()}
    inside = json.dumps({name: base64.b64encode(content).decode() for name, content in files.items()}).encode()
    sealed = AESGCM(_derive(passphrase, head)).encrypt(nonce, inside, _bound(head))
    write_private(path, json.dumps({**head, "sealed": base64.b64encode(sealed).decode()}).encode() + b"\n")


def open_keys(path: Path, passphrase: str) -> dict[str, bytes]:
    """Return the files of keys that the file holds.

    Raises
    ------
    ConfigError
        If there is no such file, or it has another form.
    AccessDenied
        If the passphrase is wrong, or the file was changed.
    """
    try:
        head: dict[str, Any] = json.loads(path.read_bytes())
        sealed = base64.b64decode(head.pop("sealed"))
        if head["format"] != 1 or any(not 1 <= head[name] <= most for name, most in _MOST.items()):
            raise ValueError
        inside = AESGCM(_derive(passphrase, head)).decrypt(bytes.fromhex(head["nonce"]), sealed, _bound(head))
    except InvalidTag:
        raise AccessDenied("the passphrase is wrong, or the file of keys was changed") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{path} is no file of keys") from None
    return {_key_name(name): base64.b64decode(content) for name, content in json.loads(inside).items()}


def _key_name(name: str) -> str:
    if "/" in safe_name(name):
        raise IntegrityError("the file of keys names a folder")
    return name


def _derive(passphrase: str, head: Mapping[str, Any]) -> bytes:
    return hash_secret_raw(
        passphrase.encode(),
        bytes.fromhex(head["salt"]),
        time_cost=head["time"],
        memory_cost=head["memory_kib"],
        parallelism=head["lanes"],
        hash_len=32,
        type=Type.ID,
    )


def _bound(head: Mapping[str, Any]) -> bytes:
    return json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
