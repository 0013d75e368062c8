"""The patient of a note at the EHR: by record number and beyond doubt, or not at all."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from note_examples import ENCOUNTER, PATIENT, PRACTITIONER, note
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish.note.ehr import Answer
from osler.publish.note.ehr_people import places_at

MRN, NPI, VISIT = "http://ehr.example/mrn", "http://hl7.org/fhir/sid/us-npi", "http://hospital.example/visit"
SYSTEMS = {MRN: "HOSP", "http://ehr.example/other": "OTHER"}


def patient(logical_id: str = "p9", value: str = "P100", system: str = MRN, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": logical_id, "identifier": [{"system": system, "value": value}]} | more


def practitioner(logical_id: str = "d9") -> dict[str, Any]:
    return {"resourceType": "Practitioner", "id": logical_id, "identifier": [{"system": NPI, "value": "1234567893"}]}


def encounter(of: str = "Patient/p9") -> dict[str, Any]:
    return {"resourceType": "Encounter", "id": "v9", "identifier": [{"system": VISIT, "value": "V-77"}],
            "subject": {"reference": of}}  # fmt: skip


class Ehr:
    """Finds all of a type, whatever the value: a search that is not exact must do no harm."""

    def __init__(self, *held: dict[str, Any], **answers: Answer) -> None:
        self.held = held
        self.answers = answers
        self.asked: list[str] = []

    def ask(self, method: str, path: str, *, headers: Mapping[str, str], content: str = "") -> Answer:
        self.asked.append(path)
        kind = path.partition("?")[0]
        entries = [{"resource": one} for one in self.held if one["resourceType"] == kind]
        found = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}).encode()
        return self.answers.get(kind) or Answer(200, content=found)


def test_everyone_is_found_by_identifier() -> None:
    ehr = Ehr(patient(), practitioner(), encounter())

    assert places_at(ehr, note(), SYSTEMS) == {
        f"Patient/{PATIENT['id']}": "Patient/p9",
        f"Practitioner/{PRACTITIONER['id']}": "Practitioner/d9",
        f"Encounter/{ENCOUNTER['id']}": "Encounter/v9",
    }
    assert parse_qs(ehr.asked[0].partition("?")[2]) == {"identifier": [f"{MRN}|P100"]}
    assert len(ehr.asked) == 3


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ([], "no patient"),
        ([patient(value="P1000")], "no patient"),
        ([patient(system="http://ehr.example/other")], "no patient"),
        ([patient(), patient("p8")], "more than one"),
        ([patient(birthDate="1971-01-02")], "another day"),
    ],
)
def test_a_doubt_is_a_refusal_that_quotes_nothing(held: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(DeliveryRefused, match=reason) as caught:
        places_at(Ehr(*held), note(), SYSTEMS)

    assert "P100" not in str(caught.value)


@pytest.mark.parametrize("more", [{}, {"birthDate": "1970-01-02"}])
def test_a_birth_date_that_is_the_same_or_not_known_is_no_doubt(more: dict[str, str]) -> None:
    assert places_at(Ehr(patient(**more)), note(), SYSTEMS) == {f"Patient/{PATIENT['id']}": "Patient/p9"}


def test_without_a_system_for_our_issuer_nobody_is_asked_for() -> None:
    ehr = Ehr(patient())

    with pytest.raises(DeliveryRefused):
        places_at(ehr, note(), {})

    assert ehr.asked == []


def test_a_system_of_our_own_identifier_is_asked_for() -> None:
    ours = PATIENT | {"identifier": [{"system": MRN, "value": "P100"}]}

    assert places_at(Ehr(patient()), note(patient=ours), {})[f"Patient/{PATIENT['id']}"] == "Patient/p9"


def test_the_encounter_of_another_patient_and_a_doubtful_practitioner_are_left_out() -> None:
    ehr = Ehr(patient(), practitioner(), practitioner("d8"), encounter("Patient/p8"))

    assert places_at(ehr, note(), SYSTEMS) == {f"Patient/{PATIENT['id']}": "Patient/p9"}


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"Patient": Answer(503)}, PeerUnavailable),
        ({"Patient": Answer(429)}, PeerUnavailable),
        ({"Patient": Answer(200, content=b"?")}, PeerUnavailable),
        ({"Encounter": Answer(500)}, PeerUnavailable),
        ({"Patient": Answer(403)}, DeliveryRefused),
    ],
)
def test_an_ehr_that_does_not_say(answers: dict[str, Answer], error: type[Exception]) -> None:
    with pytest.raises(error):
        places_at(Ehr(patient(), **answers), note(), SYSTEMS)


def test_an_ehr_that_does_not_show_practitioners_gets_the_note() -> None:
    ehr = Ehr(patient(), practitioner(), Practitioner=Answer(403))

    assert places_at(ehr, note(), SYSTEMS) == {f"Patient/{PATIENT['id']}": "Patient/p9"}
