"""Whether it is so: negation, doubt, conditions, questions, kin and the past, by cue words and their reach.

After ConText (Harkema et al. 2009): a cue colours the words after it (or before it) until its reach or a word that
ends it. Reach is short where nothing ends sentences, as in what a recogniser hears.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Final

from osler.draft.facts.cues import Cue, cues, kin_of
from osler.draft.facts.tables import listed
from osler.draft.facts.words import SENTENCE_ENDS, Word


class Flag(IntFlag):
    """What colours a word."""

    NEGATED = 1
    POSSIBLE = 2
    HYPOTHETICAL = 4
    ASKED = 8
    HISTORICAL = 16
    ALLERGY = 32
    STOPPED = 64
    STARTED = 128
    CONTINUED = 256
    RAISED = 512
    LOWERED = 1024
    ANSWERED = 2048


_BITS: Final = {flag.name or "": int(flag) for flag in Flag}


@dataclass(frozen=True, slots=True)
class Contexts:
    """Colours of each word of a text.

    Parameters
    ----------
    flags : list of int
        Of each word, bits of :class:`Flag`.
    kin : list of str
        Whose it is where it is not the patient's, as ``mother``; empty otherwise.
    denied : set of int
        Words that a negation stands right before: what the sentence turns on.
    """

    flags: list[int]
    kin: list[str]
    denied: set[int]


def read_contexts(words: Sequence[Word], *, spoken: bool) -> Contexts:
    """Return what colours each word; linear in the number of words.

    Parameters
    ----------
    words : sequence of Word
    spoken : bool
        Whether it was said: then questions are looked for.
    """
    texts = [word.text for word in words]
    flags, kin = [0] * len(texts), [""] * len(texts)
    denied: set[int] = set()
    start = 0
    for end in _sentence_ends(texts):
        denied |= _colour(texts, start, end, flags, spoken=spoken)
        _relate(texts, start, end, kin)
        if spoken and _is_question(texts, start, end):
            for at in range(start, end):
                flags[at] |= _ASKED
        start = end
    return Contexts(flags, kin, denied)


def _sentence_ends(texts: Sequence[str]) -> list[int]:
    ends = [at + 1 for at, text in enumerate(texts) if text in SENTENCE_ENDS]
    return ends if ends and ends[-1] == len(texts) else [*ends, len(texts)]


def _colour(texts: Sequence[str], start: int, end: int, flags: list[int], *, spoken: bool) -> set[int]:
    """Colour one sentence; return the words right after each negation."""
    denied: set[int] = set()
    reaches: dict[int, int] = {}
    since = at = start
    while at < end:
        if reaches and _is_end(texts, at, end, since):
            reaches = {bit: until for bit, until in reaches.items() if bit in _LASTING}
        cue = _cue(texts, at, end)
        length = len(cue.words) if cue else 1
        live = sum(bit for bit, until in reaches.items() if at < until)
        for place in range(at, at + length):
            flags[place] |= live
        if cue is None:
            if texts[at] in listed("listing") and live & _NEGATED and not (spoken and texts[at] == "and"):
                reaches[_NEGATED] = max(reaches[_NEGATED], at + 1 + _LISTED)
        elif cue.colour and (spoken or cue.colour != _QUESTION):
            since = at + length if not cue.before else since
            stretched = cue.reach if spoken or cue.colour not in _STRETCHED else cue.reach * _WRITTEN
            denied |= _apply(replace(cue, reach=stretched), texts, (start, at, end), flags, reaches)
        at += length
    return denied


def _apply(
    cue: Cue, texts: Sequence[str], place: tuple[int, int, int], flags: list[int], reaches: dict[int, int]
) -> set[int]:
    """Let a cue colour words: itself, those before it, or by its reach those to come; return what it denies."""
    start, at, end = place
    bit, after = _BITS[cue.colour], at + len(cue.words)
    if not cue.reach:
        flags[after - 1] |= bit
        return {after - 1} if bit == _NEGATED else set()
    if cue.before:
        _colour_back(texts, at, start, flags, bit, cue.reach)
        if cue.words[0] == "not":
            reaches[bit] = after + _TURNS
        return set()
    if bit in _ACTIONS:
        for other in _ACTIONS & reaches.keys():
            del reaches[other]
    reaches[bit] = max(reaches.get(bit, 0), after + cue.reach)
    return set(range(after, min(end, after + _TURNS))) if bit == _NEGATED else set()


_ACTIONS: Final = frozenset(
    {int(Flag.STOPPED), int(Flag.STARTED), int(Flag.CONTINUED), int(Flag.RAISED), int(Flag.LOWERED)}
)
_NEGATED: Final = int(Flag.NEGATED)
_ASKED: Final = int(Flag.ASKED)
_QUESTION: Final = "ASKED"
_STRETCHED: Final = frozenset({"NEGATED", "HYPOTHETICAL"})
_CLOSING: Final = SENTENCE_ENDS | {",", ";"}
_HESITATIONS: Final = frozenset({"um", "uh", "er", "mm"})
_TAKING_BACK: Final = frozenset({"wait", "sorry", "actually"})
_PERSONS: Final = frozenset({"i", "he", "she", "they", "we", "you", "there"})
_TAGS: Final = frozenset({"okay", "ok", "alright", "right"})
_LASTING: Final = frozenset({int(Flag.HYPOTHETICAL), _ASKED})
_LISTED: Final = 5
_TURNS: Final = 3
_WRITTEN: Final = 2


def _is_end(texts: Sequence[str], at: int, end: int, since: int) -> bool:
    """Whether a new clause starts: what was said before does not colour it."""
    text = texts[at]
    following = texts[at + 1] if at + 1 < end else ""
    if text in ("and", ",") and following in listed("clause_starts"):
        return True
    if text in listed("ends") or (text == "or" and following in _PERSONS):
        return True
    if text == "patient" and texts[at - 1] == "the":
        return False
    if text == "there" and at > since and at + 1 < end and texts[at + 1] in ("is", "are", "was", "a", "an", "some"):
        return True
    return text in listed("subjects") and at >= since + 2 and texts[at - 1] not in listed("leading")


def _colour_back(texts: Sequence[str], at: int, start: int, flags: list[int], bit: int, reach: int) -> None:
    for place in range(at - 1, max(start, at - reach) - 1, -1):
        if texts[place] in listed("ends") or texts[place] == "and":
            return
        flags[place] |= bit


def _cue(texts: Sequence[str], at: int, end: int) -> Cue | None:
    for cue in cues().get(texts[at], ()):
        after = at + len(cue.words)
        if cue.before and cue.words[-1] == "no" and after < end and texts[after] not in _CLOSING:
            continue
        if tuple(texts[at:after]) == cue.words and after <= end:
            return None if cue.words == ("no",) and _answers(texts, at, end) else cue
    return None


def _answers(texts: Sequence[str], at: int, end: int) -> bool:
    """Whether a "no" is an answer by itself rather than the "no" of "no fever"."""
    place = at + 1
    if place < end and texts[place] == ",":
        return place + 1 == end or texts[place + 1] not in _HESITATIONS
    return (
        place >= end
        or texts[place] in _TAKING_BACK
        or texts[place] in listed("clause_starts")
        or texts[place] in SENTENCE_ENDS
        or texts[place] == "no"
    )


def _relate(texts: Sequence[str], start: int, end: int, kin: list[str]) -> None:
    person, until = "", 0
    for at in range(start, end):
        text = texts[at]
        if text in kin_of() and texts[at - 1] != "a":
            person, until = kin_of()[text], at + 14
            if at > start and texts[at - 1] in ("in", "his", "her", "the", "my", "your", "of", "on"):
                _own_back(texts, at, start, kin, person)
        elif text == "but" or (text in listed("self") and not _is_aside(texts, at, end)):
            person = ""
        if person and at < until:
            kin[at] = person


def _is_aside(texts: Sequence[str], at: int, end: int) -> bool:
    """Whether it is the "I" of "I think", after which the talk goes on about the same person."""
    return at + 1 < end and texts[at + 1] in ("think", "guess", "believe", "know", "mean", "suppose")


def _own_back(texts: Sequence[str], at: int, start: int, kin: list[str], person: str) -> None:
    """Give "diabetes in his mother" to the mother."""
    place = at - 1
    while place > start and texts[place] in ("his", "her", "the", "my", "your"):
        place -= 1
    if texts[place] not in ("in", "on") and texts[place - 1 : place + 1] != ["history", "of"]:
        return
    for back in range(place - 1, max(start, place - 6) - 1, -1):
        if (
            texts[back] in listed("ends")
            or texts[back] in listed("self")
            or texts[back] in kin_of()
            or texts[back] == ","
        ):
            return
        kin[back] = person


def _is_question(texts: Sequence[str], start: int, end: int) -> bool:
    place = start
    while place < end and texts[place] in listed("openers") and texts[place] != "any":
        place += 1
    if place >= end:
        return False
    if texts[place] in ("how", "what", "when", "where", "which", "who"):
        return place + 1 < end and texts[place + 1] == "about"
    if texts[place] in ("any", "anything", "ever"):
        return end - place < 40
    follows = texts[place + 1 : place + 4]
    if texts[end - 1] == "?":
        return texts[end - 2] not in _TAGS if end - start > 4 else True
    return texts[place] in listed("question_starts") and any(word in listed("question_subjects") for word in follows)
