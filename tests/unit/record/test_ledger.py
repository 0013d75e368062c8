import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from osler.config import Config, Destination, load
from osler.domain.events import Deidentified, Job, Recorded
from osler.domain.findings import Inference, Refusal
from osler.domain.inference_json import loads
from osler.errors import ContractViolation
from osler.record import save
from osler.storage.tables import alert, inference, outbox
from osler.testing.ledger import Ledger, inference_on
from osler.testing.results import MODEL, radiograph

PACS = Destination("pacs", "dicom", address="127.0.0.1:4242", ae_title="PACS")
URGENT_PACS = replace(PACS, name="urgent", when="critical")
PAGER = Destination("pager", "webhook", url="http://127.0.0.1:9/x", secret="s", when="critical")
FEED = replace(PAGER, name="feed", when="always")


def config(*destinations: Destination, **settings: object) -> Config:
    given = {name.replace("__", "."): value for name, value in settings.items()}
    return replace(load({"HOME": "/nonexistent"}, given=given), destinations=destinations)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def keep(ledger: Ledger, job: Job, found: Inference, settings: Config, now: float = 1000.0) -> Recorded | None:
    return ledger.database.write(lambda c: save(c, job, found, config=settings, now=now))


def deliveries(ledger: Ledger) -> set[tuple[str, str]]:
    with ledger.database.read() as connection:
        return {(r.kind, r.destination) for r in connection.execute(select(outbox))}


def filed(ledger: Ledger, *contents: bytes) -> tuple[Deidentified, Job]:
    study = ledger.file(*contents or (radiograph(),))
    return study, ledger.job(study)


@pytest.mark.parametrize(
    ("destinations", "settings", "found", "expected"),
    [
        pytest.param((), {}, {}, {("fhir", "")}, id="the chart always"),
        pytest.param((PACS,), {}, {"probability": 0.1}, {("fhir", ""), ("sr", "pacs")}, id="a PACS takes all results"),
        pytest.param(
            (PACS, URGENT_PACS), {}, {"probability": 0.1}, {("fhir", ""), ("sr", "pacs")},
            id="a PACS for critical results takes no others",
        ),
        pytest.param(
            (URGENT_PACS, PAGER), {}, {}, {("fhir", ""), ("sr", "urgent"), ("alert", "pager")},
            id="a critical finding goes everywhere",
        ),
        pytest.param(
            (PAGER, FEED), {}, {"probability": 0.1}, {("fhir", ""), ("alert", "feed")},
            id="a webhook that wants all gets what is not critical too",
        ),
        pytest.param(
            (PACS,), {"publish__secondary_capture": True}, {"heatmap": "ab"},
            {("fhir", ""), ("sr", "pacs"), ("sc", "pacs")}, id="the heatmap when asked for",
        ),
        pytest.param(
            (PACS,), {"publish__secondary_capture": True}, {}, {("fhir", ""), ("sr", "pacs")}, id="no heatmap, no SC"
        ),
        pytest.param((PACS,), {}, {"heatmap": "ab"}, {("fhir", ""), ("sr", "pacs")}, id="no SC unless asked for"),
    ],
)  # fmt: skip
def test_what_is_recorded_is_planned_to_be_delivered(ledger, destinations, settings, found, expected) -> None:
    study, job = filed(ledger)

    recorded = keep(ledger, job, inference_on(study, **found), config(*destinations, **settings))

    assert recorded is not None
    assert deliveries(ledger) == expected


def test_the_whole_inference_is_kept(ledger: Ledger) -> None:
    study, job = filed(ledger)
    found = replace(inference_on(study, outside=["age"]), refusals=(Refusal("2.25.9", "lateral"),), seconds={"read": 1})

    recorded = keep(ledger, job, found, config(), now=5.0)

    with ledger.database.read() as connection:
        row = connection.execute(select(inference)).one()
    assert recorded == Recorded(row.id, found, study.revision, 5.0)
    assert loads(row.body) == found
    assert (row.model, row.revision, row.critical) == (str(MODEL), 1, True)
    assert uuid.UUID(row.id).version == 5


def test_recording_twice_changes_nothing(ledger: Ledger) -> None:
    study, job = filed(ledger)
    settings = config(PACS, PAGER)
    keep(ledger, job, inference_on(study), settings)
    before = deliveries(ledger)

    again = keep(ledger, job, inference_on(study, probability=0.1), settings)
    by_another_job = keep(ledger, replace(job, id="another"), inference_on(study), settings)

    assert again is None
    assert by_another_job is None
    assert deliveries(ledger) == before
    with ledger.database.read() as connection:
        assert len(connection.execute(select(inference)).all()) == 1
        assert len(connection.execute(select(alert)).all()) == 1


