"""Names of people, and places: a sequence model over the name lists, the vocabulary and the words around."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from threading import Lock
from typing import Final

import pycrfsuite

from osler.deidentify.text.en.crowd import is_crowded
from osler.deidentify.text.en.features import REACH, Featurizer, case_of
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.place_runs import add_joints, may_stay
from osler.deidentify.text.en.terms import terms
from osler.deidentify.text.en.towns import OTHERWISE
from osler.deidentify.text.en.wordlists import load_lexicon, load_places
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

PLACE_THRESHOLD: Final = 0.35
"""Probability from which a word counts as part of a place."""

CLINICAL_PLACE_THRESHOLD: Final = 0.6
"""The same for a word with a clinical meaning too."""

PLACE_SCORE: Final = 0.7
"""Score of a place, so that what a rule knows by its form keeps the rule's name."""

SUREST: Final = 0.945
"""Highest score of a span, so that what a rule knows by its form ("jane dot doe at ...") keeps the rule's category."""

SURELY_NEITHER: Final = 0.95
"""Probability of being neither from which nothing more is asked."""

NAME: Final = (Category.NAME, "name-model")
PLACE: Final = (Category.LOCATION, "place-model")

_Chances = tuple[float, float]
"""How probable it is that a word is part of a name, and of a place."""

_NONE: Final[_Chances] = (0.0, 0.0)

_NUMERALS: Final = frozenset({"II", "III", "IV", "VII", "VIII", "IX", "XII"})
"""Numerals, and no names unless they follow one; VI and XI are given names."""

