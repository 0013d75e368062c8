"""Yes and no, certain and possible, the patient's and the family's: whether a statement and its evidence agree."""

from collections.abc import Iterator, Sequence
from typing import Final

from osler.clinical.lexicon import Concept, Kind
from osler.draft.facts.context import Flag
from osler.draft.facts.extract import Mention
from osler.draft.facts.words import stem
from osler.draft.gate.answers import HABITS
from osler.draft.gate.evidence import Behind, is_clinical
from osler.draft.gate.kinship import agree
from osler.draft.gate.rules import Claim, Failure

_UNSAID: Final = int(Flag.ASKED)
_EITHER: Final = int(Flag.ASKED | Flag.STOPPED)
_RULES: Final = ("negation", "experiencer", "certainty")
_MOSTLY: Final = 0.8
_ACTS: Final = (Kind.TEST, Kind.TREATMENT)
Said = Sequence[tuple[int, str]]


def polarity(claim: Claim, evidence: Behind) -> Iterator[Failure]:
    """Yield what is not said with the same yes or no, of the same person, as surely as it is written."""
    inside: set[int] = set()
    for mention in claim.facts.mentions:
        inside.update(range(mention.start, mention.end))
        if not is_clinical(mention):
            continue
        said = _said_of(mention, evidence)
        if said is None:
            if mention.concept.kind not in (Kind.DRUG, Kind.TREATMENT):
                yield Failure("unsupported")
            continue
        failure = _compare(mention.flags, mention.kin, said, mention.concept)
        if failure:
            yield failure
    yield from _words(claim, evidence, inside)


def _said_of(mention: Mention, evidence: Behind) -> Said | None:
    name = mention.concept.name
    exact = [one.mention for one in evidence.mentions if one.mention.concept.name == name]
    alike = exact or [one.mention for one in evidence.mentions if agree(name, one.mention.concept.name)]
    if alike:
        return [(one.flags, one.kin) for one in alike]
    if mention.concept.kind is Kind.DRUG:
        return None
    rows = [evidence.stems.get(stem(word)) for word in name.split() if len(word) > 2]
    if not rows or not all(rows):
        return None
    return [(flags, kin) for row in rows for flags, kin, _ in row or ()]


def _compare(flags: int, kin: str, said: Said, concept: Concept) -> Failure | None:
    """Return the least that has to be said against a mention, None when one way it was said carries it."""
    best: tuple[str, ...] | None = None
    for other, whose in said:
        failed = tuple(rule for rule in _RULES if _differs(rule, (flags, kin), (other, whose), concept))
        if not failed:
            return None
        if best is None or len(failed) < len(best):
            best = failed
    return Failure(best[0], True) if best else None


def is_negated(flags: int) -> bool:
    """Whether it is not so; to have never stopped is to go on."""
    return bool(flags & Flag.NEGATED) != bool(flags & Flag.STOPPED)


def _differs(rule: str, mine: tuple[int, str], theirs: tuple[int, str], concept: Concept) -> bool:
    flags, kin = mine
    kind = concept.kind
    other, whose = theirs
    if concept.name in HABITS:  # a habit of the past is one that was given up
        flags, other = (one | Flag.STOPPED if one & Flag.HISTORICAL else one for one in (flags, other))
    if rule == "negation":
        ignored = 0 if kind is Kind.DRUG or concept.name in HABITS else Flag.STOPPED
        return not other & _UNSAID and is_negated(flags & ~ignored) != is_negated(other & ~ignored)
    if rule == "experiencer":
        return kin != whose and not (kin and whose and "family" in (kin, whose))
    doubt = Flag.POSSIBLE | Flag.HYPOTHETICAL
    if other & _UNSAID and kind not in _ACTS and not flags & doubt:
        return True
    return kind not in _ACTS and bool(other & doubt) and not flags & (doubt | Flag.NEGATED)


def _words(claim: Claim, evidence: Behind, inside: set[int]) -> Iterator[Failure]:
    """Hold the words that no lexicon knows to the same: a "no" that only one side has turns the sentence round."""
    mine: dict[bool, int] = {True: 0, False: 0}
    flipped: dict[bool, int] = {True: 0, False: 0}
    for at, word in claim.facts.content:
        if at in inside or claim.facts.flags[at] & Flag.STOPPED:
            continue
        negated = bool(claim.facts.flags[at] & Flag.NEGATED)
        rows = evidence.stems.get(word, ())
        mine[negated] += 1
        carried = 0 if negated or not mine[True] else int(Flag.ANSWERED)
        flipped[negated] += bool(rows) and all(
            bool(flags & Flag.NEGATED) != negated and not flags & (_EITHER | carried) for flags, _, _ in rows
        )
    if any(flipped[negated] * 2 > mine[negated] for negated in (True, False)) or _turned(claim, evidence):
        yield Failure("negation", True)
    if _doubted(claim, evidence):
        yield Failure("certainty", True)


def _doubted(claim: Claim, evidence: Behind) -> bool:
    """Whether most of what a sentence asserts was only thought possible."""
    asserted = doubted = 0
    for at, word in claim.facts.content:
        rows = evidence.stems.get(word, ())
        if not claim.facts.flags[at] & (Flag.POSSIBLE | Flag.HYPOTHETICAL):
            asserted += 1
            doubted += bool(rows) and all(flags & Flag.POSSIBLE for flags, _, _ in rows)
    return doubted > 1 and doubted >= _MOSTLY * asserted


def _turned(claim: Claim, evidence: Behind) -> bool:
    """Whether one side has a negation right before a word that the other side never denies."""
    denied = {claim.facts.content[at][1] for at in claim.facts.denied}
    for at, word in claim.facts.content:
        rows = [flags for flags, _, near in evidence.stems.get(word, ()) if near and not flags & _EITHER]
        if not rows:
            continue
        negated = bool(claim.facts.flags[at] & Flag.NEGATED)
        if (word in denied if negated else word in evidence.turning) and all(
            bool(flags & Flag.NEGATED) != negated for flags in rows
        ):
            return True
    return False
