"""The text engine as the structured formats use it: it looks first for what the message itself says of its people."""

import re
from functools import cache
from typing import Final

from osler.deidentify.free_text import Known, TextDeidentifier, TextFor, name_words
from osler.deidentify.recognisers import installed_recognisers
from osler.deidentify.text import Deidentifier, en

_WORDS: Final = re.compile(r"[a-z]+")
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z ,()/'-]{0,120}")
_NAME_OF_PANEL: Final = re.compile(r" \[[A-Z]{2,10}\]")


@cache
def _engine(method: str) -> Deidentifier:
    """Return a process's engine; word lists and the model are read once."""
    return Deidentifier(method=method, recognisers=installed_recognisers())


class EngineText:
    """Takes identifiers out of text.

    Parameters
    ----------
    known : Known
    secret : str, optional
        What the patient's shift and surrogates are drawn from; without it they are fresh each time.
    method : str, optional
    """

    def __init__(self, known: Known, secret: str = "", method: str = "safe-harbor") -> None:
        self._engine = _engine(method).for_patient(known, key=secret.encode() or None)
        self._names = name_words(known)
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

    def display(self, text: str) -> str:
        """Return the display of a code without identifiers.

        A few ordinary words that no person of the message is called by are the code's own; alone, with no sentence
        around it, "English" looks to the engine like a name.
        """
        bare = _NAME_OF_PANEL.sub("", text)
        words = _WORDS.findall(bare.lower())
        plain = _PLAIN.fullmatch(bare.strip()) is not None and all(map(en.is_vocabulary, words))
        return text if plain and self._names.isdisjoint(_WORDS.findall(text.lower())) else self.deidentify(text)


def engine_text(known: Known, secret: str = "", method: str = "safe-harbor") -> TextDeidentifier:
    """Return the engine for the people of one message."""
    # Without a secret nothing says how far dates move: then they go to the year, as in the structured values.
    by = method if secret else "safe-harbor"
    return EngineText(_without_towns(known) if by == "limited-data-set" else known, secret, by)


def _without_towns(known: Known) -> Known:
    """Return what is known without the towns and ZIP codes, which a limited data set keeps."""
    addresses = known.get("address") or ()
    kept = [{k: v for k, v in a.items() if k not in ("city", "postalCode")} for a in addresses]
    return {**known, "address": kept} if kept else known


def engine_by(method: str) -> TextFor:
    """Return what makes the engine of a method."""
    return lambda known, secret: engine_text(known, secret, method)
