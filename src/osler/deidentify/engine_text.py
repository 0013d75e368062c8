"""The text engine behind structured formats: it looks first for what the message itself says of its people."""

from osler.deidentify.free_text import Known, TextDeidentifier
from osler.deidentify.text import Deidentifier


class EngineText:
    """Takes identifiers out of text by Safe Harbor.

    Parameters
    ----------
    known : Known
    """

    def __init__(self, known: Known) -> None:
        self._engine = Deidentifier(context=known)
        self._done: dict[str, str] = {}

    def deidentify(self, text: str) -> str:
        """Return the text without identifiers.

        Raises
        ------
        DeidentificationRefused
            If the engine failed; there is no partial result.
        """
        if text not in self._done:  # displays and units come again and again
            self._done[text] = self._engine.deidentify(text).text
        return self._done[text]


def engine_text(known: Known) -> TextDeidentifier:
    """Return the engine for the people of one message."""
    return EngineText(known)
