"""The invariants of R4 that are errors, for the types that are taken here, as predicates.

R4 states them in FHIRPath; each here has the published key, so that it can be looked up. ``dom-3`` (what is contained
must be referred to) and ``ref-1`` look at the whole resource and stand in :mod:`osler.standards.fhir_validation`.

References
----------
HL7 FHIR R4 4.0.1, constraints of the StructureDefinitions
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from osler.errors import Malformed
from osler.standards.fhir_dates import parse_span

_UCUM: Final = "http://unitsofmeasure.org"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule.

    Parameters
    ----------
    key : str
        As R4 names it.
    words : str
        What must hold.
    holds : callable
        Given the value of the type, a JSON object whose elements have the right types.
    """

    key: str
    words: str
    holds: Callable[[Value], bool]


def invariants_of(type_name: str) -> tuple[Invariant, ...]:
    """Return the invariants of a type or backbone element (``Observation.referenceRange``)."""
    return _INVARIANTS.get(type_name, ())


def _list(value: Value, name: str) -> list[Any]:
    items = value.get(name)
    return items if isinstance(items, list) else []


def _has(value: Value, *names: str) -> bool:
    """Tell whether one of the elements is there, by itself or by its extensions."""
    return any(name in value or f"_{name}" in value for name in names)


def _choice(value: Value, stem: str) -> bool:
    start = len(stem)
    return any(key.lstrip("_").startswith(stem) and key.lstrip("_")[start : start + 1].isupper() for key in value)


def _codings(concept: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(concept, dict):
        for coding in _list(concept, "coding"):
            if isinstance(coding, dict):
                yield coding.get("system"), coding.get("code")


def _coded(concept: Any, system: str, *codes: str) -> bool:
    return any(s == _TERMINOLOGY + system and c in codes for s, c in _codings(concept))


def _number(value: Any) -> Decimal | None:
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _in_order(value: Value) -> bool:
    start, end = value.get("start"), value.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    try:
        return parse_span(start)[0] < parse_span(end)[1]
    except Malformed:
        return True  # its form is another fault


def _range_in_order(value: Value) -> bool:
    low, high = value.get("low"), value.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict):
        return True
    if (low.get("system"), low.get("code")) != (high.get("system"), high.get("code")):
        return True  # of different units: nothing can be said
    least, most = _number(low.get("value")), _number(high.get("value"))
    return least is None or most is None or least <= most


def _is_ratio(value: Value) -> bool:
    both = _has(value, "numerator"), _has(value, "denominator")
    return both[0] == both[1] and (both[0] or "extension" in value)


def _not_negative(value: Value, name: str) -> bool:
    number = _number(value.get(name))
    return number is None or number >= 0


def _one_of(value: Value, *present: bool) -> bool:
    return sum(present) == 1


def _own_codes_apart(value: Value) -> bool:
    if not _choice(value, "value"):
        return True
    own = set(_codings(value.get("code")))
    return not any(
        own & set(_codings(component.get("code")))
        for component in _list(value, "component")
        if isinstance(component, dict)
    )


def _abated(value: Value) -> bool:
    return not _choice(value, "abatement") or _coded(
        value.get("clinicalStatus"), "condition-clinical", "resolved", "remission", "inactive"
    )


def _entries(value: Value) -> list[Value]:
    return [entry for entry in _list(value, "entry") if isinstance(entry, dict)]


def _entries_have(name: str, *types: str) -> Callable[[Value], bool]:
    return lambda v: all((name in entry) == (v.get("type") in types) for entry in _entries(v))


def _apart(value: Value) -> bool:
    if value.get("type") == "history":
        return True
    seen = [
        (entry["fullUrl"], version)
        for entry in _entries(value)
        if isinstance(entry.get("fullUrl"), str)
        for version in [(entry.get("resource") or {}).get("meta", {}).get("versionId")]
    ]
    return len(seen) == len(set(seen))


def _first_is(type_name: str, bundle_type: str) -> Callable[[Value], bool]:
    def holds(value: Value) -> bool:
        if value.get("type") != bundle_type:
            return True
        entries = _entries(value)
        return bool(entries) and (entries[0].get("resource") or {}).get("resourceType") == type_name

    return holds


def _is_document_identified(value: Value) -> bool:
    identifier = value.get("identifier")
    return value.get("type") != "document" or (
        isinstance(identifier, dict) and {"system", "value"} <= identifier.keys()
    )


