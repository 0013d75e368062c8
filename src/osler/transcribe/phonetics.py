"""How alike two words sound and are spelt."""

import re
from typing import Final

_RULES: Final = (
    (re.compile(r"[^a-z]"), ""),
    (re.compile(r"^(?:kn|gn)"), "n"),
    (re.compile(r"^(?:ps|x)"), "s"),
    (re.compile(r"ph"), "f"),
    (re.compile(r"ght"), "t"),
    (re.compile(r"tch|ch(?=[eiy])"), "c"),
    (re.compile(r"sch|ch|ck|q|c(?![eiy])"), "k"),
    (re.compile(r"sc(?=[eiy])|c(?=[eiy])|z"), "s"),
    (re.compile(r"x"), "ks"),
    (re.compile(r"dge?|g(?=[eiy])"), "j"),
    (re.compile(r"th"), "t"),
    (re.compile(r"(?<=[rt])h|h(?![aeiouy])"), ""),
    (re.compile(r"[aeiouyw]+"), "a"),
    (re.compile(r"(.)\1+"), r"\1"),
)


def sound(word: str) -> str:
    """Reduce an English word to how it sounds: consonants by their sound, any vowels as one ``a``."""
    word = word.lower()
    for pattern, written in _RULES:
        word = pattern.sub(written, word)
    return word


def distance(first: str, second: str, most: int) -> int:
    """Count the letters to change, add, drop or exchange with their neighbour (optimal string alignment).

    Parameters
    ----------
    first, second : str
    most : int
        Farther apart is all the same.

    Returns
    -------
    int
        At most ``most + 1``.
    """
    if abs(len(first) - len(second)) > most:
        return most + 1
    before: list[int] = []
    above = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row = [i] + [0] * len(second)
        for j, b in enumerate(second, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and b == first[i - 2]:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row) > most:
            return most + 1
        before, above = above, row
    return min(above[-1], most + 1)
