"""Invented people for generated notes: the training part and the held-out part draw from disjoint names."""

import random
import zlib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from osler.deidentify.text.en.wordlists import load_lexicon

_ONSETS = "b br ch d dr f g gr h j k kr l m n p q r s sh st t th tr v w y z zh".split()  # noqa: SIM905
_VOWELS = "a e i o u ai ea ou ie".split()  # noqa: SIM905
_CODAS = "n r s l m k t nd rt ck x v sk".split()  # noqa: SIM905
_PARTICLES = ["de la", "van der", "von", "bin", "al", "del", "di", "van", "O'", "Mc", "D'", "El-", "Al-", "Mac"]
_SPACED = [
    "de",
    "de la",
    "del",
    "van",
    "van der",
    "von",
    "bin",
    "ibn",
    "bint",
    "al",
    "el",
    "di",
    "da",
    "dos",
    "ter",
    "ben",
]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a note."""

    given: str
    middle: str
    surname: str
    female: bool
    word: str
    """A name that is an ordinary word or an eponym too."""
    particle: str
    """What may stand before a surname, as in "van der Berg"."""

    @property
    def initials(self) -> str:
        """First letters of given name and surname."""
        return self.given[0] + self.surname[0]


class People:
    """A source of people for one part of the corpus.

    Parameters
    ----------
    held_out : bool
        Whether to draw from the fifth of the names that training never sees.
    """

    def __init__(self, *, held_out: bool) -> None:
        self._held_out = held_out

    def draw(self, rng: random.Random) -> Person:
        """Return a person of any culture; one in ten bears a name that no list has."""
        return Person(
            self._given(rng),
            self._given(rng),
            self._surname(rng),
            rng.random() < 0.5,
            self._word(rng),
            rng.choice(_SPACED),
        )

    def _given(self, rng: random.Random) -> str:
        if rng.random() < 0.1:
            return _invented(rng)
        kind = rng.random()
        if kind < 0.04:
            return rng.choice(self._words["g"]).title()
        name = rng.choice(self._nicknames).title() if kind < 0.12 else self._pick(rng, "g")
        return f"{name}-{self._pick(rng, 'g')}" if rng.random() < 0.03 else name

    def _surname(self, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.1:
            return _invented(rng)
        name = self._pick(rng, "s")
        if kind < 0.15:
            return f"{name}-{self._pick(rng, 's')}"
        if kind < 0.2:
            particle = rng.choice(_PARTICLES)
            return f"{particle}{name}" if particle[-1] in "'c-" else f"{particle} {name}"
        return self._word(rng) if kind > 0.94 else name

    def _word(self, rng: random.Random) -> str:
        return rng.choice(self._words[rng.choice("gs")]).title()

    def _pick(self, rng: random.Random, letter: str) -> str:
        rank = rng.choices("0123" if letter == "s" else "012", (5, 4, 3, 1) if letter == "s" else (5, 4, 3))[0]
        return rng.choice(self._names[letter + rank]).title()

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {f"{letter}{rank}": [] for letter in "gs" for rank in range(4)}
        for word, code in load_lexicon().items():
            if len(word) > 1 and (zlib.crc32(word.encode()) % 5 == 0) == self._held_out:
                for part in code:
                    if part in names:
                        names[part].append(word)
        return names

    @cached_property
    def _nicknames(self) -> list[str]:
        lines = files("osler.deidentify.text.en.data").joinpath("nicknames.txt").read_text("utf-8").split()
        return [name for name in dict.fromkeys(lines) if (zlib.crc32(name.encode()) % 5 == 0) == self._held_out]

    @cached_property
    def _words(self) -> dict[str, list[str]]:
        return {
            letter: [
                word
                for word, code in load_lexicon().items()
                if (zlib.crc32(word.encode()) % 5 == 0) == self._held_out
                and len(word) > 2
                and not {f"{letter}0", f"{letter}1"}.isdisjoint(code)
                and not {"w0", "w1", "w2", "e"}.isdisjoint(code)
            ]
            for letter in "gs"
        }


def _invented(rng: random.Random) -> str:
    syllables = (rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((1, 2, 2, 3))))
    return ("".join(syllables) + rng.choice(_CODAS)).title()
