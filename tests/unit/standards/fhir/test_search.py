"""What a resource is found by, and what a query asks for."""

import re

import pytest

from osler.errors import Malformed
from osler.standards.fhir_definitions import definitions
from osler.standards.fhir_query import DateCondition, DateRange, Query, TermCondition, parse_query
from osler.standards.fhir_search import ALWAYS, NO_DATE, SEARCHABLE, Span, index_of, patient_of

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"lastUpdated": "1970-01-01T00:00:09.000Z"},
    "identifier": [{"system": "urn:a", "value": "X1"}, {"value": "Y"}],
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}, {"code": "hB"}, {"display": "no code"}]},
    "subject": {"reference": "Patient/p1/_history/3"},
    "effectiveDateTime": "1970-01-02",
}


def terms(resource: dict, parameter: str) -> set[tuple[str, ...]]:
    return {t.parts for t in index_of(resource)[0] if t.parameter == parameter}


@pytest.mark.parametrize("type_name", sorted(SEARCHABLE))
def test_each_parameter_reads_an_element_that_r4_defines(type_name: str) -> None:
    elements = definitions().types[type_name]
    choices = {e.choice for e in elements.values()}
    for parameter in SEARCHABLE[type_name].parameters.values():
        first, *_ = parameter.path.split(".")
        assert first in elements or first.removesuffix("[x]") in choices, parameter
        assert parameter.url.startswith("http://hl7.org/fhir/SearchParameter/")
        reached = [e for name, e in elements.items() if name == first or e.choice == first.removesuffix("[x]")]
        if parameter.kind == "reference":
            assert {e.type for e in reached} == {"Reference"}
            assert all(set(parameter.targets) <= (e.targets or set(parameter.targets)) for e in reached)
        elif parameter.kind == "date" and first != "meta":
            assert {e.type for e in reached} <= {"dateTime", "instant", "Period", "Timing"}
            assert all(e.maximum == 1 for e in reached), "a date parameter reads one value"
        elif parameter.concept:
            assert {e.type for e in reached} == {"CodeableConcept"}
    assert SEARCHABLE[type_name].date in {"", *SEARCHABLE[type_name].parameters}


def test_tokens_are_found_in_the_three_ways_to_ask() -> None:
    assert terms(OBSERVATION, "_id") == {("code", "o1"), ("both", "", "o1")}
    assert terms(OBSERVATION, "identifier") == {
        ("code", "X1"),
        ("both", "urn:a", "X1"),
        ("system", "urn:a"),
        ("code", "Y"),
        ("both", "", "Y"),
    }
    assert ("both", "http://hl7.org/fhir/observation-status", "final") in terms(OBSERVATION, "status")
    assert terms(OBSERVATION, "code") == {
        ("code", "718-7"),
        ("both", "http://loinc.org", "718-7"),
        ("system", "http://loinc.org"),
        ("code", "hb"),
        ("both", "", "hb"),
    }


def test_references_lose_their_version_and_respect_their_targets() -> None:
    assert terms(OBSERVATION, "patient") == {("Patient/p1",)}
    assert terms(OBSERVATION, "subject") == {("Patient/p1",)}
    assert terms(OBSERVATION | {"subject": {"reference": "Device/d"}}, "patient") == set()
    assert terms(OBSERVATION | {"subject": {"reference": "#here"}}, "subject") == set()


def test_dates_are_spans() -> None:
    def date(**effective: object) -> list[Span]:
        changed = {k: v for k, v in OBSERVATION.items() if k != "effectiveDateTime"} | effective
        return [s for s in index_of(changed)[1] if s.parameter == "date"]

    assert Span("_lastUpdated", 9.0, 9.001) in index_of(OBSERVATION)[1]
    assert date(effectiveDateTime="1970-01-02") == [Span("date", 86400.0, 172800.0)]
    assert date(effectivePeriod={"start": "1970-01-02"}) == [Span("date", 86400.0, ALWAYS)]
    assert date(effectivePeriod={"end": "1970-01-01"}) == [Span("date", NO_DATE, 86400.0)]
    assert date(effectiveTiming={"event": ["1970-01-03", "1970-01-01"]}) == [Span("date", 0.0, 259200.0)]
    assert date() == []


@pytest.mark.parametrize(
    ("resource", "patient"),
    [
        (OBSERVATION, "p1"),
        ({"resourceType": "Patient", "id": "p2"}, "p2"),
        (OBSERVATION | {"subject": {"reference": "https://elsewhere/Patient/p1"}}, None),
        (OBSERVATION | {"subject": {"display": "nobody"}}, None),
        ({"resourceType": "Device", "id": "d"}, None),
        ({"resourceType": "Provenance", "id": "v", "target": [{"reference": "Observation/o"}]}, None),
    ],
)
def test_the_patient_of_a_resource_is_one_of_ours(resource: dict, patient: str | None) -> None:
    assert patient_of(resource) == patient


