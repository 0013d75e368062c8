"""Other names for the names of structured formats: those that the text engine gives the same names in a text."""

import re
from collections.abc import Sequence
from typing import Final

from osler.deidentify.free_text import TextDeidentifier

_WORD: Final = re.compile(r"[^\W\d_]+")


def surrogate(parts: Sequence[str], text: TextDeidentifier) -> list[str]:
    """Return other parts for the parts of a name, in the order in which it is said; none when not all can be replaced.

    Parameters
    ----------
    parts : sequence of str
        Given names, then the family name. Initials are left out.
    text : TextDeidentifier
        Of the method ``surrogates``, with the person among those it looks for.

    Returns
    -------
    list of str
        As many, those of initials empty; or an empty list.
    """
    said = [[word for word in _WORD.findall(part) if len(word) > 1] for part in parts]
    words = [word for part in said for word in part]
    made = text.deidentify(" ".join(words))
    others = made.split(" ")
    own = {word.lower() for word in words}
    whole = len(others) == len(words) and all(map(_WORD.fullmatch, others))
    if not words or not whole or any(other.lower() in own for other in others):
        return []
    left = iter(others)
    return [" ".join(next(left) for _ in part) for part in said]
