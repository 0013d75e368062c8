"""Check a resource against the R4 definitions: structure, cardinality, types, required bindings, reference targets."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from osler.standards.fhir_definitions import Definitions, Element, definitions
from osler.standards.fhir_json import MAX_DEPTH, Resource

_MAX_ISSUES: Final = 50
_MAX_STRING: Final = 1_048_576  # characters: FHIR R4, Data Types, string
_BOOLEANS: Final = frozenset({"boolean"})
_NUMBERS: Final = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
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
    form; required bindings whose codes can be listed; one type per choice; reference targets. Invariants in FHIRPath
    are not evaluated.

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
            self.object(value, name, path or name, depth)

    def object(self, value: Any, type_name: str, path: str, depth: int) -> None:
        if depth > MAX_DEPTH or len(self.issues) >= _MAX_ISSUES:
            return
        if not isinstance(value, dict) or not value:
            self.fault("structure", path, "must be an object that is not empty")
            return
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
        for name in self.known.required[type_name]:
            if name not in present:
                self.fault("required", f"{path}.{name}", "is required")

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
        elif not self.known.primitives[kind].fullmatch(value):
            self.fault("value", path, f"has not the form of type {kind}")
        elif element.codes is not None and value not in element.codes:
            self.fault("code-invalid", path, "is not a code of the required value set")

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
