"""What a resource is found by, and what a query asks for."""

import re
from typing import Any

import pytest

from osler.errors import Malformed, TooLarge
from osler.standards.fhir_conditions import Chain, Condition, Every, Has, Present, Range, Text
from osler.standards.fhir_dates import ALWAYS, NO_DATE
from osler.standards.fhir_definitions import definitions
from osler.standards.fhir_index import Link, Span, Term, index_of, patient_of, values_at
from osler.standards.fhir_query import Query, parse_query
from osler.standards.fhir_result import Include, Sort
from osler.standards.fhir_search import SEARCHABLE

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
    return {t.parts for t in index_of(resource).terms if t.parameter == parameter}


def links(resource: dict, parameter: str) -> set[str]:
    return {link.target for link in index_of(resource).links if link.parameter == parameter}


def has(resource: dict, parameter: str) -> bool:
    bit = SEARCHABLE[resource["resourceType"]].parameters[parameter].bit
    return bool(index_of(resource).present >> bit & 1)


@pytest.mark.parametrize("type_name", sorted(SEARCHABLE))
def test_each_parameter_reads_elements_that_r4_defines(type_name: str) -> None:
    searchable = SEARCHABLE[type_name]
    for parameter in searchable.parameters.values():
        assert parameter.url.startswith("http://hl7.org/fhir/SearchParameter/")
        assert parameter.paths or parameter.kind == "composite"
        assert parameter.bit < 63, "it must fit in the resource's row"
        for path in parameter.paths:
            owner = type_name
            for step in path.steps:
                if owner == type_name and step.name in ("meta", "id"):
                    element = definitions().types["Meta" if step.name == "meta" else type_name].get(step.name)
                    owner = "Meta"
                    continue
                element = definitions().types[owner][step.name]
                owner = element.type
            if path.type == "Reference":
                assert element.targets is None or set(parameter.targets) <= element.targets | {"Patient"}
        for name in parameter.stored:
            assert name == parameter.name or searchable.parameters[name].stored == (name,)
    assert searchable.date in {"", *searchable.parameters}
    assert len({p.bit for p in searchable.parameters.values()}) == len(searchable.parameters)


def test_tokens_are_found_in_the_three_ways_to_ask() -> None:
    assert terms(OBSERVATION, "identifier") == {
        ("code", "X1"),
        ("both", "urn:a", "X1"),
        ("system", "urn:a"),
        ("code", "Y"),
        ("both", "", "Y"),
    }
    assert terms(OBSERVATION, "status") == {("code", "final")}
    assert terms(OBSERVATION, "code") == {
        ("code", "718-7"),
        ("both", "http://loinc.org", "718-7"),
        ("system", "http://loinc.org"),
        ("code", "hb"),
        ("both", "", "hb"),
    }


def test_references_lose_their_version_and_respect_their_targets() -> None:
    assert links(OBSERVATION, "subject") == {"Patient/p1"}
    assert links(OBSERVATION, "patient") == set(), "the rows of subject serve for it"
    assert has(OBSERVATION, "patient")
    assert not has(OBSERVATION | {"subject": {"reference": "Device/d"}}, "patient")
    assert links(OBSERVATION | {"subject": {"reference": "#here"}}, "subject") == set()


def test_dates_are_spans() -> None:
    def date(**effective: object) -> list[Span]:
        changed = {k: v for k, v in OBSERVATION.items() if k != "effectiveDateTime"} | effective
        return [s for s in index_of(changed).spans if s.parameter == "date"]

    assert date(effectiveDateTime="1970-01-02") == [Span("date", 86400.0, 172800.0)]
    assert date(effectivePeriod={"start": "1970-01-02"}) == [Span("date", 86400.0, ALWAYS)]
    assert date(effectivePeriod={"end": "1970-01-01"}) == [Span("date", NO_DATE, 86400.0)]
    assert date(effectiveTiming={"event": ["1970-01-03", "1970-01-01"]}) == [Span("date", 0.0, 259200.0)]
    assert date(effectiveTiming={"event": [None, "1970-01-01"]}) == [Span("date", 0.0, 86400.0)]
    assert date(effectiveTiming={"repeat": {"boundsPeriod": {"start": "1970-01-02"}}}) == [
        Span("date", 86400.0, ALWAYS)
    ]
    assert date() == []


