"""A note as a FHIR R4 document, rule by rule: Bundle, Composition, items, DocumentReference, Provenance."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import fhirkit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from note_examples import (
    BASE,
    ENCOUNTER,
    PATIENT,
    PRACTITIONER,
    SECTIONS,
    items_of,
    note,
    said,
    section,
)
from osler.domain.note import DraftAuthor, Topic
from osler.publish.note.document import document, encounter, practitioner, resources, superseded
from osler.publish.note.entries import withdrawn
from osler.publish.note.identified import IdentifiedNote, Signature
from osler.publish.note.items import ProblemItem
from osler.publish.note.wording import plain_text
from osler.standards.fhir import dumps, validate

HL7 = "http://terminology.hl7.org/CodeSystem"
LOINC = "http://loinc.org"
AIAST = f"{HL7}/v3-ObservationValue|AIAST"
RULES = [
    # type, path, value while nobody has signed, value when signed
    ("Composition", "status", "preliminary", "final"),
    ("Composition", "meta.security[0]", AIAST, None),
    ("Composition", "type.coding[0]", f"{LOINC}|11506-3", "="),
    ("Composition", "type.text", "Progress note", "="),
    ("Composition", "type.coding[0].display", None, None),
    ("Composition", "subject.reference", "Patient/OSL-TEST0PATIENT", "="),
    ("Composition", "encounter.reference", "Encounter/enc1", "="),
    ("Composition", "date", "2026-01-02T09:45:00.000Z", "2026-01-02T09:50:00.000Z"),
    ("Composition", "author[0].display", "osler-extractive", "Dr. Anna House"),
    ("Composition", "author[1].display", None, "osler-extractive"),
    ("Composition", "attester[0].mode", None, "legal"),
    ("Composition", "attester[0].time", None, "2026-01-02T09:50:00.000Z"),
    ("Composition", "attester[0].party.reference", None, "Practitioner/dr1"),
    ("Composition", "relatesTo", None, None),
    ("Composition", "section[0].code.coding[0]", f"{LOINC}|61150-9", "="),
    ("Composition", "section[0].code.text", "Subjective", "="),
    ("Composition", "section[0].text.status", "generated", "="),
    ("Composition", "section[2].title", "Assessment and plan", "="),
    ("Composition", "section[2].section[0].title", "Possible pneumonia", "="),
    ("Composition", "section[2].section[1].title", "Type 2 diabetes", "="),
    ("Condition", "verificationStatus.coding[0]", f"{HL7}/condition-ver-status|unconfirmed",
     f"{HL7}/condition-ver-status|provisional"),
    ("Condition", "clinicalStatus.coding[0]", f"{HL7}/condition-clinical|active", "="),
    ("Condition", "category[0].coding[0]", f"{HL7}/condition-category|encounter-diagnosis", "="),
    ("Condition", "recorder.reference", None, "Practitioner/dr1"),
    ("Condition", "encounter.reference", "Encounter/enc1", "="),
    ("Condition", "meta.security[0]", AIAST, None),
    ("MedicationStatement", "status", "unknown", "active"),
    ("MedicationStatement", "medicationCodeableConcept.text", "metformin", "="),
    ("MedicationStatement", "context.reference", "Encounter/enc1", "="),
    ("MedicationStatement", "dosage[0].text", "500 mg twice a day", "="),
    ("MedicationStatement", "dosage[0].timing.repeat.frequency", 2, "="),
    ("MedicationStatement", "dosage[0].timing.repeat.periodUnit", "d", "="),
    ("MedicationStatement", "dosage[0].doseAndRate[0].doseQuantity.value", 500, "="),
    ("MedicationStatement", "dosage[0].doseAndRate[0].doseQuantity.code", "mg", "="),
    ("MedicationStatement", "meta.security[0]", AIAST, None),
    ("AllergyIntolerance", "verificationStatus.coding[0]", f"{HL7}/allergyintolerance-verification|unconfirmed",
     f"{HL7}/allergyintolerance-verification|confirmed"),
    ("AllergyIntolerance", "patient.reference", "Patient/OSL-TEST0PATIENT", "="),
    ("AllergyIntolerance", "code.text", "penicillin", "="),
    ("AllergyIntolerance", "category[0]", "medication", "="),
    ("AllergyIntolerance", "reaction[0].manifestation[0].text", "hives", "="),
    ("Observation", "status", "preliminary", "final"),
    ("Observation", "category[0].coding[0]", f"{HL7}/observation-category|vital-signs", "="),
    ("Observation", "code.coding[0]", f"{LOINC}|85354-9", "="),
    ("Observation", "component[0].code.coding[0]", f"{LOINC}|8480-6", "="),
    ("Observation", "component[0].valueQuantity.value", 128, "="),
    ("Observation", "component[0].valueQuantity.code", "mm[Hg]", "="),
    ("Observation", "component[1].code.coding[0]", f"{LOINC}|8462-4", "="),
    ("Observation", "component[1].valueQuantity.system", "http://unitsofmeasure.org", "="),
    ("Observation", "effectiveDateTime", "2026-01-02T09:30:00.000Z", "="),
    ("Observation", "performer[0].reference", None, "Practitioner/dr1"),
    ("DocumentReference", "status", "current", "="),
    ("DocumentReference", "docStatus", "preliminary", "final"),
    ("DocumentReference", "type.coding[0]", f"{LOINC}|11506-3", "="),
    ("DocumentReference", "category[0].coding[0]",
     "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category|clinical-note", "="),
    ("DocumentReference", "authenticator.reference", None, "Practitioner/dr1"),
    ("DocumentReference", "context.encounter[0].reference", "Encounter/enc1", "="),
    ("DocumentReference", "content[0].attachment.contentType", "text/plain; charset=utf-8", "="),
    ("DocumentReference", "meta.security[0]", AIAST, None),
    ("Provenance", "meta.security[0]", AIAST, "="),
    ("Provenance", "activity.coding[0]", f"{HL7}/v3-DataOperation|CREATE", "="),
    ("Provenance", "agent[0].type.coding[0]", f"{HL7}/provenance-participant-type|author", "="),
    ("Provenance", "agent[0].who.display", "osler-extractive", "="),
    ("Provenance", "entity[0].role", "source", "="),
    ("Provenance", "entity[0].what.display",
     'Statement s1: utterance 3, 7.2 to 9.9 s: "as it was said"', "="),
    ("Provenance", "signature[0].type[0]", None, "urn:iso-astm:E1762-95:2013|1.2.840.10065.1.12.1.1"),
    ("Provenance", "signature[0].who.reference", None, "Practitioner/dr1"),
    ("Provenance", "signature[0].when", None, "2026-01-02T09:50:00.000Z"),
    ("Device", "version[0].value", "1.0", "="),
    ("Device", "property[0].valueCode[0].text", "ab" * 32, "="),
]  # fmt: skip


def made(one: IdentifiedNote) -> list[dict[str, Any]]:
    return resources(one, items_of(one), base_url=BASE)


def first(kind: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the resource of a kind that the table is about: of Provenance and DocumentReference, the note's."""
    of_kind = [r for r in found if r["resourceType"] == kind]
    return of_kind[-1] if kind in ("Provenance", "DocumentReference") else of_kind[0]


