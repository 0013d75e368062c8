"""Files and folders: sent to a DICOM node, or read where there is no server."""

import os
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from osler.errors import ConfigError, DeliveryRefused, InputRejected, Malformed, PeerUnavailable
from osler.ingest.requestor import MAX_CONTEXTS, Kind, Requestor, associate
from osler.ingest.upper_layer import ProtocolFault, Titles
from osler.standards.dicom import read_identity
from osler.standards.dicom_stream import EXPLICIT_LITTLE_ENDIAN, read_header

DICOMDIR: Final = "DICOMDIR"

_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007})


class Outcome(StrEnum):
    """What became of one file."""

    SENT = "sent"
    WARNED = "sent, with a warning"
    REFUSED = "refused"
    NOT_SENT = "not sent"
    NOT_DICOM = "not DICOM"


@dataclass(frozen=True, slots=True)
class SentFile:
    """One file and what became of it; ``status`` is that of the C-STORE, None when there was none."""

    path: Path
    outcome: Outcome
    status: int | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class SendReport:
    """What became of all files, in the order in which they were found."""

    files: tuple[SentFile, ...]

    def count(self, *outcomes: Outcome) -> int:
        """Return how many files had one of these outcomes."""
        return sum(file.outcome in outcomes for file in self.files)

    @property
    def complete(self) -> bool:
        """Whether every DICOM file was taken, and there was one."""
        return self.count(Outcome.SENT, Outcome.WARNED) > 0 and not self.count(Outcome.REFUSED, Outcome.NOT_SENT)


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """List files, and those of folders at any depth, by name; DICOMDIR is left out, links to folders are not followed.

    Raises
    ------
    ConfigError
        If a path does not exist.
    """
    for path in paths:
        if path.is_dir():
            for folder, subfolders, names in os.walk(path):
                subfolders.sort()
                inside = (Path(folder, name) for name in sorted(names) if name != DICOMDIR)
                yield from (file for file in inside if file.is_file())
        elif path.exists():
            yield path
        else:
            raise ConfigError(f"{path}: there is no such file or folder")


def send(
    paths: Iterable[Path],
    *,
    address: tuple[str, int],
    called_ae_title: str = "OSLER",
    calling_ae_title: str = "OSLER_SEND",
    tls: ssl.SSLContext | None = None,
    progress: Callable[[SentFile], None] = lambda file: None,
) -> SendReport:
    """Send DICOM files as they are, with the presentation contexts that they need.

    Parameters
    ----------
    paths : iterable of Path
        Files and folders.
    address : (str, int)
        Host and port of the DICOM node.
    called_ae_title, calling_ae_title : str
    tls : SSLContext, optional
        Without it we speak in clear.
    progress : callable
        Is told of each file as soon as it is done.

    Raises
    ------
    ConfigError
        If a path does not exist, or an AE title is none.
    PeerUnavailable
        If the node cannot be reached, or rejects the association for now.
    DeliveryRefused
        If the node rejects the association for good.
    """
    done: dict[Path, SentFile] = {}

    def note(file: SentFile) -> None:
        done[file.path] = file
        progress(file)

    found = list(dict.fromkeys(find_files(paths)))
    kinds: dict[Kind, list[Path]] = {}
    for path in found:
        try:
            identity = read_identity(_read(path))
        except InputRejected as error:
            note(SentFile(path, Outcome.NOT_DICOM, comment=str(error)))
        else:
            kinds.setdefault((identity.sop_class_uid, identity.transfer_syntax_uid), []).append(path)
    titles = Titles(1, _title(called_ae_title), _title(calling_ae_title))
    for start in range(0, len(kinds), MAX_CONTEXTS):
        group = list(kinds)[start : start + MAX_CONTEXTS]
        waiting = [(kind, path) for kind in group for path in kinds[kind]]
        try:
            with associate(address, titles, group, tls) as requestor:
                _send_files(requestor, waiting, note)
        except (PeerUnavailable, DeliveryRefused) as error:
            if start == 0:
                raise
            for _, path in waiting:
                note(SentFile(path, Outcome.NOT_SENT, comment=str(error)))
    return SendReport(tuple(done[path] for path in found))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Malformed("the file cannot be read") from None


def _title(title: str) -> str:
    if not (1 <= len(title.strip()) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):
        raise ConfigError(f"{title!r} is not an AE title")
    return title.strip()


def _send_files(requestor: Requestor, waiting: Sequence[tuple[Kind, Path]], note: Callable[[SentFile], None]) -> None:
    ended = False
    for kind, path in waiting:
        file = SentFile(path, Outcome.NOT_SENT, comment="the association ended before the answer")
        if not ended:
            try:
                file = _send_file(requestor, kind, path)
            except (PeerUnavailable, ProtocolFault):
                ended = True
        note(file)


def _send_file(requestor: Requestor, kind: Kind, path: Path) -> SentFile:
    if not requestor.takes(kind):
        return SentFile(path, Outcome.NOT_SENT, comment="the node does not take this kind of instance")
    try:
        content = _read(path)
        uid = read_identity(content).sop_instance_uid
    except InputRejected as error:  # it is another file by now
        return SentFile(path, Outcome.NOT_SENT, comment=str(error))
    status, comment = requestor.store(kind, uid, memoryview(content)[_start_of_data_set(content) :])
    outcome = Outcome.SENT if status == 0 else Outcome.WARNED if status in _WARNINGS else Outcome.REFUSED
    return SentFile(path, outcome, status, comment)


def _start_of_data_set(content: bytes) -> int:
    at = 132
    while content[at : at + 2] == b"\x02\x00":
        _, _, value, length = read_header(content, at, len(content), EXPLICIT_LITTLE_ENDIAN)
        at = value + length
    return at