def test_a_primitive_that_has_only_extensions_is_found_by_nothing() -> None:
    masked = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]
    }
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "meta": {"lastUpdated": "1970-01-01T00:00:09.000Z"},
        "name": [{"given": [None, "Ann"], "_given": [masked, None]}],
        "address": [{"line": [None], "_line": [masked]}],
        "_birthDate": masked,
    }

    assert {parts for parts in terms(patient, "given") if parts[0] == "exact"} == {("exact", "Ann")}
    assert terms(patient, "address") == set()
    assert has(patient, "given")
    assert not has(patient, "address")
    assert not has(patient, "birthdate")


def test_paths_filter_and_pass_lists() -> None:
    phone = SEARCHABLE["Patient"].parameters["phone"].paths[0]
    node = {"telecom": [{"system": "phone", "value": "1"}, {"system": "fax", "value": "2"}, {"value": "3"}]}

    assert list(values_at(node, phone.steps)) == [{"system": "phone", "value": "1"}]


@pytest.mark.parametrize(
    ("resource", "patient"),
    [
        (OBSERVATION, "p1"),
        ({"resourceType": "Patient", "id": "p2"}, "p2"),
        (OBSERVATION | {"subject": {"reference": "https://elsewhere/Patient/p1"}}, None),
        (OBSERVATION | {"subject": {"display": "nobody"}}, None),
        (OBSERVATION | {"subject": {"reference": "Group/g"}, "performer": [{"reference": "Patient/p4"}]}, "p4"),
        (OBSERVATION | {"performer": [{"reference": "Patient/p4"}]}, "p1"),
        ({"resourceType": "Device", "id": "d"}, None),
        ({"resourceType": "Device", "id": "d", "patient": {"reference": "Patient/p5"}}, "p5"),
        ({"resourceType": "Provenance", "id": "v", "target": [{"reference": "Observation/o"}]}, None),
        ({"resourceType": "Group", "id": "g", "member": [{"entity": {"reference": "Patient/p6"}}]}, "p6"),
        (
            {
                "resourceType": "Group",
                "id": "g",
                "member": [{"entity": {"reference": "Patient/p6"}}, {"entity": {"reference": "Patient/p7"}}],
            },
            None,
        ),
        ({"resourceType": "Binary", "id": "b", "securityContext": {"reference": "Patient/p1"}}, "p1"),
        ({"resourceType": "Binary", "id": "b", "securityContext": {"reference": "DocumentReference/d"}}, None),
        ({"resourceType": "Binary", "id": "b"}, None),
    ],
)
def test_the_patient_of_a_resource_is_one_of_ours(resource: dict, patient: str | None) -> None:
    assert patient_of(resource) == patient


def parsed(*pairs: tuple[str, str], type_name: str = "Observation", strict: bool = False) -> Query:
    return parse_query(type_name, pairs, now=1000.0, base="http://here/fhir/R4", strict=strict)


def test_a_value_asks_for_terms_links_and_ranges() -> None:
    def asked(name: str, value: str, type_name: str = "Observation") -> tuple:
        (condition,) = parsed((name, value), type_name=type_name).conditions
        return condition.any_of

    assert asked("_id", "a,b") == (Term("_id", ("code", "a")), Term("_id", ("code", "b")))
    assert asked("identifier", r"a\,b\\") == (Term("identifier", ("code", "a,b\\")),)
    assert asked("patient", "x") == (Link("subject", "Patient/x"),)
    assert asked("subject", "x")[-1] == Link("subject", "Patient/x")
    assert asked("patient", "Device/x") == ()
    assert asked("date", "ge1970-01-01,1970-01-02T00:00:00 01:00") == (
        Range("date", "ge", 0.0, 86400.0),
        Range("date", "eq", 86400.0 - 3600, 86400.0 - 3599),
    )
    assert asked("date", "ap1970-01-01T00:00:00Z")[0].low == pytest.approx(-99.95)
    assert asked("value-quantity", "lt5.40|u|c") == (
        Range("value-quantity", "lt", 5.4, 5.4, ("both", "u", "c"), numeric=True),
    )
    assert asked("name", "Éva", "Patient") == (Term("name", ("starts", "eva")),)
    assert asked("name:contains", "Évas", "Patient") == (Text("name", "evas", anywhere=True),)
    assert asked("code-value-concept", "a$b") == (
        Every((Term("code", ("code", "a")), Term("value-concept", ("code", "b")))),
    )
    assert asked("component-code-value-concept", "a$b") == (
        Term("component-code-value-concept", ("code", "a", "$", "code", "b")),
    )
    inner = Condition("gender", (Term("gender", ("code", "male")),))
    assert asked("patient.gender", "male") == (Chain("subject", "Patient", inner),)
    status = Condition("status", (Term("status", ("code", "final")),))
    assert asked("_has:Observation:patient:status", "final", "Patient") == (Has("Observation", "subject", status),)


