"""Strings as a search compares them: without case and accents, from the start, in the middle, or as they are.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.4.8 String
"""

import unicodedata
from collections.abc import Iterator
from typing import Final

MOST_STARTS: Final = 24
"""A start is indexed up to this length; of a longer one, the rest must be compared."""
MOST_GRAM: Final = 3
_MOST_TEXT: Final = 2000  # characters that the index reads of one string


def fold(text: str) -> str:
    """Return a string without case, combining characters and blanks that do not count."""
    plain = (c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join("".join(plain).casefold().split())


def text_terms(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the parts of the terms by which one string is found."""
    yield ("exact", text)
    folded = fold(text[:_MOST_TEXT])
    for length in range(1, min(len(folded), MOST_STARTS) + 1):
        yield ("starts", folded[:length])
    for size in range(1, MOST_GRAM + 1):
        for gram in dict.fromkeys(folded[i : i + size] for i in range(len(folded) - size + 1)):
            yield ("gram", gram)


def grams_of(folded: str) -> list[tuple[str, ...]]:
    """Return the parts of the terms that each string has which contains this one, folded."""
    size = min(len(folded), MOST_GRAM)
    return [("gram", gram) for gram in dict.fromkeys(folded[i : i + size] for i in range(len(folded) - size + 1))]
