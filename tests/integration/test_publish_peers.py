"""Results into real PACS: Orthanc and dcmtk's storescp; and an outbox that two publishers share on PostgreSQL."""

import io
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from osler.config import Destination, load
from osler.domain.events import Delivery
from osler.domain.states import DeliveryState
from osler.errors import PeerUnavailable
from osler.models.cxr.pixels import read_grey
from osler.publish import overlay, secondary_capture, sr
from osler.publish.outbox import Outbox
from osler.publish.store_scu import Timeouts, store
from osler.record import save
from osler.testing.ledger import Ledger, inference_on
from osler.testing.results import case, identified, radiograph, recorded

RG1 = Path(str(get_testdata_file("RG1_UNCI.dcm", download=False))).read_bytes()
HEATMAP = overlay.png(overlay.picture(np.ones((7, 7), np.float32)))
QUICK = Timeouts(connect_s=2.0, answer_s=2.0, whole_s=10.0)


def made(content: bytes, *, revision: int = 1) -> list[pydicom.Dataset]:
    """Return the SR and the SC of a result on a file; another revision gives other UIDs."""
    source, result = identified(content), recorded(case(heatmap="h"), revision=revision)
    images = secondary_capture.build(result, source, render=read_grey, heatmap=lambda _: HEATMAP)
    return [sr.build(result, source), *images]


