"""A recogniser that is installed is used by the commands; one that is broken stops them with its name."""

import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.running import environment

MODULE = """
import re
from osler.deidentify.text import Category, Span
class Badge:
    def spans(self, document):
        for m in re.finditer("e-[0-9]{6}", document.shadow.lower):
            yield Span(m.start(), m.end(), Category.OTHER_ID, 0.9, "badge")
class Bad:
    def __init__(self):
        raise OSError("Doe")
"""


def run(folder: Path, target: str, *args: str, text: str = "") -> subprocess.CompletedProcess[str]:
    info = folder / "badges-1.0.dist-info"
    info.mkdir()
    (folder / "badges.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: badges\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[osler.recognisers]\nbadge = badges:{target}\n")
    return subprocess.run(
        [sys.executable, "-m", "osler", *args],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=environment() | {"PYTHONPATH": str(folder)},
        timeout=60,
    )


def test_what_it_finds_is_replaced(tmp_path: Path) -> None:
    done = run(tmp_path, "Badge", "deid", "text", text="badge E-123456\n")
    assert (done.returncode, done.stdout) == (0, "badge [OTHER_ID-1]\n"), done.stderr


@pytest.mark.parametrize("target", ["Bad", "Missing", "MODULE", "re"])
def test_a_broken_one_stops_with_its_name_and_quotes_nothing(tmp_path: Path, target: str) -> None:
    done = run(tmp_path, target, "deid", "text", text="badge E-123456\n")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "the recogniser 'badge' (of package badges) is broken" in done.stderr
    assert "Doe" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_one_stops_the_start_of_the_hub(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    made = [sys.executable, "-m", "osler", "init", "--data-dir", data_dir]
    subprocess.run(made, check=True, capture_output=True, env=environment(), timeout=60)
    done = run(tmp_path, "Bad", "serve", "--data-dir", data_dir, "--http", "127.0.0.1:0", "--dimse", "127.0.0.1:0")
    assert done.returncode == 2
    assert "the recogniser 'badge' (of package badges) is broken" in done.stderr
