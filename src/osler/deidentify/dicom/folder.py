"""A folder of DICOM files into a folder of pseudonymised ones.

Files are taken in batches: the walk over each, one question to the vault for all, then the writing. Much work is spread
over all cores. Little is not: a CT takes about a millisecond, and a process half a second to start.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final, TextIO

from osler.deidentify.dicom.batches import File, Line, Names, Work, batched, writing
from osler.deidentify.dicom.instance import Pseudonyms
from osler.deidentify.dicom.options import Option, Options
from osler.deidentify.dicom.processes import in_processes
from osler.deidentify.dicom.resuming import Unfinished
from osler.errors import ConfigError

BATCH_FILES: Final = 500
BATCH_BYTES: Final = 128 << 20
PIXEL_BATCH_FILES: Final = 2
"""Files of a batch whose pixels are looked at, which takes long."""

MUCH_FILES: Final = 2000
MUCH_BYTES: Final = 1 << 30
MUCH_PIXEL_FILES: Final = 8
"""From so many files on, or bytes, all cores are faster than one."""


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """How many files were written, held back by a rule, and not readable as DICOM."""

    deidentified: int = 0
    refused: int = 0
    failed: int = 0

    def plus(self, outcome: str) -> "FolderSummary":
        """Return the summary with one more file."""
        return FolderSummary(
            self.deidentified + (outcome == "de-identified"),
            self.refused + (outcome == "refused"),
            self.failed + (outcome == "failed"),
        )


def deidentify_folder(
    source: Path,
    work: Work,
    *,
    pseudonyms: Pseudonyms,
    report: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FolderSummary:
    """De-identify every file under a folder by the basic profile and options.

    A run that did not end is gone on with when it is started again: what it has done is not done again, and reported.

    Parameters
    ----------
    source : Path
        A folder, read with all that is under it except through symbolic links, or one file.
    work : Work
        What is to be done, and where the result goes.
    pseudonyms : Pseudonyms
    report : Path, optional
        Gets one JSON object a line for each file: ``number`` in the order of the sorted paths, ``sha256`` of the input,
        ``outcome`` (de-identified, refused, failed), then ``output`` and ``actions``, or ``rule`` and ``reason``. It
        holds no name of an input file and no value.
    progress : callable
        Told how many files are done, of how many.

    Raises
    ------
    ConfigError
        If folders overlap, there is nothing to review, or an option needs what is not installed.
    StorageFull, StorageBusy
        If the output cannot be written.
    """
    folders = [folder for folder in (source, work.target, work.review) if folder is not None]
    if any(_overlap(*pair) for pair in combinations(folders, 2)):
        raise ConfigError("the folders to read and to write overlap")
    if work.review and Option.CLEAN_PIXEL_DATA not in work.options:
        raise ConfigError("there is nothing to review: pixels are looked at with the option clean-pixel-data")
    summary, done = FolderSummary(), 0
    with writing(), report.open("w", encoding="utf-8") if report else nullcontext() as lines:
        unfinished = Unfinished(work.target, pseudonyms=pseudonyms, options=work.options)
        files = [unfinished.file(number, path, source) for number, path in enumerate(sorted(_files(source)), start=1)]
        for batch, made in _worked(files, work, pseudonyms):
            unfinished.add(batch, made)
            for line in made:
                summary = summary.plus(str(line["outcome"]))
                _report(lines, line)
            done += len(batch)
            progress(done, len(files))
        unfinished.end()
    return summary


def _worked(files: Sequence[File], work: Work, pseudonyms: Pseudonyms) -> Iterator[tuple[list[File], list[Line]]]:
    """Yield each batch with what the report says of it, in order."""
    names = Names(file.line["output"] for file in files if file.line and "output" in file.line)
    most = PIXEL_BATCH_FILES if Option.CLEAN_PIXEL_DATA in work.options else BATCH_FILES
    batches = list(batched(files, most_files=most, most_bytes=BATCH_BYTES))
    count = min(_processes(files, work.options), len(batches))
    if count > 1:
        yield from zip(
            batches, in_processes(work, batches, pseudonyms=pseudonyms, names=names, count=count), strict=True
        )
    else:
        yield from ((batch, work.run(batch, pseudonyms, names.free)) for batch in batches)


def _overlap(one: Path, other: Path) -> bool:
    return one.resolve().is_relative_to(other.resolve()) or other.resolve().is_relative_to(one.resolve())


def _processes(files: Sequence[File], options: Options) -> int:
    """Return how many processes are worth their start."""
    new = [file for file in files if file.line is None]
    enough = MUCH_PIXEL_FILES if Option.CLEAN_PIXEL_DATA in options else MUCH_FILES
    much = len(new) >= enough or sum(file.size for file in new) >= MUCH_BYTES
    return len(os.sched_getaffinity(0)) if much else 1


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for folder, _, names in os.walk(source):
        yield from (path for path in (Path(folder, name) for name in names) if path.is_file() and not path.is_symlink())


def _report(lines: TextIO | None, line: Mapping[str, Any]) -> None:
    if lines is not None:
        lines.write(json.dumps(line) + "\n")
