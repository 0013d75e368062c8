"""What an unfinished run over a folder has done, so that the next one goes on from there.

It lies in the folder that is written to until the run ends. A file is known in it by a keyed digest of its path, size
and time of change; the key is made of a secret of the vault, so that names cannot be guessed back, and of the method,
so that another vault or other options begin anew.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from osler.deidentify.dicom.batches import File, Line
from osler.deidentify.dicom.instance import Pseudonyms
from osler.deidentify.dicom.method import METHOD
from osler.deidentify.dicom.options import Options

STATE = ".unfinished"
_ASKED = "method folder"


class Unfinished:
    """The state of a run.

    Parameters
    ----------
    target : Path
        The folder that is written to.
    pseudonyms : Pseudonyms
    options : frozenset of Option
    """

    def __init__(self, target: Path, *, pseudonyms: Pseudonyms, options: Options) -> None:
        secret = [pseudonyms.uid(_ASKED), METHOD, *sorted(options)]
        self._key = hashlib.sha256(json.dumps(secret).encode()).digest()
        self._target = target
        self._file = target / STATE
        self._lines = dict(self._read())

    def _read(self) -> Iterator[tuple[str, Line]]:
        if not self._file.is_file():
            return
        for text in self._file.read_text(encoding="ascii", errors="replace").splitlines():
            try:
                key, line = json.loads(text)
            except ValueError:  # cut off when the run was
                continue
            if "output" not in line or (self._target / line["output"]).is_file():
                yield key, line

    def file(self, number: int, path: Path, within: Path) -> File:
        """Return a file with what is known of it."""
        try:
            found = path.stat()
        except OSError:
            return File(number, path, 0, "")
        name = f"{path.relative_to(within)}\0{found.st_size}\0{found.st_mtime_ns}"
        key = hmac.digest(self._key, name.encode("utf-8", "surrogateescape"), "sha256").hex()
        return File(number, path, found.st_size, key, self._lines.get(key))

    def add(self, batch: Sequence[File], lines: Sequence[Line]) -> None:
        """Remember what has become of a batch; of a file that could not be read, nothing."""
        new = ((f.key, line) for f, line in zip(batch, lines, strict=True) if f.line is None and line["sha256"])
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="ascii") as state:
            state.writelines(json.dumps(one) + "\n" for one in new)

    def end(self) -> None:
        """Forget all: the run is through."""
        self._file.unlink(missing_ok=True)
