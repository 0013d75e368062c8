"""The texts that were written by hand: enough of them, of all kinds, and marked without a slip."""

from collections import Counter

import pytest

from osler.deidentify.text.corpus.hand_made import PARTS, hand_made_texts
from osler.deidentify.text.gold import IGNORED
from osler.deidentify.text.spans import Category


def test_there_are_enough_of_all_kinds() -> None:
    texts = [text for part in PARTS for text in hand_made_texts(part)]
    assert len({text.id for text in texts}) == len(texts) >= 310
    assert sum(not text.marked for text in texts) >= 60
    marked = Counter(mark.category for text in texts for mark in text.marked)
    assert set(marked) == {*Category, IGNORED}
    assert min(marked.values()) >= 5


@pytest.mark.parametrize("part", PARTS)
def test_marks_are_clean(part: str) -> None:
    for text in hand_made_texts(part):
        assert not {"{", "}"} & set(text.text), text.id
        for mark in text.marked:
            value = text.text[mark.start : mark.end]
            assert value == value.strip(), text.id
            assert any(character.isalnum() for character in value), text.id
