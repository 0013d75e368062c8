"""What structured formats ask of the text engine, and what they do without one: remove free text."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

Known = Mapping[str, Any]
"""What is known of the people in a message, as a FHIR Patient: name, birthDate, telecom, address, identifier."""


class TextDeidentifier(Protocol):
    """Takes the identifiers out of a text."""

    def deidentify(self, text: str) -> str:
        """Return the text without identifiers; empty when nothing of it may go on."""
        ...


TextFor = Callable[[Known], TextDeidentifier]
"""Makes a text de-identifier that looks for the people of one message first."""


class RemovedText:
    """Removes all free text: what is not understood does not go on."""

    def deidentify(self, text: str) -> str:
        """Return nothing of the text."""
        return ""


def no_text(known: Known) -> TextDeidentifier:
    """Return what removes all free text."""
    return RemovedText()
