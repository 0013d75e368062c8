"""Files and folders as they are found."""

import os
from pathlib import Path

import pytest

from osler.errors import ConfigError
from osler.ingest.folder import Outcome, SendReport, SentFile, find_files
from osler.standards.dicom import part10
from osler.standards.dicom_stream import EXPLICIT_LITTLE_ENDIAN

CT = "1.2.840.10008.5.1.4.1.1.2"


def write(path: Path, number: int) -> None:
    elements = [(0x00080016, CT), (0x00080018, f"1.2.{number}"), (0x0020000D, "1.2"), (0x0020000E, "1.3")]
    data_set = b"".join(EXPLICIT_LITTLE_ENDIAN.element(tag, "UI", uid.encode()) for tag, uid in elements)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        part10(data_set, sop_class_uid=CT, sop_instance_uid=f"1.2.{number}", transfer_syntax_uid="1.2.840.10008.1.2.1")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "b" / "2.dcm", 2)
    write(tmp_path / "a" / "1.dcm", 1)
    (tmp_path / "a" / "notes.txt").write_text("not DICOM")
    (tmp_path / "DICOMDIR").write_bytes(b"an index")
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    return tmp_path


def test_files_are_found_by_name_at_any_depth(folder: Path) -> None:
    found = [str(path.relative_to(folder)) for path in find_files([folder])]
    assert found == ["a/1.dcm", "a/notes.txt", "b/2.dcm"]


def test_a_file_is_found_by_its_own_name(folder: Path) -> None:
    assert list(find_files([folder / "b" / "2.dcm", folder / "a"])) == [
        folder / "b" / "2.dcm",
        folder / "a" / "1.dcm",
        folder / "a" / "notes.txt",
    ]


def test_a_path_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        list(find_files([tmp_path / "nothing"]))


def test_a_report_is_complete_when_every_dicom_file_was_taken() -> None:
    def report(*outcomes: Outcome) -> SendReport:
        return SendReport(tuple(SentFile(Path("x"), outcome) for outcome in outcomes))

    assert report(Outcome.SENT, Outcome.WARNED, Outcome.NOT_DICOM).complete
    assert not report(Outcome.SENT, Outcome.REFUSED).complete
    assert not report(Outcome.SENT, Outcome.NOT_SENT).complete
    assert not report(Outcome.NOT_DICOM).complete
    assert not report().complete
    assert report(Outcome.SENT, Outcome.REFUSED, Outcome.SENT).count(Outcome.SENT) == 2
