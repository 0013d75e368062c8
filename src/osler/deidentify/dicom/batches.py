"""What is done with a batch of files, in whichever process: read, prepare, one question to the vault, write."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any

from osler.deidentify.dicom.instance import PreparedInstance, Pseudonyms, SafeInstance
from osler.deidentify.dicom.options import Options
from osler.errors import DeidentificationRefused, InputRejected, StorageBusy, StorageFull

MAX_FILE_BYTES = 2 << 30

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
    """What is to be done with each batch.

    Parameters
    ----------
    target : Path
        The folder that is written to.
    options : frozenset of Option
    """

    target: Path
    options: Options

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
        taken = [_take(file, self.options) for file in batch]
        pseudonyms.prefetch(list(dict.fromkeys(i for t in taken if t.prepared for i in t.prepared.identities)))
        return [self._finished(one, pseudonyms, free) for one in taken]

    def _finished(self, taken: _Taken, pseudonyms: Pseudonyms, free: Callable[[str], str]) -> Line:
        if taken.prepared is None:
            return taken.line
        try:
            safe = taken.prepared.finish(pseudonyms)
        except InputRejected as rejected:  # the pixels, which are looked at last
            return taken.line | _why_not(rejected)
        done = {"outcome": "de-identified", "output": self._written(safe, free), "actions": dict(safe.actions)}
        return taken.line | done

    def _written(self, safe: SafeInstance, free: Callable[[str], str]) -> str:
        """Write an instance whole or not at all, and return its path in the folder."""
        name = free(f"{safe.study_instance_uid}/{safe.series_instance_uid}/{safe.sop_instance_uid}")
        path = self.target / name
        with writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            unfinished.write_bytes(safe.content)
            unfinished.replace(path)
        return name


def _take(file: File, options: Options) -> _Taken:
    if file.line is not None:
        return _Taken(file.line | {"number": file.number})
    line: Line = {"number": file.number, "sha256": ""}
    if file.size > MAX_FILE_BYTES:
        return _Taken(line | {"outcome": "failed", "rule": "size", "reason": "the file is larger than 2 GiB"})
    try:
        content = file.path.read_bytes()
    except OSError:
        return _Taken(line | {"outcome": "failed", "rule": "unreadable", "reason": "the file cannot be read"})
    line["sha256"] = hashlib.sha256(content).hexdigest()
    try:
        return _Taken(line, PreparedInstance(content, options=options))
    except InputRejected as rejected:
        return _Taken(line | _why_not(rejected))


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
