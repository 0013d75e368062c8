"""Where a clause of a sentence ends, what condition stands beside it, and when."""

import re
from typing import Final

from osler.domain.orders import OrderKind
from osler.draft.orders import details
from osler.draft.orders.cues import Cue

_STOP: Final = re.compile(
    r"[;?]|(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)\.(?:\s|$)|\b(?:because|since|so|but|that(?=\s+(?:is|"
    r"was|will|would|can|could|should|we|you|they|it|the\s+patient|he|she|helps?|i|this)\b)|which|"
    r"who|how|based\s+on|although|though|we|i|whether|while|until|than|given|due\s+to|secondary\s+to|"
    r"(?<!going\s)to\s+(?:rule|see|make|look|evaluate|assess|help|confirm|determine|"
    r"prevent|treat|find|keep|get|try|control|reduce|decide|ensure|discuss|review|check|be|have|do|"
    r"let|go)|in\s+order\s+to|not|no|without(?!\s+(?:iv\s+|any\s+)?contrast)|instead\s+of|"
    r"rather\s+than|continue|like\s+i\s+said|discuss\w*|talk\w*|explain\w*|consider\w*|may|might|"
    r"could|would|possibl[ey]|maybe|potentially|"
    r"perhaps|prior|previous|history|if|unless|in\s+case|pending|depending|as\s+long\s+as|versus|vs|"
    r"along\s+with\s+continu\w+)\b|"
    r"\b(?:once(?!\s+(?:an?|per|every|each|daily|weekly|nightly|at)\b)|when(?!\s+needed)|after|before)\b",
    re.IGNORECASE,
)
_FOR: Final = re.compile(
    r"\bfor\b(?!\s+(?:(?:about|the\s+next|another)\s+)*(?:an?\b|\d|the\s+next|the\s+future|two|three|now))",
    re.IGNORECASE,
)
_TAKES_FOR: Final = re.compile(
    r"(?:set\b.*|send\b.*|schedul\w+.*|swab.*|order\w*|refill\w*|sent|writ\w+.*|prescri\w+|recommend|"
    r"plan\w*|need) ?(?:for|up)?$|.*\bfor$"
)
_TO_KNOW: Final = re.compile(
    r"\b(?:see|know|tell|out|sure|decide|determine|check|ask|asked|wonder\w*|remember)\s+$", re.IGNORECASE
)
_NEXT: Final = re.compile(r"\b(?:and|but|so|then)[\s,]+$", re.IGNORECASE)
_SOONER: Final = re.compile(r"\b(?:or\s+)?(?:sooner|earlier)\b.*$", re.IGNORECASE)
_ELSE: Final = re.compile(r"[.;]\s|\b(?:we|i|he|she|they|although|though)\b", re.IGNORECASE)
_AHEAD: Final = re.compile(
    rf"(?:^|[.;]\s|\b(?:then|finally|and)\s)\s*(?:finally,?\s+)?({details.WHEN.pattern}),?\s*$", re.IGNORECASE
)
_HEADED: Final = re.compile(
    r"\s*(?:(?:an?|the|another|that|this|some|your)\s+)?(?:new\s+)?(?:order|referral|refill|prescription|request)\s+for\b",
    re.IGNORECASE,
)
_REST: Final = re.compile(r"[.;]|,\s+(?:and|we|i)\b|\s+(?:and|so)\s+(?:we|i|they|the\s+patient)\b", re.IGNORECASE)
_BUT: Final = re.compile(r"[.;]\s|\bbut\b", re.IGNORECASE)
_AND: Final = re.compile(r"\band[\s,]*$", re.IGNORECASE)
_LONGEST: Final = 160
BREAK: Final = "\x00"
"""Stands where a speaker takes back what was said right before."""


def last_part(text: str) -> str:
    """Return what follows the last word at which a sentence goes on to something else."""
    stops = list(_STOP.finditer(text))
    return text[stops[-1].end() :] if stops else text


def cut(reach: str, cue: Cue) -> str:
    """Return as much of what follows a cue as says what is ordered."""
    stop = _STOP.search(reach)
    here = reach[: stop.start()] if stop else reach
    if OrderKind.MEDICATION in cue.kinds and OrderKind.LABORATORY not in cue.kinds:
        return here
    purpose = None if _TAKES_FOR.match(cue.verb) else _FOR.search(here)
    head = _HEADED.match(here)
    if purpose and not (head and purpose.start() < head.end()):
        return here[: purpose.start()]
    return here


def without_sooner(text: str) -> str:
    """Return a text without "or sooner if it gets worse"."""
    return _SOONER.sub("", text)


def ahead(before: str) -> str:
    """Return "in 3 months" of "in 3 months we will"; empty without."""
    match = _AHEAD.search(before)
    return match[1] if match else ""


def first_when(text: str) -> str:
    """Return when, as a text says it first."""
    end = _ELSE.search(text)
    return details.first(details.WHEN, text[: end.start()] if end else text) if BREAK not in text else ""


def condition_before(sentence: str, since: int, lead: int) -> str:
    """Return "if that is positive" of "if that is positive I want to"."""
    before = sentence[since:lead]
    found = [one for one in details.CONDITION.finditer(before) if not _TO_KNOW.search(before[: one.start()])]
    if not found or _BUT.search(before[found[0].start() :]):
        return ""
    if _AND.search(before) and before[: found[0].start()].strip(" ,"):
        return ""  # "call me if it hurts, and we will order an X-ray"
    return _short(before[found[0].start() :])


def condition_behind(reach: str) -> str:
    """Return the condition at which what is ordered ends: "once we get the results"."""
    reach = _SOONER.sub("", reach)
    stop = _STOP.search(reach)
    match = details.CONDITION.match(reach, stop.start()) if stop else None
    if match is None or _NEXT.search(reach[: match.start()]):
        return ""
    return _short(_REST.split(reach[match.start() :])[0])


def _short(text: str) -> str:
    words = " ".join(text.replace(BREAK, " ").split()).strip(" ,.")
    words = re.sub(r"(?:,?\s+(?:and|then|so|but))+$", "", words)
    return words if len(words) <= _LONGEST else words[:_LONGEST].rsplit(" ", 1)[0] + " \u2026"
