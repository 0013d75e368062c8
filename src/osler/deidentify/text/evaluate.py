"""Measure a de-identifier against texts whose identifiers are marked (``osler deid evaluate GOLD``).

A token is a run of word characters. An identifier's token is hidden if each of its marked characters is covered by a
span; any other token is over-redacted if a span touches it. A text leaks if one marked letter or digit stays visible.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from osler.deidentify.text.gold import IGNORED, Gold, Marked, read_gold
from osler.deidentify.text.spans import Category, Span

__all__ = ["Evaluation", "Fault", "Gold", "Marked", "Tally", "count", "evaluate", "read_gold"]

Found = Span | Marked

GROUPS: Final[dict[str, frozenset[str]]] = {
    "CONTACT": frozenset({Category.PHONE, Category.FAX, Category.EMAIL, Category.URL, Category.IP}),
    "ID": frozenset(Category)
    - {Category.NAME, Category.LOCATION, Category.DATE, Category.AGE, Category.PHONE, Category.FAX, Category.EMAIL},
}
"""Coarse categories that some corpora mark, and what each stands for."""

_TOKEN: Final = re.compile(r"\w+")
_WORD: Final = re.compile(r"\S+")
_WORDS_AROUND: Final = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """A missed identifier (``leak``) or an innocent word that was hidden (``over-redaction``).

    ``context`` is three words each side, with all that was marked or found as its category: what the gold forgot may
    still be an identifier. `start` and `end` say where the word is for those who may read the text.
    """

    id: str
    kind: str
    category: str
    start: int
    end: int
    context: str


@dataclass(slots=True)
class Tally:
    """Counts for one category."""

    spans: int = 0
    tokens: int = 0
    hidden: int = 0
    typed: int = 0

    def add(self, other: "Tally") -> None:
        """Add another's counts."""
        self.spans += other.spans
        self.tokens += other.tokens
        self.hidden += other.hidden
        self.typed += other.typed


@dataclass(slots=True)
class Evaluation:
    """Counts over all texts, and the rates made of them.

    Parameters
    ----------
    documents, identified, leaking : int
        Texts; those with identifiers; those of them that leak.
    tokens, over_redacted : int
        Innocent tokens, and those of them that were hidden.
    characters, visible : int
        Letters and digits of identifiers, and those of them left visible.
    by_category : dict of str to Tally
    faults : list of Fault
    """

    documents: int = 0
    identified: int = 0
    leaking: int = 0
    tokens: int = 0
    over_redacted: int = 0
    characters: int = 0
    visible: int = 0
    by_category: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    faults: list[Fault] = field(default_factory=list)

    def add(self, other: "Evaluation") -> None:
        """Add the counts of other texts."""
        self.documents += other.documents
        self.identified += other.identified
        self.leaking += other.leaking
        self.tokens += other.tokens
        self.over_redacted += other.over_redacted
        self.characters += other.characters
        self.visible += other.visible
        for name, tally in other.by_category.items():
            self.by_category[name].add(tally)
        self.faults += other.faults

    def to_json(self) -> dict[str, Any]:
        """Return the rates, 0 to 1 or None where there is nothing to count, as the command prints them."""
        tallies = self.by_category.values()
        marked = sum(tally.tokens for tally in tallies)
        hidden = sum(tally.hidden for tally in tallies)
        return {
            "documents": self.documents,
            "token_recall": _rate(hidden, marked),
            "token_precision": _rate(hidden, hidden + self.over_redacted),
            "leak": _rate(self.visible, self.characters),
            "document_leak": _rate(self.leaking, self.identified),
            "over_redaction": _rate(self.over_redacted, self.tokens),
            "by_category": {
                name: {
                    "spans": tally.spans,
                    "token_recall": _rate(tally.hidden, tally.tokens),
                    "category_correct": _rate(tally.typed, tally.hidden),
                }
                for name, tally in sorted(self.by_category.items())
            },
        }


