"""What was said in an encounter: utterances with their times, who spoke, and the same without identifiers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SpeakerRole(StrEnum):
    """What a speaker is in the encounter."""

    CLINICIAN = "clinician"
    PATIENT = "patient"
    OTHER = "other"


@dataclass(frozen=True, slots=True, repr=False)
class Word:
    """A word with its place in the audio.

    Parameters
    ----------
    text : str
    start_s, end_s : float
        From the beginning of the recording, seconds.
    probability : float
        Of the recogniser, 0 to 1.
    """

    text: str
    start_s: float
    end_s: float
    probability: float = 1.0

    def __repr__(self) -> str:
        return f"Word({self.start_s:.2f}-{self.end_s:.2f} s, <identified>)"


@dataclass(frozen=True, slots=True, repr=False)
class Utterance:
    """What one speaker said in one go.

    Parameters
    ----------
    number : int
        From 1, in the order of the transcript; what evidence refers to.
    speaker : str
        Label of the voice, as ``S1``; the same voice has the same label.
    role : SpeakerRole
    text : str
    start_s, end_s : float or None
        From the beginning of the recording, seconds; None where the transcript came without times.
    words : tuple of Word
        Empty where the transcript came without times of words.
    """

    number: int
    speaker: str
    role: SpeakerRole
    text: str
    start_s: float | None = None
    end_s: float | None = None
    words: tuple[Word, ...] = ()

    def __repr__(self) -> str:
        return f"Utterance({self.number}, {self.role.value}, <identified>)"


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """The model that heard.

    Parameters
    ----------
    name, version : str
    sha256 : str
        Of its weights, hexadecimal.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, repr=False)
class Correction:
    """A word that the correction pass changed after recognition.

    Parameters
    ----------
    utterance : int
    heard, written : str
    source : str
        The list that has the word: ``medications``, ``problems`` or ``lexicon``.
    """

    utterance: int
    heard: str
    written: str
    source: str

    def __repr__(self) -> str:
        return f"Correction({self.utterance}, {self.source}, <identified>)"


@dataclass(frozen=True, slots=True, repr=False)
class Transcript:
    """Everything that was said; identified, and never outside the identified zone.

    Parameters
    ----------
    utterances : tuple of Utterance
        Numbered from 1 without a gap.
    language : str
        BCP 47; empty when it is not known.
    model : SpeechModel or None
        None when the transcript came from elsewhere.
    corrections : tuple of Correction
    warnings : tuple of str
        What a reader should know, as words that quote nothing of what was said.
    duration_s : float or None
        Of the audio, seconds.
    """

    utterances: tuple[Utterance, ...]
    language: str = "en"
    model: SpeechModel | None = None
    corrections: tuple[Correction, ...] = ()
    warnings: tuple[str, ...] = ()
    duration_s: float | None = None

    def __repr__(self) -> str:
        return f"Transcript({len(self.utterances)} utterances, <identified>)"


@dataclass(frozen=True, slots=True)
class DeidentifiedUtterance:
    """One utterance with placeholders such as ``[NAME-1]`` for what identifies; number and times are kept."""

    number: int
    speaker: str
    role: SpeakerRole
    text: str
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class DeidentifiedTranscript:
    """A transcript without identifiers; only ``osler.deidentify`` makes it from a :class:`Transcript`.

    Parameters
    ----------
    utterances : tuple of DeidentifiedUtterance
    language : str
    placeholders : mapping of str to int
        How many of each category, as ``{"NAME": 3}``.
    """

    utterances: tuple[DeidentifiedUtterance, ...]
    language: str = "en"
    placeholders: Mapping[str, int] = field(default_factory=dict)

    def utterance(self, number: int) -> DeidentifiedUtterance | None:
        """Return the utterance of a number, None when there is none."""
        return self.utterances[number - 1] if 1 <= number <= len(self.utterances) else None
