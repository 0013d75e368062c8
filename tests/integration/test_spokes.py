"""The hub's door for spokes: what it takes, from whom, and what it gives back to whom."""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import func, select

from acceptance.running import radiograph
from osler.audit import Agent
from osler.config import load
from osler.deidentify.dicom import PreparedInstance
from osler.deidentify.pseudonyms import VaultPseudonyms
from osler.deidentify.spoke import admitted_instance
from osler.domain.codes import Code
from osler.domain.events import DeidentifiedInstance
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.domain.manifest import Manifest
from osler.domain.states import AgeBand, JobState, Priority
from osler.errors import AccessDenied, DeidentificationRefused, Malformed, NotFound, Overloaded
from osler.hub.opening import create_data_dir, open_stores
from osler.hub.publishing import make_publisher
from osler.hub.spokes import Spokes
from osler.metrics import Metrics
from osler.pipeline import Pipeline, Runtime
from osler.storage.tables import outbox
from osler.stores import Stores
from osler.testing import studies

CLINIC, OTHER = Agent("clinic", "client"), Agent("other", "client")
HEAVY = ModelVersion("heavy", "1.0.0", "a" * 64, "1")


@dataclass
class HubSide:
    """A hub without its threads."""

    stores: Stores
    pipeline: Pipeline
    spokes: Spokes


@dataclass
class Sent:
    """A de-identified study of one instance, as an edge has it."""

    uid: str
    manifest: Manifest
    content: bytes

    @property
    def sop(self) -> str:
        return self.manifest.instances[0].sop_instance_uid


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubSide]:
    config = load({}, data_dir=tmp_path_factory.mktemp("hub") / "data")
    create_data_dir(config, {})
    with open_stores(config, {}) as stores:
        metrics = Metrics()
        publisher = make_publisher(stores, config, metrics=metrics, owner="p")
        pipeline = Pipeline(stores, config, models=[str(HEAVY)], publisher=publisher, runtime=Runtime("w", metrics))
        yield HubSide(stores, pipeline, Spokes(stores, pipeline))


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultPseudonyms]:
    """The pseudonyms of an edge."""
    config = load({}, data_dir=tmp_path_factory.mktemp("edge") / "data")
    create_data_dir(config, {})
    with open_stores(config, {}) as stores:
        yield VaultPseudonyms(stores.vault)


@pytest.fixture
def make(vault: VaultPseudonyms, tmp_path: Path) -> Callable[[], Sent]:
    def one() -> Sent:
        safe = PreparedInstance(radiograph(tmp_path).read_bytes()).finish(vault)
        blob = hashlib.sha256(safe.content).hexdigest()
        instance = DeidentifiedInstance(safe.sop_instance_uid, safe.series_instance_uid, safe.sop_class_uid, blob)
        return Sent(safe.study_instance_uid, Manifest(1, AgeBand.YOUNG_CHILD, Priority.HIGH, (instance,)), safe.content)

    return one


def jobs(hub: HubSide, uid: str) -> list[JobState]:
    return [entry.state for entry in hub.stores.queue.entries() if entry.study_instance_uid == uid]


def test_a_study_is_queued_once_all_of_it_is_here(hub: HubSide, make: Callable[[], Sent]) -> None:
    sent = make()
    assert hub.spokes.offer(CLINIC, sent.uid, sent.manifest) == [sent.sop]
    assert jobs(hub, sent.uid) == []
    for _ in range(2):
        hub.spokes.store(CLINIC, sent.uid, sent.sop, sent.content)
        assert hub.spokes.offer(CLINIC, sent.uid, sent.manifest) == []
    assert jobs(hub, sent.uid) == [JobState.SCHEDULED]
    (job,) = hub.stores.queue.claim("w", models=[str(HEAVY)], limit=1)
    assert (job.study.age_band, job.study.priority) == (AgeBand.YOUNG_CHILD, Priority.HIGH)

    assert hub.spokes.results(CLINIC, sent.uid) == {"study_instance_uid": sent.uid, "open": 1, "results": []}
    finding = Finding("opacity", Code("112033", "DCM", "Abnormal opacity"), 0.9, 0.5, critical=True)
    png = heatmap()
    key = hashlib.sha256(png).hexdigest()
    series = sent.manifest.instances[0].series_instance_uid
    said = Inference(sent.uid, HEAVY, (CaseResult(series, (sent.sop,), (finding,), heatmap=key),))
    assert hub.pipeline.record(job, said, {key: png})

    found = hub.spokes.results(CLINIC, sent.uid)
    assert found["open"] == 0
    assert [row["revision"] for row in found["results"]] == [1]
    assert hub.spokes.heatmap(CLINIC, sent.uid, key) == png
    with pytest.raises(NotFound):
        hub.spokes.heatmap(CLINIC, sent.uid, sent.manifest.instances[0].blob)
    for other in (lambda: hub.spokes.results(OTHER, sent.uid), lambda: hub.spokes.heatmap(OTHER, sent.uid, key)):
        with pytest.raises(NotFound):
            other()
    with hub.stores.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(outbox)).scalar_one() == 0, "nothing goes out here"


