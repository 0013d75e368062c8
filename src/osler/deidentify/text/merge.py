"""The merge policy: many recognisers' spans into one list that does not overlap.

1. **Nothing found is given back.** Spans that overlap become one span over all of them; no recogniser can uncover
   what another found.
2. **The surest names it.** The category and the rule of the merged span are those of its member with the highest
   score; of equals the longest, then the first. A rule that did not see the whole has a ``+`` after its name, so
   that no profile keeps a part of a span on the strength of the rule that found another part.
3. **Neighbours of one kind are one.** Two names with only spaces or a hyphen between them on one line are one name.
4. **Found once, hidden everywhere.** A name or number that was found with a score of at least
   :data:`CONSISTENT_SCORE` is hidden wherever the document repeats it as whole words: numbers of five digits or
   more in any place, the words of a name where they are capitalised and no ordinary word of the language.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from osler.deidentify.text.shadow import Shadow
from osler.deidentify.text.spans import Category, Span

CONSISTENT_SCORE: Final = 0.8
EXTENDED: Final = "+"
_WORD: Final = re.compile(r"[^\W\d_][^\W\d_'’]{2,40}")
_NUMBERED: Final = frozenset(Category) - {Category.NAME, Category.LOCATION, Category.DATE, Category.AGE}
_NAME_GAP: Final = re.compile(r"[ \t]{1,3}|-")


def merge(spans: Iterable[Span], text: str) -> list[Span]:
    """Apply rules 1 to 3; the result is in order and does not overlap."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        last = merged[-1] if merged else None
        if last is not None and span.start < last.end:
            best = max(last, span, key=lambda s: (s.score, s.end - s.start, -s.start))
            end = max(last.end, span.end)
            whole = (best.start, best.end) == (last.start, end)
            rule = best.rule if whole or best.rule.endswith(EXTENDED) else best.rule + EXTENDED
            merged[-1] = replace(best, start=last.start, end=end, rule=rule)
        else:
            merged.append(span)
    return list(_join_names(merged, text))


def _join_names(spans: Iterable[Span], text: str) -> Iterator[Span]:
    held: Span | None = None
    for span in spans:
        if held is None:
            held = span
        elif held.category is span.category is Category.NAME and _NAME_GAP.fullmatch(text, held.end, span.start):
            held = replace(max(held, span, key=lambda s: s.score), start=held.start, end=span.end)
        else:
            yield held
            held = span
    if held is not None:
        yield held


def repeated(spans: Iterable[Span], shadow: Shadow, is_vocabulary: Callable[[str], bool]) -> Iterator[Span]:
    """Apply rule 4: yield the places where the document repeats what was found in it."""
    names: dict[str, Span] = {}
    numbers: dict[str, Span] = {}
    for span in spans:
        found = shadow.text[span.start : span.end]
        if span.score < CONSISTENT_SCORE:
            continue
        if span.category is Category.NAME:
            names.update((low, span) for word in _WORD.findall(found) if not is_vocabulary(low := word.lower()))
        elif span.category in _NUMBERED and sum(map(str.isdigit, found)) >= 5:
            numbers[found.lower()] = span
    for match in _WORD.finditer(shadow.text) if names else ():
        word = match[0].lower()
        stem = word[:-2] if word.endswith(("'s", "’s")) else word
        if stem in names and match[0][0].isupper():
            yield replace(names[stem], start=match.start(), end=match.start() + len(stem))
    for number, span in numbers.items():
        yield from _occurrences(number, span, shadow.lower)


def _occurrences(number: str, span: Span, lower: str) -> Iterator[Span]:
    at = lower.find(number)
    while at >= 0:
        end = at + len(number)
        if not (lower[at - 1 : at].isalnum() or lower[end : end + 1].isalnum()):
            yield replace(span, start=at, end=end)
        at = lower.find(number, end)
