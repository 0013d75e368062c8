"""De-identification against dicognito, in one run, on the same bytes and in one process.

Both read a DICOM file from memory and write the result to memory. Pseudonyms come from memory in both.

    python bench/deidentify.py [--seconds 3] [--json]
"""

import argparse
import io
import json
import time
from collections.abc import Callable

import numpy as np
import pydicom
from dicognito.anonymizer import Anonymizer
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms


def encoded(dataset: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def ct_files(count: int) -> list[bytes]:
    """Return CT slices of 0.5 MB: pydicom's CT_small, 512 x 512, one study."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    pixels = np.kron(dataset.pixel_array, np.ones((4, 4), dataset.pixel_array.dtype))
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelData = pixels.tobytes()
    files = []
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.840.99999.1.{number}")
        dataset.InstanceNumber = number
        files.append(encoded(dataset))
    return files


def cr_files(count: int) -> list[bytes]:
    """Return radiographs of 8 MB: 2000 x 2000, 16 bits, with the header of pydicom-data's RG1."""
    dataset = pydicom.dcmread(str(get_testdata_file("RG1_UNCR.dcm")))
    dataset.Rows = dataset.Columns = 2000
    dataset.PixelData = np.random.default_rng(1).integers(0, 1 << 15, (2000, 2000), np.uint16).tobytes()
    files = []
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.840.99999.2.{number}")
        files.append(encoded(dataset))
    return files


def osler() -> Callable[[bytes], object]:
    pseudonyms = EphemeralPseudonyms()
    return lambda content: deidentify_instance(content, pseudonyms=pseudonyms).content


def dicognito() -> Callable[[bytes], object]:
    anonymizer = Anonymizer()

    def run(content: bytes) -> object:
        dataset = pydicom.dcmread(io.BytesIO(content))
        anonymizer.anonymize(dataset)
        return encoded(dataset)

    return run


def rate(run: Callable[[bytes], object], files: list[bytes], seconds: float) -> float:
    """Return files a second, the best of three rounds."""
    for content in files:
        run(content)
    best = 0.0
    for _ in range(3):
        done, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds / 3:
            run(files[done % len(files)])
            done += 1
        best = max(best, done / passed)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each figure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = {}
    for kind, files in (("CT 0.5 MB", ct_files(20)), ("CR 8 MB", cr_files(4))):
        ours, theirs = rate(osler(), files, options.seconds), rate(dicognito(), files, options.seconds)
        result[kind] = {
            "osler_per_s": round(ours, 1),
            "dicognito_per_s": round(theirs, 1),
            "ratio": round(ours / theirs, 2),
        }
    if options.json:
        print(json.dumps(result))
        return
    for kind, figures in result.items():
        print(
            f"{kind:10} osler {figures['osler_per_s']:8.1f}/s  dicognito {figures['dicognito_per_s']:8.1f}/s", end="  "
        )
        print(f"ratio {figures['ratio']:.2f}")


if __name__ == "__main__":
    main()
