"""Resources under new names: ids, references, bundles, contained resources, identifiers."""

import json
from typing import Any

import pytest

from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import FhirDeidentifier
from osler.standards.fhir import Resource, loads, validate

CODE = {"coding": [{"system": "http://loinc.org", "code": "2093-3"}]}
DX = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"}
UUID = "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"


def run(resource: dict[str, Any], pseudonyms: EphemeralPseudonyms | None = None) -> Resource:
    return FhirDeidentifier(pseudonyms or EphemeralPseudonyms()).resource(loads(json.dumps(resource)))


def observation(subject: str) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": CODE, "subject": {"reference": subject}}


def bundle(*entries: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    made = [{"fullUrl": url, "resource": resource} for url, resource in entries]
    return {"resourceType": "Bundle", "type": "collection", "entry": made}


@pytest.mark.parametrize(
    ("url", "reference"),
    [
        ("https://records.example/r4/Patient/p1", "Patient/p1"),
        ("https://records.example/r4/Patient/p1", "https://records.example/r4/Patient/p1"),
        ("https://records.example/r4/Patient/p1", "https://records.example/r4/Patient/p1/_history/3"),
        (UUID, UUID),
        (UUID, UUID.upper().replace("URN:UUID", "urn:uuid")),
    ],
)
def test_references_in_a_bundle_still_resolve(url: str, reference: str) -> None:
    patient = {"resourceType": "Patient", "id": "p1"}
    made = run(bundle((url, patient), ("https://records.example/r4/Observation/o1", observation(reference))))
    subject, result = made["entry"]
    assert "records.example" not in json.dumps(made)
    assert "p1" not in json.dumps(made)
    pointed = result["resource"]["subject"]["reference"]
    assert subject["fullUrl"] == pointed or subject["fullUrl"].endswith(f"/{pointed}")
    if not url.startswith("urn:"):
        assert pointed.endswith(subject["resource"]["id"])
    assert validate(made) == []


def test_two_servers_may_use_one_id_for_two_patients() -> None:
    patient = {"resourceType": "Patient", "id": "p1"}
    made = run(bundle(("https://a.example/Patient/p1", patient), ("https://b.example/Patient/p1", patient)))
    assert len({entry["resource"]["id"] for entry in made["entry"]}) == 2


def test_a_resource_has_the_same_new_id_each_time() -> None:
    pseudonyms = EphemeralPseudonyms()
    patient = run({"resourceType": "Patient", "id": "p1"}, pseudonyms)
    assert run(observation("Patient/p1"), pseudonyms)["subject"]["reference"] == f"Patient/{patient['id']}"


@pytest.mark.parametrize("reference", ["Patient?identifier=mrn|77", "http://x/y", "Jane", "#none", "mailto:j@x.org"])
def test_what_cannot_be_renamed_goes(reference: str) -> None:
    assert "subject" not in run(observation(reference))


def test_contained_resources_are_renamed_with_their_references() -> None:
    sent = observation("#jane") | {"contained": [{"resourceType": "Patient", "id": "jane", "birthDate": "1957-01-02"}]}
    made = run(sent)
    assert made["contained"] == [{"resourceType": "Patient", "id": "c1", "birthDate": "1957"}]
    assert made["subject"] == {"reference": "#c1"}
    assert validate(made) == []


def test_the_number_of_a_patient_is_the_pseudonym_that_dicom_uses() -> None:
    pseudonyms = EphemeralPseudonyms()
    made = run({"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "77"}]}, pseudonyms)
    (identifier,) = made["identifier"]
    assert identifier["value"] == pseudonyms.patient("77", "urn:x")
    assert identifier["system"].startswith("urn:oid:2.25.")


def test_an_imaging_study_names_the_uids_of_the_deidentified_files() -> None:
    pseudonyms = EphemeralPseudonyms()
    study = {
        "resourceType": "ImagingStudy",
        "status": "available",
        "subject": {"reference": "Patient/p1"},
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.4"}],
        "series": [{"uid": "1.2.3.4.5", "modality": DX}],
    }
    made = run(study, pseudonyms)
    assert made["identifier"] == [{"value": f"urn:oid:{pseudonyms.uid('1.2.3.4')}", "system": "urn:dicom:uid"}]
    assert made["series"][0]["uid"] == pseudonyms.uid("1.2.3.4.5")
    assert validate(made) == []


def test_requests_of_a_transaction_follow() -> None:
    entry = {
        "fullUrl": "https://records.example/Patient/p1",
        "resource": {"resourceType": "Patient", "id": "p1"},
        "request": {"method": "PUT", "url": "Patient/p1", "ifMatch": 'W/"3"'},
    }
    made = run({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})["entry"][0]
    assert made["request"] == {"method": "PUT", "url": f"Patient/{made['resource']['id']}"}


def test_links_of_a_form_stay_linked() -> None:
    items = [{"linkId": "/44250-9"}, {"linkId": "Jane-Doe-visit"}, {"linkId": "Jane-Doe-visit"}]
    made = run({"resourceType": "QuestionnaireResponse", "status": "completed", "item": items})
    first, second, third = (item["linkId"] for item in made["item"])
    assert first == "/44250-9"
    assert second == third != "Jane-Doe-visit"


@pytest.mark.parametrize("number", ["523-11-9087", "x523-11-9087x", "8812734", "a8-81-27-34"])
def test_a_number_of_a_person_is_no_link(number: str) -> None:
    made = run({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{"linkId": number}]})
    assert made["item"][0]["linkId"].startswith("2.25.")
