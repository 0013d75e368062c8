"""What stands in the place of an identifier: one class a method, and the method is named in every result.

=====================  ===============================================================================================
method                 rule
=====================  ===============================================================================================
``safe-harbor``        45 CFR 164.514(b)(2): dates to the year, ZIP codes to three digits, ages over 89 to 90+, typed
                       placeholders for the rest, numbered so that one person keeps one number in a document
``limited-data-set``   164.514(e)(2): dates all shifted by one number of days, so that intervals are exact; towns, ZIP
                       codes and ages stay. Not de-identified: a data use agreement goes with it
``surrogates``         values of the same kind, form, sex and culture; dates shifted. Shifted dates are not Safe Harbor
=====================  ===============================================================================================
"""

import hashlib
import hmac
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from osler.deidentify.text.engine import Document, Replacer
from osler.deidentify.text.shadow import PLACEHOLDER
from osler.deidentify.text.spans import Category, Span
from osler.errors import ConfigError

METHODS: Final = ("safe-harbor", "limited-data-set", "surrogates")
OVER_89: Final = "90+"
SHIFT_DAYS: Final = (30, 364)
"""Least and greatest shift of dates, into the past."""

_KEPT: Final = frozenset({"town", "zip", "county"})
"""Rules of places that a limited data set keeps (164.514(e)(2)(ii): town or city, state, zip code)."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_HAS_WORD: Final = re.compile(r"[^\W\d_]{4}")
_YEARS_KEPT: Final = 89


class WrittenDate(Protocol):
    """A date as a text writes it."""

    @property
    def year(self) -> int | None:
        """The year, when it is written with the century or told by two digits."""
        ...

    def shifted(self, days: int) -> str | None:
        """Return the date so many days later in the same form; None when it does not say enough."""
        ...


class Pools(Protocol):
    """Values to draw surrogates from."""

    def name(self, original: str, draw: random.Random) -> str:
        """Return a name of the same sex and culture."""
        ...

    def place(self, original: str, draw: random.Random) -> str:
        """Return another place."""
        ...


@dataclass(frozen=True, slots=True)
class Wording:
    """What a profile needs of a language.

    Parameters
    ----------
    read_date : callable
        Takes what a date span covers, in lower case.
    zip3 : callable
        Takes a postal code, returns what may stay of it, or ''.
    pools : Pools
    """

    read_date: Callable[[str], WrittenDate | None]
    zip3: Callable[[str], str]
    pools: Pools


def make_replacer(method: str, key: bytes | None, wording: Wording, subject: str = "") -> Replacer:
    """Return the profile of a method.

    Parameters
    ----------
    method : str
        One of :data:`METHODS`.
    key : bytes or None
        With it, what is drawn is the same each time for the same subject.
    wording : Wording
    subject : str
        What tells the patient apart; read only with a key.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    if method not in METHODS:
        raise ConfigError(f"there is no such method; there is {', '.join(METHODS)}")
    if method == "safe-harbor":
        return SafeHarbor(wording)
    days = -_draw(key, subject, "shift").randint(*SHIFT_DAYS)
    if method == "limited-data-set":
        return LimitedDataSet(wording, days)
    return Surrogates(wording, days, lambda text: _draw(key, subject, text))


def _draw(key: bytes | None, subject: str, text: str) -> random.Random:
    if key is None:
        return random.SystemRandom()
    seed = hmac.new(key, f"{subject}\0{text}".encode(), hashlib.sha256).digest()
    return random.Random(seed)  # noqa: S311 (seeded by a keyed hash: that is what makes it the same each time)


class Placeholders:
    """Numbered placeholders of one document: the same value, or another part of the same name, has the same number.

    Parameters
    ----------
    text : str
        The document; numbers go on after those of placeholders that it has.
    """

    def __init__(self, text: str) -> None:
        self._used: dict[str, int] = {}
        for match in PLACEHOLDER.finditer(text):
            self._used[match[1]] = max(self._used.get(match[1], 0), int(match[2]))
        self._numbers: dict[Category, dict[frozenset[str], int]] = {}

    def of(self, category: Category, text: str) -> str:
        """Return the placeholder of a value."""
        numbers = self._numbers.setdefault(category, {})
        if category is Category.NAME:
            key = frozenset(word for word in _WORD.findall(text.lower()) if len(word) > 1) or frozenset({text.lower()})
            known = next((number for words, number in numbers.items() if key <= words or words <= key), None)
        else:
            key = frozenset({re.sub(r"[\W_]", "", text.lower())})
            known = numbers.get(key)
        if known is None:
            known = self._used[category] = self._used.get(category, 0) + 1
        numbers.setdefault(key, known)
        return f"[{category}-{known}]"