def wait_for(condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the peer did not get there in time"
        time.sleep(0.02)


# -------------------------------------------------------------------------------------------------------- Orthanc


@dataclass
class Orthanc:
    destination: Destination
    http: httpx.Client

    def get(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    def instance(self, sop_instance_uid: str) -> dict[str, Any]:
        (found,) = self.http.post("/tools/lookup", content=sop_instance_uid).json()
        return dict(self.get(f"/instances/{found['ID']}/simplified-tags"))


@pytest.fixture(scope="module")
def orthanc(need: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    dicom, http = free_ports(2)
    settings = {
        "Name": "PACS", "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "index"),
        "Plugins": [], "HttpPort": http, "DicomPort": dicom, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False, "DicomCheckCalledAet": True, "OverwriteInstances": False,
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([need("Orthanc"), folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=10, trust_env=False) as client:
            wait_for(lambda: process.poll() is None and answers(client))
            yield Orthanc(Destination("pacs", "dicom", address=f"127.0.0.1:{dicom}", ae_title="ORTHANC"), client)
    finally:
        process.terminate()
        process.wait(20)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/system").status_code == 200
    except httpx.TransportError:
        return False


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for one in sockets:
        one.close()
    return ports


def test_orthanc_has_the_results_beside_the_image(orthanc: Orthanc) -> None:
    objects = made(RG1)
    image = pydicom.dcmread(io.BytesIO(RG1))
    store([image], orthanc.destination, calling_ae_title="OSLER")

    delivery = store(objects, orthanc.destination, calling_ae_title="OSLER")

    assert delivery.warning is None
    (study,) = orthanc.get("/studies?expand")
    assert study["MainDicomTags"]["StudyInstanceUID"] == image.StudyInstanceUID
    assert study["PatientMainDicomTags"]["PatientID"] == "9RG1"
    series = {s["MainDicomTags"]["Modality"] for s in orthanc.get(f"/studies/{study['ID']}/series")}
    assert series == {"CR", "SR", "OT"}
    document = orthanc.instance(objects[0].SOPInstanceUID)
    assert document["PreliminaryFlag"] == "PRELIMINARY"
    assert document["CurrentRequestedProcedureEvidenceSequence"][0]["StudyInstanceUID"] == image.StudyInstanceUID
    assert orthanc.instance(objects[1].SOPInstanceUID)["ImageType"] == "DERIVED\\SECONDARY"


def test_orthanc_shows_the_secondary_capture(orthanc: Orthanc) -> None:
    objects = made(radiograph(PatientID="SHOWN"), revision=2)
    store(objects, orthanc.destination, calling_ae_title="OSLER")

    (found,) = orthanc.http.post("/tools/lookup", content=objects[1].SOPInstanceUID).json()
    preview = orthanc.http.get(f"/instances/{found['ID']}/preview").raise_for_status()

    assert preview.headers["content-type"] == "image/png"
    assert len(preview.content) > 1000


def test_sent_twice_it_is_one(orthanc: Orthanc) -> None:
    objects = made(radiograph(PatientID="TWICE"), revision=3)
    store(objects, orthanc.destination, calling_ae_title="OSLER")
    before = len(orthanc.get("/instances"))

    store(objects, orthanc.destination, calling_ae_title="OSLER")

    assert len(orthanc.get("/instances")) == before


def test_orthanc_under_another_name_cannot_be_reached(orthanc: Orthanc) -> None:
    with pytest.raises(PeerUnavailable, match="AE titles"):
        store(made(radiograph()), replace(orthanc.destination, ae_title="OTHER"), calling_ae_title="OSLER")


# ---------------------------------------------------------------------------------------------------------- dcmtk


@pytest.fixture
def storescp(need: Callable[..., str], tmp_path: Path) -> Iterator[Callable[..., Destination]]:
    """Return a function that starts dcmtk's storescp with options."""
    running: list[subprocess.Popen[bytes]] = []

    def _start(*options: str) -> Destination:
        (port,) = free_ports(1)
        folder = tmp_path / "stored"
        folder.mkdir()
        with (tmp_path / "log").open("wb") as log:
            command = [need("storescp"), "-v", "-od", folder, "-aet", "PACS", *options, str(port)]
            running.append(subprocess.Popen(command, stdout=log, stderr=log))
        destination = Destination("pacs", "dicom", address=f"127.0.0.1:{port}", ae_title="PACS")
        wait_for(lambda: listens(port))
        return destination

    yield _start
    for process in running:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("options", [(), ("+xi",), ("+xe",)], ids=["any", "implicit VR only", "explicit VR preferred"])
def test_dcmtk_stores_and_reads_it(
    need: Callable[..., str], storescp: Callable[..., Destination], tmp_path: Path, options: tuple[str, ...]
) -> None:
    objects = made(RG1)

    store(objects, storescp(*options), calling_ae_title="OSLER")

    stored = {pydicom.dcmread(f).SOPInstanceUID: f for f in (tmp_path / "stored").iterdir()}
    assert set(stored) == {o.SOPInstanceUID for o in objects}
    shown = subprocess.run(
        [need("dsrdump"), "+Pl", stored[objects[0].SOPInstanceUID]], capture_output=True, text=True, check=True
    )
    assert 'CODE:(,,"Pneumonia")=(52101004,SCT,"Present")' in shown.stdout
    assert 'NUM:(,,"Probability")="0.93"' in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize("options", [("--refuse",), ("--abort-during",), ("--abort-after",)], ids=str)
def test_dcmtk_that_does_not_take_it(storescp: Callable[..., Destination], options: tuple[str, ...]) -> None:
    began = time.monotonic()

    with pytest.raises(PeerUnavailable):
        store(made(radiograph()), storescp(*options), calling_ae_title="OSLER", timeouts=QUICK)

    assert time.monotonic() - began < 15


# ----------------------------------------------------------------------------------------------------- PostgreSQL


def test_two_publishers_on_postgresql_share_the_work(new_postgresql: Callable[[], str], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, url=new_postgresql())
    destinations = (Destination("pacs", "dicom", address="127.0.0.1:4242", ae_title="PACS"),)
    config = replace(load({"HOME": "/nonexistent"}), destinations=destinations)
    for number in range(6):
        study = ledger.file(radiograph(PatientID=f"P{number}"))
        job, found = ledger.job(study), inference_on(study)
        ledger.database.write(lambda c, job=job, found=found: save(c, job, found, config=config, now=1000.0))
    outbox = Outbox(ledger.database)
    claimed: list[str] = []

    def publish(owner: str) -> None:
        while entries := outbox.claim(owner, limit=2):
            for entry in entries:
                claimed.append(entry.id)
                assert ledger.database.write(lambda c, e=entry: outbox.done(c, e, Delivery("made")))

    threads = [threading.Thread(target=publish, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(claimed) == len(set(claimed)) == 12
    assert {e.state for e in outbox.entries()} == {DeliveryState.DELIVERED}
    assert outbox.next_due() is None
    ledger.close()
