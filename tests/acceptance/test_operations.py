"""What an operator does with a hub, and what a hub does when the machine is not well."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pydicom

from acceptance.running import RunningHub, destination_pacs, eventually, radiograph
from osler.ingest.folder import Outcome, send
from osler.testing.peers import Pacs

MakeHub = Callable[..., RunningHub]


def test_the_flow_on_postgresql(
    make_hub: MakeHub, new_postgresql: Callable[[], str], pacs: Pacs, tmp_path: Path
) -> None:
    storage = f'[storage]\ndatabase = "{new_postgresql()}"\n'
    hub = make_hub(storage + destination_pacs(pacs.address, "PACS")).start()
    send([radiograph(tmp_path / "study")], address=("127.0.0.1", hub.dimse_port))
    hub.settled(2)
    assert hub.fhir("Observation")["total"] == 1
    hub.kill()
    hub.start()
    assert hub.stop() == 0
    assert hub.json("audit", "verify")["verified"] is True
    assert not (hub.data_dir / "osler.db").exists()


def test_below_the_disk_watermark_nothing_is_taken_and_the_sender_may_try_again(
    make_hub: MakeHub, tmp_path: Path
) -> None:
    hub = make_hub("[storage]\nmin_free_mb = 999999999\n")
    path = radiograph(tmp_path / "study")
    hub.launch()
    eventually(lambda: ready_status(hub) == 503, "the hub says that it is not ready")
    checks = httpx.get(f"{hub.url}/health/ready").json()["checks"]
    assert "watermark" in checks["blobs"]
    report = send([path], address=("127.0.0.1", hub.dimse_port))
    assert (report.files[0].outcome, report.files[0].status) == (Outcome.REFUSED, 0xA700)
    hub.stop()
    (hub.data_dir / "osler.toml").write_text((hub.data_dir / "osler.toml").read_text().replace("999999999", "1"))
    hub.start()
    assert send([path], address=("127.0.0.1", hub.dimse_port)).count(Outcome.SENT) == 1


def ready_status(hub: RunningHub) -> int:
    try:
        return httpx.get(f"{hub.url}/health/ready", timeout=5).status_code
    except httpx.TransportError:
        return 0


def test_a_second_hub_of_another_role_works_on_the_same_folder(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub("[worker]\nprocesses = 1\n")
    hub.start("--roles", "dimse,http,deidentifier,publisher")
    send([radiograph(tmp_path / "study")], address=("127.0.0.1", hub.dimse_port))
    eventually(lambda: [j["state"] for j in hub.json("queue", "list")] == ["scheduled"], "the job waits for a worker")
    worker = hub.spawn("worker")
    try:
        hub.settled(1)
    finally:
        worker.terminate()
        assert worker.wait(30) == 0


def test_keys_rotate_while_the_hub_runs(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub().start()
    send([radiograph(tmp_path / "1")], address=("127.0.0.1", hub.dimse_port))
    hub.settled(1)
    hub.osler("keys", "rotate")
    hub.osler("keys", "rotate", "--master")
    send([radiograph(tmp_path / "2", PatientID="MRN-2")], address=("127.0.0.1", hub.dimse_port))
    hub.settled(2)
    assert hub.fhir("Patient")["total"] == 2
    hub.stop()
    hub.start()
    assert hub.fhir("Patient", identifier="MRN-0042")["total"] == 1


def test_the_vault_leads_back_and_says_who_asked(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub().start()
    send([radiograph(tmp_path / "study")], address=("127.0.0.1", hub.dimse_port))
    hub.settled(1)
    pseudonym = next(e["patient"] for e in hub.json("audit", "search", "--event", "study-deidentified"))
    assert hub.json("vault", "reveal", pseudonym, "--reason", "subject request") == {
        "pseudonym": pseudonym,
        "kind": "patient",
        "value": "MRN-0042",
        "issuer": "HOSPITAL",
    }
    revealed = hub.json("audit", "search", "--event", "identity-revealed", "--patient", pseudonym)
    assert revealed[0]["agent"] != "osler"


def test_the_doctor_names_what_is_wrong(make_hub: MakeHub) -> None:
    hub = make_hub(destination_pacs("127.0.0.1:1", "NOBODY"))
    checks = {c["name"]: c for c in hub.json("doctor", ok=(1,))}
    assert checks["database"]["state"] == "ok"
    assert checks["audit chain"]["state"] == "ok"
    assert checks["model fake"]["state"] in ("ok", "warn")
    assert checks["destination pacs"]["state"] == "wrong"
    assert "nobody answers" in checks["destination pacs"]["words"]


def test_deid_dicom_makes_a_folder_of_pseudonyms(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub()
    radiograph(tmp_path / "in", "1.dcm")
    radiograph(tmp_path / "in", "2.dcm", BurnedInAnnotation="YES")
    (tmp_path / "in" / "readme.txt").write_text("not DICOM")
    out = tmp_path / "out"
    report = tmp_path / "report.jsonl"
    summary = hub.json("deid", "dicom", str(tmp_path / "in"), str(out), "--report", str(report), ok=(3,))
    assert summary == {"deidentified": 1, "refused": 1, "failed": 1}
    (made,) = out.rglob("*.dcm")
    dataset = pydicom.dcmread(made)
    assert dataset.PatientIdentityRemoved == "YES"
    assert str(dataset.PatientName).startswith("OSL-")
    assert "Doe" not in str(dataset)
    assert len(report.read_text().splitlines()) == 3
    assert "MRN" not in report.read_text()


def test_stop_is_graceful(make_hub: MakeHub, need: Callable[..., str], tmp_path: Path) -> None:
    hub = make_hub().start()
    paths = [radiograph(tmp_path / "many", f"{n}.dcm", PatientID=f"M{n}") for n in range(20)]
    command = [need("storescu"), "-aec", "OSLER", "127.0.0.1", str(hub.dimse_port), *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sender:
        eventually(
            lambda: 'osler_instances_total{outcome="new"}' in httpx.get(f"{hub.url}/metrics").text, "it takes some"
        )
        assert hub.stop() == 0
        sender.wait(30)
    assert "Traceback" not in hub.log
    assert hub.json("audit", "verify")["verified"] is True
