"""Free text in FHIR: narratives, attachments, extensions, and what the text engine is told."""

import base64
import json
import time
from typing import Any

import pytest

from osler.deidentify.engine_text import engine_text
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import FhirDeidentifier, known_people
from osler.deidentify.fhir.marks import MASKED
from osler.deidentify.fhir.narrative import clean_narrative
from osler.deidentify.fhir.ndjson import RefusedLine, deidentify_lines
from osler.deidentify.free_text import Known
from osler.standards.fhir import Resource, dumps, loads

DIABETES = {"system": "http://snomed.info/sct", "code": "73211009"}
RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"


HTML = b'<html><head><meta charset="utf-8"></head><body>%s</body></html>'
CDA = (
    b'%s<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole><patient><name>Kanarie</name></patient>'
    b"</patientRole></recordTarget><component><structuredBody><component><section><title>Findings</title>"
    b"<text>Mr Kanarie is well</text></section></component></structuredBody></component></ClinicalDocument>"
)


class Names:
    """A text engine that knows the family names of the message and nothing else."""

    def __init__(self, known: Known, secret: str = "") -> None:
        self._names = [name["family"] for name in known.get("name", ()) if "family" in name]

    def deidentify(self, text: str) -> str:
        for name in self._names:
            text = text.replace(name, "[NAME]")
        return text

    def display(self, text: str) -> str:
        return self.deidentify(text)


def deidentifier(**options: Any) -> FhirDeidentifier:
    return FhirDeidentifier(EphemeralPseudonyms(), **({"text_for": Names} | options))


def run(resource: dict[str, Any], **options: Any) -> Resource:
    return deidentifier(**options).resource(loads(json.dumps(resource)))


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"family": "Kanarie"}]} | more


@pytest.mark.parametrize(
    ("xhtml", "told"),
    [
        ("<div><p>Seen by Kana<b>rie</b></p></div>", "<p>Seen by [NAME]</p>"),
        ("<div title='Kanarie'>5 &lt; 6 &amp; <i>well</i><br/>today</div>", "<p>5 &lt; 6 &amp; well</p><p>today</p>"),
        ("<div><table><tr><td>K</td><td>4.1</td></tr></table><script>Kanarie</script></div>", "<p>K 4.1</p>"),
        ("<div><!-- Kanarie --><img src='Kanarie.png'/>ok</div>", "<p>ok</p>"),
    ],
)
def test_narratives_keep_their_words(xhtml: str, told: str) -> None:
    text = Names({"name": [{"family": "Kanarie"}]})
    assert clean_narrative(xhtml, text) == f'<div xmlns="http://www.w3.org/1999/xhtml">{told}</div>'


@pytest.mark.parametrize("piece", ["<a", "<!--", "<![", "</", "<script>", "<a b='", "&#1", "&", "<", ">", "<br/>"])
def test_a_hostile_narrative_is_read_in_linear_time(piece: str) -> None:
    before = time.process_time()
    clean_narrative(f"<div>Kanarie{piece * 100_000}</div>", Names({"name": [{"family": "Kanarie"}]}))
    assert time.process_time() - before < 2


def test_a_narrative_goes_without_a_text_engine() -> None:
    text = {"status": "generated", "div": "<div>Kanarie</div>"}
    assert "text" not in FhirDeidentifier(EphemeralPseudonyms()).resource(patient(text=text))
    assert run(patient(text=text))["text"]["div"].endswith("<p>[NAME]</p></div>")


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("text/plain", b"Mr Kanarie is well", b"Mr [NAME] is well"),
        ("text/plain;charset=utf-8", b"well", b"well"),
        ("text/plain", b"\xff\xfe", None),
        ("text/html", b"<p title='Kanarie'>Ka<b>narie</b></p>", HTML % b"<p>[NAME]</p>"),
        ("text/rtf", rb"{\rtf1{\info{\author Kanarie}}Kana\b rie\b0\par well}", rb"{\rtf1\ansi\uc0 [NAME]\par"),
        ("application/xml", b"<ClinicalDocument/>", None),
        ("application/xml", CDA % b"<!DOCTYPE x>", None),
        ("text/xml; charset=utf-8", CDA % b"", b"<?xml"),
        ("application/hl7-cda+xml", CDA % b"", b"<?xml"),
        ("application/pdf", b"%PDF-1.7 Kanarie", None),
    ],
)
def test_attachments_by_their_type(kind: str, data: bytes, told: bytes | None) -> None:
    attachment = {"contentType": kind, "data": base64.b64encode(data).decode(), "hash": "YQ==", "url": "http://x/y"}
    report = {"resourceType": "DiagnosticReport", "presentedForm": [attachment], "contained": [patient(id="p")]}
    (made,) = run(report)["presentedForm"]
    assert made.keys() == {"contentType", *(("data",) if told else ("_data", "_url"))}
    assert all(made[mark] == MASKED for mark in ("_data", "_url") if mark in made)
    got = base64.b64decode(made["data"]) if "data" in made else None
    assert got == told or (told and got and got.startswith(told) and b"Kanarie" not in got)


