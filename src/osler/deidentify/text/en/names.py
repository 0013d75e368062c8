"""Names of people: a sequence model over the name lists, the vocabulary and the words around."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from threading import Lock
from typing import Final

import pycrfsuite

from osler.deidentify.text.en.crowd import is_crowded
from osler.deidentify.text.en.features import REACH, Featurizer, case_of
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

_LABELS: Final = frozenset(
    """
    yr yrs
    addr adjuster adt aetna agree altima amex anesth anticoag attn bcbs bg biodex bluecard calif camry centene cigna
    cin circ det dl dob echo emerg enroute funeral gomco gy handoff hicn humana hydrin ile impala ins lic loc malibu
    mastercard mbi mbr medicaid medicare mrn msg mx nok npi nte oln oru osha pack panorex pati pcn pcp peridex
    premera preop prior proband ptnt qb rcvd ref rxbin rxgrp rxpcn sentra silverado ssn statlock subaru subscr
    supervisor tahoe therabands tsh txt unos veh vin visa wellpoint wo
    """.split()  # noqa: SIM905
)
"""Labels of forms and makes, in lower case, and no names though they are written as names are."""

_STATES: Final = frozenset(
    """
    AK AZ AR CT DC FL GA HI IA ID IL KS KY MD MN MS MT NC ND NE NH NJ NM NV NY OH OK OR RI SC SD TN TX UT VA VT WA WI WV
    WY
    """.split()  # noqa: SIM905
)
"""States as they are abbreviated that are nobody's name in capitals."""

_CREDENTIALS: Final = frozenset({"RN", "MD", "DO", "NP", "PA", "LPN", "CNA", "PT", "OT", "RRT"})

_WEEKDAYS: Final = frozenset({"mon", "tue", "wed", "th", "thu", "fri", "sat", "sun"})

_SPELLINGS: Final = 50_000
"""Spellings that a featurizer remembers before it starts afresh."""

_WINDOWS: Final = 5_000
"""Windows that the model remembers before it starts afresh."""


class NameModel:
    """Finds names with the conditional random field that ``train.py`` fits."""

    def __init__(self) -> None:
        self._lexicon = load_lexicon()
        self._tagger = pycrfsuite.Tagger()
        self._lock = Lock()
        self._featurizer = Featurizer(self._lexicon)
        self._windows: dict[tuple[str, str, int, int, bool], list[float]] = {}
        with as_file(files("osler.deidentify.text.en.weights").joinpath("names.crfsuite")) as path:
            self._tagger.open(str(path))

    def spans(self, document: Document) -> Iterator[Span]:
        """Return runs of tokens that are probably part of a name."""
        found = self._found(document)
        _join(document.tokens, found)
        _with_initials(document.tokens, found)
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
            for i, probability in enumerate(self._window(text, tokens, (start, end), case), start):
                if probability < THRESHOLD or probability < self._threshold(tokens, i):
                    continue
                if not self._is_no_name(tokens, i) and (tokens[i].text not in _NUMERALS or i - 1 in found):
                    found[i] = probability
        for first, last in terms(tokens) if found else ():
            if not self._featurizer.is_called(tokens, first):
                for i in range(first, last):
                    found.pop(i, None)
        return found

    def _window(self, text: str, tokens: Sequence[Token], window: tuple[int, int], case: str) -> Sequence[float]:
        """Return for each token of a window how probable it is that it is part of a name.

        A window is worked out once: headers, rows and signatures stand in many notes.
        """
        start, end = window
        first, last = max(0, start - REACH), min(len(tokens), end + REACH)
        seen = (text[tokens[first].start : tokens[last - 1].end], case, start - first, last - end, last == len(tokens))
        found = self._windows.get(seen)
        if found is None:
            if len(self._windows) >= _WINDOWS:
                self._windows = {}
            rows = self._featurizer.features(text, tokens, start, end, case)
            found = self._windows[seen] = self._probabilities(rows)
        return found

    @staticmethod
    def _is_no_name(tokens: Sequence[Token], i: int) -> bool:
        word = tokens[i].text.lower()
        if len(word) == 1 and i > 0 and tokens[i - 1].text == "|":
            return True
        if tokens[i].text == "a":
            return True
        if tokens[i].text in _STATES:
            return i + 1 == len(tokens) or tokens[i + 1].text not in _CREDENTIALS
        return word in _LABELS or (word in _WEEKDAYS and i > 0 and tokens[i - 1].text == "/")

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


def _with_initials(tokens: Sequence[Token], found: dict[int, float]) -> None:
    """Add the initial at the edge of a name: "P Raghunathan" after a stop, "KOWALCZYK, B" before one, "m.santos"."""
    for i in tuple(found):
        if len(tokens[i].text) < 3:
            continue
        for letter, beyond in ((i - 1, i - 2), (i - 2, i - 3)):
            dotted = letter == i - 2 and letter >= 0 and tokens[i - 1].text == "."
            if letter < 0 or letter in found or not (dotted or letter == i - 1) or len(tokens[letter].text) != 1:
                continue
            glued = dotted and tokens[i].start - tokens[letter].start == 2
            stands = beyond < 0 or not tokens[beyond].text[0].isalnum() or tokens[beyond].text in _LEADS
            if (glued and tokens[letter].text.isalpha()) or (tokens[letter].text in _INITIALS and stands):
                found.update(dict.fromkeys(range(letter, i), found[i]))
        if i + 2 < len(tokens) and tokens[i + 1].text == "," and tokens[i + 2].text in _INITIALS and i + 2 not in found:
            after = tokens[i + 3] if i + 3 < len(tokens) else None
            if after is not None and after.text == "." and i + 4 < len(tokens) and tokens[i + 4].start == after.end:
                continue  # "Barrera, M.D."
            if after is None or after.text in _AFTER_INITIAL or (after.text.isdigit() and len(after.text) > 3):
                found[i + 1] = found[i + 2] = found[i]


_INITIALS: Final = frozenset("BCDEFGHJKLMNOPQRSTUVWXYZ")
_LEADS: Final = frozenset({"by", "cc", "with", "from", "Dr", "to", "and", "per", "RN", "MD"})
_AFTER_INITIAL: Final = frozenset(
    {'"', ")", "\u201d", ".", ";", "BED", "RM", "ROOM", "Bed", "Rm", "bed", "|", "/", "("}
)


def _may_be_half(word: str) -> bool:
    if word.lower() in _LABELS:
        return False
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
