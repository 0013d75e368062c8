"""What people said of findings: confirmed, rejected, overridden; and what follows for the model."""

import pytest
from sqlalchemy import Connection

from osler.domain.codes import Code
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.domain.inference_json import dumps
from osler.hub.feedback import feedback_on
from osler.monitor.outcomes import FEW, Labelled, outcome_figures, outcomes
from osler.publish.fhir import observation_id, report_id
from osler.standards.fhir import Resource
from osler.storage.tables import cds_card, cds_feedback, client, inference, job
from osler.stores import Stores

MODEL = ModelVersion("fake", "1.0.0", "0" * 64, "1")
CODE = Code("112033", "DCM", "Abnormal opacity")
AI = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}


def read(number: int, probability: float, *, role: str = "champion") -> tuple[Inference, dict[str, object]]:
    finding = Finding("opacity", CODE, probability, 0.5, critical=True)
    made = Inference(f"2.25.{number}", MODEL, (CaseResult("2.25.1", (f"2.25.1{number}",), (finding,)),))
    row = {
        **{"id": f"i{number}", "job_id": f"i{number}", "study_uid": f"2.25.{number}", "model": str(MODEL)},
        **{"revision": 1, "body": dumps(made), "critical": True, "created_at": float(number), "role": role},
    }
    return made, row


def observation(made: Inference, status: str, present: str) -> Resource:
    result = made.results[0]
    return {
        "resourceType": "Observation",
        "id": observation_id(made, result, result.findings[0]),
        "meta": {"security": [AI]},
        "status": status,
        "code": {"text": "opacity"},
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": present}]},
    }


PRESENT, ABSENT = "52101004", "2667000"


@pytest.mark.parametrize(
    ("probability", "status", "value", "answer"),
    [
        (0.9, "preliminary", PRESENT, None),
        (0.9, "final", PRESENT, "agree"),
        (0.9, "entered-in-error", PRESENT, "disagree"),
        (0.9, "corrected", ABSENT, "disagree"),
        (0.1, "final", ABSENT, "agree"),
        (0.1, "amended", PRESENT, "disagree"),
    ],
)
def test_the_status_of_an_observation_is_the_answer(
    stores: Stores, probability: float, status: str, value: str, answer: str | None
) -> None:
    made, row = read(1, probability)

    def file(connection: Connection) -> None:
        _file(connection, row)
        stores.resources.put(connection, observation(made, status, value))

    stores.database.write(file)
    found = feedback_on(stores, "fake")
    assert [one.answer for one in found] == ([answer] if answer else [])
    assert feedback_on(stores, "other") == []


def test_a_card_that_a_person_overrides_as_wrong_is_an_answer_and_another_reason_is_none(stores: Stores) -> None:
    def file(connection: Connection) -> None:
        connection.execute(client.insert().values(_client()))
        for number, reason in enumerate(["wrong-finding", "not-my-patient", "wrong-finding"], 1):
            made, row = read(number, 0.9 if number < 3 else 0.2)
            _file(connection, row)
            about = f"DiagnosticReport/{report_id(made)}"
            shown = {"id": f"c{number}", "service": "s", "client_id": "ehr", "topic": "t", "about": about}
            connection.execute(cds_card.insert().values(shown | {"model": str(MODEL), "shown_at": 0.0}))
            said = {"card_id": f"c{number}", "outcome": "overridden", "reason": reason}
            connection.execute(cds_feedback.insert().values(said | {"outcome_at": 0.0, "received_at": 0.0}))

    stores.database.write(file)
    (one,) = feedback_on(stores)
    assert (one.answer, one.truth, one.probability) == ("disagree", False, 0.9)


def test_what_a_shadow_read_has_no_answers(stores: Stores) -> None:
    made, row = read(1, 0.9, role="shadow")

    def file(connection: Connection) -> None:
        _file(connection, row)
        stores.resources.put(connection, observation(made, "final", PRESENT))

    stores.database.write(file)
    assert feedback_on(stores) == []


def labelled(positive: bool, answer: str, probability: float, count: int) -> list[Labelled]:
    return [Labelled("fake@1.0.0", "opacity", probability, positive, answer)] * count  # type: ignore[arg-type]


def test_sensitivity_specificity_and_calibration_have_intervals() -> None:
    answers = [
        *labelled(True, "agree", 0.9, 40),
        *labelled(True, "disagree", 0.7, 10),
        *labelled(False, "agree", 0.1, 45),
        *labelled(False, "disagree", 0.3, 5),
    ]
    (found,) = outcomes(answers)
    document = found.document()
    assert document["sensitivity"] == {"value": 0.8889, "interval_95": [0.7650, 0.9516], "hits": 40, "of": 45}
    assert document["specificity"]["value"] == 0.8182
    assert document["agreement"]["value"] == 0.85
    assert document["observed_less_expected"] == pytest.approx(0.45 - 0.49)
    assert [(b["of"], b["hits"]) for b in document["reliability"]] == [(45, 0), (5, 5), (0, 0), (10, 0), (40, 40)]


def test_a_handful_of_answers_is_counted_and_no_gauge() -> None:
    few = outcome_figures(outcomes(labelled(True, "agree", 0.9, FEW - 1))).values
    assert few["osler_feedback_answers"] == {("fake@1.0.0", "opacity"): FEW - 1}
    assert few["osler_feedback_sensitivity"] == few["osler_feedback_calibration"] == {}
    assert outcome_figures(outcomes(labelled(True, "agree", 0.9, FEW))).values["osler_feedback_sensitivity"]


def _file(connection: Connection, row: dict[str, object]) -> None:
    same = {"id": row["job_id"], "idempotency_key": row["job_id"], "study_uid": row["study_uid"], "model": row["model"]}
    rest = {"revision": 1, "priority": "LOW", "state": "completed", "body": "{}", "attempts": 1, "dead": False}
    connection.execute(job.insert().values(same | rest | {"available_at": 0.0, "created_at": 0.0}))
    connection.execute(inference.insert().values(row))


def _client() -> dict[str, object]:
    values: dict[str, object] = {c.name: "" for c in client.c if not c.nullable}
    for column in client.c:
        kind = column.type.python_type
        if not column.nullable and kind is not str:
            values[column.name] = kind()
    return values | {"id": "ehr"}
