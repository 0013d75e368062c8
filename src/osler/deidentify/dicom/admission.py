"""What is let through, and what waits for a person, decided from the header alone.

An image that may show text, a document and a drawing are safe only under the options of PS3.15 that clean them, or once
a person has looked. A SOP class that is not in the table is not known to be safe, so it waits too.

References
----------
DICOM PS3.4 B.5 (SOP classes), PS3.3 C.7.6.1.1.2 (Image Type), C.8.6.1 (Conversion Type), C.9.2 (overlay plane)
"""

import re
from collections.abc import Iterator, Mapping

from osler.deidentify.dicom.options import NONE, Option, Options
from osler.errors import DeidentificationRefused
from osler.standards.dicom import MODALITY, SOP_CLASS_UID, Pixels

IMAGE_TYPE = 0x00080008
CONVERSION_TYPE = 0x00080064
SERIES_DESCRIPTION = 0x0008103E
BURNED_IN_ANNOTATION = 0x00280301
OVERLAY_BITS_ALLOCATED = 0x60000100
OVERLAY_BIT_POSITION = 0x60000102
READ = frozenset({SOP_CLASS_UID, MODALITY, IMAGE_TYPE, CONVERSION_TYPE, SERIES_DESCRIPTION, BURNED_IN_ANNOTATION})
"""Attributes of the dataset that :func:`admit` looks at, beside those of overlay groups."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."

IMAGES: Mapping[str, str] = {
    "1": "Computed Radiography",
    "1.1": "Digital X-Ray, for presentation",
    "1.1.1": "Digital X-Ray, for processing",
    "1.2": "Digital Mammography, for presentation",
    "1.2.1": "Digital Mammography, for processing",
    "1.3": "Digital Intra-Oral X-Ray, for presentation",
    "1.3.1": "Digital Intra-Oral X-Ray, for processing",
    "2": "CT",
    "2.1": "Enhanced CT",
    "2.2": "Legacy Converted Enhanced CT",
    "4": "MR",
    "4.1": "Enhanced MR",
    "4.3": "Enhanced MR Color",
    "4.4": "Legacy Converted Enhanced MR",
    "12.1": "X-Ray Angiographic",
    "12.1.1": "Enhanced XA",
    "12.2": "X-Ray Radiofluoroscopic",
    "12.2.1": "Enhanced XRF",
    "13.1.1": "X-Ray 3D Angiographic",
    "13.1.2": "X-Ray 3D Craniofacial",
    "13.1.3": "Breast Tomosynthesis",
    "13.1.4": "Breast Projection X-Ray, for presentation",
    "13.1.5": "Breast Projection X-Ray, for processing",
    "20": "Nuclear Medicine",
    "128": "Positron Emission Tomography",
    "128.1": "Legacy Converted Enhanced PET",
    "130": "Enhanced PET",
}
"""Image SOP classes that are let through, by what follows ``1.2.840.10008.5.1.4.1.1.``"""

REFUSED_FAMILIES: Mapping[str, tuple[str, str]] = {
    "3": ("ultrasound", "ultrasound images usually show the patient's name"),
    "6": ("ultrasound", "ultrasound images usually show the patient's name"),
    "7": ("secondary-capture", "a secondary capture may show anything that was on a screen"),
    "30": ("derived-object", "parametric maps carry labels in free text"),
    "9": ("waveform", "waveforms carry annotations in free text"),
    "11": ("presentation-state", "a presentation state carries annotations in free text"),
    "66": ("derived-object", "segmentations, registrations and raw data carry labels in free text"),
    "77": ("visible-light", "photographs may show a face, a label or a name"),
    "88": ("structured-report", "a report is free text"),
    "104": ("encapsulated-document", "a document cannot be looked into"),
    "481": ("radiotherapy", "radiotherapy objects carry labels in free text"),
}
"""Families of SOP classes that wait for a person, by the first number after the prefix: rule and reason."""

REFUSED_MODALITIES: Mapping[str, str] = {
    **dict.fromkeys(("US", "IVUS", "BDUS"), "ultrasound"),
    **dict.fromkeys(("SC", "HC"), "secondary-capture"),
    "DOC": "encapsulated-document",
    **dict.fromkeys(("ES", "XC", "GM", "SM", "OP", "DMS"), "visible-light"),
}
"""Modalities (0008,0060) that wait even under an image SOP class that is let through."""

REVIEWABLE: frozenset[str] = frozenset(
    {"burned-in-annotation", "screen-capture", "secondary-capture", "ultrasound", "visible-light"}
)
"""Rules that refuse for what the pixels may show; a person who has looked at them may decide otherwise."""

_PIXELS = frozenset({Option.CLEAN_PIXEL_DATA})
_TEXT = frozenset({Option.CLEAN_DESCRIPTORS})
LIFTED: Mapping[str, Options] = {
    **dict.fromkeys(REVIEWABLE | {"embedded-overlay"}, _PIXELS),
    "waveform": _TEXT,
    "derived-object": _TEXT,
    "radiotherapy": _TEXT,
    "encapsulated-document": _TEXT,
    "presentation-state": _TEXT | {Option.CLEAN_GRAPHICS},
    "structured-report": _TEXT | {Option.CLEAN_STRUCTURED_CONTENT},
}
"""The options that together make safe what a rule refuses."""

_SCREEN_TYPE = re.compile(rb"SCREEN|SAVE|CAPTURE|REPORT|DOSE[_ ]?INFO|PATIENT[_ ]?PROT")
_SCREEN_SERIES = re.compile(rb"screen ?(save|shot|cap)|secondary ?capture|dose ?(report|info)|patient ?protocol", re.I)


def admit(values: Mapping[int, bytes], pixels: Pixels, *, options: Options = NONE, reviewed: bool = False) -> None:
    """Let an instance through, or refuse it.

    Parameters
    ----------
    values : mapping of tag to raw value
        Attributes of the dataset itself: those of :data:`READ` and of the overlay groups 60xx.
    pixels : Pixels
        How its transfer syntax carries pixel data.
    options : frozenset of Option
        Those in force; what they make safe is let through.
    reviewed : bool
        A person has looked at the pixels and answers for them: the rules of :data:`REVIEWABLE` do not refuse.

    Raises
    ------
    DeidentificationRefused
        With the rule and a reason that quotes nothing.
    """
    for rule, reason in _refusals(values, pixels):
        lifts = LIFTED.get(rule)
        if not (reviewed and rule in REVIEWABLE) and not (lifts and lifts <= options):
            hint = f"; {' with '.join(sorted(lifts))} would clean it" if lifts else ""
            raise DeidentificationRefused(rule, reason + hint)


def _refusals(values: Mapping[int, bytes], pixels: Pixels) -> Iterator[tuple[str, str]]:
    yield from _kind_refusals(_text(values, SOP_CLASS_UID), _text(values, MODALITY))
    if pixels in (Pixels.VIDEO, Pixels.REFERENCED, Pixels.JPEG_XL):
        yield "transfer-syntax", "video, referenced pixel data and JPEG XL cannot be looked into"
    has_pixels = not _is_document(_text(values, SOP_CLASS_UID))
    if has_pixels and _text(values, BURNED_IN_ANNOTATION) not in ("", "NO"):
        yield "burned-in-annotation", "the image says that text may be burned into it"
    if has_pixels and _text(values, CONVERSION_TYPE) not in ("", "SYN"):
        yield "secondary-capture", "the image was captured or digitised from somewhere else"
    if _SCREEN_TYPE.search(values.get(IMAGE_TYPE, b"").upper()) or _SCREEN_SERIES.search(
        values.get(SERIES_DESCRIPTION, b"")
    ):
        yield "screen-capture", "the image says that it is a screen capture or a dose report"
    if any(_is_embedded(tag, value) for tag, value in values.items()):
        yield "embedded-overlay", "an overlay is drawn into unused bits of the pixels"


def _kind_refusals(sop_class_uid: str, modality: str) -> Iterator[tuple[str, str]]:
    suffix = sop_class_uid.removeprefix(_STORAGE) if sop_class_uid.startswith(_STORAGE) else ""
    if suffix not in IMAGES:
        yield REFUSED_FAMILIES.get(suffix.split(".")[0], ("unknown-sop-class", "no rule covers this SOP class"))
    if modality in REFUSED_MODALITIES:
        yield REFUSED_MODALITIES[modality], "images of this modality usually show text"


def _is_document(sop_class_uid: str) -> bool:
    """Whether an object is an encapsulated document: it has no pixels, whatever these attributes say (PS3.3 A.45)."""
    return sop_class_uid.startswith(f"{_STORAGE}104.")


def _is_embedded(tag: int, value: bytes) -> bool:
    """Whether an attribute of an overlay group says that the overlay lies in the pixels (retired, PS3.3 C.9.2)."""
    repeating = tag & 0xFF00FFFF
    if repeating == OVERLAY_BITS_ALLOCATED:
        return value.strip(b"\0") not in (b"", b"\1")
    return repeating == OVERLAY_BIT_POSITION and bool(value.strip(b"\0"))


def _text(values: Mapping[int, bytes], tag: int) -> str:
    return values.get(tag, b"").decode("ascii", "replace").strip(" \0").upper()
