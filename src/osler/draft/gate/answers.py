"""Questions and their answers: what was asked becomes yes or no, an allergy, or the family's, by what is answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from osler.clinical.lexicon import Kind
from osler.domain.transcript import DeidentifiedUtterance, SpeakerRole
from osler.draft.facts.context import Flag
from osler.draft.facts.extract import Facts
from osler.draft.facts.tables import listed, named
from osler.draft.facts.words import SENTENCE_ENDS, Word
from osler.draft.gate.kinship import agree
from osler.draft.gate.repairs import GATE

_ASKED: Final = int(Flag.ASKED)
_NEGATED: Final = int(Flag.NEGATED)
_STOPPED: Final = int(Flag.STOPPED)
_HISTORICAL: Final = int(Flag.HISTORICAL)
_ANSWERED: Final = int(Flag.ANSWERED)
_ALLERGY: Final = int(Flag.ALLERGY)
_FRAGMENT: Final = 7
_ANSWER: Final = 12
_REACH: Final = 40
_QUESTION: Final = 30
_BACK: Final = 4
_TAKEN_BACK: Final = frozenset({"wait", "actually", "sorry"})
_FAMILY: Final = "family"
HABITS: Final = ("smoking", "alcohol use")
"""What is a habit of the past when somebody "used to"."""


@dataclass(slots=True)
class Reading:
    """One utterance while questions are being answered; flags and kin change, facts do not."""

    said: DeidentifiedUtterance
    facts: Facts
    flags: list[int]
    kin: list[str]


def answer(readings: Sequence[Reading]) -> dict[int, int]:
    """Turn questions into yes or no where the next speaker, or the same, says which; return who answers whom."""
    partners: dict[int, int] = {}
    for at, one in enumerate(readings):
        following = readings[at + 1] if at + 1 < len(readings) else None
        asked = _asked(one, following)
        reply = following if following is not None and following.said.speaker != one.said.speaker else None
        if reply is not None:
            _carry_subject(one, reply)
        if not asked:
            continue
        inside = _answer_inside(one, asked[-1])
        if inside or reply is None:
            if inside:
                _settle(one, asked, _NEGATED)
            continue
        partners[at] = at + 1
        partners.setdefault(at + 1, at)
        says = _says(one, reply)
        one_by_one = _named_again(one, asked, reply, any_word=not _is_plain_no(reply))
        if says is not None:
            _settle(one, [place for place in asked if place not in one_by_one], says)
    return partners


def _settle(one: Reading, places: Sequence[int], says: int) -> None:
    for place in places:
        one.flags[place] = one.flags[place] & ~_ASKED | says | _ANSWERED


def _asked(one: Reading, following: Reading | None) -> list[int]:
    asked = [place for place, flag in enumerate(one.flags) if flag & _ASKED]
    return asked or (list(range(len(one.flags))) if _is_fragment(one, following) else [])


def _is_fragment(one: Reading, following: Reading | None) -> bool:
    """Whether a few words are a question by what comes after: "shortness of breath" - "no"."""
    if one.said.role is not SpeakerRole.CLINICIAN or following is None or not one.facts.mentions:
        return False
    answers = {word.text for word in following.facts.words[:1]}
    plain = listed("answers_no", GATE) | listed("answers_yes", GATE)
    return len(one.facts.words) <= _FRAGMENT and bool(answers & plain)


def _answer_inside(one: Reading, last: int) -> bool:
    """Whether one who asks denies it himself: "any fever? no. okay"."""
    rest = one.facts.words[last + 1 : last + 2]
    return bool(rest) and rest[0].text in ("no", "none", "nope")


def _carry_subject(one: Reading, reply: Reading) -> None:
    """Make an answer about allergies one of allergies, and one about the family the family's."""
    question = {word.text for word in _last_question(one)}
    if any(text.startswith("allerg") for text in question):
        _make_allergies(reply)
    if _FAMILY in question:
        _make_family(one, reply)
    elif reply.said.role is SpeakerRole.PATIENT:
        _make_relatives(one, reply)


