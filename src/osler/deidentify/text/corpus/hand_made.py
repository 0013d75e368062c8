"""Texts written by hand, without a look at the rules and the model: the measure that no template flatters."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from osler.deidentify.text.gold import Gold, parse_marked

TRAINING_PARTS: Final = ("dev", "hostile", "round1", "round2", "round3", "round4")
"""Parts that the model is fitted to as well; ``round1`` and so on were measured once, before anything was changed."""

PARTS: Final = (*TRAINING_PARTS, "round5", "blind")
"""``dev`` and ``hostile`` (short notes in which every word is a trap) may be read to improve the engine, and so may the
rounds once they are measured; of ``blind`` only rates are looked at."""


def hand_made_texts(part: str) -> Iterator[Gold]:
    """Return the marked texts of one of `PARTS`, file by file."""
    folder = files(__package__).joinpath("marked", part)
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        yield from parse_marked(file.read_text("utf-8"), file.name.removesuffix(".txt"))
