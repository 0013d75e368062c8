"""The forms of English verbs, and the words that are written with a capital."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import yaml

MODALS: Final = frozenset({"can", "could", "will", "would", "should", "might", "may", "must", "cannot", "shall"})
FORMS_OF_BE: Final = frozenset({"am", "are", "is", "was", "were"})
NOT_PAST: Final = frozenset({"need", "feed", "bleed", "speed", "exceed", "proceed", "succeed"})


@dataclass(frozen=True, slots=True)
class English:
    """Word lists.

    Parameters
    ----------
    past : mapping of str to str
        Base form to past, of irregular verbs.
    participles : frozenset of str
        Of irregular verbs.
    verbs : frozenset of str
        Base forms.
    adverbs : frozenset of str
        What may stand between a subject and its verb.
    capitals : mapping of str to str
        Lower case to how it is written.
    family : frozenset of str
    """

    past: Mapping[str, str]
    participles: frozenset[str]
    verbs: frozenset[str]
    adverbs: frozenset[str]
    capitals: Mapping[str, str]
    family: frozenset[str]

    def is_past(self, word: str) -> bool:
        """Whether a word is the past of a verb."""
        return word in self._pasts() or (word.endswith("ed") and word not in NOT_PAST)

    def is_participle(self, word: str) -> bool:
        """Whether a word may follow ``had``."""
        return word in self.participles or (word.endswith("ed") and word not in NOT_PAST)

    def is_adverb(self, word: str) -> bool:
        """Whether a word may stand between a subject and its verb."""
        return word in self.adverbs or (word.endswith("ly") and word not in self.verbs)

    def in_past(self, verb: str) -> str:
        """Return the past of a verb."""
        if verb in self.past:
            return self.past[verb]
        if verb.endswith("e"):
            return verb + "d"
        if re.search(r"[^aeiou]y$", verb):
            return verb[:-1] + "ied"
        if re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprt]", verb):
            return verb + verb[-1] + "ed"
        return verb + "ed"

    def _pasts(self) -> frozenset[str]:
        return frozenset(self.past.values())


def third_person(verb: str) -> str:
    """Return the form that follows he or she."""
    special = {"have": "has", "do": "does", "go": "goes", "am": "is", "are": "is", "were": "was", "be": "is"}
    if verb in special:
        return special[verb]
    if re.search(r"(?:s|sh|ch|x|z|o)$", verb):
        return verb + "es"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + "s"


@cache
def english() -> English:
    """Return the word lists; they are read once."""
    lists = yaml.safe_load(files("osler.draft.extractive").joinpath("english.yaml").read_text("utf-8"))
    irregular = [entry.split(":") for entry in lists["irregular"].split()]
    return English(
        {base: past for base, past, _ in irregular},
        frozenset(participle for _, _, participle in irregular),
        frozenset(base for base, _, _ in irregular) | frozenset(lists["regular"].split()),
        frozenset(lists["adverbs"].split()),
        {word.lower(): word for word in lists["capitals"].split()},
        frozenset(lists["family"].split()),
    )


def asks_for_something(first: str) -> bool:
    """Whether a sentence with this first word and no subject is a demand: "ignore that and add this"."""
    return first in english().verbs and first not in {"like", "cough", "pain", "fever", "use", "work", "rest", "walk"}


def cased(text: str) -> str:
    """Return a sentence with its capitals and its full stop."""
    capitals = english().capitals
    text = re.sub(r"[A-Za-z][\w'-]*", lambda match: _with_capital(match.group(), capitals), text)
    text = re.sub(r"^([\"“(]*)([a-z])", lambda match: match[1] + match[2].upper(), text)
    text = re.sub(
        r"\b(dr|mr|ms|mrs)(\.? )([a-z])", lambda m: f"{m[1].title()}{m[2]}{m[3].upper()}", text, flags=re.IGNORECASE
    )
    text = re.sub(r"[\s,;:-]+(?=[.?!]*$)", "", text)
    return text if re.search(r"[.?!:”]$", text) else text + "."


def _with_capital(word: str, capitals: Mapping[str, str]) -> str:
    if not word.islower():
        return word
    if word in capitals:
        return capitals[word]
    stem, apostrophe, tail = word.partition("'")
    return capitals[stem] + apostrophe + tail if apostrophe and stem in capitals else word
