"""FHIR R4 without identity: one row an element or type, what comes in and what goes on."""

import json
from typing import Any

import pytest

from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import FhirDeidentifier
from osler.deidentify.fhir.rules import rules
from osler.errors import DeidentificationRefused, Malformed
from osler.standards.fhir import Resource, dumps, loads, validate

MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}
LOINC = {"system": "http://loinc.org", "code": "2093-3"}
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"coding": [LOINC]}}


class Kept:
    """A text engine that finds nothing; for what is not text."""

    def deidentify(self, text: str) -> str:
        return text

    def display(self, text: str) -> str:
        return self.deidentify(text)


def run(resource: dict[str, Any], *, keep_text: bool = False) -> Resource:
    options: dict[str, Any] = {"text_for": lambda known, secret: Kept()} if keep_text else {}
    return FhirDeidentifier(EphemeralPseudonyms(), this_year=2026, **options).resource(loads(json.dumps(resource)))


# 45 CFR 164.514(b)(2)(i): element of Patient, what is sent, what goes on (None: nothing)
SAFE_HARBOR = [
    ("A names", "name", [{"family": "Doe", "given": ["Jane"]}], None),
    ("A names of relatives", "contact", [{"name": {"family": "Doe"}, "relationship": [{"text": "son"}]}], None),
    (
        "B street and town go, the state stays",
        "address",
        [{"line": ["1 Elm"], "city": "Tulsa", "state": "OK"}],
        [{"state": "OK"}],
    ),
    ("B ZIP to three digits", "address", [{"postalCode": "74012-1234"}], [{"postalCode": "740"}]),
    ("B ZIP of few people", "address", [{"postalCode": "82190"}], [{"postalCode": "000"}]),
    ("B a town in the place of the state", "address", [{"state": "Tulsa, OK", "country": "US"}], [{"country": "US"}]),
    ("C dates to the year", "birthDate", "1957-03-12", "1957"),
    ("C year that tells an age over 89", "birthDate", "1936-12-31", None),
    ("C death", "deceasedDateTime", "2024-03-12T10:00:00Z", "2024"),
    ("D-F telephone, fax, e-mail", "telecom", [{"system": "phone", "value": "555"}], None),
    ("Q photographs", "photo", [{"contentType": "image/png", "data": "iVBORw0KGgo="}], None),
    ("sex stays", "gender", "female", "female"),
    ("a value that the binding does not list", "gender", "Jane", None),
    ("twins stay", "multipleBirthInteger", 2, 2),
    ("a value of the wrong type", "multipleBirthInteger", "Jane", None),
    ("an element that R4 does not know", "nickname", "Jane", None),
]


@pytest.mark.parametrize(("rule", "element", "sent", "told"), SAFE_HARBOR, ids=[row[0] for row in SAFE_HARBOR])
def test_safe_harbor_in_patient(rule: str, element: str, sent: Any, told: Any) -> None:
    assert run({"resourceType": "Patient", element: sent}, keep_text=True).get(element) == told


