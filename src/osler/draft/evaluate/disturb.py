"""Transcripts as they come in practice: with the speakers taken for one another, and as a recogniser hears them."""

import random
import re
from dataclasses import replace
from typing import Final

from osler.domain.transcript import DeidentifiedTranscript, SpeakerRole

_SWAPPED: Final = {SpeakerRole.CLINICIAN: SpeakerRole.PATIENT, SpeakerRole.PATIENT: SpeakerRole.CLINICIAN}
_MARKS: Final = re.compile(r"(?<![\w])[^\w\s\[\]]+|[^\w\s\[\]']+(?![\w])|[,;:!?]")
_FILLERS: Final = ("uh", "um", "you know", "like")


def swap_speakers(transcript: DeidentifiedTranscript) -> DeidentifiedTranscript:
    """Take the clinician for the patient and the patient for the clinician."""
    return replace(
        transcript,
        utterances=tuple(replace(said, role=_SWAPPED.get(said.role, said.role)) for said in transcript.utterances),
    )


def as_recognised(transcript: DeidentifiedTranscript, *, errors: float = 0.05, seed: int = 0) -> DeidentifiedTranscript:
    """Write a transcript as a recogniser may: lower case, no marks, words lost, doubled or filled.

    Parameters
    ----------
    transcript : DeidentifiedTranscript
    errors : float
        Share of the words that something happens to, 0 to 1.
    seed : int
        The same seed makes the same errors.
    """
    chance = random.Random(seed)  # noqa: S311 - errors to measure with, nothing secret
    return replace(
        transcript,
        utterances=tuple(
            replace(said, text=_heard(said.text, errors, chance) or said.text) for said in transcript.utterances
        ),
    )


def _heard(text: str, errors: float, chance: random.Random) -> str:
    out: list[str] = []
    for word in _MARKS.sub(" ", text).split():
        spoken = word if word.startswith("[") else word.lower()
        if chance.random() >= errors:
            out.append(spoken)
            continue
        out.extend(chance.choice(((), (spoken, spoken), (spoken, chance.choice(_FILLERS)))))
    return " ".join(out)