_LABELS: Final = frozenset(
    """
    yr yrs
    self client pol occ driver suffix osh male female route from mondays tuesdays wednesdays thursdays fridays saturdays
    sundays
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

_SPOKEN: Final = frozenset({"in", "speaks", "speaking", "primary", "language", ":", "and", "or", "spoke"})
"""What stands before a language."""

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
        self._featurizer = Featurizer(self._lexicon, load_places())
        self._windows: dict[tuple[str, str, int, int, bool], list[_Chances]] = {}
        with as_file(files("osler.deidentify.text.en.weights").joinpath("names.crfsuite")) as path:
            self._tagger.open(str(path))

    def spans(self, document: Document) -> Iterator[Span]:
        """Return runs of tokens that are probably part of a name, or of a place."""
        found, places = self._found(document)
        _join(document.tokens, found)
        _with_initials(document.shadow.text, document.tokens, found)
        for run in _runs(document, found):
            yield from _span(document, run[0], run[-1], NAME, min(SUREST, *(found[i] for i in run)))
        add_joints(document.tokens, places)
        for run in _runs(document, places):
            if not may_stay(document, run, max(places[i] for i in run)):
                yield from _span(document, run[0], run[-1], PLACE, PLACE_SCORE)

    def _found(self, document: Document) -> tuple[dict[int, float], dict[int, float]]:
        """Return the tokens that are probably part of a name, and those of a place, and how probably."""
        text, tokens = document.shadow.text, document.tokens
        if self._featurizer.size > _SPELLINGS:
            self._featurizer = Featurizer(self._lexicon, load_places())
        found: dict[int, float] = {}
        places: dict[int, float] = {}
        for i, (name, place) in self._chances(text, tokens):
            if name + place < THRESHOLD or self._is_no_name(tokens, i):
                continue
            of_name, of_place = self._thresholds(tokens, i)
            if name >= of_name:
                if tokens[i].text not in _NUMERALS or i - 1 in found:
                    found[i] = name
            elif name + place >= of_place:
                places[i] = name + place
        for first, last in terms(tokens) if found or places else ():
            if not self._featurizer.is_called(tokens, first):
                for i in range(first, last):
                    found.pop(i, None)
                    places.pop(i, None)
        return found, places

    def _chances(self, text: str, tokens: Sequence[Token]) -> Iterator[tuple[int, _Chances]]:
        case = case_of(text)
        for start, end in self._featurizer.windows(tokens, case):
            yield from enumerate(self._window(text, tokens, (start, end), case), start)

    def _window(self, text: str, tokens: Sequence[Token], window: tuple[int, int], case: str) -> Sequence[_Chances]:
        """Return for each token of a window how probable it is that it is part of a name, and of a place.

        A window is worked out once: headers, rows and signatures stand in many notes.
        """
        start, end = window
        first, last = max(0, start - REACH), min(len(tokens), end + REACH + 1)
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
        if word in OTHERWISE and i > 0 and tokens[i - 1].text.lower() in _SPOKEN:
            return True
        if len(word) == 1 and (word == "a" or _is_no_initial(tokens, i)):
            return True
        if tokens[i].text in _STATES:
            return i + 1 == len(tokens) or tokens[i + 1].text not in _CREDENTIALS
        return word in _LABELS or (word in _WEEKDAYS and i > 0 and tokens[i - 1].text == "/")

    def _thresholds(self, tokens: Sequence[Token], i: int) -> _Chances:
        """Return from which probability on a token is part of a name, and of a place."""
        if len(tokens[i].text) == 1:
            return LETTER_THRESHOLD, PLACE_THRESHOLD
        if self._featurizer.is_called(tokens, i):
            return THRESHOLD, PLACE_THRESHOLD
        if is_crowded(self._lexicon, tokens, i):
            return CROWDED_THRESHOLD, CROWDED_THRESHOLD
        if self._featurizer.is_clinical(tokens, i):
            return CLINICAL_THRESHOLD, CLINICAL_PLACE_THRESHOLD
        return THRESHOLD, PLACE_THRESHOLD

    def _probabilities(self, rows: list[list[str]]) -> list[_Chances]:
        with self._lock:  # the tagger holds one sequence at a time
            self._tagger.set(rows)
            marginal = self._tagger.marginal
            has_places = "L" in self._tagger.labels()
            return [
                _NONE
                if marginal("O", i) > SURELY_NEITHER
                else (marginal("N", i), marginal("L", i) if has_places else 0.0)
                for i in range(len(rows))
            ]


def _is_no_initial(tokens: Sequence[Token], i: int) -> bool:
    """Tell whether a letter stands in a cell, behind an abbreviation ("CRT-D"), or is half of "M.D."."""
    here, before = tokens[i], tokens[i - 1] if i > 0 else None
    if before is not None and before.text == "|":
        return True
    if before is not None and before.text == "-" and before.end == here.start and i > 1:
        return tokens[i - 2].text.isupper() and len(tokens[i - 2].text) > 2
    if i + 2 < len(tokens) and tokens[i + 1].text == "-" and tokens[i + 2].start == here.end + 1:
        return tokens[i + 2].text.isupper() and len(tokens[i + 2].text) > 2
    for first in (i - 2, i):
        three = tokens[first : first + 4] if first >= 0 else ()
        if len(three) == 4 and three[3].end - three[0].start == 4 and three[1].text == three[3].text == ".":
            return three[0].text + three[2].text in _CREDENTIALS
    return False


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


def _with_initials(text: str, tokens: Sequence[Token], found: dict[int, float]) -> None:
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
            gap = after is not None and "  " in text[tokens[i + 2].end : after.start]
            if after is None or gap or after.text in _AFTER_INITIAL or (after.text.isdigit() and len(after.text) > 3):
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


def _parts(text: str, before: Token, after: Token) -> bool:
    """Tell whether an empty line, or a line's end behind a number, is between two words."""
    lines = text.count("\n", before.end, after.start)
    return lines > 1 or (lines > 0 and any(map(str.isdigit, before.text)))


def _runs(document: Document, found: Iterable[int]) -> Iterator[list[int]]:
    """Return the tokens that stand together; an empty line parts them."""
    text, tokens = document.shadow.text, document.tokens
    run: list[int] = []
    for i in sorted(found):
        if run and (i > run[-1] + 1 or _parts(text, tokens[run[-1]], tokens[i])):
            yield run
            run = []
        run.append(i)
    if run:
        yield run


def _span(document: Document, first: int, last: int, kind: tuple[Category, str], score: float) -> Iterator[Span]:
    """Return the span of tokens `first` to `last` without the punctuation at its edges."""
    tokens = document.tokens
    while first <= last and not tokens[first].text[0].isalnum():
        first += 1
    while last >= first and not tokens[last].text[0].isalnum():
        last -= 1
    if first <= last:
        yield Span(tokens[first].start, tokens[last].end, kind[0], score, kind[1])
