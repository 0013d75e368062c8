"""Where the files of a backup are: in a folder, or in one tar file."""

import contextlib
import errno
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final, Protocol

from osler.errors import ConfigError, IntegrityError, StorageBusy, StorageFull
from osler.storage.frames import FRAME
from osler.storage.private_files import sync_folder

_PART: Final = r"(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\x7f]+"
_NAME: Final = re.compile(f"{_PART}(?:/{_PART})*")


class Writer(Protocol):
    """Takes files, one after another."""

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Add a file of that size, bytes."""

    def finish(self) -> None:
        """Make all of it durable."""

    def close(self) -> None:
        """Leave it as it is."""


class Reader(Protocol):
    """Gives files in the order in which they were added."""

    def last(self, *names: str) -> dict[str, bytes]:
        """Return the small files that were added last."""

    def read(self, name: str) -> Iterator[bytes]:
        """Return the next file, which must have that name, or raise IntegrityError."""

    def close(self) -> None:
        """Let go of it."""


def create(place: Path) -> Writer:
    """Begin an archive: one tar file when the name ends in ``.tar``, else a folder.

    Raises
    ------
    ConfigError
        If there is something of that name already, or it cannot be made.
    """
    try:
        if place.suffix == ".tar":
            return _TarWriter(place)
        return _FolderWriter(place)
    except FileExistsError:
        raise ConfigError(f"{place} is there already; a backup is never overwritten") from None
    except OSError as error:
        raise ConfigError(f"{place} cannot be made: {error.strerror}") from None


def open_archive(place: Path) -> Reader:
    """Open an archive.

    Raises
    ------
    ConfigError
        If there is none.
    """
    try:
        return _FolderReader(place) if place.is_dir() else _TarReader(place)
    except (OSError, tarfile.TarError):
        raise ConfigError(f"{place} is no backup, or cannot be read") from None


def safe_name(name: str) -> str:
    """Return a name within an archive.

    Raises
    ------
    IntegrityError
        If it could lead out of it.
    """
    if not _NAME.fullmatch(name):
        raise IntegrityError("the backup names a file that no backup has")
    return name


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what a file holds, and close it."""
    with file:
        while chunk := file.read(FRAME):
            yield chunk


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn errors of the file system into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"the disk of {what} is full") from None
        raise StorageBusy(f"{what} failed ({error.strerror or type(error).__name__})") from None


class _FolderWriter:
    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True)
        self._root = root

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        path = self._root / safe_name(name)
        with translated("the backup"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(chunks)

    def finish(self) -> None:
        os.sync()  # a million files: one by one would take hours
        sync_folder(self._root)

    def close(self) -> None:
        pass


class _TarWriter:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: SIM115 - kept open
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        member = tarfile.TarInfo(safe_name(name))
        member.size, member.mode = size, 0o600
        content = _Chunked(chunks)
        with translated("the backup"):
            self._tar.addfile(member, content)  # type: ignore[arg-type]
        if content.read(1):
            raise StorageBusy("a file grew while it was copied")
        self._tar.members.clear()  # type: ignore[attr-defined]  # a million of them would fill the memory

    def finish(self) -> None:
        with translated("the backup"):
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            sync_folder(self._path.parent)

    def close(self) -> None:
        self._file.close()


class _Chunked:
    """Chunks, read as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._held) < size and (chunk := next(self._chunks, b"")):
            self._held += chunk
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken


class _FolderReader:
    def __init__(self, root: Path) -> None:
        self._root = root

    def last(self, *names: str) -> dict[str, bytes]:
        with translated("the backup"):
            return {name: (self._root / name).read_bytes() for name in names if (self._root / name).is_file()}

    def read(self, name: str) -> Iterator[bytes]:
        path = self._root / safe_name(name)
        if not path.is_file() or path.is_symlink():
            raise IntegrityError(f"the backup lacks {name}")
        with translated("the backup"):
            yield from chunks_of(path.open("rb"))

    def close(self) -> None:
        pass


class _TarReader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._tar = tarfile.open(path, mode="r:")  # noqa: SIM115 - kept open

    def last(self, *names: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with translated("the backup"), tarfile.open(self._path, mode="r:") as tar:
            try:
                while member := tar.next():
                    tar.members.clear()  # type: ignore[attr-defined]
                    if member.name in names and member.isreg() and (file := tar.extractfile(member)) is not None:
                        found[member.name] = file.read()
            except tarfile.TarError:
                raise IntegrityError("the backup is cut off or damaged") from None
        return found

    def read(self, name: str) -> Iterator[bytes]:
        with translated("the backup"):
            try:
                member = self._tar.next()
                self._tar.members.clear()  # type: ignore[attr-defined]
                fits = member is not None and member.isreg() and member.name == name
                file = self._tar.extractfile(member) if member is not None and fits else None
            except tarfile.TarError:
                raise IntegrityError("the backup is cut off or damaged") from None
            if file is None:
                raise IntegrityError(f"the backup lacks {name}")
            yield from chunks_of(file)

    def close(self) -> None:
        self._tar.close()


def remove(place: Path) -> None:
    """Remove an archive that was not finished."""
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
