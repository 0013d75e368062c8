"""Characters that no chart should hold, out of a text."""

import re
from typing import Final

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Controls, marks that turn the direction of text, characters without a glyph, halves of pairs: none is said."""


def printable(text: str) -> str:
    """Return a text without the characters that no chart should hold, each replaced by a blank."""
    return _UNPRINTABLE.sub(" ", text)
