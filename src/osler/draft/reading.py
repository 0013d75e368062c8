"""How hard an English text is to read: the Flesch-Kincaid grade (Kincaid et al. 1975), school years."""

import re
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\[([A-Z_]+)-\d+\]")
_WORD: Final = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)?|\d+(?:[.,/]\d+)*")
_SENTENCE: Final = re.compile(r"[.!?]+(?=\s|$)|\n+")
_VOWELS: Final = re.compile(r"[aeiouy]+")
_SILENT: Final = re.compile(r"(?:[bdfkmnprtvw]es|[^tdaeiouy]ed|[^l]e|[aeiouy]le)$")
_APART: Final = re.compile(r"(?<![cgstxl])i[ao]|(?<![gq])ua(?!r)")
_OTHERWISE: Final = {"diabetes": 4, "area": 3, "being": 2, "doing": 2, "idea": 3, "create": 2}


def reading_grade(text: str) -> float:
    """Return the Flesch-Kincaid grade of a text; 0 for a text without words.

    A placeholder counts as a word of one syllable, a number as one.
    """
    plain = _PLACEHOLDER.sub("Ann", text)
    sentences = [part for part in _SENTENCE.split(plain) if _WORD.search(part)]
    words = _WORD.findall(plain)
    if not words:
        return 0.0
    spoken = sum(map(syllables, words))
    return 0.39 * len(words) / len(sentences) + 11.8 * spoken / len(words) - 15.59


def syllables(word: str) -> int:
    """Return how many syllables a word has, as its letters tell; at least one."""
    low = word.lower().replace("'", "").replace("’", "")
    if not low.isalpha():
        return 1
    if low in _OTHERWISE:
        return _OTHERWISE[low]
    count = len(_VOWELS.findall(low)) + len(_APART.findall(low))
    if _SILENT.search(low) and not low.endswith(("ee", "ye")):
        count -= 1
    return max(1, count)