def _is_parameter(value: Value) -> bool:
    return _one_of(value, "part" in value, _choice(value, "value"), "resource" in value)


def _home(name: str) -> Callable[[Value], bool]:
    return lambda v: not any(isinstance(item, dict) and item.get("use") == "home" for item in _list(v, name))


def _times(value: Value) -> bool:
    offset, when = _has(value, "offset"), _list(value, "when")
    return not offset or (bool(when) and not {"C", "CM", "CD", "CV"} & set(map(str, when)))


def _needs(first: str, *then: str) -> Callable[[Value], bool]:
    return lambda v: not _has(v, first) or all(_has(v, name) for name in then)


def _any(*names: str) -> Callable[[Value], bool]:
    return lambda v: _has(v, *names)


def _not_both(first: str, second: str) -> Callable[[Value], bool]:
    return lambda v: not (_has(v, first) and _has(v, second))


def _ucum_time(value: Value) -> bool:
    return not _has(value, "code") or (value.get("system") == _UCUM and _has(value, "value"))


_QUANTITY: Final = Invariant("qty-3", "must have a system when it has a code", _needs("code", "system"))
_AGE: Final = Invariant(
    "age-1",
    "must have a UCUM code of time and be more than nothing",
    lambda v: (
        (_has(v, "code") or not _has(v, "value"))
        and v.get("system", _UCUM) == _UCUM
        and (_number(v.get("value")) is None or Decimal(v["value"]) > 0)
    ),
)
_CONTAINED: Final = (
    Invariant(
        "dom-2",
        "a contained resource must not contain another",
        lambda v: not any("contained" in c for c in _list(v, "contained") if isinstance(c, dict)),
    ),
    Invariant(
        "dom-4",
        "a contained resource must not have a version or a time of change",
        lambda v: (
            not any(
                {"versionId", "lastUpdated"} & (c.get("meta") or {}).keys()
                for c in _list(v, "contained")
                if isinstance(c, dict) and isinstance(c.get("meta", {}), dict)
            )
        ),
    ),
    Invariant(
        "dom-5",
        "a contained resource must not have a security label",
        lambda v: (
            not any(
                "security" in (c.get("meta") or {})
                for c in _list(v, "contained")
                if isinstance(c, dict) and isinstance(c.get("meta", {}), dict)
            )
        ),
    ),
)

