"""The generated notes: repeatable, correctly marked, and two parts that share nothing."""

from importlib.resources import files

import pytest

from osler.deidentify.text.corpus import held_out_notes, training_notes
from osler.deidentify.text.corpus.values import IDENTIFIERS
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.spans import Category


def test_the_same_seed_gives_the_same_notes() -> None:
    first, again, other = (list(held_out_notes(30, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("notes", [training_notes, held_out_notes])
def test_marks_are_in_order_apart_and_hold_text(notes: object) -> None:
    assert callable(notes)
    for note in notes(120, seed=5):
        last = 0
        for planted in note.planted:
            assert last <= planted.start < planted.end <= len(note.text)
            marked = note.text[planted.start : planted.end]
            assert marked.strip() == marked
            last = planted.end
        assert "{" not in note.text


def test_every_kind_of_identifier_is_planted() -> None:
    planted = {p.category for note in held_out_notes(400, seed=1) for p in note.planted}
    assert planted >= {category for category, _ in IDENTIFIERS.values()} | {Category.NAME}


def test_the_parts_share_no_template() -> None:
    lines = [
        {line[2:] for line in files("osler.deidentify.text.corpus").joinpath(name).read_text().splitlines() if line}
        for name in ("training.txt", "held_out.txt")
    ]
    assert not {line for line in lines[0] & lines[1] if len(line) > 20}


def test_the_parts_share_no_listed_name() -> None:
    names = [
        {word for note in notes(400, seed=3) for p in note.planted if p.category is Category.NAME
         for word in note.text[p.start : p.end].lower().replace(",", " ").split() if len(word) > 6}
        for notes in (training_notes, held_out_notes)
    ]  # fmt: skip
    assert len(names[0]) > 500
    listed = {word for word in names[0] & names[1] if word in load_lexicon()}
    assert not listed  # invented names may coincide


def test_an_eponym_note_has_no_identifier() -> None:
    eponyms = [note for note in held_out_notes(60, seed=1) if note.id.startswith("eponyms")]
    assert eponyms
    assert all(note.planted == () for note in eponyms)


def test_a_note_prints_as_gold() -> None:
    (note,) = held_out_notes(1, seed=1)
    line = note.to_json()
    assert line["text"] == note.text
    assert line["spans"] == [{"start": p.start, "end": p.end, "cat": p.category.value} for p in note.planted]