def at(resource: dict[str, Any], path: str) -> Any:
    """Return what stands at a path, None when nothing does; codings as ``system|code``."""
    value: Any = json.loads(dumps(resource))
    for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", path):
        value = value.get(name)
        if value is not None and index:
            value = value[int(index)] if int(index) < len(value) else None
        if value is None:
            return None
    return f"{value['system']}|{value['code']}" if isinstance(value, dict) and "code" in value else value


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from references(item)


def faults(resource: dict[str, Any]) -> list[str]:
    text = dumps(resource)
    again = json.loads(fhirkit.parse(text).to_json()) != json.loads(text)
    return [
        *(str(issue) for issue in validate(resource)),
        *(str(issue) for issue in fhirkit.validate(json.loads(text))),
        *(["not the same when read and written again"] if again else []),
    ]


# ------------------------------------------------------------------------------------------------ each element


@pytest.mark.parametrize(
    ("kind", "path", "unsigned", "signed"), RULES, ids=[f"{kind}.{path}" for kind, path, *_ in RULES]
)
def test_element(kind: str, path: str, unsigned: object, signed: object) -> None:
    assert at(first(kind, made(note(signed=False))), path) == unsigned
    assert at(first(kind, made(note())), path) == (unsigned if signed == "=" else signed)


@pytest.mark.parametrize(
    ("name", "loinc", "text", "value", "ucum"),
    [
        ("heart rate", "8867-4", "Pulse 72", "72", "/min"),
        ("temperature", "8310-5", "Temp 98.60 F", "98.60", "[degF]"),
        ("respiratory rate", "9279-1", "Respirations 16", "16", "/min"),
        ("oxygen saturation", "59408-5", "SpO2 98%", "98", "%"),
        ("weight", "29463-7", "Weight 81.5 kg", "81.5", "kg"),
        ("height", "8302-2", "Height 178 cm", "178", "cm"),
    ],
)
def test_a_vital_sign_has_its_loinc_code_its_digits_and_its_unit(
    name: str, loinc: str, text: str, value: str, ucum: str
) -> None:
    observation = first("Observation", made(note(sections=(section(said(text, Topic.VITALS)),))))

    assert at(observation, "code.coding[0]") == f"{LOINC}|{loinc}"
    assert str(observation["valueQuantity"]["value"]) == value
    assert observation["valueQuantity"]["code"] == ucum


