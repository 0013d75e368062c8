"""What a de-identified instance says of how it was de-identified, what earlier methods said included.

References
----------
DICOM PS3.15 E.1.1, items 6 to 8; PS3.16 CID 7050 (de-identification method)
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from osler import __version__
from osler.deidentify.dicom.burned_in.faces import may_be_recognizable
from osler.deidentify.dicom.options import CODES, PROFILE, Option, Options, temporal_information
from osler.deidentify.dicom.pieces import Piece, Sealed, Waiting, coded_item, sequence
from osler.standards.confidentiality import EDITION
from osler.standards.dicom_stream import Encoding

METHOD: Final = f"OSLER {__version__}: DICOM PS3.15 {EDITION} basic profile"

PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD, METHOD_CODE_SEQUENCE = 0x00120062, 0x00120063, 0x00120064
RECOGNIZABLE_VISUAL_FEATURES, TEMPORAL_MODIFIED = 0x00280302, 0x00280303
READ: Final = frozenset({DEIDENTIFICATION_METHOD, RECOGNIZABLE_VISUAL_FEATURES, TEMPORAL_MODIFIED})
"""Attributes of the dataset as it came that :func:`said` looks at, beside the codes of methods."""

_WITH_OPTIONS: Final = " with options"
_OWN: Final = re.compile(
    r"OSLER \d{1,4}(?:\.\d{1,4}){0,3}(?:\.?(?:a|b|rc|dev|post)\d{1,4})?: "
    r"DICOM PS3\.15 \d{4}[a-e] basic profile(?: with options)?"
)
_MOST_EARLIER: Final = 8


def places(encoding: Encoding) -> Iterator[tuple[int, Piece]]:
    """Yield the attributes that :func:`said` and :func:`visual_features` tell, each empty, in ascending order."""
    for tag, vr in (
        (PATIENT_IDENTITY_REMOVED, "CS"),
        (DEIDENTIFICATION_METHOD, "LO"),
        (METHOD_CODE_SEQUENCE, "SQ"),
        (RECOGNIZABLE_VISUAL_FEATURES, "CS"),
        (TEMPORAL_MODIFIED, "CS"),
    ):
        yield tag, Waiting(tag, vr, encoding, ())


def said(values: Mapping[int, bytes], codes: Iterable[bytes], encoding: Encoding, options: Options) -> dict[int, Piece]:
    """Return what stands in these places, by tag.

    Codes of earlier methods stay before those of this one, each once. Of the earlier texts, which anybody may have
    written, those stay that have the form of our own.

    Parameters
    ----------
    values : mapping of tag to raw value
        Attributes of :data:`READ`.
    codes : iterable of bytes
        Code Values of the De-identification Method Code Sequence as it came.
    encoding : Encoding
    options : frozenset of Option
    """
    came = values.get(TEMPORAL_MODIFIED, b"").decode("ascii", "replace").strip(" \0")
    temporal = temporal_information(options, came).encode("ascii")
    return {
        RECOGNIZABLE_VISUAL_FEATURES: b"",
        PATIENT_IDENTITY_REMOVED: encoding.element(PATIENT_IDENTITY_REMOVED, "CS", b"YES"),
        DEIDENTIFICATION_METHOD: Sealed(
            DEIDENTIFICATION_METHOD, "LO", encoding, _texts(values.get(DEIDENTIFICATION_METHOD, b""), options)
        ),
        METHOD_CODE_SEQUENCE: sequence(METHOD_CODE_SEQUENCE, _items(codes, encoding, options), encoding),
        TEMPORAL_MODIFIED: encoding.element(TEMPORAL_MODIFIED, "CS", temporal),
    }


def visual_features(values: Mapping[int, bytes], encoding: Encoding, options: Options) -> bytes:
    """Return Recognizable Visual Features (0028,0302) of an image: NO only where none are seen or they were cleaned."""
    came = values.get(RECOGNIZABLE_VISUAL_FEATURES, b"").strip(b" \0") == b"YES"
    cleaned = Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES in options
    told = b"YES" if not cleaned and (came or may_be_recognizable(values)) else b"NO"
    return encoding.element(RECOGNIZABLE_VISUAL_FEATURES, "CS", told)


def _texts(came: bytes, options: Options) -> tuple[str, ...]:
    own = METHOD + (_WITH_OPTIONS if options else "")
    earlier = [text.strip(" \0") for text in came.decode("ascii", "replace").split("\\")]
    kept = [text for text in dict.fromkeys(earlier) if _OWN.fullmatch(text) and text != own]
    return (*kept[-_MOST_EARLIER:], own)


def _items(codes: Iterable[bytes], encoding: Encoding, options: Options) -> bytes:
    known = {code.value: code for code in (PROFILE, *CODES.values())}
    earlier = (code.decode("ascii", "replace").strip(" \0") for code in codes)
    ours = (PROFILE.value, *sorted(CODES[option].value for option in options))
    values = dict.fromkeys(value for value in (*earlier, *ours) if value in known)
    return b"".join(coded_item(known[value], encoding) for value in values)