def test_what_was_refused_is_kept_and_goes_nowhere(ledger: Ledger) -> None:
    study, job = filed(ledger)
    refused = Inference(study.study_instance_uid, MODEL, (), (Refusal(study.instances[0].series_instance_uid, "leg"),))

    recorded = keep(ledger, job, refused, config(PACS, FEED))

    assert recorded is not None
    assert deliveries(ledger) == set()


def test_a_critical_finding_raises_an_alert_that_will_escalate(ledger: Ledger) -> None:
    study, job = filed(ledger)

    recorded = keep(ledger, job, inference_on(study), config(alert__escalate_s=60.0), now=1000.0)

    assert recorded is not None
    with ledger.database.read() as connection:
        row = connection.execute(select(alert)).one()
    assert (row.inference_id, row.state, row.level, row.raised_at) == (recorded.id, "raised", 0, 1000.0)
    assert row.escalate_at == 1060.0


def test_no_escalation_when_the_site_wants_none(ledger: Ledger) -> None:
    study, job = filed(ledger)

    keep(ledger, job, inference_on(study), config(alert__max_escalations=0))

    with ledger.database.read() as connection:
        assert connection.execute(select(alert.c.escalate_at)).scalar_one() is None


class TestLaterRevision:
    def test_it_is_delivered_and_does_not_page_for_what_is_known(self, ledger: Ledger) -> None:
        uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}
        first, job = filed(ledger, radiograph(**uids))
        keep(ledger, job, inference_on(first), config(PACS, PAGER))
        second, job = filed(ledger, radiograph(**uids))
        found = inference_on(second)
        known = next(r for r in found.results if r.sop_instance_uids == (first.instances[0].sop_instance_uid,))

        recorded = keep(ledger, job, replace(found, results=(known,)), config(PACS, PAGER))

        assert second.revision == 2
        assert recorded is not None
        assert recorded.revision == 2
        with ledger.database.read() as connection:
            mine = outbox.c.inference_id == recorded.id
            assert {r.kind for r in connection.execute(select(outbox).where(mine))} == {"fhir", "sr"}
            assert len(connection.execute(select(alert)).all()) == 1

    def test_it_pages_for_what_is_new(self, ledger: Ledger) -> None:
        uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}
        first, job = filed(ledger, radiograph(**uids))
        keep(ledger, job, inference_on(first), config(PAGER))
        second, job = filed(ledger, radiograph(**uids))

        keep(ledger, job, inference_on(second), config(PAGER))

        with ledger.database.read() as connection:
            assert len(connection.execute(select(alert)).all()) == 2

    def test_an_earlier_one_that_comes_late_goes_nowhere(self, ledger: Ledger) -> None:
        uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1"}
        first, job_of_first = filed(ledger, radiograph(**uids))
        second, job_of_second = filed(ledger, radiograph(**uids))
        keep(ledger, job_of_second, inference_on(second), config(PACS, PAGER))
        before = deliveries(ledger)

        recorded = keep(ledger, job_of_first, inference_on(first), config(PACS, PAGER))

        assert recorded is not None
        with ledger.database.read() as connection:
            assert not connection.execute(select(outbox).where(outbox.c.inference_id == recorded.id)).all()
        assert deliveries(ledger) == before


@pytest.mark.parametrize("fault", ["model", "study", "instance", "series"])
def test_an_inference_on_something_else_is_refused(ledger: Ledger, fault: str) -> None:
    study, job = filed(ledger)
    found = inference_on(study)
    (result,) = found.results
    wrong = {
        "model": replace(found, model=replace(MODEL, version="9.9.9")),
        "study": replace(found, study_instance_uid="2.25.404"),
        "instance": replace(found, results=(replace(result, sop_instance_uids=("2.25.404",)),)),
        "series": replace(found, results=(replace(result, series_instance_uid="2.25.404"),)),
    }[fault]

    with pytest.raises(ContractViolation, match=fault):
        keep(ledger, job, wrong, config(PACS))

    with ledger.database.read() as connection:
        assert not connection.execute(select(inference)).all()
    assert deliveries(ledger) == set()
