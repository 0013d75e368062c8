"""Of whom a patient speaks who says "he" or "she": a note without the name would say it of the patient."""

import re
from typing import Final

_MEN: Final = frozenset({"dad", "father", "brother", "son", "husband", "grandfather", "grandpa", "uncle", "nephew"})
_WOMEN: Final = frozenset(
    {"mom", "mum", "mother", "sister", "daughter", "wife", "grandmother", "grandma", "aunt", "niece"}
)
_NAMED: Final = re.compile(rf"\b(?:{'|'.join(sorted(_MEN | _WOMEN))})\b", re.IGNORECASE)
_SPOKEN_OF: Final = re.compile(r"\b(?P<he>he|she)(?P<is>'s|'d|'ll)?\b", re.IGNORECASE)


def relatives(text: str) -> str:
    """Return the relative that a text names last, as ``dad``; empty for none."""
    return next((match[0].lower() for match in reversed(list(_NAMED.finditer(text)))), "")


def for_relative(text: str, relative: str) -> str:
    """Return a patient's sentence about "he" or "she" with the relative in place of the first of them."""
    match = _SPOKEN_OF.search(text)
    fits = _MEN if match and match["he"].lower() == "he" else _WOMEN
    if match is None or relative not in fits or _NAMED.search(text):
        return text
    return f"{text[: match.start()]}my {relative}{match['is'] or ''}{text[match.end() :]}"
