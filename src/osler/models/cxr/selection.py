"""Which images of a study the model reads, from headers alone, and why it does not read the rest.

Every reason names the rule, never a value from the data. An absent attribute refuses nothing here but the modality: the
out-of-distribution score sees the pixels later.
"""

import re
from collections.abc import Callable
from typing import Final

import pydicom
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)

from osler.domain.states import AgeBand
from osler.models.cxr.pixels import READ_ERRORS
from osler.plugins import Case, Selection, Study

MODALITIES: Final = ("CR", "DX", "RG")

SOP_CLASSES: Final = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,  # how a film digitiser's RG images are stored
)

FRONTAL_VIEWS: Final = ("AP", "PA")
"""View Position (0018,5101), first word (PS3.3 C.8.1.1, C.8.11.5)."""

FRONTAL_VIEW_CODES: Final = {
    ("399348003", "SCT"): "antero-posterior",
    ("272479007", "SCT"): "postero-anterior",
    ("399033003", "SCT"): "frontal",
    ("R-10206", "SRT"): "antero-posterior",
    ("R-10214", "SRT"): "postero-anterior",
    ("R-10206", "SNM3"): "antero-posterior",
    ("R-10214", "SNM3"): "postero-anterior",
}
"""View Code Sequence (0054,0220), of CID 4010 (PS3.16)."""

CHEST_PARTS: Final = ("CHEST", "THORAX", "LUNG", "LUNGS")
"""Body Part Examined (0018,0015), of PS3.16 annex L."""

CHEST_CODES: Final = {
    ("51185008", "SCT"): "chest",
    ("43799004", "SCT"): "thoracic cavity",
    ("39607008", "SCT"): "lung",
    ("T-D3000", "SRT"): "chest",
    ("T-28000", "SRT"): "lung",
    ("T-D3000", "SNM3"): "chest",
    ("T-28000", "SNM3"): "lung",
}
"""Anatomic Region Sequence (0008,2218), of CID 4009 (PS3.16)."""

CHILD_BANDS: Final = frozenset(AgeBand) - {AgeBand.ADULT, AgeBand.UNKNOWN}

BANDS_BY_DAYS: Final = (
    (28, AgeBand.NEONATE),
    (365.25, AgeBand.INFANT),
    (6 * 365.25, AgeBand.YOUNG_CHILD),
    (12 * 365.25, AgeBand.CHILD),
    (18 * 365.25, AgeBand.ADOLESCENT),
)
"""Upper ends of the bands, in days, exclusive."""

DAYS_IN: Final = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
"""Units of an Age String (PS3.5 6.2)."""


def select(study: Study, *, age_policy: str) -> Selection:
    """Make a case of each readable image, and refuse the series that have none.

    Parameters
    ----------
    study : Study
    age_policy : str
        ``"intended"``, ``"unknown"`` or ``"any"``, see :class:`osler.plugins.LoadContext`.
    """
    cases: list[Case] = []
    refused: dict[str, str] = {}
    for instance in study.instances:
        try:
            header = instance.header()
            age = age_band(header, study.age_band)
            reason = image_refusal(header) or age_refusal(age, age_policy)
        except READ_ERRORS:  # values are parsed when they are asked for, so the rules too may meet damage
            refused.setdefault(instance.series_instance_uid, "the header cannot be read")
            continue
        if reason:
            refused.setdefault(instance.series_instance_uid, reason)
        else:
            cases.append(Case(instance.series_instance_uid, (instance,), outside_intended_use(age)))
    read = {case.series_instance_uid for case in cases}
    return Selection(tuple(cases), {uid: reason for uid, reason in refused.items() if uid not in read})


def image_refusal(header: pydicom.Dataset) -> str | None:
    """Why the image is none that the model reads, or None when it is one."""
    for rule in RULES:
        if reason := rule(header):
            return reason
    return None


def _kind(header: pydicom.Dataset) -> str | None:
    if header.get("Modality") not in MODALITIES:
        return "not a projection radiograph (modality CR, DX or RG)"
    if header.get("PresentationIntentType") == "FOR PROCESSING":
        return "the image is for processing, not for presentation"
    if header.get("SOPClassUID", ComputedRadiographyImageStorage) not in SOP_CLASSES:
        return "not a radiograph's SOP class"
    return None


def _pixels(header: pydicom.Dataset) -> str | None:
    if not header.get("Rows") or not header.get("Columns"):
        return "there is no image"
    if str(header.get("NumberOfFrames") or 1) != "1":
        return "the image has several frames"
    return None


def _body_part(header: pydicom.Dataset) -> str | None:
    words = re.split(r"[^A-Z]+", str(header.get("BodyPartExamined") or "").upper().strip())
    if words != [""] and words[0] not in CHEST_PARTS:
        return "body part is not the chest"
    if not _code_among(header, "AnatomicRegionSequence", CHEST_CODES):
        return "anatomic region is not the chest"
    return None


def _view(header: pydicom.Dataset) -> str | None:
    words = re.split(r"[^A-Z]+", str(header.get("ViewPosition") or "").upper().strip())
    if words != [""] and words[0] not in FRONTAL_VIEWS:
        return "not a frontal view (AP or PA)"
    if not _code_among(header, "ViewCodeSequence", FRONTAL_VIEW_CODES):
        return "not a frontal view (AP or PA)"
    orientation = header.get("PatientOrientation") or ("L", "F")
    # Patient Orientation (0020,0020): the rows of a frontal image run to the patient's left or right (C.7.6.1.1.1).
    if str(orientation[0])[:1] in ("A", "P"):
        return "lateral view: the rows run from front to back"
    return None


RULES: Final[tuple[Callable[[pydicom.Dataset], str | None], ...]] = (_kind, _pixels, _body_part, _view)


def _code_among(header: pydicom.Dataset, keyword: str, codes: dict[tuple[str, str], str]) -> bool:
    """Whether the first item's code is one of these; an absent or empty sequence says nothing against it."""
    sequence = header.get(keyword)
    if not sequence:
        return True
    item = sequence[0]
    return (str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", ""))) in codes


def age_band(header: pydicom.Dataset, of_study: AgeBand) -> AgeBand:
    """Patient's Age (0010,1010) when the header has a valid one, else what the study says."""
    parts = re.fullmatch(r"(\d{3})([DWMY])", str(header.get("PatientAge") or "").strip())
    if not parts:
        return of_study
    # An age in whole units is at least that old; the half unit keeps 12 months on the side of one year.
    days = (int(parts[1]) + 0.01) * DAYS_IN[parts[2]]
    return next((band for end, band in BANDS_BY_DAYS if days < end), AgeBand.ADULT)


def age_refusal(age: AgeBand, age_policy: str) -> str | None:
    """Why a patient of this age is not read under the site's policy, or None."""
    if age is AgeBand.ADULT and age_policy != "any":
        return "adult: intended for children only"
    if age is AgeBand.UNKNOWN and age_policy not in ("unknown", "any"):
        return "age unknown: intended for children only"
    return None


def outside_intended_use(age: AgeBand) -> tuple[str, ...]:
    """Say what a result must carry when a case is read although the age is not that of the training images."""
    if age is AgeBand.YOUNG_CHILD:
        return ()
    if age is AgeBand.ADULT:
        return ("outside the intended population: adult",)
    if age is AgeBand.UNKNOWN:
        return ("age unknown: intended for children only",)
    return ("trained on ages 1 to 5 years",)
