"""A documented encounter: whose it is, who consented to its recording and how, and how far its note has come."""

from dataclasses import dataclass
from enum import StrEnum


class EncounterState(StrEnum):
    """How far an encounter has come on its way from speech to a signed note."""

    OPEN = "open"
    """Audio or a transcript may come."""
    RECORDED = "recorded"
    """All audio is here and waits to be transcribed."""
    TRANSCRIBED = "transcribed"
    """The transcript waits to become a draft."""
    DRAFTED = "drafted"
    """A person may review, edit and sign."""
    SIGNED = "signed"
    FAILED = "failed"
    """A person must look; nothing that came is lost."""


class ConsentMethod(StrEnum):
    """How consent to a recording was given."""

    VERBAL = "verbal"
    WRITTEN = "written"
    ELECTRONIC = "electronic"


@dataclass(frozen=True, slots=True)
class Consent:
    """That the recording was agreed to.

    Parameters
    ----------
    method : ConsentMethod
    obtained_at : str
        FHIR instant.
    recorded_by : str
        Who says so, as the audit names them.
    """

    method: ConsentMethod
    obtained_at: str
    recorded_by: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Logical ids of the resources that an encounter is about; those that are not known are empty."""

    patient: str
    practitioner: str = ""
    encounter: str = ""


@dataclass(frozen=True, slots=True)
class Documented:
    """An encounter as the ledger has it.

    Parameters
    ----------
    id : str
    subject : Subject
    state : EncounterState
    template : str
        Name of the kind of note.
    detail : {"brief", "standard", "full"}
    consent : Consent or None
        Without one no audio is taken.
    paused : bool
    reason : str
        Why it failed, in words that quote nothing; empty otherwise.
    progress_s : float
        How much of the audio has been transcribed, seconds.
    revision : int
        Counts every change of the note; what a client sends with ``If-Match``.
    created_by : str
    created_at, updated_at : float
        Seconds since the epoch, UTC.
    audio_bytes : int
        Of the audio that is here.
    audio_deleted_at : float or None
    by_problem : bool or None
        Whether assessment and plan stand by problem; None as the kind of note says.
    patient_called : str
        How the note calls the patient.
    audio_until : float or None
        When the audio is deleted; None where no time is set.
    touched_at : float
        When somebody last did something with it: a change, or a part of audio that arrived.
    """

    id: str
    subject: Subject
    state: EncounterState
    template: str
    detail: str
    consent: Consent | None
    paused: bool
    reason: str
    progress_s: float
    revision: int
    created_by: str
    created_at: float
    updated_at: float
    audio_bytes: int = 0
    audio_deleted_at: float | None = None
    by_problem: bool | None = None
    patient_called: str = "the patient"
    audio_until: float | None = None
    touched_at: float = 0.0
