"""How the answer to a search is to look: pages, order, totals, what to bring along, and which elements.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.5 (managing returned resources)
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from osler.standards.fhir_paging import parse_count
from osler.standards.fhir_search import SEARCHABLE, Searchable

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_MOST_KEYS: Final = 5
_SORTED_BY_COLUMN: Final = frozenset({"AuditEvent"})
"""Types that are sorted by date, update and id alone: there are always too many to open."""
_SUMMARIES: Final = ("true", "text", "data", "count", "false")


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of the order.

    Parameters
    ----------
    column : str
        ``date_at`` (the date of the type), ``updated_at`` or ``id``; empty when it is a parameter.
    descending : bool
    parameter : str
        Any other than these, that is no composite: its values stand in the resource itself.
    """

    column: str
    descending: bool = False
    parameter: str = ""


LATEST_FIRST: Final = (Sort("date_at", descending=True),)
"""The order when none is asked for; the index is in it."""


@dataclass(frozen=True, slots=True)
class Include:
    """A reference that leads to what else is returned.

    Parameters
    ----------
    type : str
        The type that refers.
    parameter : str
        Its reference parameter; ``*`` for all of them.
    target : str
        Type of resource that it must lead to; empty for any.
    """

    type: str
    parameter: str
    target: str = ""


def _count(_searchable: Searchable, value: str) -> dict[str, Any]:
    return {"count": parse_count(value)}


def _sort(searchable: Searchable, value: str) -> dict[str, Any]:
    keys = [_key(searchable, name) for name in value.split(",")]
    return {} if None in keys or len(keys) > _MOST_KEYS else {"sort": tuple(keys)}


def _key(searchable: Searchable, text: str) -> Sort | None:
    name, descending = text.removeprefix("-"), text.startswith("-")
    parameter = searchable.parameters.get(name)
    if parameter is None:
        return None
    column = {"_lastUpdated": "updated_at", "_id": "id", searchable.date: "date_at"}.get(name, "")
    if column:
        return Sort(column, descending)
    if parameter.kind == "composite" or searchable.type in _SORTED_BY_COLUMN:
        return None
    return Sort("", descending, name)


def _total(_searchable: Searchable, value: str) -> dict[str, Any]:
    return {"total": value} if value in ("none", "estimate", "accurate") else {}


def _summary(_searchable: Searchable, value: str) -> dict[str, Any]:
    if value == "count":
        return {"summary": value, "count": 0, "total": "accurate"}
    return {"summary": value} if value in _SUMMARIES else {}


def _elements(_searchable: Searchable, value: str) -> dict[str, Any]:
    names = tuple(name.strip() for name in value.split(","))
    return {"elements": names} if all(map(_NAME.fullmatch, names)) else {}


def _include(searchable: Searchable, value: str) -> dict[str, Any]:
    found = _reference(f"{searchable.type}:*" if value == "*" else value, any_of_type=True)
    return {"includes": (found,)} if found is not None and found.type == searchable.type else {}


def _revinclude(searchable: Searchable, value: str) -> dict[str, Any]:
    found = _reference(value, any_of_type=False)
    if found is None or found.target not in ("", searchable.type):
        return {}
    targets = SEARCHABLE[found.type].parameters[found.parameter].targets
    return {"revincludes": (found,)} if not targets or searchable.type in targets else {}


def _reference(value: str, *, any_of_type: bool) -> Include | None:
    type_name, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    if type_name not in SEARCHABLE or ":" in target:
        return None
    parameter = SEARCHABLE[type_name].parameters.get(name)
    known = (any_of_type and name == "*") or (parameter is not None and parameter.kind == "reference")
    return Include(type_name, name, target) if known else None


def _cursor(_searchable: Searchable, value: str) -> dict[str, Any]:
    return {"cursor": value}


CONTROLS: Final[Mapping[str, Callable[[Searchable, str], dict[str, Any]]]] = {
    "_count": _count,
    "_cursor": _cursor,
    "_elements": _elements,
    "_include": _include,
    "_revinclude": _revinclude,
    "_sort": _sort,
    "_summary": _summary,
    "_total": _total,
}
"""What each control asks of the answer; nothing when its value is not understood."""
