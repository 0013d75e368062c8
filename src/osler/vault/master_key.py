"""The master key: a file for its owner alone, or a value of the environment."""

import base64
import binascii
import secrets
from pathlib import Path
from typing import Final

from osler.errors import ConfigError
from osler.storage.private_files import read_private, write_private

MASTER_KEY_BYTES: Final = 32


def create_master_key(path: Path) -> None:
    """Write a new random master key to a file of mode 0600.

    Raises
    ------
    ConfigError
        If there is a file of that name.
    """
    write_private(path, base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)) + b"\n")


def read_master_key(path: Path, environ_value: str | None) -> bytes:
    """Return the master key: from the environment's value when there is one, else from the file.

    Raises
    ------
    ConfigError
        If it is missing, is not 32 bytes in base64, or lies in a file that others may read.
    """
    source, text = ("OSLER_MASTER_KEY", environ_value.encode()) if environ_value else (str(path), read_private(path))
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise ConfigError(f"{source} must hold {MASTER_KEY_BYTES} bytes in base64")
    return key