def test_who_is_named_many_times_is_looked_for_once() -> None:
    entries = [patient(), *({"resourceType": "Practitioner", "name": [{"family": "Vogel"}]} for _ in range(50))]
    known = known_people({"resourceType": "Bundle", "entry": [{"resource": one} for one in entries]})
    assert {name["family"] for name in known["name"]} == {"Kanarie", "Vogel"}
    assert len(known["name"]) == 2


def test_the_words_of_a_clinical_document_stay() -> None:
    data = base64.b64encode(CDA % b"").decode()
    binary = {"resourceType": "Binary", "contentType": "application/xml", "data": data}
    note = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}, {"resource": binary}]}
    made = base64.b64decode(run(note)["entry"][1]["resource"]["data"])
    assert b"<text> Mr [NAME] is well </text>" in made
    assert b"Kanarie" not in made


def test_extensions_by_the_list() -> None:
    race = {"url": RACE, "extension": [{"url": "text", "valueString": "Mixed"}, {"url": "x", "valueString": "Kanarie"}]}
    made = run(patient(extension=[race, {"url": "http://x", "valueString": "Kanarie"}]))
    assert made["extension"] == [{"url": RACE, "extension": [{"url": "text", "valueString": "Mixed"}]}]


def test_extensions_of_primitives_keep_their_places() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]
    }
    item = {"linkId": "1", "text": "well", "_text": absent | {"id": "Kanarie"}}
    made = run({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [item]})
    assert made["item"] == [{"linkId": "1", "text": "well", "_text": absent}]


@pytest.mark.parametrize(
    ("coding", "told"),
    [
        (DIABETES, DIABETES),
        ({"system": "http://loinc.org", "code": "Kanarie"}, None),
        ({"system": "http://hl7.org/fhir/sid/us-ssn", "code": "123-45-6789"}, None),
        ({"system": "http://hl7.org/fhir/Kanarie?x=1", "code": "12345678"}, None),
        ({"code": "GLU", "display": "Glucose"}, {"code": "GLU", "display": "Glucose"}),
        ({"code": "Kanarie"}, None),
        ({"system": "urn:oid:1.2.3", "code": "778812"}, None),
    ],
)
def test_codes_by_their_system(coding: dict[str, str], told: dict[str, str] | None) -> None:
    made = run({"resourceType": "Condition", "code": {"coding": [coding]}, "contained": [patient(id="p")]})
    assert (made["code"]["coding"][0] if "code" in made else None) == told


def test_the_system_of_a_site_gets_a_name_of_its_own() -> None:
    coding = {"system": "https://lab.kanarie.example/codes", "code": "GLU"}
    (made,) = run({"resourceType": "Condition", "code": {"coding": [coding]}})["code"]["coding"]
    assert made["code"] == "GLU"
    assert made["system"].startswith("urn:oid:2.25.")


def test_names_of_a_bundle_are_looked_for_in_all_its_texts() -> None:
    note = {"resourceType": "Observation", "note": [{"text": "Kanarie is well"}]}
    made = run({"resourceType": "Bundle", "entry": [{"resource": patient()}, {"resource": note}]})
    assert made["entry"][1]["resource"]["note"] == [{"text": "[NAME] is well"}]


def test_names_of_an_ndjson_file_are_looked_for_where_the_patient_is_referred_to() -> None:
    note = {"resourceType": "Observation", "subject": {"reference": "Patient/7"}, "note": [{"text": "Kanarie is well"}]}
    lines = [json.dumps(note), "", "not json", json.dumps(patient(id="7"))]
    first, fault, last = deidentify_lines(lines, deidentifier())
    assert isinstance(first, dict)
    assert first["note"] == [{"text": "[NAME] is well"}]
    assert fault == RefusedLine(3, "malformed", "not JSON: fault at line 1, column 1")
    assert isinstance(last, dict)
    assert first["subject"]["reference"] == f"Patient/{last['id']}"


def test_the_engine_of_osler_cleans_what_a_record_says() -> None:
    record = {
        "resourceType": "DiagnosticReport",
        "contained": [{"resourceType": "Patient", "id": "p", "name": [{"family": "Kanarie", "given": ["Vogelina"]}]}],
        "status": "final",
        "conclusion": "Vogelina Kanarie, MRN: 8675309, has a 4 mm nodule in the right upper lobe.",
    }
    made = dumps(run(record, text_for=engine_text))
    assert "4 mm nodule in the right upper lobe" in made
    for canary in ("Vogelina", "Kanarie", "8675309"):
        assert canary not in made
