"""A transcript read once: what each utterance says, what answers what, what was taken back, what was no talk at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole
from osler.draft.facts.extract import Facts, extract
from osler.draft.facts.words import SENTENCE_ENDS, Word
from osler.draft.gate.answers import Reading, answer
from osler.draft.gate.quotes import Folded, fold
from osler.draft.gate.repairs import Repairs, read_repairs

_SENTENCE: Final = 30
_INSTRUCTION: Final = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.?!]{0,40}"
    r"\b(?:instructions?|prompts?|rules|guidelines|above|everything you)\b"
    r"|\b(?:ignore|disregard|forget) (?:all |any |the |your |my )*(?:previous|prior|earlier)\b"
    r"|\b(?:system|developer) (?:prompt|message|instructions?)\b|\bnew instructions?\b"
    r"|\byou are (?:now )?(?:an? )?(?:ai|assistant|language model|chatbot|chat bot)\b"
    r"|\b(?:attention|dear|note to|message to|as) (?:an? |the )?(?:ai|assistant|language model|scribe|model)\b"
    r"|</?(?:system|user|assistant|instructions?)>|\b(?:system|assistant)\s*:",
    re.IGNORECASE,
)
_DICTATED: Final = re.compile(
    r"\b(?:add|write|put|include|insert|list|document|record)\b[^.?!]{0,60}"
    r"\b(?:to|in|into|on) (?:the|my|your|this) "
    r"(?:note|chart|record|summary|med(?:ication)? list|list|prescriptions?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Heard:
    """An utterance as the gate reads it.

    Parameters
    ----------
    said : DeidentifiedUtterance
    facts : Facts
    flags : tuple of int
        Of each word; questions that were answered have become yes or no.
    kin : tuple of str
        Of each word; an answer about the family is the family's.
    partner : int
        Number of the utterance that answers this one, or that this one answers; 0 when there is none.
    repairs : Repairs
        What it puts right, of itself or of what was said before.
    instructs : bool
        Whether it speaks to the machine rather than to a person; it is no evidence then.
    """

    said: DeidentifiedUtterance
    facts: Facts
    flags: tuple[int, ...]
    kin: tuple[str, ...]
    partner: int
    repairs: Repairs
    instructs: bool

    @cached_property
    def folded(self) -> Folded:
        """The text as quotes are looked for in it."""
        return fold(self.said.text)


class Conversation:
    """All utterances of a transcript, read in time linear in its length.

    Parameters
    ----------
    transcript : DeidentifiedTranscript
    """

    def __init__(self, transcript: DeidentifiedTranscript) -> None:
        self.transcript = transcript
        facts = [extract(said.text, spoken=True) for said in transcript.utterances]
        rows = zip(transcript.utterances, facts, strict=True)
        readings = [Reading(said, fact, list(fact.flags), list(fact.kin)) for said, fact in rows]
        partners = answer(readings)
        self.heard = tuple(
            Heard(
                one.said,
                one.facts,
                tuple(one.flags),
                tuple(one.kin),
                partners.get(at, -1) + 1,
                read_repairs(one.facts),
                _instructs(one.said),
            )
            for at, one in enumerate(readings)
        )

    @cached_property
    def has_clinician(self) -> bool:
        """Whether anyone is known to be the clinician; where nobody is, roles say nothing."""
        return any(heard.said.role is SpeakerRole.CLINICIAN for heard in self.heard)

    def __getitem__(self, number: int) -> Heard:
        return self.heard[number - 1]

    def __contains__(self, number: int) -> bool:
        return 1 <= number <= len(self.heard)


def _instructs(said: DeidentifiedUtterance) -> bool:
    if _INSTRUCTION.search(said.text):
        return True
    return said.role is not SpeakerRole.CLINICIAN and bool(_DICTATED.search(said.text))


def sentences(words: Sequence[Word], start: int, end: int) -> tuple[int, int]:
    """Widen a range of words to whole sentences, though not beyond thirty words on a side."""
    low, high = start, end
    while low > 0 and start - low < _SENTENCE and words[low - 1].text not in SENTENCE_ENDS:
        low -= 1
    while high < len(words) and high - end < _SENTENCE and words[high - 1].text not in SENTENCE_ENDS:
        high += 1
    return low, high
