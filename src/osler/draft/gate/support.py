"""How much of what a statement says its evidence carries at all."""

from dataclasses import dataclass
from typing import Final

from osler.clinical.lexicon import Kind
from osler.draft.facts.extract import Facts
from osler.draft.gate.evidence import Behind
from osler.draft.gate.kinship import agree, is_class_of

DIRECT: Final = 0.75
INFERRED: Final = 0.4


@dataclass(frozen=True, slots=True)
class Carried:
    """Shares of the meaning words of a statement.

    Parameters
    ----------
    near : float
        In the quoted sentences, 0 to 1.
    anywhere : float
        In those or around them.
    """

    near: float
    anywhere: float


def carried(facts: Facts, evidence: Behind) -> Carried:
    """Return how much of a statement is said in its evidence; words of one concept count once, by any of its names."""
    total = near = anywhere = 0
    inside: set[int] = set()
    for mention in facts.mentions:
        said = [one for one in evidence.mentions if _covers(mention.concept.name, one.mention.concept.name)]
        if not said and mention.concept.kind is Kind.SITE:
            continue
        if said:
            inside.update(range(mention.start, mention.end))
            total, anywhere = total + 1, anywhere + 1
            near += any(one.near for one in said)
    for at, stem in facts.content:
        if at in inside:
            continue
        rows = evidence.stems.get(stem)
        total += 1
        anywhere += bool(rows)
        near += any(is_near for _, _, is_near in rows or ())
    return Carried(near / total, anywhere / total) if total else Carried(1.0, 1.0)


def _covers(name: str, said: str) -> bool:
    return agree(name, said) or is_class_of(name, said)
