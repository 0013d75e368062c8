"""What happens to each attribute, in words.

References
----------
DICOM PS3.15 table E.1-1a (action codes)
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from pydicom.datadict import dictionary_description

from osler.deidentify.dicom.options import NONE, Option, Options
from osler.deidentify.dicom.profile import Action, rule
from osler.standards.confidentiality import profile_rows
from osler.standards.dicom_stream import dictionary

_WORDS: Final[Mapping[Action, str]] = {
    Action.REMOVE: "removed",
    Action.EMPTY: "kept empty",
    Action.DUMMY: "replaced by a value that means nothing",
    Action.REPLACE_UID: "replaced by a pseudonymous UID, the same for the same",
    Action.CHECK: "kept where its value has a harmless form, and its items likewise; else removed",
    Action.KEEP: "kept as it is",
    Action.CLEAN: "kept without what may identify somebody",
    Action.MOVE: "moved by the same number of days for each patient",
}
_MANY: Final[Mapping[str, tuple[str, str]]] = {
    "GGGGEEEE": ("Private attributes", "removed"),
    "50XXXXXX": ("Curve data", "removed"),
    "60XX3000": ("Overlay data", "removed"),
    "60XX4000": ("Overlay comments", "removed"),
}
_OWN: Final[Mapping[int, str]] = {
    0x00080050: "replaced by a pseudonym, the same for the same accession",
    0x00100010: "replaced by the patient's pseudonym",
    0x00100020: "replaced by the patient's pseudonym, the same for the same patient",
}


class Described(NamedTuple):
    """One attribute, or one kind of them."""

    tag: str
    name: str
    what: str
    because: str


def describe(options: Options = NONE) -> list[Described]:
    """Return a row for each row of table E.1-1, and for what lies beyond it."""
    rows = []
    for row in profile_rows():
        if row.pattern in _MANY:
            name, what = _MANY[row.pattern]
            if row.pattern == "GGGGEEEE" and Option.RETAIN_SAFE_PRIVATE in options:
                what = "removed, but for the numbers of table E.3.10-1"
            if row.pattern == "60XX3000" and Option.CLEAN_GRAPHICS in options:
                what = "kept with its size and place where no text is found in it; else removed"
            rows.append(Described(row.pattern, name, what, "table E.1-1"))
            continue
        tag = int(row.pattern, 16)
        decided = rule(tag, nested=False, options=options)
        what = _OWN.get(tag) or _WORDS[decided.action]
        if decided.clause == Option.RETAIN_UIDS and decided.action is Action.REPLACE_UID:
            what = "kept as it is"
        because = decided.clause if decided.clause in set(Option) else f"table E.1-1: {row.basic}"
        name = dictionary_description(tag) if tag in dictionary() else row.keyword
        rows.append(Described(f"({tag >> 16:04X},{tag & 0xFFFF:04X})", name, what, because))
    rows.append(Described("", "Any other attribute of the data dictionary", _WORDS[Action.CHECK], "unknown is removed"))
    rows.append(Described("", "Any attribute that the data dictionary does not know", "removed", "unknown is removed"))
    return rows
