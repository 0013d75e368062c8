import pytest

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.dicom.admission import IMAGES, admit
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import DeidentificationRefused
from osler.standards.dicom import Pixels
from osler.testing.studies import image, part10

STORAGE = "1.2.840.10008.5.1.4.1.1."


def refused(pixels: Pixels = Pixels.NATIVE, **values: bytes) -> str:
    tags = {
        "image_type": 0x00080008,
        "sop_class": 0x00080016,
        "modality": 0x00080060,
        "conversion": 0x00080064,
        "description": 0x0008103E,
        "burned_in": 0x00280301,
        "overlay_bits": 0x60020100,
        "overlay_position": 0x60020102,
    }
    given = {"sop_class": (STORAGE + "1").encode(), "modality": b"CR"} | values
    try:
        admit({tags[name]: value for name, value in given.items()}, pixels)
    except DeidentificationRefused as error:
        return error.rule
    return ""


@pytest.mark.parametrize("suffix", IMAGES)
def test_image_classes_are_let_through(suffix: str) -> None:
    assert not refused(sop_class=(STORAGE + suffix).encode())


@pytest.mark.parametrize(
    ("suffix", "rule"),
    [
        ("6.1", "ultrasound"),
        ("3.1", "ultrasound"),
        ("7", "secondary-capture"),
        ("7.4", "secondary-capture"),
        ("9.1.1", "waveform"),
        ("11.1", "presentation-state"),
        ("66", "derived-object"),
        ("66.4", "derived-object"),
        ("77.1.1", "visible-light"),
        ("77.1.2.1", "visible-light"),
        ("88.33", "structured-report"),
        ("88.59", "structured-report"),
        ("104.1", "encapsulated-document"),
        ("481.3", "radiotherapy"),
        ("4.2", "unknown-sop-class"),
        ("99999", "unknown-sop-class"),
        ("", "unknown-sop-class"),
    ],
)
def test_other_classes_wait(suffix: str, rule: str) -> None:
    assert refused(sop_class=(STORAGE + suffix).encode()) == rule


@pytest.mark.parametrize("uid", [b"", b"1.2.3", b"1.2.840.10008.1.3.10", b"1.2.840.10008.5.1.4.34.7", b"2"])
def test_classes_that_are_no_storage_classes_wait(uid: bytes) -> None:
    assert refused(sop_class=uid) == "unknown-sop-class"


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"burned_in": b"YES "}, "burned-in-annotation"),
        ({"burned_in": b"yes"}, "burned-in-annotation"),
        ({"burned_in": b"MAYBE"}, "burned-in-annotation"),
        ({"burned_in": b"NO"}, ""),
        ({"burned_in": b""}, ""),
        ({"modality": b"US"}, "ultrasound"),
        ({"modality": b"XC"}, "visible-light"),
        ({"modality": b"DX"}, ""),
        ({"conversion": b"WSD "}, "secondary-capture"),
        ({"conversion": b"DF"}, "secondary-capture"),
        ({"conversion": b"SYN"}, ""),
        ({"image_type": b"DERIVED\\SECONDARY\\SCREEN SAVE"}, "screen-capture"),
        ({"image_type": b"derived\\secondary\\screenshot"}, "screen-capture"),
        ({"image_type": b"ORIGINAL\\PRIMARY\\AXIAL"}, ""),
        ({"image_type": b"DERIVED\\SECONDARY\\MPR"}, ""),
        ({"description": b"Dose Report"}, "screen-capture"),
        ({"description": b"Patient Protocol"}, "screen-capture"),
        ({"description": b"SCREEN SAVES"}, "screen-capture"),
        ({"description": b"THORAX 1.0 B30f"}, ""),
        ({"overlay_position": b"\x0c\0"}, "embedded-overlay"),
        ({"overlay_position": b"\0\x0c"}, "embedded-overlay"),
        ({"overlay_position": b"\0\0", "overlay_bits": b"\1\0"}, ""),
        ({"overlay_bits": b"\x10\0"}, "embedded-overlay"),
    ],
)
def test_what_the_header_says(values: dict[str, bytes], rule: str) -> None:
    assert refused(**values) == rule


@pytest.mark.parametrize("pixels", list(Pixels))
def test_what_cannot_be_looked_into_waits(pixels: Pixels) -> None:
    expected = pixels in (Pixels.VIDEO, Pixels.REFERENCED, Pixels.JPEG_XL)
    assert bool(refused(pixels)) is expected


class NoPseudonyms(EphemeralPseudonyms):
    """Fails the test when anybody asks."""

    def prefetch(self, identities: object) -> None:
        pytest.fail("a pseudonym was made for an instance that was refused")


def test_a_refusal_quotes_nothing_and_asks_the_vault_for_nothing() -> None:
    content = part10(
        image("CR", PatientName="Kanarie", SeriesDescription="Kanarie dose report", Manufacturer="Kanarie")
    )
    with pytest.raises(DeidentificationRefused) as raised:
        deidentify_instance(content, pseudonyms=NoPseudonyms())
    assert raised.value.rule == "screen-capture"
    assert "Kanarie" not in str(raised.value)
