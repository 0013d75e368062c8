"""Names by the method surrogates: another name of the same form, one for the element and for the text."""

import json
import random
import re
from typing import Any

import pytest

from osler.deidentify.engine_text import engine_by
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import FhirDeidentifier
from osler.deidentify.free_text import RemovedText
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.deidentify.surrogate_names import surrogate
from osler.deidentify.text.en.surrogates import Pools
from osler.standards.fhir import Resource, loads
from osler.standards.hl7v2 import parse

MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}


def made_of(name: dict[str, Any], method: str = "surrogates", **more: Any) -> Resource:
    patient = {"resourceType": "Patient", "id": "7", "identifier": [{"value": "8812734", "type": MR}], "name": [name]}
    deidentifier = FhirDeidentifier(EphemeralPseudonyms(), text_for=engine_by(method), method=method)
    return deidentifier.resource(loads(json.dumps(patient | more)))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ({"use": "official", "family": "Quillfeather", "given": ["Marguerite", "Anne"]}, ("official", 2, True)),
        (
            {"family": "QUILLFEATHER", "given": ["MARGUERITE"], "prefix": ["Dr."], "period": {}},
            ("", 1, True),
        ),
        ({"family": "Quillfeather", "given": ["Marguerite", "A"]}, ("", 1, True)),
        ({"text": "Marguerite Quillfeather"}, ("", 1, True)),
        ({"family": "Quillfeather"}, ("", 0, True)),
        ({"family": "Quillfeather", "given": ["Marguerite", 7, {}], "use": ["old"]}, ("", 1, True)),
        ({"family": "Quillfeather", "given": "Marguerite", "use": {"a": 1}}, ("", 0, True)),
    ],
)
def test_a_name_becomes_another_of_the_same_form(name: dict[str, Any], form: tuple[str, int, bool]) -> None:
    (made,) = made_of(name)["name"]
    assert (made.get("use", ""), len(made.get("given", ())), "family" in made) == form
    assert not re.search(r"quillfeather|marguerite|\banne\b|\bdr\b", json.dumps(made), re.IGNORECASE)
    assert made["text"] == " ".join([*made.get("given", ()), made["family"]])
    assert made["family"].isupper() == (name.get("family") or "").isupper()


@pytest.mark.parametrize("method", ["safe-harbor", "limited-data-set"])
def test_by_the_other_methods_it_is_left_out(method: str) -> None:
    assert "name" not in made_of({"family": "Quillfeather"}, method)


def test_of_whom_nobody_knows_who_he_is_the_name_is_left_out() -> None:
    assert "name" not in made_of({"family": "Quillfeather", "given": ["Marguerite"]}, id=None, identifier=[])


def test_the_sex_of_the_given_name_stays() -> None:
    pools = Pools()
    women, men = (
        {pools.name(f"{given} Smith", random.Random(seed)).split()[0] for seed in range(1000)}
        for given in ("Jennifer", "Robert")
    )
    assert len(women) > 5
    assert len(men) > 5
    assert not women & men
    for given, names in (("Jennifer", women), ("Robert", men)):
        (made,) = made_of({"family": "Smith", "given": [given]})["name"]
        assert made["given"][0] in names, given


def test_the_text_has_the_same_other_name() -> None:
    text = {"status": "generated", "div": "<div>Marguerite Quillfeather is well.</div>"}
    made = made_of({"family": "Quillfeather", "given": ["Marguerite"]}, text=text)
    assert f"<p>{made['name'][0]['text']} is well.</p>" in made["text"]["div"]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Quillfeather^Marguerite", r"[A-Z][a-z]+\^[A-Z][a-z]+\^\^\^\^\^S"),
        ("Quillfeather^Marguerite^Anne^III^Dr", r"[A-Z][a-z]+\^[A-Z][a-z]+\^[A-Z][a-z]+\^\^\^\^S"),
        ("QUILLFEATHER^^", r"[A-Z]+\^\^\^\^\^\^S"),
        ("Quillfeather&van&Quillfeather^Marguerite^A", r"[A-Z][a-z]+\^[A-Z][a-z]+\^\^\^\^\^S"),
    ],
)
def test_hl7_names(name: str, form: str) -> None:
    message = f"MSH|^~\\&|A|B|C|D|20240229||ADT^A01|1|P|2.5.1\rPID|1||7^^^H^MR||{name}||19610506|F\r"
    engine = Hl7v2Deidentifier(EphemeralPseudonyms(), text_for=engine_by("surrogates"), method="surrogates")
    made = parse(engine.message(message.encode())).segments[1].field(5)
    assert re.fullmatch(form, made), made
    assert not re.search("quillfeather|marguerite|anne", made, re.IGNORECASE)


def test_without_an_engine_or_words_there_is_none() -> None:
    assert surrogate(["Jane", "Doe"], RemovedText()) == []
    assert surrogate(["J", ""], RemovedText()) == []


def test_one_that_is_missed_in_part_is_left_out() -> None:
    class Misses(RemovedText):
        def deidentify(self, text: str) -> str:
            return text.replace("Jane", "Mary")

    assert surrogate(["Jane", "Doe"], Misses()) == []
