"""Which concepts imply which: a class and its drugs, a complaint and its special forms, a part and its region."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from osler.draft.facts.tables import named, table

_GATE: Final = "osler.draft.gate"
_GENERAL: Final = ("pain", "cancer", "vaccine", "ultrasound")


def is_class_of(name: str, member: str) -> bool:
    """Whether one name is of the class of drugs that another belongs to."""
    members = _classes().get(name)
    return members is not None and not members.isdisjoint(member.split())


def is_class(name: str) -> bool:
    """Whether a name is of a class of drugs rather than of a drug."""
    return name in _classes() or name in named("other_classes", _GATE)


def agree(one: str, other: str) -> bool:
    """Whether two names may be said of the same thing."""
    return _is_kind_of(one, other) or _is_kind_of(other, one)


def same_region(site: str, other: str) -> bool:
    """Whether two parts of the body lie so close that people name one for the other: a finger and its hand."""
    return any(site in region and other in region for region in table(_GATE)["regions"])


def _is_kind_of(special: str, general: str) -> bool:
    if special == general or table(_GATE)["special_forms"].get(special) == general:
        return True
    return special.endswith(" " + general) and general in _GENERAL


@lru_cache(maxsize=1)
def _classes() -> Mapping[str, frozenset[str]]:
    return {name: frozenset(members.split()) for name, members in table(_GATE)["classes"].items()}
