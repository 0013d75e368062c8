"""Words to expect: told to the recogniser, and looked for again in what it wrote.

A word is written as another only when that is the one thing that it can be: it is no common word and no drug, it is
spelt and sounds nearly as one word of the lists, and no other drug is anywhere near. Names of drugs that look alike are
therefore never exchanged; what could be two of them stays as it was heard.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

from osler.domain.transcript import Correction, Utterance, Word
from osler.transcribe.phonetics import distance, sound

_TOKEN: Final = re.compile(r"[A-Za-z]{2,}")
_EDGES: Final = re.compile(r"^(\W*)(.*?)((?:['’]s)?\W*)$", re.DOTALL)
_SHORTEST: Final = 6
_SHORTEST_JOINED: Final = 9
_MARGIN: Final = 2
_ENDINGS: Final = ("ing", "ed", "ion", "ic", "ly", "ous", "ive", "ment", "ness", "able", "er", "ity", "ally", "gen")
_PROMPT_WORDS: Final = 40


@dataclass(frozen=True, slots=True)
class Hints:
    """What may be spoken of.

    Parameters
    ----------
    medications, problems : tuple of str
        Of the patient's chart, as they stand there.
    lexicon : frozenset of str
        Names of drugs in general.
    """

    medications: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    lexicon: frozenset[str] = frozenset()

    def prompt(self) -> str:
        """Return the words of the chart for the recogniser; the lexicon would be too long for it."""
        return ", ".join(self._prompted())

    def prompt_words(self) -> frozenset[str]:
        """Return the words that the recogniser is told, lower case."""
        return frozenset(self._prompted())

    def _prompted(self) -> list[str]:
        return list(dict.fromkeys([*_words(self.medications), *_words(self.problems)]))[:_PROMPT_WORDS]


@cache
def common_words() -> frozenset[str]:
    """Return the words of everyday and clinical talk that are never changed."""
    return _listed("common_words.txt")


@cache
def look_alike_drugs() -> frozenset[str]:
    """Return names of drugs that look or sound like those of others: they are drugs, whatever a lexicon has."""
    return _listed("look_alike_drugs.txt")


def _listed(file: str) -> frozenset[str]:
    text = files("osler.transcribe").joinpath("data", file).read_text(encoding="utf-8")
    return frozenset(word for line in text.split("\n") if not line.startswith("#") for word in line.split())


class Corrector:
    """Writes misheard names of drugs and problems as the lists have them.

    Parameters
    ----------
    hints : Hints
    """

    def __init__(self, hints: Hints) -> None:
        self._common = common_words()
        self._source: dict[str, str] = {}
        drugs = sorted(hints.lexicon | look_alike_drugs())
        named = (("medications", hints.medications), ("problems", hints.problems), ("lexicon", drugs))
        for source, phrases in named:
            for word in _words(phrases):
                self._source.setdefault(word, source)
        self._by_sound: dict[str, list[_Candidate]] = {}
        for word in self._source:
            heard = sound(word)
            if len(word) >= _SHORTEST and heard:
                self._by_sound.setdefault(heard[0], []).append(_Candidate(word, heard, _letters(word)))
        self._found: dict[tuple[str, bool], str | None] = {}

    def correct(self, utterances: Sequence[Utterance]) -> tuple[tuple[Utterance, ...], tuple[Correction, ...]]:
        """Return the utterances with their corrections made, and what was changed."""
        written: list[Utterance] = []
        corrections: list[Correction] = []
        for utterance in utterances:
            changed, found = self._utterance(utterance)
            written.append(changed)
            corrections.extend(found)
        return tuple(written), tuple(corrections)

    def _utterance(self, utterance: Utterance) -> tuple[Utterance, list[Correction]]:
        tokens = utterance.text.split()
        aligned = len(tokens) == len(utterance.words)
        texts: list[str] = []
        words: list[Word] = []
        corrections: list[Correction] = []
        at = 0
        while at < len(tokens):
            taken, correct = self._at(tokens, at)
            if correct is None:
                texts.append(tokens[at])
            else:
                heard = " ".join(tokens[at : at + taken])
                texts.append(_dressed(heard, correct))
                corrections.append(Correction(utterance.number, _bare(heard), correct, self._source[correct]))
            if aligned:
                spoken = utterance.words[at : at + taken]
                text = spoken[0].text if correct is None else texts[-1]
                lowest = min(word.probability for word in spoken)
                words.append(Word(text, spoken[0].start_s, spoken[-1].end_s, lowest))
            at += taken
        if not corrections:
            return utterance, []
        return replace(utterance, text=" ".join(texts), words=tuple(words)), corrections

    def _at(self, tokens: Sequence[str], at: int) -> tuple[int, str | None]:
        for taken in (3, 2):
            spoken = tokens[at : at + taken]
            if len(spoken) == taken and (correct := self._joined(spoken)):
                return taken, correct
        return 1, self._single(_bare(tokens[at]))

    def _single(self, word: str) -> str | None:
        if len(word) < _SHORTEST or self._known(word) or not _TOKEN.fullmatch(word):
            return None
        return self._nearest(word, joined=False)

    def _joined(self, tokens: Sequence[str]) -> str | None:
        """Find one word that was heard as two or three, of which one at least is no word by itself."""
        inner = [_EDGES.fullmatch(token) for token in tokens]
        if any(m is None or m[3] for m in inner[:-1]) or any(m is None or m[1] for m in inner[1:]):
            return None
        words = [_bare(token) for token in tokens]
        joined = "".join(words)
        if len(joined) < _SHORTEST_JOINED or not joined.isalpha():
            return None
        if all(self._known(word) for word in words) or any(word in self._source for word in words):
            return None
        return joined if joined in self._source else self._nearest(joined, joined=True)

    def _known(self, word: str) -> bool:
        stem = word.removesuffix("s")
        return word in self._common or stem in self._common or word in self._source or stem in self._source

    def _nearest(self, word: str, *, joined: bool) -> str | None:
        if (word, joined) not in self._found:
            self._found[word, joined] = self._search(word, joined=joined)
        return self._found[word, joined]

    def _search(self, word: str, *, joined: bool) -> str | None:
        heard, letters = sound(word), _letters(word)
        most = 1 if joined else _allowed(len(word))
        near = sorted(
            (apart, distance(heard, candidate.sound, 3), candidate.word)
            for candidate in self._by_sound.get(heard[:1], ())
            if (letters ^ candidate.letters).bit_count() < 2 * (most + _MARGIN)
            and (apart := distance(word, candidate.word, most + _MARGIN - 1)) < most + _MARGIN
        )
        if not near:
            return None
        apart, sounds_apart, best = near[0]
        if apart > most or not self._alike(word, best, apart=apart, sounds_apart=sounds_apart, joined=joined):
            return None
        if any(other < apart + _MARGIN or sounds < sounds_apart for other, sounds, _ in near[1:]):
            return None
        return best

    def _alike(self, word: str, best: str, *, apart: int, sounds_apart: int, joined: bool) -> bool:
        if any(word.endswith(ending) and not best.endswith(ending) for ending in _ENDINGS):
            return False
        if joined or sounds_apart == 0:
            return sounds_apart == 0
        of_the_chart = self._source[best] != "lexicon"
        return sounds_apart == 1 and len(best) >= (8 if of_the_chart else 9) and (of_the_chart or apart == 1)


@dataclass(frozen=True, slots=True)
class _Candidate:
    word: str
    sound: str
    letters: int


def _letters(word: str) -> int:
    """Return the set of the letters of a word as bits."""
    bits = 0
    for letter in word:
        bits |= 1 << (ord(letter) & 31)
    return bits


def _allowed(length: int) -> int:
    return 1 if length < 8 else 2 if length < 12 else 3


def _bare(text: str) -> str:
    match = _EDGES.fullmatch(text)
    return (match[2] if match else text).lower()


def _dressed(heard: str, correct: str) -> str:
    """Give a word the capital, the punctuation and the possessive of what was heard."""
    match = _EDGES.fullmatch(heard)
    before, inner, after = match.groups() if match else ("", heard, "")
    return before + (correct.capitalize() if inner[:1].isupper() else correct) + after


def _words(phrases: Iterable[str]) -> list[str]:
    """Return the words of phrases that name something: of five letters and more, no units, no common words."""
    common = common_words()
    found = [word.lower() for phrase in phrases for word in _TOKEN.findall(phrase)]
    return [word for word in dict.fromkeys(found) if len(word) >= 5 and word not in common]
