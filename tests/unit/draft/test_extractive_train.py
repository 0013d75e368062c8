"""The training script: its labels, and a fit that is the same each time."""

import sys
from pathlib import Path

import numpy as np
import pytest

from osler.domain.note import Topic
from osler.draft.evaluate.corpora import Case, read_dialogue
from osler.draft.extractive import linear
from osler.draft.extractive.models import models
from osler.draft.extractive.train import TOPICS, aligned, example, main, topic_of_lines, worth_keeping

NOTE = """CHIEF COMPLAINT

Right knee pain.

REVIEW OF SYSTEMS

Denies fever or chills.

RESULTS

X-ray of the right knee is normal.
Hemoglobin is 12.

ASSESSMENT AND PLAN

Knee pain.
Medical Reasoning: This is likely a sprain.
Medical Treatment: Start ibuprofen 400 mg.
"""
DIALOGUE = """[doctor] so what brings you in ?
[patient] my right knee hurts .
[doctor] any fever or chills ?
[patient] no .
[doctor] i'm going to start you on ibuprofen 400 milligrams ."""


def test_lines_of_a_note_are_read_by_heading_and_wording() -> None:
    topics = dict(topic_of_lines(NOTE))
    assert topics["Right knee pain."] is Topic.CHIEF_COMPLAINT
    assert topics["Denies fever or chills."] is Topic.REVIEW_OF_SYSTEMS
    assert topics["X-ray of the right knee is normal."] is Topic.IMAGING
    assert topics["Hemoglobin is 12."] is Topic.LABS
    assert topics["Medical Reasoning: This is likely a sprain."] is Topic.ASSESSMENT
    assert topics["Medical Treatment: Start ibuprofen 400 mg."] is Topic.PLAN


def test_labels_keep_what_raises_the_overlap_and_align_by_rare_words() -> None:
    assert worth_keeping(["Denies fever or chills.", "Lovely weather we had."], NOTE) == {0}
    assert worth_keeping([], NOTE) == set()
    made = example(Case("1", read_dialogue(DIALOGUE), NOTE)).made
    topics = dict(zip((one.text for one in made), aligned(made, NOTE), strict=True))
    assert topics["Denies fever or chills."] is Topic.REVIEW_OF_SYSTEMS
    assert topics["We will start the patient on ibuprofen 400 mg."] is Topic.PLAN


def test_both_fits_learn_are_the_same_each_time_and_survive_the_file(tmp_path: Path) -> None:
    rows = [["red", "round"], ["red", "big"], ["blue", "round"], ["blue", "big"]] * 5
    labels = ["apple", "apple", "berry", "berry"] * 5
    targets = np.array([[label == "apple", label == "berry"] for label in labels], np.float32)
    soft = linear.fit(rows, targets, ("apple", "berry"))
    hard = linear.fit_margins(
        rows, labels, ("apple", "berry"), importance=np.ones(20, np.float32), cost=1.0, sharpness=3.0
    )
    again = linear.fit(rows, targets, ("apple", "berry"))
    assert np.array_equal(soft.weights, again.weights)
    for model in (soft, hard):
        linear.save(str(tmp_path / "model.npz"), model)
        read = linear.load(str(tmp_path / "model.npz"))
        assert read.classes == ("apple", "berry")
        assert read.probabilities(["red", "never seen"])[0] > 0.8
        assert read.probabilities(["blue"])[1] > 0.8
        assert read.probabilities([]).sum() == pytest.approx(1)


def test_the_script_writes_the_three_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, note = DIALOGUE.replace("\n", "\r\n"), NOTE.replace("\n", "\r\n")
    quoted = f'"{said}","{note}"'
    (tmp_path / "aci.csv").write_text(f"encounter_id,dialogue,note\n1,{quoted}\n2,{quoted}\n", "utf-8")
    (tmp_path / "primock.csv").write_text(f"id,dialogue,note\n1,{quoted}\n", "utf-8")
    row = '"Doctor: Any allergies?\nPatient: Penicillin, doctor."'
    lines = "".join(f"{n},{topic},Penicillin.,{row}\n" for n, topic in enumerate(["ALLERGY", "CC"] * 2))
    (tmp_path / "mts.csv").write_text(f"ID,section_header,section_text,dialogue\n{lines}", "utf-8")
    names = [str(tmp_path / name) for name in ("aci.csv", "mts.csv", "primock.csv")]
    monkeypatch.setattr(sys, "argv", ["train", *names, "--out", str(tmp_path / "weights")])
    main()
    assert linear.load(str(tmp_path / "weights" / "relevance.npz")).classes == ("left", "kept")
    for name in ("routing.npz", "topics.npz"):
        assert linear.load(str(tmp_path / "weights" / name)).classes == TOPICS


def test_the_shipped_models_are_small_and_whole() -> None:
    shipped = models()
    assert shipped.relevance.classes == ("left", "kept")
    assert shipped.routing.classes == shipped.topics.classes == TOPICS
    folder = Path(linear.__file__).with_name("weights")
    assert sum(file.stat().st_size for file in folder.glob("*.npz")) < 3_000_000
    assert all(np.isfinite(model.weights).all() for model in (shipped.relevance, shipped.routing, shipped.topics))
