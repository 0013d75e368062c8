"""What a resource is found by: terms, links and spans.

A *term* is what a token, string or uri parameter can match, compared for equality. A *link* is a reference. A *span* is
what a date, number or quantity parameter can match: an interval, of one unit. A query asks for the same three.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.4 (parameters), 3.1.1.4.19 (handling of data types)
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Final, NamedTuple

from osler.errors import TooLarge
from osler.standards.fhir_dates import ALWAYS, NO_DATE, parse_span
from osler.standards.fhir_json import Resource
from osler.standards.fhir_search import SEARCHABLE, SearchParameter, Step, token_forms
from osler.standards.fhir_text import fold, text_terms

FAR: Final = 1e308
"""Stands for an open end of a range of numbers."""
MOST_KEYS: Final = 100_000
"""Keys that one resource may be found by."""
COLUMNS: Final = frozenset({"_id", "_lastUpdated"})
"""Parameters that every resource has: they need no rows of their own."""
CONTEXT: Final = "securityContext"
"""Stands for a parameter in what a Binary is found by: the resource that decides who may read it (R4 Binary)."""
UNKNOWN: Final = "?"
"""A context that cannot be looked at: elsewhere, of no type of ours, or itself as open as another."""
_NO_CONTEXT: Final = frozenset({"Binary", "Provenance"})
_LOCAL: Final = re.compile(r"([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}")
_NAME_PARTS: Final = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS: Final = ("text", "line", "city", "district", "state", "postalCode", "country")


@dataclass(frozen=True, slots=True)
class Term:
    """Something that is compared for equality."""

    parameter: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A reference: ``Type/id`` when it is to one of ours, else an absolute URL."""

    parameter: str
    target: str


@dataclass(frozen=True, slots=True)
class Span:
    """An interval of a unit: for dates from ``low`` to just before ``high``, seconds since the epoch, without unit."""

    parameter: str
    low: float
    high: float
    unit: tuple[str, ...] = ()


Key = Term | Link | Span


class Indexed(NamedTuple):
    """All that one resource is found by; ``present`` has the bits of the parameters that it has a value for."""

    terms: list[Term]
    spans: list[Span]
    links: list[Link]
    present: int


def index_of(resource: Resource) -> Indexed:
    """Return all that a resource can be found by.

    Parameters
    ----------
    resource : dict
        Of a type in :data:`SEARCHABLE`, with ``id`` and ``meta.lastUpdated``.

    Raises
    ------
    TooLarge
        If that is more than :data:`MOST_KEYS`: pairs of a composite grow with the square of what is sent.
    """
    keys: dict[Key, None] = {}
    present = 0
    for parameter in SEARCHABLE[resource["resourceType"]].parameters.values():
        if parameter.name in COLUMNS:
            present |= 1 << parameter.bit
            continue
        if not _may_have(resource, parameter):
            continue
        read = _composite(resource, parameter) if parameter.at else keys_of(resource, parameter)
        found = list(islice(read, MOST_KEYS + 1))
        if found:
            present |= 1 << parameter.bit
        if parameter.stored == (parameter.name,):
            keys.update(dict.fromkeys(found))
            if max(len(found), len(keys)) > MOST_KEYS:
                raise TooLarge("the resource has more codes and words than can be indexed")
    for parameter in SEARCHABLE[resource["resourceType"]].parameters.values():
        if parameter.kind == "composite" and not parameter.at and _joined(parameter, present, resource["resourceType"]):
            present |= 1 << parameter.bit
    keys.update(dict.fromkeys(_context_keys(resource)))
    return Indexed(
        [key for key in keys if isinstance(key, Term)],
        [key for key in keys if isinstance(key, Span)],
        [key for key in keys if isinstance(key, Link)],
        present,
    )


def patient_of(resource: Resource) -> str | None:
    """Return the logical id of the one Patient that a resource is about, or None.

    It is the subject; where there is none, the patient that the resource belongs to otherwise (R4 CompartmentDefinition
    Patient). What belongs to two patients is not of one of them.
    """
    searchable = SEARCHABLE[resource["resourceType"]]
    if searchable.type == "Patient":
        return str(resource["id"])
    if searchable.type == "Binary":  # by no search parameter, but by the context of its access
        kind, _, logical_id = context_of(resource).partition("/")
        return logical_id if kind == "Patient" else None
    for name in dict.fromkeys(("patient", "subject", *searchable.compartment)):
        parameter = searchable.parameters.get(name)
        links = keys_of(resource, parameter) if parameter is not None else ()
        patients = {key.target for key in links if isinstance(key, Link) and key.target.startswith("Patient/")}
        if patients:
            return patients.pop().partition("/")[2] if len(patients) == 1 else None
    return None


