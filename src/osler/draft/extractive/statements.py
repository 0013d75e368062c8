"""Makes of the units of a transcript what a note could say: statements with their evidence, before any is chosen."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from osler.domain.note import Evidence
from osler.domain.transcript import SpeakerRole
from osler.draft.extractive.answers import (
    ALLERGIES,
    HEDGE,
    answer_of,
    answered,
    label_of,
    medicine_asked,
    only_asks_leave,
    says_more,
    untagged,
)
from osler.draft.extractive.english import asks_for_something, cased
from osler.draft.extractive.person import UNKNOWN, Pronouns, clinicians_words, patients_words, spelled_out
from osler.draft.extractive.phrasing import phrased
from osler.draft.extractive.relatives import for_relative, relatives
from osler.draft.extractive.roles import sounds_like_patient
from osler.draft.extractive.spoken import figures, trimmed, written
from osler.draft.extractive.units import Unit

_MOST_WORDS_OF_ANSWER: Final = 14


@dataclass(frozen=True, slots=True)
class Candidate:
    """A statement that a note may take.

    Parameters
    ----------
    text : str
        Capital and full stop are there; empty where a sentence only names the problem that comes next.
    evidence : tuple of Evidence
    role : SpeakerRole
        Who said it.
    kind : {"statement", "answer", "label", "quote"}
    said : str
        The words that it is made of, written but not told in the third person: what the models look at.
    question : str
        The question that it answers; empty for none.
    place : float
        How far into the transcript, 0 to 1.
    heading : str
        What the statement is of, to stand before it, as ``Heart exam``; empty for none.
    under : str
        The problem that was last named before or in it, as said; empty for none.
    """

    text: str
    evidence: tuple[Evidence, ...]
    role: SpeakerRole
    kind: str
    said: str
    question: str
    place: float
    heading: str = ""
    under: str = ""

    @property
    def full_text(self) -> str:
        """The statement with its heading; empty where there is none."""
        if not self.heading or not self.text:
            return self.text
        lowers = self.text.split(maxsplit=1)[0].lower() in _LOWERED
        return f"{self.heading}: {self.text[0].lower() + self.text[1:] if lowers else self.text}"


_LOWERED: Final = frozenset(
    """
    a an the there it this no some we they she he everything these those slight mild good normal that in of and your our
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question that waits for an answer."""

    text: str
    unit: Unit


def candidates(units: Sequence[Unit], pronouns: Pronouns = UNKNOWN, called: str = "the patient") -> list[Candidate]:
    """Return the statements that can be made, in the order of what was said.

    Parameters
    ----------
    units : sequence of Unit
    pronouns : Pronouns
    called : str
        How the note calls the patient.
    """
    return list(_Making(pronouns, called).of(units))


def _companions(text: str) -> str | None:
    """Return what a companion says of the patient, None where the companion or another is meant."""
    return None if _OWN.search(text) else spelled_out(text)


@dataclass(slots=True)
class _Making:
    pronouns: Pronouns
    called: str
    asked: _Asked | None = None
    turn: int = 0
    under: str = ""
    relative: str = ""

    def of(self, units: Sequence[Unit]) -> Iterator[Candidate]:
        for unit in units:
            said = figures(written(unit.text))
            if unit.role is SpeakerRole.CLINICIAN:
                yield from self._by_clinician(unit, said)
            else:
                yield from self._by_patient(unit, said)

    def _by_clinician(self, unit: Unit, said: str) -> Iterator[Candidate]:
        text = trimmed(_ADDRESSED.sub("", said))
        if not re.search(r"\w", text):
            return
        asks = unit.is_question and not only_asks_leave(unit.text)
        if asks:
            last = self.asked
            bare = untagged(text).strip(" ,?")
            if len(bare.split()) < 2 and last is not None and unit.utterance - last.unit.utterance <= 1:
                return
            self.asked, self.turn = _Asked(text.strip(" ?"), unit), 0
            if not bare.endswith("?") and bare != text.strip(" ,?") and not _OPENS_QUESTION.match(bare):
                yield from self._told(unit, bare)
            return
        self.asked = None
        yield from self._told(unit, untagged(text).strip(" ?"))

    def _told(self, unit: Unit, text: str) -> Iterator[Candidate]:
        phrase = phrased(text)
        if phrase is None:
            return
        told = self._clinicians(phrase.text)
        if _NEXT_PART.search(text):
            self.under = ""
        if phrase.problem:
            self.under = self._named(phrase.problem)
        heading = self._named(phrase.heading) or (self.under if phrase.problem else "")
        common = Candidate("", unit.evidence, unit.role, "statement", text, "", unit.place, heading, self.under)
        if told is None:
            yield replace(common, text=f"“{cased(text)}”", kind="quote")
        elif told:
            yield replace(common, text=cased(told))

    def _clinicians(self, text: str) -> str | None:
        if not text or sounds_like_patient(text):
            return None if text else ""
        return clinicians_words(text, self.pronouns, self.called, your="the")

    def _named(self, what: str) -> str:
        told = what and (clinicians_words(what, self.pronouns, self.called, your="the") or what)
        return cased(re.sub(r"^(?:the|a|an) ", "", told)).rstrip(".") if told else ""

    def _by_patient(self, unit: Unit, said: str) -> Iterator[Candidate]:
        asked, self.turn = self.asked, self.turn + 1
        if asked is not None and (self.turn > 3 or unit.utterance - asked.unit.utterance > 2):
            asked = self.asked = None
        question = asked.text if asked else ""
        text = self._named_for(trimmed(said), question, unit.role)
        if asked is not None and self.turn == 1:
            made = self._answer(asked, unit, unit.text, text)
            if made is not None:
                yield made
                if len(text.split()) < 4 or HEDGE.fullmatch(text.strip(" .,")):
                    return
        if not re.search(r"\w", text) or unit.is_question:
            return
        common = Candidate("", unit.evidence, unit.role, "statement", text, question, unit.place, "", self.under)
        told = self._patients(text) if unit.role is SpeakerRole.PATIENT else _companions(text)
        about = medicine_asked(question, text) if self.turn == 1 else ""
        if told is None:
            yield replace(common, text=f"“{cased(text)}”", kind="quote")
        elif _SENTENCE.search(text):
            named = (
                told if about in ("", ALLERGIES) else _POINTS.sub(lambda match: f"{match[1]} {about}", told, count=1)
            )
            yield replace(common, text=cased(named), heading=about if about == ALLERGIES else "")
        elif asked is not None and len(text.split()) <= _MOST_WORDS_OF_ANSWER:
            label = cased(about).rstrip(".") or label_of(question)
            evidence = asked.unit.evidence + unit.evidence
            shown = f"{label}: {told}" if label else told
            yield replace(common, text=cased(shown), evidence=evidence, kind="label")
        else:
            yield replace(common, text=cased(told))

    def _named_for(self, text: str, question: str, role: SpeakerRole) -> str:
        """Return what a patient says of another with that person's name: "my dad", not "he"."""
        if role is not SpeakerRole.PATIENT:
            return text
        named = relatives(question)
        if relatives(text):
            self.relative = relatives(text)
        elif named or not re.search(r"\b(?:he|she)\b", text, re.IGNORECASE):
            self.relative = named
        return for_relative(text, self.relative)

    def _patients(self, text: str) -> str | None:
        first = text.split(maxsplit=1)[0].lower()
        demands = asks_for_something(first) and not _SENTENCE.search(text)
        return None if demands else patients_words(text, self.pronouns, self.called)

    def _answer(self, asked: _Asked, unit: Unit, said: str, text: str) -> Candidate | None:
        answer = answer_of(said)
        if answer is None:
            return None
        told = answered(asked.text, answer, self.pronouns, self.called)
        if told is None:
            return None
        if says_more(text):
            short = re.sub(r"\bthink$", "think so", text.strip(" .,"))
            told = f"{told} (“{short}”)" if len(short.split()) <= 8 else told
            if len(short.split()) > 8:
                return None
        evidence = asked.unit.evidence + unit.evidence
        return Candidate(cased(told), evidence, unit.role, "answer", asked.text, asked.text, unit.place, "", self.under)


