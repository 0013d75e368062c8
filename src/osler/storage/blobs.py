"""Blobs in a folder, named by the hash of their content, sealed when they are identified.

The form of what is kept is that of :mod:`osler.storage.frames`, wherever it is kept.
"""

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from osler.errors import IntegrityError, NotFound, OslerError, StorageBusy, StorageFull
from osler.storage.blob_port import Blobs, Kept, Pending, Sealer, check_reference, is_reference
from osler.storage.frames import FRAME, content_of, kept_form
from osler.storage.private_files import sync_folder
from osler.storage.room import DiskRoom

__all__ = ["Blobs", "FolderBlobs", "Kept", "Pending", "Sealer"]

_ABANDONED_S = 3600.0
_SYNC_THREADS = 8


class Staged:
    """A blob that has its name and waits for the disk.

    Parameters
    ----------
    ref : str
    folder : Path
    descriptor : int or None
        Of the file; None when the blob was there already.
    pool : Executor or None
        None when nothing need be durable.
    """

    def __init__(self, ref: str, folder: Path, descriptor: int | None, pool: Executor | None) -> None:
        self.ref = ref
        self._folder = folder
        self._descriptor = descriptor
        self._pool = pool

    def settle(self) -> None:
        """Return when the blob is on disk: its content and its name, which are synced at the same time.

        Raises
        ------
        StorageBusy, StorageFull
            If the disk failed; the blob may be gone.
        """
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            if self._pool is not None:
                name = self._pool.submit(sync_folder, self._folder)
                os.fsync(descriptor)
                name.result()
        except OSError as error:
            raise _translate(error) from None
        finally:
            os.close(descriptor)


