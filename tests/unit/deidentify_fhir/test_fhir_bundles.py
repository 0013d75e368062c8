"""Bundles of many, wrong shapes, resources in resources; the vault is asked once for a batch of lines."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from osler.deidentify.engine_text import engine_text
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import MANY_PATIENTS, FhirDeidentifier
from osler.deidentify.fhir.ndjson import deidentify_lines
from osler.deidentify.rules_table import code_systems, fhir_extensions, fhir_rows, zip_areas
from osler.domain.identifiers import Identity
from osler.errors import Malformed
from osler.standards.fhir import Resource, dumps, loads

LETTERS = "bcdfghjklmnpqrstvwz"


class Counting(EphemeralPseudonyms):
    """Counts the questions to the vault that were not known beforehand."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.seen: set[Identity] = set()

    def prefetch(self, identities: Sequence[Identity]) -> None:
        missing = set(identities) - self.seen
        if missing:
            self.asked.append(len(missing))
            self.seen |= missing


def run(resource: dict[str, Any]) -> Resource:
    deidentifier = FhirDeidentifier(EphemeralPseudonyms(), text_for=engine_text, this_year=2026)
    return deidentifier.resource(loads(json.dumps(resource)))


def patient(number: int) -> dict[str, Any]:
    name = f"Qu{LETTERS[number % 19]}ax{LETTERS[number // 19 % 19]}ovil"
    return {"resourceType": "Patient", "id": str(number), "name": [{"family": name}]}


def note(number: int) -> dict[str, Any]:
    text = f"Cared for: {patient(number)['name'][0]['family']}, LDL 182 mg/dL."
    return {
        "resourceType": "Observation",
        "subject": {"reference": f"Patient/{number}"},
        "note": [{"text": text}],
    }


@pytest.mark.parametrize("count", [2, MANY_PATIENTS + 10])
def test_each_patient_of_a_bundle_is_looked_for_in_what_is_his(count: int) -> None:
    entries = [{"resource": make(number)} for number in range(count) for make in (patient, note)]
    made = run({"resourceType": "Bundle", "type": "collection", "entry": entries})
    texts = [entry["resource"]["note"][0]["text"] for entry in made["entry"][1::2]]
    assert set(texts) == {"Cared for: [NAME-1], LDL 182 mg/dL."}


def test_the_vault_is_asked_once_for_a_batch_of_lines() -> None:
    pseudonyms = Counting()
    lines = [json.dumps(note(number)) for number in range(50)]
    made = list(deidentify_lines(lines, FhirDeidentifier(pseudonyms)))
    assert len(made) == 50
    assert len(pseudonyms.asked) == 1


def test_resources_in_parameters_and_outcomes_are_cleaned() -> None:
    made = run({"resourceType": "Parameters", "parameter": [{"name": "p", "resource": patient(1)}]})
    assert made["parameter"][0]["resource"]["resourceType"] == "Patient"
    assert "ovil" not in dumps(made)


def test_contained_in_contained_goes() -> None:
    inner = patient(1) | {"contained": [patient(2)]}
    made = run({"resourceType": "Observation", "contained": [inner]})
    assert [one["id"] for one in made["contained"]] == ["c1"]
    assert "contained" not in made["contained"][0]


def test_numbers_of_the_patient_are_no_values() -> None:
    known = patient(1) | {"identifier": [{"value": "8812734"}]}
    made = run({"resourceType": "Observation", "contained": [known], "valueInteger": 8812734, "status": "final"})
    assert "valueInteger" not in made
    assert made["status"] == "final"


@pytest.mark.parametrize(
    ("data", "told"),
    [("1 2.5 E -3", "1 2.5 E -3"), ("523-11-9087", None), ("88 12734", None), ("1 8812734", None)],
)
def test_samples_are_numbers_and_not_those_of_the_patient(data: str, told: str | None) -> None:
    known = patient(1) | {"identifier": [{"value": "8812734"}]}
    sampled = {"origin": {"value": 0}, "period": 10, "dimensions": 1, "data": data}
    made = run({"resourceType": "Observation", "contained": [known], "valueSampledData": sampled})
    assert made["valueSampledData"].get("data") == told


@pytest.mark.parametrize(
    "wrong",
    [
        {"meta": ["Jane"]},
        {"meta": {"tag": "Jane", "security": ["Jane"]}},
        {"subject": {"type": ["Jane"], "reference": ["Patient/1"]}},
        {"valueQuantity": {"value": [93], "unit": "a"}},
        {"identifier": [{"system": ["Jane"], "value": ["Jane"], "type": {"coding": "Jane"}}]},
        {"contained": {"resourceType": "Patient", "name": {"family": ["Jane"]}}},
    ],
)
def test_wrong_shapes_go(wrong: dict[str, Any]) -> None:
    made = run({"resourceType": "Observation", "status": "final"} | wrong)
    assert "Jane" not in dumps(made)
    assert made["status"] == "final"


def test_nesting_is_bounded() -> None:
    item: dict[str, Any] = {"linkId": "1"}
    for _ in range(100):
        item = {"linkId": "1", "item": [item]}
    with pytest.raises(Malformed):
        FhirDeidentifier(EphemeralPseudonyms()).resource({"resourceType": "QuestionnaireResponse", "item": [item]})


def test_the_tables_for_the_reference() -> None:
    assert ("Patient.contact", "removed") in fhir_rows()
    assert "http://hl7.org/fhir/StructureDefinition/data-absent-reason" in fhir_extensions()
    assert any(uri == "http://loinc.org" for _, uri, _ in code_systems())
    assert len(zip_areas()) == 23
