"""The options of the Basic Application Level Confidentiality Profile, their codes, and which exclude each other.

References
----------
DICOM PS3.15 E.3 (options), PS3.16 CID 7050 (de-identification method)
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from osler.domain.codes import Code
from osler.errors import ConfigError


class Option(StrEnum):
    """An option of PS3.15 E.3, by its name in kebab-case."""

    CLEAN_PIXEL_DATA = "clean-pixel-data"
    CLEAN_RECOGNIZABLE_VISUAL_FEATURES = "clean-recognizable-visual-features"
    CLEAN_GRAPHICS = "clean-graphics"
    CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
    CLEAN_DESCRIPTORS = "clean-descriptors"
    RETAIN_LONGITUDINAL_FULL_DATES = "retain-longitudinal-full-dates"
    RETAIN_LONGITUDINAL_MODIFIED_DATES = "retain-longitudinal-modified-dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
    RETAIN_DEVICE_IDENTITY = "retain-device-identity"
    RETAIN_UIDS = "retain-uids"
    RETAIN_SAFE_PRIVATE = "retain-safe-private"
    RETAIN_INSTITUTION_IDENTITY = "retain-institution-identity"


Options = frozenset[Option]
NONE: Final[Options] = frozenset()

PROFILE: Final = Code("113100", "DCM", "Basic Application Confidentiality Profile")
CODES: Final[Mapping[Option, Code]] = {
    Option.CLEAN_PIXEL_DATA: Code("113101", "DCM", "Clean Pixel Data Option"),
    Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES: Code("113102", "DCM", "Clean Recognizable Visual Features Option"),
    Option.CLEAN_GRAPHICS: Code("113103", "DCM", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: Code("113104", "DCM", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: Code("113105", "DCM", "Clean Descriptors Option"),
    Option.RETAIN_LONGITUDINAL_FULL_DATES: Code(
        "113106", "DCM", "Retain Longitudinal Temporal Information Full Dates Option"
    ),
    Option.RETAIN_LONGITUDINAL_MODIFIED_DATES: Code(
        "113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: Code("113108", "DCM", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: Code("113109", "DCM", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: Code("113110", "DCM", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: Code("113111", "DCM", "Retain Safe Private Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: Code("113112", "DCM", "Retain Institution Identity Option"),
}
"""Codes of CID 7050."""

KEEP_TEXT: Final[Options] = frozenset(
    {
        Option.CLEAN_GRAPHICS,
        Option.CLEAN_STRUCTURED_CONTENT,
        Option.CLEAN_DESCRIPTORS,
        Option.RETAIN_PATIENT_CHARACTERISTICS,
        Option.RETAIN_DEVICE_IDENTITY,
        Option.RETAIN_INSTITUTION_IDENTITY,
    }
)
"""Options under which text of the input goes on, in its character set."""


def options_of(names: Iterable[str]) -> Options:
    """Return the options of these names.

    Raises
    ------
    ConfigError
        If a name is unknown, or two options exclude each other (PS3.15 E.3.6: dates are full or modified).
    """
    known = {option.value: option for option in Option}
    wanted = list(names)
    if not known.keys() >= set(wanted):
        raise ConfigError(f"there is no such option; there is {', '.join(sorted(known))}")
    options = frozenset(known[name] for name in wanted)
    if {Option.RETAIN_LONGITUDINAL_FULL_DATES, Option.RETAIN_LONGITUDINAL_MODIFIED_DATES} <= options:
        raise ConfigError(
            "dates can be retained in full or modified, not both: leave out retain-longitudinal-full-dates or "
            "retain-longitudinal-modified-dates"
        )
    return options


_TEMPORAL: Final = ("UNMODIFIED", "MODIFIED", "REMOVED")


def temporal_information(options: Options, came: str = "") -> str:
    """Return Longitudinal Temporal Information Modified (0028,0303).

    What came modified or removed does not become unmodified by being retained.

    Parameters
    ----------
    options : frozenset of Option
    came : str
        What the instance says of itself; empty, or any other word, when it says nothing.
    """
    own = "REMOVED"
    if Option.RETAIN_LONGITUDINAL_FULL_DATES in options:
        own = "UNMODIFIED"
    elif Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in options:
        own = "MODIFIED"
    return max(own, came if came in _TEMPORAL else own, key=_TEMPORAL.index)
