"""A run over a folder in several processes, and one that goes on where another stopped."""

import json
from collections.abc import Sequence
from pathlib import Path

import pydicom
import pytest

from osler.deidentify.dicom.batches import File, Names, Work
from osler.deidentify.dicom.folder import FolderSummary, deidentify_folder
from osler.deidentify.dicom.options import Options, options_of
from osler.deidentify.dicom.processes import in_processes
from osler.deidentify.dicom.resuming import STATE, Unfinished
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.domain.identifiers import Identity
from osler.errors import StorageBusy
from osler.testing.studies import image, part10

COUNT = 7


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "Kanarie^Jan"
    folder.mkdir()
    for number in range(COUNT):
        dataset = image(
            "CR",
            PatientName="Kanarie^Jan",
            PatientID="KANARIE-7",
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.3.1",
            SOPInstanceUID=f"1.2.3.1.{number // 2}",
            StudyDate="20200229",
            BurnedInAnnotation="YES" if number == COUNT - 1 else "NO",
        )
        (folder / f"kanarie-{number}.dcm").write_bytes(part10(dataset))
    (folder / "kanarie.txt").write_text("Kanarie")
    return folder


def files(source: Path) -> list[File]:
    return [File(n, path, path.stat().st_size, "") for n, path in enumerate(sorted(source.iterdir()), start=1)]


def test_processes_make_what_one_makes(source: Path, tmp_path: Path) -> None:
    pseudonyms, options = EphemeralPseudonyms(), options_of(["retain-longitudinal-modified-dates"])
    batches = [[file] for file in files(source)]
    alone = Work(tmp_path / "alone", options)
    names = Names()
    expected = [alone.run(batch, pseudonyms, names.free) for batch in batches]
    many = Work(tmp_path / "many", options)
    made = list(in_processes(many, batches, pseudonyms=pseudonyms, names=Names(), count=2))
    outputs = {line.pop("output") for (line,) in made if "output" in line}
    assert outputs == {line.pop("output") for (line,) in expected if "output" in line}
    assert made == expected
    assert len(outputs) == COUNT - 1
    for kept in sorted(outputs):
        assert pydicom.dcmread(tmp_path / "many" / kept).PatientID == pseudonyms.patient("KANARIE-7", "")
    contents = [sorted(p.read_bytes() for p in (tmp_path / of).rglob("*.dcm")) for of in ("alone", "many")]
    assert contents[0] == contents[1]


def test_what_a_process_raises_is_raised(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file stands here")
    work = Work(tmp_path / "out", frozenset())
    with pytest.raises(StorageBusy, match="the output cannot be written"):
        list(in_processes(work, [files(source)], pseudonyms=EphemeralPseudonyms(), names=Names(), count=1))


class Power(EphemeralPseudonyms):
    """Fails at its nth question, as a machine does whose power fails."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 1 << 30
        self.asked = 0

    def prefetch(self, identities: Sequence[Identity]) -> None:
        self.asked += len(identities)
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def begun(source: Path, tmp_path: Path, *, batches: int, options: Options) -> Power:
    """Run over a folder and stop in the midst; what is done of it stands in the state of the run."""
    pseudonyms = Power()
    unfinished = Unfinished(tmp_path / "out", pseudonyms=pseudonyms, options=options)
    known = [unfinished.file(n, path, source) for n, path in enumerate(sorted(source.iterdir()), start=1)]
    names, work = Names(), Work(tmp_path / "out", options)
    for file in known[:batches]:
        unfinished.add([file], work.run([file], pseudonyms, names.free))
    pseudonyms.asked = 0
    return pseudonyms


def test_a_run_goes_on_where_another_stopped(source: Path, tmp_path: Path) -> None:
    pseudonyms = begun(source, tmp_path, batches=4, options=frozenset())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.dcm")}
    assert len(before) == 4
    report, seen = tmp_path / "report", []
    summary = deidentify_folder(
        source, Work(tmp_path / "out"), pseudonyms=pseudonyms, report=report, progress=lambda done, _: seen.append(done)
    )
    assert summary == FolderSummary(deidentified=COUNT - 1, refused=1, failed=1)
    assert seen == [COUNT + 1]
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(1, COUNT + 2))
    assert len({line["output"] for line in lines if "output" in line}) == COUNT - 1
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == COUNT - 1
    assert not (tmp_path / "out" / STATE).exists()
    deidentify_folder(source, Work(tmp_path / "anew"), pseudonyms=pseudonyms, report=tmp_path / "whole")
    assert (tmp_path / "whole").read_text() == report.read_text()


def test_the_state_tells_nothing_and_bears_being_cut_off(source: Path, tmp_path: Path) -> None:
    pseudonyms = begun(source, tmp_path, batches=3, options=frozenset())
    state = tmp_path / "out" / STATE
    text = state.read_text()
    assert "anarie" not in text.lower()
    assert "1.2.3.1" not in text
    state.write_text(text[:-20])
    summary = deidentify_folder(source, Work(tmp_path / "out"), pseudonyms=pseudonyms)
    assert summary.deidentified == COUNT - 1
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == COUNT - 1


@pytest.mark.parametrize("change", ["options", "vault", "file", "output"])
def test_what_has_changed_is_done_anew(source: Path, tmp_path: Path, change: str) -> None:
    pseudonyms: EphemeralPseudonyms = begun(source, tmp_path, batches=1, options=frozenset())
    (kept,) = (tmp_path / "out").rglob("*.dcm")
    options = options_of(["retain-longitudinal-full-dates"] if change == "options" else [])
    if change == "vault":
        pseudonyms = EphemeralPseudonyms()
    elif change == "file":
        (source / "kanarie-0.dcm").write_bytes(b"Kanarie")
    elif change == "output":
        kept.unlink()
    else:
        kept.write_bytes(b"of other options")
    summary = deidentify_folder(source, Work(tmp_path / "out", options), pseudonyms=pseudonyms)
    assert summary.deidentified == COUNT - 1 - (change == "file")
    if change != "vault":
        dates = {pydicom.dcmread(p).get("StudyDate") for p in (tmp_path / "out").rglob("*.dcm")}
        assert dates == ({"20200229"} if options else {""})


def test_an_interrupted_run_leaves_its_state(source: Path, tmp_path: Path) -> None:
    pseudonyms = begun(source, tmp_path, batches=2, options=frozenset())
    pseudonyms.left = 0
    with pytest.raises(KeyboardInterrupt):
        deidentify_folder(source, Work(tmp_path / "out"), pseudonyms=pseudonyms)
    assert (tmp_path / "out" / STATE).is_file()
    pseudonyms.left, pseudonyms.asked = 1, 0
    assert deidentify_folder(source, Work(tmp_path / "out"), pseudonyms=pseudonyms).deidentified == COUNT - 1