def test_a_certain_problem_is_confirmed_by_the_signature_and_has_the_accepted_code() -> None:
    diabetes = [r for r in made(note()) if r["resourceType"] == "Condition"][1]

    assert at(diabetes, "verificationStatus.coding[0]") == f"{HL7}/condition-ver-status|confirmed"
    assert at(diabetes, "code.coding[0]") == "http://hl7.org/fhir/sid/icd-10-cm|E11.9"


# ------------------------------------------------------------------------------------------------ the document


@pytest.mark.parametrize(
    "one",
    [
        note(),
        note(signed=False),
        note(revision=2, amends=1),
        note(speech=None),
        note(author=DraftAuthor("language-model", "m", "2", "")),
    ],
    ids=["signed", "unsigned", "amended", "typed transcript", "weights unknown"],
)
def test_everything_is_valid_r4(one: IdentifiedNote) -> None:
    found = [*made(one), document(one, items_of(one), base_url=BASE)]

    assert {r["resourceType"]: faults(r) for r in found if faults(r)} == {}


def test_bundle_keeps_the_rules_of_a_document() -> None:
    bundle = document(note(), items_of(note()), base_url=BASE)
    urls = [entry["fullUrl"] for entry in bundle["entry"]]

    assert bundle["type"] == "document"  # 3.3
    assert bundle["identifier"]["system"] == "urn:ietf:rfc:3986"  # bdl-9
    assert bundle["timestamp"] == "2026-01-02T09:50:00.000Z"  # bdl-10
    assert bundle["entry"][0]["resource"]["resourceType"] == "Composition"  # bdl-11
    assert len(urls) == len(set(urls))  # bdl-7
    assert all(url == f"{BASE}/fhir/R4/{e['resource']['resourceType']}/{e['resource']['id']}"
               for url, e in zip(urls, bundle["entry"], strict=True))  # fmt: skip


@pytest.mark.parametrize(
    "one",
    [
        note(),
        note(signed=False),
        note(revision=2, amends=1),
        note(speech=None),
        note(practitioner=PRACTITIONER | {"id": "dr2"}),
    ],
)
def test_every_reference_of_the_document_leads_to_an_entry(one: IdentifiedNote) -> None:
    bundle = document(one, items_of(one), base_url=BASE)
    held = {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]}

    assert set(references(bundle)) <= held
    assert {"Patient/OSL-TEST0PATIENT", "Encounter/enc1", f"Practitioner/{one.practitioner['id']}"} <= held


def test_each_resource_stands_after_those_that_it_refers_to() -> None:
    known = {f"{r['resourceType']}/{r['id']}" for r in (PATIENT, PRACTITIONER, ENCOUNTER)}
    for resource in made(note()):
        assert set(references(resource)) <= known
        known.add(f"{resource['resourceType']}/{resource['id']}")