class FolderBlobs:
    """Blobs in a local folder.

    Parameters
    ----------
    root : Path
        Made when missing, mode 0700.
    sealer : Sealer, optional
        Encrypts what is kept. Without it the content is kept in clear and its hash is checked at each reading.
    min_free_bytes : int
        Nothing is taken when the disk would have less room than this.
    durable : bool
        Whether ``put`` waits for the disk.
    free_bytes : callable
        Room on the disk of a folder, bytes.
    """

    def __init__(
        self,
        root: Path,
        *,
        sealer: Sealer | None = None,
        min_free_bytes: int = 0,
        durable: bool = True,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.root = root
        self._sealer = sealer
        self._durable = durable
        self._room = DiskRoom(root, min_free_bytes, free_bytes)
        self._incoming = root / "incoming"
        for folder in (root, self._incoming):  # of what it makes on the way, mkdir lets everybody read
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(_SYNC_THREADS, thread_name_prefix="blob-sync")
        if not (root / "ff").is_dir():
            for number in range(256):
                (root / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
            self._sync(root)
        self._remove_abandoned()

    def put(self, content: bytes) -> str:
        """Keep a blob and return its reference once it is on disk. The same content again changes nothing.

        Raises
        ------
        StorageFull
            If the disk is full, or would be below the watermark.
        StorageBusy
            If the disk failed.
        """
        return self._kept(content, lambda ref, path: self._write(path, kept_form(ref, content, self._sealer)))

    def stage(self, content: bytes) -> "Staged":
        """Write a blob and give it its name at once; ``settle`` of what is returned waits for the disk.

        For a caller that has something else to make durable meanwhile, and answers only after both. After a power cut
        before ``settle`` the name may stand for nothing sound, which every reading and the next ``put`` find out.

        Raises
        ------
        StorageFull, StorageBusy
            As ``put``.
        """
        opened: list[int] = []
        ref = self._kept(content, lambda ref, path: opened.append(self._name(ref, content, path)))
        return Staged(ref, self.path(ref).parent, opened[0] if opened else None, self._pool if self._durable else None)

    def _kept(self, content: bytes, write: Callable[[str, Path], None]) -> str:
        ref = hashlib.sha256(content).hexdigest()
        path = self.path(ref)
        try:
            if path.exists() and self._holds(ref, content):
                self._sync(path.parent)
                return ref
            self._room.take(len(content))
            write(ref, path)
        except OSError as error:
            raise _translate(error) from None
        return ref

    def get(self, ref: str) -> bytes:
        """Return a blob.

        Raises
        ------
        NotFound
            If there is none of that reference.
        IntegrityError
            If it is not what was kept.
        """
        return b"".join(self._frames(ref))

    def exists(self, ref: str) -> bool:
        """Tell whether a blob is there."""
        return self.path(ref).exists()

    def delete(self, ref: str) -> None:
        """Remove a blob; one that is not there is no error."""
        self.path(ref).unlink(missing_ok=True)

    def check_room(self) -> None:
        """Find out whether there is room above the watermark.

        Raises
        ------
        StorageFull
            If there is not.
        """
        self._room.take()

    def link_to(self, ref: str, path: Path) -> None:
        """Give a worker its own read-only copy of a blob, checked on the way.

        It is a copy and no hard link: whoever holds a link could change the store through it.

        Raises
        ------
        NotFound, IntegrityError
            As ``get``; nothing is left at ``path``.
        StorageFull, StorageBusy
            If the copy cannot be written.
        """
        try:
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.writelines(self._frames(ref))
            except BaseException:
                path.unlink()
                raise
        except OSError as error:
            raise _translate(error) from None

    def path(self, ref: str) -> Path:
        """Return where a blob is kept, whether it is there or not.

        Raises
        ------
        NotFound
            If this is no reference.
        """
        check_reference(ref)
        return self.root / ref[:2] / ref

    def refs(self) -> Iterator[str]:
        """Yield the references of all blobs, in no order."""
        for number in range(256):
            for entry in os.scandir(self.root / f"{number:02x}"):
                if is_reference(entry.name):
                    yield entry.name

    def kept(self, ref: str) -> Kept:
        """Return a blob as it is kept, unopened and unchecked.

        Raises
        ------
        NotFound
            If there is none of that reference.
        """
        try:
            file = self.path(ref).open("rb")
        except FileNotFoundError:
            raise NotFound("there is no such blob") from None
        except OSError as error:
            raise _translate(error) from None
        return Kept(os.fstat(file.fileno()).st_size, _chunks(file))

    def bring_back(self, ref: str, chunks: Iterable[bytes]) -> None:
        """Keep, durably, what ``kept`` gave.

        Raises
        ------
        StorageFull, StorageBusy
            As ``put``.
        """
        try:
            self._room.take()
            self._write(self.path(ref), chunks)
        except OSError as error:
            raise _translate(error) from None

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        temporary = self._incoming / secrets.token_hex(16)
        try:
            with open(self._create(temporary), "wb", buffering=0) as file:
                for chunk in chunks:
                    _write_all(file, chunk)
                if self._durable:
                    os.fsync(file.fileno())
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sync(path.parent)

    def _name(self, ref: str, content: bytes, path: Path) -> int:
        """Write a file and rename it, without a sync; return its descriptor."""
        temporary = self._incoming / secrets.token_hex(16)
        descriptor = self._create(temporary)
        try:
            with open(descriptor, "wb", buffering=0, closefd=False) as file:
                for chunk in kept_form(ref, content, self._sealer):
                    _write_all(file, chunk)
            temporary.rename(path)
        except BaseException:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        return descriptor

    def _create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def _frames(self, ref: str) -> Iterator[bytes]:
        try:
            with self.path(ref).open("rb") as file:
                yield from content_of(file, ref, size=os.fstat(file.fileno()).st_size, sealer=self._sealer)
        except FileNotFoundError:
            raise NotFound("there is no such blob") from None
        except OSError as error:
            raise _translate(error) from None

    def _holds(self, ref: str, content: bytes) -> bool:
        """Tell whether the file of that name is sound; what was damaged is written anew."""
        try:
            return sum(len(frame) for frame in self._frames(ref)) == len(content)
        except (IntegrityError, NotFound):
            return False

    def _sync(self, folder: Path) -> None:
        if self._durable:
            sync_folder(folder)

    def _remove_abandoned(self) -> None:
        """Remove what a killed process left half written; what is young may belong to another process."""
        oldest = time.time() - _ABANDONED_S
        for entry in os.scandir(self._incoming):
            if entry.stat(follow_symlinks=False).st_mtime < oldest:
                Path(entry.path).unlink(missing_ok=True)


def _write_all(file: BinaryIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    try:
        with file:
            while chunk := file.read(FRAME):
                yield chunk
    except OSError as error:
        raise _translate(error) from None


def _translate(error: OSError) -> OslerError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the blob store's disk is full")
    return StorageBusy(f"the blob store cannot be reached ({errno.errorcode.get(error.errno or 0, 'unknown')})")