_INVARIANTS: Final[Mapping[str, tuple[Invariant, ...]]] = {
    "DomainResource": _CONTAINED,
    "Quantity": (_QUANTITY,),
    "Age": (_QUANTITY, _AGE),
    "Duration": (_QUANTITY, Invariant("drt-1", "must have a UCUM system and a value when it has a code", _ucum_time)),
    "Attachment": (Invariant("att-1", "must have a content type when it has data", _needs("data", "contentType")),),
    "ContactPoint": (Invariant("cpt-2", "must have a system when it has a value", _needs("value", "system")),),
    "Period": (Invariant("per-1", "must not end before it starts", _in_order),),
    "Range": (Invariant("rng-2", "must not have a low above its high", _range_in_order),),
    "Ratio": (Invariant("rat-1", "must have a numerator and a denominator, or neither", _is_ratio),),
    "Extension": (
        Invariant(
            "ext-1",
            "must have either a value or extensions",
            lambda v: _choice(v, "value") != ("extension" in v),
        ),
    ),
    "Timing.repeat": (
        Invariant("tim-1", "must have a unit of its duration", _needs("duration", "durationUnit")),
        Invariant("tim-2", "must have a unit of its period", _needs("period", "periodUnit")),
        Invariant("tim-4", "must not have a negative duration", lambda v: _not_negative(v, "duration")),
        Invariant("tim-5", "must not have a negative period", lambda v: _not_negative(v, "period")),
        Invariant("tim-6", "must have a period when it has a longest one", _needs("periodMax", "period")),
        Invariant("tim-7", "must have a duration when it has a longest one", _needs("durationMax", "duration")),
        Invariant("tim-8", "must have a count when it has a highest one", _needs("countMax", "count")),
        Invariant("tim-9", "must have a when, not of a meal itself, when it has an offset", _times),
        Invariant("tim-10", "must not have both a time of day and a when", _not_both("timeOfDay", "when")),
    ),
    "AllergyIntolerance": (
        Invariant(
            "ait-1",
            "must have a clinical status unless it was entered in error",
            lambda v: (
                _has(v, "clinicalStatus")
                or _coded(v.get("verificationStatus"), "allergyintolerance-verification", "entered-in-error")
            ),
        ),
        Invariant(
            "ait-2",
            "must not have a clinical status when it was entered in error",
            lambda v: (
                not _has(v, "clinicalStatus")
                or not _coded(v.get("verificationStatus"), "allergyintolerance-verification", "entered-in-error")
            ),
        ),
    ),
    "AuditEvent.entity": (Invariant("sev-1", "must not have both a name and a query", _not_both("name", "query")),),
    "Bundle": (
        Invariant(
            "bdl-1",
            "may have a total only as a searchset or history",
            lambda v: "total" not in v or v.get("type") in ("searchset", "history"),
        ),
        Invariant(
            "bdl-2",
            "may have search in an entry only as a searchset",
            lambda v: v.get("type") == "searchset" or not any("search" in entry for entry in _entries(v)),
        ),
        Invariant(
            "bdl-3",
            "must have a request in each entry as a batch, transaction or history, and otherwise in none",
            _entries_have("request", "batch", "transaction", "history"),
        ),
        Invariant(
            "bdl-4",
            "must have a response in each entry as an answer or history, and otherwise in none",
            _entries_have("response", "batch-response", "transaction-response", "history"),
        ),
        Invariant("bdl-7", "must not have two entries with the same fullUrl and version", _apart),
        Invariant("bdl-9", "must have an identifier with system and value as a document", _is_document_identified),
        Invariant(
            "bdl-10",
            "must have a timestamp as a document",
            lambda v: v.get("type") != "document" or "timestamp" in v,
        ),
        Invariant("bdl-11", "must begin with a Composition as a document", _first_is("Composition", "document")),
        Invariant("bdl-12", "must begin with a MessageHeader as a message", _first_is("MessageHeader", "message")),
    ),
    "Bundle.entry": (
        Invariant("bdl-5", "must have a resource, a request or a response", _any("resource", "request", "response")),
        Invariant(
            "bdl-8", "must not have a fullUrl of one version", lambda v: "/_history/" not in str(v.get("fullUrl", ""))
        ),
    ),
    "Composition.section": (
        Invariant("cmp-1", "must have text, entries or sections", _any("text", "entry", "section")),
        Invariant("cmp-2", "must not say why it is empty when it has entries", _not_both("emptyReason", "entry")),
    ),
    "Condition": (
        Invariant("con-4", "must be resolved, in remission or inactive when it has abated", _abated),
        Invariant(
            "con-5",
            "must not have a clinical status when it was entered in error",
            lambda v: (
                not _has(v, "clinicalStatus")
                or not _coded(v.get("verificationStatus"), "condition-ver-status", "entered-in-error")
            ),
        ),
    ),
    "Condition.stage": (Invariant("con-1", "must have a summary or an assessment", _any("summary", "assessment")),),
    "Condition.evidence": (Invariant("con-2", "must have a code or details", _any("code", "detail")),),
    "Group": (
        Invariant(
            "grp-1", "may have members only when it is actual", lambda v: "member" not in v or v.get("actual") is True
        ),
    ),
    "Observation": (
        Invariant(
            "obs-6",
            "must not say why its value is absent when it has one",
            lambda v: not (_has(v, "dataAbsentReason") and _choice(v, "value")),
        ),
        Invariant("obs-7", "must not have a value of its own beside a component of the same code", _own_codes_apart),
    ),
    "Observation.referenceRange": (Invariant("obs-3", "must have a low, a high or text", _any("low", "high", "text")),),
    "Organization": (
        Invariant("org-1", "must have a name or an identifier", _any("name", "identifier")),
        Invariant("org-2", "must not have an address for use at home", _home("address")),
        Invariant("org-3", "must not have a telecom for use at home", _home("telecom")),
    ),
    "Parameters.parameter": (Invariant("inv-1", "must have one of value, resource and part", _is_parameter),),
    "Patient.contact": (
        Invariant(
            "pat-1",
            "must have a name, telecom, address or organization",
            _any("name", "telecom", "address", "organization"),
        ),
    ),
    "RiskAssessment.prediction": (
        Invariant(
            "ras-2",
            "must not have a probability above 100",
            lambda v: (_number(v.get("probabilityDecimal")) or Decimal(0)) <= 100,
        ),
    ),
    "ServiceRequest": (
        Invariant("prr-1", "must have a code when it has order details", _needs("orderDetail", "code")),
    ),
}
