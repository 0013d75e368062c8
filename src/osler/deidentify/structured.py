"""What the structured formats, FHIR and HL7 v2, are de-identified with: one method for all values of a call."""

from datetime import UTC, datetime

from osler.deidentify.dicom import Pseudonyms
from osler.deidentify.free_text import TextFor, no_text
from osler.deidentify.methods import Values, values_for


class StructuredDeidentifier:
    """De-identifies by one method.

    Parameters
    ----------
    pseudonyms : Pseudonyms
    text_for : callable
        Makes the text engine for the people of one message, by the same method; without it all free text is removed.
    method : str
        One of :data:`osler.deidentify.methods.CITATIONS`.
    this_year : int, optional
        The year from which ages count; else the current one.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        *,
        text_for: TextFor = no_text,
        method: str = "safe-harbor",
        this_year: int | None = None,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._text_for = text_for
        self._method = method
        self._this_year = this_year if this_year is not None else datetime.now(UTC).year

    def _values_of(self, secret: str) -> Values:
        """Return what the method does with the values of the patient of a secret."""
        return values_for(self._method, secret, this_year=self._this_year)
