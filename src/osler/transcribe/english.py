"""Is it English? Told by everyday words, for transcripts that do not say their language, or say a wrong one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from osler.domain.transcript import Utterance
from osler.transcribe.hotwords import common_words

_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_LEAST_WORDS: Final = 8
_LEAST_OF_ONE: Final = 5
_FEW: Final = 0.5
"""English dialogues of ACI-BENCH and MTS-Dialog have 77 % and more of the words of three letters and more; other
languages, 43 % and less."""


@dataclass(frozen=True, slots=True)
class Language:
    """What was made out.

    Parameters
    ----------
    english : bool
        Whether it is, taken as a whole; too few words are given the benefit of the doubt.
    others : tuple of int
        Numbers of the utterances that are not.
    """

    english: bool
    others: tuple[int, ...]


def look(utterances: Sequence[Utterance]) -> Language:
    """Tell which utterances are in English."""
    known, total, others = 0, 0, []
    for utterance in utterances:
        words = [word.lower() for word in _WORD.findall(utterance.text)]
        found = sum(word in common_words() for word in words)
        if len(words) >= _LEAST_OF_ONE and found < _FEW * len(words):
            others.append(utterance.number)
        known, total = known + found, total + len(words)
    return Language(total < _LEAST_WORDS or known >= _FEW * total, tuple(others))
