"""A face is made unrecognizable by the command of a site; of what it writes only the pixels are taken."""

import io
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from osler.cli import main
from osler.deidentify.dicom import PreparedInstance
from osler.deidentify.dicom.burned_in.defacing import DefacingCommand
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import DeidentificationRefused
from osler.testing.studies import image, part10

FEATURES = "clean-recognizable-visual-features"
READ = "import pydicom, sys; d = pydicom.dcmread(sys.argv[1]); n = len(d.PixelData); "
WRITE = "; d.save_as(sys.argv[2])"
BLANK = READ + "d.PixelData = bytes(n); d.PatientComments = 'Kanarie was here'; d.PatientName = 'Kanarie'" + WRITE


def command(script: str, timeout_s: float = 60) -> DefacingCommand:
    return DefacingCommand((sys.executable, "-c", script), timeout_s)


def head(**attributes: object) -> bytes:
    dataset = image("CR", Modality="MR", BodyPartExamined="HEAD", PatientName="Kanarie^Jan", **attributes)
    dataset.PixelData = np.arange(dataset.Rows * dataset.Columns, dtype=np.uint16).tobytes()
    return part10(dataset)


def defaced(content: bytes, defacer: DefacingCommand | None) -> pydicom.FileDataset:
    prepared = PreparedInstance(content, options=[FEATURES], defacer=defacer)
    return pydicom.dcmread(io.BytesIO(prepared.finish(EphemeralPseudonyms()).content))


def test_the_pixels_are_those_of_the_tool_and_nothing_else_is() -> None:
    made = defaced(head(), command(BLANK))
    assert set(made.PixelData) == {0}
    assert made.RecognizableVisualFeatures == "NO"
    assert "PatientComments" not in made
    assert made.PatientName == made.PatientID != "Kanarie"
    assert [code.CodeValue for code in made.DeidentificationMethodCodeSequence] == ["113100", "113102"]


def test_the_tool_sees_no_identity(tmp_path: Path) -> None:
    seen = tmp_path / "seen.dcm"
    defaced(head(), command(f"import shutil, sys; shutil.copy(sys.argv[1], {str(seen)!r}); " + BLANK))
    assert b"anarie" not in seen.read_bytes()


def test_what_shows_no_face_is_not_given_to_it() -> None:
    content = part10(image("CR"))
    made = defaced(content, command("raise SystemExit(1)"))
    assert made.PixelData == pydicom.dcmread(io.BytesIO(content)).PixelData
    assert made.RecognizableVisualFeatures == "NO"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit(1)", "failed"),
        ("", "failed"),
        ("import time; time.sleep(9)", "failed"),
        ("import sys; open(sys.argv[2], 'w').write('Kanarie')", "wrote no DICOM file"),
        (READ + "d.PatientComments = 'Kanarie'" + WRITE, "changed nothing"),
        (READ + "d.Rows //= 2; d.PixelData = bytes(n // 2)" + WRITE, "changed the form"),
        (READ + "del d.PixelData" + WRITE, "wrote no DICOM file"),
        (READ + "d.PixelData = bytes(n); d.compress(pydicom.uid.RLELossless)" + WRITE, "changed the form"),
    ],
    ids=["fails", "writes nothing", "takes long", "no DICOM", "unchanged", "smaller", "no pixels", "compressed"],
)
def test_what_the_tool_does_wrong_refuses(script: str, reason: str) -> None:
    with pytest.raises(DeidentificationRefused, match=reason) as refused:
        defaced(head(), command(script, timeout_s=1 if "sleep" in script else 60))
    assert refused.value.rule == "recognizable-visual-features"


def test_without_a_tool_a_face_is_refused() -> None:
    with pytest.raises(DeidentificationRefused, match="no defacing tool"):
        defaced(head(), None)


@pytest.mark.parametrize(("modality", "part", "told"), [("MR", "HEAD", "YES"), ("CT", "CHEST", "NO"), ("CR", "", "NO")])
def test_without_the_option_the_image_says_whether_there_may_be_a_face(modality: str, part: str, told: str) -> None:
    prepared = PreparedInstance(part10(image("CR", Modality=modality, BodyPartExamined=part)))
    made = pydicom.dcmread(io.BytesIO(prepared.finish(EphemeralPseudonyms()).content))
    assert made.RecognizableVisualFeatures == told


# ------------------------------------------------------------------------------------------------- osler deid dicom


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "head.dcm").write_bytes(head())

    def _run(*options: str) -> tuple[int, str, str]:
        args = ["deid", "dicom", str(tmp_path / "in"), str(tmp_path / "out"), "--data-dir", str(tmp_path / "data")]
        return main([*args, "--json", *options], {"HOME": str(tmp_path)}), *capfd.readouterr()

    return _run


def test_the_command_line_takes_the_tool(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("--option", FEATURES, "--defacer", shlex.join((sys.executable, "-c", BLANK)))
    assert (code, json.loads(out)["deidentified"]) == (0, 1)
    (made,) = (tmp_path / "out").rglob("*.dcm")
    assert set(pydicom.dcmread(made).PixelData) == {0}


def test_without_it_the_file_is_refused_with_what_would_help(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("--option", FEATURES, "--report", str(tmp_path / "report"))
    assert (code, json.loads(out)["refused"]) == (1, 1)
    assert "--defacer" in json.loads((tmp_path / "report").read_text())["reason"]


@pytest.mark.parametrize(
    "options",
    [
        ("true",),
        ("no-such-tool", "--option", FEATURES),
        ("'", "--option", FEATURES),
    ],
    ids=["no option", "not there", "no command"],
)
def test_a_tool_that_cannot_be_is_a_mistake_of_the_caller(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    code, _, error = run("--defacer", *options)
    assert (code, "--defacer" in error) == (2, True)
    assert not (tmp_path / "out").exists()
