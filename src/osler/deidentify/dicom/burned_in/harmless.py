"""What burned-in text may stay: a grammar of what certainly tells nothing of a person.

All that it does not know goes. A date, a time, a bare number of four digits or more and any word that is not listed
here are not in it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

CONFIDENT = 0.9
"""Least confidence, 0 to 1, with which a text must have been read for it to stay."""

_NUMBER = r"[-+]?\d{1,3}(?:[.,]\d)?"
_AMOUNT = (
    r"(?:[-+]?\d{1,4}(?:[.,]\d{1,2})? ?"
    r"(?:mm|cm|mm/s|cm/s|m/s|kHz|MHz|Hz|fps|dB|%|kVp?|mAs?|ms|sec|s|HU|bpm|uGy|mGy|mSv|deg|°))"
)
_WORD = (
    r"(?:kVp?|mAs?|Gain|Gn|Pwr|PWR|Power|Freq|FR|PRF|WF|Depth|DR|MI|TIS|TIB|TIC|Zoom|Scale|WW|WL|TR|TE|FOV|NEX|Persist"
    r"|Map|Dyn|2D|CF|PW|CW|THI|Frame|Slice|Thk|Angle|Dist)"
)
_SETTING = rf"(?:{_WORD}(?: ?[:=<]? ?(?:{_AMOUNT}|[-+]?\d{{1,4}}(?:[.,]\d{{1,2}})?))?)"
_HARMLESS = re.compile(rf"{_NUMBER}|{_AMOUNT}|{_SETTING}(?: {_SETTING}){{0,3}}")
_AXES = {"L": 0, "R": 0, "A": 1, "P": 1, "H": 2, "F": 2, "S": 2, "I": 2}
_YEAR = re.compile(r"(?:18|19|20)\d\d")
_WORDS = re.compile(r"[^\W\d_]+|\d+")


def is_harmless(text: str, confidence: float, *, known: frozenset[str] = frozenset()) -> bool:
    """Whether a burned-in text certainly tells nothing of a person.

    Parameters
    ----------
    text : str
        As it was read.
    confidence : float
        Of the reading, 0 to 1.
    known : frozenset of str
        What :func:`known_words` found.
    """
    if confidence < CONFIDENT or _YEAR.search(text):
        return False
    if not _is_orientation(text) and not _HARMLESS.fullmatch(text):
        return False
    return not any(word.casefold() in known for word in _WORDS.findall(text))


def known_words(known: Mapping[str, Any]) -> frozenset[str]:
    """Return the words and numbers of what is known of the patient, in lower case; single letters are left out.

    An orientation mark is a letter or two, as an initial is: only words of three and numbers of two characters count.
    """
    found = (word.casefold() for text in _strings(known) for word in _WORDS.findall(text))
    return frozenset(word for word in found if len(word) > 2 or (len(word) == 2 and word.isdigit()))


def _is_orientation(text: str) -> bool:
    """Whether a text is an orientation (PS3.3 C.7.6.1.1.1): a letter of each of up to three axes."""
    axes = [_AXES.get(letter) for letter in text]
    return 0 < len(axes) <= 3 and None not in axes and len(set(axes)) == len(axes)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for inner in value:
            yield from _strings(inner)
