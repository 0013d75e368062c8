"""What a dialogue is about, as one of the section headers of MTS-Dialog."""

import re
from dataclasses import dataclass

from osler.domain.note import Topic
from osler.draft.extractive.features import dialogue_features
from osler.draft.extractive.models import models

_TAG = re.compile(r"^\s*\[?\s*([A-Za-z][A-Za-z_ ]{2,20}\d?)\s*[:\]]\s*")


@dataclass(frozen=True, slots=True)
class TopicGuess:
    """The likeliest topic, and how likely each is.

    Parameters
    ----------
    topic : Topic
    probabilities : tuple of (Topic, float)
        The likeliest first; they sum to 1.
    """

    topic: Topic
    probabilities: tuple[tuple[Topic, float], ...]


def classify_topic(text: str) -> TopicGuess:
    """Return what a dialogue, or a part of one, is about.

    Parameters
    ----------
    text : str
        Lines such as ``Doctor: any allergies?``; lines without a speaker count as the clinician's.
    """
    turns = []
    for line in text.splitlines():
        tag = _TAG.match(line)
        speaker = tag[1].lower() if tag else "clinician"
        role = "patient" if speaker == "patient" else "other"
        role = "clinician" if speaker.startswith(("doctor", "clinician", "nurse", "physician")) else role
        turns.append((role, line[tag.end() :] if tag else line))
    model = models().topics
    found = model.probabilities(dialogue_features([(role, said) for role, said in turns if said.strip()]))
    ranked = sorted(zip(map(Topic, model.classes), map(float, found), strict=True), key=lambda pair: -pair[1])
    return TopicGuess(ranked[0][0], tuple(ranked))
