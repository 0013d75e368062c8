"""Many short texts of one message as one long text: the engine reads it several times as fast, and sees all names."""

from collections.abc import Iterable, Sequence
from typing import Final

from osler.deidentify.free_text import TextDeidentifier

MANY: Final = 200
"""From so many different texts on they are read together."""

_BETWEEN: Final = ";\n"
"""Stands between two texts: no sentence, name, date or number goes on across it."""

_A_TIME: Final = 1000


class RecordedText:
    """Takes the place of the text engine in a pass that is thrown away; keeps what was asked for."""

    def __init__(self) -> None:
        self.texts: dict[str, None] = {}

    def deidentify(self, text: str) -> str:
        """Note a text."""
        self.texts[text] = None
        return text

    def display(self, text: str) -> str:
        """Note a text."""
        return self.deidentify(text)


class BatchedText:
    """Texts that were cleaned together; any other by itself.

    Parameters
    ----------
    text : TextDeidentifier
    texts : iterable of str
    """

    def __init__(self, text: TextDeidentifier, texts: Iterable[str]) -> None:
        self._text = text
        self._done: dict[str, str] = {}
        waiting = [one for one in texts if one and _BETWEEN not in one]
        for start in range(0, len(waiting), _A_TIME):
            self._clean(waiting[start : start + _A_TIME])

    def _clean(self, texts: Sequence[str]) -> None:
        made = self._text.deidentify(_BETWEEN.join(texts)).split(_BETWEEN)
        if len(made) == len(texts):  # else something took the mark between two for its own: each by itself
            self._done.update(zip(texts, made, strict=True))

    def deidentify(self, text: str) -> str:
        """Return the text without identifiers; empty when nothing of it may go on."""
        return self._done[text] if text in self._done else self._text.deidentify(text)

    def display(self, text: str) -> str:
        """Return the display of a code of a shared vocabulary without identifiers."""
        return self._done[text] if text in self._done else self._text.display(text)
