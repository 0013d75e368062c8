"""What was said and weighs, and does not stand in the note: allergies, drugs, problems, grave symptoms, plans."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from osler.clinical.lexicon import Kind
from osler.domain.note import Evidence, Omission
from osler.domain.transcript import SpeakerRole
from osler.draft.facts.context import Flag
from osler.draft.facts.extract import Facts, Mention
from osler.draft.facts.tables import listed, named
from osler.draft.facts.words import stem
from osler.draft.gate.conversation import Conversation, Heard, sentences
from osler.draft.gate.kinship import agree, is_class, is_class_of
from osler.draft.gate.repairs import GATE

_UNSAID: Final = int(Flag.NEGATED | Flag.ASKED | Flag.HYPOTHETICAL)
_GIVEN: Final = int(Flag.STARTED | Flag.CONTINUED | Flag.RAISED | Flag.LOWERED)
_RANK: Final = {"allergy": 0, "medication": 1, "problem": 2, "symptom": 3, "plan": 4}
_BEFORE: Final = 12
_MOST: Final = 40


@dataclass(slots=True)
class _Found:
    kind: str
    heard: Heard
    mention: Mention
    count: int = 1


def omissions(noted: Sequence[Facts], conversation: Conversation) -> tuple[Omission, ...]:
    """Return what the note leaves out, the gravest first, each thing once.

    Parameters
    ----------
    noted : facts of the statements that the encounter does not contradict
    conversation : Conversation
    """
    found: dict[tuple[str, str], _Found] = {}
    for heard in conversation.heard:
        if heard.instructs:
            continue
        for mention in heard.facts.mentions:
            kind = _kind(heard, mention)
            if kind:
                known = found.get((kind, mention.concept.name))
                if known:
                    known.count += 1
                else:
                    found[kind, mention.concept.name] = _Found(kind, heard, mention)
    stands = _Noted(noted)
    allergies = {name for kind, name in found if kind == "allergy"}
    left_out = [
        one
        for (kind, name), one in found.items()
        if not stands.has(kind, one) and not (kind == "medication" and name in allergies)
    ]
    left_out.sort(key=lambda one: (_RANK[one.kind], -one.count, one.heard.said.number))
    return tuple(_omission(one) for one in left_out[:_MOST])


class _Noted:
    """What a note says is so, by concept and by word."""

    def __init__(self, noted: Sequence[Facts]) -> None:
        self._names: set[str] = set()
        self._stems: dict[str, set[int]] = {}
        for number, facts in enumerate(noted):
            for at, word in facts.content:
                if not facts.flags[at] & Flag.NEGATED:
                    self._stems.setdefault(word, set()).add(number)
            for mention in facts.mentions:
                if not mention.flags & Flag.NEGATED or mention.concept.kind is Kind.DRUG:
                    self._names.add(mention.concept.name)

    def has(self, kind: str, found: _Found) -> bool:
        name = found.mention.concept.name
        words = [word.text for word in found.heard.facts.words[found.mention.start : found.mention.end]]
        sentences_with = [self._stems.get(stem(word), set()) for word in words if len(word) > 2]
        if name in self._names or (sentences_with and set.intersection(*sentences_with)):
            return True
        close: Callable[[str], bool] = (
            (lambda other: is_class_of(other, name) or is_class_of(name, other))
            if kind in ("medication", "allergy")
            else (lambda other: agree(name, other))
        )
        return any(close(other) for other in self._names)


def _kind(heard: Heard, mention: Mention) -> str:
    flags = heard.flags[mention.start]
    if flags & _UNSAID or heard.kin[mention.start] or mention.start in heard.repairs.retracted:
        return ""
    clinician = heard.said.role is SpeakerRole.CLINICIAN
    kind, name = mention.concept.kind, mention.concept.name
    if kind is Kind.DRUG:
        return _drug(heard, mention, flags, clinician=clinician)
    if kind is Kind.PROBLEM and name not in named("light_problems", GATE) and not flags & Flag.POSSIBLE:
        return "problem"
    if kind is Kind.SYMPTOM and name in named("grave_symptoms", GATE) and not flags & Flag.POSSIBLE:
        return "symptom" if not clinician or _was_asked(heard, mention) else ""
    if kind in (Kind.TEST, Kind.TREATMENT) and clinician and not flags & Flag.HISTORICAL:
        before = {word.text for word in heard.facts.words[max(0, mention.start - _BEFORE) : mention.start]}
        return "plan" if before & listed("intent", GATE) and not flags & Flag.POSSIBLE else ""
    return ""


def _drug(heard: Heard, mention: Mention, flags: int, *, clinician: bool) -> str:
    if is_class(mention.concept.name):
        return ""
    if flags & Flag.ALLERGY:
        return "allergy"
    if flags & (Flag.STOPPED | Flag.POSSIBLE):
        return ""
    given = bool(flags & _GIVEN or mention.doses or mention.rates)
    if mention.concept.name in listed("substances", GATE) and not mention.doses:
        return ""
    return "medication" if given or not clinician or _was_asked(heard, mention) else ""


def _was_asked(heard: Heard, mention: Mention) -> bool:
    """Whether it was a question, and was answered with yes."""
    return bool(heard.facts.flags[mention.start] & Flag.ASKED)


def _omission(found: _Found) -> Omission:
    words = found.heard.facts.words
    text = found.heard.said.text
    low, high = sentences(words, found.mention.start, found.mention.end)
    term = text[words[found.mention.start].start : words[found.mention.end - 1].end]
    return Omission(found.kind, term, Evidence(found.heard.said.number, text[words[low].start : words[high - 1].end]))
