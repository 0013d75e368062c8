"""Cards: what a service says, in the form of the standard.

References
----------
CDS Hooks 2.0, HTTP response, card attributes
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from osler.standards.fhir import Resource

SUMMARY: Final = 139
"""Longest summary, characters: it must be below 140."""
_SOURCE: Final = "Osler, on-premise AI results"

Indicator = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a suggestion does in the caller's system.

    Parameters
    ----------
    type : {"create", "update", "delete"}
    description : str
    resource : dict, optional
        To create or update.
    resource_id : str, optional
        Reference of what to delete.
    """

    type: Literal["create", "update", "delete"]
    description: str
    resource: Resource | None = None
    resource_id: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that the clinician may take with one click."""

    label: str
    actions: tuple[Action, ...]
    recommended: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Where to read on: an app to launch (``smart``), or a page (``absolute``)."""

    label: str
    url: str
    type: Literal["absolute", "smart"]
    app_context: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One card.

    Parameters
    ----------
    summary : str
        One line; cut below 140 characters.
    indicator : {"info", "warning", "critical"}
    detail : str
        GitHub-flavoured Markdown.
    topic : str
        What the card is about, a code of ours.
    source, source_url : str
        Whose knowledge it is; the hub's own when empty.
    about : str
        Reference of the resource that it stands on, for the record; empty when it is the order itself.
    model : str
        ``name@version`` of the model whose result it shows, or empty.
    override_reasons : tuple of (str, str)
        Code and words.
    """

    summary: str
    indicator: Indicator
    detail: str
    topic: str
    source: str = _SOURCE
    source_url: str = ""
    about: str = ""
    model: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    override_reasons: tuple[tuple[str, str], ...] = ()
    links: tuple[Link, ...] = ()
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))


def to_json(card: Card, *, codes: str) -> dict[str, Any]:
    """Write a card; ``codes`` is the code system of topics and reasons."""
    source: dict[str, Any] = {"label": card.source, "topic": {"system": codes, "code": card.topic}}
    if card.source_url:
        source["url"] = card.source_url
    made: dict[str, Any] = {
        "uuid": card.uuid,
        "summary": _cut(card.summary),
        "indicator": card.indicator,
        "detail": card.detail,
        "source": source,
    }
    if card.suggestions:
        made |= {"suggestions": [_suggestion(s) for s in card.suggestions], "selectionBehavior": "at-most-one"}
    if card.override_reasons:
        made["overrideReasons"] = [{"code": c, "system": codes, "display": words} for c, words in card.override_reasons]
    if card.links:
        made["links"] = [_link(link) for link in card.links]
    return made


def ordered(cards: Sequence[Card]) -> list[Card]:
    """Return cards, the most urgent first."""
    return sorted(cards, key=lambda card: ("critical", "warning", "info").index(card.indicator))


def _cut(text: str) -> str:
    return text if len(text) <= SUMMARY else text[: SUMMARY - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _suggestion(suggestion: Suggestion) -> dict[str, Any]:
    made: dict[str, Any] = {"label": suggestion.label, "uuid": str(uuid.uuid4())}
    if suggestion.recommended:
        made["isRecommended"] = True
    return made | {"actions": [_action(action) for action in suggestion.actions]}


def _action(action: Action) -> dict[str, Any]:
    made: dict[str, Any] = {"type": action.type, "description": action.description}
    if action.resource is not None:
        made["resource"] = action.resource
    if action.resource_id:
        made["resourceId"] = action.resource_id
    return made


def _link(link: Link) -> dict[str, Any]:
    made = {"label": link.label, "url": link.url, "type": link.type}
    return made | ({"appContext": link.app_context} if link.app_context else {})
