"""A result in FHIR R4, rule by rule: the resources, their labels, their references, the patient behind them."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import fhirkit
import pytest
from pydicom.data import get_testdata_file

from osler.domain.codes import Code
from osler.domain.events import Recorded
from osler.domain.findings import Finding
from osler.plugins import Card, Output
from osler.publish import header as dicom
from osler.publish.alert import Alert
from osler.publish.fhir import Context, coding, communication, report_id, resources
from osler.publish.verification import Verifier, awaits_verification, verification
from osler.publish.wording import NOTICE
from osler.standards.fhir import dumps, validate
from osler.testing.results import MODEL, PNEUMONIA, case, identified, radiograph, recorded

CARD = Card(
    MODEL.name, MODEL.version, MODEL.sha256, MODEL.preprocessing, "Triage of children.", "Not for adults.",
    (Output("pneumonia", PNEUMONIA, 0.5),), ("CR",), "Apache-2.0",
)  # fmt: skip
HL7 = "http://terminology.hl7.org/CodeSystem"
AI = "http://hl7.org/fhir/uv/aitransparency"
AIAST = f"{HL7}/v3-ObservationValue|AIAST"
UIDS = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}


def made(
    *contents: bytes, result: Recorded | None = None, card: Card | None = CARD, **attributes: Any
) -> list[dict[str, Any]]:
    with dicom.quietly():
        files = contents or (radiograph(**UIDS | {"SOPInstanceUID": "1.2.3.1.1"} | attributes),)
    return resources(result or recorded(), identified(*files), card=card)


def one(kind: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    (resource,) = (r for r in found if r["resourceType"] == kind)
    return resource


def at(resource: dict[str, Any], path: str) -> Any:
    """Return what stands at a path like ``component[0].code.coding[0].code``; codings as ``system|code``."""
    value: Any = json.loads(dumps(resource), parse_float=str)
    for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", path):
        value = value[name]
        if index:
            value = value[int(index)]
    if isinstance(value, dict) and set(value) <= {"system", "code", "display"}:
        return f"{value.get('system', '')}|{value['code']}"
    return value


# ------------------------------------------------------------------------------------------------ each element


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("meta.security[0]", AIAST, "asserted by artificial intelligence"),
        ("extension[0].url", f"{AI}/StructureDefinition/AIconfidence", "how sure the model is of what is recorded"),
        ("extension[0].valueDecimal", "0.9300", "the same figure as the component's"),
        ("status", "preliminary", "until a person confirms it"),
        ("category[0].coding[0]", f"{HL7}/observation-category|imaging", "an imaging result"),
        ("code.coding[0]", "http://snomed.info/sct|233604007", "the finding's code"),
        ("code.text", "pneumonia", "the model's word for it"),
        ("subject.reference", "Patient/OSL-TEST0PATIENT", "whose it is"),
        ("effectiveDateTime", "2026-01-02", "when the image was made; without a time zone the day alone"),
        ("issued", "2026-01-02T09:30:00.000Z", "when it was recorded"),
        ("valueCodeableConcept.coding[0]", "http://snomed.info/sct|52101004", "present"),
        ("interpretation[0].coding[0]", f"{HL7}/v3-ObservationInterpretation|POS", "positive"),
        ("method.text", "cxr-pneumonia-paediatric@1.0.0, preprocessing 1", "model, version, preprocessing"),
        ("device.display", "cxr-pneumonia-paediatric@1.0.0", "what made it"),
        ("derivedFrom[0].display", "SOP Instance UID 1.2.3.1.1", "the very image"),
        ("component[0].code.coding[0]", "http://dicom.nema.org/resources/ontology/DCM|122157", "Probability"),
        ("component[0].valueQuantity.value", "0.9300", "four digits, zeros kept"),
        ("component[0].valueQuantity.system", "http://unitsofmeasure.org", "UCUM"),
        ("component[0].valueQuantity.code", "1", "no unit"),
        ("component[1].code.coding[0]", "http://dicom.nema.org/resources/ontology/DCM|122411", "Threshold Value"),
        ("component[1].valueQuantity.value", "0.5000", "the operating threshold"),
        ("note[0].text", NOTICE, "in plain words"),
    ],
)  # fmt: skip
def test_observation(path: str, value: str, rule: str) -> None:
    assert at(one("Observation", made()), path) == value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("valueCodeableConcept.coding[0]", "http://snomed.info/sct|2667000"),
        ("interpretation[0].coding[0]", f"{HL7}/v3-ObservationInterpretation|NEG"),
        ("component[0].valueQuantity.value", "0.1000"),
        ("extension[0].valueDecimal", "0.9000"),
    ],
)
def test_a_negative_observation(path: str, value: str) -> None:
    assert at(one("Observation", made(result=recorded(case(probability=0.1)))), path) == value


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("meta.security[0]", AIAST, "asserted by artificial intelligence"),
        ("status", "preliminary", "until a person confirms it"),
        ("category[0].coding[0]", f"{HL7}/v2-0074|RAD", "radiology"),
        ("code.coding[0]", "http://loinc.org|18748-4", "Diagnostic imaging study"),
        ("code.text", "AI result: cxr-pneumonia-paediatric@1.0.0", "AI-made, said in each list"),
        ("subject.reference", "Patient/OSL-TEST0PATIENT", "whose it is"),
        ("issued", "2026-01-02T09:30:00.000Z", "when it was recorded"),
    ],
)
def test_report(path: str, value: str, rule: str) -> None:
    assert at(one("DiagnosticReport", made()), path) == value


def test_the_conclusion_says_all_that_a_reader_must_know() -> None:
    result = recorded(case(outside=["the age is not known"]), refused={"2.25.1.9.2": "a lateral view"})

    conclusion = one("DiagnosticReport", made(result=result))["conclusion"]

    for said in (
        "Made by artificial intelligence", "Preliminary", "pneumonia: suspected (probability 0.9300, threshold 0.5000)",
        "Outside the intended use of the model: the age is not known", "A series was not read: a lateral view",
        "Model cxr-pneumonia-paediatric, version 1.0.0", "Intended use: Triage of children.",
    ):  # fmt: skip
        assert said in conclusion


def test_outside_the_intended_use_is_noted_on_the_observation() -> None:
    notes = one("Observation", made(result=recorded(case(outside=["the age is not known"]))))["note"]

    assert notes[1]["text"] == "Outside the intended use of the model: the age is not known."


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("meta.profile[0]", f"{AI}/StructureDefinition/AI-Device", "AI Transparency on FHIR"),
        ("extension[0].url", f"{AI}/StructureDefinition/aitransparency.modelCardDescription", "its card"),
        ("deviceName[0].name", "cxr-pneumonia-paediatric", "the model"),
        ("deviceName[0].type", "model-name", "DeviceNameType"),
        ("version[0].value", "1.0.0", "its version"),
        ("type.coding[0].code", "Artificial-Intelligence", "AI Transparency on FHIR"),
        ("property[0].valueCode[0].text", "ab" * 32, "hash of the weights"),
        ("property[1].valueCode[0].text", "1", "version of the preprocessing"),
        ("property[2].valueCode[0].text", "Apache-2.0", "licence of the weights"),
        ("note[0].text", "Intended use: Triage of children.", "from the card"),
        ("note[1].text", "Limitations: Not for adults.", "from the card"),
    ],
)
def test_device(path: str, value: str, rule: str) -> None:
    assert at(one("Device", made()), path) == value


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("meta.profile[0]", f"{AI}/StructureDefinition/AI-ModelCard", "AI Transparency on FHIR"),
        ("status", "current", "DocumentReferenceStatus"),
        ("type.coding[0]", f"{AI}/CodeSystem/AIinputsCS|AIModelCard", "what it is"),
        ("category[0].coding[0]", f"{AI}/CodeSystem/AIinputsCS|AIModelCardMarkdownFormat", "its format"),
        ("content[0].attachment.contentType", "text/markdown", "its format"),
    ],
)
def test_model_card(path: str, value: str, rule: str) -> None:
    assert at(one("DocumentReference", made()), path) == value


def test_the_model_card_holds_what_the_card_says_and_the_device_points_to_it() -> None:
    found = made()
    card = one("DocumentReference", found)
    text = base64.b64decode(at(card, "content[0].attachment.data")).decode()

    assert at(one("Device", found), "extension[0].valueReference.reference") == f"DocumentReference/{card['id']}"
    for said in ("# cxr-pneumonia-paediatric 1.0.0", "ab" * 32, "Triage of children.", "Not for adults.", "Apache-2.0"):
        assert said in text


def test_a_new_version_of_the_model_says_whose_place_it_takes() -> None:
    result = recorded()
    with dicom.quietly():
        source = identified(radiograph(**UIDS, SOPInstanceUID="1.2.3.1.1"))
    before = report_id(result.inference, "cxr-pneumonia-paediatric@0.9.0")

    found = resources(result, source, card=CARD, context=Context(replaced=(before,), orders=("q1",)))
    report, provenance = one("DiagnosticReport", found), one("Provenance", found)

    assert before != report["id"]
    assert report["basedOn"] == one("ImagingStudy", found)["basedOn"] == [{"reference": "ServiceRequest/q1"}]
    assert at(report, "extension[0].url") == "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
    assert at(report, "extension[0].valueReference.reference") == f"DiagnosticReport/{before}"
    assert provenance["entity"][1] == {"role": "revision", "what": {"reference": f"DiagnosticReport/{before}"}}
    assert not [fault for resource in found for fault in faults(resource)]


WHO = Verifier("drlee", "Practitioner/p")


@pytest.mark.parametrize(
    ("status", "path", "value"),
    [
        ("final", "activity.coding[0].code", "verify"),
        ("final", "agent[0].type.coding[0]", f"{HL7}/provenance-participant-type|verifier"),
        ("final", "agent[0].who.reference", "Practitioner/p"),
        ("corrected", "target[0].reference", "DiagnosticReport/{id}/_history/2"),
        ("entered-in-error", "entity[0].what.reference", "DiagnosticReport/{id}/_history/1"),
    ],
)
def test_a_person_who_confirms_a_result_is_its_verifier(status: str, path: str, value: str) -> None:
    report = one("DiagnosticReport", made())
    before = report | {"meta": report["meta"] | {"versionId": "1"}}
    after = before | {"status": status, "meta": report["meta"] | {"versionId": "2"}}

    provenance = verification(before, after, verifier=WHO, now=0.0)

    assert provenance is not None
    assert at(provenance, path) == value.format(id=report["id"])
    assert faults(provenance) == []
    assert not awaits_verification(after)


@pytest.mark.parametrize(
    ("before", "after", "label", "why"),
    [
        ("preliminary", "preliminary", True, "it is not confirmed"),
        ("final", "amended", True, "it was confirmed before"),
        ("preliminary", "final", False, "no artificial intelligence asserted it"),
    ],
)
def test_what_is_no_verification(before: str, after: str, label: bool, why: str) -> None:
    report = one("DiagnosticReport", made())
    meta = (report["meta"] if label else {}) | {"versionId": "1"}

    changed = (report | {"status": before, "meta": meta}, report | {"status": after, "meta": meta})

    assert verification(*changed, verifier=WHO, now=0.0) is None


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("meta.security[0]", AIAST, "asserted by artificial intelligence"),
        ("recorded", "2026-01-02T09:30:00.000Z", "when"),
        ("activity.coding[0]", f"{HL7}/v3-DataOperation|CREATE", "what was done"),
        ("agent[0].type.coding[0]", f"{HL7}/provenance-participant-type|assembler", "a device"),
        ("entity[0].role", "source", "from what"),
    ],
)  # fmt: skip
def test_provenance(path: str, value: str, rule: str) -> None:
    assert at(one("Provenance", made()), path) == value


def test_provenance_covers_the_report_and_each_observation() -> None:
    found = made(*(radiograph(**UIDS) for _ in range(2)), result=recorded(case(1), case(2)))

    targets = {t["reference"] for t in one("Provenance", found)["target"]}

    results = [r for r in found if r["resourceType"] in ("Observation", "DiagnosticReport")]
    assert targets == {f"{r['resourceType']}/{r['id']}" for r in results}
    assert len(targets) == 3


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("identifier[0].system", "urn:dicom:uid", "ImagingStudy.identifier: DICOM UIDs"),
        ("identifier[0].value", "urn:oid:1.2.3", "Study Instance UID"),
        ("identifier[1].type.coding[0]", f"{HL7}/v2-0203|ACSN", "Accession Number"),
        ("identifier[1].value", "A100", "Accession Number"),
        ("status", "available", "it was received"),
        ("modality[0]", "http://dicom.nema.org/resources/ontology/DCM|CR", "Modality"),
        ("started", "2026-01-02", "Study Date; without a time zone the day alone"),
        ("numberOfSeries", 1, "of what was received"),
        ("numberOfInstances", 1, "of what was received"),
        ("series[0].uid", "1.2.3.1", "Series Instance UID"),
        ("series[0].number", 1, "Series Number"),
        ("series[0].instance[0].uid", "1.2.3.1.1", "the instance that was read"),
        ("series[0].instance[0].sopClass", "urn:ietf:rfc:3986|urn:oid:1.2.840.10008.5.1.4.1.1.1", "its SOP Class"),
    ],
)
def test_imaging_study(path: str, value: Any, rule: str) -> None:
    assert at(one("ImagingStudy", made()), path) == value


def test_the_study_has_its_time_where_the_header_says_the_zone() -> None:
    found = made(TimezoneOffsetFromUTC="-0500")

    assert one("ImagingStudy", found)["started"] == "2026-01-02T09:30:00-05:00"
    assert one("Observation", found)["effectiveDateTime"] == "2026-01-02T09:30:00-05:00"


# ---------------------------------------------------------------------------------------------------- the patient

NAMES = [
    ("Doe^Jane", [{"use": "official", "text": "Jane Doe", "family": "Doe", "given": ["Jane"]}]),
    (
        "Doe^Jane^Quinn^Dr^III",
        [{"use": "official", "text": "Dr Jane Quinn Doe III", "family": "Doe", "given": ["Jane", "Quinn"],
          "prefix": ["Dr"], "suffix": ["III"]}],
    ),
    ("Doe", [{"use": "official", "text": "Doe", "family": "Doe"}]),
    ("^Jane", [{"use": "official", "text": "Jane", "given": ["Jane"]}]),
    ("", None),
    (None, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_names(name: str | None, expected: list[dict[str, Any]] | None) -> None:
    assert one("Patient", made(PatientName=name)).get("name") == expected


def test_a_name_in_three_representations() -> None:
    """ISO 21090 EN representation: alphabetic, ideographic, syllabic."""
    names = one("Patient", made(PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう"))["name"]

    assert [(n["extension"][0]["valueCode"], n["family"], n["given"]) for n in names] == [
        ("ABC", "Yamada", ["Tarou"]),
        ("IDE", "山田", ["太郎"]),
        ("SYL", "やまだ", ["たろう"]),
    ]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, {"value": "P100"}),
        ({"IssuerOfPatientID": "HOSP"}, {"value": "P100", "assigner": {"display": "HOSP"}}),
        (
            {"IssuerOfPatientID": "1.2.3.4"},
            {"value": "P100", "system": "urn:oid:1.2.3.4", "assigner": {"display": "1.2.3.4"}},
        ),
        (
            {"IssuerOfPatientID": "http://hospital.example/mrn"},
            {
                "value": "P100",
                "system": "http://hospital.example/mrn",
                "assigner": {"display": "http://hospital.example/mrn"},
            },
        ),
    ],
)
def test_identifiers(attributes: dict[str, str], expected: dict[str, Any]) -> None:
    (identifier,) = one("Patient", made(**attributes))["identifier"]

    assert identifier.pop("type")["coding"][0]["code"] == "MR"
    assert identifier == expected


@pytest.mark.parametrize(
    ("attribute", "value", "element", "expected"),
    [
        ("PatientSex", "M", "gender", "male"),
        ("PatientSex", "F", "gender", "female"),
        ("PatientSex", "O", "gender", "other"),
        ("PatientSex", "", "gender", None),
        ("PatientSex", "X", "gender", None),
        ("PatientBirthDate", "20220304", "birthDate", "2022-03-04"),
        ("PatientBirthDate", "2022.03.04", "birthDate", "2022-03-04"),
        ("PatientBirthDate", "20221304", "birthDate", None),
        ("PatientBirthDate", "", "birthDate", None),
        ("PatientBirthDate", None, "birthDate", None),
        ("PatientID", "", "identifier", None),
        ("PatientID", None, "identifier", None),
    ],
)
def test_what_the_header_does_not_say_is_not_said(attribute: str, value: str, element: str, expected: str) -> None:
    assert one("Patient", made(**{attribute: value})).get(element) == expected


# --------------------------------------------------------------------------------------- ids, references, codes


def test_the_same_result_has_the_same_resources() -> None:
    content = radiograph()

    assert [dumps(r) for r in made(content)] == [dumps(r) for r in made(content)]


def test_a_later_revision_is_a_new_version_of_the_same_resources() -> None:
    contents = [radiograph(**UIDS) for _ in range(2)]
    first = made(contents[0])
    second = made(*contents, result=recorded(case(1), case(2), revision=2))

    assert {(r["resourceType"], r["id"]) for r in first} < {(r["resourceType"], r["id"]) for r in second}


@pytest.mark.parametrize("change", ["version", "sha256"])
def test_another_model_has_a_device_of_its_own(change: str) -> None:
    other = recorded()
    other = replace(other, inference=replace(other.inference, model=replace(MODEL, **{change: "ff" * 32})))

    assert one("Device", made())["id"] != one("Device", made(result=other, card=None))["id"]


def test_every_reference_leads_to_a_resource() -> None:
    found = made(*(radiograph(**UIDS) for _ in range(2)), result=recorded(case(1), case(2)))
    there: set[str] = set()

    for resource in found:
        references = set(re.findall(r'"reference":"([^"]+)"', dumps(resource)))
        assert references <= there
        there.add(f"{resource['resourceType']}/{resource['id']}")
    assert len(there) == len(found) == 8


@pytest.mark.parametrize(
    ("scheme", "system"),
    [
        ("SCT", "http://snomed.info/sct"),
        ("LN", "http://loinc.org"),
        ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
        ("RADLEX", "http://radlex.org"),
        ("99SITE", None),
    ],
)
def test_code_systems(scheme: str, system: str | None) -> None:
    assert coding(Code("1", scheme, "one")).get("system") == system


def test_identity_is_in_patient_and_study_only() -> None:
    identified_values = ("Doe", "Jane", "P100", "A100", "20220304", "2022-03-04")

    for resource in made():
        if resource["resourceType"] not in ("Patient", "ImagingStudy"):
            assert not any(value in dumps(resource) for value in identified_values)


# ------------------------------------------------------------------------------------------------------- alerts

RAISED = Alert("alert-1", "result-1", 0, 1_767_346_200.0, 1_767_346_500.0)
TAKEN = replace(RAISED, acknowledged_at=1_767_346_260.0, acknowledged_by="dr-a", escalate_at=None)


@pytest.mark.parametrize(
    ("alert", "path", "value"),
    [
        (RAISED, "status", "in-progress"),
        (RAISED, "priority", "stat"),
        (RAISED, "category[0].coding[0]", f"{HL7}/communication-category|alert"),
        (RAISED, "subject.reference", "Patient/OSL-ABC"),
        (RAISED, "sent", "2026-01-02T09:30:00.000Z"),
        (TAKEN, "status", "completed"),
        (TAKEN, "received", "2026-01-02T09:31:00.000Z"),
        (TAKEN, "note[0].text", "Acknowledged by dr-a."),
    ],
)
def test_communication(alert: Alert, path: str, value: str) -> None:
    assert at(communication(recorded(), alert, patient_pseudonym="OSL-ABC"), path) == value


def test_an_alert_is_about_the_report_and_the_critical_findings() -> None:
    result = recorded(case(1), case(2, probability=0.1))
    found = made(*(radiograph(**UIDS) for _ in range(2)), result=result)

    told = communication(result, RAISED, patient_pseudonym="OSL-TEST0PATIENT")

    critical = next(r for r in found if r["resourceType"] == "Observation")
    about = [a["reference"] for a in told["about"]]
    assert about == [f"DiagnosticReport/{one('DiagnosticReport', found)['id']}", f"Observation/{critical['id']}"]


def test_an_alert_says_that_it_is_outside_the_intended_use() -> None:
    result = recorded(case(outside=("the age is not known",)))

    told = communication(result, RAISED, patient_pseudonym="OSL-TEST0PATIENT")

    assert "Outside the intended use of the model: the age is not known." in told["payload"][0]["contentString"]


# ------------------------------------------------------------------------------------------- valid by definition

HEADERS: dict[str, dict[str, Any]] = {
    "as it should be": {},
    "nothing": dict.fromkeys(
        ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
         "StudyID", "SeriesNumber", "InstanceNumber", "Modality", "ReferringPhysicianName")
    ),
    "empty": dict.fromkeys(
        ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"), ""
    ),
    "nonsense": {"PatientSex": "??", "StudyDate": "yesterday", "PatientBirthDate": "3.4.22", "Modality": "x-ray!"},
    "ideographic": {"PatientName": "=山田^太郎"},
    "an issuer with blanks": {"IssuerOfPatientID": "St. Elsewhere, 2nd floor"},
    "a time zone": {"TimezoneOffsetFromUTC": "+0545"},
    "long": {"StudyDescription": "x" * 500, "PatientName": "y" * 500},
}  # fmt: skip


def faults(resource: dict[str, Any]) -> list[str]:
    text = dumps(resource)
    return [
        *(str(issue) for issue in validate(resource)),
        *(str(issue) for issue in fhirkit.validate(json.loads(text))),
        *(
            ["not the same when read and written again"]
            if json.loads(fhirkit.parse(text).to_json()) != json.loads(text)
            else []
        ),
    ]


@pytest.mark.parametrize("attributes", HEADERS.values(), ids=HEADERS)
def test_every_resource_is_valid_r4(attributes: dict[str, Any]) -> None:
    odd = Finding("nodule", Code("1", "99SITE", "Nodule"), 1e-9, 0.5)
    both = case(outside=["a", "b"])
    result = recorded(replace(both, findings=(*both.findings, odd)), refused={"2.25.1.9.2": "a leg"})

    found = made(result=result, **attributes)
    alerts = [communication(result, a, patient_pseudonym="OSL-ABC") for a in (RAISED, TAKEN)]

    assert {r["resourceType"]: faults(r) for r in (*found, *alerts) if faults(r)} == {}
    assert len(found) == 8


@pytest.mark.parametrize("name", ["RG1_UNCI.dcm", "RG3_UNCI.dcm", "CT_small.dcm", "MR_small.dcm"])
def test_real_files(name: str) -> None:
    found = made(Path(str(get_testdata_file(name, download=False))).read_bytes())

    assert [faults(r) for r in found] == [[]] * 7
