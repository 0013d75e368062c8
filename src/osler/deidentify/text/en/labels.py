"""A label and its value: what may stand between them, and what a value looks like."""

import re
from typing import Final

from osler.deidentify.text.en.numbers import DIGIT
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

IS: Final = (
    r"(?:[ \t]{0,2}(?:\b(?:numbers?|num|nbr|no|nos|nr|ids?|identifier|code|is|was|of|ending in"
    r"|as)\b\.?|n[o°º]\.|[:=#.,>|\-]|\(|\*)){0,5}"
    r"\s{0,3}"
)
"""What may stand between a label and its value."""
_VALUE: Final = (
    r"(?P<v>#?(?:\d{2,4}(?: \d{2,4}){1,4}(?![\w/])|[a-z0-9](?:[a-z0-9]"
    r"|[-._/](?=[a-z0-9]))(?:[a-z0-9]|[-./_*](?=[a-z0-9])){0,30}))"
    r"(?![a-z0-9])"
)
SAID: Final = rf"{DIGIT}(?:[-, ]{{1,3}}(?:{DIGIT}|dash|hyphen|double {DIGIT}|triple {DIGIT})){{6,15}}"
"""Digits said one by one."""


def value(match: re.Match[str]) -> str:
    """Return what the rule takes for the identifier."""
    return match["v"] if "v" in match.re.groupindex else match[0]


def digits(match: re.Match[str]) -> str:
    """Return the digits of the value."""
    return re.sub(r"\D", "", value(match))


def has_digits(match: re.Match[str]) -> bool:
    """Check: the value has at least two digits and is not a dose, a ratio or a code of a classification."""
    return len(digits(match)) >= 2 and not _MEASURE.match(match.string, match.end("v"))


_MEASURE: Final = re.compile(
    r"\s?(?:%|m(?:g|cg|l|m|mol|eq)\b|mmhg|cm\b|kg\b|bpm|years?|yrs?|days?|weeks?|months?"
    r"|hours?|x\b)"
)


def labelled(name: str, category: Category, labels: str, *needs: str, score: float = 0.95) -> Rule:
    """Return the rule of a value that follows one of the labels."""
    return Rule(name, category, rf"(?:{labels}){IS}{_VALUE}", score, needs, has_digits)
