import hashlib
import json
import os
from pathlib import Path

import pydicom
import pytest

from osler.deidentify.dicom.batches import Work
from osler.deidentify.dicom.folder import FolderSummary, deidentify_folder
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import ConfigError, StorageBusy
from osler.testing.studies import image, part10


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "Kanarie^Jan" / "1957"
    folder.mkdir(parents=True)
    study = {"StudyInstanceUID": "1.2.3", "PatientName": "Kanarie^Jan", "PatientID": "KANARIE-7"}
    (folder / "kanarie-1.dcm").write_bytes(part10(image("CR", SOPInstanceUID="1.2.3.1", **study)))
    (folder / "kanarie-2.dcm").write_bytes(part10(image("DX", SOPInstanceUID="1.2.3.2", **study)))
    (folder / "kanarie-3.dcm").write_bytes(part10(image("CR", BurnedInAnnotation="YES", **study)))
    (folder / "kanarie.txt").write_text("Kanarie")
    (folder / "empty").touch()
    return tmp_path / "Kanarie^Jan"


def test_a_folder(source: Path, tmp_path: Path) -> None:
    pseudonyms, seen = EphemeralPseudonyms(), []
    summary = deidentify_folder(
        source,
        Work(tmp_path / "out"),
        pseudonyms=pseudonyms,
        report=tmp_path / "report.ndjson",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert summary == FolderSummary(deidentified=2, refused=1, failed=2)
    assert seen == [(5, 5)]
    written = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert {path.parts[0] for path in written} == {pseudonyms.uid("1.2.3")}
    assert {path.stem for path in written} == {pseudonyms.uid("1.2.3.1"), pseudonyms.uid("1.2.3.2")}
    for path in written:
        dataset = pydicom.dcmread(tmp_path / "out" / path)
        assert path.parts == (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID + ".dcm")


def test_the_report_names_rules_and_no_value(source: Path, tmp_path: Path) -> None:
    deidentify_folder(
        source, Work(tmp_path / "out"), pseudonyms=EphemeralPseudonyms(), report=tmp_path / "report.ndjson"
    )
    text = (tmp_path / "report.ndjson").read_text()
    assert "anarie" not in text.lower()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5]
    by_hash = {line["sha256"]: line for line in lines}
    for path in (source / "1957").iterdir():
        line = by_hash[hashlib.sha256(path.read_bytes()).hexdigest()]
        if path.name in ("kanarie-1.dcm", "kanarie-2.dcm"):
            assert line["outcome"] == "de-identified"
            assert line["actions"]["table-e.1-1-u"] == 3
            assert (tmp_path / "out" / line["output"]).is_file()
        elif path.name == "kanarie-3.dcm":
            assert (line["outcome"], line["rule"]) == ("refused", "burned-in-annotation")
        else:
            assert (line["outcome"], line["rule"]) == ("failed", "malformed")
            assert line["reason"]


def test_one_file(source: Path, tmp_path: Path) -> None:
    summary = deidentify_folder(
        source / "1957" / "kanarie-1.dcm", Work(tmp_path / "out"), pseudonyms=EphemeralPseudonyms()
    )
    assert summary == FolderSummary(deidentified=1)


def test_an_instance_that_comes_twice_is_kept_twice(tmp_path: Path) -> None:
    uids = {"SOPInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3.2", "StudyInstanceUID": "1.2.3"}
    source = tmp_path / "in"
    source.mkdir()
    for number in (1, 2, 3):
        (source / f"{number}.dcm").write_bytes(part10(image("CR", InstanceNumber=number, **uids)))
    for _ in range(2):
        assert deidentify_folder(source, Work(tmp_path / "out"), pseudonyms=EphemeralPseudonyms()).deidentified == 3
    pseudonyms = EphemeralPseudonyms()
    deidentify_folder(source, Work(tmp_path / "other"), pseudonyms=pseudonyms)
    uid = pseudonyms.uid("1.2.3.1")
    names = sorted(path.name for path in (tmp_path / "other").rglob("*.dcm"))
    assert names == sorted([f"{uid}.dcm", f"{uid}-2.dcm", f"{uid}-3.dcm"])


@pytest.mark.parametrize(("inside", "outside"), [("in", "in"), ("in", "in/out"), ("in/deep", "in")])
def test_folders_that_overlap(tmp_path: Path, inside: str, outside: str) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    with pytest.raises(ConfigError):
        deidentify_folder(tmp_path / inside, Work(tmp_path / outside), pseudonyms=EphemeralPseudonyms())


def test_links_are_not_followed(source: Path, tmp_path: Path) -> None:
    only_links = tmp_path / "links"
    only_links.mkdir()
    os.symlink(source / "1957" / "kanarie-1.dcm", only_links / "file.dcm")
    os.symlink(source, only_links / "folder")
    assert deidentify_folder(only_links, Work(tmp_path / "out"), pseudonyms=EphemeralPseudonyms()) == FolderSummary()


def test_a_target_that_cannot_be_written_is_said_without_a_name(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file stands here")
    with pytest.raises(StorageBusy) as raised:
        deidentify_folder(source, Work(tmp_path / "out"), pseudonyms=EphemeralPseudonyms())
    assert "out" not in str(raised.value).split()[-1]
    assert "anarie" not in str(raised.value)
