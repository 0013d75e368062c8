"""The example recogniser, built and installed from outside the tree as a stranger's would be, is used."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.running import environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugins" / "employee-badge"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None:
        assert os.environ.get("OSLER_REQUIRE_PEERS") != "1", "needs hatchling"
        pytest.skip("needs hatchling, which builds the package")
    folder = tmp_path_factory.mktemp("stranger")
    source, target = folder / "source", folder / "site-packages"
    source.mkdir()
    for name in ("pyproject.toml", "osler_employee_badge.py"):  # under another name: it may be installed already
        text = (EXAMPLE / name).read_text(encoding="utf-8").replace("osler_employee_badge", "stranger_badge")
        text = text.replace("osler-employee-badge", "stranger-badge").replace("employee-badge", "stranger")
        (source / name.replace("osler_employee_badge", "stranger_badge")).write_text(text, encoding="utf-8")
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, source], check=True)
    return target


@pytest.mark.parametrize("jsonl", [False, True])
def test_its_spans_are_replaced_by_the_command(installed: Path, tmp_path: Path, jsonl: bool) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_text('{"id": 1, "text": "Seen by E-123456."}\n' if jsonl else "Seen by E-123456.")
    args = ["--jsonl", str(source), str(target)] if jsonl else [str(source)]
    done = subprocess.run(
        [sys.executable, "-m", "osler", "deid", "text", *args],
        capture_output=True,
        text=True,
        check=True,
        env=environment() | {"PYTHONPATH": str(installed)},
        timeout=60,
    )
    answer = target.read_text() if jsonl else done.stdout
    assert "Seen by [OTHER_ID-1]." in answer
    assert "123456" not in answer


def test_it_is_a_recogniser_of_fewer_than_thirty_lines() -> None:
    assert len((EXAMPLE / "osler_employee_badge.py").read_text(encoding="utf-8").splitlines()) < 30
