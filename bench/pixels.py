"""What a large multi-frame file costs: peak memory and time of de-identifying it from file to file.

The file is made sparse, and it and the result are deleted afterwards; there must be room for the result.

    python bench/pixels.py [--gigabytes 2] [--json]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from osler.deidentify.dicom.batches import Work
from osler.deidentify.dicom.folder import deidentify_folder
from osler.deidentify.ephemeral import EphemeralPseudonyms

SIDE, FRAME_BYTES, FRAGMENT_BYTES = 1024, 1 << 21, 1 << 19
JPEG = b"\xff\xd8\xff\xfe\x00\x0aOF JANE\xff\xda\x00\x02"


def header(frames: int, syntax: str) -> pydicom.FileDataset:
    """Return an enhanced CT of square frames without its pixels."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Doe^Jane", "MRN-1", "CT"
    dataset.Rows = dataset.Columns = SIDE
    dataset.NumberOfFrames, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = frames, 1, "MONOCHROME2"
    native = syntax == ExplicitVRLittleEndian
    dataset.BitsAllocated, dataset.BitsStored = (16, 12) if native else (8, 8)
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    return dataset


def write_native(path: Path, size: int) -> None:
    frames = size // FRAME_BYTES
    header(frames, ExplicitVRLittleEndian).save_as(path, enforce_file_format=True)
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + (frames * FRAME_BYTES).to_bytes(4, "little"))
        file.truncate(file.tell() + frames * FRAME_BYTES)


def write_encapsulated(path: Path, size: int) -> None:
    frames = size // FRAGMENT_BYTES
    header(frames, JPEGBaseline8Bit).save_as(path, enforce_file_format=True)
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0")
        for _ in range(frames):
            end = file.write(b"\xfe\xff\x00\xe0" + FRAGMENT_BYTES.to_bytes(4, "little") + JPEG) and file.tell()
            file.seek(end + FRAGMENT_BYTES - len(JPEG) - 2)
            file.write(b"\xff\xd9")
        file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")


WRITERS = {"native": write_native, "encapsulated": write_encapsulated}


def measured(source: Path, target: Path) -> dict[str, float]:
    """De-identify in this process; return its peak memory before and after, MiB, and the seconds."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    summary = deidentify_folder(source, Work(target), pseudonyms=EphemeralPseudonyms())
    passed = time.perf_counter() - start
    if summary.deidentified != 1:
        raise SystemExit("the file was not de-identified")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"before_mib": before >> 10, "peak_mib": after >> 10, "seconds": round(passed, 1)}


def run(kind: str, size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        source, target = Path(folder, "in"), Path(folder, "out")
        source.mkdir()
        WRITERS[kind](source / "large.dcm", size)
        made = subprocess.run(
            [sys.executable, __file__, "--measure", source, target], check=True, capture_output=True, text=True
        )
        figures: dict[str, Any] = json.loads(made.stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the file")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(*options.measure)))
        return
    size = int(options.gigabytes * (1 << 30)) - (16 << 20)
    result = {kind: run(kind, size) for kind in WRITERS}
    if options.json:
        print(json.dumps(result))
        return
    for kind, figures in result.items():
        print(
            f"{kind:12} {size >> 20} MiB: peak {figures['peak_mib']} MiB ({figures['before_mib']} MiB before), "
            f"{figures['seconds']} s"
        )


if __name__ == "__main__":
    main()