def evaluate(gold: Iterable[Gold], find: Callable[[str], Sequence[Span]]) -> Evaluation:
    """Compare what `find` finds in each text with what is marked.

    Parameters
    ----------
    gold : iterable of Gold
    find : callable
        Takes a text and returns its spans, as :meth:`osler.deidentify.text.Deidentifier.spans` does.
    """
    evaluation = Evaluation()
    for document in gold:
        count(evaluation, document, find(document.text))
    return evaluation


def count(evaluation: Evaluation, gold: Gold, found: Sequence[Found]) -> None:
    """Add one text, and what was found in it, to `evaluation`."""
    marked = [m for m in gold.marked if m.category != IGNORED]
    is_marked = _mask(len(gold.text), marked)
    is_ignored = _mask(len(gold.text), [m for m in gold.marked if m.category == IGNORED])
    is_found = _mask(len(gold.text), found)
    evaluation.documents += 1
    for mark in marked:
        evaluation.by_category[mark.category].spans += 1
    _count_characters(evaluation, gold, marked, is_found)
    for token in _TOKEN.finditer(gold.text):
        start, end = token.span()
        if any(is_marked[start:end]):
            category = next(m.category for m in marked if m.start < end and m.end > start)
            hidden = all(is_found[i] or not is_marked[i] for i in range(start, end))
            tally = evaluation.by_category[category]
            tally.tokens += 1
            tally.hidden += hidden
            tally.typed += hidden and any(_agrees(category, s) for s in found if s.start < end and s.end > start)
            if not hidden:
                evaluation.faults.append(_fault(gold, found, "leak", category, start, end))
        elif not any(is_ignored[start:end]):
            evaluation.tokens += 1
            if any(is_found[start:end]):
                evaluation.over_redacted += 1
                category = next(str(s.category) for s in found if s.start < end and s.end > start)
                evaluation.faults.append(_fault(gold, found, "over-redaction", category, start, end))


def _count_characters(evaluation: Evaluation, gold: Gold, marked: Sequence[Marked], is_found: bytearray) -> None:
    places = {i for m in marked for i in range(m.start, m.end) if gold.text[i].isalnum()}
    visible = sum(not is_found[i] for i in places)
    evaluation.characters += len(places)
    evaluation.visible += visible
    evaluation.identified += bool(marked)
    evaluation.leaking += visible > 0


def _mask(length: int, ranges: Iterable[Found]) -> bytearray:
    mask = bytearray(length)
    for each in ranges:
        mask[each.start : each.end] = b"\1" * (min(each.end, length) - each.start)
    return mask


def _agrees(category: str, span: Found) -> bool:
    return span.category == category or span.category in GROUPS.get(category, ())


def _fault(gold: Gold, found: Sequence[Found], kind: str, category: str, start: int, end: int) -> Fault:
    here = next((m for m in gold.marked if m.start < end and m.end > start), Marked(start, end, category))
    first, last = min(here.start, start), max(here.end, end)
    covers = [*(m for m in gold.marked if m != here), *found]
    before = _WORD.findall(_masked(gold.text, covers, 0, first))[-_WORDS_AROUND:]
    after = _WORD.findall(_masked(gold.text, covers, last, len(gold.text)))[:_WORDS_AROUND]
    middle = f"[{category}]" if kind == "leak" else f"<{category}>"
    return Fault(gold.id, kind, category, start, end, " ".join([*before, middle, *after]))


def _masked(text: str, covers: Iterable[Found], first: int, last: int) -> str:
    """Return a stretch of the text with all that is covered as its category."""
    pieces: list[str] = []
    at = first
    for cover in sorted(covers, key=lambda c: c.start):
        if cover.end <= at or cover.start >= last:
            continue
        pieces += (text[at : max(cover.start, at)], f"[{cover.category}]")
        at = cover.end
    return "".join([*pieces, text[at:last]])


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None
