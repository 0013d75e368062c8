"""The steps of the flow on a real ledger, one process, a clock that the test moves."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from osler.audit import AuditLog
from osler.config import load
from osler.domain.events import Received
from osler.domain.findings import Inference, ModelVersion, Refusal
from osler.domain.states import Priority, StudyState
from osler.errors import IntegrityError, StorageFull
from osler.hub.publishing import make_publisher
from osler.metrics import Metrics
from osler.pipeline import Pipeline, Runtime
from osler.queue.embedded import EmbeddedQueue
from osler.standards.dicom import read_identity
from osler.storage import Database
from osler.storage import studies as studies_table
from osler.storage.blobs import FolderBlobs
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.tables import instance, quarantine, study
from osler.stores import Stores
from osler.testing import FakeClock, studies
from osler.vault import KeyRing, Vault

MODEL = ModelVersion("fake", "1.0.0", "0" * 64, "1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pipeline(
    database: Database, keyring: KeyRing, audit_log: AuditLog, vault: Vault, clock: FakeClock, tmp_path: Path
) -> Pipeline:
    config = load({}, data_dir=tmp_path, given={"study.quiet_s": 3.0, "study.force_s": 20.0})
    stores = Stores(
        database=database,
        keyring=keyring,
        identified=FolderBlobs(tmp_path / "identified", sealer=keyring.sealer("blob")),
        deidentified=FolderBlobs(tmp_path / "deidentified"),
        vault=vault,
        audit=audit_log,
        queue=EmbeddedQueue(database, lease_s=30, max_attempts=3, backoff_s=1, ageing_s=60, clock=clock),
        resources=ResourceStore(database, sealer=keyring.sealer("record"), index=keyring.index),
        search=ResourceSearch(database, sealer=keyring.sealer("record"), index=keyring.index),
    )
    metrics = Metrics()
    publisher = make_publisher(stores, config, metrics=metrics, owner="test")
    return Pipeline(
        stores, config, models=[str(MODEL)], publisher=publisher, runtime=Runtime("test", metrics, clock=clock)
    )


@pytest.fixture
def receive(pipeline: Pipeline, clock: FakeClock) -> Callable[..., Received]:
    """Return a function that hands an instance to the pipeline, as ``ingest`` does."""

    def _receive(**elements: Any) -> Received:
        identified = {"PatientID": "MRN-1", "PatientName": "Doe^Jane", "PatientIdentityRemoved": None}
        content = studies.part10(studies.image("CR", **(identified | elements)))
        received = Received(read_identity(content), content, "dimse:MODALITY", clock())
        pipeline.accept(received)
        return received

    return _receive


def rows(pipeline: Pipeline, table: Any) -> list[Any]:
    with pipeline.stores.database.read() as connection:
        return list(connection.execute(select(table)).all())


def test_a_study_is_complete_when_it_has_been_quiet(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    receive(StudyInstanceUID="1.2.3")
    clock.advance(2.0)
    receive(StudyInstanceUID="1.2.3")
    clock.advance(2.0)
    assert pipeline.complete() == 0
    clock.advance(1.0)
    assert pipeline.complete() == 1
    assert [s.state for s in rows(pipeline, study)] == [StudyState.COMPLETE]


def test_a_study_that_came_while_the_clock_was_days_ahead_does_not_wait_for_days(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    clock.advance(5 * 86_400)
    receive(StudyInstanceUID="1.2.3")
    clock.advance(-5 * 86_400)
    assert pipeline.complete() == 1


def test_a_study_that_was_in_hand_when_its_hub_died_does_not_wait_until_its_claim_ends(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    receive(StudyInstanceUID="1.2.3")
    clock.advance(4.0)
    pipeline.complete()
    write = pipeline.stores.database.write
    write(lambda c: studies_table.claim_complete(c, owner="host-folder-1-a", now=clock(), lease_s=60.0))
    assert not pipeline.deidentify()
    write(lambda c: studies_table.release(c, "host-other-"))
    assert not pipeline.deidentify()
    write(lambda c: studies_table.release(c, "host-folder-"))
    assert pipeline.deidentify()


def test_a_study_that_never_rests_is_complete_in_the_end(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    receive(StudyInstanceUID="1.2.3")
    completed = []
    for _ in range(10):
        clock.advance(2.0)
        completed.append(pipeline.complete())
        receive(StudyInstanceUID="1.2.3")
    assert completed == [0] * 9 + [1]
    (row,) = rows(pipeline, study)
    assert (row.state, row.revision) == (StudyState.RECEIVING, 2), "what came after is a new revision"


def test_each_complete_study_is_queued_once_for_each_model(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    receive(RequestedProcedurePriority="STAT")
    clock.advance(5.0)
    pipeline.complete()
    assert pipeline.deidentify()
    assert not pipeline.deidentify()
    (job,) = pipeline.stores.queue.claim("worker", models=[str(MODEL)], limit=5)
    assert job.study.priority is Priority.HIGH
    assert job.study.study_instance_uid.startswith("2.25.")


def test_a_late_instance_during_de_identification_is_read_with_the_rest(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    receive(StudyInstanceUID="1.2.3")
    clock.advance(5.0)
    pipeline.complete()
    fetch = pipeline.stores.identified.get

    class Late(FolderBlobs):
        """Receives another instance while the first is being read."""

        def get(self, ref: str) -> bytes:
            if len(rows(pipeline, instance)) == 1:
                receive(StudyInstanceUID="1.2.3")
            return fetch(ref)

    late = Late(pipeline.stores.identified.root, sealer=pipeline.stores.keyring.sealer("blob"))
    object.__setattr__(pipeline.stores, "identified", late)
    assert pipeline.deidentify()
    assert pipeline.stores.queue.entries() == [], "the first revision is overtaken before it is queued"
    clock.advance(5.0)
    pipeline.complete()
    assert pipeline.deidentify()
    (entry,) = pipeline.stores.queue.entries()
    assert entry.revision == 2
    (job,) = pipeline.stores.queue.claim("worker", models=[str(MODEL)], limit=5)
    assert len(job.study.instances) == 2


def test_an_instance_of_another_patient_is_held(pipeline: Pipeline, receive: Callable[..., Received]) -> None:
    receive(StudyInstanceUID="1.2.3")
    receive(StudyInstanceUID="1.2.3", PatientID="MRN-2")
    (held,) = rows(pipeline, quarantine)
    assert held.rule == "patient-mismatch"
    assert "MRN" not in held.reason
    assert sorted(i.state for i in rows(pipeline, instance)) == ["quarantined", "received"]


def test_a_damaged_file_is_held_and_the_rest_goes_on(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    receive(StudyInstanceUID="1.2.3")
    receive(StudyInstanceUID="1.2.3")
    damaged = pipeline.stores.identified.path(rows(pipeline, instance)[0].blob)
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0")
    clock.advance(5.0)
    pipeline.complete()
    pipeline.deidentify()
    assert [q.rule for q in rows(pipeline, quarantine)] == ["damaged"]
    assert len(pipeline.stores.queue.entries()) == 1


def test_a_damaged_file_that_is_sent_again_is_read(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    received = receive()
    pipeline.stores.identified.path(rows(pipeline, instance)[0].blob).unlink()
    clock.advance(5.0)
    pipeline.complete()
    pipeline.deidentify()
    assert pipeline.stores.queue.entries() == []
    pipeline.accept(replace(received, received_at=clock()))
    clock.advance(5.0)
    pipeline.complete()
    pipeline.deidentify()
    assert len(pipeline.stores.queue.entries()) == 1
    assert [q.state for q in rows(pipeline, quarantine)] == ["released"]


def test_a_full_disk_puts_the_study_off(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock, tmp_path: Path
) -> None:
    receive()
    clock.advance(5.0)
    pipeline.complete()
    room = pipeline.stores.deidentified
    full = FolderBlobs(tmp_path / "deidentified", min_free_bytes=1, free_bytes=lambda folder: 0)
    object.__setattr__(pipeline.stores, "deidentified", full)
    with pytest.raises(StorageFull):
        pipeline.deidentify()
    object.__setattr__(pipeline.stores, "deidentified", room)
    assert not pipeline.deidentify(), "not at once"
    clock.advance(600.0)
    assert pipeline.deidentify()
    assert len(pipeline.stores.queue.entries()) == 1


def test_a_result_of_another_study_is_not_recorded(
    pipeline: Pipeline, receive: Callable[..., Received], clock: FakeClock
) -> None:
    receive()
    clock.advance(5.0)
    pipeline.complete()
    pipeline.deidentify()
    (job,) = pipeline.stores.queue.claim("worker", models=[str(MODEL)], limit=1)
    series = job.study.instances[0].series_instance_uid
    with pytest.raises(IntegrityError):
        pipeline.record(job, Inference("2.25.1", MODEL, refusals=(Refusal(series, "no"),)), {})
    refusal = Inference(job.study.study_instance_uid, MODEL, refusals=(Refusal(series, "not a radiograph"),))
    assert pipeline.record(job, refusal, {})
    assert not pipeline.record(job, refusal, {}), "the job is completed"
    assert pipeline.stores.audit.verify().ok
