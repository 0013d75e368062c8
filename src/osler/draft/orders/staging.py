"""From the sentences of a plan to orders.

A cue (:mod:`~osler.draft.orders.cues`) reaches to the next one, or to where the sentence goes on to why, what for, or
something else (:mod:`~osler.draft.orders.clauses`); what it names there (:mod:`~osler.draft.orders.targets`) is
ordered. A condition before or behind it stays with it as it was said. The same order said twice is one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from osler.domain.orders import Order, OrderAction, OrderKind
from osler.draft.orders.clauses import BREAK, condition_before, cut, last_part
from osler.draft.orders.cues import cues
from osler.draft.orders.making import Clause, follow_up, medication, named
from osler.draft.orders.merging import Found, take
from osler.draft.orders.targets import targets

_SENTENCE: Final = re.compile(r"(?<=[.?!])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bMrs\.)\s+(?=[A-Z\u201c\"-])|\n")
_QUOTED: Final = re.compile(r"^\s*[\u201c\"]")
_TAKEN_BACK: Final = re.compile(r",?\s+(?:or,?\s+)?(?:i\s+am|i'm|i\s+mean)\s*,?\s*(?:so\s+)?sorry\b,?", re.IGNORECASE)
_CALLED: Final = re.compile(
    r"\s(?:what\s+(?:we|they|i)\s+call|what\s+is\s+called|something\s+(?:that\s+is\s+)?called)\s", re.IGNORECASE
)
_SWITCH: Final = re.compile(
    r"\b(?:switch|chang|transition)(?:e|ing)?\s+(?:(?:the\s+patient|you|him|her|"
    r"them)\s+)?(?:over\s+)?(?:from\s+)?(?P<old>[^.;,]{0,60}?)\s*\b(?:over\s+)?to\s+(?P<new>[^.;,]{2,80})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of a plan.

    Parameters
    ----------
    statement : str
        Id of the statement.
    text : str
    """

    statement: str
    text: str


def staged_orders(plan: Iterable[Said]) -> tuple[Order, ...]:
    """Return the orders that sentences of a plan say, each once, in the order in which they come first.

    Parameters
    ----------
    plan : iterable of Said
        Statements that passed the gate, or that a person wrote.
    """
    kept: list[Found] = []
    for said in plan:
        for sentence in _SENTENCE.split(said.text):
            if sentence and not _QUOTED.match(sentence) and not sentence.rstrip().endswith("?"):
                for found in _in_sentence(said, sentence):
                    take(kept, found)
    return tuple(found.order for found in kept)


def _in_sentence(said: Said, sentence: str) -> Iterator[Found]:
    sentence = _CALLED.sub(" ", _TAKEN_BACK.sub(f" {BREAK}", sentence))
    yield from _switched(said, sentence)
    if not (every := list(cues(sentence))):
        return
    ends = [*(cue.lead for cue in every[1:]), len(sentence)]
    condition, since = "", 0
    for cue, end in zip(every, ends, strict=True):
        if cue.lead != cue.start or not since:
            condition = condition_before(sentence, since, cue.lead)
        reach = sentence[cue.end : max(cue.end, end)]
        head = last_part(sentence[since : cue.lead]) if cue.before else ""
        text = head if targets(head) else cut(reach, cue)
        clause = Clause(said.statement, said.text, cue, text, reach, sentence[: cue.lead], condition)
        yield from follow_up(clause) if OrderKind.FOLLOW_UP in cue.kinds else named(clause)
        since = cue.end


def _switched(said: Said, sentence: str) -> Iterator[Found]:
    """Read "switch from A to B" as what it says: A stops, B starts."""
    for match in _SWITCH.finditer(sentence):
        known = list(cues(f"{sentence[: match.start()]}start x"))  # whoever starts may switch
        if not known or known[-1].start != match.start():
            continue
        cue, reach = known[-1], sentence[match.end() :]
        condition = condition_before(sentence, 0, cue.lead)
        clause = Clause(said.statement, said.text, cue, "", reach, sentence[: cue.lead], condition)
        for part, action in ((match["old"], OrderAction.STOP), (match["new"], OrderAction.START)):
            text = cut(part, cue)
            drug = next((one for one in targets(text) if one.kind is OrderKind.MEDICATION), None)
            if drug is not None:
                yield medication(replace(clause, cue=replace(cue, action=action)), drug, text[drug.end :])
