"""``osler deid dicom --review``: a page for each file whose pixels were looked at, for the owner alone."""

import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from osler.cli import main
from pixel_instances import encoded, grey, instance

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    source = tmp_path / "Jane"
    source.mkdir()
    dataset = instance(grey(255).astype(np.uint8))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.PatientName = "1.2.3", "1.2.3.4", "Doe^Jane"
    (source / "jane.dcm").write_bytes(encoded(dataset))

    def _run(*options: str) -> tuple[int, str]:
        args = ["deid", "dicom", str(source), str(tmp_path / "out"), "--data-dir", str(tmp_path / "data"), *options]
        code = main(args, {"HOME": str(tmp_path)})
        return code, "".join(capfd.readouterr())

    return _run


def test_each_file_has_a_page(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        code, said = run("--option", "clean-pixel-data", "--review", str(tmp_path / "review"))
        assert (code, "jane" in said.lower()) == (0, False)
    (made,) = (tmp_path / "out").rglob("*.dcm")
    (page,) = (tmp_path / "review").iterdir()
    assert page.name == made.name.removesuffix(".dcm") + ".html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    text = page.read_text()
    assert text.count("<img") == 2
    assert "1 frame(s) looked at, 1 changed" in text
    assert not {"Doe", "Jane", "script", "http:"} & set(text.replace("<", " ").split())


@pytest.mark.parametrize(
    ("where", "options", "said"),
    [("review", (), "clean-pixel-data"), ("out/review", ("--option", "clean-pixel-data"), "overlap")],
    ids=["nothing to review", "within the output"],
)
def test_where_there_can_be_no_pages(run: Run, tmp_path: Path, where: str, options: tuple[str, ...], said: str) -> None:
    code, error = run("--review", str(tmp_path / where), *options)
    assert code == 2
    assert said in error
    assert not (tmp_path / "out").exists()
