"""Clinical notes with planted identifiers, to train on and to measure with; the two parts share no template or name."""

from osler.deidentify.text.corpus.notes import Note, Planted, held_out_notes, training_notes

__all__ = ["Note", "Planted", "held_out_notes", "training_notes"]