class SafeHarbor:
    """45 CFR 164.514(b)(2)."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    def replace(self, document: Document, spans: Sequence[Span]) -> Iterator[Span]:
        """Return all spans with their replacements."""
        placeholders = Placeholders(document.text)
        oldest = datetime.now(UTC).year - _YEARS_KEPT
        for span in spans:
            text = document.shadow.text[span.start : span.end]
            left = ""
            if span.category is Category.AGE:
                left = OVER_89
            elif span.rule == "zip":
                left = self._wording.zip3(text)
            elif span.category is Category.DATE:
                written = self._wording.read_date(text.lower())
                left = str(written.year) if written and written.year and written.year >= oldest else ""
            yield replace(span, replacement=left or placeholders.of(span.category, text))


class LimitedDataSet:
    """45 CFR 164.514(e)(2)."""

    def __init__(self, wording: Wording, days: int) -> None:
        self._wording = wording
        self._days = days

    def replace(self, document: Document, spans: Sequence[Span]) -> Iterator[Span]:
        """Return the spans that a limited data set excludes, and the dates, shifted."""
        placeholders = Placeholders(document.text)
        for span in spans:
            text = document.shadow.text[span.start : span.end]
            if span.category is Category.AGE or (span.category is Category.LOCATION and span.rule in _KEPT):
                continue
            left = shifted(self._wording, text, self._days) if span.category is Category.DATE else None
            yield replace(span, replacement=left or placeholders.of(span.category, text))


class Surrogates:
    """Values of the same kind; a missed identifier hides among them."""

    def __init__(self, wording: Wording, days: int, draw: Callable[[str], random.Random]) -> None:
        self._wording = wording
        self._days = days
        self._draw = draw

    def replace(self, document: Document, spans: Sequence[Span]) -> Iterator[Span]:
        """Return all spans with surrogates: never the original, never a name that the document has."""
        taken = {word.lower() for word in _WORD.findall(document.shadow.text)}
        drawn: dict[tuple[Category, str], str] = {}
        placeholders = Placeholders(document.text)
        names = self._names(document, spans, taken)
        for span in spans:
            text = document.shadow.text[span.start : span.end]
            key = (span.category, text)
            if key not in drawn:
                made = names.get(text) if span.category is Category.NAME else self._surrogate(span, text, taken)
                drawn[key] = made or placeholders.of(span.category, text)
            yield replace(span, replacement=drawn[key])

    def _names(self, document: Document, spans: Sequence[Span], taken: set[str]) -> dict[str, str]:
        """Return a surrogate for each name: one person's parts, in any order and case, become the same other parts."""
        texts = {document.shadow.text[s.start : s.end]: s for s in spans if s.category is Category.NAME}
        words: dict[str, str] = {}
        names: dict[str, str] = {}
        for text in sorted(texts, key=lambda text: (-len(_WORD.findall(text)), text.isupper(), text)):
            parts = _WORD.findall(text)
            if all(part.lower() in words for part in parts):
                names[text] = _WORD.sub(lambda m: cased(words[m[0].lower()], m[0]), text)
                continue
            made = self._surrogate(texts[text], text, taken)
            if made:
                if len(made_parts := _WORD.findall(made)) == len(parts):
                    for part, other in zip(parts, made_parts, strict=True):
                        words.setdefault(part.lower(), other)
                    made = _WORD.sub(lambda m: cased(words[m[0].lower()], m[0]), text)
                names[text] = made
        return names

    def _surrogate(self, span: Span, text: str, taken: set[str]) -> str | None:
        if span.category is Category.AGE:
            return OVER_89
        if span.category is Category.DATE:
            return shifted(self._wording, text, self._days)
        draw = self._draw(f"{span.category}\0{text.lower()}")
        if span.category is Category.EMAIL:
            return f"person{draw.randrange(1000, 10000)}@example.org"
        if span.category is Category.URL:
            return f"https://example.org/{draw.randrange(1000, 10000)}"
        if span.category is Category.NAME or (span.category is Category.LOCATION and _HAS_WORD.search(text)):
            make = self._wording.pools.name if span.category is Category.NAME else self._wording.pools.place
            own = {word.lower() for word in _WORD.findall(text)} if span.category is Category.LOCATION else set()
            for _ in range(50):
                made = make(text, draw)
                new = {word.lower() for word in _WORD.findall(made)} - own
                if new and not taken & new:
                    return made
            return None
        made = same_form(text, draw)
        return made if made.lower() != text.lower() else None


def cased(word: str, like: str) -> str:
    """Return a word in the case of another; its first letter only for an initial."""
    if len(like) == 1:
        word = word[0]
    return word.upper() if like.isupper() else word.lower() if like.islower() else word.capitalize()


def same_form(text: str, draw: random.Random) -> str:
    """Return random digits for digits and random letters for letters, all else as it stands."""
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"

    def another(character: str) -> str:
        if character.isdigit():
            return str(draw.randrange(10))
        if not character.isalpha():
            return character
        letter = draw.choice(letters)
        return letter if character.isupper() else letter.lower()

    return "".join(map(another, text))


def shifted(wording: Wording, text: str, days: int) -> str | None:
    """Return a written date so many days later, in its own form; None when it does not say enough."""
    written = wording.read_date(text.lower())
    later = written.shifted(days) if written else None
    if later is None:
        return None
    return later.upper() if text.isupper() else later