def _make_allergies(reply: Reading) -> None:
    texts = [word.text for word in reply.facts.words[:_REACH]]
    for mention in reply.facts.mentions:
        if mention.start >= _REACH or _takes(texts[: mention.start]):
            return
        if mention.concept.kind is Kind.DRUG:
            for place in range(mention.start, mention.end):
                reply.flags[place] |= _ALLERGY


def _make_family(one: Reading, reply: Reading) -> None:
    """Give an answer to the relative that it names, else to the family; not where it speaks of "I" or of several."""
    texts = [word.text for word in reply.facts.words[:_REACH]]
    people = {kin for kin in reply.kin[:_REACH] if kin}
    if _FAMILY in people or len(people) > 1 or not listed("self_named", GATE).isdisjoint(texts):
        return
    person = next(iter(people), _FAMILY)
    for place in range(len(texts)):
        reply.kin[place] = reply.kin[place] or person
    for place, flag in enumerate(one.flags):
        if flag & _ASKED and not one.kin[place]:
            one.kin[place] = person


def _make_relatives(one: Reading, reply: Reading) -> None:
    """Give what a patient says of "he" or "she" to the relative that the question was about."""
    start = len(one.kin) - len(_last_question(one))
    person = next((kin for kin in reversed(one.kin[start:]) if kin), "")
    if not person:
        return
    theirs = False
    for place, word in enumerate(reply.facts.words[:_REACH]):
        if word.text in SENTENCE_ENDS or reply.kin[place]:
            theirs = False
        elif word.text in ("he", "she"):
            theirs = True
        elif word.text in ("i", "my"):
            theirs = False
        if theirs:
            reply.kin[place] = person


def _takes(texts: Sequence[str]) -> bool:
    """Whether an answer has come to what is taken, rather than what cannot be."""
    return any(
        text in ("take", "taking", "takes", "use", "using") and "not" not in texts[max(0, at - 3) : at]
        for at, text in enumerate(texts)
    )


def _last_question(one: Reading) -> Sequence[Word]:
    words = one.facts.words
    end = len(words)
    start = end - 1
    while start > 0 and end - start < _QUESTION and words[start - 1].text not in SENTENCE_ENDS:
        start -= 1
    if start < 0 or not (
        words[-1].text == "?" or any(flag & _ASKED for flag in one.flags[start:]) or words[start].text == "what"
    ):
        return ()
    return words[start:]


def _named_again(one: Reading, asked: Sequence[int], reply: Reading, *, any_word: bool) -> set[int]:
    """Give what the answer names itself the yes or no that it has there; return the places that this settles.

    After a plain "no" only concepts count: "neck stiffness?" - "no, my neck is fine".
    """
    settled: set[int] = set()
    wanted = set(asked) - _about_allergies(one)
    theirs = [mention for mention in reply.facts.mentions if mention.start < _REACH]
    for mention in one.facts.mentions:
        if mention.start not in wanted or mention.concept.kind is Kind.SITE:
            continue
        flags = [reply.flags[other.start] for other in theirs if agree(mention.concept.name, other.concept.name)]
        if flags and not any(flag & _ASKED for flag in flags):
            places = range(mention.start, mention.end)
            past = mention.concept.name in HABITS and all(flag & (_HISTORICAL | _STOPPED) for flag in flags)
            _settle(one, places, _NEGATED if all(flag & _NEGATED for flag in flags) else _STOPPED * past)
            settled.update(places)
    stems: dict[str, list[int]] = {}
    for place, stem in reply.facts.content if any_word else ():
        if place < _REACH:
            stems.setdefault(stem, []).append(reply.flags[place])
    for place, stem in one.facts.content:
        flags = stems.get(stem, [])
        if place in wanted and place not in settled and flags and not any(flag & _ASKED for flag in flags):
            _settle(one, [place], _NEGATED if all(flag & _NEGATED for flag in flags) else 0)
            settled.add(place)
    return settled


