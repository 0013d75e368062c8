"""Check a resource against the R4 definitions: structure, cardinality, types, required bindings, reference targets."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Final

from osler.standards.fhir_definitions import Definitions, Element, definitions
from osler.standards.fhir_invariants import invariants_of
from osler.standards.fhir_json import MAX_DEPTH, Resource
from osler.standards.fhir_narrative import narrative_fault

_MAX_ISSUES: Final = 50
_MAX_STRING: Final = 1_048_576  # characters: FHIR R4, Data Types, string
_BOOLEANS: Final = frozenset({"boolean"})
_DATES: Final = frozenset({"date", "dateTime", "instant"})
_NUMBERS: Final = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
_RULES: Final = frozenset({"implicitRules", "_implicitRules"})  # R4 2.25.0.2: we know none, so all are refused
_MAX_INTEGER: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault, as OperationOutcome.issue says it.

    Parameters
    ----------
    code : str
        IssueType of R4, e.g. ``"required"``.
    expression : str
        FHIRPath of the element, e.g. ``"Observation.component[0].code"``. Empty when there is no element.
    diagnostics : str
        Words without any value from the data.
    severity : {"fatal", "error", "warning", "information"}
    """

    code: str
    expression: str
    diagnostics: str
    severity: str = "error"


def validate(resource: Resource) -> list[Issue]:
    """Return what is wrong with a resource; an empty list when it keeps the R4 definitions.

    Checks that each element is known, in its cardinality and of its type; that primitive values have the published
    form; required bindings whose codes can be listed; one type per choice; reference targets; the invariants that are
    errors; that a narrative holds nothing but basic formatting; that contained resources and the references to them
    belong together.

    References
    ----------
    HL7 FHIR R4 4.0.1, 2.6 (JSON representation) and the StructureDefinitions of the types
    """
    return _Validation(definitions()).run(resource)


