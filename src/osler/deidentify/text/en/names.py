"""Names of people: a sequence model over the name lists, the vocabulary and the words around."""

from collections.abc import Iterator
from importlib.resources import as_file, files
from threading import Lock
from typing import Final

import pycrfsuite

from osler.deidentify.text.en.features import Featurizer, case_of
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.engine import Document, Recogniser
from osler.deidentify.text.spans import Category, Span

THRESHOLD: Final = 0.2
"""Probability from which a word counts as part of a name; below a half, since a leak costs more than a hidden word."""

CLINICAL_THRESHOLD: Final = 0.4
"""The same for a word with a clinical meaning too: an eponym, an abbreviation, a drug, an organism, a disease word."""

_NUMERALS: Final = frozenset({"II", "III", "IV", "VII", "VIII", "IX", "XII"})
"""Numerals, and no names unless they follow one; VI and XI are given names."""

_SPELLINGS: Final = 50_000
"""Spellings that a featurizer remembers before it starts afresh."""


class NameModel:
    """Finds names with the conditional random field that ``train.py`` fits."""

    def __init__(self) -> None:
        self._lexicon = load_lexicon()
        self._tagger = pycrfsuite.Tagger()
        self._lock = Lock()
        self._featurizer = Featurizer(self._lexicon)
        with as_file(files("osler.deidentify.text.en.weights").joinpath("names.crfsuite")) as path:
            self._tagger.open(str(path))

    def spans(self, document: Document) -> Iterator[Span]:
        """Return runs of tokens that are probably part of a name."""
        text, tokens = document.shadow.text, document.tokens
        if self._featurizer.size > _SPELLINGS:
            self._featurizer = Featurizer(self._lexicon)
        case = case_of(text)
        first = last = -1
        weakest = 1.0
        for start, end in self._featurizer.windows(tokens):
            rows = self._featurizer.features(text, tokens, start, end, case)
            for i, probability in enumerate(self._probabilities(rows), start):
                clinical = self._featurizer.is_clinical(tokens, i)
                if probability < (CLINICAL_THRESHOLD if clinical else THRESHOLD):
                    continue
                if tokens[i].text in _NUMERALS and i != last + 1:
                    continue
                if first >= 0 and i == last + 1 and text.count("\n", tokens[last].end, tokens[i].start) < 2:
                    weakest = min(weakest, probability)
                else:
                    if first >= 0:
                        yield from _span(document, first, last, weakest)
                    first, weakest = i, probability
                last = i
        if first >= 0:
            yield from _span(document, first, last, weakest)

    def _probabilities(self, rows: list[list[str]]) -> list[float]:
        """Return for each row how probable it is that the token is part of a name."""
        with self._lock:  # the tagger holds one sequence at a time
            self._tagger.set(rows)
            return [self._tagger.marginal("N", i) for i in range(len(rows))]


def recogniser() -> Recogniser:
    """Return the recogniser of names."""
    return NameModel()


def _span(document: Document, first: int, last: int, score: float) -> Iterator[Span]:
    """Return the span of tokens `first` to `last` without the punctuation at its edges."""
    tokens = document.tokens
    while first <= last and not tokens[first].text[0].isalnum():
        first += 1
    while last >= first and not tokens[last].text[0].isalnum():
        last -= 1
    if first <= last:
        yield Span(tokens[first].start, tokens[last].end, Category.NAME, score, "name-model")
