"""A folder of DICOM files into a folder of pseudonymised ones.

Files are taken in batches: the walk over each, one question to the vault for all, then the writing. One process is
enough: a CT takes about a millisecond, so the disk and the vault set the pace.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any, TextIO

from osler.deidentify.dicom.instance import PreparedInstance, Pseudonyms, SafeInstance
from osler.deidentify.dicom.options import Options, options_of
from osler.errors import ConfigError, DeidentificationRefused, InputRejected, StorageBusy, StorageFull

MAX_FILE_BYTES = 2 << 30
BATCH_FILES = 500
BATCH_BYTES = 128 << 20


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


@dataclass(frozen=True, slots=True)
class _Taken:
    """A file of a batch: prepared, or why not."""

    number: int
    sha256: str
    prepared: PreparedInstance | None = None
    outcome: str = "de-identified"
    rule: str = ""
    reason: str = ""


class _Output:
    """The folder that is written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: Counter[str] = Counter()

    def write(self, safe: SafeInstance) -> str:
        """Write an instance whole or not at all, and return its path in the folder."""
        name = f"{safe.study_instance_uid}/{safe.series_instance_uid}/{safe.sop_instance_uid}"
        self._written[name] += 1
        if self._written[name] > 1:
            name = f"{name}-{self._written[name]}"
        path = self._folder / f"{name}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f"{name}.part"
        unfinished.write_bytes(safe.content)
        unfinished.replace(path)
        return f"{name}.dcm"


def deidentify_folder(
    source: Path,
    target: Path,
    *,
    pseudonyms: Pseudonyms,
    options: Iterable[str] = (),
    report: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FolderSummary:
    """De-identify every file under a folder by the basic profile and options.

    Parameters
    ----------
    source : Path
        A folder, read with all that is under it except through symbolic links, or one file.
    target : Path
        Gets ``<study>/<series>/<instance>.dcm``, named by pseudonymous UIDs; a second file of one instance gets ``-2``
        and so on. Made when it is not there.
    pseudonyms : Pseudonyms
    options : iterable of str
        Names of options of PS3.15 E.3.
    report : Path, optional
        Gets one JSON object a line for each file: ``number`` in the order of the sorted paths, ``sha256`` of the input,
        ``outcome`` (de-identified, refused, failed), then ``output`` and ``actions``, or ``rule`` and ``reason``. It
        holds no name of an input file and no value.
    progress : callable
        Told how many files are done, of how many.

    Raises
    ------
    ConfigError
        If source and target overlap, or an option is unknown, excludes another, or needs what is not installed.
    StorageFull, StorageBusy
        If the output cannot be written.
    """
    if target.resolve().is_relative_to(source.resolve()) or source.resolve().is_relative_to(target.resolve()):
        raise ConfigError("the folders to read and to write overlap")
    wanted = options_of(options)
    paths = sorted(_files(source))
    summary = FolderSummary()
    output = _Output(target)
    with _writing(), report.open("w", encoding="utf-8") if report else nullcontext() as lines:
        for batch in _batches(_take(paths, wanted)):
            pseudonyms.prefetch(list(dict.fromkeys(i for t in batch if t.prepared for i in t.prepared.identities)))
            for taken in batch:
                line = _finish(taken, output, pseudonyms)
                summary = summary.plus(str(line["outcome"]))
                _report(lines, line)
            progress(batch[-1].number, len(paths))
    return summary


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for folder, _, names in os.walk(source):
        yield from (path for path in (Path(folder, name) for name in names) if path.is_file() and not path.is_symlink())


def _take(paths: Iterable[Path], options: Options) -> Iterator[tuple[_Taken, int]]:
    """Yield each file, prepared, with its size."""
    for number, path in enumerate(paths, start=1):
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                yield _Taken(number, "", outcome="failed", rule="size", reason="the file is larger than 2 GiB"), 0
                continue
            content = path.read_bytes()
        except OSError:
            yield _Taken(number, "", outcome="failed", rule="unreadable", reason="the file cannot be read"), 0
            continue
        yield _prepare(number, content, options), len(content)


def _prepare(number: int, content: bytes, options: Options) -> _Taken:
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        return _Taken(number, sha256, PreparedInstance(content, options=options))
    except DeidentificationRefused as refused:
        return _Taken(number, sha256, outcome="refused", rule=refused.rule, reason=str(refused))
    except InputRejected as rejected:
        return _Taken(number, sha256, outcome="failed", rule="malformed", reason=str(rejected))


def _batches(taken: Iterable[tuple[_Taken, int]]) -> Iterator[list[_Taken]]:
    batch: list[_Taken] = []
    held = 0
    for one, size in taken:
        batch.append(one)
        held += size
        if len(batch) >= BATCH_FILES or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _finish(taken: _Taken, output: _Output, pseudonyms: Pseudonyms) -> Mapping[str, Any]:
    line: dict[str, Any] = {"number": taken.number, "sha256": taken.sha256, "outcome": taken.outcome}
    if taken.prepared is None:
        return line | {"rule": taken.rule, "reason": taken.reason}
    try:
        safe = taken.prepared.finish(pseudonyms)
    except DeidentificationRefused as refused:  # the pixels, which are looked at last
        return line | {"outcome": "refused", "rule": refused.rule, "reason": str(refused)}
    except InputRejected as rejected:
        return line | {"outcome": "failed", "rule": "malformed", "reason": str(rejected)}
    return line | {"output": output.write(safe), "actions": safe.actions}


def _report(lines: TextIO | None, line: Mapping[str, Any]) -> None:
    if lines is not None:
        lines.write(json.dumps(line) + "\n")


@contextmanager
def _writing() -> Iterator[None]:
    """Translate what goes wrong with the output; the message of the system would name a file."""
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise StorageFull("there is no room for the output") from None
        raise StorageBusy("the output cannot be written") from None
