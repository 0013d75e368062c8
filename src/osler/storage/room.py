"""The watermark of a disk: nothing more is taken when it has less room than that."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from osler.errors import StorageFull

_CHECK_S: Final = 1.0


class DiskRoom:
    """Asks a disk now and then, and counts what is taken in between.

    Parameters
    ----------
    folder : Path
        A folder of that disk.
    min_free_bytes : int
        The watermark; 0: none.
    free_bytes : callable
        Room on the disk of a folder, bytes.
    """

    def __init__(
        self,
        folder: Path,
        min_free_bytes: int,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        self._ask = free_bytes
        self._free_bytes = 0
        self._until = 0.0

    def take(self, size: int = 0) -> None:
        """Take room, bytes; 0 only finds out whether there is any.

        Raises
        ------
        StorageFull
            If less than the watermark would be left.
        """
        if self._min_free_bytes == 0:
            return
        now = time.monotonic()
        if now >= self._until:
            self._free_bytes, self._until = self._ask(self._folder), now + _CHECK_S
        if self._free_bytes - size < self._min_free_bytes:
            raise StorageFull("the disk watermark is reached")
        self._free_bytes -= size
