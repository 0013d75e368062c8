"""Measure a de-identifier against texts whose identifiers are marked (``osler deid evaluate GOLD``).

A token is a run of word characters. An identifier's token is hidden if each of its marked characters is covered by a
span; any other token is over-redacted if a span touches it. A text leaks if one marked letter or digit stays visible.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from osler.deidentify.text.spans import Category, Span
from osler.errors import ConfigError

IGNORED: Final = "IGNORE"
"""Category of marked text that counts neither as found nor as over-redacted."""

GROUPS: Final[dict[str, frozenset[Category]]] = {
    "CONTACT": frozenset({Category.PHONE, Category.FAX, Category.EMAIL, Category.URL, Category.IP}),
    "ID": frozenset(Category)
    - {Category.NAME, Category.LOCATION, Category.DATE, Category.AGE, Category.PHONE, Category.FAX, Category.EMAIL},
}
"""Coarse categories that some corpora mark, and what each stands for."""

_TOKEN: Final = re.compile(r"\w+")
_CONTEXT: Final = 40


@dataclass(frozen=True, slots=True)
class Marked:
    """An identifier that the gold marks; offsets are code points, ``end`` exclusive."""

    start: int
    end: int
    category: str


@dataclass(frozen=True, slots=True)
class Gold:
    """A text and its marked identifiers."""

    id: str
    text: str
    marked: tuple[Marked, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A missed identifier (``leak``) or an innocent word that was hidden (``over-redaction``).

    ``context`` shows every marked identifier as its category, never as its text.
    """

    id: str
    kind: str
    category: str
    context: str


@dataclass(slots=True)
class Tally:
    """Counts for one category."""

    spans: int = 0
    tokens: int = 0
    hidden: int = 0
    typed: int = 0


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

    def to_json(self) -> dict[str, object]:
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


def read_gold(path: Path) -> Iterator[Gold]:
    """Read JSON lines ``{"id", "text", "spans": [{"start", "end", "cat" or "category"}]}``.

    Raises
    ------
    ConfigError
        If a line has another form; the message quotes nothing of it.
    """
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                row = json.loads(line)
                marked = tuple(Marked(s["start"], s["end"], s.get("cat") or s["category"]) for s in row["spans"])
                yield Gold(str(row["id"]), row["text"], marked)
            except (ValueError, KeyError, TypeError):
                raise ConfigError(f"line {number} of the gold file is not a marked text") from None


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
        _count(evaluation, document, find(document.text))
    return evaluation


def _count(evaluation: Evaluation, gold: Gold, found: Sequence[Span]) -> None:
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
                evaluation.faults.append(_fault(gold, "leak", category, start, end))
        elif not any(is_ignored[start:end]):
            evaluation.tokens += 1
            if any(is_found[start:end]):
                evaluation.over_redacted += 1
                category = next(s.category.value for s in found if s.start < end and s.end > start)
                evaluation.faults.append(_fault(gold, "over-redaction", category, start, end))


def _count_characters(evaluation: Evaluation, gold: Gold, marked: Sequence[Marked], is_found: bytearray) -> None:
    places = {i for m in marked for i in range(m.start, m.end) if gold.text[i].isalnum()}
    visible = sum(not is_found[i] for i in places)
    evaluation.characters += len(places)
    evaluation.visible += visible
    evaluation.identified += bool(marked)
    evaluation.leaking += visible > 0


def _mask(length: int, ranges: Iterable[Marked | Span]) -> bytearray:
    mask = bytearray(length)
    for each in ranges:
        mask[each.start : each.end] = b"\1" * (min(each.end, length) - each.start)
    return mask


def _agrees(category: str, span: Span) -> bool:
    return span.category == category or span.category in GROUPS.get(category, ())


def _fault(gold: Gold, kind: str, category: str, start: int, end: int) -> Fault:
    first, last = max(start - _CONTEXT, 0), min(end + _CONTEXT, len(gold.text))
    pieces: list[str] = []
    at = first
    for mark in sorted(gold.marked, key=lambda m: m.start):
        if mark.category == IGNORED or mark.end <= at or mark.start >= last:
            continue
        pieces += (gold.text[at : max(mark.start, at)], f"[{mark.category}]")
        at = mark.end
    context = " ".join("".join([*pieces, gold.text[at:last]]).split())
    return Fault(gold.id, kind, category, context)


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None