def _is_plain_no(reply: Reading) -> bool:
    """Whether an answer opens with "no" rather than with "I don't"."""
    texts = [word.text for word in reply.facts.words[:_ANSWER]]
    first = next((text for text in texts if text not in listed("fillers", GATE)), "")
    return first in ("no", "nope", "nah", "none")


def _about_allergies(one: Reading) -> set[int]:
    """Return where a question says "allergic" of a drug that it names: another allergy is no answer to it."""
    if not any(mention.concept.kind is Kind.DRUG for mention in one.facts.mentions):
        return set()
    return {place for place, word in enumerate(one.facts.words) if word.text.startswith("allerg")}


def _says(one: Reading, reply: Reading) -> int | None:
    """Return what an answer makes of a question: nothing, `NEGATED` or `STOPPED` to add; None where it does not say."""
    texts = [word.text for word in reply.facts.words[:_ANSWER]]
    if _is_unsure(texts):
        return None
    plain = _yes_or_no(texts)
    if not plain and _stops(reply) and not _is_plain_no(reply):
        return _STOPPED
    if plain is not None:
        return 0 if plain else _NEGATED
    return 0 if _describes(one, reply, texts) else None


def _is_unsure(texts: Sequence[str]) -> bool:
    joined = f" {' '.join(texts)} "
    return any(f" {words} " in joined for words in named("unsure", GATE)) or (
        texts[-1:] == ["?"] and texts[0] in ("what", "how", "which", "why", "when", "do", "does", "is")
    )


def _yes_or_no(texts: Sequence[str]) -> bool | None:
    """Return the yes or no that an answer opens with, or that it comes to: "no, wait, actually yes"."""
    no, yes = listed("answers_no", GATE), listed("answers_yes", GATE)
    for at, text in enumerate(texts):
        rest = texts[at + 1 :]
        opening = " ".join(texts[at : at + 2]) in named("yes_starts", GATE) and "not" not in texts[at : at + 4]
        if text in no or opening or text in yes:
            said = text not in no and (opening or text in ("yes", "yeah") or "not" not in rest[:3])
            back = next((place for place, word in enumerate(rest[:_BACK]) if word in _TAKEN_BACK), None)
            mended = _yes_or_no(rest[back + 1 :]) if back is not None else None
            return said if mended is None else mended
        if text not in listed("fillers", GATE) and text not in _TAKEN_BACK:
            break
    return None


def _stops(reply: Reading) -> bool:
    """Whether what is asked after was given up: "I stopped it", "I quit ten years ago"."""
    named_after = {place for mention in reply.facts.mentions for place in range(mention.start, mention.end)}
    stopped = [place for place, flag in enumerate(reply.flags[:_ANSWER]) if flag & _STOPPED]
    negated = any(reply.flags[place] & _NEGATED for place in stopped)
    return bool(stopped) and not negated and named_after.isdisjoint(stopped)


def _describes(one: Reading, reply: Reading, texts: Sequence[str]) -> bool:
    """Whether an answer says yes by saying how: "every morning", "penicillin" after "any allergies?"."""
    if not listed("answers_no", GATE).isdisjoint(texts) or not listed("thanks", GATE).isdisjoint(texts):
        return False
    others = [mention for mention in reply.facts.mentions if mention.concept.kind is not Kind.SITE]
    if others:
        return _is_open(one)
    start = next((at for at, text in enumerate(texts) if text not in listed("fillers", GATE)), 0)
    opens = any(texts[start : start + len(words.split())] == words.split() for words in named("how_much", GATE))
    return opens or bool(reply.facts.content or reply.facts.quantities)


def _is_open(one: Reading) -> bool:
    """Whether a question leaves it to the answer to name things: "any allergies?"."""
    asked = [word.text for word, flag in zip(one.facts.words, one.flags, strict=True) if flag & _ASKED]
    return not listed("open_questions", GATE).isdisjoint(asked[-_QUESTION:])