def heatmap() -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (4, 4)).save(stream, "PNG")
    return stream.getvalue()


def test_the_study_of_a_site_is_no_other_sites(hub: HubSide, make: Callable[[], Sent]) -> None:
    sent = make()
    hub.spokes.offer(CLINIC, sent.uid, sent.manifest)
    with pytest.raises(AccessDenied):
        hub.spokes.offer(OTHER, sent.uid, sent.manifest)
    with pytest.raises(NotFound):
        hub.spokes.store(OTHER, sent.uid, sent.sop, sent.content)


def test_a_manifest_that_lies_queues_nothing(hub: HubSide, make: Callable[[], Sent]) -> None:
    sent = make()
    hub.spokes.offer(CLINIC, sent.uid, sent.manifest)
    hub.spokes.store(CLINIC, sent.uid, sent.sop, sent.content)
    (one,) = sent.manifest.instances
    for wrong in (replace(one, series_instance_uid="2.25.9"), replace(one, sop_class_uid="1.2.3")):
        with pytest.raises(Malformed):
            hub.spokes.offer(CLINIC, sent.uid, replace(sent.manifest, instances=(wrong,)))
    with pytest.raises(Malformed):
        hub.spokes.offer(CLINIC, "1.2.840.113", sent.manifest)
    assert jobs(hub, sent.uid) == []


def test_a_hub_with_too_much_to_do_takes_what_is_urgent_alone(hub: HubSide, make: Callable[[], Sent]) -> None:
    busy = Spokes(hub.stores, hub.pipeline, full=lambda: True)
    sent = make()
    with pytest.raises(Overloaded):
        busy.offer(CLINIC, sent.uid, replace(sent.manifest, priority=Priority.MEDIUM))
    assert busy.offer(CLINIC, sent.uid, sent.manifest) == [sent.sop]


def test_what_was_never_offered_is_not_stored(hub: HubSide, make: Callable[[], Sent]) -> None:
    sent = make()
    with pytest.raises(NotFound):
        hub.spokes.store(CLINIC, sent.uid, sent.sop, sent.content)


def _changed(content: bytes, **values: Any) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(content))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return studies.part10(dataset)


IDENTIFIED: dict[str, dict[str, Any]] = {
    "a record number": {"PatientID": "MRN-0042"},
    "an accession number": {"AccessionNumber": "ACC-77"},
    "a name": {"PatientName": "Doe^Jane"},
    "a physician": {"ReferringPhysicianName": "House^Gregory"},
    "a birth date": {"PatientBirthDate": "20200304"},
    "an institution": {"InstitutionName": "General"},
    "no word that identity was removed": {"PatientIdentityRemoved": "NO"},
    "no method": {"DeidentificationMethodCodeSequence": []},
    "a UID of a device": {"SeriesInstanceUID": "1.2.840.113619.2.5"},
}


@pytest.mark.parametrize("values", IDENTIFIED.values(), ids=IDENTIFIED.keys())
def test_a_hub_takes_nothing_that_names_anybody(make: Callable[[], Sent], values: dict[str, Any]) -> None:
    sent = make()
    with pytest.raises(DeidentificationRefused) as refused:
        admitted_instance(_changed(sent.content, **values), study_instance_uid=sent.uid, sop_instance_uid=sent.sop)
    assert not any(str(value) in str(refused.value) for value in values.values() if value)


@pytest.mark.parametrize("content", [b"", b"x" * 200], ids=["nothing", "no DICOM"])
def test_what_cannot_be_read_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        admitted_instance(content, study_instance_uid="2.25.1", sop_instance_uid="2.25.2")


def test_an_instance_is_the_one_that_was_announced(make: Callable[[], Sent]) -> None:
    sent = make()
    with pytest.raises(Malformed):
        admitted_instance(sent.content, study_instance_uid=sent.uid, sop_instance_uid="2.25.2")
