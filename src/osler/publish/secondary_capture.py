"""The heatmap over the image as a DICOM Secondary Capture, for viewers that show pictures only.

A band below the image says that artificial intelligence made it and that it is preliminary. Nothing that identifies the
patient is drawn.

References
----------
DICOM PS3.3 A.8.1 (Secondary Capture), C.7.6.1.1.2 (Image Type), C.12.4 (Derivation), C.7.6.3 (Image Pixel)
"""

import io
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.uid import SecondaryCaptureImageStorage

from osler.domain.events import Recorded
from osler.domain.findings import CaseResult, Inference
from osler.publish import header as dicom
from osler.publish import overlay
from osler.publish.composite import (
    building,
    describe_equipment,
    describe_moment,
    describe_study,
    finish,
    object_uid,
    series_uid,
)
from osler.publish.reidentify import IdentifiedStudy, SourceInstance
from osler.publish.wording import NOTICE, figures

SERIES_NUMBER: Final = 9002
_MARGIN: Final = 12

Render = Callable[[pydicom.Dataset], npt.NDArray[np.float32]]
"""From a whole dataset to grey values as on a screen, shape (row, column), in [0, 1]."""


def build(
    recorded: Recorded, source: IdentifiedStudy, *, render: Render, heatmap: Callable[[str], bytes]
) -> list[pydicom.Dataset]:
    """Build one image for each case that has a heatmap. The same result gives the same bytes.

    Parameters
    ----------
    recorded : Recorded
    source : IdentifiedStudy
    render : callable
        Shows the source image.
    heatmap : callable
        Reads a heatmap by its blob reference: 8-bit greyscale PNG.

    Raises
    ------
    InputRejected
        If the source image cannot be shown.
    DeliveryRefused
        If the object cannot be built.
    """
    made = []
    with building("secondary capture"):
        for number, result in enumerate((r for r in recorded.inference.results if r.heatmap), 1):
            assert result.heatmap is not None
            shown = source.read[result.sop_instance_uids[0]]
            grey = render(pydicom.dcmread(io.BytesIO(shown.content())))
            base = overlay.picture(grey)
            blended = overlay.over(base, overlay.heat(heatmap(result.heatmap), base.size))
            picture = _with_legend(blended, recorded.inference, result)
            made.append(_object(recorded, source, shown, picture, number=number, case=result.sop_instance_uids[0]))
    return made


def _object(
    recorded: Recorded, source: IdentifiedStudy, shown: SourceInstance, picture: Image.Image, *, number: int, case: str
) -> pydicom.Dataset:
    inference = recorded.inference
    made = describe_study(source)
    made.update(describe_equipment(inference.model))
    made.update(describe_moment(recorded.recorded_at, source))
    made.SOPClassUID = SecondaryCaptureImageStorage
    made.SOPInstanceUID = object_uid(
        "sc", study_uid=source.study_uid, revision=recorded.revision, model=inference.model, case=case
    )
    made.SeriesInstanceUID = series_uid("sc", study_uid=source.study_uid, model=inference.model)
    made.SeriesNumber = SERIES_NUMBER
    made.SeriesDescription = dicom.one_line(f"AI heatmap, preliminary: {inference.model}")
    made.Modality = "OT"
    made.ConversionType = "WSD"
    made.InstanceNumber = number
    made.ImageType = ["DERIVED", "SECONDARY"]
    side = dicom.code(shown.header, "Laterality")
    made.Laterality = side if side in ("L", "R") else ""
    made.PatientOrientation = ""
    made.BurnedInAnnotation = "YES" if dicom.code(shown.header, "BurnedInAnnotation") == "YES" else "NO"
    made.ImageComments = NOTICE
    made.DerivationDescription = "Activation map of an artificial intelligence model over the source image"
    made.SourceImageSequence = [_source_image(shown)]
    _copy_lossy_compression(shown.header, made)
    made.SamplesPerPixel = 3
    made.PhotometricInterpretation = "RGB"
    made.PlanarConfiguration = 0
    made.Rows, made.Columns = picture.height, picture.width
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.PixelRepresentation = 0
    pixels = picture.tobytes()
    made.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return finish(made)


def _source_image(shown: SourceInstance) -> pydicom.Dataset:
    purpose = pydicom.Dataset()
    purpose.CodeValue = "121322"
    purpose.CodingSchemeDesignator = "DCM"
    purpose.CodeMeaning = "Source image for image processing operation"
    made = pydicom.Dataset()
    made.ReferencedSOPClassUID = shown.identity.sop_class_uid
    made.ReferencedSOPInstanceUID = shown.identity.sop_instance_uid
    made.PurposeOfReferenceCodeSequence = [purpose]
    return made


def _copy_lossy_compression(header: pydicom.Dataset, made: pydicom.Dataset) -> None:
    """Say that the image went through a lossy compression, once it did (PS3.3 C.7.6.1.1.5)."""
    if dicom.text(header, "LossyImageCompression") != "01":
        return
    made.LossyImageCompression = "01"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if header.get(keyword):
            made[keyword] = header[keyword]


def _with_legend(image: Image.Image, inference: Inference, result: CaseResult) -> Image.Image:
    size = max(14, image.width // 42)
    font = ImageFont.load_default(size)
    said = [
        NOTICE,
        *(f"{f.label}: probability {figures(f)[0]}, threshold {figures(f)[1]}" for f in result.findings),
        *(f"Outside the intended use: {reason}" for reason in result.outside_intended_use),
        f"Model {inference.model}. The colour shows what the model reacted to, not where disease is.",
    ]
    lines = [line for text in said for line in _wrap(text, font, image.width - 2 * _MARGIN)]
    height = round(size * 1.45)
    made = Image.new("RGB", (image.width, image.height + len(lines) * height + 2 * _MARGIN))
    made.paste(image)
    draw = ImageDraw.Draw(made)
    for row, line in enumerate(lines):
        place = (_MARGIN, image.height + _MARGIN + row * height)
        draw.text(place, line, font=font, fill=(255, 205, 90) if row == 0 else (225, 225, 225))
    return made


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
