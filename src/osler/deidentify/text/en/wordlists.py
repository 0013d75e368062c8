"""The word lists: which words are names, ordinary English, diseases, drugs, eponyms."""

import lzma
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

Lexicon = Mapping[str, tuple[str, ...]]
"""For a word in lower case its codes, explained in ``data/README.md``."""


@cache
def load_lexicon() -> Lexicon:
    """Read the lexicon (0.5 s, once in a process); words with the same codes share one tuple."""
    data = files("osler.deidentify.text.en.data").joinpath("lexicon.txt.xz").read_bytes()
    codes: dict[str, tuple[str, ...]] = {}
    lexicon: dict[str, tuple[str, ...]] = {}
    for line in lzma.decompress(data).decode().splitlines():
        word, code = line.split("\t")
        parts = codes.get(code)
        if parts is None:
            parts = codes[code] = _parts(code)
        lexicon[word] = parts
    return lexicon


@cache
def load_places() -> Mapping[str, str]:
    """Read the gazetteer: for a town in lower case, without accents, the code that ``data/build_places.py`` gave it."""
    packed = files("osler.deidentify.text.en.data").joinpath("places.txt.xz").read_bytes()
    lines = (line.split("\t") for line in lzma.decompress(packed).decode().splitlines())
    return {line[0]: line[1] for line in lines}


def _parts(code: str) -> tuple[str, ...]:
    parts: list[str] = []
    for character in code:
        if character.isdigit():
            parts[-1] += character
        else:
            parts.append(character)
    return tuple(parts)


@cache
def countries() -> frozenset[str]:
    """Return the names of countries and continents in lower case; they may stay."""
    text = files("osler.deidentify.text.en.data").joinpath("countries.txt").read_text(encoding="utf-8")
    return frozenset(text.split("\n"))