def context_of(resource: Resource) -> str:
    """Return what decides who may read a Binary: ``Type/id``, empty for nothing, or :data:`UNKNOWN`."""
    if "securityContext" not in resource:
        return ""
    reference = str(resource["securityContext"].get("reference", "")).partition("/_history/")[0]
    kind = reference.partition("/")[0]
    return reference if is_local(reference) and kind in SEARCHABLE and kind not in _NO_CONTEXT else UNKNOWN


def context_term(context: str) -> tuple[str, tuple[str, ...]]:
    """Return parameter and term of Binaries whose context is of this type; a Patient's compartment says enough."""
    kind = context.partition("/")[0]
    return CONTEXT, ("code", "" if kind == "Patient" else kind)


def _context_keys(resource: Resource) -> Iterator[Key]:
    if resource["resourceType"] == "Binary":
        context = context_of(resource)
        yield Term(*context_term(context))
        if is_local(context):
            yield Link(CONTEXT, context)


def references_of(resource: Resource, parameter: SearchParameter) -> list[str]:
    """Return the references to resources of ours (``Type/id``) that a parameter reads."""
    links = (key.target for key in keys_of(resource, parameter) if isinstance(key, Link))
    return [target for target in links if is_local(target)]


def has_text(resource: Resource, parameter: SearchParameter, folded: str, *, anywhere: bool) -> bool:
    """Tell whether a string that a parameter reads starts with a folded text, or contains it."""
    texts = map(fold, texts_of(resource, parameter))
    return any(folded in text if anywhere else text.startswith(folded) for text in texts)


def texts_of(resource: Resource, parameter: SearchParameter) -> Iterator[str]:
    """Yield the strings that a parameter reads, as they are written."""
    for path in parameter.paths:
        for value in values_at(resource, path.steps):
            yield from _texts(value, path.type)


def is_local(reference: str) -> bool:
    """Tell whether a reference is of the form ``Type/id``."""
    return _LOCAL.fullmatch(reference) is not None


def keys_of(node: Any, parameter: SearchParameter) -> Iterator[Key]:
    """Yield what one parameter, that is no composite, finds below a node."""
    some = False
    for path in parameter.paths:
        for value in values_at(node, path.steps):
            for key in _KINDS[parameter.kind](value, path.type, parameter):
                some = True
                yield key
    if parameter.otherwise and not some:
        yield Term(parameter.name, ("code", parameter.otherwise))


def values_at(node: Any, steps: tuple[Step, ...]) -> Iterator[Any]:
    """Yield the values at the end of a path; lists count as their items."""
    if isinstance(node, list):
        for item in node:
            yield from values_at(item, steps)
    elif node is None:
        return  # the place of a primitive that has only extensions
    elif not steps:
        yield node
    elif isinstance(node, dict):
        step = steps[0]
        below = node.get(step.name)
        if step.element:
            below = [
                item
                for item in (below if isinstance(below, list) else [below])
                if isinstance(item, dict) and item.get(step.element) == step.value
            ]
        yield from values_at(below, steps[1:])


def join(parameter: str, left: Key, right: Key) -> Key:
    """Return what a composite matches when its two parts match so."""
    head = left.parts if isinstance(left, Term) else (left.target,) if isinstance(left, Link) else left.unit
    if isinstance(right, Span):
        return Span(parameter, right.low, right.high, (*head, "$", *right.unit))
    return Term(parameter, (*head, "$", *(right.parts if isinstance(right, Term) else (right.target,))))


def _may_have(resource: Resource, parameter: SearchParameter) -> bool:
    """Tell whether a resource has anything at all where a parameter reads."""
    if parameter.kind == "composite":
        return parameter.at in resource
    return bool(parameter.otherwise) or any(path.steps[0].name in resource for path in parameter.paths)


def _composite(resource: Resource, parameter: SearchParameter) -> Iterator[Key]:
    for item in values_at(resource, (Step(parameter.at),)):
        left, right = (list(keys_of(item, part)) for part in parameter.parts)
        for pair in product(left, right):
            yield join(parameter.name, *pair)


def _joined(parameter: SearchParameter, present: int, type_name: str) -> bool:
    if parameter.parts:
        return all(present >> part.bit & 1 for part in parameter.parts)
    known = SEARCHABLE[type_name].parameters
    return any(present >> known[name].bit & 1 for name in parameter.stored)


def _tokens(value: Any, leaf: str, parameter: SearchParameter) -> Iterator[Key]:
    for parts in _TOKENS.get(leaf, _code)(value):
        if parameter.concept and parts[0] != "system":
            parts = (*parts[:-1], parts[-1].casefold())
        yield Term(parameter.name, parts)


