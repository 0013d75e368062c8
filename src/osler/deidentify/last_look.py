"""A last look at a cleaned text: what a message itself says of its people is not in it, whatever it is glued to.

The text engine looks for whole words and numbers. A number that a broken interface wrote against the next word is none.
"""

import re
from collections.abc import Iterator
from typing import Final

from osler.deidentify.free_text import Known, TextDeidentifier, street_lines

GONE: Final = "[REMOVED]"
_SHORTEST_NUMBER: Final = 6
_SHORTEST_WORDS: Final = 7
_NUMBER: Final = re.compile(r"[0-9]+(?:-[0-9]+)*")
_GLUED: Final = re.compile(r"[0-9]{6}|[0-9]-[0-9]")


class LastLook:
    """Takes out what a text engine leaves of the numbers, addresses and contacts that are known.

    What is glued to letters goes before the engine reads the text, so that it cannot hide a part and leave the rest.

    Parameters
    ----------
    text : TextDeidentifier
    known : Known
    """

    def __init__(self, text: TextDeidentifier, known: Known) -> None:
        self._text = text
        values = list(_values(known))
        digits = (re.sub(r"[^0-9]", "", value) for value in values if not re.search(r"[^\W\d_]{3}", value))
        self._numbers = frozenset(number for number in digits if len(number) >= _SHORTEST_NUMBER)
        words = {value.lower() for value in values if re.search(r"[^\W\d_]", value) and len(value) >= _SHORTEST_WORDS}
        self._words = sorted(words, key=len, reverse=True)

    def deidentify(self, text: str) -> str:
        """Return the text without identifiers; empty when nothing of it may go on."""
        return self._without(self._text.deidentify(self._without(text, glued=True)))

    def display(self, text: str) -> str:
        """Return the display of a code of a shared vocabulary without identifiers."""
        return self._without(self._text.display(self._without(text, glued=True)))

    def _without(self, text: str, *, glued: bool = False) -> str:
        if self._numbers and (not glued or _GLUED.search(text)):
            text = _NUMBER.sub(lambda m: GONE if self._is_known(m, glued=glued) else m[0], text)
        low = text.lower()
        for word in self._words:
            if word in low:
                pattern = re.escape(word)
                form = rf"(?<=\w){pattern}|{pattern}(?=\w)" if glued else pattern
                text = re.sub(form, GONE, text, flags=re.IGNORECASE)
                low = text.lower()
        return text

    def _is_known(self, match: re.Match[str], *, glued: bool) -> bool:
        digits = match[0].replace("-", "")
        if glued and digits in self._numbers:
            around = match.string[match.start() - 1 : match.start()] + match.string[match.end() : match.end() + 1]
            return re.search(r"\w", around) is not None
        return digits in self._numbers or any(n in digits for n in self._numbers if len(n) > _SHORTEST_NUMBER)


def _values(known: Known) -> Iterator[str]:
    for key in ("identifier", "telecom"):
        yield from (str(item.get("value", "")).strip() for item in known.get(key) or ())
    for address in known.get("address") or ():
        for line in address.get("line") or ():
            yield from street_lines(str(line).strip())
