"""Identifiers planted in a study are looked for in everything that the hub writes."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from acceptance.running import RunningHub, destination_pacs, destination_pager, eventually, radiograph
from osler.ingest.folder import Outcome, send
from osler.testing.peers import Pacs, Pager

WORD = "ZEBRAQUARTZ"
NUMBER = "7391846205"
DATE = "19410307"
PLANTED = (WORD, NUMBER, DATE)


def planted(folder: Path) -> Path:
    """Write a radiograph with identifiers in every kind of value, private, nested and outside the dataset."""
    path = radiograph(
        folder,
        f"{WORD}.dcm",
        PatientName=f"{WORD}^{WORD}",
        PatientID=f"MRN{NUMBER}",
        AccessionNumber=f"A{NUMBER}",
        PatientBirthDate=DATE,
        StudyID=NUMBER,
        PatientAge=None,
        OtherPatientNames=f"{WORD}^X",
        EthnicGroup=WORD,
        SeriesDescription=f"{WORD} chest {NUMBER}",
        StudyDescription=f"for {WORD} born {DATE}",
        InstitutionName=f"{WORD} Hospital",
        DeviceSerialNumber=NUMBER,
        ImageComments=f"{WORD} {DATE}",
        AcquisitionDate=DATE,
        AcquisitionDateTime=f"{DATE}101500",
        RetrieveURL=f"http://{WORD}/{NUMBER}",
        RequestAttributesSequence=Sequence([nested(3)]),
    )
    dataset = pydicom.dcmread(path)
    block = dataset.private_block(0x0011, WORD, create=True)
    block.add_new(0x01, "LO", f"{WORD} {NUMBER}")
    block.add_new(0x02, "UN", f"{WORD} {DATE}".encode())
    block.add_new(0x03, "SQ", Sequence([nested(1)]))
    dataset.file_meta.SourceApplicationEntityTitle = WORD
    dataset.preamble = f"{WORD} {NUMBER}".encode().ljust(128, b"\0")
    dataset.save_as(path)
    with path.open("ab") as file:
        file.write(f"{WORD}{DATE}".encode())
    return path


def nested(depth: int) -> Dataset:
    item = Dataset()
    item.RequestedProcedureDescription = f"{WORD} {NUMBER}"
    item.PatientName = f"{WORD}^{WORD}"
    item.ScheduledProcedureStepID = NUMBER
    if depth:
        item.ReferencedStudySequence = Sequence([nested(depth - 1)])
    return item


def leaks(content: bytes) -> set[str]:
    """Return the planted values that a file holds, in any of the usual encodings."""
    folded = content.upper()
    return {p for p in PLANTED if p.encode() in folded or p.encode("utf-16-le") in folded}


def test_no_planted_identifier_is_found_in_what_the_hub_writes(
    make_hub: Callable[..., RunningHub], pacs: Pacs, pager: Pager, tmp_path: Path
) -> None:
    hub = make_hub(
        '[log]\nlevel = "debug"\n' + destination_pacs(pacs.address, "PACS") + destination_pager(pager)
    ).start()
    path = planted(tmp_path / "study")
    assert leaks(path.read_bytes()) == set(PLANTED), "the planting works"
    broken = tmp_path / "study" / "broken.dcm"
    broken.write_bytes(path.read_bytes()[:700])
    report = send([path], address=("127.0.0.1", hub.dimse_port))
    assert report.files[0].outcome is Outcome.SENT
    hub.settled(3)
    metrics = httpx.get(f"{hub.url}/metrics").content
    (sr,) = pacs.folder.glob("*.dcm")
    assert WORD.encode() in sr.read_bytes().upper(), "the SR is for the patient"
    listings = "".join(hub.osler(*c) for c in LISTINGS) + hub.osler("audit", "export")
    hub.kill()  # nothing is tidied up

    written = {p.relative_to(hub.data_dir): p.read_bytes() for p in hub.data_dir.rglob("*") if p.is_file()}
    written |= {Path("log"): hub.log.encode(), Path("metrics"): metrics, Path("listings"): listings.encode()}
    written |= {Path(f"message{n}"): repr(m).encode() for n, m in enumerate(pager.messages)}
    assert len(written) > 10
    assert {name: found for name, content in written.items() if (found := leaks(content))} == {}
    assert not [name for name in written if leaks(str(name).encode())]


LISTINGS = (
    ("queue", "list"),
    ("outbox", "list"),
    ("quarantine", "list"),
    ("alerts", "list", "--all"),
    ("audit", "search"),
)


def test_a_refused_instance_leaves_no_trace_of_its_values(
    make_hub: Callable[..., RunningHub], need: Callable[..., str], tmp_path: Path
) -> None:
    hub = make_hub('[log]\nlevel = "debug"\n').start()
    about = {"PatientName": f"{WORD}^A", "StudyDescription": WORD, "PatientID": NUMBER}
    captured = radiograph(tmp_path / "capture", BurnedInAnnotation="YES", **about)
    wrong = radiograph(tmp_path / "wrong", Rows=9999, **about)
    report = send([captured, wrong], address=("127.0.0.1", hub.dimse_port))
    assert report.count(Outcome.SENT) == 2
    held = eventually(lambda: hub.json("quarantine", "list"), f"the capture is held\n{hub.log}")
    assert any(h["rule"] == "burned-in-annotation" for h in held)
    eventually(lambda: settled(hub), f"the other is read or refused\n{hub.log}")
    said = hub.log + repr(held) + hub.osler("queue", "list") + hub.osler("audit", "export")
    assert leaks(said.encode()) == set()
    assert not re.search(r"Traceback", hub.log)


def settled(hub: RunningHub) -> bool:
    jobs = hub.json("queue", "list")
    held = hub.json("quarantine", "list")
    return len(jobs) + len(held) >= 2 and all(j["state"] in ("completed", "dead", "canceled") for j in jobs)


def test_dcmtk_is_told_what_is_wrong_with_a_broken_file(
    make_hub: Callable[..., RunningHub], need: Callable[..., str], tmp_path: Path
) -> None:
    hub = make_hub().start()
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(radiograph(tmp_path / "study").read_bytes()[:900])
    done = subprocess.run(
        [need("storescu"), "-v", "-aec", "OSLER", "127.0.0.1", str(hub.dimse_port), str(broken)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0 or "Error" in done.stderr
    assert hub.json("queue", "list") == []
    assert hub.ready()
