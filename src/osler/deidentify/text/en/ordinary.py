"""Words of the language that prove nothing as a name, seen from the names: "smith" is one, "rose" may be a flower."""

from typing import Final

from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.wordlists import load_lexicon

_COMMON: Final = frozenset({"g0", "g1", "s0"})
_CLINICAL: Final = frozenset("md")
_WORDS: Final = """
al angel april art august baker banks bass battle bell best bill black bond bright brooks brown buddy bush candy
carter case cash charity church clay cook cooper cross dawn day dean don drew duke ebony english eve faith fields
flowers foot ford fox frank french gay gene golden good grace grant gray green gross guy hall hand hill holder hope
hunt hunter jack jay joy june junior justice ken key king knight lane little long love marc mark marks max may miles
miller moon moore noble page park parker parks pat powers price prince ray rice rich rivers rob rose ross ruby rush
sellers short small sterling stone strong sue sweet taylor valentine walls ward waters wells west white will wise wolf
woods young
"""
_ORDINARY: Final = frozenset(_WORDS.split())


def is_ordinary(word: str) -> bool:
    """Tell whether a lower-case word is as likely no name: of medicine, or of the language and no common name."""
    if not is_vocabulary(word):
        return word in _ORDINARY
    if word in _ORDINARY:
        return True
    codes = load_lexicon().get(word, ())
    return not _CLINICAL.isdisjoint(codes) or _COMMON.isdisjoint(codes)
