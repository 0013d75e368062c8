"""Names of drugs, problems, body sites, tests and treatments in lay and clinical English, and what they name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Final

_DATA: Final = "osler.clinical.data"
_FILES: Final = ("drugs.txt", "problems.txt", "sites.txt", "procedures.txt")
_UNINFLECTED: Final = frozenset({"ss", "us", "is", "os"})


class Kind(StrEnum):
    """What a concept is."""

    DRUG = "drug"
    SYMPTOM = "symptom"
    PROBLEM = "problem"
    FINDING = "finding"
    SITE = "site"
    TEST = "test"
    TREATMENT = "treatment"


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing that has names.

    Parameters
    ----------
    name : str
        The name it is known by here, lower case; of a drug the generic name where that is known.
    kind : Kind
    """

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Named:
    """A concept found in a row of words: ``words[start:end]`` name it."""

    start: int
    end: int
    concept: Concept


def singular(word: str) -> str:
    """Return an English word without the ending of its plural."""
    if len(word) < 4 or not word.endswith("s") or word[-2:] in _UNINFLECTED:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "shes", "ches", "xes")) and word[-5:] != "aches" else word[:-1]


class Lexicon:
    """Finds the names of concepts in rows of words.

    Parameters
    ----------
    names : mapping of str to Concept
        Every name, lower case, words separated by one space.
    """

    def __init__(self, names: Mapping[str, Concept]) -> None:
        self._names = dict(names)
        by_first: dict[str, list[tuple[tuple[str, ...], Concept]]] = {}
        for name, concept in names.items():
            words = tuple(singular(word) for word in name.split())
            by_first.setdefault(words[0], []).append((words, concept))
        self._by_first = {first: sorted(rows, key=lambda row: -len(row[0])) for first, rows in by_first.items()}

    def concept(self, name: str) -> Concept | None:
        """Return what a whole name is a name of, None when it is not known."""
        return self._names.get(" ".join(name.lower().replace("-", " ").split()))

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return all names of the concepts of a kind, in order of the alphabet."""
        return tuple(sorted(name for name, concept in self._names.items() if concept.kind is kind))

    def find(self, words: Sequence[str]) -> Iterator[Named]:
        """Yield the concepts that are named, longest names first, none overlapping another.

        Parameters
        ----------
        words : sequence of str
            Lower case, without punctuation.
        """
        known = [singular(word) for word in words]
        at = 0
        while at < len(known):
            for name, concept in self._by_first.get(known[at], ()):
                if tuple(known[at : at + len(name)]) == name:
                    yield Named(at, at + len(name), concept)
                    at += len(name)
                    break
            else:
                at += 1


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """Return the lexicon that comes with the package."""
    names: dict[str, Concept] = {}
    for file in _FILES:
        default = {"drugs.txt": "drug", "sites.txt": "site"}.get(file, "")
        for line in files(_DATA).joinpath(file).read_text(encoding="utf-8").splitlines():
            head, colon, listed = line.partition(":")
            kind, listed = (head, listed) if colon else (default, line)
            terms = [term.strip() for term in listed.split(",")]
            concept = Concept(terms[0], Kind(kind))
            for term in terms:
                names.setdefault(term, concept)
    return Lexicon(names)


def drug_names() -> tuple[str, ...]:
    """Return every generic name, brand name and class of drugs that is known, in order of the alphabet."""
    return lexicon().names(Kind.DRUG)
