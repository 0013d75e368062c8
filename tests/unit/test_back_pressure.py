"""What is still taken when too much waits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from osler.config import load
from osler.domain.events import Received
from osler.errors import Overloaded
from osler.hub.opening import create_data_dir, open_stores
from osler.hub.pressure import BackPressure
from osler.hub.publishing import make_publisher
from osler.ingest.dicomweb import StoreFailure, StoreResult
from osler.metrics import Metrics
from osler.pipeline import Pipeline, Runtime
from osler.standards.dicom import read_identity
from osler.testing import FakeClock, studies

Send = Callable[..., None]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def made(tmp_path: Path, clock: FakeClock) -> Iterator[tuple[Pipeline, BackPressure]]:
    config = load({}, data_dir=tmp_path, given={"study.quiet_s": 3.0})
    create_data_dir(config, {})
    with open_stores(config, {}) as stores:
        metrics = Metrics()
        publisher = make_publisher(stores, config, metrics=metrics, owner="test")
        runtime = Runtime("test", metrics, clock=clock)
        pipeline = Pipeline(stores, config, models=["fake@1.0.0"], publisher=publisher, runtime=runtime)
        yield pipeline, BackPressure(stores, pipeline.accept, max_waiting=2, metrics=metrics, clock=clock)


@pytest.fixture
def send(made: tuple[Pipeline, BackPressure], clock: FakeClock) -> Send:
    def _send(uid: str, **elements: Any) -> None:
        identified = {"PatientID": "MRN-1", "PatientName": "Doe^Jane", "PatientIdentityRemoved": None}
        content = studies.part10(studies.image("CR", **(identified | {"StudyInstanceUID": uid} | elements)))
        made[1].accept(Received(read_identity(content), content, "dimse:MODALITY", clock()))

    return _send


def test_above_the_limit_only_what_is_urgent_or_belongs_to_a_study_that_arrives_is_taken(made, send, clock):
    pipeline, _ = made
    send("1.2.1")
    send("1.2.2")
    clock.advance(1.1)
    with pytest.raises(Overloaded) as refused:
        send("1.2.3")
    assert (refused.value.dimse_status, refused.value.http_status) == (0xA700, 503)
    send("1.2.2")  # the rest of a study
    send("1.2.4", RequestedProcedurePriority="STAT")
    clock.advance(4.0)
    pipeline.complete()
    with pytest.raises(Overloaded):
        send("1.2.2")  # it would be a new revision
    assert 'osler_refused_total{door="queue",error="Overloaded"} 2.0' in pipeline.metrics.render().decode()


def test_what_is_done_makes_room_within_a_second(made, send, clock):
    pipeline, pressure = made
    send("1.2.1")
    send("1.2.2")
    clock.advance(4.0)
    assert pressure.waiting() == 2
    pipeline.complete()
    while pipeline.deidentify():
        pass
    clock.advance(1.1)
    assert pressure.waiting() == 2  # jobs now
    for job in pipeline.stores.queue.claim("w", models=["fake@1.0.0"], limit=2):
        pipeline.stores.queue.fail(job, "x", retryable=False)
    clock.advance(1.1)
    assert pressure.waiting() == 0
    send("1.2.3")


@pytest.mark.parametrize(
    ("reasons", "status"), [([0xA700, 0xA700], 503), ([0xA700, 0xC000], 409), ([0xC000], 409), ([], 200)]
)
def test_stow_says_come_again_when_that_is_all_that_is_wrong(reasons, status):
    assert StoreResult((), tuple(StoreFailure(reason) for reason in reasons)).http_status == status
