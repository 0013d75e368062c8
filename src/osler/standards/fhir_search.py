"""Search parameters of R4 that Osler understands: one table for the router, the index and the CapabilityStatement.

A resource is indexed under *terms* (what a token or reference parameter can match, compared for equality) and *spans*
(what a date parameter can match, a half-open interval of seconds since the epoch). A query asks for the same two.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1 Search
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from osler.standards.fhir_dates import parse_span
from osler.standards.fhir_json import Resource

_CANONICAL: Final = "http://hl7.org/fhir/SearchParameter/"
_CODES: Final = "http://hl7.org/fhir/"

NO_DATE: Final = -1e15
"""Seconds since the epoch that stand for a missing date or an open start: before everything."""
ALWAYS: Final = 1e15
"""Seconds since the epoch that stand for an open end: after everything."""


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type.

    Parameters
    ----------
    name : str
    kind : {"token", "reference", "date"}
    url : str
        Canonical URL of its R4 definition.
    path : str
        Names of the elements that it reads, joined by dots; a choice ends in ``[x]``.
    targets : tuple of str
        Resource types that a bare id may belong to, for a reference.
    system : str
        Code system that a bound ``code`` implies, for a token.
    concept : bool
        Whether a token reads coded concepts, which compare without case; identifiers, codes and ids compare with it.
    """

    name: str
    kind: Literal["token", "reference", "date"]
    url: str
    path: str
    targets: tuple[str, ...] = ()
    system: str = ""
    concept: bool = False