class _Validation:
    def __init__(self, known: Definitions) -> None:
        self.known = known
        self.issues: list[Issue] = []

    def run(self, resource: Resource) -> list[Issue]:
        self.resource(resource, "", 0)
        return self.issues[:_MAX_ISSUES]

    def fault(self, code: str, path: str, words: str) -> None:
        self.issues.append(Issue(code, path, words))

    def resource(self, value: Any, path: str, depth: int) -> None:
        name = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(name, str) or name not in self.known.all_resources:
            self.fault("structure", path, "not a resource of R4")
        elif name not in self.known.resources:
            self.fault("not-supported", path or name, "a resource of a type that is not taken here")
        else:
            before = len(self.issues)
            self.object(value, name, path or name, depth)
            if not value.keys().isdisjoint(_RULES):
                words = "rules that this server does not know: it cannot tell what the resource means"
                self.fault("not-supported", f"{path or name}.implicitRules", words)
            if len(self.issues) == before and name != "Bundle":
                self.contained(value, path or name, inside=path.rpartition(".")[2].startswith("contained["))

    def contained(self, value: Resource, path: str, *, inside: bool) -> None:
        """Check what holds between a resource and those that it contains (dom-2 to dom-5, ref-1)."""
        self.invariants(value, "DomainResource", path)
        ids = {item.get("id") for item in value.get("contained", [])}
        inner, pointed = _local_references(value)
        if not inside:  # what a contained resource points to stands in its container
            for place in inner:
                if place.target and place.target not in ids:
                    self.fault("value", f"{path}{place.path}", "points to no resource that is contained (ref-1)")
        if "" not in pointed:
            for index, item in enumerate(value.get("contained", [])):
                if item.get("id") not in pointed:
                    self.fault("invariant", f"{path}.contained[{index}]", "nothing refers to it (dom-3)")

    def invariants(self, value: dict[str, Any], type_name: str, path: str) -> None:
        for invariant in invariants_of(type_name):
            if not invariant.holds(value):
                self.fault("invariant", path, f"{invariant.words} ({invariant.key})")

    def object(self, value: Any, type_name: str, path: str, depth: int) -> None:
        if depth > MAX_DEPTH or len(self.issues) >= _MAX_ISSUES:
            return
        if not isinstance(value, dict) or not value:
            self.fault("structure", path, "must be an object that is not empty")
            return
        before = len(self.issues)
        present = self.elements(value, type_name, path, depth)
        for name in self.known.required[type_name]:
            if name not in present:
                self.fault("required", f"{path}.{name}", "is required")
        if len(self.issues) == before:  # the predicates count on elements of the right types
            self.invariants(value, type_name, path)

    def elements(self, value: dict[str, Any], type_name: str, path: str, depth: int) -> set[str]:
        """Check the elements that are there, and return their names, and those of the choices among them."""
        elements = self.known.types[type_name]
        is_resource = type_name in self.known.resources
        present: set[str] = set()
        for key, item in value.items():
            if key == "resourceType" and is_resource:
                continue
            name = key[1:] if key.startswith("_") else key
            element = elements.get(name)
            if element is None:
                self.fault("structure", path, "has an element that R4 does not define here")
            elif key is not name:
                self.siblings(item, element, f"{path}.{name}", depth)
                present.add(element.choice or name)
            else:
                if element.choice in present and f"_{name}" not in value:
                    self.fault("structure", f"{path}.{element.choice}", "has more than one type of a choice")
                present.add(element.choice or name)
                self.element(item, element, f"{path}.{name}", depth)
            if isinstance(item, list) and element is not None and element.type in self.known.primitives:
                self.places(value, key, f"{path}.{name}")
        return present

    def places(self, value: dict[str, Any], key: str, path: str) -> None:
        """Check that each place of a repeated primitive has a value or extensions (R4 2.6.2.3)."""
        name = key.lstrip("_")
        values, siblings = value.get(name), value.get(f"_{name}")
        if key == name and siblings is not None:
            return  # one fault is enough: it is found at the siblings
        pairs = zip_longest(*(each if isinstance(each, list) else () for each in (values, siblings)))
        if any(item is None and sibling is None for item, sibling in pairs):
            self.fault("structure", path, "has a place with neither a value nor extensions")

    def element(self, value: Any, element: Element, path: str, depth: int) -> None:
        if element.maximum == 1:
            if isinstance(value, list):
                self.fault("structure", path, "must not be an array")
            else:
                self.one(value, element, path, depth)
            return
        if not isinstance(value, list) or not value:
            self.fault("structure", path, "must be an array that is not empty")
            return
        if element.maximum and len(value) > element.maximum:
            self.fault("structure", path, f"must not have more than {element.maximum} items")
        for index, item in enumerate(value):
            if item is None and element.type in self.known.primitives:
                continue  # the place of a primitive that has only extensions
            self.one(item, element, f"{path}[{index}]", depth)

    def one(self, value: Any, element: Element, path: str, depth: int) -> None:
        if element.type in self.known.primitives:
            self.primitive(value, element, path)
        elif element.type == "Resource":
            self.resource(value, path, depth + 1)
        else:
            self.object(value, element.type, path, depth + 1)
            if isinstance(value, dict):
                if element.codes is not None and not _bound(value, element):
                    self.fault("code-invalid", path, "has no code of the required value set")
                if element.type == "Reference":
                    self.reference(value, element, path)

    def primitive(self, value: Any, element: Element, path: str) -> None:
        kind = element.type
        if kind in _BOOLEANS:
            if not isinstance(value, bool):
                self.fault("value", path, "must be true or false")
        elif kind in _NUMBERS:
            if not _is_number(value) or not self.known.primitives[kind].fullmatch(str(value)):
                self.fault("value", path, f"must be a number of type {kind}")
            elif kind != "decimal" and abs(int(value)) > _MAX_INTEGER:
                self.fault("value", path, "must fit in 32 bits")
        elif not isinstance(value, str) or not value or len(value) > _MAX_STRING:
            self.fault("value", path, "must be a string that is not empty")
        else:
            self.text(value, element, path)

    def text(self, value: str, element: Element, path: str) -> None:
        if not self.known.primitives[element.type].fullmatch(value):
            self.fault("value", path, f"has not the form of type {element.type}")
        elif element.codes is not None and value not in element.codes:
            self.fault("code-invalid", path, "is not a code of the required value set")
        elif element.type in _DATES and value[8:10] > "28" and not _on_a_calendar(value):
            self.fault("value", path, "names a day that does not exist")
        elif element.type == "xhtml":
            fault = narrative_fault(value)
            if fault:
                self.fault("invariant", path, f"{fault} (txt-1, txt-2)")

    def siblings(self, value: Any, element: Element, path: str, depth: int) -> None:
        """Check the ``_name`` property of a primitive: its id and extensions (R4 2.6.2)."""
        if element.type not in self.known.primitives:
            self.fault("structure", path, "only a primitive has a property that starts with _")
            return
        items = value if isinstance(value, list) else [value]
        if not items or isinstance(value, list) == (element.maximum == 1):
            self.fault("structure", path, "has extensions of the wrong cardinality")
        for item in items:
            if item is None and isinstance(value, list):
                continue
            if not isinstance(item, dict) or not item or not item.keys() <= {"id", "extension"}:
                self.fault("structure", path, "may have an id and extensions only")
                continue
            extensions = item.get("extension", [])
            for index, extension in enumerate(extensions if isinstance(extensions, list) else [None]):
                self.object(extension, "Extension", f"{path}.extension[{index}]", depth + 1)

    def reference(self, value: dict[str, Any], element: Element, path: str) -> None:
        for name in _target_types(value):
            if name in self.known.all_resources and element.targets is not None and name not in element.targets:
                self.fault("value", path, f"may not point to a {name}")


@dataclass(frozen=True, slots=True)
class _Pointer:
    path: str
    target: str


def _local_references(resource: Resource) -> tuple[list[_Pointer], set[str]]:
    """Return the references to contained resources with their paths, and all that any text with # points to."""
    inner: list[_Pointer] = []
    pointed: set[str] = set()
    waiting: list[tuple[Any, str]] = [(resource, "")]
    while waiting:
        node, path = waiting.pop()
        if isinstance(node, dict):
            reference = node.get("reference")
            if isinstance(reference, str) and reference.startswith("#"):
                inner.append(_Pointer(path, reference[1:]))
            waiting.extend((item, f"{path}.{name}") for name, item in node.items() if name != "div")
        elif isinstance(node, list):
            waiting.extend((item, f"{path}[{index}]") for index, item in enumerate(node))
        elif isinstance(node, str) and node.startswith("#"):
            pointed.add(node[1:])
    return inner, pointed


def _on_a_calendar(value: str) -> bool:
    return int(value[8:10]) <= monthrange(int(value[:4]), int(value[5:7]))[1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _bound(value: dict[str, Any], element: Element) -> bool:
    codings = value.get("coding") if element.type == "CodeableConcept" else [value]
    if not isinstance(codings, list):
        return "text" in value  # a concept in words alone: the binding has nothing to say of it
    return any(isinstance(c, dict) and c.get("code") in (element.codes or ()) for c in codings)


def _target_types(value: dict[str, Any]) -> Iterator[str]:
    for text in (value.get("reference"), value.get("type")):
        if not isinstance(text, str) or text.startswith(("#", "urn:")):
            continue
        parts = text.split("/_history/")[0].rsplit("/", 2)
        if text is value.get("type"):
            yield parts[-1]
        elif len(parts) >= 2:
            yield parts[-2]
