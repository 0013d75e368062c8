"""Notices when a transcript has clinician and patient the wrong way round, and rights it for the draft."""

import re
from dataclasses import replace
from typing import Final

from osler.domain.transcript import DeidentifiedTranscript, SpeakerRole

_CLINICIAN: Final = re.compile(
    r"\b(?:any (?:other|history|pain|fever|nausea|chest|allerg|surger)|do you (?:have|smoke|drink|take|feel)"
    r"|have you (?:had|noticed|been|ever)|"
    r"are you (?:taking|having)|how long|what brings you|let me (?:take|see|check|listen)|i'?m going to"
    r" (?:order|prescribe|refer|start|listen|check)|"
    r"take a listen|physical exam|milligrams?|your (?:blood pressure|heart|lungs|exam|symptoms|medications?"
    r"|results)|follow[- ]up|prescri|i want you to)\b",
    re.IGNORECASE,
)
_PATIENT: Final = re.compile(
    r"\b(?:my (?:pcp|primary care|own doctor|back|knee|stomach|head|wife|husband|mom|chest|leg|arm|shoulder"
    r"|foot|throat|doctor|pain|symptoms|job|blood)|"
    r"i(?:'ve| have) (?:been|had|noticed)|i (?:feel|felt|take|took|started|noticed|fell|tried|smoke|drink|was"
    r" having|get)|it hurts|hurts me|thank you,? doctor)\b",
    re.IGNORECASE,
)
_SURE: Final = 4
_TURNED: Final = {SpeakerRole.CLINICIAN: SpeakerRole.PATIENT, SpeakerRole.PATIENT: SpeakerRole.CLINICIAN}


def sounds_like_patient(text: str) -> bool:
    """Whether words that a clinician is said to have said are a patient's."""
    return bool(_PATIENT.search(text)) and not _CLINICIAN.search(text)


def righted(transcript: DeidentifiedTranscript) -> tuple[DeidentifiedTranscript, bool]:
    """Return a transcript with the roles that the words show, and whether they were turned."""
    evidence = 0
    for utterance in transcript.utterances:
        sign = {SpeakerRole.CLINICIAN: 1, SpeakerRole.PATIENT: -1}.get(utterance.role, 0)
        evidence += sign * (len(_CLINICIAN.findall(utterance.text)) - len(_PATIENT.findall(utterance.text)))
    if evidence > -_SURE:
        return transcript, False
    turned = tuple(replace(u, role=_TURNED.get(u.role, u.role)) for u in transcript.utterances)
    return replace(transcript, utterances=turned), True
