"""The form of what a language model says of a transcript: its JSON schema, and statements that keep to it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from osler.domain.note import Evidence, Topic
from osler.domain.transcript import DeidentifiedUtterance
from osler.errors import ContractViolation

MOST_STATEMENTS: Final = 200
"""Of one part of a transcript."""

LONGEST_TEXT: Final = 1000
_MOST_EVIDENCE: Final = 30
_PLACEHOLDER: Final = re.compile(r"\[[A-Z_]{2,20}-\d{1,5}\]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


@dataclass(frozen=True, slots=True)
class Said:
    """A statement as the model made it.

    Parameters
    ----------
    text : str
    topic : Topic
    evidence : tuple of Evidence
        At least one; whether the words are there is for the gate to say.
    problem : str
        What the model says that the statement is for; empty when none.
    """

    text: str
    topic: Topic
    evidence: tuple[Evidence, ...]
    problem: str = ""


def schema_of(topics: Sequence[Topic], *, by_problem: bool) -> dict[str, Any]:
    """Return the JSON schema of a reply, in the subset that strict servers take: all required, nothing else."""
    properties: dict[str, Any] = {
        "text": {"type": "string"},
        "topic": {"type": "string", "enum": [topic.value for topic in topics]},
        "utterances": {"type": "array", "items": {"type": "integer"}},
        "quotes": {"type": "array", "items": {"type": "string"}},
    }
    if by_problem:
        properties["problem"] = {"type": "string"}
    statement = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"statements": {"type": "array", "items": statement}},
        "required": ["statements"],
        "additionalProperties": False,
    }


def statements_of(
    document: Mapping[str, Any], *, topics: Sequence[Topic], utterances: Sequence[DeidentifiedUtterance]
) -> list[Said]:
    """Return the statements of a reply to a part of a transcript.

    Raises
    ------
    ContractViolation
        If one is not of the form, names an utterance that was not sent, or has a placeholder that the part has not.
        The message names the place and quotes nothing.
    """
    items = document.get("statements")
    if not isinstance(items, list):
        raise ContractViolation("the reply has no list of statements")
    if len(items) > MOST_STATEMENTS:
        raise ContractViolation(f"the reply has more than {MOST_STATEMENTS} statements")
    sent = {one.number: one for one in utterances}
    placeholders = {found for one in utterances for found in _PLACEHOLDER.findall(one.text)}
    return [_said(item, f"statement {n}", topics, sent, placeholders) for n, item in enumerate(items, 1)]


def _said(
    item: object,
    where: str,
    topics: Sequence[Topic],
    sent: Mapping[int, DeidentifiedUtterance],
    placeholders: set[str],
) -> Said:
    if not isinstance(item, Mapping):
        raise ContractViolation(f"{where} is not an object")
    text = _text(item.get("text"), f"{where}: text")
    if not set(_PLACEHOLDER.findall(text)) <= placeholders:
        raise ContractViolation(f"{where}: text has a placeholder that the transcript has not")
    topic = item.get("topic")
    if topic not in [one.value for one in topics]:
        raise ContractViolation(f"{where}: topic is not one of those listed")
    problem = item.get("problem", "")
    if not isinstance(problem, str):
        raise ContractViolation(f"{where}: problem is not a string")
    return Said(text, Topic(topic), _evidence(item, where, sent), " ".join(_CONTROL.sub(" ", problem).split())[:80])


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ContractViolation(f"{what} is not a string")
    text = " ".join(_CONTROL.sub(" ", value).split())
    if not text or len(text) > LONGEST_TEXT:
        raise ContractViolation(f"{what} is empty or longer than {LONGEST_TEXT} characters")
    return text


def _evidence(item: Mapping[str, Any], where: str, sent: Mapping[int, DeidentifiedUtterance]) -> tuple[Evidence, ...]:
    numbers, quotes = item.get("utterances"), item.get("quotes")
    if not isinstance(numbers, list) or not isinstance(quotes, list) or len(numbers) != len(quotes):
        raise ContractViolation(f"{where}: utterances and quotes are not two lists of one length")
    if not 0 < len(numbers) <= _MOST_EVIDENCE:
        raise ContractViolation(f"{where} names no utterance, or more than {_MOST_EVIDENCE}")
    if any(not isinstance(n, int) or isinstance(n, bool) or n not in sent for n in numbers):
        raise ContractViolation(f"{where} names an utterance that was not sent")
    return tuple(
        Evidence(number, as_said(_text(quote, f"{where}: quote"), sent[number].text))
        for number, quote in zip(numbers, quotes, strict=True)
    )


def as_said(quote: str, utterance: str) -> str:
    """Return the words of an utterance that a quote means, when they differ in case, spaces or outer marks only.

    A quote that is not there comes back as it is.
    """
    words = quote.strip(" .\"'\u201c\u201d\u2026").split()
    found = re.search(r"\s+".join(map(re.escape, words)), utterance, re.IGNORECASE) if words else None
    return found[0] if found else quote
