"""Names of people: a sequence model over the name lists, the vocabulary and the words around."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from threading import Lock
from typing import Final

import pycrfsuite

from osler.deidentify.text.en.crowd import is_crowded
from osler.deidentify.text.en.features import Featurizer, case_of
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.terms import terms
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.engine import Document, Recogniser, Token
from osler.deidentify.text.spans import Category, Span

THRESHOLD: Final = 0.12
"""Probability from which a word counts as part of a name; below a half, since a leak costs more than a hidden word."""

CLINICAL_THRESHOLD: Final = 0.4
"""The same for a word with a clinical meaning too: an eponym, an abbreviation, a drug, an organism, a disease word."""

CROWDED_THRESHOLD: Final = 0.9
"""The same for a word among eponyms and drugs, with no title before it and no given name beside it."""

LETTER_THRESHOLD: Final = 0.25
"""The same for a single letter: initials, or the A, B and C of a list."""

SUREST: Final = 0.945
"""Highest score of a span, so that what a rule knows by its form ("jane dot doe at ...") keeps the rule's category."""

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
        found = self._found(document)
        _join(document.tokens, found)
        for run in _runs(document, found):
            yield from _span(document, run[0], run[-1], min(SUREST, *(found[i] for i in run)))

    def _found(self, document: Document) -> dict[int, float]:
        """Return the tokens that are probably part of a name, and how probably."""
        text, tokens = document.shadow.text, document.tokens
        if self._featurizer.size > _SPELLINGS:
            self._featurizer = Featurizer(self._lexicon)
        found: dict[int, float] = {}
        case = case_of(text)
        for start, end in self._featurizer.windows(tokens):
            rows = self._featurizer.features(text, tokens, start, end, case)
            for i, probability in enumerate(self._probabilities(rows), start):
                if probability < THRESHOLD or probability < self._threshold(tokens, i):
                    continue
                if tokens[i].text not in _NUMERALS or i - 1 in found:
                    found[i] = probability
        for first, last in terms(tokens) if found else ():
            if not self._featurizer.is_called(tokens, first):
                for i in range(first, last):
                    found.pop(i, None)
        return found

    def _threshold(self, tokens: Sequence[Token], i: int) -> float:
        if len(tokens[i].text) == 1:
            return LETTER_THRESHOLD
        if not self._featurizer.is_called(tokens, i) and is_crowded(self._lexicon, tokens, i):
            return CROWDED_THRESHOLD
        return CLINICAL_THRESHOLD if self._featurizer.is_clinical(tokens, i) else THRESHOLD

    def _probabilities(self, rows: list[list[str]]) -> list[float]:
        """Return for each row how probable it is that the token is part of a name."""
        with self._lock:  # the tagger holds one sequence at a time
            self._tagger.set(rows)
            return [self._tagger.marginal("N", i) for i in range(len(rows))]


def recogniser() -> Recogniser:
    """Return the recogniser of names."""
    return NameModel()


def _join(tokens: Sequence[Token], found: dict[int, float]) -> None:
    """Add the other half of a hyphenated name ("Okafor-Bell"), which the model may take for an eponym or a word."""
    for i in tuple(found):
        for hyphen, other in ((i + 1, i + 2), (i - 1, i - 2)):
            if not 0 <= other < len(tokens) or other in found or tokens[hyphen].text != "-":
                continue
            before, after = (tokens[j] for j in sorted((i, other)))
            if after.start == before.end + 1 and len(tokens[i].text) > 1 and _may_be_half(tokens[other].text):
                found[hyphen] = found[other] = found[i]


def _may_be_half(word: str) -> bool:
    return len(word) > 1 and word.isalpha() and (word[0].isupper() or not is_vocabulary(word))


def _runs(document: Document, found: Iterable[int]) -> Iterator[list[int]]:
    """Return the tokens that stand together; an empty line parts them."""
    text, tokens = document.shadow.text, document.tokens
    run: list[int] = []
    for i in sorted(found):
        if run and (i > run[-1] + 1 or text.count("\n", tokens[run[-1]].end, tokens[i].start) > 1):
            yield run
            run = []
        run.append(i)
    if run:
        yield run


def _span(document: Document, first: int, last: int, score: float) -> Iterator[Span]:
    """Return the span of tokens `first` to `last` without the punctuation at its edges."""
    tokens = document.tokens
    while first <= last and not tokens[first].text[0].isalnum():
        first += 1
    while last >= first and not tokens[last].text[0].isalnum():
        last -= 1
    if first <= last:
        yield Span(tokens[first].start, tokens[last].end, Category.NAME, score, "name-model")
