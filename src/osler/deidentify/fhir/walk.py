"""One pass over a resource: every element by its rule, unknown means remove, and what R4 requires stays there.

What must be there but may not go on is marked with the extension ``data-absent-reason`` as masked.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Final

from osler.deidentify.coding import is_unit, local_code, system_of_uri
from osler.deidentify.fhir.marks import CLINICAL, MASKED, PATIENT_NUMBERS, capped, dicts, labelled, type_codes
from osler.deidentify.fhir.names import surrogate_name
from osler.deidentify.fhir.narrative import clean_narrative
from osler.deidentify.fhir.references import Names
from osler.deidentify.fhir.rules import REMOVE, WALK, Element, rules
from osler.deidentify.fhir.scalars import Scalars, clean_data
from osler.deidentify.fhir.subjects import Subjects
from osler.deidentify.free_text import TextDeidentifier
from osler.deidentify.methods import Values
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import DeidentificationRefused, Malformed
from osler.standards.fhir import Resource
from osler.standards.fhir_json import MAX_DEPTH

_EXTENSION: Final = Element("Extension", False, None, "extension")


class Walk:
    """De-identifies one resource, and what it contains.

    Parameters
    ----------
    names : Names
    text_of : callable
        Makes the text engine of a patient that draws from his secret.
    values_of : callable
        What the method does with the values of the patient of a secret.
    method : str
        One of :data:`osler.deidentify.methods.CITATIONS`.
    people : sequence of dict
        Further resources, such as the Patient that a resource refers to.
    numbers : set of str, optional
        Numbers of the people, which may not go on as a value.
    """

    def __init__(
        self,
        names: Names,
        text_of: Callable[[str, str], TextDeidentifier],
        values_of: Callable[[str], Values],
        *,
        method: str,
        people: Sequence[Resource] = (),
        numbers: Set[str] = frozenset(),
    ) -> None:
        self._rules = rules()
        self._names = names
        self._text_of = text_of
        self._values_of = values_of
        self._method = method
        self._numbers = numbers
        self._subjects = Subjects(names, people)
        self._patient = ""
        self._of_patients: dict[str, tuple[TextDeidentifier, Values, Scalars]] = {}
        self._text, self._values, self._scalars = self._of_patient("")
        self._base = ""
        self._contained: dict[str, str] = {}
        self._within = ""  # URL of the extension that is walked
        self._depth = 0
        self._parts: Mapping[str, Callable[[dict[str, Any], str], Resource | None]] = {
            WALK: lambda value, kind: self._walk(value, kind),
            "narrative": self._narrative,
            "attachment": self._attachment,
            "name": self._name,
            "identifier": self._identifier,
            "reference": self._reference,
            "concept": self._concept,
            "coding": self._coding,
            "quantity": self._quantity,
            "range": self._range,
        }

    def _of_patient(self, patient: str) -> tuple[TextDeidentifier, Values, Scalars]:
        """Return what cleans texts and single values of a patient."""
        if patient not in self._of_patients:
            secret = "" if self._method == "safe-harbor" else self._names.secret(self._subjects.identity(patient))
            values = self._values_of(secret)
            text = self._text_of(patient, secret)
            scalars = Scalars(self._names, text, values, resource_types=self._rules.resources, numbers=self._numbers)
            self._of_patients[patient] = text, values, scalars
        return self._of_patients[patient]

    def _turn_to(self, patient: str) -> str:
        """Clean for this patient from now on; return the one before."""
        before, self._patient = self._patient, patient
        self._text, self._values, self._scalars = self._of_patient(patient)
        return before

    def resource(self, value: Any) -> Resource:
        """Return the resource without identity.

        Raises
        ------
        Malformed
            If it is no resource of R4.
        DeidentificationRefused
            If something in it changes its meaning in a way that no rule knows.
        """
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in self._rules.resources:
            raise Malformed("not a resource of R4")
        contained = value.get("contained")
        outer = self._contained
        inner = (self._subjects.learn(value) if kind == "Bundle" else "") or self._patient
        before = self._turn_to(self._subjects.of(value, self._base, inner))
        self._contained = {
            item["id"]: f"c{number}"
            for number, item in enumerate(contained if isinstance(contained, list) else [], start=1)
            if isinstance(item, dict) and isinstance(item.get("id"), str)
        }
        made: Resource = {"resourceType": kind}
        if isinstance(value.get("id"), str):
            made["id"] = self._names.logical_id(self._base, kind, value["id"])
        made |= self._walk(value, kind) or {}
        if kind == "Binary":
            made |= self._payload(value)
        made["meta"] = labelled(made.get("meta"), self._method)
        self._contained = outer
        self._turn_to(before)
        return made

    def _contained_resource(self, value: Any) -> Resource | None:
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in self._rules.resources:
            return None
        made: Resource = {"resourceType": kind}
        if isinstance(value.get("id"), str):
            if value["id"] not in self._contained:
                return None  # it stands in a contained one, which R4 does not have
            made["id"] = self._contained[value["id"]]
        return made | (self._walk(value, kind) or {})

    def _walk(self, value: dict[str, Any], owner: str, skip: frozenset[str] = frozenset()) -> Resource | None:
        """Return the parts that may go on; None when nothing is left but what was masked."""
        if self._depth >= MAX_DEPTH:
            raise Malformed("the resource is nested too deep")
        self._depth += 1
        try:
            return self._walked(value, owner, skip)
        finally:
            self._depth -= 1

    def _walked(self, value: dict[str, Any], owner: str, skip: frozenset[str]) -> Resource | None:
        made: Resource = {}
        filled = False
        for name in dict.fromkeys(key.removeprefix("_") for key in value):
            element = self._rules.types[owner].get(name)
            if element is None or name in skip:
                continue
            items, notes = self._element(value.get(name), value.get(f"_{name}"), owner, element)
            filled = filled or items is not None or notes is not None
            if element.required and items is None and notes is None:
                items, notes = self._masked(value.get(name), element)
            if items is not None:
                made[name] = items
            if notes is not None:
                made[f"_{name}"] = notes
        return made if filled else None

    def _masked(self, value: Any, element: Element) -> tuple[Any, Any]:
        """Return what stands for an element that must be there, or for the extensions beside a primitive one."""
        many = isinstance(value, list)
        if element.type in self._rules.primitives:
            return None, [MASKED] if many else MASKED
        first = value[0] if many and value else value
        mask = self._mask(first if isinstance(first, dict) else {}, element.type)
        return [mask] if many else mask, None

    def _mask(self, value: dict[str, Any], kind: str) -> Resource:
        made: Resource = {}
        for name, element in self._rules.types.get(kind, {}).items():
            if element.required and name in value:
                items, notes = self._masked(value[name], element)
                made |= {name: items} if items is not None else {f"_{name}": notes}
        return made or MASKED

    def _element(self, value: Any, notes: Any, owner: str, element: Element) -> tuple[Any, Any]:
        """Return what is left of an element, and of the extensions beside a primitive one (R4 2.6.2)."""
        many = isinstance(value, list) or isinstance(notes, list)
        values = value if isinstance(value, list) else [value]
        beside = notes if isinstance(notes, list) else [notes]
        count = max(len(values), len(beside))
        pairs = []
        for index in range(count):
            item = values[index] if index < len(values) else None
            note = beside[index] if index < len(beside) else None
            pairs.append((self._one(item, owner, element), self._note(note, element)))
        pairs = [pair for pair in pairs if pair != (None, None)]
        items = [item for item, _ in pairs]
        left = [note for _, note in pairs]
        if not many:
            return (items[0], left[0]) if pairs else (None, None)
        return (items if _any(items) else None), (left if _any(left) else None)

    def _note(self, note: Any, element: Element) -> Resource | None:
        if element.action == REMOVE or not isinstance(note, dict):
            return None
        items, _ = self._element(note.get("extension"), None, "", _EXTENSION)
        return {"extension": items} if items else None

    def _one(self, value: Any, owner: str, element: Element) -> Any:
        action = element.action
        if value is None or action == REMOVE:
            return None
        if action == "refuse":
            raise DeidentificationRefused("implicit-rules", "a resource follows rules that are not known here")
        if action in ("extension", "modifier"):
            return self._extension(value, owner, modifier=action == "modifier")
        if action == "resource":
            return self._contained_resource(value) if owner in self._rules.resources else self.resource(value)
        if action == "url":
            return (self._names.literal(value, self._base) or None) if isinstance(value, str) else None
        handler = self._parts.get(action)
        if handler is None:
            return self._scalars.clean(value, element)
        if not isinstance(value, dict):
            return None
        if element.type == "Bundle.entry":
            return self._entry(value)
        if element.type == "Identifier" and owner == "Patient":
            return self._identifier(value, owner)
        return handler(value, element.type)

    def _entry(self, value: dict[str, Any]) -> Resource | None:
        resource = value.get("resource")
        kind = resource.get("resourceType") if isinstance(resource, dict) else ""
        outer, self._base = self._base, self._names.base_of(value.get("fullUrl"), str(kind))
        made = self._walk(value, "Bundle.entry")
        self._base = outer
        return made

    def _extension(self, value: Any, owner: str, *, modifier: bool) -> Resource | None:
        url = value.get("url") if isinstance(value, dict) else None
        outer = self._within
        key = f"{outer} {url}" if owner == "Extension" else url
        if not isinstance(url, str) or key not in self._rules.extensions:
            if modifier:
                raise DeidentificationRefused("modifier-extension", "an unknown extension changes the meaning")
            return None
        self._within = url
        kept = self._walk(value, "Extension", frozenset({"url"}))
        self._within = outer
        return {"url": url} | kept if kept else None

    def _narrative(self, value: dict[str, Any], kind: str) -> Resource | None:
        status, div = value.get("status"), value.get("div")
        cleaned = clean_narrative(div, self._text) if isinstance(div, str) else ""
        if not cleaned or status not in ("generated", "extensions", "additional", "empty"):
            return None
        return {"status": status, "div": cleaned}

    def _name(self, value: dict[str, Any], kind: str) -> Resource | None:
        return surrogate_name(value, self._text) if self._method == "surrogates" else None

    def _attachment(self, value: dict[str, Any], kind: str) -> Resource | None:
        made = self._walk(value, kind, frozenset({"data", "size", "hash", "url"})) or {}
        return made | self._payload(value) or None

    def _payload(self, value: dict[str, Any]) -> Resource:
        """Return the cleaned data of an attachment, or the mark of what was removed."""
        data = clean_data(value.get("data"), value.get("contentType"), self._text)
        if data:
            return {"data": data}
        marks = {name: MASKED for name in ("data", "url") if name in value or f"_{name}" in value}
        return {f"_{name}": mark for name, mark in marks.items()}

    def _identifier(self, value: dict[str, Any], owner: str) -> Resource | None:
        made = self._walk(value, "Identifier", frozenset({"system", "value", "period", "assigner"})) or {}
        number, system = value.get("value"), value.get("system")
        uri = system if isinstance(system, str) else ""
        if isinstance(number, str) and number.strip():
            made["value"] = self._number(number, uri, type_codes(value), of_patient=owner == "Patient")
        if uri and "value" in made:
            made["system"] = uri if uri == "urn:dicom:uid" or system_of_uri(uri) else self._names.system(uri)
        return made if "value" in made or "extension" in made else None

    def _number(self, number: str, uri: str, codes: frozenset[str], *, of_patient: bool) -> str:
        if number.startswith(("urn:oid:", "urn:uuid:")):
            return self._names.urn(number) or self._names.uid(number)
        if "ACSN" in codes:
            return self._names.number(Identity(PseudonymKind.ACCESSION, number, uri))
        if not codes.isdisjoint(PATIENT_NUMBERS) or (of_patient and not codes):
            return self._names.number(Identity(PseudonymKind.PATIENT, number, uri))
        return self._names.uid(f"identifier {uri} {number}")

    def _reference(self, value: dict[str, Any], kind: str) -> Resource | None:
        made = self._walk(value, kind, frozenset({"reference", "type", "display"})) or {}
        old, target = value.get("reference"), value.get("type")
        if isinstance(old, str) and old.startswith("#"):
            new = f"#{self._contained[old[1:]]}" if old[1:] in self._contained else "#" if old == "#" else ""
        else:
            new = self._names.literal(old, self._base) if isinstance(old, str) and "?" not in old else ""
        if new:
            made["reference"] = new
        if isinstance(target, str) and target in self._rules.resources:
            made["type"] = target
        pointed = made.get("type") or (new.rpartition("/")[0].rpartition("/")[2])
        display = value.get("display")
        cleaned = self._text.deidentify(display) if pointed in CLINICAL and isinstance(display, str) else ""
        if cleaned.strip():
            made["display"] = cleaned
        return made or None

    def _coding(self, value: dict[str, Any], kind: str) -> Resource | None:
        made = self._walk(value, kind, frozenset({"system", "version", "code", "display"})) or {}
        uri, code = value.get("system"), value.get("code")
        system = system_of_uri(uri) if isinstance(uri, str) else None
        if isinstance(code, str) and code not in self._numbers:
            known = (code if system.has(code) else "") if system else local_code(code, self._text)
            if known:
                made["code"] = known
        if isinstance(uri, str) and "code" in made:
            made["system"] = uri if system else self._names.system(uri)
        if isinstance(value.get("display"), str):
            shown = self._text.display if system and "code" in made else self._text.deidentify
            cleaned = shown(value["display"])
            made |= {"display": cleaned} if cleaned.strip() else {}
        return made if made.keys() - {"userSelected"} else None

    def _concept(self, value: dict[str, Any], kind: str) -> Resource | None:
        made = self._walk(value, kind, frozenset({"text"})) or {}
        words = value.get("text")
        if isinstance(words, str):
            shared = any("code" in one and system_of_uri(str(one.get("system"))) for one in dicts(made.get("coding")))
            cleaned = self._text.display(words) if shared else self._text.deidentify(words)
            made |= {"text": cleaned} if cleaned.strip() else {}
        return made or None

    def _quantity(self, value: dict[str, Any], kind: str) -> Resource | None:
        made = self._walk(value, kind, frozenset({"unit", "system", "code"})) or {}
        unit, code, uri = value.get("unit"), value.get("code"), value.get("system")
        system = system_of_uri(uri) if isinstance(uri, str) else None
        if isinstance(code, str) and (is_unit(code) or (system and system.has(code))):
            made |= {"code": code} | ({"system": uri} if system else {})
        if isinstance(unit, str):
            shown = unit if is_unit(unit) else self._text.deidentify(unit).strip() or made.get("code", "")
            made |= {"unit": shown} if shown else {}
        if self._values.caps_ages:
            made = capped(made, default_unit="a" if kind == "Age" else "")
        return made or None

    def _range(self, value: dict[str, Any], kind: str) -> Resource | None:
        made = self._walk(value, kind) or {}
        for bound in ("low", "high"):  # a bound has no comparator (R4 sqty-1): an age over 89 has no upper bound
            if isinstance(made.get(bound), dict) and made[bound].pop("comparator", None) and bound == "high":
                del made[bound]
        return made or None


def _any(values: list[Any]) -> bool:
    return any(value is not None for value in values)