def _code(value: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(value, bool):
        yield ("code", "true" if value else "false")
    elif isinstance(value, str):
        yield ("code", value)


def _exists(_value: Any) -> Iterator[tuple[str, ...]]:
    yield ("code", "true")


def _coding(value: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and "code" in value:
        yield from token_forms(value.get("system", ""), value["code"])


def _concept(value: Any) -> Iterator[tuple[str, ...]]:
    for coding in value.get("coding", ()):
        yield from _coding(coding)


def _identifier(value: Any) -> Iterator[tuple[str, ...]]:
    if "value" in value:
        yield from token_forms(value.get("system", ""), value["value"])
        for coding in value.get("type", {}).get("coding", ()):
            yield ("type", coding.get("system", ""), coding.get("code", ""), value["value"])


def _contact(value: Any) -> Iterator[tuple[str, ...]]:
    if "value" in value:
        yield from token_forms(value.get("system", ""), value["value"])
        if "use" in value:
            yield ("both", value["use"], value["value"])


def _references(value: Any, leaf: str, parameter: SearchParameter) -> Iterator[Key]:
    if leaf == "canonical":
        for form in _canonical(value):
            yield Link(parameter.name, form)
        return
    if "identifier" in value:
        for parts in _identifier(value["identifier"]):
            yield Term(f"{parameter.name}:identifier", parts)
    reference = value.get("reference")
    if not isinstance(reference, str) or reference.startswith("#"):
        return
    reference = reference.partition("/_history/")[0]
    kind = reference.rsplit("/", 2)[-2] if "/" in reference else ""
    if not parameter.targets or kind in parameter.targets or not kind:
        yield Link(parameter.name, reference)


def _canonical(value: str) -> Iterator[str]:
    yield value
    if "|" in value:
        yield value.partition("|")[0]


def _dates(value: Any, leaf: str, parameter: SearchParameter) -> Iterator[Key]:
    if leaf == "Timing":  # the outer limits alone count
        events = [parse_span(event) for event in values_at(value, (Step("event"),))]
        bounds = value.get("repeat", {}).get("boundsPeriod")
        if bounds:
            events.append(_period(bounds))
        if events:
            yield Span(parameter.name, min(low for low, _ in events), max(high for _, high in events))
    elif leaf == "Period":
        if "start" in value or "end" in value:
            yield Span(parameter.name, *_period(value))
    else:
        yield Span(parameter.name, *parse_span(value))


def _period(value: Any) -> tuple[float, float]:
    low = parse_span(value["start"])[0] if "start" in value else NO_DATE
    return low, parse_span(value["end"])[1] if "end" in value else ALWAYS


def _strings(value: Any, leaf: str, parameter: SearchParameter) -> Iterator[Key]:
    for text in _texts(value, leaf):
        for parts in text_terms(text):
            yield Term(parameter.name, parts)


def _texts(value: Any, leaf: str) -> Iterator[str]:
    names = {"HumanName": _NAME_PARTS, "Address": _ADDRESS_PARTS}.get(leaf)
    for steps in [(Step(name),) for name in names] if names else [()]:
        yield from values_at(value, steps)


def _uris(value: Any, leaf: str, parameter: SearchParameter) -> Iterator[Key]:
    for form in _canonical(value) if leaf == "canonical" else (value,):
        yield Term(parameter.name, ("uri", form))


def _numbers(value: Any, _leaf: str, parameter: SearchParameter) -> Iterator[Key]:
    yield Span(parameter.name, float(value), float(value))


def _quantities(value: Any, leaf: str, parameter: SearchParameter) -> Iterator[Key]:
    if leaf == "Range":
        low, high = value.get("low", {}), value.get("high", {})
        interval = (float(low.get("value", -FAR)), float(high.get("value", FAR)))
        unit = low or high
    elif "value" in value:
        number = float(value["value"])
        interval = {"<": (-FAR, number), "<=": (-FAR, number), ">": (number, FAR), ">=": (number, FAR)}.get(
            value.get("comparator", ""), (number, number)
        )
        unit = value
    else:
        return
    for form in _units(unit):
        yield Span(parameter.name, *interval, form)


def _units(value: Any) -> Iterator[tuple[str, ...]]:
    """Yield the ways to ask for a unit: none, its code or name, and its code in a system."""
    yield ()
    for name in dict.fromkeys(value[each] for each in ("code", "unit") if each in value):
        yield ("code", name)
    if "code" in value:
        yield ("both", value.get("system", ""), value["code"])
    elif "currency" in value:
        yield from (("code", value["currency"]), ("both", "urn:iso:std:iso:4217", value["currency"]))


_TOKENS: Final[Mapping[str, Callable[[Any], Iterator[tuple[str, ...]]]]] = {
    "CodeableConcept": _concept,
    "Coding": _coding,
    "Identifier": _identifier,
    "ContactPoint": _contact,
    "exists": _exists,
}
_KINDS: Final[Mapping[str, Callable[[Any, str, SearchParameter], Iterator[Key]]]] = {
    "token": _tokens,
    "reference": _references,
    "date": _dates,
    "string": _strings,
    "uri": _uris,
    "number": _numbers,
    "quantity": _quantities,
    "composite": lambda *_: iter(()),
}
