"""A coded concept, as DICOM and FHIR both know it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One concept.

    Parameters
    ----------
    value : str
        Code value, e.g. ``"233604007"``.
    scheme : str
        DICOM coding scheme designator, e.g. ``"SCT"``, ``"DCM"``, ``"LN"`` (PS3.16 section 8).
    meaning : str
        Display text.
    """

    value: str
    scheme: str
    meaning: str
