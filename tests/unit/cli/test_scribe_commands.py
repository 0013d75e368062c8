"""``osler scribe``: one document out, words about what to do when it cannot, and a code that says which."""

import csv
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encounters import KNEE, KNEE_NOTE, STOMACH, STOMACH_NOTE
from osler.audit import Agent
from osler.cli import main
from osler.config import load
from osler.domain.encounter import Consent, ConsentMethod, Subject
from osler.hub.opening import open_stores
from osler.scribe import evaluations
from osler.scribe.capture import Capture, Limits, Wanted
from recordings import silence, wav

WEIGHTS = b"\x06\x00\x00\x00\x0c\x00WhisperSpec\x00" + b"weights"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(["scribe", *words], {"OSLER_DATA_DIR": str(tmp_path / "data")})
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def one(out: str) -> dict[str, Any]:
    """Return the one JSON document that was written."""
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture
def knee(tmp_path: Path) -> Path:
    path = tmp_path / "knee.txt"
    path.write_text(KNEE.replace("D:", "Doctor:").replace("P:", "Patient:"))
    return path


def test_a_transcript_becomes_one_document(run: Run, knee: Path) -> None:
    code, out, _ = run(str(knee), "--json")
    assert code == 0
    document = one(out)
    assert {"note", "text", "transcript", "deidentified", "seconds"} <= set(document)
    every = [s for section in document["note"]["sections"] for s in section["statements"]]
    assert every
    assert all(s["evidence"] for s in every)
    assert "ibuprofen" in document["text"]


def test_how_it_is_written_is_chosen(run: Run, knee: Path) -> None:
    by_problem = (
        "Doctor: For your knee pain, I will refer you to physical therapy. For your hypertension, continue lisinopril."
    )
    knee.write_text(f"{knee.read_text()}\n{by_problem}\n")
    heads = {}
    for flag in ("--by-problem", "--no-by-problem"):
        code, out, err = run(str(knee), flag, "--patient-called", "the client", "--json")
        assert code == 0, err
        heads[flag] = {section["problem"] for section in one(out)["note"]["sections"]} - {""}
        assert "The client" in one(out)["text"]
    assert heads["--by-problem"]
    assert not heads["--no-by-problem"]


def test_a_draft_is_shown_as_what_it_is(run: Run, knee: Path) -> None:
    code, out, _ = run(str(knee))
    assert code == 0
    assert "DRAFT" in out
    assert "signed by nobody" in out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--template", "sonnet"), "soap"),
        (("--detail", "endless"), "brief, standard or full"),
        (("--patient-called", "the king"), "the client"),
        (("--context", "nothing.json"), "FHIR Patient"),
    ],
)
def test_what_is_asked_for_wrongly_is_said_with_what_there_is(
    run: Run, knee: Path, more: tuple[str, ...], words: str
) -> None:
    code, out, err = run(str(knee), *more, "--json")
    assert code == 2
    assert words in err
    assert out == ""


