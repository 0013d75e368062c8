"""Who is the clinician and who the patient, by what they say."""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Final

from osler.domain.transcript import SpeakerRole, Utterance

_WORD: Final = re.compile(r"[a-z]+(?:['’][a-z]+)*|\?")
_MOST_WORDS: Final = 120


def cues(text: str) -> frozenset[str]:
    """Return what speaks for a role in a text: its words, pairs of words, and how long it is."""
    words = _WORD.findall(text.lower().replace("’", "'").replace(" n't", "n't").replace(" '", "'"))[:_MOST_WORDS]
    pairs = (f"{first} {second}" for first, second in itertools.pairwise(words))
    first = words[0] if words else ""
    return frozenset([*words, *pairs, f"^ {first}", f"# {min(6, len(words) // 8)}"])


@cache
def _weights() -> Mapping[str, float]:
    text = files("osler.transcribe").joinpath("data/role_cues.txt").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.split("\n") if "\t" in line)
    return {cue: float(weight) for cue, weight in rows}


def clinician_score(text: str) -> float:
    """Return how much a text sounds like the clinician: log-odds, above 0 for the clinician, below for the patient."""
    found = cues(text)
    weights = _weights()
    return sum(weights.get(cue, 0.0) for cue in found) / math.sqrt(max(1, len(found)))


def roles_of(utterances: Sequence[Utterance]) -> dict[str, SpeakerRole]:
    """Say what each speaker is.

    The one who sounds most like a clinician is the clinician; of the others the one who sounds most like a patient, and
    says a fair share, is the patient.

    Parameters
    ----------
    utterances : sequence of Utterance
        Their roles are not looked at.

    Returns
    -------
    dict of str to SpeakerRole
        By label of the speaker.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    words: defaultdict[str, int] = defaultdict(int)
    for utterance in utterances:
        scores[utterance.speaker] += clinician_score(utterance.text)
        words[utterance.speaker] += len(utterance.text.split())
    if not scores:
        return {}
    if len(scores) == 1:
        (speaker, score), *_ = scores.items()
        return {speaker: SpeakerRole.CLINICIAN if score > 0 else SpeakerRole.PATIENT}
    clinician = max(scores, key=lambda speaker: scores[speaker])
    rest = [speaker for speaker in scores if speaker != clinician]
    most = max(words[speaker] for speaker in rest)
    patient = min((s for s in rest if words[s] * 3 >= most), key=lambda speaker: scores[speaker])
    named = {clinician: SpeakerRole.CLINICIAN, patient: SpeakerRole.PATIENT}
    return {speaker: named.get(speaker, SpeakerRole.OTHER) for speaker in scores}


def with_roles(utterances: Iterable[Utterance], roles: Mapping[str, SpeakerRole]) -> tuple[Utterance, ...]:
    """Return the utterances with the roles of their speakers; a speaker that is not named keeps the role it has."""
    return tuple(replace(one, role=roles.get(one.speaker, one.role)) for one in utterances)
