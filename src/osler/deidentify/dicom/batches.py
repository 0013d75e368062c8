"""What is done with a batch of files, in whichever process: read, prepare, one question to the vault, write."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from functools import partial
from pathlib import Path
from typing import Any

from osler.deidentify.dicom.burned_in import CleanedPixels
from osler.deidentify.dicom.burned_in.defacing import Defacer
from osler.deidentify.dicom.burned_in.review import review_sheet
from osler.deidentify.dicom.instance import PreparedInstance, Pseudonyms, SafeInstance
from osler.deidentify.dicom.mapped import content_of, in_steps
from osler.deidentify.dicom.options import NONE, Option, Options
from osler.errors import DeidentificationRefused, InputRejected, StorageBusy, StorageFull
from osler.storage.private_files import write_private

MAX_FILE_BYTES = 4 << 30
MAX_HELD_BYTES = 2 << 30
"""Largest file, and the largest whose pixels are looked at, for which it is held in memory."""

Line = dict[str, Any]
"""What the report says of a file."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that is to be read, or of which an earlier run has said all.

    Parameters
    ----------
    number : int
        In the order of the sorted paths, from 1.
    path : Path
    size : int, bytes
    key : str
        Stands for the file in what is remembered of an unfinished run; empty when it cannot be read.
    line : dict, optional
        What an earlier run has reported.
    """

    number: int
    path: Path
    size: int
    key: str
    line: Line | None = None


class Names:
    """Gives each instance a file name of its own, though it come twice.

    Parameters
    ----------
    taken : iterable of str
        Names that stand already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def free(self, name: str) -> str:
        """Return the name with its suffix, with a number where it is taken."""
        number, free = 1, f"{name}.dcm"
        while free in self._taken:
            number += 1
            free = f"{name}-{number}.dcm"
        self._taken.add(free)
        return free


@dataclass(frozen=True, slots=True)
class _Taken:
    line: Line
    prepared: PreparedInstance | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done with each file, and where the result goes.

    Parameters
    ----------
    target : Path
        Gets ``<study>/<series>/<instance>.dcm``, named by pseudonymous UIDs; a second file of one instance gets ``-2``
        and so on. Made when it is not there.
    options : frozenset of Option
    review : Path, optional
        With the option clean-pixel-data, a folder that gets a page for each file whose pixels were looked at, named as
        its output is: frames before and after, with a box around each text. It shows the pixels as they came, so it may
        not be within the target, and only its owner can read it.
    defacer : Defacer, optional
        For the option clean-recognizable-visual-features.
    """

    target: Path
    options: Options = NONE
    review: Path | None = None
    defacer: Defacer | None = None

    def run(self, batch: Sequence[File], pseudonyms: Pseudonyms, free: Callable[[str], str]) -> list[Line]:
        """De-identify a batch and return what the report says of each file.

        Parameters
        ----------
        batch : sequence of File
        pseudonyms : Pseudonyms
            Asked once to prefetch all that the batch needs.
        free : callable
            Given a name, returns one that no other file has.

        Raises
        ------
        StorageFull, StorageBusy
            If the output cannot be written.
        ConfigError
            If an option needs what is not installed.
        """
        taken = [_take(file, self) for file in batch]
        pseudonyms.prefetch(list(dict.fromkeys(i for t in taken if t.prepared for i in t.prepared.identities)))
        return [self._finished(one, pseudonyms, free) for one in taken]

    def _finished(self, taken: _Taken, pseudonyms: Pseudonyms, free: Callable[[str], str]) -> Line:
        if taken.prepared is None:
            return taken.line
        sheets: list[bytes] = []
        try:
            safe = taken.prepared.finish(pseudonyms, on_cleaned=partial(self._draw, sheets))
        except InputRejected as rejected:  # the pixels, which are looked at last
            return taken.line | _why_not(rejected)
        output = self._written(safe, free)
        for sheet in sheets:
            self._write_sheet(sheet, output)
        return taken.line | {"outcome": "de-identified", "output": output, "actions": dict(safe.actions)}

    def _draw(self, sheets: list[bytes], before: bytes, after: CleanedPixels) -> None:
        if self.review is not None and after.frames:
            sheets.append(review_sheet(before, after))

    def _write_sheet(self, sheet: bytes, output: str) -> None:
        """Write a sheet so that only its owner can read it: it shows the pixels as they came."""
        path = (self.review or self.target) / f"{Path(output).name.removesuffix('.dcm')}.html"
        with writing():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        write_private(path, sheet)

    def _written(self, safe: SafeInstance, free: Callable[[str], str]) -> str:
        """Write an instance whole or not at all, and return its path in the folder."""
        name = free(f"{safe.study_instance_uid}/{safe.series_instance_uid}/{safe.sop_instance_uid}")
        path = self.target / name
        with writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as file:
                file.writelines(safe.written())
            unfinished.replace(path)
        return name


def _take(file: File, work: Work) -> _Taken:
    if file.line is not None:
        return _Taken(file.line | {"number": file.number})
    line: Line = {"number": file.number, "sha256": ""}
    most = MAX_HELD_BYTES if Option.CLEAN_PIXEL_DATA in work.options else MAX_FILE_BYTES
    if file.size > most:
        return _Taken(
            line | {"outcome": "failed", "rule": "size", "reason": f"the file is larger than {most >> 30} GiB"}
        )
    try:
        content = content_of(file.path, file.size)
        line["sha256"] = _digest(content)
    except OSError:
        return _Taken(line | {"outcome": "failed", "rule": "unreadable", "reason": "the file cannot be read"})
    try:
        return _Taken(line, PreparedInstance(content, options=work.options, defacer=work.defacer))
    except InputRejected as rejected:
        return _Taken(line | _why_not(rejected))


def _digest(content: bytes) -> str:
    digest = hashlib.sha256()
    for step in in_steps(memoryview(content)):
        digest.update(step)
    return digest.hexdigest()


def _why_not(rejected: InputRejected) -> Line:
    if isinstance(rejected, DeidentificationRefused):
        return {"outcome": "refused", "rule": rejected.rule, "reason": str(rejected)}
    return {"outcome": "failed", "rule": "malformed", "reason": str(rejected)}


def batched(files: Iterable[File], *, most_files: int, most_bytes: int) -> Iterator[list[File]]:
    """Yield files in batches, each ended by what it is full of first."""
    batch: list[File] = []
    held = 0
    for file in files:
        batch.append(file)
        held += 0 if file.line else file.size
        if len(batch) >= most_files or held >= most_bytes:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


@contextmanager
def writing() -> Iterator[None]:
    """Translate what goes wrong with the output; the message of the system would name a file.

    Raises
    ------
    StorageFull, StorageBusy
    """
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise StorageFull("there is no room for the output") from None
        raise StorageBusy("the output cannot be written") from None