_OPENS_QUESTION: Final = re.compile(
    r"^(?:do|does|did|are|is|was|were|have|has|had|can|could|will|would|any|what|when|where|how|why|who|which"
    r"|or|anything)\b",
    re.IGNORECASE,
)
_NEXT_PART: Final = re.compile(
    r"\b(?:physical exam|on (?:your )?exam|my (?:assessment|plan)|assessment and"
    r" plan)",
    re.IGNORECASE,
)
_POINTS: Final = re.compile(
    r"\b(stop(?:ped|s)?|started|takes?|took|quit|uses?|used|tried|missed|forgot|using|taking)"
    r" (?:it|that|this|them|those)\b",
    re.IGNORECASE,
)
_ADDRESSED: Final = re.compile(
    r",\s*(?:(?:mr|mrs|ms|miss|dr)\b\.?\s*)?\[NAME-\d+\]\s*(?=[?.!]*$)|^(?:mr|mrs|ms|miss|dr)\b\.?\s*\[NAME-\d+\]\s*,\s*",
    re.IGNORECASE,
)
"""A name that a sentence is addressed to."""

_OWN: Final = re.compile(r"\b(?:i|me|my|mine|we|us|our|you|your)\b", re.IGNORECASE)
_SENTENCE: Final = re.compile(
    r"\b(?:i|we|it|they|he|she|there|that|this|everything|nothing)(?:'\w+)?\s+(?:\w+ly\s+|just\s+|also\s+)?\w+"
    r"|\b(?:is|was|are|were|has|have|had|does|did|hurts?|feels?|seems?|started)\b",
    re.IGNORECASE,
)
