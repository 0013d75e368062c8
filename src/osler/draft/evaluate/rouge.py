"""ROUGE (Lin 2004), unstemmed, over words as the published figures of ACI-BENCH take them.

It counts shared words and says nothing of truth: another patient's note scores as well as a good one. It is reported
beside the other measures and passes nothing.
"""

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from osler.domain.note import Draft

_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Rouge:
    """Overlap of a text with its reference, each from 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def rouge_n(text: str, reference: str, n: int = 1) -> Rouge:
    """Return the overlap of runs of n words, each counted as often as in both.

    Parameters
    ----------
    text, reference : str
    n : int, >= 1
    """
    ours, theirs = _runs(words(text), n), _runs(words(reference), n)
    return _of((ours & theirs).total(), ours.total(), theirs.total())


def rouge_l(text: str, reference: str) -> Rouge:
    """Return the overlap by the longest common subsequence of all words (not the summary-level form with lines)."""
    ours, theirs = words(text), words(reference)
    return _of(_longest_common(ours, theirs), len(ours), len(theirs))


def words(text: str) -> list[str]:
    """Return the words of a text: lower case, ASCII letters and digits, no stemming."""
    return _WORD.findall(text.lower())


def note_text(draft: Draft) -> str:
    """Return a draft as plain text, with the headings that its reader sees: what ROUGE is taken of."""
    lines: list[str] = []
    shown = ""
    for section in draft.sections:
        if section.title != shown:
            lines += ["", section.title.upper(), ""]
            shown = section.title
        if section.problem:
            lines += [section.problem]
        lines += [statement.text for statement in section.statements]
    return "\n".join(lines).strip() + "\n"


def _runs(tokens: Sequence[str], n: int) -> Counter[Hashable]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _of(shared: int, ours: int, theirs: int) -> Rouge:
    return Rouge(shared / ours if ours else 0.0, shared / theirs if theirs else 0.0)


def _longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    row = [0] * (len(right) + 1)
    for word in left:
        before = 0
        for column, other in enumerate(right, start=1):
            above = row[column]
            row[column] = before + 1 if word == other else max(above, row[column - 1])
            before = above
    return row[-1]
