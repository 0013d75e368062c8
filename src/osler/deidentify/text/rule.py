"""A rule: a linear-time pattern, the words it needs, and a check; the engine of every language's rule tables."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

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
    """Runs a table of rules."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple((rule, re.compile(rule.pattern)) for rule in rules)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The table, for documentation."""
        return tuple(rule for rule, _ in self._rules)

    def spans(self, document: Document) -> Iterator[Span]:
        """Return what the rules find, rule by rule."""
        shadow = document.shadow
        has_digit = _DIGIT.search(shadow.text) is not None
        has_capital = shadow.text != shadow.lower
        for rule, pattern in self._rules:
            if (rule.digits and not has_digit) or (rule.cased and not rule.needs and not has_capital):
                continue
            if rule.needs and not any(word in shadow.lower for word in rule.needs):
                continue
            group = "v" if "v" in pattern.groupindex else 0
            for match in pattern.finditer(shadow.text if rule.cased else shadow.lower):
                start, end = match.span(group)
                if start < 0:
                    start, end = match.span()
                if end > start and (rule.check is None or rule.check(match)):
                    yield Span(start, end, rule.category, rule.score, rule.name)
