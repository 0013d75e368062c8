"""Addresses as they are said, in English: a number and a street, a postcode in letters and words."""

import re
from collections.abc import Iterator
from typing import Final

from osler.deidentify.text import Category, Document, Span

_SURE: Final = 0.9
_NUMBER: Final = (
    r"(?:\d{1,5}|oh|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred)"
)
_STREET: Final = (
    r"(?:street|road|avenue|lane|drive|boulevard|terrace|crescent|court|close|circle|parkway|highway|square|grove"
    r"|gardens)"
)
_NO_NAME: Final = (
    r"(?:the|a|an|my|your|our|his|her|this|that|down|up|on|in|at|of|off|to|from|across|along|into|over|by|and|or|miles?"
    r"|blocks?|times?|minutes?|hours?|days?|weeks?|months?|years?|feet|people|kids|steps?|milligrams?|pills?|is|was|it"
    r"|who|with|for|i|we|you|they|he|she|were|are|got|had|have|there|here|busy|main|side|one)"
)
_RULES: Final = (
    (
        "street-said",
        rf"\b{_NUMBER}(?:[ -]{_NUMBER}){{0,5}}[ ,]{{1,3}}(?:(?!{_NO_NAME}\b)[a-z'\-]{{2,20}} ){{1,3}}{_STREET}\b",
    ),
    (
        "postcode-said",
        rf"\b(?:zip|postal|post) ?code(?: is|'s)?[ ,:]{{1,3}}"
        rf"(?P<v>(?:(?:{_NUMBER}|[a-z])[ ,\-]{{1,3}}){{2,7}}(?:{_NUMBER}|[a-z]{{1,2}})\b)",
    ),
)
_POSTCODE: Final = re.compile(
    rf"\b[A-Z]{{1,2}} ?{_NUMBER}(?:[ -]{_NUMBER}){{0,2}} ?[A-Z]{{2}}\b",
)
"""A British one, with its letters in capitals."""


class SpokenPlaces:
    """A recogniser of addresses in speech."""

    def __init__(self) -> None:
        self._rules = tuple((name, re.compile(pattern)) for name, pattern in _RULES)

    def spans(self, document: Document) -> Iterator[Span]:
        """Return the addresses and postcodes."""
        for name, pattern in self._rules:
            for match in pattern.finditer(document.shadow.lower):
                start, end = match.span("v") if "v" in pattern.groupindex else match.span()
                yield Span(start, end, Category.LOCATION, _SURE, name)
        for match in _POSTCODE.finditer(document.shadow.text):
            yield Span(match.start(), match.end(), Category.LOCATION, _SURE, "postcode-said")
