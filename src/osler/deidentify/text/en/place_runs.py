"""What the model finds of places, made whole, and without what may stay."""

import re
from collections.abc import Sequence
from typing import Final

from osler.deidentify.text.en.features import case_of
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.places import STATE_NAME
from osler.deidentify.text.en.towns import OTHERWISE, SCORED
from osler.deidentify.text.en.wordlists import countries, load_places
from osler.deidentify.text.engine import Document, Token

THRESHOLD_IN_SMALLS: Final = 0.5
"""Probability that a place without a capital must have; one word that the gazetteer has not must be sure."""

SURE: Final = 0.9
"""Probability that a place of a few capitals must have, since abbreviations look the same: new drugs, in smalls."""


def add_joints(tokens: Sequence[Token], places: dict[int, float]) -> None:
    """Add what belongs to a place by its form: "N" before a road, the number of a house, "of" between two parts."""
    for i in sorted(places):
        before = tokens[i - 1] if i > 0 else None
        if before is None or i - 1 in places:
            continue
        if before.text in _DIRECTIONS or (before.text in _JOINTS and i - 2 in places):
            places[i - 1] = places[i]
        if i - 1 in places and i > 1:
            i, before = i - 1, tokens[i - 2]
        is_house = before.text.isdigit() and 3 <= len(before.text) <= 5 and not before.text.startswith(("19", "20"))
        if is_house and (i < 2 or tokens[i - 2].text.lower() in _ADDRESSES):
            places[i - 1] = places[i]


_DIRECTIONS: Final = frozenset({"N", "S", "E", "W", "NE", "NW", "SE", "SW", "North", "South", "East", "West"})
_GRADES: Final = frozenset({" A", " B", " C", " D"})
"""What ends the grade of a score that is named for a town ("Los Angeles B")."""

_LONGEST_ABBREVIATION: Final = 5
_JOINTS: Final = frozenset({"of", "&", "de", "la", "del", "the"})
_ADDRESSES: Final = frozenset({"at", "to", "from", "address", "addr", ":", "@", "of", "home"})


def may_stay(document: Document, run: Sequence[int], chance: float) -> bool:
    """Tell whether a run is the name of a state or a country, or says too little: an abbreviation, a word in smalls."""
    tokens = document.tokens
    place = document.shadow.text[tokens[run[0]].start : tokens[run[-1]].end]
    lower = place.lower()
    if len(run) < 3 and SCORED.match(document.shadow.text, tokens[run[-1]].end):
        return True
    if place[-2:] in _GRADES or lower in countries() or lower in OTHERWISE or re.fullmatch(STATE_NAME, place.title()):
        return True
    if place.islower():
        known = len(run) > 1 or lower in load_places()
        return chance <= (THRESHOLD_IN_SMALLS if known else SURE)
    if not place.isupper() or len(place) > _LONGEST_ABBREVIATION or lower in load_places():
        return False
    return (chance < SURE or is_vocabulary(lower)) and case_of(document.shadow.text) != "U"