def test_each_item_has_a_provenance_of_its_own_with_the_verifier_and_their_signature() -> None:
    found = made(note())
    provenances = [r for r in found if r["resourceType"] == "Provenance"]
    kinds = {"Condition", "MedicationStatement", "AllergyIntolerance", "Observation"}
    targets = [p["target"][0]["reference"] for p in provenances]

    assert sorted(targets[:-1]) == sorted(f"{r['resourceType']}/{r['id']}" for r in found if r["resourceType"] in kinds)
    for one in provenances[:-1]:
        assert at(one, "signature[0].type[0]") == "urn:iso-astm:E1762-95:2013|1.2.840.10065.1.12.1.5"
        assert [a["type"]["coding"][0]["code"] for a in one["agent"]][-1] == "verifier"


def test_an_edited_sentence_has_the_person_as_author_too() -> None:
    (diabetes,) = (
        r
        for r in made(note())
        if "Condition" in r.get("target", [{"reference": ""}])[0]["reference"]
        and "Statement s6" in r["entity"][0]["what"]["display"]
    )

    who = [(a["type"]["coding"][0]["code"], a["who"]["display"]) for a in diabetes["agent"]]
    assert who == [("author", "osler-extractive"), ("author", "Dr. Anna House"), ("verifier", "Dr. Anna House")]


def test_every_statement_is_traced_to_its_utterances() -> None:
    traced = {e["what"]["display"].split(":")[0] for e in first("Provenance", made(note()))["entity"]}

    assert traced == {f"Statement {s.id}" for part in SECTIONS for s in part.statements}


# ------------------------------------------------------------------------------------------------ once, and amended


def ids(found: list[dict[str, Any]], *kinds: str) -> set[str]:
    return {r["id"] for r in found if r["resourceType"] in kinds}


def test_the_same_note_is_the_same_document() -> None:
    assert dumps(document(note(), items_of(note()), base_url=BASE)) == dumps(
        document(note(), items_of(note()), base_url=BASE)
    )


def test_the_signature_makes_new_versions_and_nothing_new() -> None:
    draft, signed = made(note(signed=False)), made(note())

    assert [(r["resourceType"], r["id"]) for r in draft] == [(r["resourceType"], r["id"]) for r in signed]


def test_an_amendment_replaces_the_composition_and_keeps_what_it_does_not_change() -> None:
    before, after = made(note()), made(note(revision=2, amends=1))
    kinds = ("Condition", "MedicationStatement", "AllergyIntolerance", "Observation", "Device")

    assert ids(before, *kinds) == ids(after, *kinds)
    assert not ids(before, "Composition") & ids(after, "Composition")
    (replaced,) = first("Composition", after)["relatesTo"]
    assert replaced["code"] == "replaces"
    assert replaced["targetIdentifier"] == first("Composition", before)["identifier"]
    (indexed,) = first("DocumentReference", after)["relatesTo"]
    assert indexed["target"]["reference"] == f"DocumentReference/{first('DocumentReference', before)['id']}"
    assert first("DocumentReference", after)["docStatus"] == "amended"


def test_other_encounters_and_other_figures_have_other_ids() -> None:
    other = made(note(encounter_id="e-2"))
    changed = made(note(sections=(section(said("Blood pressure 128/84.", Topic.VITALS)),)))

    assert ids(other) == ids(changed) == set()
    assert not ids(made(note()), "Composition", "Observation") & ids(other, "Composition", "Observation")
    assert not ids(made(note()), "Observation") & ids(changed, "Observation")


@pytest.mark.parametrize("kind", ["Condition", "MedicationStatement", "AllergyIntolerance", "Observation"])
def test_what_an_amendment_takes_back_is_entered_in_error(kind: str) -> None:
    gone = withdrawn(first(kind, made(note())))

    assert "entered-in-error" in json.dumps(gone.get("verificationStatus") or gone["status"])
    assert faults(gone) == []


def test_the_replaced_document_reference_is_superseded() -> None:
    gone = superseded(first("DocumentReference", made(note())))

    assert (gone["status"], faults(gone)) == ("superseded", [])


