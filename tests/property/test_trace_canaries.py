"""Whoever the patient is, no span and no metric says so."""

import contextlib
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from osler.audit import AuditLog
from osler.config import load
from osler.domain.codes import Code
from osler.domain.events import Received
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.errors import OslerError
from osler.hub.publishing import make_publisher
from osler.metrics import Metrics
from osler.pipeline import Pipeline, Runtime
from osler.queue.embedded import EmbeddedQueue
from osler.standards.dicom import read_identity
from osler.storage import Database
from osler.storage.blobs import FolderBlobs
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.stores import Stores
from osler.testing import FakeClock, studies
from osler.tracing import Tracer
from osler.vault import KeyRing, Vault

MODEL = ModelVersion("fake", "1.0.0", "0" * 64, "1")
FINDING = Finding("opacity", Code("112033", "DCM", "Abnormal opacity"), 0.9, 0.5, critical=True)
WORD = st.text(st.characters(min_codepoint=65, max_codepoint=90), min_size=6, max_size=16).map(lambda s: f"CANARY{s}")


class Sink:
    """Keeps every span as it would be sent."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, dict[str, Any]]] = []
        self.numbers = itertools.count()

    def write(self, name: str, ids: Any, times: Any, *, first: bool, told: dict[str, Any]) -> None:
        self.spans.append((name, told))


@pytest.fixture
def flow(
    database: Database, keyring: KeyRing, audit_log: AuditLog, vault: Vault, tmp_path: Path
) -> tuple[Pipeline, Sink, FakeClock]:
    clock, sink, metrics = FakeClock(1_700_000_000.0), Sink(), Metrics()  # the outbox has the true time
    config = load({}, data_dir=tmp_path, given={"study.quiet_s": 3.0})
    stores = Stores(
        database=database,
        keyring=keyring,
        identified=FolderBlobs(tmp_path / "identified", sealer=keyring.sealer("blob")),
        deidentified=FolderBlobs(tmp_path / "deidentified"),
        vault=vault,
        audit=audit_log,
        queue=EmbeddedQueue(database, clock=clock),
        resources=ResourceStore(database, sealer=keyring.sealer("record"), index=keyring.index),
        search=ResourceSearch(database, sealer=keyring.sealer("record"), index=keyring.index),
    )
    publisher = make_publisher(stores, config, metrics=metrics, owner="test")
    runtime = Runtime("test", metrics, clock=clock, tracer=Tracer(sink))  # type: ignore[arg-type]
    return Pipeline(stores, config, models=[str(MODEL)], publisher=publisher, runtime=runtime), sink, clock


@settings(
    max_examples=3,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=WORD, number=WORD, accession=WORD.map(lambda s: s[:16]), uid=st.integers(10**20, 10**21))
def test_no_span_and_no_metric_names_the_patient(
    flow: tuple[Pipeline, Sink, FakeClock], name: str, number: str, accession: str, uid: int
) -> None:
    pipeline, sink, clock = flow
    sink.spans.clear()
    study_uid = f"1.2.826.0.1.{uid}.{next(sink.numbers)}"  # each example has a study of its own
    elements = {"PatientName": name, "PatientID": number, "AccessionNumber": accession, "StudyInstanceUID": study_uid}
    content = studies.part10(studies.image("CR", **elements, PatientIdentityRemoved=None))
    pipeline.accept(Received(read_identity(content), content, f"dimse:{name[:16]}", clock()))
    clock.advance(5.0)
    pipeline.complete()
    assert pipeline.deidentify()
    (job,) = pipeline.stores.queue.claim("worker", models=[str(MODEL)], limit=1)
    image = job.study.instances[0]
    result = CaseResult(
        image.series_instance_uid, (image.sop_instance_uid,), (FINDING,), origin={"scanner": "ACME", "age": "1-5y"}
    )
    assert pipeline.record(job, Inference(job.study.study_instance_uid, MODEL, (result,)), {})
    with contextlib.suppress(OslerError):
        pipeline.publish()
    assert {n for n, _ in sink.spans} == {"ingest", "deidentify", "queue", "infer", "record", "publish"}
    said = repr(sink.spans) + pipeline.metrics.render().decode()
    for canary in (name, number, accession, str(uid), name[:16], job.study.study_instance_uid, "OSL-"):
        assert canary not in said
