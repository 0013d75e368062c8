"""A person and what could not be made safe by rule: seen, looked at, released, and the study goes on."""

import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage

from acceptance.running import RunningHub, eventually, radiograph
from osler.ingest.folder import Outcome, send
from osler.testing import studies

MakeHub = Callable[..., RunningHub]
PASSWORD = "correct horse battery\n"


def secondary_capture(folder: Path) -> Path:
    pixels = studies.chest_pixels(96, 80) // 2 + 2000
    dataset = studies.image("CR", pixels=pixels.astype("uint16"), PatientID="MRN-0042", PatientName="Doe^Jane")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.ConversionType = "WSD"
    folder.mkdir(parents=True)
    path = folder / "screen.dcm"
    path.write_bytes(studies.part10(dataset))
    return path


def test_a_secondary_capture_waits_for_a_person_and_goes_on_when_released(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub().start()
    hub.osler("user", "add", "ann", "--role", "privacy-officer", "--password-stdin", stdin=PASSWORD)
    report = send([secondary_capture(tmp_path / "study")], address=("127.0.0.1", hub.dimse_port))
    assert report.count(Outcome.SENT) == 1
    entries = eventually(lambda: hub.json("quarantine", "list"), "it is held")
    assert [(e["rule"], e["state"], e["releasable"]) for e in entries] == [("secondary-capture", "held", True)]
    assert hub.json("queue", "list") == []
    (entry,) = entries
    sheet = tmp_path / "sheet.png"
    sign_in = ("--as", "ann", "--password-stdin", "--json")
    shown = json.loads(hub.osler("quarantine", "show", entry["id"], "--sheet", str(sheet), *sign_in, stdin=PASSWORD))
    assert shown["source"].startswith("dimse:")
    assert "Doe" not in json.dumps(shown)
    with Image.open(sheet) as image:
        assert image.size == (80, 96)
    hub.osler("quarantine", "release", entry["id"], "--reason", "no text in it", *sign_in, stdin=PASSWORD)
    hub.settled(1)
    assert hub.fhir("Observation")["total"] == 1
    (after,) = hub.json("quarantine", "list")
    assert after["state"] == "released"
    released = hub.json("audit", "search", "--event", "quarantine-released")
    assert [r["agent"] for r in released] == ["ann"]
    assert hub.json("audit", "search", "--event", "quarantine-opened")
    hub.stop()
    assert hub.json("audit", "verify")["verified"] is True


def test_who_may_not_is_refused_on_record(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub("[access]\nsign_in = true\n").start()
    hub.osler("user", "add", "eve", "--role", "ml-engineer", "--password-stdin", stdin=PASSWORD)
    send([radiograph(tmp_path / "study", BurnedInAnnotation="YES")], address=("127.0.0.1", hub.dimse_port))
    admin = ("--as", "admin", "--password-stdin", "--json")
    (entry,) = eventually(lambda: json.loads(hub.osler("quarantine", "list", *admin, stdin=PASSWORD)), "it is held")
    release = ("quarantine", "release", entry["id"], "--reason", "I like to")
    hub.osler(*release, ok=(1,))
    hub.osler(*release, "--as", "eve", "--password-stdin", stdin=PASSWORD, ok=(1,))
    hub.osler(*release, "--as", "admin", "--password-stdin", stdin="wrong wrong\n", ok=(1,))
    denied = hub.json("audit", "search", "--event", "access-denied")
    assert len(denied) == 3
    assert "eve" in [d["agent"] for d in denied]
    blobs = hub.data_dir / "blobs" / "identified"
    count = sum(p.is_file() for p in blobs.rglob("*"))
    hub.osler("quarantine", "discard", entry["id"], "--reason", "sent by mistake", *admin, stdin=PASSWORD)
    assert sum(p.is_file() for p in blobs.rglob("*")) == count - 1
    (after,) = json.loads(hub.osler("quarantine", "list", *admin, stdin=PASSWORD))
    assert after["state"] == "discarded"
    assert hub.json("queue", "list") == []


def test_a_note_comes_back_with_its_identities(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub()
    note = "MRN 8675309, call 617-555-0134.\n"
    made = hub.osler("deid", "text", "--reversible", stdin=note)
    assert "8675309" not in made
    reference = made.splitlines()[-1]
    assert reference.startswith("[DOCUMENT OSD-")
    assert hub.osler("deid", "reveal", stdin=made) == note
    draft = f"{reference}\nPlan for [MRN-1], and [SSN-4].\n"
    answer = json.loads(hub.osler("deid", "reveal", "--json", stdin=draft, ok=(3,)))
    assert answer["text"] == "Plan for 8675309, and [SSN-4].\n"
    assert (answer["restored"], answer["unknown"]) == (1, ["[SSN-4]"])
    asked = ("deid", "reveal", "--as", "admin", "--password-stdin")
    assert hub.osler(*asked, stdin=PASSWORD + made) == note
    assert hub.json("audit", "search", "--event", "originals-revealed")[0]["agent"] == "admin"
    hub.osler("deid", "text", "--reversible", "--method", "surrogates", stdin=note, ok=(2,))
    hub.osler("deid", "reveal", stdin="seen in 2021", ok=(1,))
