"""A worker's spool: the only files that its inference process sees."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from osler.errors import ContractViolation, StorageFull
from osler.infer.contract import LARGEST_HEATMAP

_MOST_FILES: Final = 1000
_MOST_BYTES: Final = 2**30
_LARGEST_PNG: Final = 2 * LARGEST_HEATMAP * LARGEST_HEATMAP
_PNG_START: Final = re.compile(rb"\x89PNG\r\n\x1a\n\0\0\0\rIHDR(.{4})(.{4})\x08\0\0\0\0", re.DOTALL)  # 8-bit greyscale


class Spool:
    """A folder with ``in`` (studies to read) and ``out`` (what the process writes), for one inference process.

    A spool is locked while its owner lives; those of dead owners are removed when a new one is made.

    Parameters
    ----------
    root : Path
        Folder of all spools; made when it is not there.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left_over in root.iterdir():
            _remove_if_dead(left_over)
        self.path = Path(tempfile.mkdtemp(prefix="spool-", dir=root)).absolute()
        self._lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.inbox = self.path / "in"
        self.outbox = self.path / "out"
        self.inbox.mkdir(mode=0o700)
        self.outbox.mkdir(mode=0o700)

    def study_folder(self, name: str) -> Path:
        """Return an empty folder for the files of one study."""
        folder = self.inbox / re.sub(r"\W", "_", name)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _empty(folder)
        except OSError:
            raise StorageFull("the spool cannot be written") from None
        return folder

    def heatmaps(self, names: Mapping[str, str]) -> dict[str, bytes]:
        """Read the activation maps that the process wrote.

        Parameters
        ----------
        names : mapping
            SHA-256 of each file to its name in ``out``.

        Raises
        ------
        ContractViolation
            If a file is no plain file, not an 8-bit greyscale PNG of bounded size, or not what its hash says.
        """
        return {key: self._heatmap(key, name) for key, name in names.items()}

    def _heatmap(self, key: str, name: str) -> bytes:
        return checked_heatmap(self.written(name, _LARGEST_PNG), key)

    def written(self, name: str, most: int) -> bytes:
        """Read a file that the process wrote into ``out``.

        Raises
        ------
        ContractViolation
            If it is not there, no plain file, or longer than ``most`` bytes.
        """
        if "/" in name:
            raise ContractViolation("a file of the model lies outside the spool")
        try:
            descriptor = os.open(self.outbox / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            raise ContractViolation("a file of the model is not there") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                raise ContractViolation("a file of the model is not a file of bounded size")
            return os.read(descriptor, most)
        finally:
            os.close(descriptor)

    def overflows(self) -> bool:
        """Whether the process has written more than a model has reason to."""
        files = size = 0
        folders = [self.outbox]
        while folders:
            with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:  # it may change while we look
                for entry in entries:
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_size
                    if files > _MOST_FILES or size > _MOST_BYTES:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry))
        return False

    def clear(self) -> None:
        """Remove all files, of the hub and of the process; ``in`` and ``out`` stay, since its boundary names them."""
        for folder in self.inbox.iterdir():
            _empty(folder)
        _empty(self.outbox)

    def close(self) -> None:
        """Remove the spool."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def checked_heatmap(content: bytes, key: str) -> bytes:
    """Return a heatmap that came from elsewhere.

    Raises
    ------
    ContractViolation
        If it is not an 8-bit greyscale PNG of bounded size, or not what its hash says.
    """
    header = _PNG_START.match(content)
    sides = [int.from_bytes(side, "big") for side in header.groups()] if header else [0]
    if not 0 < min(sides) <= max(sides) <= LARGEST_HEATMAP:
        raise ContractViolation("a heatmap is not an 8-bit greyscale PNG of bounded size")
    if hashlib.sha256(content).hexdigest() != key:
        raise ContractViolation("a heatmap is not what its hash says")
    return content


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _remove_if_dead(path: Path) -> None:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        pass  # its owner lives
    finally:
        os.close(lock)
