"""``osler deid dicom``: what it writes, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from osler.cli import main
from osler.testing.studies import image, part10

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    source = tmp_path / "Kanarie"
    source.mkdir()
    dataset = image("CR", PatientName="Kanarie^Jan", PatientID="KANARIE-7", PatientAge="093Y", StudyDate="20200229")
    (source / "kanarie.dcm").write_bytes(part10(dataset))

    def _run(*options: str) -> tuple[int, str, str]:
        args = ["deid", "dicom", str(source), str(tmp_path / "out"), "--data-dir", str(tmp_path / "data"), *options]
        code = main(args, {"HOME": str(tmp_path)})
        out, err = capfd.readouterr()
        return code, out, err

    return _run


def test_options_are_in_force(run: Run, tmp_path: Path) -> None:
    options = ("retain-patient-characteristics", "retain-longitudinal-full-dates")
    code, out, err = run("--json", *(part for option in options for part in ("--option", option)))
    assert (code, json.loads(out)) == (0, {"deidentified": 1, "refused": 0, "failed": 0})
    assert "anarie" not in (out + err).lower()
    (made,) = (tmp_path / "out").rglob("*.dcm")
    dataset = pydicom.dcmread(made)
    assert (dataset.PatientAge, dataset.StudyDate) == ("090Y", "20200229")
    assert [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence] == ["113100", "113106", "113108"]


@pytest.mark.parametrize(
    "options",
    [("retain-everything",), ("retain-longitudinal-full-dates", "retain-longitudinal-modified-dates")],
    ids=["unknown", "both kinds of dates"],
)
def test_options_that_cannot_be_are_a_mistake_of_the_caller(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    code, out, err = run(*(part for option in options for part in ("--option", option)))
    assert (code, out) == (2, "")
    assert "retain-longitudinal-modified-dates" in err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "data").exists()


def test_the_same_command_again_makes_the_same(run: Run, tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        assert run("--option", "retain-longitudinal-modified-dates")[0] == 0
        made.append({path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()})
    assert made[0] == made[1]
    assert len(made[0]) == 1


@pytest.mark.parametrize("option", ["retain-longitudinal-modified-dates", "clean-descriptors", "retain-uids"])
def test_what_was_made_is_made_the_same_when_it_is_given_again(run: Run, tmp_path: Path, option: str) -> None:
    assert run("--option", option)[0] == 0
    args = ["deid", "dicom", str(tmp_path / "out"), str(tmp_path / "again"), "--data-dir", str(tmp_path / "data")]
    assert main([*args, "--option", option], {"HOME": str(tmp_path)}) == 0
    made, again = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.dcm")}
        for name in ("out", "again")
    )
    assert made == again
    assert len(made) == 1
