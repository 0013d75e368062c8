"""The order of resources by what they say: the values that a search parameter sorts by, and how they compare.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.5.1 Sorting
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from osler.standards.fhir_index import Key, Link, Span, Term, keys_of, texts_of
from osler.standards.fhir_json import Resource
from osler.standards.fhir_result import Sort
from osler.standards.fhir_search import SEARCHABLE, SearchParameter
from osler.standards.fhir_text import fold

Value = str | float | tuple[str, str] | None
"""Of a string, reference or uri; a date, number or quantity; a token (code and system); of nothing."""
_MOST_TEXT: Final = 200  # characters that count: a cursor holds them


def with_id(keys: tuple[Sort, ...]) -> tuple[Sort, ...]:
    """Return an order in which no two resources are equal."""
    last = keys[-1]
    return keys if last.column == "id" else (*keys, Sort("id", last.descending))


def sort_value(resource: Resource, name: str, *, descending: bool) -> Value:
    """Return the value that a parameter sorts a resource by; None when it has none.

    Of several it is the one that comes first: the lowest, or the highest when the order descends. A string counts as a
    search compares it, an interval by where it begins.

    Parameters
    ----------
    resource : dict
        Of a type in :data:`SEARCHABLE`.
    name : str
        Of a parameter that is no composite.
    descending : bool
    """
    parameter = SEARCHABLE[resource["resourceType"]].parameters[name]
    values = set(_values(resource, parameter))
    return (max(values) if descending else min(values)) if values else None


def rank(values: Sequence[Any], keys: Sequence[Sort]) -> tuple[Any, ...]:
    """Return what sorts as resources do that have these values of these keys; who has none comes last either way."""
    ranked = []
    for value, key in zip(values, keys, strict=True):
        known = tuple(value) if isinstance(value, list) else value  # a cursor knows no tuples
        ranked.append((known is None, _Descending(known) if key.descending else known))
    return tuple(ranked)


@dataclass(frozen=True, slots=True)
class _Descending:
    value: Any

    def __lt__(self, other: "_Descending") -> bool:
        return bool(other.value < self.value)


def _values(resource: Resource, parameter: SearchParameter) -> Iterable[Any]:
    if parameter.kind == "string":
        return (fold(text[:_MOST_TEXT])[:_MOST_TEXT] for text in texts_of(resource, parameter))
    found = list(keys_of(resource, parameter))
    if parameter.kind == "token":
        return _tokens(found)
    if parameter.kind == "reference":
        return (key.target[:_MOST_TEXT] for key in found if isinstance(key, Link))
    if parameter.kind == "uri":
        return (key.parts[-1][:_MOST_TEXT] for key in found if isinstance(key, Term))
    return (key.low for key in found if isinstance(key, Span))


def _tokens(found: Sequence[Key]) -> set[tuple[str, str]]:
    """Return code and system of each token; the system is empty where there is none, or a bound code implies it."""
    parts = [key.parts for key in found if isinstance(key, Term)]
    whole = {(each[2], each[1]) for each in parts if each[0] == "both"}
    codes = {code for code, _ in whole}
    whole |= {(each[1], "") for each in parts if each[0] == "code" and each[1] not in codes}
    return {(code[:_MOST_TEXT], system[:_MOST_TEXT]) for code, system in whole}
