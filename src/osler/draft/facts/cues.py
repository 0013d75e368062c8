"""Cue words: what they colour, how far, and what looks like one and is none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from osler.draft.facts.tables import named, table


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that colour others.

    Parameters
    ----------
    words : tuple of str
    colour : str
        Name of a flag; empty for words that look like a cue and are none.
    reach : int
        How many words; none when the last word of the cue itself is what is coloured.
    before : bool
        Whether it colours what stands before it.
    """

    words: tuple[str, ...]
    colour: str
    reach: int
    before: bool = False


@lru_cache(maxsize=1)
def cues() -> Mapping[str, tuple[Cue, ...]]:
    """Return the cues by their first word, longest first."""
    by_first: dict[str, list[Cue]] = {}
    for cue in _listed():
        by_first.setdefault(cue.words[0], []).append(cue)
    return {first: tuple(sorted(found, key=lambda cue: -len(cue.words))) for first, found in by_first.items()}


def _listed() -> Iterator[Cue]:
    for where in ("after", "before"):
        for row in table()[where]:
            for words in row["words"].split("|"):
                yield Cue(tuple(words.split()), row["colour"], row["reach"], where == "before")
    for words in named("no_cues"):
        yield Cue(tuple(words.split()), "", 0)


@lru_cache(maxsize=1)
def kin_of() -> Mapping[str, str]:
    """Return whom each word for a relative names."""
    return {word: person for person, words in table()["kin"].items() for word in words.split()}
