"""Which words are ordinary, and which names stand for one another."""

from functools import cache
from importlib.resources import files

from osler.deidentify.text.en.wordlists import Lexicon, load_lexicon

_DATA = "osler.deidentify.text.en.data"


def is_vocabulary(word: str) -> bool:
    """Tell whether a lower-case word is a clinical word, a drug, or an English word that is nobody's name."""
    codes = _lexicon().get(word)
    if codes is None:
        return False
    if not {"m", "d", "o", "a"}.isdisjoint(codes):
        return True
    return "w0" in codes or not any(code[0] in "gs" for code in codes)


def nicknames(name: str) -> frozenset[str]:
    """Return the other forms of a lower-case given name."""
    return _nicknames().get(name, frozenset())


@cache
def _lexicon() -> Lexicon:
    return load_lexicon()


@cache
def _nicknames() -> dict[str, frozenset[str]]:
    forms: dict[str, set[str]] = {}
    for line in files(_DATA).joinpath("nicknames.txt").read_text(encoding="utf-8").splitlines():
        name, *others = line.split()
        forms.setdefault(name, set()).update(others)
        for other in others:
            forms.setdefault(other, set()).update({name, *others} - {other})
    return {name: frozenset(others) for name, others in forms.items()}
