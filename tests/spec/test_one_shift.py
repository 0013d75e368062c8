"""One patient, one shift: by the same number his dates move alike in DICOM, HL7 v2, FHIR and the text in them."""

import io
import json
from datetime import date
from typing import Any

import pydicom
import pytest

from osler.deidentify.dates import days_of, secret_of
from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.engine_text import engine_by
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import FhirDeidentifier
from osler.deidentify.fhir.ndjson import deidentify_lines
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.deidentify.pseudonyms import VaultPseudonyms
from osler.deidentify.text.profiles import SHIFT_DAYS
from osler.domain.identifiers import Identity, PseudonymKind
from osler.standards.fhir import Resource, loads
from osler.standards.hl7v2 import parse
from osler.testing.studies import image, part10
from osler.vault import Vault

DAY = date(2024, 2, 29)
METHOD = "limited-data-set"
MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
NUMBER = {"system": "HOSP", "value": "8812734", "type": MR}
PATIENT: Resource = {"resourceType": "Patient", "id": "7", "identifier": [{"value": "1", "system": "x"}, NUMBER]}


def moved(pseudonyms: Any, number: str = "8812734", issuer: str = "HOSP") -> int:
    return days_of(pseudonyms.uid(secret_of(Identity(PseudonymKind.PATIENT, number, issuer)).value))


def by_dicom(pseudonyms: Any, **elements: str) -> int:
    dataset = image("CR", **({"PatientID": "8812734", "IssuerOfPatientID": "HOSP", "StudyDate": "20240229"} | elements))
    safe = deidentify_instance(part10(dataset), pseudonyms=pseudonyms, options=["retain-longitudinal-modified-dates"])
    return days(pydicom.dcmread(io.BytesIO(safe.content)).StudyDate)


def by_hl7(pseudonyms: Any, number: str, field: int = 7) -> int:
    message = f"MSH|^~\\&|A|B|C|D|20240229||ADT^A01|1|P|2.5.1\rPID|1||{number}||Doe^Jane\rNTE|1||Seen 02/29/2024.\r"
    engine = Hl7v2Deidentifier(pseudonyms, text_for=engine_by(METHOD), method=METHOD)
    head, _, note = parse(engine.message(message.encode())).segments
    month, dom, year = note.field(3).removeprefix("Seen ").rstrip(".").split("/")
    assert f"{year}{month:0>2}{dom:0>2}" == head.field(7), "the text moves with the fields"
    return days(head.field(7))


def observation(**subject: Any) -> Resource:
    return {"resourceType": "Observation", "status": "final", "effectiveDateTime": "2024-02-29", "subject": subject}


def by_fhir(pseudonyms: Any, resource: Resource, *people: Resource) -> int:
    made = FhirDeidentifier(pseudonyms, method=METHOD).resource(loads(json.dumps(resource)), *people)
    entries = made.get("entry") or [{"resource": made}]
    return days(entries[-1]["resource"]["effectiveDateTime"])


def days(told: str) -> int:
    return (date.fromisoformat(told) - DAY).days


def bundle(*resources: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


FHIR = [
    (bundle(PATIENT, observation(reference="Patient/7")), ()),
    (bundle(PATIENT | {"id": "other"}, observation(reference="Patient/other")), ()),
    (bundle(observation(reference="urn:uuid:9", identifier=NUMBER)), ()),
    (observation(identifier=NUMBER), ()),
    (observation(reference="Patient/99", identifier=NUMBER, type="Patient"), ()),
    (observation(reference="Patient/7"), (PATIENT,)),
    (observation(reference="#p") | {"contained": [PATIENT | {"id": "p"}]}, ()),
]


@pytest.mark.parametrize(("resource", "people"), FHIR)
def test_fhir_dates_move_by_the_number_of_the_patient(resource: Resource, people: tuple[Resource, ...]) -> None:
    pseudonyms = EphemeralPseudonyms()
    assert by_fhir(pseudonyms, resource, *people) == moved(pseudonyms)


@pytest.mark.parametrize(
    "number",
    [
        "8812734^^^HOSP^MR",
        "8812734^^^HOSP&1.2&ISO",
        "523-11-9087^^^SSA^SS~8812734^^^HOSP^MR",
        "4^^^X^PI~8812734^^^HOSP^MR",
    ],
)
def test_hl7_dates_move_by_the_number_of_the_patient(number: str) -> None:
    pseudonyms = EphemeralPseudonyms()
    assert by_hl7(pseudonyms, number) == moved(pseudonyms)


def test_dicom_dates_move_by_the_number_of_the_patient(vault: Vault) -> None:
    pseudonyms = VaultPseudonyms(vault)
    assert by_dicom(pseudonyms) == moved(pseudonyms) == by_hl7(VaultPseudonyms(vault), "8812734^^^HOSP^MR")
    assert by_dicom(pseudonyms) == by_fhir(VaultPseudonyms(vault), *FHIR[0][:1]), "also another day"
    assert by_dicom(pseudonyms, PatientID=" 8812734 ") == moved(pseudonyms), "padding makes no other patient"


def test_other_patients_have_other_shifts_and_none_stays() -> None:
    pseudonyms = EphemeralPseudonyms()
    found = [moved(pseudonyms, str(number)) for number in range(300)]
    assert -SHIFT_DAYS[1] <= min(found) <= max(found) <= -SHIFT_DAYS[0] < 0
    assert len(set(found)) > 150
    assert moved(pseudonyms) != moved(pseudonyms, issuer="ELSEWHERE")
    one, other = (Identity(PseudonymKind.PATIENT, v, i) for v, i in (("a|b", "c"), ("b", "c|a")))
    assert secret_of(one) != secret_of(other)


def test_where_only_the_logical_id_is_known_dates_move_by_that() -> None:
    pseudonyms = EphemeralPseudonyms()
    alone = by_fhir(pseudonyms, observation(reference="Patient/7"))
    assert alone == by_fhir(pseudonyms, observation(reference="Patient/7") | {"status": "amended"})
    assert alone == moved(pseudonyms, "7", "/Patient")


def test_the_patients_of_another_file_are_known() -> None:
    pseudonyms = EphemeralPseudonyms()
    lines = [json.dumps(observation(reference=f"Patient/{number}")) for number in (7, 8)]
    deidentifier = FhirDeidentifier(pseudonyms, method=METHOD)
    told = [
        days(made["effectiveDateTime"])
        for made in deidentify_lines(lines, deidentifier, [json.dumps(PATIENT)])
        if isinstance(made, dict)
    ]
    assert told == [moved(pseudonyms), moved(pseudonyms, "8", "/Patient")]


def test_the_secret_is_in_no_output() -> None:
    pseudonyms = EphemeralPseudonyms()
    made = json.dumps(FhirDeidentifier(pseudonyms, method=METHOD).resource(FHIR[0][0]))
    assert pseudonyms.uid(secret_of(Identity(PseudonymKind.PATIENT, "8812734", "HOSP")).value) not in made