def test_items_of_what_is_not_published_and_items_said_twice_are_left_out() -> None:
    one = note(sections=SECTIONS[:2])

    found = resources(one, (*items_of(note()), *items_of(note())), base_url=BASE)

    assert not ids(found, "Condition")
    assert len(ids(found, "Observation")) == len([r for r in found if r["resourceType"] == "Observation"]) == 3


@pytest.mark.parametrize("ended_at", [None, 1_767_347_200.0])
def test_an_encounter_of_our_own(ended_at: float | None) -> None:
    own = encounter("e-1", patient=PATIENT, practitioner=PRACTITIONER, began_at=1_767_346_200.0, ended_at=ended_at)

    assert faults(own) == []
    assert own["status"] == ("in-progress" if ended_at is None else "finished")
    assert note(encounter=own).encounter["id"] == own["id"]


@pytest.mark.parametrize("npi", ["", "1234567893"])
def test_a_practitioner_of_our_own(npi: str) -> None:
    own = practitioner("anna", name="Dr. Anna House", npi=npi)
    signed = note(practitioner=own, signature=Signature(1.0, own))

    assert faults(own) == []
    assert own["id"] == practitioner("anna", name="Another", npi=npi)["id"]
    assert at(first("Composition", made(signed)), "attester[0].party.display") == "Dr. Anna House"
    assert faults(document(signed, items_of(signed), base_url=BASE)) == []


# ------------------------------------------------------------------------------------------------ hostile words

HOSTILE = [
    "<script>alert(1)</script>",
    "</li></ul></div><div onload='x'>",
    "a & b < c > d \" e ' f",
    "&lt;b&gt; &nbsp; &#0;",
    "]]> <!-- <?xml <!DOCTYPE x>",
    "controls \x00\x01\x0b\x0c\x1b\x1f\x7f\x85 \ufffe\uffff \ud800",
    "\u202egnihton\u202c",
    "javascript:alert(1)",
    "   ",
    "\r\n\t",
    "x" * 5000,
    "日本語 🩺 é",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_words(text: str) -> None:
    one = note(
        sections=(section(said(text, quote=text), title="Title " + text, problem=text),),
        title="Note " + text,
        author=DraftAuthor("extractive", "m " + text, "1 " + text),
    )
    items = [ProblemItem("s1", "Problem " + text)]
    found = [*resources(one, items, base_url=BASE), document(one, items, base_url=BASE)]

    assert {r["resourceType"]: faults(r) for r in found if faults(r)} == {}
    for div in divs(found):
        root = ElementTree.fromstring(div)
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {"div", "ul", "li", "p"}
        assert {name for element in root.iter() for name in element.attrib} <= {"id"}


def divs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("div"), str):
            yield node["div"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from divs(item)


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=60), st.from_regex(r"\A\S{1,20}\Z"))
def test_any_words_make_a_valid_note(text: str, id: str) -> None:
    one = note(sections=(section(said(text.replace("[", "("), id=id, quote=text)),))

    assert {r["resourceType"]: faults(r) for r in made(one) if faults(r)} == {}


def test_the_attachment_is_the_note_in_plain_words() -> None:
    attachment = first("DocumentReference", made(note()))["content"][0]["attachment"]
    content = base64.b64decode(attachment["data"])

    assert content.decode() == plain_text(note())
    assert attachment["size"] == len(content)
    assert attachment["hash"] == base64.b64encode(hashlib.sha1(content).digest()).decode()
    lines = plain_text(note()).splitlines()
    assert lines[0] == "Progress note"
    assert "reviewed and signed by Dr. Anna House on 2026-01-02 09:50 UTC" in lines[1]
    assert lines[3:5] == ["SUBJECTIVE", "Mrs. Doe coughs since New Year's Day."]
    assert "Possible pneumonia:" in lines
    assert "Not signed" in plain_text(note(signed=False))


def test_the_transcript_stays_in_the_hub() -> None:
    transcript = next(r for r in made(note()) if r["resourceType"] == "DocumentReference")

    assert transcript["content"][0]["attachment"] == {
        "contentType": "application/json",
        "url": f"{BASE}/scribe/encounters/e-1/transcript",
        "title": "Transcript",
    }
    assert at(transcript, "author[0].display") == "whisper-large"
