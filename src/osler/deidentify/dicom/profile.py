"""What happens to each attribute: the basic profile of PS3.15, with "unknown means remove" around it.

An attribute goes through these questions, and the first answer counts:

1. Is it private, a group length, an overlay, a curve, or does it not belong into a dataset? It is removed.
2. Does table E.1-1 have a row for it? The row's action; where the row leaves a choice, the mildest one that keeps the
   image IODs conformant: X for type 3, Z for type 2, D for type 1 (PS3.15 E.1.1 asks for exactly this).
3. Does the data dictionary know it? If not, it is removed.
4. Can its value be shown to be harmless by its form (:mod:`osler.deidentify.dicom.forms`)? Then it is kept. Otherwise
   it is removed, emptied or replaced by a dummy, again by its type.

References
----------
DICOM PS3.15 E.1.1, table E.1-1a (action codes) and table E.1-1
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pydicom.datadict import dictionary_VM

from osler.deidentify.dicom.forms import REMOVED
from osler.standards.confidentiality import basic_action, image_types
from osler.standards.dicom_stream import dictionary


class Action(StrEnum):
    """What to do with an attribute; the letters are those of PS3.15 table E.1-1a."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    REPLACE_UID = "U"
    CHECK = "K"


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with one attribute.

    Parameters
    ----------
    action : Action
        ``CHECK`` keeps a value that has a harmless form.
    clause : str
        Name of the reason, for the report.
    vrs : str
        Value representations of the data dictionary, as ``"US or SS"``; empty when unknown.
    otherwise : Action
        For ``CHECK``: what to do with any other value.
    most : int
        Largest value multiplicity of the data dictionary, 0 when it has no limit.
    """

    action: Action
    clause: str
    vrs: str = ""
    otherwise: Action = Action.REMOVE
    most: int = 0


_STRENGTH = {"X": 0, "Z": 1, "D": 2}
_NEEDED = {"": 0, "2": 1, "2C": 1, "1": 2, "1C": 2}


@lru_cache(maxsize=16384)
def rule(tag: int, *, nested: bool) -> Rule:
    """Return what happens to an attribute in the dataset itself, or (``nested``) in an item of a sequence."""
    group, vrs = tag >> 16, dictionary().get(tag, "")
    if group % 2:
        return Rule(Action.REMOVE, "private")
    if group < 0x0008 or not tag & 0xFFFF:
        return Rule(Action.REMOVE, "not-of-a-dataset")
    if group & 0xFF00 in (0x5000, 0x6000):
        return Rule(Action.REMOVE, "curve-or-overlay")
    needed = _NEEDED[image_types().get(tag, ("", ""))[nested]]
    action = basic_action(tag)
    if action is not None:
        chosen = Action.REPLACE_UID if "U" in action else _mildest(action.replace("/", ""), needed)
        if chosen is Action.DUMMY and vrs == "UI":
            chosen = Action.REPLACE_UID
        return Rule(chosen, f"table-e.1-1-{chosen.lower()}", vrs)
    if not vrs:
        return Rule(Action.REMOVE, "unknown")
    if tag in REMOVED:
        return Rule(Action.REMOVE, "unsafe", vrs)
    return Rule(Action.CHECK, "form", vrs, _mildest("XZD", needed), _most(tag))


def _most(tag: int) -> int:
    last = dictionary_VM(tag).rpartition("-")[2]
    return int(last) if last.isdigit() else 0


def _mildest(allowed: str, needed: int) -> Action:
    strong_enough = [letter for letter in allowed if _STRENGTH[letter] >= needed]
    return Action((strong_enough or [allowed[-1]])[0])
