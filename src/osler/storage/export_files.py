"""The files of bulk exports: each sealed as a whole, bound to its export and its name."""

import contextlib
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from osler.errors import ConfigError, NotFound, StorageBusy
from osler.storage.blobs import Sealer
from osler.storage.private_files import write_private


class ExportFiles:
    """Files of exports, in a folder for each.

    Parameters
    ----------
    root : Path
        Made when missing, mode 0700.
    sealer : Sealer
        Of the purpose ``record``.
    check_room : callable
        Raises StorageFull when the disk has no room.
    """

    def __init__(self, root: Path, *, sealer: Sealer, check_room: Callable[[], None] = lambda: None) -> None:
        self.root = root
        self._sealer = sealer
        self._check_room = check_room
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, export_id: str, content: bytes) -> str:
        """Keep a file, durably, and return its name.

        Raises
        ------
        StorageFull, StorageBusy
            If the disk has no room, or failed.
        """
        self._check_room()
        name = f"{secrets.token_hex(16)}.ndjson"
        folder = self.root / export_id
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            write_private(folder / name, self._sealer.seal(content, _aad(export_id, name)))
        except (ConfigError, OSError) as error:
            raise StorageBusy(f"the file of an export cannot be written ({type(error).__name__})") from None
        return name

    def read(self, export_id: str, name: str) -> bytes:
        """Return a file.

        Raises
        ------
        NotFound
            If it is not there any more.
        IntegrityError
            If it is not what was written.
        """
        try:
            sealed = (self.root / export_id / name).read_bytes()
        except OSError:
            raise NotFound("there is no such file") from None
        return self._sealer.open(sealed, _aad(export_id, name))

    def discard(self, export_id: str, name: str) -> None:
        """Remove one file, which nobody has been told of."""
        folder = self.root / export_id
        (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there are others in it
            folder.rmdir()

    def remove(self, export_id: str) -> None:
        """Remove all files of an export.

        Raises
        ------
        StorageBusy
            If the disk failed: some may be left.
        """
        try:
            shutil.rmtree(self.root / export_id)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageBusy(f"the files of an export cannot be removed ({type(error).__name__})") from None


def _aad(export_id: str, name: str) -> bytes:
    return f"export/{export_id}/{name}".encode()
