import io

import numpy as np
import pydicom
import pytest
from PIL import Image

from osler.errors import InputRejected
from osler.models.cxr.pixels import read_grey
from osler.publish import composite, secondary_capture
from osler.testing.results import case, identified, radiograph, recorded


def heatmap(_: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((7, 7), 200, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def build(*contents: bytes, **options: object) -> list[pydicom.Dataset]:
    cases = [case(number, heatmap="h", **options) for number in range(1, len(contents) + 1)]  # type: ignore[arg-type]
    return secondary_capture.build(recorded(*cases), identified(*contents), render=read_grey, heatmap=heatmap)


def test_one_image_for_each_case_with_a_heatmap() -> None:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}
    contents = [radiograph(**uids), radiograph(**uids)]

    assert len(build(*contents)) == 2
    assert secondary_capture.build(recorded(), identified(*contents), render=read_grey, heatmap=heatmap) == []


def test_it_belongs_to_the_patient_and_the_study() -> None:
    content = radiograph()
    source = pydicom.dcmread(io.BytesIO(content))

    (made,) = build(content)

    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
                    "StudyTime", "AccessionNumber", "StudyID"):  # fmt: skip
        assert made[keyword].value == source[keyword].value
    (reference,) = made.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert made.SeriesInstanceUID != source.SeriesInstanceUID


def test_it_says_what_it_is() -> None:
    (made,) = build(radiograph())

    assert made.ImageType == ["DERIVED", "SECONDARY"]
    assert made.Modality == "OT"
    assert made.ConversionType == "WSD"
    assert made.BurnedInAnnotation == "NO"
    assert made.SeriesDescription == "AI heatmap, preliminary: cxr-pneumonia-paediatric@1.0.0"
    assert "artificial intelligence" in made.ImageComments
    assert (made.SamplesPerPixel, made.PhotometricInterpretation) == (3, "RGB")
    assert made.pixel_array.shape == (made.Rows, made.Columns, 3)


def test_the_legend_is_below_the_image_and_names_nobody() -> None:
    one, other = radiograph(PatientName="A^B", PatientID="1"), radiograph(PatientName="C^D", PatientID="2")

    (first,), (second,) = build(one), build(other)

    assert first.Rows > 512
    legend = first.pixel_array[512:]
    assert legend.max() > 200
    assert np.array_equal(first.pixel_array, second.pixel_array)


def test_more_is_said_outside_the_intended_use() -> None:
    (inside,), (outside,) = build(radiograph()), build(radiograph(), outside=["the age is not known"])

    assert outside.Rows > inside.Rows


def test_the_same_result_gives_the_same_bytes() -> None:
    content = radiograph()

    assert [composite.encode(d) for d in build(content)] == [composite.encode(d) for d in build(content)]


def test_lossy_compression_is_not_forgotten() -> None:
    lossy = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "10",
        "LossyImageCompressionMethod": "ISO_15444_1",
    }

    (made,), (other,) = build(radiograph(**lossy)), build(radiograph())

    assert {keyword: str(made[keyword].value) for keyword in lossy} == lossy
    assert "LossyImageCompression" not in other


def test_burned_in_annotation_of_the_source_stays_said() -> None:
    (made,) = build(radiograph(BurnedInAnnotation="YES"))

    assert made.BurnedInAnnotation == "YES"


def test_an_image_that_cannot_be_shown_is_refused() -> None:
    with pytest.raises(InputRejected):
        build(radiograph(PixelData=b"\0\0"))