def parsed(*pairs: tuple[str, str], type_name: str = "Observation", strict: bool = False) -> Query:
    return parse_query(type_name, pairs, now=1000.0, base="http://here/fhir/R4", strict=strict)


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("_id", "a,b", {("code", "a"), ("code", "b")}),
        ("identifier", "urn:a|X", {("both", "urn:a", "X")}),
        ("identifier", "|X", {("both", "", "X")}),
        ("identifier", "urn:a|", {("system", "urn:a")}),
        ("identifier", r"a\|b", {("code", "a|b")}),
        ("identifier", r"a\,b", {("code", "a,b")}),
        ("identifier", r"a\\,b", {("code", "a\\"), ("code", "b")}),
        ("identifier", "MixedCase", {("code", "MixedCase")}),
        ("code", "http://loinc.org|HB", {("both", "http://loinc.org", "hb")}),
        ("patient", "p1", {("Patient/p1",)}),
        ("patient", "Patient/p1", {("Patient/p1",)}),
        ("patient", "http://here/fhir/R4/Patient/p1", {("Patient/p1",)}),
        ("patient", "http://there/fhir/R4/Patient/p1", {("http://there/fhir/R4/Patient/p1",)}),
        ("subject", "x", {("Patient/x",), ("Group/x",), ("Device/x",), ("Location/x",)}),
        ("subject", "Patient/x/_history/2", {("Patient/x",)}),
    ],
)
def test_a_value_asks_for_these_terms(name: str, value: str, parts: set[tuple[str, ...]]) -> None:
    query = parsed((name, value))

    (condition,) = query.conditions
    assert isinstance(condition, TermCondition)
    assert set(condition.any_of) == parts
    assert query.understood == ((name, value),)


def test_prefixes_and_their_dates() -> None:
    ((condition), *_) = parsed(("date", "ge1970-01-01,1970-01-02T00:00:00 01:00")).conditions

    assert condition == DateCondition(
        "date", (DateRange("ge", 0.0, 86400.0), DateRange("eq", 86400.0 - 3600, 86400.0 - 3599))
    )
    ((approximate), *_) = parsed(("date", "ap1970-01-01T00:00:00Z")).conditions
    assert isinstance(approximate, DateCondition)
    assert approximate.any_of[0].low == pytest.approx(-99.95)


def test_paging_sorting_and_counting() -> None:
    assert parsed() == Query("Observation")
    assert parsed(("_sort", "date")).descending is False
    assert parsed(("_sort", "-date")).descending is True
    assert parsed(("_sort", "-_lastUpdated")).by_update is True
    assert parsed(("_count", "7")).count == 7
    assert parsed(("_count", "99999")).count == 500
    assert parsed(("_total", "none")).total is False
    assert parsed(("_cursor", "abc")).cursor == "abc"
    assert parsed(("_cursor", "abc")).understood == ()


def test_what_is_unknown_is_left_out_and_the_self_link_says_so_unless_the_client_is_strict() -> None:
    pairs = (("colour", "red"), ("status", "final"), ("_sort", "colour"), ("patient", ""), ("_format", "json"))

    assert parsed(*pairs).understood == (("status", "final"),)
    with pytest.raises(Malformed, match=re.escape("search parameter 1 is not known for Observation")):
        parsed(*pairs, strict=True)
    with pytest.raises(Malformed, match="search parameter 1"):
        parsed(("_sort", "colour"), strict=True)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("status:not", "final", "modifiers"),
        ("patient.identifier", "x", "chains"),
        ("subject:Patient", "x", "modifiers"),
        ("date", "sometime", "date"),
        ("date", "ge", "date"),
        ("identifier", "a|b|c", "one |"),
        ("identifier", "|", "a system or a code"),
        ("_count", "-1", "whole number"),
        ("_count", "\u0661", "whole number"),
        ("_id", ",".join("abcdefgh"[i % 8] for i in range(201)), "alternatives"),
    ],
)
def test_what_cannot_be_understood_is_refused_even_when_lenient(name: str, value: str, words: str) -> None:
    with pytest.raises(Malformed, match="search parameter 2: .*" + re.escape(words)) as caught:
        parsed(("status", "final"), (name, value))

    assert value not in str(caught.value) or len(value) < 3


def test_a_reference_to_any_type_must_name_it() -> None:
    with pytest.raises(Malformed, match="name its type"):
        parsed(("target", "x"), type_name="Provenance")


def test_a_flood_of_parameters_is_refused() -> None:
    with pytest.raises(Malformed, match="more than 40"):
        parsed(*[("status", "final")] * 41)
