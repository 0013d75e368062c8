"""The gate: a draft, or a foreign note, held to what was said."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final

from osler.clinical.lexicon import Kind
from osler.domain.note import (
    Checked,
    Draft,
    DraftAuthor,
    Omission,
    Section,
    Severity,
    Statement,
    Support,
    Topic,
    Verdict,
)
from osler.domain.transcript import DeidentifiedTranscript
from osler.draft.facts.context import Flag
from osler.draft.facts.extract import Facts, extract
from osler.draft.gate import belonging, rules, support
from osler.draft.gate.align import Index
from osler.draft.gate.conversation import Conversation
from osler.draft.gate.corrections import Corrections
from osler.draft.gate.evidence import Behind, behind
from osler.draft.gate.omissions import omissions
from osler.draft.gate.polarity import polarity
from osler.draft.gate.rules import Claim, Failure
from osler.draft.gate.sentences import read_sentences
from osler.draft.gate.turns import is_turned
from osler.draft.gate.word_for_word import differences

_RULES: Final = (rules.placeholders, rules.numbers, rules.drugs, rules.allergens, rules.laterality)
_GRAVE: Final = frozenset({"drug", "dose", "allergy", "laterality", "negation", "action", "order", "instruction"})
_FOREIGN: Final = DraftAuthor("text", "foreign", "0")
_LONGEST: Final = 1500
_LONGEST_QUOTE: Final = 8000
ANOTHER: Final = "another-encounter"


def check(draft: Draft, transcript: DeidentifiedTranscript) -> Checked:
    """Hold each statement of a draft to the utterances that it cites, and the draft to the encounter.

    Parameters
    ----------
    draft : Draft
    transcript : DeidentifiedTranscript
        What the draft was written from.

    Returns
    -------
    Checked
        A verdict for each statement, what was said and not noted, and whether the note is of another encounter.
    """
    return Gate(transcript).check(draft)


def check_text(note_text: str, transcript: DeidentifiedTranscript) -> Checked:
    """Hold a note in plain text to an encounter: evidence is looked for, then the same rules are kept.

    Parameters
    ----------
    note_text : str
    transcript : DeidentifiedTranscript

    Returns
    -------
    Checked
        Its draft has one section, with a statement for each sentence and the evidence that was found for it.
    """
    return Gate(transcript).check_text(note_text)


class Gate:
    """One encounter, read once, that any number of notes are held to.

    Parameters
    ----------
    transcript : DeidentifiedTranscript
    """

    def __init__(self, transcript: DeidentifiedTranscript) -> None:
        self._conversation = Conversation(transcript)
        self._corrections = Corrections(self._conversation)

    @cached_property
    def _index(self) -> Index:
        return Index(self._conversation)

    def check(self, draft: Draft) -> Checked:
        """Return a draft with a verdict for each statement; see :func:`check`."""
        return self._check(
            draft, {statement.id: extract(statement.text[:_LONGEST]) for statement in draft.statements()}
        )

    def check_text(self, note_text: str) -> Checked:
        """Return a foreign note as a draft with a verdict for each sentence; see :func:`check_text`."""
        facts: dict[str, Facts] = {}
        statements: list[Statement] = []
        for number, one in enumerate(read_sentences(note_text), start=1):
            key = f"s{number}"
            facts[key] = extract(one.text)
            statements.append(Statement(key, one.text, self._index.evidence(facts[key]), one.topic))
        return self._check(Draft("text", (Section("text", "Note", "", tuple(statements)),), _FOREIGN), facts)

    def omissions(self, texts: Iterable[str]) -> tuple[Omission, ...]:
        """Return what was said, weighs, and stands in none of the texts."""
        return omissions([extract(text) for text in texts], self._conversation)

    def _check(self, draft: Draft, facts: Mapping[str, Facts]) -> Checked:
        verdicts = {one.id: self._verdict(one, facts[one.id]) for one in draft.statements()}
        noted = [facts[one] for one, verdict in verdicts.items() if verdict.support is not Support.CONTRADICTED]
        noted += [extract(section.problem) for section in draft.sections if section.problem]
        lost = sum("quote-not-found" in verdict.reasons for verdict in verdicts.values())
        passed = sum(verdict.passed for verdict in verdicts.values()) / (len(verdicts) or 1)
        said = (heard.facts for heard in self._conversation.heard)
        foreign = lost * 2 > len(verdicts) or not belonging.belongs(list(facts.values()), said, passed=passed)
        return Checked(draft, verdicts, omissions(noted, self._conversation), ANOTHER if foreign else "")

    def _verdict(self, statement: Statement, facts: Facts) -> Verdict:
        claim = Claim(facts, statement.topic)
        if len(statement.text) > _LONGEST or any(len(one.quote) > _LONGEST_QUOTE for one in statement.evidence):
            return _verdict(claim, [Failure("too-long")], near=False)
        evidence, there = behind(self._conversation, statement.evidence)
        evidence.sides_of = self._corrections.sides
        if not statement.evidence or not any(one.utterance in self._conversation for one in statement.evidence):
            return _verdict(claim, [Failure("no-evidence")], near=False)
        failures = [] if there else [Failure("quote-not-found")]
        if evidence.instructs:
            failures.append(Failure("instruction"))
        if evidence.utterances:
            failures.extend(self._hold(claim, statement, evidence))
        share = support.carried(facts, evidence)
        if evidence.utterances and share.anywhere < support.INFERRED:
            failures.append(Failure("unsupported"))
        return _verdict(claim, failures, near=share.near >= support.DIRECT)

    def _hold(self, claim: Claim, statement: Statement, evidence: Behind) -> Iterator[Failure]:
        if statement.verbatim and support.carried(claim.facts, evidence).near < 1:
            yield Failure("quote-not-found")
        for rule in _RULES:
            yield from rule(claim, evidence)
        yield from self._polarity(claim, statement, evidence)
        if is_turned(claim.facts, evidence.quoted):
            yield Failure("negation", True)
        yield from self._corrections.against(claim, evidence)
        quotes = [one.quote for one in statement.evidence]
        yield from (Failure(rule, True) for rule in differences(claim.facts, quotes))

    def _polarity(self, claim: Claim, statement: Statement, evidence: Behind) -> Iterator[Failure]:
        """Read a statement as prose, and where that fails as speech, which is what it may be a copy of."""
        failures = list(polarity(claim, evidence))
        if failures:
            spoken = extract(statement.text, spoken=True)
            if not any(flag & Flag.ASKED for flag in spoken.flags):
                failures = list(polarity(Claim(spoken, claim.topic), evidence))
        yield from failures


def _verdict(claim: Claim, failures: list[Failure], *, near: bool) -> Verdict:
    if not failures:
        return Verdict(Support.DIRECT if near else Support.INFERENCE, Severity.NONE)
    reasons = tuple(dict.fromkeys(failure.rule for failure in failures))
    contradicted = any(failure.contradicted for failure in failures)
    grave = not _GRAVE.isdisjoint(reasons) or _is_weighty(claim)
    return Verdict(
        Support.CONTRADICTED if contradicted else Support.UNMENTIONED,
        Severity.MAJOR if grave else Severity.MINOR,
        reasons,
    )


def _is_weighty(claim: Claim) -> bool:
    return claim.topic is Topic.ALLERGIES or any(one.concept.kind is Kind.DRUG for one in claim.facts.mentions)
