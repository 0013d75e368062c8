"""Whether a resource matches conditions of a search, told from the resource alone.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.4.5 to 3.1.1.4.7 (prefixes)
"""

from collections.abc import Iterable

from osler.standards.fhir_conditions import Chain, Condition, Every, Has, Present, Range, Test, Text
from osler.standards.fhir_dates import parse_span
from osler.standards.fhir_index import Indexed, Link, Span, Term, has_text, index_of
from osler.standards.fhir_json import Resource
from osler.standards.fhir_search import SEARCHABLE


def matchable(conditions: Iterable[Condition]) -> bool:
    """Tell whether conditions speak of the resource itself: a chain and ``_has`` ask for others."""
    return not any(_asks_others(test) for condition in conditions for test in condition.any_of)


def matches(resource: Resource, conditions: Iterable[Condition], indexed: Indexed | None = None) -> bool:
    """Tell whether all conditions hold of a resource.

    Parameters
    ----------
    resource : dict
        Of a type in :data:`SEARCHABLE`, with ``id`` and ``meta.lastUpdated``.
    conditions : iterable of Condition
        Such as :func:`matchable` lets pass.
    indexed : Indexed, optional
        What :func:`osler.standards.fhir_index.index_of` says of the resource, when it is known already.
    """
    found = index_of(resource) if indexed is None else indexed
    return all(any(_holds(test, resource, found) for test in c.any_of) != c.negated for c in conditions)


def _holds(test: Test, resource: Resource, indexed: Indexed) -> bool:
    if isinstance(test, Every):
        return all(_holds(each, resource, indexed) for each in test.tests)
    if isinstance(test, Present):
        return bool(indexed.present >> test.bit & 1)
    if isinstance(test, Text):
        parameter = SEARCHABLE[resource["resourceType"]].parameters[test.parameter]
        return has_text(resource, parameter, test.folded, anywhere=test.anywhere)
    if isinstance(test, Link):
        return test in indexed.links
    if isinstance(test, Term):
        return test.parts[-1] == resource["id"] if test.parameter == "_id" else test in indexed.terms
    if isinstance(test, Range):
        return any(test.stands(span.low, span.high) for span in _spans(test, resource, indexed))
    raise TypeError(type(test).__name__)


def _spans(test: Range, resource: Resource, indexed: Indexed) -> Iterable[Span]:
    if test.parameter == "_lastUpdated":
        return (Span("_lastUpdated", *parse_span(resource["meta"]["lastUpdated"])),)
    return (span for span in indexed.spans if span.parameter == test.parameter and span.unit == test.unit)


def _asks_others(test: Test) -> bool:
    return any(map(_asks_others, test.tests)) if isinstance(test, Every) else isinstance(test, Chain | Has)
