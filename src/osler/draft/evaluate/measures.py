"""What is measured of one draft: overlap with what a person wrote, truth to what was said, and what is missing."""

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Final

from osler.clinical.lexicon import Kind
from osler.domain.note import Checked, Draft, Topic
from osler.draft.evaluate.corpora import Case
from osler.draft.evaluate.rouge import note_text, rouge_l, rouge_n
from osler.draft.facts.context import Flag
from osler.draft.facts.extract import Facts, extract

_COUNTED: Final = (Kind.DRUG, Kind.PROBLEM, Kind.SYMPTOM, Kind.FINDING, Kind.TEST, Kind.TREATMENT)
_WRONG_NUMBER: Final = frozenset({"number", "dose"})
_WRONG_DRUG: Final = frozenset({"drug", "dose", "allergy", "action", "order", "instruction"})


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many; shares of several drafts add up."""

    good: int
    of: int

    @property
    def value(self) -> float | None:
        """From 0 to 1, None where there was nothing to count."""
        return self.good / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one draft.

    Parameters
    ----------
    rouge1, rouge2, rouge_l : float
        F1 against the reference, unstemmed, 0 to 1.
    evidence : Share
        Statements whose citations are all there.
    faithful : Share
        Statements that pass the gate.
    numerals, drugs : Share
        Those of the statements that the rules on numbers, and on drugs and doses, do not object to.
    numerals_found, drugs_found : Share
        Numbers and drugs of the reference that were said, and stand in the draft.
    concepts_found : Share
        The same of problems, symptoms, findings, drugs, tests and treatments that the reference affirms.
    omissions : int
        What the gate lists as left out.
    topic : Share
        Whether most of the statements are of the topic of the reference, where it has one.
    """

    rouge1: float
    rouge2: float
    rouge_l: float
    evidence: Share
    faithful: Share
    numerals: Share
    drugs: Share
    numerals_found: Share
    drugs_found: Share
    concepts_found: Share
    omissions: int
    topic: Share


def measure(case: Case, checked: Checked) -> Measured:
    """Return the figures of a draft that went through the gate."""
    draft, verdicts = checked.draft, checked.verdicts
    text = note_text(draft)
    statements = list(draft.statements())
    facts = {one.id: extract(one.text) for one in statements}
    lacking = [one for one in statements if {"no-evidence", "quote-not-found"} & set(verdicts[one.id].reasons)]
    said = [extract(one.text, spoken=True) for one in case.transcript.utterances]
    reference = [extract(case.reference)]
    return Measured(
        rouge_n(text, case.reference, 1).f1,
        rouge_n(text, case.reference, 2).f1,
        rouge_l(text, case.reference).f1,
        Share(len(statements) - len(lacking), len(statements)),
        Share(sum(verdicts[one.id].passed for one in statements), len(statements)),
        _carried([(len(_numbers([facts[one.id]])), verdicts[one.id].reasons) for one in statements], _WRONG_NUMBER),
        _carried([(len(_drugs([facts[one.id]])), verdicts[one.id].reasons) for one in statements], _WRONG_DRUG),
        _recall(_numbers(reference) & _numbers(said), _numbers(facts.values())),
        _recall(_drugs(reference) & _drugs(said), _drugs(facts.values())),
        _recall(_affirmed(reference) & _named(said), _affirmed(facts.values())),
        len(checked.omissions),
        _topic(draft, case.topic),
    )


def _carried(rows: Iterable[tuple[int, tuple[str, ...]]], wrong: Set[str]) -> Share:
    good = total = 0
    for count, reasons in rows:
        total += count
        good += 0 if wrong & set(reasons) else count
    return Share(good, total)


def _topic(draft: Draft, topic: Topic | None) -> Share:
    if topic is None:
        return Share(0, 0)
    counts = Counter(one.topic for one in draft.statements())
    return Share(int(bool(counts) and counts.most_common(1)[0][0] is topic), 1)


def _recall(sought: Set[str], found: Set[str]) -> Share:
    return Share(len(sought & found), len(sought))


def _numbers(facts: Iterable[Facts]) -> set[str]:
    return {f"{one.value}/{one.out_of}" for each in facts for one in each.quantities if one.sure}


def _drugs(facts: Iterable[Facts]) -> set[str]:
    return {one.concept.name for each in facts for one in each.mentions if one.concept.kind is Kind.DRUG}


def _named(facts: Iterable[Facts]) -> set[str]:
    return {one.concept.name for each in facts for one in each.mentions if one.concept.kind in _COUNTED}


def _affirmed(facts: Iterable[Facts]) -> set[str]:
    return {
        one.concept.name
        for each in facts
        for one in each.mentions
        if one.concept.kind in _COUNTED and not one.flags & Flag.NEGATED
    }
