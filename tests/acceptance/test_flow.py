"""The whole flow, as its user sees it: real peers in, real peers out."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pydicom

from acceptance.running import RunningHub, destination_pacs, destination_pager, eventually, radiograph
from osler.testing.peers import Pacs, Pager, free_ports

MakeHub = Callable[..., RunningHub]
AIAST = ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "AIAST")


def store(need: Callable[..., str], hub: RunningHub, *paths: Path, aet: str = "MODALITY") -> None:
    """Send files with dcmtk, as a modality would."""
    to = ["-aet", aet, "-aec", "OSLER", "127.0.0.1", str(hub.dimse_port)]
    command = [need("storescu"), *to, *map(str, paths)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_a_study_comes_back_as_fhir_sr_and_alert(
    make_hub: MakeHub, need: Callable[..., str], pacs: Pacs, pager: Pager, tmp_path: Path
) -> None:
    need("storescu", "echoscu")
    hub = make_hub(destination_pacs(pacs.address, "PACS") + destination_pager(pager)).start()
    source = radiograph(tmp_path / "study")
    echo = [need("echoscu"), "-aec", "OSLER", "127.0.0.1", str(hub.dimse_port)]
    subprocess.run(echo, check=True, capture_output=True, timeout=30)
    store(need, hub, source)

    deliveries = hub.settled(3)

    assert {d["kind"] for d in deliveries} == {"fhir", "sr", "alert"}
    header = pydicom.dcmread(source, stop_before_pixels=True)
    check_fhir(hub)
    check_sr(pacs, header)
    (message,) = pager.messages
    assert message.signed
    assert message.body["event"] == "critical-finding"
    assert "Doe" not in json.dumps(message.body)
    (alert,) = hub.json("alerts", "list")
    hub.osler("alerts", "ack", alert["id"], "--by", "dr-house")
    assert hub.json("alerts", "list") == []
    assert hub.stop() == 0
    assert hub.json("audit", "verify")["verified"] is True


def check_fhir(hub: RunningHub) -> None:
    patient = hub.fhir("Patient", identifier="MRN-0042")["entry"][0]["resource"]
    assert patient["name"][0]["family"] == "Doe"
    bundle = hub.fhir("Observation", patient=patient["id"], status="preliminary")
    (observation,) = [e["resource"] for e in bundle["entry"]]
    labels = [(c["system"], c["code"]) for c in observation["meta"]["security"]]
    assert AIAST in labels
    assert observation["device"]["reference"].startswith("Device/")
    assert observation["derivedFrom"][0]["reference"].startswith("ImagingStudy/")
    (report,) = [e["resource"] for e in hub.fhir("DiagnosticReport", patient=patient["id"])["entry"]]
    assert report["status"] == "preliminary"
    assert report["result"][0]["reference"] == f"Observation/{observation['id']}"
    assert hub.fhir(f"DiagnosticReport/{report['id']}") == report


def check_sr(pacs: Pacs, source: pydicom.Dataset) -> None:
    (path,) = pacs.folder.glob("*.dcm")
    document = pydicom.dcmread(path)
    assert document.Modality == "SR"
    assert document.StudyInstanceUID == source.StudyInstanceUID
    assert (document.PatientID, document.PatientName) == ("MRN-0042", "Doe^Jane")
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_the_sr_arrives_in_orthanc(make_hub: MakeHub, need: Callable[..., str], tmp_path: Path) -> None:
    program = need("Orthanc")
    dicom_port, http_port = free_ports(2)
    settings: dict[str, Any] = {
        "Name": "PACS",
        "DicomAet": "ORTHANC",
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "Plugins": [],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
    with subprocess.Popen(
        [program, str(tmp_path / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as orthanc:
        try:
            rest = f"http://127.0.0.1:{http_port}"
            eventually(lambda: answers(rest), "Orthanc answers")
            hub = make_hub(destination_pacs(f"127.0.0.1:{dicom_port}", "ORTHANC")).start()
            path = radiograph(tmp_path / "study")
            # The source goes to the PACS too, as a modality would send it to both.
            send = [need("storescu"), "-aec", "ORTHANC", "127.0.0.1", str(dicom_port), str(path)]
            subprocess.run(send, check=True, capture_output=True, timeout=60)
            store(need, hub, path)
            hub.settled(2)
            (study,) = httpx.get(f"{rest}/studies").json()
            series = [
                httpx.get(f"{rest}/series/{s}").json() for s in httpx.get(f"{rest}/studies/{study}").json()["Series"]
            ]
            assert sorted(s["MainDicomTags"]["Modality"] for s in series) == ["CR", "SR"]
        finally:
            orthanc.terminate()


def answers(rest: str) -> bool:
    try:
        return httpx.get(f"{rest}/system", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def test_a_late_instance_makes_a_new_revision_of_the_same_results(
    make_hub: MakeHub, need: Callable[..., str], pacs: Pacs, tmp_path: Path
) -> None:
    hub = make_hub(destination_pacs(pacs.address, "PACS")).start()
    first = radiograph(tmp_path / "study", "1.dcm", bright=False)
    store(need, hub, first)
    hub.settled(2)
    header = pydicom.dcmread(first, stop_before_pixels=True)
    second = radiograph(
        tmp_path / "study",
        "2.dcm",
        bright=False,
        StudyInstanceUID=header.StudyInstanceUID,
        SeriesInstanceUID=header.SeriesInstanceUID,
        InstanceNumber=2,
    )
    store(need, hub, second)
    hub.settled(4)
    jobs = hub.json("queue", "list")
    assert sorted(j["revision"] for j in jobs) == [1, 2]
    assert len({j["study_uid"] for j in jobs}) == 1
    assert hub.fhir("Observation")["total"] == 2
    assert hub.fhir("DiagnosticReport")["total"] == 1
    assert hub.fhir("Patient")["total"] == 1
    assert hub.fhir("ImagingStudy")["entry"][0]["resource"]["numberOfInstances"] == 2


def test_the_same_again_changes_nothing_and_other_content_is_kept_apart(
    make_hub: MakeHub, need: Callable[..., str], tmp_path: Path
) -> None:
    hub = make_hub().start()
    path = radiograph(tmp_path / "study", bright=False)
    store(need, hub, path)
    hub.settled(1)
    store(need, hub, path)
    store(need, hub, path, aet="ARCHIVE")
    header = pydicom.dcmread(path, stop_before_pixels=True)
    other = radiograph(
        tmp_path / "other",
        SOPInstanceUID=header.SOPInstanceUID,
        StudyInstanceUID=header.StudyInstanceUID,
        SeriesInstanceUID=header.SeriesInstanceUID,
    )
    store(need, hub, other)
    stranger = radiograph(tmp_path / "stranger", StudyInstanceUID=header.StudyInstanceUID, PatientID="MRN-9999")
    store(need, hub, stranger)
    held = eventually(lambda: hub.json("quarantine", "list"), "something is held")
    assert {h["rule"] for h in held} == {"uid-conflict", "patient-mismatch"}
    assert len(hub.json("queue", "list")) == 1
    assert "MRN" not in json.dumps(held)


def test_stow_rs_does_the_same(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub().start()
    content = radiograph(tmp_path / "study").read_bytes()
    body = (
        b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n"
        b"--frontier\r\nContent-Type: application/dicom\r\n\r\nnot DICOM\r\n--frontier--\r\n"
    )
    kind = 'multipart/related; type="application/dicom"; boundary=frontier'
    url = f"{hub.url}/dicom-web/studies"
    assert httpx.post(url, content=body, headers={"Content-Type": kind}, timeout=20).status_code == 401
    reading_only = hub.authorize("system/ImagingStudy.rs")
    assert httpx.post(url, content=body, headers={"Content-Type": kind} | reading_only, timeout=20).status_code == 403
    answer = httpx.post(url, content=body, headers={"Content-Type": kind} | hub.authorize(), timeout=20)
    assert answer.status_code == 202
    document = answer.json()
    assert len(document["00081199"]["Value"]) == 1
    assert len(document["00081198"]["Value"]) == 1
    hub.settled(1)
    assert hub.fhir("ImagingStudy")["total"] == 1
