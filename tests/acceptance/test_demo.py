"""``osler demo``: what a newcomer sees, and what a script reads."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pydicom

from acceptance.running import environment


def test_the_demo_shows_the_whole_flow_and_ends_with_one_object(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "osler", "demo", "--data-dir", str(folder), "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
        env=environment(),
    )

    document = json.loads(done.stdout)
    assert set(document) >= {"finding", "model", "report", "sr", "alert", "audit", "page", "steps"}
    finding = document["finding"]
    assert 0.0 <= finding["probability"] <= 1.0
    assert 0.0 < finding["threshold"] < 1.0
    assert any("outside the intended population" in reason for reason in finding["outside_intended_use"])
    assert re.fullmatch(r"[0-9a-f]{64}", document["model"]["sha256"])
    assert document["audit"]["verified"] is True
    assert document["alert"]["signed"] is True
    assert any("body part" in reason or "chest" in reason for reason in document["refused"])
    assert [s["name"] for s in document["steps"]][:3] == ["receive", "wait until complete", "deidentify"]
    assert all(s["seconds"] >= 0 for s in document["steps"])

    report = pydicom.dcmread(folder / "pacs" / f"{document['sr']}.dcm")
    assert report.Modality == "SR"
    page = Path(document["page"]).read_text(encoding="utf-8")
    assert "CompressedSamples" not in page
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert "audit verified" in done.stderr


def test_the_demo_leaves_a_hub_alone_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "osler.db").touch()
    done = subprocess.run(
        [sys.executable, "-m", "osler", "demo", "--data-dir", str(tmp_path), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == 2
    assert "a folder of its own" in done.stderr
    assert done.stdout == ""
