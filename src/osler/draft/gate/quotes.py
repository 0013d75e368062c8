"""Whether a quote is in an utterance: letter case, white space and the form of apostrophes aside."""

from dataclasses import dataclass
from typing import Final

_MOST_PLACES: Final = 200
_SAME: Final = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-"})


@dataclass(frozen=True, slots=True)
class Folded:
    """A text made comparable; ``offsets[i]`` is the code point of the text that ``text[i]`` comes from."""

    text: str
    offsets: tuple[int, ...]

    def find(self, quote: str) -> tuple[int, int] | None:
        """Return the code points ``(start, end)`` of the text that a quote stands at, as whole words; else None."""
        sought = fold(quote).text.strip()
        if not any(letter.isalnum() for letter in sought):
            return None
        at = self.text.find(sought)
        for _ in range(_MOST_PLACES):
            if at < 0:
                break
            end = at + len(sought)
            if not _inside_word(self.text, at) and not _inside_word(self.text, end):
                return self.offsets[at], self.offsets[end - 1] + 1
            at = self.text.find(sought, at + 1)
        return None


def fold(text: str) -> Folded:
    """Return a text in lower case, with single spaces and plain apostrophes."""
    letters: list[str] = []
    offsets: list[int] = []
    for at, letter in enumerate(text.translate(_SAME)):
        if letter.isspace():
            if letters and letters[-1] != " ":
                letters.append(" ")
                offsets.append(at)
            continue
        for lower in letter.lower():
            letters.append(lower)
            offsets.append(at)
    return Folded("".join(letters), tuple(offsets))


def _inside_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()