def test_missing_and_not_are_negations() -> None:
    bit = SEARCHABLE["Observation"].parameters["code"].bit

    assert parsed(("code:missing", "true")).conditions == (Condition("code", (Present(bit),), negated=True),)
    assert parsed(("code:missing", "false")).conditions == (Condition("code", (Present(bit),)),)
    assert parsed(("code:not", "x")).conditions[0].negated


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("100", 99.5, 100.5),
        ("100.00", 99.995, 100.005),
        ("1e2", 95.0, 105.0),
        ("5.40e-3", 0.005395, 0.005405),
        ("-2", -2.5, -1.5),
        ("0", -0.5, 0.5),
        ("gt100", 100.0, 100.0),
        ("ap100", 90.0, 110.0),
    ],
)
def test_numbers_have_the_precision_that_they_are_written_with(text: str, low: float, high: float) -> None:
    (condition,) = parsed(("probability", text), type_name="RiskAssessment").conditions
    (wanted,) = condition.any_of

    assert isinstance(wanted, Range)
    assert (wanted.low, wanted.high) == (low, high)


def test_paging_sorting_and_counting() -> None:
    assert parsed() == Query("Observation")
    assert parsed(("_sort", "date")).sort == (Sort("date_at"),)
    assert parsed(("_sort", "-date,_id")).sort == (Sort("date_at", descending=True), Sort("id"))
    assert parsed(("_sort", "-_lastUpdated")).sort == (Sort("updated_at", descending=True),)
    assert parsed(("_count", "7")).count == 7
    assert parsed(("_count", "99999")).count == 500
    assert parsed(("_total", "none")).total == "none"
    assert parsed(("_cursor", "abc")).cursor == "abc"
    assert parsed(("_cursor", "abc")).understood == ()
    assert parsed(("_summary", "count")).count == 0
    assert parsed(("_elements", "code, status")).elements == ("code", "status")
    several = parsed(("_include", "Observation:subject"), ("_include", "Observation:device:Device"), ("_include", "*"))
    assert several.includes == (
        Include("Observation", "subject"),
        Include("Observation", "device", "Device"),
        Include("Observation", "*"),
    )


def test_what_is_unknown_is_left_out_and_the_self_link_says_so_unless_the_client_is_strict() -> None:
    pairs = (("colour", "red"), ("status", "final"), ("_sort", "colour"), ("patient", ""), ("_format", "json"))

    assert parsed(*pairs).understood == (("status", "final"),)
    assert parsed(*pairs).ignored == (1, 3)
    with pytest.raises(Malformed, match=re.escape("search parameter 1 is not known for Observation")):
        parsed(*pairs, strict=True)
    with pytest.raises(Malformed, match="search parameter 1"):
        parsed(("_sort", "colour"), strict=True)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("status:above", "final", "modifier"),
        ("subject:Practitioner", "x", "modifier"),
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


def _codings(count: int) -> dict[str, Any]:
    return {"coding": [{"system": "urn:x", "code": f"c{number}"} for number in range(count)]}


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Observation", "component": [{"code": _codings(300), "valueCodeableConcept": _codings(300)}]},
        {"resourceType": "Observation", "code": _codings(40_000)},
    ],
    ids=["pairs", "codes"],
)
def test_what_would_be_found_by_too_much_is_refused(resource: dict[str, Any]) -> None:
    with pytest.raises(TooLarge):
        index_of(resource | {"id": "o", "meta": {"lastUpdated": "2026-01-01T00:00:00Z"}, "status": "final"})
