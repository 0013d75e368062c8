"""Clean Recognizable Visual Features: whether a picture may show a face.

Osler brings no tool that defaces: one that a site trusts is given as a command. Without one the option refuses what may
show a face, so that it waits for a person.

References
----------
DICOM PS3.15 E.3.2 (Clean Recognizable Visual Features Option), PS3.16 CID 7050 (113102)
"""

import re
from collections.abc import Mapping

MODALITY, BODY_PART = 0x00080060, 0x00180015
STUDY_DESCRIPTION, SERIES_DESCRIPTION, PROTOCOL_NAME = 0x00081030, 0x0008103E, 0x00181030
REQUESTED_PROCEDURE = 0x00321060
READ = frozenset({MODALITY, BODY_PART, STUDY_DESCRIPTION, SERIES_DESCRIPTION, PROTOCOL_NAME, REQUESTED_PROCEDURE})
"""Attributes, of the header as it came, that :func:`may_be_recognizable` looks at."""

_VOLUMES = frozenset({"CT", "MR", "PT", "NM"})
_PHOTOGRAPHS = frozenset({"XC", "GM", "DMS"})
_FLAT = frozenset({"CR", "DX", "MG", "US", "IVUS", "OCT", "SM", "XA", "RF", "PX", "IO", "ES", "OP", "OPT", "BMD"})
_ELSEWHERE = frozenset(
    [
        "ABDOMEN",
        "ABDOMENPELVIS",
        "ANKLE",
        "ARM",
        "BLADDER",
        "BREAST",
        "CALF",
        "CHEST",
        "ELBOW",
        "EXTREMITY",
        "FEMUR",
        "FINGER",
        "FOOT",
        "FOREARM",
        "HAND",
        "HEART",
        "HIP",
        "HUMERUS",
        "KIDNEY",
        "KNEE",
        "LEG",
        "LIVER",
        "LSPINE",
        "LUNG",
        "PANCREAS",
        "PELVIS",
        "PROSTATE",
        "RADIUS",
        "RIB",
        "SHOULDER",
        "SPLEEN",
        "TIBIA",
        "TOE",
        "TSPINE",
        "UTERUS",
        "WRIST",
    ]
)
_HEAD = re.compile(
    r"head|fac(?:e|ial)|brain|cereb|cran|skull|neuro|orbit|sinus|nas[ao]|maxill|mandib|jaw|dent|\bear\b|\beyes?\b|temporal"
    r"|pituit|sella|\biacs?\b|\btmj\b|neck|c-?spine|cervic|carotid|whole.?body|\bwb\b|stroke|kopf|sch(?:ä|ae)del|cabeza"
    r"|t[eê]te",
    re.IGNORECASE,
)


def may_be_recognizable(values: Mapping[int, bytes]) -> bool:
    """Whether the features of a person may be seen in, or rebuilt from, an instance.

    A CT, MR, PET or NM shows the head unless the header says that it is of another part. A photograph always may. A
    projection or an ultrasound does not show a surface. A modality that is not known here may.

    Parameters
    ----------
    values : mapping of tag to raw value
        Attributes of :data:`READ`.
    """
    modality = values.get(MODALITY, b"").strip(b" \0").decode("latin-1").upper()
    if modality in _FLAT:
        return False
    if modality in _PHOTOGRAPHS or modality not in _VOLUMES:
        return True
    words = " ".join(values.get(tag, b"").decode("latin-1") for tag in sorted(READ - {MODALITY})).replace("_", " ")
    if _HEAD.search(words):
        return True
    return values.get(BODY_PART, b"").strip(b" \0").decode("latin-1").upper() not in _ELSEWHERE
