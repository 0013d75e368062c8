"""Which values are harmless by their form, and what stands in for one that is not.

Numbers, tags and coded strings pass when they have the form of their value representation. Text passes only where it is
one of the words listed here for its attribute. Everything else is free text to this module, and free text is unknown.

References
----------
DICOM PS3.5 table 6.2-1 (value representations); PS3.3 (defined terms)
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from osler.standards.confidentiality import body_parts, code_words

BODY_PART_EXAMINED = 0x00180015
LUT_DATA = 0x00283006
OFFSET_TABLES = frozenset({0x7FE00001, 0x7FE00002})
PALETTES = frozenset({0x00281201, 0x00281202, 0x00281203, 0x00281204, 0x00281221, 0x00281222, 0x00281223})
WAVEFORMS = frozenset({0x54001010, 0x5400100A, 0x54000110, 0x54000112})
BINARY = frozenset({LUT_DATA, *OFFSET_TABLES, *PALETTES, *WAVEFORMS})
"""Attributes of a byte-string value representation that hold numbers of the image and nothing else."""

REMOVED = frozenset(
    {
        0x00080005,  # Specific Character Set: what is written is ASCII
        0x00080103,  # Coding Scheme Version
        0x00080110,  # Coding Scheme Identification Sequence: names organisations
        0x00080119,  # Long Code Value
        0x00080120,  # URN Code Value
        0x00080300,  # Private Data Element Characteristics Sequence
        0x00081190,  # Retrieve URL
        0x00120062,  # Patient Identity Removed: written anew
        0x00120063,  # De-identification Method: written anew
        0x00120064,  # De-identification Method Code Sequence: written anew
        0x00280303,  # Longitudinal Temporal Information Modified: written anew
        0x00282000,  # ICC Profile: has descriptions in free text
        0x00287FE0,  # Pixel Data Provider URL
        0x0040A390,  # HL7 Structured Document Reference Sequence
        0x04000500,  # Encrypted Attributes Sequence: holds the identity, encrypted
        0x4FFE0001,  # MAC Parameters Sequence: signatures no longer hold
    }
)
"""Known attributes outside table E.1-1 that are removed whatever their value is."""


def _words(*words: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?i:%s)[ \0]*" % "|".join(words).encode("ascii"))


_VENDORS = (
    *(r"GE MEDICAL SYSTEMS", r"GE HEALTHCARE", r"SIEMENS( HEALTHINEERS)?", r"PHILIPS( MEDICAL SYSTEMS| HEALTHCARE)?"),
    *(r"TOSHIBA(_MEC)?", r"CANON(_MEC|,? INC\.?)?", r"CANON MEDICAL SYSTEMS", r"FUJIFILM( CORPORATION)?"),
    *(
        r"FUJI PHOTO FILM CO\. ?,? ?LTD\.?",
        r"CARESTREAM( HEALTH)?",
        r"KODAK",
        r"EASTMAN KODAK COMPANY",
        r"AGFA(-GEVAERT)?",
    ),
    *(r"KONICA ?MINOLTA", r"HOLOGIC,? ?(INC\.)?", r"SHIMADZU( CORPORATION)?", r"HITACHI( MEDICAL CORPORATION)?"),
    *(r"SAMSUNG( ELECTRONICS)?", r"LODOX", r"SWISSRAY", r"PLANMED", r"PLANMECA", r"UIH"),
    *(r"SECTRA( IMTEC AB)?", r"ESAOTE", r"MINDRAY", r"NEUSOFT( MEDICAL SYSTEMS)?", r"PICKER INTERNATIONAL,? INC\.?"),
    *(r"MARCONI MEDICAL SYSTEMS,? INC\.?", r"ADAC", r"CTI( PET SYSTEMS)?", r"CPS", r"VIEWORKS", r"DRTECH", r"RAYENCE"),
)
_KERNELS = (
    *(
        r"STANDARD",
        r"SOFT",
        r"SMOOTH",
        r"SHARP",
        r"BONE(PLUS)?",
        r"LUNG",
        r"DETAIL",
        r"EDGE",
        r"BRAIN",
        r"CHST",
        r"BODY",
    ),
    *(r"[ABCDEFHIJLUY]([A-D]|[a-z]{1,2})?\d{1,2}[a-z]{0,2}(\\\d)?", r"FC\d{1,2}", r"[A-F]L?", r"Q?AR\d{1,2}[a-z]?"),
)

KNOWN_TEXT: Mapping[int, re.Pattern[bytes]] = {
    0x00080070: _words(*_VENDORS),  # Manufacturer
    0x00180085: _words("1H", "2H", "3HE", "7LI", "13C", "15N", "17O", "19F", "23NA", "31P", "129XE"),  # Imaged Nucleus
    0x00181040: _words("IV", "INTRAVENOUS", "ORAL", "RECTAL", "IA", "INTRA-?ARTERIAL"),  # Contrast/Bolus Route
    0x00181160: _words("STRIP", "WEDGE", "BUTTERFLY", "MULTIPLE", "FLAT", "SHAPED", "NONE"),  # Filter Type
    0x00181210: _words(*_KERNELS),  # Convolution Kernel
    0x00201040: _words("SN", "XY", "IC", "OM", "NASION", "IAM", "SACRAL", "VERTEX", "LOWER COSTAL MARGIN"),
    0x00209056: _words(r"\d{1,4}"),  # Stack ID
    0x00281054: _words("OD", "HU", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT", "NORMALIZED"),  # Rescale Type
    0x00281055: re.compile(  # Window Center & Width Explanation
        rb"(?i:((NORMAL|HARDER|SOFTER|LUNG|BONE|BRAIN|SOFT TISSUE|ABDOMEN|MEDIASTINUM|WINDOW\d?|ALGO\d?)[ \0]*\\?)*)"
    ),
    0x00420012: _words(  # MIME Type of Encapsulated Document
        *("application/pdf", "text/xml", "model/stl", "model/obj", "model/mtl", "application/hl7-cda[+]xml")
    ),
    0x00283004: _words("OD", "HU", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"),  # Modality LUT Type
}
"""Attributes of a text value representation, with the values that are kept."""

_CODE_STRING = re.compile(rb"[A-Z0-9_ ]{0,17}\0?")
_SHORT_CODE = re.compile(r"[A-Z0-9]{1,2}|[A-Z]{0,3}[0-9]{1,3}[A-Z]{0,2}|[0-9]{2}(?:CMX[0-9]{2}CM|INX[0-9]{2}IN)")
"""A word of a code string that is too short to name anybody, or the size of a cassette."""
_DECIMAL = rb" {0,16}(?:[+-]?(?:[0-9]{1,16}(?:\.[0-9]{0,16})?|\.[0-9]{1,16})(?:[eE][+-]?[0-9]{1,3})?)? {0,16}"
_INTEGER = rb" {0,12}(?:[+-]?[0-9]{1,12})? {0,12}"
_DECIMAL_STRING = re.compile(rb"%s(?:\\%s)*\0?" % (_DECIMAL, _DECIMAL))
_INTEGER_STRING = re.compile(rb"%s(?:\\%s)*\0?" % (_INTEGER, _INTEGER))
_MAX_INTEGER = 2**31 - 1
_LONG_NUMBER = re.compile(rb"(?:^|[\\\\ +-])0*[1-9][0-9]{8}")
_MUCH = frozenset(
    {
        0x00181074,  # Radionuclide Total Dose, Bq
        0x00181077,  # Radiopharmaceutical Specific Activity, Bq/umol
        0x00541300,  # Frame Reference Time, ms
        0x0040A30A,  # Numeric Value
    }
)
_GREY_VALUES = 0x0028
"""Group of the window and the rescale values, which are as large as the pixels are."""
_LETTERS = re.compile(rb"(?:[0-9 ^=_.,'!-]*[A-Za-z]){6}[A-Za-z0-9 ^=_.,'!-]*\0{0,7}")
_NUMBER_BYTES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "UV": 8, "SV": 8, "FL": 4, "FD": 8, "AT": 4}
_BINARY_BYTES = {"OB": 1, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

_DUMMIES: Mapping[str, bytes] = {
    "AS": b"000Y",
    "DA": b"19000101",
    "DS": b"0",
    "DT": b"19000101000000",
    "IS": b"0",
    "TM": b"000000",
    "UN": b"\0\0",
    "UR": b"about:blank",
    **{vr: b"\0" * max(2, size) for vr, size in (_NUMBER_BYTES | _BINARY_BYTES).items()},
}


VERIFICATION_FLAG = 0x0040A493


def dummy(vr: str, tag: int = 0) -> bytes:
    """Return a value that is valid for a value representation (of an attribute) and stands for nothing."""
    if tag == VERIFICATION_FLAG:  # whoever verified the document is not named any more (PS3.3 C.17.2)
        return b"UNVERIFIED"
    return _DUMMIES.get(vr, b"UNKNOWN")


def is_harmless(tag: int, vr: str, value: bytes, *, most: int = 0) -> bool:
    """Whether a value cannot carry an identity, by the form that its attribute and value representation give it.

    Parameters
    ----------
    tag : int
    vr : str
        Value representation as the data dictionary has it.
    value : bytes
        As encoded, with its padding.
    most : int
        Largest number of values, for the value representations of binary numbers; 0 for any.
    """
    if not value:
        return True
    size = _NUMBER_BYTES.get(vr)
    if size is not None:
        return len(value) % size == 0 and (not most or len(value) <= most * size) and not _spells(value)
    if tag == BODY_PART_EXAMINED:
        return _is_body_part(value)
    if vr == "CS":
        return all(map(is_code, value.split(b"\\")))
    if vr == "DS":
        return _DECIMAL_STRING.fullmatch(value) is not None and (_measures_much(tag) or not _LONG_NUMBER.search(value))
    if vr == "IS":
        return _is_integers(value)
    if vr in _BINARY_BYTES:
        return tag in BINARY and len(value) % _BINARY_BYTES[vr] == 0 and not _spells(value)
    known = KNOWN_TEXT.get(tag)
    return known is not None and known.fullmatch(value) is not None


_MORE_BODY_WORDS = frozenset(
    (
        *("LEFT", "RIGHT", "UPPER", "LOWER", "L", "R", "C", "T", "S", "LEG", "ARM", "PELV", "FINGERS", "TOES", "RIBS"),
        *("ANGIO", "CARDIAC", "AP", "PA", "LAT", "LATERAL", "VIEW", "VIEWS", "PORTABLE", "ADULT", "CHILD", "PEDIATRIC"),
    )
)


OBJECT_WORDS = frozenset(
    (
        *("CONTAINER", "TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME", "IMAGE", "WAVEFORM"),
        *("COMPOSITE", "SCOORD", "SCOORD3D", "TCOORD", "TABLE", "CONTAINS", "HAS", "OBS", "CONTEXT", "ACQ", "CONCEPT"),
        *("MOD", "PROPERTIES", "INFERRED", "FROM", "SELECTED", "SEPARATE", "CONTINUOUS", "COMPLETE", "PARTIAL"),
        *("FINAL", "PRELIM", "DCMR", "POINT", "MULTIPOINT", "POLYLINE", "CIRCLE", "ELLIPSE", "ELLIPSOID", "POLYGON"),
        *("INTERPOLATED", "PIXEL", "DISPLAY", "MATRIX", "SLIDE", "VOLUME", "FRAME", "MULTISEGMENT", "SEGMENT", "BEGIN"),
        *("BINARY", "FRACTIONAL", "LABELMAP", "PROBABILITY", "OCCUPANCY", "AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"),
        *("PRESENTATION", "TRUE", "SIZE", "SCALE", "FIT", "MAGNIFY", "CLOSED", "OPEN", "PLANAR", "NONPLANAR", "XOR"),
        *("PTV", "CTV", "GTV", "ORGAN", "EXTERNAL", "AVOIDANCE", "BOLUS", "CAVITY", "CONTROL", "DOSE", "REGION"),
        *("FIXATION", "MARKER", "ISOCENTER", "REGISTRATION", "SUPPORT", "TREATED", "IRRAD", "CONTRAST", "AGENT"),
        *("PATIENT", "DEVICE", "BEAM", "FRACTION", "PHYSICAL", "EFFECTIVE", "ERROR", "GY", "RELATIVE", "CURATIVE"),
        *("PALLIATIVE", "PROPHYLACTIC", "VERIFICATION", "PHOTON", "ELECTRON", "PROTON", "NEUTRON", "STATIC", "DYNAMIC"),
        *("TREATMENT", "SETUP", "PLAN", "ORIGINAL", "DERIVED", "RIGID", "AFFINE", "RTPLAN", "RTSTRUCT", "RTDOSE"),
        *("RTIMAGE", "RTRECORD", "SEG", "KO", "PR", "SR", "REG", "FID", "RWV", "ECG", "HD", "EPS", "DOC", "SC", "US"),
        *("M3D", "OT", "PLAQUE", "SURFACE", "MULTIPLEXED", "BASELINE", "HEART", "RATE", "CM", "MM", "ASYMX", "ASYMY"),
        *("X", "Y", "MLCX", "MLCY", "NONE", "WEDGE", "CW", "CC", "SAD", "HFS", "HFP", "FFS", "FFP", "APPROVED"),
        *("UNAPPROVED", "REJECTED", "LEFT", "RIGHT", "CENTER", "TOP", "BOTTOM", "NORMAL", "FILLED", "YES", "NO"),
    )
)
"""Words of the code strings of objects that are no images (PS3.3 A.33, A.35, A.51, C.8.8, C.17, C.18)."""


def _spells(value: bytes) -> bool:
    """Whether the bytes of binary numbers are letters from the first to the last: a text in the place of numbers."""
    return _LETTERS.fullmatch(value) is not None


@lru_cache(maxsize=4096)
def is_code(value: bytes) -> bool:
    """Whether one value of a code string is made of the standard's words; a name in capital letters is not."""
    if not _CODE_STRING.fullmatch(value):
        return False
    words = re.split("[ _]+", value.decode("ascii").strip(" _\0"))
    known = (code_words(), body_parts(), OBJECT_WORDS)
    return all(not w or any(w in some for some in known) or _SHORT_CODE.fullmatch(w) for w in words)


def _measures_much(tag: int) -> bool:
    """Whether a decimal string of the attribute may have nine digits and more before its point."""
    return tag in _MUCH or tag >> 16 == _GREY_VALUES


def _is_integers(value: bytes) -> bool:
    """Whether all values are numbers that an IS may hold; what is larger is a number of a file or a person."""
    if not _INTEGER_STRING.fullmatch(value):
        return False
    numbers = (v.strip(b" \0") for v in value.split(b"\\"))
    return all(not n or -_MAX_INTEGER - 1 <= int(n) <= _MAX_INTEGER for n in numbers)


def _is_body_part(value: bytes) -> bool:
    """Whether all words are of PS3.16 table L-1, or say which side or view of it; devices write them in any case."""
    words = re.split(r"[ _\\]+", value.decode("ascii", "replace").strip(" \0").upper())
    return "".join(words) in body_parts() or all(w in body_parts() or w in _MORE_BODY_WORDS for w in words)
