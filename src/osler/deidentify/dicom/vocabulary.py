"""Which words a description may have. A word that is not known to be innocent is taken for a name.

A description has little around it by which a sentence would tell a name from a word, so the question is turned around:
body parts, the standard's terms, protocol words and ordinary words that are nobody's name pass; nothing else does.
"""

import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from osler.deidentify.text.en.wordlists import load_lexicon
from osler.standards.confidentiality import body_parts, code_words

_COMMON_NAMES: Final = frozenset({"g0", "g1", "s0", "s1", "e"})
_GIVEN: Final = frozenset({"g0", "g1"})
_SURNAME: Final = frozenset({"s0", "s1"})
_RARE_NAMES: Final = frozenset({"g2", "s2", "s3"})
_ORDINARY: Final = frozenset({"w0", "w1", "m", "d"})
_NO_NAME_IN_LOWER_CASE: Final = frozenset({"m", "w0"})
_CAMEL: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NAMED_FOR_PEOPLE: Final = frozenset(
    [
        "block",
        "catheter",
        "cyst",
        "injury",
        "malformation",
        "method",
        "notch",
        "projection",
        "ring",
        "score",
        "view",
        "views",
        "zone",
    ]
)
_CLINICAL: Final = re.compile(
    r"[a-z]{3,}(?:itis|osis|graphy|grams?|ectomy|scopy|plasty|pathy|algia|stomy|ifying|ified|i[sz]ation|phageal|metry|logy)"
)
"""Words that medicine makes anew and lists of words lack."""

_LEAST_PART: Final = 3


def fold(word: str) -> str:
    """Return a word in lower case, without accents and in plain letters."""
    plain = unicodedata.normalize("NFKD", word.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in plain if not unicodedata.combining(c)))


@cache
def protocol_words() -> frozenset[str]:
    """Return the folded words of descriptions: clinical ones and those of devices and protocols."""
    text = files("osler.deidentify.dicom.data").joinpath("protocol_words.txt").read_text(encoding="utf-8")
    own = (word for line in text.splitlines() if not line.startswith("#") for word in line.split())
    return frozenset(map(fold, (*own, *body_parts(), *code_words())))


@lru_cache(maxsize=8192)
def is_innocent(word: str) -> bool:
    """Tell whether a word of a description is known and is no usual name."""
    low = fold(word)
    if is_of_protocols(word) or (len(low) == 1 and low.isascii()):
        return True
    if not low.isascii():
        return False
    codes = frozenset(load_lexicon().get(low, ()))
    if codes & _COMMON_NAMES:
        return word.islower() and bool(codes & _NO_NAME_IN_LOWER_CASE)
    if codes & _RARE_NAMES:
        return bool(codes & _ORDINARY)
    if codes or len(low) < _LEAST_PART or _CLINICAL.fullmatch(low):
        return True
    return len(low) == _LEAST_PART and word.isupper()


@lru_cache(maxsize=8192)
def is_of_protocols(word: str) -> bool:
    """Tell whether a word is one of protocols, or made of such words ("headneck", "PenileBulb", or Chinese)."""
    low = fold(word)
    if low in protocol_words():
        return True
    parts = _CAMEL.findall(word)
    if len(parts) > 1 and "".join(parts) == word and all(fold(part) in protocol_words() for part in parts):
        return True
    if not low.isascii():
        return _is_made_of_words(low, least=1)
    return not _is_somebodys(low) and _is_made_of_words(low, least=_LEAST_PART)


def _is_made_of_words(word: str, *, least: int) -> bool:
    """Tell whether a word without spaces is protocol words one after another."""
    if len(word) > 40:
        return False
    reached = {0}
    for end in range(least, len(word) + 1):
        if any(start in reached and word[start:end] in protocol_words() for start in range(end - least + 1)):
            reached.add(end)
    return len(word) in reached


@lru_cache(maxsize=8192)
def is_eponym_of(word: str, following: str) -> bool:
    """Tell whether a word is the name in the name of a disease, sign or device ("Hodgkin lymphoma")."""
    lexicon, low = load_lexicon(), fold(following)
    return "e" in lexicon.get(fold(word), ()) and (low in _NAMED_FOR_PEOPLE or "h" in lexicon.get(low, ()))


@lru_cache(maxsize=8192)
def may_be_name(word: str) -> bool:
    """Tell whether somebody is called so, and no protocol has the word: it may go on a name beside it."""
    return not is_of_protocols(word) and _is_somebodys(fold(word))


@lru_cache(maxsize=8192)
def is_given_name(word: str) -> bool:
    """Tell whether many are called so by their given name."""
    return bool(_GIVEN & frozenset(load_lexicon().get(fold(word), ()))) and not is_of_protocols(word)


@lru_cache(maxsize=8192)
def is_surname(word: str) -> bool:
    """Tell whether many are called so by their surname, a word of protocols or not; a body part is none."""
    low = fold(word)
    return bool(_SURNAME & frozenset(load_lexicon().get(low, ()))) and low.upper() not in body_parts()


def _is_somebodys(low: str) -> bool:
    return any(code[0] in "gs" for code in load_lexicon().get(low, ()))


@lru_cache(maxsize=8192)
def is_unheard_of(word: str) -> bool:
    """Tell whether a capitalised word of a sentence is in no list at all, or in a script that is not read here."""
    low = fold(word)
    if is_of_protocols(word):
        return False
    if not low.isascii():
        return True
    return len(word) > _LEAST_PART and word[0].isupper() and not word.isupper() and low not in load_lexicon()