NO_TEXT = {"note": [{"time": "2026", "_text": MASKED}]}
PER_JANE = {"value": 1, "unit": "per Jane"}
# What is sent in an Observation, what goes on when the text engine finds nothing, and without a text engine
VALUES = [
    ({"valueQuantity": {"value": 1, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"}},) * 3,
    ({"valueQuantity": PER_JANE}, {"valueQuantity": PER_JANE}, {"valueQuantity": {"value": 1}}),
    ({"valueQuantity": {"value": 95, "unit": "%"}},) * 3,
    ({"valueInteger": 19570312}, {}, {}),
    ({"valueString": "well"}, {"valueString": "well"}, {}),
    ({"valueDateTime": "2026-01-02T03:04:05Z"}, {"valueDateTime": "2026"}, {"valueDateTime": "2026"}),
    ({"valueTime": "03:04:05"},) * 3,
    ({"valueCodeableConcept": {"text": "clear"}}, {"valueCodeableConcept": {"text": "clear"}}, {}),
    ({"valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "Jane Doe"}]}}, {}, {}),
    ({"valueSampledData": {"origin": {"value": 0}, "period": 10, "dimensions": 1, "data": "1 2 E 3.5"}},) * 3,
    ({"valuePeriod": {"start": "2026-01-02"}}, {"valuePeriod": {"start": "2026"}}, {"valuePeriod": {"start": "2026"}}),
    ({"issued": "2026-01-02T03:04:05Z"}, {}, {}),
    ({"note": [{"time": "2026-01-02", "text": "ok"}]}, {"note": [{"time": "2026", "text": "ok"}]}, NO_TEXT),
    ({"note": [{"authorString": "Jane", "text": "ok"}]}, {"note": [{"text": "ok"}]}, {}),
    ({"performer": [{"display": "Jane Doe"}]}, {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "told", "without_text"), VALUES)
def test_values(sent: dict[str, Any], told: dict[str, Any], without_text: dict[str, Any]) -> None:
    for keep_text, expected in ((True, told), (False, without_text)):
        made = run(OBSERVATION | sent, keep_text=keep_text)
        assert {k: v for k, v in made.items() if k != "meta"} == OBSERVATION | expected
        assert validate(made) == []


AGES = [
    ({"onsetAge": {"value": 91, "system": "http://unitsofmeasure.org", "code": "a"}}, "onsetAge"),
    ({"onsetAge": {"value": 1100, "unit": "mo"}}, "onsetAge"),
    ({"onsetAge": {"value": 90}}, "onsetAge"),
]


@pytest.mark.parametrize(("sent", "element"), AGES)
def test_ages_over_89_are_told_as_90_or_more(sent: dict[str, Any], element: str) -> None:
    age = run({"resourceType": "Condition", "subject": {"reference": "Patient/1"}} | sent)[element]
    assert (age["value"], age["comparator"], age["code"]) == (90, ">=", "a")


def test_a_range_of_ages_over_89_has_no_upper_end() -> None:
    sent = {"low": {"value": 85, "unit": "years"}, "high": {"value": 95, "unit": "years"}}
    made = run({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "onsetRange": sent})
    assert made["onsetRange"] == {"low": {"value": 85, "unit": "years"}}


@pytest.mark.parametrize("age", [{"value": 89, "unit": "years"}, {"value": 102, "unit": "months"}])
def test_other_ages_stay(age: dict[str, Any]) -> None:
    assert run({"resourceType": "Condition", "onsetAge": age})["onsetAge"] == age


def test_what_must_be_there_is_masked() -> None:
    event = {
        "resourceType": "AuditEvent",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "recorded": "2026-01-02T03:04:05Z",
        "agent": [{"requestor": True, "name": "Jane", "network": {"address": "10.0.0.1", "type": "2"}}],
        "source": {"observer": {"display": "host.example.org"}},
    }
    made = run(event)
    assert made["_recorded"] == MASKED
    assert "recorded" not in made
    assert made["agent"] == [{"requestor": True}]
    assert made["source"] == {"observer": MASKED}
    assert validate(made) == []


def test_decimals_keep_their_text() -> None:
    source = dumps(OBSERVATION).replace('"final"', '"final","valueQuantity":{"value":0.9300,"unit":"mmol/L"}')
    made = FhirDeidentifier(EphemeralPseudonyms()).resource(loads(source))
    assert '"value":0.9300' in dumps(made)


@pytest.mark.parametrize("element", ["modifierExtension", "implicitRules"])
def test_what_changes_the_meaning_in_an_unknown_way_is_refused(element: str) -> None:
    sent: Any = "http://x/Jane" if element == "implicitRules" else [{"url": "http://x/Jane", "valueBoolean": True}]
    with pytest.raises(DeidentificationRefused) as refused:
        run(OBSERVATION | {element: sent})
    assert "Jane" not in str(refused.value)


@pytest.mark.parametrize("sent", [{"resourceType": "Jane"}, {"resourceType": 7}, {"name": []}])
def test_what_is_no_resource_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refused:
        run(sent)
    assert "Jane" not in str(refused.value)


def test_every_element_of_r4_has_a_rule() -> None:
    known = {action for elements in rules().types.values() for action in (e.action for e in elements.values())}
    assert known == {
        *("walk", "remove", "boolean", "number", "time", "text", "code", "date", "instant", "city", "uri", "urn"),
        *("narrative", "attachment", "identifier", "reference", "concept", "coding", "quantity", "range"),
        *("extension", "resource", "refuse", "modifier", "birth", "state", "country", "postal", "samples"),
        *("url", "status", "uid", "key", "name"),
    }
    assert len(rules().resources) == 147
