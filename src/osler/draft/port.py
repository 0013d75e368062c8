"""What writes drafts: one port, with an extractive writer inside and a language model beside it."""

from dataclasses import dataclass
from typing import Final, Protocol

from osler.domain.note import Draft, Template, Topic
from osler.domain.transcript import DeidentifiedTranscript

DETAILS: Final = ("brief", "standard", "full")
"""How much of an encounter a note has."""

NAMES_OF_PATIENT: Final = ("the patient", "patient", "the client")
"""How a note may call the patient."""


ORDERED_BY_PROBLEM: Final = frozenset({Topic.ASSESSMENT, Topic.PLAN})
"""A section with one of these stands by problem in a problem-oriented note."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a person wants notes written.

    Parameters
    ----------
    detail : {"brief", "standard", "full"}
    by_problem : bool or None
        Whether assessment and plan stand by problem; None as the template says.
    patient_called : str
        How the note calls the patient: people choose one of :data:`NAMES_OF_PATIENT`.
    """

    detail: str = "standard"
    by_problem: bool | None = None
    patient_called: str = "the patient"


class Writer(Protocol):
    """Writes a draft from what was said, without knowing who said it."""

    def write(self, transcript: DeidentifiedTranscript, template: Template, style: Style) -> Draft:
        """Return a draft of which every statement names its utterances.

        Raises
        ------
        PeerUnavailable, PluginTimeout, ContractViolation
            If a writer outside cannot be reached, is too slow, or does not keep to the form; no draft comes then.
        """
        ...
