"""Where a foreign sentence may have been said: the segments of the encounter that share most of its rare words."""

import math
from collections.abc import Iterator
from typing import Final

from osler.clinical.lexicon import Kind
from osler.domain.note import Evidence
from osler.draft.facts.extract import Facts
from osler.draft.facts.words import SENTENCE_ENDS
from osler.draft.gate.conversation import Conversation

_LONGEST: Final = 40
_MOST_SEGMENTS: Final = 6
_MOST_TERMS: Final = 60
_TOO_COMMON: Final = 300
_LEAST_GAIN: Final = 0.08
_HEAVY: Final = 2.0


class Index:
    """The segments of a conversation by what they speak of.

    Parameters
    ----------
    conversation : Conversation
    """

    def __init__(self, conversation: Conversation) -> None:
        self._segments: list[Evidence] = []
        self._postings: dict[str, list[int]] = {}
        for heard in conversation.heard:
            words, terms = heard.facts.words, _terms_by_word(heard.facts)
            for low, high in _segments(heard.facts):
                found = {term for at in range(low, high) for term in terms.get(at, ())}
                if not found:
                    continue
                quote = heard.said.text[words[low].start : words[high - 1].end]
                for term in found:
                    self._postings.setdefault(term, []).append(len(self._segments))
                self._segments.append(Evidence(heard.said.number, quote))

    def evidence(self, facts: Facts) -> tuple[Evidence, ...]:
        """Return the segments that together share most with a sentence, and where its drugs are last spoken of."""
        terms = dict.fromkeys(term for row in _terms_by_word(facts).values() for term in row)
        weights = {term: self._weight(term) for term in list(terms)[:_MOST_TERMS]}
        total = sum(weights.values())
        chosen: list[int] = []
        open_terms = {term for term, weight in weights.items() if weight and term in self._postings}
        while open_terms and len(chosen) < _MOST_SEGMENTS:
            gains: dict[int, float] = {}
            for term in sorted(open_terms):
                for segment in self._postings[term][:_TOO_COMMON]:
                    gains[segment] = gains.get(segment, 0.0) + weights[term]
            best = max(gains, key=lambda segment: (gains[segment], -segment))
            if gains[best] < _LEAST_GAIN * total:
                break
            chosen.append(best)
            open_terms = {term for term in open_terms if best not in self._postings[term][:_TOO_COMMON]}
        chosen.extend(self._postings[term][-1] for term in weights if term[0] == "@" and term in self._postings)
        return tuple(self._segments[segment] for segment in dict.fromkeys(chosen))

    def _weight(self, term: str) -> float:
        count = len(self._postings.get(term, ()))
        weight = math.log(1 + (len(self._segments) + 1) / (count + 1))
        return weight * (_HEAVY if term[0] in "#@" else 1.0)


def _segments(facts: Facts) -> Iterator[tuple[int, int]]:
    low = 0
    for at, word in enumerate(facts.words):
        if word.text in SENTENCE_ENDS or at - low >= _LONGEST:
            yield low, at + 1
            low = at + 1
    if low < len(facts.words):
        yield low, len(facts.words)


def _terms_by_word(facts: Facts) -> dict[int, list[str]]:
    """Stems, ``#`` numbers, ``@`` drugs, ``=`` other concepts and ``|`` sides, by the word that they start at."""
    terms: dict[int, list[str]] = {}
    for at, stem in facts.content:
        terms.setdefault(at, []).append(stem)
    for quantity in facts.quantities:
        if quantity.sure:
            terms.setdefault(quantity.start, []).append(f"#{quantity.value}")
            if quantity.out_of is not None:
                terms.setdefault(quantity.start, []).append(f"#{quantity.out_of}")
    for mention in facts.mentions:
        mark = "@" if mention.concept.kind is Kind.DRUG else "="
        terms.setdefault(mention.start, []).append(mark + mention.concept.name)
    for side in facts.sides:
        terms.setdefault(side.at, []).append("|" + side.side)
    return terms
