"""The quarantine on a real ledger: who looks and who decides is on record, and a decision holds."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from alembic import command
from alembic.config import Config
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage
from sqlalchemy import Connection, select

from osler.audit import Agent, AuditLog
from osler.config import load
from osler.domain.events import Received
from osler.domain.states import StudyState
from osler.errors import ConfigError, DeidentificationRefused, IntegrityError, Malformed, NotFound, StorageBusy
from osler.hub.publishing import make_publisher
from osler.hub.quarantine import Quarantine
from osler.hub.review import draw_sheet, keep_sheet
from osler.metrics import Metrics
from osler.pipeline import Pipeline, Runtime
from osler.queue.embedded import EmbeddedQueue
from osler.standards.dicom import read_identity
from osler.storage import Database, migrate, studies
from osler.storage.blobs import FolderBlobs
from osler.storage.database import sqlite_url
from osler.storage.quarantine import Entry, HeldState
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.tables import instance, quarantine, study
from osler.stores import Stores
from osler.testing import FakeClock
from osler.testing import studies as sample
from osler.vault import KeyRing, Vault

ANN = Agent("ann", "person", "local")
SCREEN = {"Modality": "OT", "ConversionType": "WSD", "PatientID": "MRN-1", "PatientName": "Doe^Jane"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pipeline(
    database: Database, keyring: KeyRing, audit_log: AuditLog, vault: Vault, clock: FakeClock, tmp_path: Path
) -> Pipeline:
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
    config = load({}, data_dir=tmp_path, given={"study.quiet_s": 3.0})
    publisher = make_publisher(stores, config, metrics=Metrics(), owner="test")
    return Pipeline(
        stores, config, models=["fake@1.0.0"], publisher=publisher, runtime=Runtime("test", Metrics(), clock=clock)
    )


@pytest.fixture
def held(pipeline: Pipeline, clock: FakeClock) -> Quarantine:
    return Quarantine(pipeline.stores, ANN, clock=clock)


@pytest.fixture
def receive(pipeline: Pipeline, clock: FakeClock) -> Callable[..., Received]:
    def _receive(**elements: Any) -> Received:
        dataset = sample.image("CR", **(SCREEN | {"PatientIdentityRemoved": None} | elements))
        if elements.get("SOPClassUID"):
            dataset.file_meta.MediaStorageSOPClassUID = elements["SOPClassUID"]
        content = sample.part10(dataset)
        received = Received(read_identity(content), content, "dimse:MODALITY", clock())
        pipeline.accept(received)
        return received

    return _receive


@pytest.fixture
def run(pipeline: Pipeline, clock: FakeClock) -> Callable[[], None]:
    def _run() -> None:
        clock.advance(5.0)
        pipeline.complete()
        while pipeline.deidentify():
            pass

    return _run


def write_sheet(content: bytes, path: Path) -> str:
    sheet, frames = draw_sheet(content, path)
    keep_sheet(sheet, path)
    return frames


def release(held: Quarantine, entry_ids: list[str], *, why: str) -> list[Entry]:
    """Let go what the person has looked at."""
    for entry_id in entry_ids:
        with suppress(NotFound, IntegrityError):
            held.open(entry_id)
    return held.release(entry_ids, why=why)


def rows(pipeline: Pipeline, table: Any) -> list[Any]:
    with pipeline.stores.database.read() as connection:
        return list(connection.execute(select(table)).all())


def events(pipeline: Pipeline) -> list[tuple[str, str]]:
    return [(e.event, e.agent) for e in pipeline.stores.audit.search(limit=1000) if e.event.startswith("quarantine")]


def test_what_is_held_says_why_and_quotes_nothing(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    receive(SOPClassUID=SecondaryCaptureImageStorage)
    run()
    (entry,) = held.entries()
    assert (entry.rule, entry.state, entry.source) == ("secondary-capture", HeldState.HELD, "dimse:MODALITY")
    assert "Doe" not in repr(held.show(entry.id))
    assert "MRN" not in repr(held.show(entry.id))
    assert events(pipeline)[::-1] == [("quarantine-listed", "ann"), *[("quarantine-viewed", "ann")] * 2]
    with pytest.raises(NotFound):
        held.show("0")


def test_released_by_a_person_the_study_goes_on_in_a_new_revision(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    receive(StudyInstanceUID="1.2.3", ConversionType=None)
    receive(StudyInstanceUID="1.2.3", BurnedInAnnotation="YES")
    receive(StudyInstanceUID="1.2.3", SOPClassUID=SecondaryCaptureImageStorage)
    run()
    ids = [entry.id for entry in held.entries()]
    assert len(ids) == 2
    released = release(held, ids, why="a scale, no name")
    assert {(e.state, e.decided_by, e.why) for e in released} == {(HeldState.RELEASED, "ann", "a scale, no name")}
    run()
    first, second = sorted(pipeline.stores.queue.entries(), key=lambda e: e.revision)
    assert (first.revision, second.revision) == (1, 2), "two released together are one revision"
    jobs = pipeline.stores.queue.claim("worker", models=["fake@1.0.0"], limit=5)
    assert sorted(len(job.study.instances) for job in jobs) == [1, 3]
    for one in jobs[-1].study.instances:
        assert "Doe" not in str(pydicom.dcmread(pipeline.stores.deidentified.path(one.blob)))
    release(held, ids, why="again")
    assert not pipeline.deidentify(), "to release again changes nothing"
    assert [event for event, _ in events(pipeline)].count("quarantine-released") == 2
    assert pipeline.stores.audit.verify().ok


@pytest.mark.parametrize(
    "elements",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.9999"},
        {"SOPClassUID": "1.2.3.4.5"},
    ],
)
def test_what_no_look_at_pixels_can_lift_is_not_released(
    held: Quarantine, receive: Callable[..., Received], run: Callable[[], None], elements: dict[str, str]
) -> None:
    receive(**elements)
    run()
    (entry,) = held.entries()
    with pytest.raises(DeidentificationRefused):
        release(held, [entry.id], why="I know it")
    assert held.show(entry.id).state is HeldState.HELD


def test_an_instance_of_another_patient_is_neither_released_nor_taken_again(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    receive(StudyInstanceUID="1.2.3", ConversionType=None)
    other = receive(StudyInstanceUID="1.2.3", ConversionType=None, PatientID="MRN-2")
    (entry,) = held.entries()
    with pytest.raises(DeidentificationRefused):
        release(held, [entry.id], why="it is the same")
    held.discard([entry.id], why="another patient")
    pipeline.accept(other)
    run()
    assert sorted(i.state for i in rows(pipeline, instance)) == ["deidentified", "discarded"]


def test_one_that_may_not_be_released_keeps_the_others_held(
    held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    receive(BurnedInAnnotation="YES", ConversionType=None)
    receive(SOPClassUID="1.2.3.4.5")
    run()
    with pytest.raises(DeidentificationRefused):
        release(held, [e.id for e in held.entries()], why="all")
    assert [e.state for e in held.entries(states=[HeldState.HELD])] == [HeldState.HELD] * 2


def test_a_release_lifts_only_what_a_person_saw_and_further_rules_still_hold(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    receive(BurnedInAnnotation="YES", ConversionType=None, OverlayBitPosition=None, OverlayRows=None)
    run()
    (entry,) = held.entries()
    blob = pipeline.stores.identified.path(entry.blob)
    release(held, [entry.id], why="no text")
    blob.unlink()
    run()
    assert [(e.rule, e.state) for e in held.entries()] == [
        ("burned-in-annotation", HeldState.RELEASED),
        ("damaged", HeldState.HELD),
    ]


def test_only_who_has_looked_may_release_or_says_why_it_is_unseen(
    pipeline: Pipeline,
    held: Quarantine,
    receive: Callable[..., Received],
    run: Callable[[], None],
    clock: FakeClock,
    tmp_path: Path,
) -> None:
    receive()
    receive()
    run()
    one, other = held.entries()
    ben = Quarantine(pipeline.stores, Agent("ben", "person", "local"), clock=clock)
    assert held.sheet(one.id, tmp_path / "sheet.png") == "1 of 1"
    held.show(other.id)
    for who, ids in ((ben, [one.id]), (held, [other.id]), (held, [one.id, other.id])):
        with pytest.raises(DeidentificationRefused) as refused:
            who.release(ids, why="no text")
        assert refused.value.rule == "not-seen"
    assert {e.state for e in held.entries()} == {HeldState.HELD}
    held.release([one.id], why="no text")
    ben.release([other.id], why="no text", unseen="seen at the console of the modality")
    assert {e.state for e in held.entries()} == {HeldState.RELEASED}
    last, first = (json.dumps(e.resource) for e in pipeline.stores.audit.search(event="quarantine-released"))
    assert "seen at the console" in last
    assert "unseen" not in first


def test_a_sheet_that_cannot_be_drawn_or_written_is_no_look(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None], tmp_path: Path
) -> None:
    receive(PixelData=b"\0\0")
    run()
    (entry,) = held.entries()
    with pytest.raises(Malformed):
        held.sheet(entry.id, tmp_path / "sheet.png")
    assert [event for event, _ in events(pipeline)].count("quarantine-opened") == 0
    assert list(tmp_path.glob("*.png")) == []


def test_a_study_of_which_all_is_discarded_waits_for_nobody(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    received = receive(StudyInstanceUID="1.2.3")
    receive(StudyInstanceUID="1.2.3")
    run()
    assert [s.state for s in rows(pipeline, study)] == [StudyState.QUARANTINED]
    first, second = held.entries()
    held.discard([first.id], why="not ours")
    assert [s.state for s in rows(pipeline, study)] == [StudyState.QUARANTINED], "one is left"
    held.discard([second.id], why="not ours")
    assert [s.state for s in rows(pipeline, study)] == ["discarded"]
    pipeline.accept(replace(received, received_at=received.received_at + 5))
    run()
    assert [s.state for s in rows(pipeline, study)] == [StudyState.QUARANTINED], "it may be sent again"


def test_a_study_that_went_on_stays_so_when_what_was_held_of_it_is_discarded(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    receive(StudyInstanceUID="1.2.3")
    receive(StudyInstanceUID="1.2.3", ConversionType=None)
    run()
    held.discard([held.entries()[0].id], why="not ours")
    assert [s.state for s in rows(pipeline, study)] == [StudyState.QUEUED]


def test_discarded_the_file_is_gone_and_the_entry_stays(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    received = receive()
    run()
    (entry,) = held.entries()
    assert held.open(entry.id) == received.content
    (gone,) = held.discard([entry.id], why="not ours")
    assert (gone.state, gone.decided_by, gone.why) == (HeldState.DISCARDED, "ann", "not ours")
    assert not pipeline.stores.identified.exists(entry.blob)
    held.discard([entry.id], why="again")
    with pytest.raises(NotFound):
        release(held, [entry.id], why="after all")
    with pytest.raises(NotFound):
        held.open(entry.id)
    assert [e for e, _ in events(pipeline)].count("quarantine-discarded") == 1
    assert "not ours" in str([e.resource for e in pipeline.stores.audit.search(event="quarantine-discarded")])


def test_what_was_discarded_may_be_sent_again_and_is_looked_at_anew(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    received = receive()
    run()
    held.discard([held.entries()[0].id], why="by mistake")
    pipeline.accept(replace(received, received_at=received.received_at + 5))
    run()
    assert [e.state for e in held.entries()] == [HeldState.DISCARDED, HeldState.HELD]
    assert [i.state for i in rows(pipeline, instance)] == ["quarantined"]


def test_corrected_bytes_under_the_uid_of_a_discarded_instance_are_taken(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    uids = {"SOPInstanceUID": "1.2.3.9", "StudyInstanceUID": "1.2.3"}
    receive(**uids)
    run()
    held.discard([held.entries()[0].id], why="to be corrected")
    receive(**uids, ConversionType=None)
    run()
    assert len(pipeline.stores.queue.entries()) == 1
    assert [e.rule for e in held.entries()] == ["secondary-capture"]


def test_a_file_that_is_discarded_while_it_arrives_is_not_acknowledged(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    received = receive()
    run()
    entry_id = held.entries()[0].id
    stage = pipeline.stores.identified.stage

    class Racing(FolderBlobs):
        """Is discarded between the file and the ledger."""

        def stage(self, content: bytes) -> Any:
            staged = stage(content)
            held.discard([entry_id], why="at this moment")
            return staged

    identified = pipeline.stores.identified
    racing = Racing(identified.root, sealer=pipeline.stores.keyring.sealer("blob"))
    object.__setattr__(pipeline.stores, "identified", racing)
    with pytest.raises(StorageBusy):
        pipeline.accept(received)
    object.__setattr__(pipeline.stores, "identified", identified)
    pipeline.accept(received)
    run()
    assert [e.state for e in held.entries()] == [HeldState.DISCARDED, HeldState.HELD]


def test_a_slow_process_does_not_take_a_release_back(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], clock: FakeClock, run: Callable[[], None]
) -> None:
    receive()
    clock.advance(5.0)
    pipeline.complete()
    database = pipeline.stores.database
    stale = database.write(lambda c: studies.claim_complete(c, owner="slow", now=clock(), lease_s=1.0))
    assert stale is not None
    clock.advance(2.0)
    assert pipeline.deidentify(), "another takes over"
    (entry,) = held.entries()
    release(held, [entry.id], why="no text")
    refused = studies.Refused(stale.instances[0].instance_id, "secondary-capture", "as before")
    assert not database.write(lambda c: studies.hold_refused(c, stale, refused, at=clock()))
    run()
    assert [i.state for i in rows(pipeline, instance)] == ["deidentified"]
    assert [s.state for s in rows(pipeline, study)] == [StudyState.QUEUED]
    assert len(rows(pipeline, quarantine)) == 1


def test_released_while_more_arrives_it_joins_the_revision_that_is_open(
    pipeline: Pipeline, held: Quarantine, receive: Callable[..., Received], run: Callable[[], None]
) -> None:
    receive(StudyInstanceUID="1.2.3")
    run()
    receive(StudyInstanceUID="1.2.3", ConversionType=None)
    release(held, [held.entries()[0].id], why="no text")
    run()
    (entry,) = pipeline.stores.queue.entries()
    assert entry.revision == 2


@pytest.mark.parametrize("frames", [1, 5, 40])
def test_a_sheet_shows_the_frames_to_its_owner_alone(tmp_path: Path, frames: int) -> None:
    pixels = sample.chest_pixels(32, 24)
    elements = {"NumberOfFrames": frames, "PixelData": pixels.tobytes() * frames}
    path = tmp_path / "sheet.png"
    assert write_sheet(sample.part10(sample.image(pixels=pixels, **elements)), path) == f"{min(frames, 16)} of {frames}"
    assert path.stat().st_mode & 0o777 == 0o600
    with Image.open(path) as image:
        assert image.size[0] >= 24
        assert len(set(image.convert("L").tobytes())) > 20
    with pytest.raises(ConfigError):
        write_sheet(sample.part10(sample.image()), path)


def test_a_page_shows_what_was_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "sheet.html"
    assert write_sheet(sample.part10(sample.image()), path) == "1 of 1"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "Identified material" in path.read_text()


def test_pixels_that_cannot_be_decoded_give_no_sheet(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        write_sheet(sample.part10(sample.image(PixelData=b"\0\0")), tmp_path / "sheet.png")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_of_the_first_version_keeps_what_it_holds(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "old.db"))
    try:
        database.write(lambda connection: _upgrade_to(connection, "0001"))
        with pytest.raises(ConfigError):
            migrate.check(database)
        held = "INSERT INTO quarantine VALUES ('q1', 's1', NULL, 'ultrasound', 'as it was', 'held', 1.0)"
        opened = "INSERT INTO study VALUES ('s1', x'00', x'00', 'quarantined', 1, 'MEDIUM', 1, 1, 1, {}, 0)"
        database.write(lambda c: c.exec_driver_sql(opened.format(", ".join(["NULL"] * 6))))
        database.write(lambda c: c.exec_driver_sql(held))
        migrate.upgrade(database)
        migrate.check(database)
        with database.read() as connection:
            (row,) = connection.execute(select(quarantine)).all()
        assert (row.id, row.state, row.decided_at, row.decided_by) == ("q1", "held", None, None)
    finally:
        database.close()


def _upgrade_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "osler.storage:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def test_the_flow_takes_no_option_that_retains_an_identity(pipeline: Pipeline, tmp_path: Path) -> None:
    config = load({}, data_dir=tmp_path, given={"deidentify.options": ["retain-uids"]})
    with pytest.raises(ConfigError, match="clean-descriptors"):
        Pipeline(pipeline.stores, config, models=[], publisher=pipeline.publisher, runtime=Runtime("test", Metrics()))
