"""Turns of a transcript of others, made to ours."""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from osler.domain.transcript import SpeakerRole, Transcript, Utterance, Word
from osler.errors import Malformed, TooLarge
from osler.transcribe.formats.labels import Turn
from osler.transcribe.pieces import Piece, utterances
from osler.transcribe.roles import roles_of, with_roles
from osler.transcribe.speakers import CLINICIAN_FIRST, by_dialogue

MAX_UTTERANCES: Final = 20_000
MAX_SENTENCES: Final = 60_000
MAX_CHARACTERS: Final = 50_000
"""Of one utterance."""

BY_DIALOGUE: Final = "speakers were told apart by what they say, not by their voices: check who said what"

_SENTENCE: Final = re.compile(r"(?<=[.?!])\s+")
_OURS: Final = re.compile(r"S[0-9]{1,3}")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def transcript_of(
    turns: Iterable[Turn],
    *,
    language: str = "",
    duration_s: float | None = None,
    words: Sequence[tuple[Word, ...]] = (),
) -> Transcript:
    """Make a transcript of turns: numbered, its speakers called S1, S2..., with their roles.

    Turns without labels are told apart by what is said. What a label tells of a role is believed; the others are told
    by what they say.

    Parameters
    ----------
    turns : iterable of Turn
    language : str
    duration_s : float, optional
    words : sequence of tuple of Word
        Of each turn; empty when there are none.

    Raises
    ------
    Malformed
        If nothing is said.
    TooLarge
        If there are more than 20,000 utterances, or one is of more than 50,000 characters.
    """
    said = [replace(turn, text=text) for turn in turns if (text := " ".join(_CONTROLS.sub(" ", turn.text).split()))]
    if not said:
        raise Malformed("the transcript has no words: send one in which somebody says something")
    if len(said) > MAX_UTTERANCES or any(len(turn.text) > MAX_CHARACTERS and turn.label for turn in said):
        raise TooLarge(
            f"a transcript has at most {MAX_UTTERANCES} utterances of at most {MAX_CHARACTERS} characters: split it"
        )
    if not any(turn.label or turn.role for turn in said):
        return _unlabelled(said, words, language, duration_s)
    numbered, roles = _labelled(said, words)
    return Transcript(numbered, language, warnings=_warnings(roles), duration_s=duration_s)


def _labelled(
    said: Sequence[Turn], words: Sequence[tuple[Word, ...]]
) -> tuple[tuple[Utterance, ...], dict[str, SpeakerRole]]:
    names = _names([turn.label for turn in said])
    told = {names[turn.label]: turn.role for turn in said if turn.role}
    numbered = [
        Utterance(
            number,
            names[turn.label],
            told.get(names[turn.label], SpeakerRole.OTHER),
            turn.text,
            turn.start_s,
            turn.end_s,
            words[number - 1] if len(words) == len(said) else (),
        )
        for number, turn in enumerate(said, 1)
    ]
    unknown = [one for one in numbered if one.speaker not in told]
    guessed = roles_of(unknown)
    taken = set(told.values())
    if taken:
        guessed = {name: SpeakerRole.OTHER if role in taken else role for name, role in guessed.items()}
    return with_roles(numbered, guessed), {**guessed, **told}


def _names(labels: Iterable[str]) -> dict[str, str]:
    """Call the speakers S1, S2...; those that are called so already keep their names."""
    every = list(dict.fromkeys(labels))
    kept = {label: label.upper() for label in every if _OURS.fullmatch(label.upper())}
    free = (name for number in range(1, len(every) + 1000) if (name := f"S{number}") not in kept.values())
    return {label: kept.get(label) or next(free) for label in every}


def _warnings(roles: dict[str, SpeakerRole]) -> tuple[str, ...]:
    return ("only one speaker is in the transcript",) if len(roles) == 1 else ()


def _unlabelled(
    said: Sequence[Turn], words: Sequence[tuple[Word, ...]], language: str, duration_s: float | None
) -> Transcript:
    timed = all(turn.start_s is not None for turn in said)
    if timed:
        parts = [
            Piece(turn.text, turn.start_s, turn.end_s, words[at] if len(words) == len(said) else ())
            for at, turn in enumerate(said)
        ]
    else:
        sentences = (sentence for turn in said for sentence in _SENTENCE.split(turn.text, MAX_SENTENCES))
        parts = [Piece(sentence) for sentence in itertools.islice(sentences, MAX_SENTENCES + 1)]
    if len(parts) > MAX_SENTENCES:
        raise TooLarge(f"the transcript has more than {MAX_SENTENCES} sentences: split it")
    spoken = by_dialogue(parts)
    numbered = utterances(spoken, CLINICIAN_FIRST)
    if len(numbered) > MAX_UTTERANCES or any(len(one.text) > MAX_CHARACTERS for one in numbered):
        raise TooLarge("the transcript is one long text of one speaker: put each turn on a line of its own")
    alone = len({speaker for _, speaker in spoken}) == 1
    warning = "only one speaker is in the transcript" if alone else BY_DIALOGUE
    return Transcript(numbered, language, warnings=(warning,), duration_s=duration_s)
