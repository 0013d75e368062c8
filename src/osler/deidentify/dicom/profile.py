"""What happens to each attribute: the basic profile of PS3.15, with "unknown means remove" around it.

An attribute goes through these questions, and the first answer counts:

1. Is it private, a group length, an overlay, a curve, or does it not belong into a dataset? It is removed.
2. Does table E.1-1 have a row for it? What the options in force say; where two of them differ, to clean goes before to
   keep. Else the row's action; where the row leaves a choice, the mildest one that keeps the image IODs conformant: X
   for type 3, Z for type 2, D for type 1 (PS3.15 E.1.1 asks for exactly this).
3. Does the data dictionary know it? If not, it is removed.
4. Can its value be shown to be harmless by its form (:mod:`osler.deidentify.dicom.forms`)? Then it is kept. Otherwise
   it is cleaned, where an option cleans texts of its kind, or removed, emptied or replaced by a dummy, by its type.

References
----------
DICOM PS3.15 E.1.1, table E.1-1a (action codes) and table E.1-1
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pydicom.datadict import dictionary_VM

from osler.deidentify.dicom.forms import REMOVED, VERIFICATION_FLAG
from osler.deidentify.dicom.options import KEEP_TEXT, NONE, Option, Options
from osler.standards.confidentiality import basic_action, image_types, option_actions
from osler.standards.dicom_stream import dictionary


class Action(StrEnum):
    """What to do with an attribute; the letters are those of PS3.15 table E.1-1a."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    REPLACE_UID = "U"
    CHECK = "form"
    KEEP = "K"
    CLEAN = "C"
    MOVE = "M"


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with one attribute.

    Parameters
    ----------
    action : Action
        ``CHECK`` keeps a value that has a harmless form, ``CLEAN`` what the text cleaner leaves of it, ``MOVE`` a date
        some days away.
    clause : str
        Name of the reason, for the report.
    vrs : str
        Value representations of the data dictionary, as ``"US or SS"``; empty when unknown.
    otherwise : Action
        For ``CHECK``, ``KEEP``, ``CLEAN`` and ``MOVE``: what to do when that cannot be done.
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
_TEXT = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
_MOMENTS = frozenset({"DA", "DT", "TM"})
_MOVED = Option.RETAIN_LONGITUDINAL_MODIFIED_DATES
_CHARACTER_SET = 0x00080005
_TEXT_VALUE = 0x0040A160
_LABELS = frozenset(
    {
        _TEXT_VALUE,
        0x00620005,  # Segment Label
        0x30060002,  # Structure Set Label
        0x300A0002,  # RT Plan Label
        0x00700002,  # Graphic Layer
        0x00700080,  # Content Label
    }
)
"""Attributes that must have a value in objects that are no images."""
_EMPTY = frozenset(
    {
        0x00081070,  # Operators' Name
        0x300600A4,  # RT ROI Interpreted Type
        0x300A00B2,  # Treatment Machine Name
    }
)
"""Attributes that must be there, empty or not, in objects that are no images."""
_VERIFICATION = {0x0040A073: Action.REMOVE, VERIFICATION_FLAG: Action.DUMMY}
"""Who verified a document is not told, so that the document is told to be unverified."""
_GRAPHICS = 0x0070


