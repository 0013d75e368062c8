"""A rule: a linear-time pattern, the words it needs, and a check; the engine of every language's rule tables."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from osler.deidentify.text.anchors import beginnings, matches, threes
from osler.deidentify.text.engine import Document
from osler.deidentify.text.spans import Category, Span

_DIGIT: Final = re.compile("[0-9]")

Check = Callable[[re.Match[str]], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to recognise an identifier.

    Parameters
    ----------
    name : str
        Kebab-case; it is the span's ``rule``.
    category : Category
    pattern : str
        Regular expression whose repeats are all bounded, so that it runs in linear time. Its group ``v`` is the
        span; without it, the whole match. It runs on the lower-case shadow unless ``cased``.
    score : float
    needs : tuple of str
        Lower-case strings of which one must occur in the text; a text without them costs nothing.
    check : callable or None
        Takes the match and says whether it holds.
    cased : bool
        The pattern runs on the shadow as written, and needs a capital in it unless ``needs`` says what else.
    digits : bool
        The pattern needs a digit.
    """

    name: str
    category: Category
    pattern: str
    score: float = 0.95
    needs: tuple[str, ...] = ()
    check: Check | None = None
    cased: bool = False
    digits: bool = True


class RuleRecogniser:
    """Runs a table of rules, each only where its pattern can begin."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple((rule, re.compile(rule.pattern)) for rule in rules)
        by_beginning: dict[str, list[int]] = {}
        self._anywhere: list[int] = []
        for number, (rule, _) in enumerate(self._rules):
            begin = beginnings(rule.pattern)
            if begin is None:
                self._anywhere.append(number)
            for each in begin or ():
                by_beginning.setdefault(each, []).append(number)
        self._by_beginning = {each: tuple(numbers) for each, numbers in by_beginning.items()}
        wordy = ((each, tuple(n for n in of if not self._rules[n][0].digits)) for each, of in by_beginning.items())
        self._without_digit = {each: numbers for each, numbers in wordy if numbers}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The table, for documentation."""
        return tuple(rule for rule, _ in self._rules)

    def spans(self, document: Document) -> Iterator[Span]:
        """Return what the rules find, rule by rule."""
        shadow = document.shadow
        has_digit = _DIGIT.search(shadow.text) is not None
        has_capital = shadow.text != shadow.lower
        starts = _starts(shadow.lower, self._by_beginning if has_digit else self._without_digit)
        for number in sorted([*starts, *self._anywhere]):
            rule, pattern = self._rules[number]
            if (rule.digits and not has_digit) or (rule.cased and not rule.needs and not has_capital):
                continue
            if rule.needs and not any(word in shadow.lower for word in rule.needs):
                continue
            text = shadow.text if rule.cased else shadow.lower
            places = starts.get(number)
            found = pattern.finditer(text) if places is None else matches(pattern, text, places)
            if found:
                yield from _spans(rule, found)


def _starts(lower: str, by_beginning: Mapping[str, tuple[int, ...]]) -> dict[int, list[int]]:
    """Return for each rule the places where it may match, in order; rules that may match anywhere are absent."""
    starts: dict[int, list[int]] = {}
    for at, three in enumerate(threes(lower)):
        for number in by_beginning.get(three, ()):
            if number in starts:
                starts[number].append(at)
            else:
                starts[number] = [at]
    return starts


def _spans(rule: Rule, found: Iterable[re.Match[str]]) -> Iterator[Span]:
    group = "v" if "(?P<v>" in rule.pattern else 0
    for match in found:
        start, end = match.span(group)
        if start < 0:
            start, end = match.span()
        if end > start and (rule.check is None or rule.check(match)):
            yield Span(start, end, rule.category, rule.score, rule.name)