def test_a_recording_without_a_speech_model_says_how_to_add_one(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "visit.wav"
    path.write_bytes(wav(silence(1)))
    code, out, err = run(str(path), "--json")
    assert code == 2
    assert "osler scribe models add" in err
    assert out == ""


def test_a_file_that_is_neither_and_one_that_is_not_there(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "picture.bin"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    code, _, err = run(str(path))
    assert code == 1
    assert "neither a recording nor a transcript" in err
    code, _, err = run(str(tmp_path / "nothing.wav"))
    assert code == 2
    assert "cannot be read" in err


def test_a_note_is_held_to_its_transcript_and_another_patients_is_refused(run: Run, knee: Path, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.txt", tmp_path / "wrong.txt"
    right.write_text(KNEE_NOTE)
    wrong.write_text(STOMACH_NOTE)
    code, out, _ = run("check", str(knee), str(right), "--json")
    assert (code, one(out)["refusal"]) == (0, "")
    assert one(out)["summary"]["passed"] > 0
    code, out, _ = run("check", str(knee), str(wrong), "--json")
    assert (code, one(out)["refusal"]) == (1, "another-encounter")
    code, out, _ = run("check", str(knee), str(wrong))
    assert code == 1
    assert "refused as a whole" in out


def test_models_are_added_once_and_listed(run: Run, tmp_path: Path) -> None:
    assert one(run("models", "list", "--json")[1]) == []
    folder = tmp_path / "whisper"
    folder.mkdir()
    code, _, err = run("models", "add", str(folder))
    assert code == 2
    assert "model.bin" in err
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt", "vocabulary.json"):
        (folder / name).write_bytes(WEIGHTS if name == "model.bin" else b"{}")
    code, _, err = run("models", "add", str(folder), "--name", "tiny", "--json")
    assert code == 0, err
    (row,) = json.loads(run("models", "list", "--json")[1])
    assert row["name"] == "tiny"
    assert len(row["sha256"]) == 64


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["dataset", "encounter_id", "dialogue", "note"])
        for key, said, note in (("D1", KNEE, KNEE_NOTE), ("D2", STOMACH, STOMACH_NOTE)):
            turns = said.replace("D:", "[doctor]").replace("P:", "[patient]")
            out.writerow(["invented", key, turns, note])
    return path


def test_evaluation_of_a_corpus_says_that_another_patients_note_is_refused(run: Run, corpus: Path) -> None:
    path = corpus
    code, shown, err = run("evaluate", str(path), "--json")
    assert code == 0, err
    document = one(shown)
    assert document["cases"] == 2
    assert document["another_patient"]
    path.write_text("a,b\n1,2\n")
    code, _, err = run("evaluate", str(path))
    assert code == 1
    assert "no CSV" in err


def test_an_evaluation_is_kept_in_the_hub_by_name_and_hash(
    run: Run, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("evaluate", str(corpus), "--no-disturb", "--save", "--name", "ours", "--json")
    code, shown, err = run(*asked)
    assert (code, shown) == (2, "")
    assert "osler init" in err
    where = {"OSLER_DATA_DIR": str(tmp_path / "data")}
    assert main(["init"], where) == 0
    capsys.readouterr()
    code, shown, err = run(*asked)
    assert code == 0, err
    document = one(shown)
    assert document["corpus"] == {"name": "ours", "sha256": hashlib.sha256(corpus.read_bytes()).hexdigest()}
    with open_stores(load({}, data_dir=tmp_path / "data"), {}) as stores:
        (kept,) = evaluations.kept(stores)
    assert kept.report == document
    assert "ibuprofen" not in str(kept)


def test_encounters_are_listed_and_those_first_whose_audio_is_soon_deleted(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"], {"OSLER_DATA_DIR": str(tmp_path / "data")}) == 0
    capsys.readouterr()
    assert one(run("list", "--json")[1]) == []
    ann, days = Agent("ann", "person"), 86400.0
    made = []
    with open_stores(load({}, data_dir=tmp_path / "data"), {}) as stores:
        for age_s in (25 * days, 1 * days):
            capture = Capture(stores, Limits(), clock=lambda age_s=age_s: time.time() - age_s)  # type: ignore[misc]
            agreed = Consent(ConsentMethod.VERBAL, "2026-09-21T10:00:00Z", "ann")
            held = capture.create(ann, Wanted(Subject("P1"), "soap", consent=agreed))
            capture.add(ann, held.id, [(0, 0, b"RIFF")])
            made.append(held.id)
    rows = one(run("list", "--json")[1])
    assert [row["id"] for row in rows] == made  # type: ignore[index]
    assert all(row["audio_delete_at"] for row in rows)  # type: ignore[index]
    code, out, err = run("list", "--limit", "1")
    assert (code, made[1] in out) == (0, False)
    assert "soon deleted" in err
    (tmp_path / "data" / "osler.toml").write_text("[scribe]\nkeep_unfinished_audio_days = 0\n")
    code, _, err = run("list")
    assert code == 2
    assert "keep_unfinished_audio_days" in err