@lru_cache(maxsize=65536)
def rule(tag: int, *, nested: bool, options: Options = NONE) -> Rule:
    """Return what happens to an attribute in the dataset itself, or (``nested``) in an item of a sequence."""
    group, vrs = tag >> 16, dictionary().get(tag, "")
    never = _never(group, tag)
    if never:
        return Rule(Action.REMOVE, never)
    if Option.CLEAN_STRUCTURED_CONTENT in options and tag in _VERIFICATION:
        return Rule(_VERIFICATION[tag], "verification", vrs)
    needed = _NEEDED[image_types().get(tag, ("", ""))[nested]]
    if options:  # without any, only images are let through
        needed = max(needed, 2 * (tag in _LABELS), 1 * (tag in _EMPTY))
    basic = basic_action(tag)
    if basic is not None:
        return _of_option(tag, vrs, needed, options) or _of_table(basic, vrs, needed)
    if not vrs:
        return Rule(Action.REMOVE, "unknown")
    if tag == _CHARACTER_SET and options & KEEP_TEXT:
        return Rule(Action.KEEP, "character-set", vrs)
    if tag in REMOVED:
        return Rule(Action.REMOVE, "unsafe", vrs)
    otherwise = _mildest("XZD", needed)
    if vrs in _TEXT and _cleans(tag, options):
        return Rule(Action.CLEAN, "text", vrs, otherwise, _most(tag))
    return Rule(Action.CHECK, "form", vrs, otherwise, _most(tag))


def _never(group: int, tag: int) -> str:
    """Return why an attribute never goes on; empty for one that may."""
    if group % 2:
        return "private"
    if group < 0x0008 or not tag & 0xFFFF:
        return "not-of-a-dataset"
    return "curve-or-overlay" if group & 0xFF00 in (0x5000, 0x6000) else ""


def _of_table(basic: str, vrs: str, needed: int) -> Rule:
    chosen = Action.REPLACE_UID if "U" in basic else _mildest(basic.replace("/", ""), needed)
    if chosen is Action.DUMMY and vrs == "UI":
        chosen = Action.REPLACE_UID
    return Rule(chosen, f"table-e.1-1-{chosen.lower()}", vrs)


def _of_option(tag: int, vrs: str, needed: int, options: Options) -> Rule | None:
    """Return the rule of the options that have a say; None when none has."""
    cells = {option: action for option, action in option_actions()[tag].items() if option in options}
    otherwise = _of_option_otherwise(tag, needed)
    if not cells:
        cleaned = vrs in _TEXT and tag >> 16 == _GRAPHICS and Option.CLEAN_GRAPHICS in options
        return Rule(Action.CLEAN, Option.CLEAN_GRAPHICS, vrs, Action.DUMMY) if cleaned else None
    if vrs == "SQ":
        return Rule(Action.CHECK, next(iter(cells)), vrs, otherwise)
    if _MOVED in cells and vrs in _MOMENTS:
        return Rule(Action.KEEP if vrs == "TM" else Action.MOVE, _MOVED, vrs, otherwise)
    if _MOVED in cells:
        return Rule(Action.KEEP, _MOVED, vrs, otherwise)
    if Option.RETAIN_UIDS in cells:
        return Rule(Action.REPLACE_UID, Option.RETAIN_UIDS, vrs)
    clean = next((option for option, action in cells.items() if action == "C"), None)
    if clean is not None:
        return Rule(Action.CLEAN, clean, vrs, otherwise)
    return Rule(Action.KEEP, next(iter(cells)), vrs, otherwise)


def _of_option_otherwise(tag: int, needed: int) -> Action:
    """Return what happens where an option can neither keep nor clean: the row's own action, if the type allows it."""
    letters = [letter for letter in "XZD" if letter in (basic_action(tag) or "")]
    fits = any(_STRENGTH[letter] >= needed for letter in letters)
    return _mildest("".join(letters) if fits else "XZD", needed)


def _cleans(tag: int, options: Options) -> bool:
    """Whether an option cleans a text that the table does not know."""
    if Option.CLEAN_DESCRIPTORS in options:
        return True
    if tag == _TEXT_VALUE:
        return Option.CLEAN_STRUCTURED_CONTENT in options
    return Option.CLEAN_GRAPHICS in options and tag >> 16 == _GRAPHICS


def _most(tag: int) -> int:
    last = dictionary_VM(tag).rpartition("-")[2]
    return int(last) if last.isdigit() else 0


def _mildest(allowed: str, needed: int) -> Action:
    strong_enough = [letter for letter in allowed if _STRENGTH[letter] >= needed]
    return Action((strong_enough or [allowed[-1]])[0])
