"""Planted identifiers never come out of a FHIR resource, whichever element of R4 they are planted in."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.deidentify.engine_text import engine_text
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import FhirDeidentifier
from osler.deidentify.fhir.rules import rules
from osler.errors import InputRejected
from osler.standards.fhir import dumps, loads

CANARIES = ("kanarie", "vogel", "03-12", "47114711")
PRIMITIVES: dict[str, Any] = {
    "boolean": True,
    "decimal": 4.5,
    "integer": 7,
    "positiveInt": 7,
    "unsignedInt": 7,
    "string": "Kanarie Vogel 47114711",
    "markdown": "Kanarie *Vogel*",
    "code": "KanarieVogel",
    "id": "kanarie-47114711",
    "date": "1957-03-12",
    "dateTime": "1957-03-12T10:11:12Z",
    "instant": "1957-03-12T10:11:12.123Z",
    "time": "10:11:12",
    "uri": "http://kanarie.example/vogel/47114711",
    "url": "http://kanarie.example/vogel?id=47114711",
    "canonical": "http://kanarie.example/vogel|47114711",
    "oid": "urn:oid:1.2.47114711",
    "uuid": "urn:uuid:47114711-4711-4711-4711-471147114711",
    "base64Binary": "S2FuYXJpZSBWb2dlbA==",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml" title="Kanarie">Kana<b>rie</b> Vogel</div>',
}
NOT_FILLED = frozenset({"modifierExtension", "implicitRules", "contained", "resource"})


def filled(kind: str, depth: int = 4) -> Any:
    """Return a value of a type with a canary in every element down to a depth."""
    known = rules()
    if kind in known.primitives:
        return PRIMITIVES[kind]
    made: dict[str, Any] = {"resourceType": kind} if kind in known.resources else {}
    for name, element in known.types[kind].items():
        if name in NOT_FILLED:
            continue
        if element.type in known.primitives:
            made[name] = PRIMITIVES[element.type]
            made[f"_{name}"] = {"id": "kanarie", "extension": [{"url": "http://kanarie", "valueString": "Vogel"}]}
        elif depth:
            made[name] = filled(element.type, depth - 1)
    return made


def residue(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text.lower()]


def cleaned(resource: dict[str, Any]) -> str:
    read = loads(json.dumps(resource))
    return dumps(FhirDeidentifier(EphemeralPseudonyms(), this_year=2026).resource(read))


@pytest.mark.parametrize("kind", sorted(rules().resources))
def test_no_element_of_r4_lets_a_canary_through(kind: str) -> None:
    text = cleaned(filled(kind, depth=2))
    assert text.startswith('{"resourceType":')
    assert residue(text) == []


@pytest.mark.parametrize("kind", ["Bundle", "Observation", "Patient", "DocumentReference"])
def test_nor_does_a_contained_or_bundled_one(kind: str) -> None:
    inner = filled("Patient", depth=3)
    outer = filled(kind, depth=2)
    if kind == "Bundle":
        outer["entry"] = [{"fullUrl": "http://kanarie.example/Patient/kanarie-47114711", "resource": inner}]
    else:
        outer["contained"] = [inner]
    assert residue(cleaned(outer)) == []


json_values = st.recursive(
    st.sampled_from(["Kanarie Vogel", "47114711", "1957-03-12", "kanarie@vogel.example", None, True, 7]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(sorted({"Kanarie", *(n for t in rules().types.values() for n in t)})), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(sorted(rules().resources)),
    st.dictionaries(st.text("abcKanarie", min_size=1), json_values),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_nor_does_a_value_of_the_wrong_shape(kind: str, unknown: dict[str, Any], data: st.DataObject) -> None:
    names = sorted(rules().types[kind])
    chosen = data.draw(st.dictionaries(st.sampled_from([*names, *(f"_{n}" for n in names)]), json_values, max_size=6))
    try:
        resource = unknown | chosen | {"resourceType": kind}
        text = cleaned(resource)
        FhirDeidentifier(EphemeralPseudonyms(), text_for=engine_text).resource(resource)
    except InputRejected as rejected:
        text = str(rejected)
    assert residue(text) == []