@dataclass(frozen=True, slots=True)
class Searchable:
    """How one resource type is searched.

    Parameters
    ----------
    type : str
    parameters : mapping of str to SearchParameter
        The most selective first: of those that a query gives, the first one leads it.
    date : str
        The parameter that gives a resource its place in time, by which pages are sorted; empty when it has none.
    """

    type: str
    parameters: Mapping[str, SearchParameter]
    date: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """Something that a token or reference parameter can match."""

    parameter: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Something that a date parameter can match: from ``low`` to just before ``high``, seconds since the epoch, UTC."""

    parameter: str
    low: float
    high: float


def _token(name: str, url: str, *, path: str = "", system: str = "") -> SearchParameter:
    return SearchParameter(name, "token", _CANONICAL + url, path or name, system=_CODES + system if system else "")


def _concept(name: str, url: str) -> SearchParameter:
    return SearchParameter(name, "token", _CANONICAL + url, name, concept=True)


def _reference(name: str, url: str, path: str, *targets: str) -> SearchParameter:
    return SearchParameter(name, "reference", _CANONICAL + url, path, targets=targets)


def _date(name: str, url: str, path: str = "") -> SearchParameter:
    return SearchParameter(name, "date", _CANONICAL + url, path or name)


def _searchable(type_name: str, *parameters: SearchParameter, date: str = "") -> Searchable:
    everywhere = (_token("_id", "Resource-id", path="id"), *parameters)
    last = _date("_lastUpdated", "Resource-lastUpdated", "meta.lastUpdated")
    return Searchable(type_name, {p.name: p for p in (*everywhere, last)}, date)


SEARCHABLE: Final[Mapping[str, Searchable]] = {
    s.type: s
    for s in (
        _searchable("Patient", _token("identifier", "Patient-identifier")),
        _searchable(
            "ImagingStudy",
            _token("identifier", "clinical-identifier"),
            _reference("patient", "clinical-patient", "subject", "Patient"),
            _reference("subject", "ImagingStudy-subject", "subject", "Patient", "Device", "Group"),
            _date("started", "ImagingStudy-started"),
            _token("status", "ImagingStudy-status", system="imagingstudy-status"),
            date="started",
        ),
        _searchable(
            "Observation",
            _token("identifier", "clinical-identifier"),
            _reference("patient", "clinical-patient", "subject", "Patient"),
            _reference("subject", "Observation-subject", "subject", "Patient", "Group", "Device", "Location"),
            _concept("code", "clinical-code"),
            _date("date", "clinical-date", "effective[x]"),
            _token("status", "Observation-status", system="observation-status"),
            date="date",
        ),
        _searchable(
            "DiagnosticReport",
            _token("identifier", "clinical-identifier"),
            _reference("patient", "clinical-patient", "subject", "Patient"),
            _reference("subject", "DiagnosticReport-subject", "subject", "Patient", "Group", "Device", "Location"),
            _concept("code", "clinical-code"),
            _date("date", "clinical-date", "effective[x]"),
            _token("status", "DiagnosticReport-status", system="diagnostic-report-status"),
            date="date",
        ),
        _searchable(
            "Device",
            _token("identifier", "Device-identifier"),
            _reference("patient", "Device-patient", "patient", "Patient"),
            _token("status", "Device-status", system="device-status"),
        ),
        _searchable(
            "Provenance",
            _reference("target", "Provenance-target", "target"),
            _reference("patient", "Provenance-patient", "target", "Patient"),
            _date("recorded", "Provenance-recorded"),
            date="recorded",
        ),
        _searchable(
            "Communication",
            _token("identifier", "Communication-identifier"),
            _reference("patient", "Communication-patient", "subject", "Patient"),
            _reference("subject", "Communication-subject", "subject", "Patient", "Group"),
            _date("sent", "Communication-sent"),
            _token("status", "Communication-status", system="event-status"),
            date="sent",
        ),
        _searchable(
            "Flag",
            _token("identifier", "Flag-identifier"),
            _reference("patient", "clinical-patient", "subject", "Patient"),
            _reference("subject", "Flag-subject", "subject", "Patient", "Group", "Location", "Organization"),
            _date("date", "clinical-date", "period"),
            date="date",
        ),
    )
}


def index_of(resource: Resource) -> tuple[list[Term], list[Span]]:
    """Return all that a resource can be found by.

    Parameters
    ----------
    resource : dict
        Of a type in :data:`SEARCHABLE`, with ``id`` and ``meta.lastUpdated``.
    """
    terms: dict[Term, None] = {}
    spans: dict[Span, None] = {}
    for parameter in SEARCHABLE[resource["resourceType"]].parameters.values():
        for value in _values(resource, parameter.path.split(".")):
            if parameter.kind == "date":
                spans.update((Span(parameter.name, low, high), None) for low, high in _spans(value))
            else:
                found = (
                    _token_parts(value, parameter) if parameter.kind == "token" else _reference_parts(value, parameter)
                )
                terms.update((Term(parameter.name, parts), None) for parts in found)
    return list(terms), list(spans)


def patient_of(resource: Resource) -> str | None:
    """Return the logical id of the Patient that a resource is about, or None."""
    if resource["resourceType"] == "Patient":
        return str(resource["id"])
    parameter = SEARCHABLE[resource["resourceType"]].parameters.get("patient")
    if parameter is not None:
        for value in _values(resource, parameter.path.split(".")):
            for (reference,) in _reference_parts(value, parameter):
                if reference.startswith("Patient/"):  # one of ours, not another server's
                    return reference.partition("/")[2]
    return None


def _values(node: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(node, list):
        for item in node:
            yield from _values(item, path)
    elif not path:
        yield node
    elif isinstance(node, dict):
        name, rest = path[0], path[1:]
        if name.endswith("[x]"):
            stem = name.removesuffix("[x]")
            for key, value in node.items():
                if key.startswith(stem) and key[len(stem) : len(stem) + 1].isupper():
                    yield from _values(value, rest)
        elif name in node:
            yield from _values(node[name], rest)


def _token_parts(value: Any, parameter: SearchParameter) -> Iterator[tuple[str, ...]]:
    if isinstance(value, str):  # a code or an id: its system is implied, it has no property for one
        yield from token_forms("", value)
        if parameter.system:
            yield from token_forms(parameter.system, value)
    elif isinstance(value, dict) and "value" in value:
        yield from token_forms(value.get("system", ""), value["value"])
    elif isinstance(value, dict):
        for coding in value.get("coding", []):
            if "code" in coding:
                yield from token_forms(coding.get("system", ""), coding["code"].casefold())


def token_forms(system: str, code: str) -> Iterator[tuple[str, ...]]:
    """Yield the three ways to ask for a token: ``code``, ``system|code`` and ``system|``."""
    yield ("code", code)
    yield ("both", system, code)
    if system:
        yield ("system", system)


def _reference_parts(value: Any, parameter: SearchParameter) -> Iterator[tuple[str]]:
    reference = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(reference, str) or reference.startswith("#"):
        return
    reference = reference.partition("/_history/")[0]
    kind = reference.rsplit("/", 2)[-2] if "/" in reference else ""
    if not parameter.targets or kind in parameter.targets:
        yield (reference,)


def _spans(value: Any) -> Iterator[tuple[float, float]]:
    if isinstance(value, str):
        yield parse_span(value)
    elif isinstance(value, dict) and ("start" in value or "end" in value):
        low = parse_span(value["start"])[0] if "start" in value else NO_DATE
        high = parse_span(value["end"])[1] if "end" in value else ALWAYS
        yield low, high
    elif isinstance(value, dict) and value.get("event"):  # a Timing: from its first event to its last
        events = [parse_span(event) for event in value["event"]]
        yield min(low for low, _ in events), max(high for _, high in events)
