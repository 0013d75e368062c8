"""Files that hold a key: made once with mode 0600, and refused when anybody else may read them."""

import os
import stat
from pathlib import Path

from osler.errors import ConfigError


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read, durably.

    Raises
    ------
    ConfigError
        If there is a file of that name: a key is never overwritten.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} is there already; a key is never overwritten") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def read_private(path: Path) -> bytes:
    """Read a file that only its owner may read.

    Raises
    ------
    ConfigError
        If it is missing, or if others may read or change it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigError(f"{path} has mode {mode:04o}; others may read it: set 0600")
            return file.read()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
