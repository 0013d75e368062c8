"""What an imaging order asks for, read from its words: modality, region and contrast.

Orders come with the codes of each site, but nearly always with words (a LOINC or CPT display, or the name in the
catalogue). The words decide; what they do not say is unknown.
"""

import re
from dataclasses import dataclass
from typing import Final

from osler.clinical.contrast import Medium

_MODALITIES: Final = (
    ("CT", r"\bCTA?\b|\bcomputed tomography\b|\bCAT scan\b"),
    ("MR", r"\bMR[IA]?\b|\bmagnetic resonance\b"),
    ("XR", r"\bXR\b|\bX-?rays?\b|\bradiograph\w*\b|\bCXR\b|\bplain film\b|\bviews?\b"),
    ("US", r"\bUS\b|\bultrasound\w*\b|\bsonogra\w+\b"),
    ("NM", r"\bPET\b|\bscintigra\w+\b|\bSPECT\b"),
    ("MG", r"\bmammogra\w+\b"),
)
_REGIONS: Final = (
    ("chest", r"\bchest\b|\bthora\w+\b|\blungs?\b|\bpulmonary\b|\bCXR\b|\bribs?\b"),
    ("head", r"\bhead\b|\bbrain\b|\bcranial\b|\bskull\b"),
    ("neck", r"\bneck\b|\bcarotids?\b"),
    ("spine", r"\bspine\b|\bcervical\b|\blumbar\b|\bsacr\w+\b"),
    ("abdomen", r"\babdom\w+\b|\bliver\b|\brenal\b|\bkidneys?\b|\bpancrea\w+\b"),
    ("pelvis", r"\bpelvi\w+\b|\bhips?\b"),
    ("breast", r"\bbreasts?\b|\bmammogra\w+\b"),
    ("heart", r"\bheart\b|\bcardiac\b|\bcoronary\b"),
    ("limb", r"\bknees?\b|\bankles?\b|\bfoot\b|\bhands?\b|\bwrists?\b|\belbows?\b|\bshoulders?\b|\bfemur\b|\btibia\b"),
)
_WITH_CONTRAST: Final = re.compile(
    r"\b(?:w|with)\b(?!\s*/?\s*(?:o|out)\b)[^.;]{0,12}?\b(?:contrast|IV|gadolinium)\b|\bw/\s*(?:contrast|IV)\b|"
    r"\bcontrast[- ]enhanced\b|\bW\s*(?:and|&|/)?\s*W/?O\b|\bangiogra\w+\b|\bC[TM][AR]A\b|\bCTA\b",
    re.IGNORECASE,
)
_COMPILED: Final = {
    kind: tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in table)
    for kind, table in (("modality", _MODALITIES), ("region", _REGIONS))
}
DICOM_MODALITIES: Final = {
    "CT": frozenset({"CT"}),
    "MR": frozenset({"MR"}),
    "XR": frozenset({"CR", "DX", "RF"}),
    "US": frozenset({"US"}),
    "NM": frozenset({"NM", "PT"}),
    "MG": frozenset({"MG"}),
}
"""Values of Modality (0008,0060) by the modality of an order."""
_MEDIA: Final = {"CT": Medium.IODINATED, "XR": Medium.IODINATED, "MR": Medium.GADOLINIUM}


@dataclass(frozen=True, slots=True)
class ImagingOrder:
    """An order for imaging.

    Parameters
    ----------
    modality : str
        A key of :data:`DICOM_MODALITIES`.
    regions : frozenset of str
        Parts of the body; empty when the words name none.
    medium : Medium or None
        The contrast medium, when one is asked for.
    """

    modality: str
    regions: frozenset[str]
    medium: Medium | None


def read_order(words: str) -> ImagingOrder | None:
    """Read the words of an order; None when they name no imaging."""
    text = words[:1000]
    modality = next((name for name, pattern in _COMPILED["modality"] if pattern.search(text)), None)
    if modality is None:
        return None
    medium = _MEDIA.get(modality) if _WITH_CONTRAST.search(text) else None
    return ImagingOrder(modality, regions_of(text), medium)


def regions_of(words: str) -> frozenset[str]:
    """Return the parts of the body that words name."""
    return frozenset(name for name, pattern in _COMPILED["region"] if pattern.search(words[:1000]))


def comparable(order: ImagingOrder, *, modalities: frozenset[str], words: str) -> bool:
    """Tell whether a study that exists shows what an order asks for.

    Parameters
    ----------
    order : ImagingOrder
    modalities : frozenset of str
        Values of Modality (0008,0060) of the study.
    words : str
        Its description, and the body parts of its series.
    """
    if not modalities & DICOM_MODALITIES[order.modality]:
        return False
    return bool(order.regions & regions_of(words))
