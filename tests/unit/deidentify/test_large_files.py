"""A large file goes from file to file: it is never held, and comes out as a small one would."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import JPEGBaseline8Bit

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.dicom.batches import Work
from osler.deidentify.dicom.folder import FolderSummary, deidentify_folder
from osler.deidentify.dicom.mapped import LARGE_BYTES
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.testing.studies import image, part10

Writer = Callable[[Path], None]

SIDE, FRAMES = 4096, 3
SIZE = SIDE * SIDE * 2 * FRAMES
FRAGMENT_BYTES = 1 << 20
CANARY = b"Kanarie Jan"
SPARE_KIB = 40 << 10
"""What the library may need beside the file: far less than the file."""
IN_A_PROCESS = """
import resource, sys
from collections.abc import Callable
from pathlib import Path
from osler.deidentify.dicom.batches import Work
from osler.deidentify.dicom.folder import deidentify_folder
from osler.deidentify.ephemeral import EphemeralPseudonyms

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
deidentify_folder(Path(sys.argv[1]), Work(Path(sys.argv[3])), pseudonyms=EphemeralPseudonyms())
before = peak()
deidentify_folder(Path(sys.argv[2]), Work(Path(sys.argv[4])), pseudonyms=EphemeralPseudonyms())
print(peak() - before)
"""


def native(path: Path) -> None:
    dataset = image("CR", BitsAllocated=16, BitsStored=12, HighBit=11, Rows=SIDE, Columns=SIDE, NumberOfFrames=FRAMES)
    del dataset.PixelData
    path.write_bytes(part10(dataset))
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + SIZE.to_bytes(4, "little"))
        start = file.tell()
        file.truncate(start + SIZE)
        file.seek(start + SIZE // 2)
        file.write(b"\xff\xff")


def encapsulated(path: Path) -> None:
    dataset = image("CR", BitsAllocated=8, BitsStored=8, HighBit=7, NumberOfFrames=SIZE // FRAGMENT_BYTES)
    del dataset.PixelData
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    path.write_bytes(part10(dataset))
    comment = b"\xff\xd8\xff\xfe" + (2 + len(CANARY)).to_bytes(2, "big") + CANARY + b"\xff\xda\0\2"
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0")
        for _ in range(SIZE // FRAGMENT_BYTES):
            file.write(b"\xfe\xff\x00\xe0" + FRAGMENT_BYTES.to_bytes(4, "little") + comment)
            file.seek(FRAGMENT_BYTES - len(comment) - 2, 1)
            file.write(b"\xff\xd9")
        file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")


@pytest.mark.parametrize("write", [native, encapsulated])
def test_it_needs_no_memory_for_its_pixels(write: Writer, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    (small / "small.dcm").write_bytes(part10(image("CR")))
    write(large / "large.dcm")
    folders = [small, large, tmp_path / "out-small", tmp_path / "out-large"]
    run = subprocess.run([sys.executable, "-c", IN_A_PROCESS, *folders], capture_output=True, text=True, check=True)
    assert (large / "large.dcm").stat().st_size > LARGE_BYTES
    assert int(run.stdout) < SPARE_KIB < LARGE_BYTES >> 10


@pytest.mark.parametrize("write", [native, encapsulated])
def test_it_comes_out_as_a_file_that_is_held(write: Writer, tmp_path: Path) -> None:
    source, pseudonyms = tmp_path / "large.dcm", EphemeralPseudonyms()
    write(source)
    assert deidentify_folder(source, Work(tmp_path / "out"), pseudonyms=pseudonyms) == FolderSummary(deidentified=1)
    (made,) = (tmp_path / "out").rglob("*.dcm")
    content = source.read_bytes()
    assert made.read_bytes() == deidentify_instance(content, pseudonyms=pseudonyms).content
    if write is encapsulated:
        assert content.count(CANARY) == SIZE // FRAGMENT_BYTES
        assert CANARY not in made.read_bytes()
    else:
        pixels = pydicom.dcmread(made).pixel_array
        assert (int(pixels.max()), int((pixels > 0).sum())) == (0x0FFF, 1)


def test_a_large_file_that_is_cut_off_is_malformed(tmp_path: Path) -> None:
    source = tmp_path / "large.dcm"
    encapsulated(source)
    with source.open("r+b") as file:
        file.truncate(source.stat().st_size - 8)
    summary = deidentify_folder(source, Work(tmp_path / "out"), pseudonyms=EphemeralPseudonyms())
    assert summary == FolderSummary(failed=1)
