"""Clean Recognizable Visual Features: the tool of a site that makes faces unrecognizable, as a command.

The command is given two file names: a DICOM file, whose header is de-identified, to read, and one to write. Of what it
writes the pixels are taken and nothing else, so that its header brings nothing along.

References
----------
DICOM PS3.15 E.3.2 (Clean Recognizable Visual Features Option)
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from osler.errors import DeidentificationRefused, Malformed
from osler.standards.dicom import EncodedDataset, open_part10
from osler.standards.dicom_stream import PIXEL_DATA, Kind, Token, walk

TIMEOUT_S: Final = 600.0
RULE: Final = "recognizable-visual-features"


class Defacer(Protocol):
    """What makes the features of a person in an instance unrecognizable."""

    def __call__(self, content: bytes) -> bytes:
        """Return what became of a DICOM Part 10 file.

        Raises
        ------
        DeidentificationRefused
            If it cannot be done.
        """
        ...


@dataclass(frozen=True, slots=True)
class DefacingCommand:
    """A command that defaces, to which the names of a file to read and of one to write are added.

    Parameters
    ----------
    command : tuple of str
    timeout_s : float
        Longest time for one file, seconds.
    """

    command: tuple[str, ...]
    timeout_s: float = TIMEOUT_S

    def __call__(self, content: bytes) -> bytes:
        """Run the command; what it says is not kept, since it may quote the file.

        Raises
        ------
        DeidentificationRefused
            If it fails, takes too long, or writes nothing.
        """
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.dcm"), Path(folder, "out.dcm")
            source.write_bytes(content)
            try:
                subprocess.run(
                    [*self.command, source, target],
                    check=True,
                    timeout=self.timeout_s,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                return target.read_bytes()
            except (OSError, subprocess.SubprocessError):
                raise DeidentificationRefused(RULE, "the defacing tool failed") from None


def defaced(content: bytes, defacer: Defacer) -> tuple[EncodedDataset, Token]:
    """Return what the defacer wrote, and the pixel data in it.

    Parameters
    ----------
    content : bytes
        A DICOM Part 10 file, whose header is de-identified.
    defacer : Defacer

    Raises
    ------
    DeidentificationRefused
        If the defacer fails, writes no such file, changes the form of the pixels, or changes nothing.
    """
    before = open_part10(content)
    old = _pixel_data(before)
    try:
        after = open_part10(defacer(content))
        new = _pixel_data(after)
    except Malformed:
        raise DeidentificationRefused(RULE, "the defacing tool wrote no DICOM file") from None
    same_form = after.syntax == before.syntax and (new.kind, new.vr) == (old.kind, old.vr)
    if not same_form or (new.kind is Kind.ELEMENT and new.end - new.value != old.end - old.value):
        raise DeidentificationRefused(RULE, "the defacing tool changed the form of the pixels")
    if after.data[new.value : new.end] == before.data[old.value : old.end]:
        raise DeidentificationRefused(RULE, "the defacing tool changed nothing")
    return after, new


def _pixel_data(dataset: EncodedDataset) -> Token:
    for token in walk(dataset.data, dataset.start, len(dataset.data), dataset.syntax.encoding):
        if token.depth == 0 and token.tag == PIXEL_DATA and token.kind <= Kind.FRAGMENTS:
            return token
    raise Malformed("there is no pixel data")
