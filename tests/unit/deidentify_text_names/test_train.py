"""The trainer: repeatable, and what it writes finds names."""

import json
import random
from pathlib import Path

from osler.deidentify.text.corpus import training_notes
from osler.deidentify.text.en.train import Labelled, annotated, fit, is_held_out, planted
from osler.deidentify.text.spans import Category


def _notes(count: int) -> list[Labelled]:
    return [
        Labelled(note.text, tuple((p.start, p.end) for p in note.planted if p.category is Category.NAME))
        for note in training_notes(count, seed=1)
    ]


def test_training_twice_gives_the_same_weights(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fit(_notes(24), random.Random(3), tmp_path / name, iterations=5)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_names_are_planted_where_a_carrier_has_a_title_or_the_patient(tmp_path: Path) -> None:
    carrier = tmp_path / "notes.csv"
    carrier.write_text('id,note\n1,"' + "Followed by Dr. Kumar. The patient is stable. " * 20 + '"\n')
    (labelled,) = planted([carrier], random.Random(1))
    assert "Kumar" not in labelled.text
    assert len(labelled.names) > 20
    assert all(labelled.text[start:end].strip() for start, end in labelled.names)


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    text = tmp_path / "text.jsonl"
    rows = [{"id": f"t{i}", "text": f"text {i}", "spans": []} for i in range(50)]
    text.write_text("\n".join(map(json.dumps, rows)))
    used = {labelled.text for labelled in annotated([text])}
    kept = {str(row["text"]) for row in rows if not is_held_out(str(row["id"]))}
    assert used == kept
    assert 0 < len(kept) < 50
