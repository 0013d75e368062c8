"""Placeholders that lead back: which stood for what, and a text with the originals in their places again.

The text carries a reference to what the vault keeps, as a line of its own: ``[DOCUMENT OSD-...]``. A note that was
written from the text may have its placeholders in any order and number.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from osler.deidentify.text import Category, Result
from osler.errors import Malformed

PLACEHOLDER: Final = re.compile(rf"\[(?:{'|'.join(Category)})-[0-9]{{1,5}}\]")
_REFERENCE: Final = re.compile(r"\n?\[DOCUMENT (OSD-[A-Z2-7]{20})\]\n?")


def originals_of(source: str, result: Result) -> dict[str, list[str]]:
    """Return what stood in the place of each placeholder of a result, in the order of the text."""
    found: dict[str, list[str]] = {}
    for span in result.spans:
        if span.replacement and PLACEHOLDER.fullmatch(span.replacement):
            found.setdefault(span.replacement, []).append(source[span.start : span.end])
    return found


def with_reference(text: str, token: str) -> str:
    """Return a text with its reference as the last line."""
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}[DOCUMENT {token}]\n"


def split_reference(text: str) -> tuple[str, str]:
    """Return a text without its reference, and the token.

    Raises
    ------
    Malformed
        If it has none, or several: what was replaced by surrogates, shifted or cut to the year does not lead back.
    """
    tokens = set(_REFERENCE.findall(text))
    if len(tokens) != 1:
        many = "references to more than one document" if tokens else "no reference to a document"
        raise Malformed(
            f"the text has {many} ([DOCUMENT ...]); only placeholders made with osler deid text --reversible can be "
            "put back, surrogates and shifted dates cannot"
        )
    found = _REFERENCE.search(text)
    keep = "\n" if found and found[0].startswith("\n") else ""
    return _REFERENCE.sub(keep, text), tokens.pop()


@dataclass(frozen=True, slots=True)
class Revealed:
    """A text with the originals back; identified.

    Parameters
    ----------
    text : str
    restored : int
        Placeholders that were replaced.
    unknown : tuple of str
        Placeholders that the document never had, which stay.
    """

    text: str
    restored: int
    unknown: tuple[str, ...]


def restore(text: str, originals: Mapping[str, Sequence[str]]) -> Revealed:
    """Put originals in the places of placeholders.

    Where a placeholder occurs as often as it did in the first text, the originals follow in their order; elsewhere
    each place gets the longest, which is the fullest form of a name.
    """
    counts = Counter(PLACEHOLDER.findall(text))
    queues = {
        name: iter(values) if len(values) == counts[name] else iter([max(values, key=len)] * counts[name])
        for name, values in originals.items()
    }
    unknown = tuple(name for name in counts if name not in queues)
    return Revealed(
        PLACEHOLDER.sub(lambda match: next(queues[match[0]]) if match[0] in queues else match[0], text),
        sum(counts[name] for name in queues),
        unknown,
    )
