"""What may stand between a label and its value, and values that are said aloud."""

import re
from typing import Final

from osler.deidentify.text.en.numbers import DIGIT

_NOUN: Final = (
    r"numbers?|num|nbr|nos?|nr|ids?|identifier|identification|codes?|is|was|of|(?:ending|ends|ended)(?: in| with)?|as"
    r"|ref(?:erence)?|template|hash|records?|file|card|policy|member|recipient|holder|scan|profile|print|serial|reading"
    r"|(?:the )?last (?:4|four)(?: digits)?(?: of)?|reads|filed|under|commission|certificate"
)
IS: Final = (
    rf"(?:[ \t_]{{0,16}}(?:\b(?:{_NOUN})\b(?![/\-]\w)\.?(?:'s)?|n[o°º]\.|[:=#,>|()\[\]*\"\-]"
    rf"|\.{{1,40}})){{0,6}}[ \t]{{0,20}}(?:\r?\n[ \t]{{0,8}}){{0,2}}"
)
"""What may stand between a label and its value."""

_TWICE: Final = rf"(?:double|triple) {DIGIT}"
_BETWEEN: Final = r"[-, ]{1,3}(?:(?:dash|hyphen|then|uh|um)[, ]{1,3})?"
SAID: Final = rf"(?:{DIGIT}|{_TWICE})(?:{_BETWEEN}(?:{DIGIT}|{_TWICE})){{5,15}}"
"""Digits said one by one."""

SPELLED: Final = re.compile(
    rf"(?=[a-z ,\-]{{0,40}}{DIGIT})(?:{DIGIT}|[a-z])(?:{_BETWEEN}(?:{DIGIT}|{_TWICE}|[a-z]\b)){{3,24}}(?!\w)"
)
"""Letters and digits said one by one."""


def value(match: re.Match[str]) -> str:
    """Return what the rule takes for the identifier."""
    return match["v"] if "v" in match.re.groupindex else match[0]


def digits(match: re.Match[str]) -> str:
    """Return the digits of the value."""
    return re.sub(r"\D", "", value(match))
