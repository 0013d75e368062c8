"""Small valid DICOM files, made of nothing but noise and invented names."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from osler.domain.states import AgeBand
from osler.plugins import Instance, Study

_SOP_CLASS = {"CR": ComputedRadiographyImageStorage, "DX": DigitalXRayImageStorageForPresentation}


def chest_pixels(rows: int = 64, columns: int = 48, *, seed: int = 7) -> npt.NDArray[np.uint16]:
    """Return a phantom of a frontal chest radiograph, 12 bits: two dark lungs in a bright body, with noise.

    Returns
    -------
    ndarray of uint16, shape (row, column), values 0 to 4095, larger is brighter
    """
    y, x = np.mgrid[-1.0 : 1.0 : rows * 1j, -1.0 : 1.0 : columns * 1j]
    lungs = ((np.abs(x) - 0.45) / 0.3) ** 2 + (y / 0.7) ** 2 < 1.0
    noise = np.random.default_rng(seed).normal(0.0, 60.0, (rows, columns))
    return np.clip(np.where(lungs, 1200.0, 2900.0) + noise, 0, 4095).astype(np.uint16)


def image(modality: str = "DX", *, pixels: npt.NDArray[np.uint16] | None = None, **elements: Any) -> FileDataset:
    """Make a radiograph of 12 bits, MONOCHROME2, uncompressed.

    Parameters
    ----------
    modality : {"CR", "DX"}
    pixels : ndarray of uint16, shape (row, column), optional
        Else a chest phantom.
    **elements
        Attributes by keyword, in place of the defaults; None removes one.
    """
    pixels = chest_pixels() if pixels is None else pixels
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = _SOP_CLASS[modality]
    meta.MediaStorageSOPInstanceUID = elements.get("SOPInstanceUID", generate_uid(None))
    dataset = FileDataset(io.BytesIO(), {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, Any] = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyInstanceUID": generate_uid(None),
        "SeriesInstanceUID": generate_uid(None),
        "Modality": modality,
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PresentationIntentType": "FOR PRESENTATION",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "WindowCenter": 2048,
        "WindowWidth": 4096,
        "BurnedInAnnotation": "NO",
        "PatientID": "OSL-TEST",
        "PatientName": "OSL-TEST",
        "PatientIdentityRemoved": "YES",
        "InstanceNumber": 1,
        "PixelData": pixels.astype("<u2").tobytes(),
        **elements,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def part10(dataset: Dataset) -> bytes:
    """Return a dataset as the bytes of a DICOM file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def study(folder: Path, *datasets: FileDataset, age_band: AgeBand = AgeBand.UNKNOWN) -> Study:
    """Write instances into a folder, as one study.

    The datasets are given the Study Instance UID of the first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    instances = []
    for index, dataset in enumerate(datasets):
        dataset.StudyInstanceUID = datasets[0].StudyInstanceUID
        path = folder / f"{index}.dcm"
        path.write_bytes(part10(dataset))
        instances.append(Instance(str(dataset.SOPInstanceUID), str(dataset.SeriesInstanceUID), path))
    return Study(str(datasets[0].StudyInstanceUID), tuple(instances), age_band)
