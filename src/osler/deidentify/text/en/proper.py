"""What words in capitals say of themselves: names, by their not being clinical, common, or a department's."""

import re
from typing import Final

from osler.deidentify.text.en.facilities import GENERIC
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.wordlists import countries, load_lexicon
from osler.deidentify.text.en.written_dates import MONTH_NAMES

KNOWN: Final = frozenset("mdoaetrkcvlh")
"""Codes of words that are no names, or names of another thing than a person or a place."""
STOP: Final = frozenset(
    """
    the this that his her their our my a an no in on at by to from for with and or when if after before called call
    local outside another any each new old via per see saw left right upper lower bilateral anterior posterior
    dr mr mrs ms st may will she he they we it pt patient was is had has
    """.split()  # noqa: SIM905
) | frozenset(MONTH_NAMES)
_NO_SITE: Final = frozenset(
    """
    instagram facebook twitter tiktok snapchat youtube reddit decedent probate
    mondays tuesdays wednesdays thursdays fridays saturdays sundays
    """.split()  # noqa: SIM905
)
_WILD: Final = frozenset("river canyon bay reservoir mountain ranch marina campground lagoon".split())  # noqa: SIM905
"""Features that name nothing in medicine."""

_LANGUAGE: Final = re.compile(r"(?:ese|ish|ian|ean|ch|can|ic|ali|alog|ong|indi|rdu|ajo|arsi|ew|eek|ili|uese)$")


def words_of(match: re.Match[str]) -> list[str]:
    """Return the words of the value in lower case, single letters apart."""
    return [word.lower() for word in re.findall(r"[\w'\-]{2,}", match["v"])]


def _is_drug(word: str) -> bool:
    return "d" in load_lexicon().get(word, ())


def is_clinical(word: str) -> bool:
    """Tell whether a lower-case word is of medicine: a disease, a drug or an eponym."""
    return not {"m", "d", "e"}.isdisjoint(load_lexicon().get(word, ()))


def names_one(match: re.Match[str]) -> bool:
    """Tell whether the words before a noun name the place: neither all of them departments, nor a sentence's start."""
    words = words_of(match)
    lead = words[:-1] or words
    if words[0] in STOP or GENERIC.issuperset(lead):
        return False
    return words[-1] in _WILD or not all(map(is_clinical, lead))


def is_proper(match: re.Match[str]) -> bool:
    """Tell whether the value does not begin as a sentence does, and one of its words is no word of the language."""
    words = words_of(match)
    return bool(words) and words[0] not in STOP and any(not is_vocabulary(w) and w not in GENERIC for w in words)


def is_proper_no_drug(match: re.Match[str]) -> bool:
    """Tell the same, and that none of its words is a drug."""
    words = words_of(match)
    return bool(words) and words[0] not in STOP and not any(map(_is_drug, words)) and is_proper(match)


def is_unusual(match: re.Match[str]) -> bool:
    """Tell whether a word with a capital inside a sentence is no clinical, common or foreign word: so it is a name."""
    word = re.sub(r"'s$", "", match["v"].split()[-1].lower())
    codes = load_lexicon().get(word, ())
    if not KNOWN.isdisjoint(code[0] for code in codes) or not {"w0", "w1"}.isdisjoint(codes):
        return False
    if word in _NO_SITE:
        return False
    return word not in countries() and word not in GENERIC and word not in MONTH_NAMES and not _LANGUAGE.search(word)


def is_odd(word: str) -> bool:
    """Tell whether a word in lower case is no word of the language that a sentence would use, and no country."""
    codes = load_lexicon().get(word, ())
    if word in STOP or word in GENERIC or word in countries() or is_vocabulary(word):
        return False
    return KNOWN.isdisjoint(code[0] for code in codes) and {"w0", "w1"}.isdisjoint(codes)
