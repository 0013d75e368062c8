"""Cuts utterances into units: the sentences that a note may quote, each with its place in the utterance."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from osler.domain.note import Evidence
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole

LONGEST: Final = 60
"""Words of a unit; a longer stretch is cut at the next place where a clause may begin, or hard at this length."""

_LOOSE: Final = 8
"""Words after which a stretch without any mark (as a recogniser may give it) is cut where a clause may begin."""

_WORDS_OF_A_MARK: Final = 20
"""Words to a comma or stop, at most, of text that has punctuation."""

_DIGITS = "zero|one|two|three|four|five|six|seven|eight|nine"
_END = re.compile(
    r"(?<!\bdr)(?<!\bmr)(?<!\bms)(?<!\bmrs)(?<!\bst)(?<!\bvs)(?<!\b[ap])"
    rf"(?:[?!]+|(?<!(?:nine|ight|even|.six|five|four|hree|.two|.one|nety) )\."
    rf"|\.(?!\s+(?:{_DIGITS})\b))(?:[.?!]*)(?=\s|$)|\n+",
    re.IGNORECASE,
)
_ASK = (
    r"(?:do|did|have|are|were|can|could|would) you\b(?!\s+(?:know|see)\b)|(?:is|was|does|has|did) (?:it|there"
    r"|that|he|she|anyone|anybody|your)\b|any (?:other|history|pain|fever|"
    r"chest|nausea|shortness|problems|issues|numbness|trouble|change|family|allerg|surger)|how (?:long|often"
    r"|about|much|many|bad|are|is|was|do|does|"
    r"did|have|far|old)\b|what (?:about|kind|are|is|do|does|did|makes|brings|happened|were|was|medication)\b"
    r"|what's (?:going|been|your)\b|"
    r"where (?:is|does|do|are|did|was)\b|when (?:did|was|do|is|does)\b|who (?:is|do)\b|which (?:side|one|knee"
    r"|leg|arm|hand|foot)\b|tell me\b"
)
_ASKS = re.compile(
    rf"(?:(?:okay|ok|and|so|alright|all right|well|um|uh|now|then|but|yeah|great|good|right|no|yes"
    rf"|or)\b[\s,]*)*(?:{_ASK})",
    re.IGNORECASE,
)
_CUT = re.compile(r"\s*-[\s.]*$")
_WORD = re.compile(r"\S*\w\S*")
_CLAUSE = re.compile(
    rf"(?:okay|alright)\b|(?:and |now |so )?(?:on (?:your|the) (?:\w+ ){{0,3}}exam\b|on exam\b|(?:i |i have"
    rf" )?(?:looked at|reviewed|looking at)\b|your (?:lungs?|heart|abdomen|neck|lower|vital|x-ray)\b)|(?:and "
    rf"|so |but |or )?(?:{_ASK})|(?:let me|let's|i'm going|i'm gon|i am going)\b|(?:so|and|but|then|because"
    rf"|well|now)\b"
    r"(?=\s+(?:i|i'm|i've|you|you're|we|he|she|it|it's|they|there|there's|then|so|my|your|the|let|on|for|in"
    r" terms)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence of somebody, which another's "mm-hmm" may have cut in two.

    Parameters
    ----------
    role : SpeakerRole
    evidence : tuple of Evidence
        The words, exactly as the utterances have them.
    place : float
        How far into the transcript, 0 to 1.
    """

    role: SpeakerRole
    evidence: tuple[Evidence, ...]
    place: float

    @property
    def text(self) -> str:
        """The words, as one sentence."""
        return (
            " ".join(_CUT.sub("", part.quote) for part in self.evidence[:-1])
            + (" " if len(self.evidence) > 1 else "")
            + self.evidence[-1].quote
        )

    @property
    def utterance(self) -> int:
        """Number of the utterance that it begins in."""
        return self.evidence[0].utterance

    @property
    def is_question(self) -> bool:
        """Whether it ends as a question does, or begins as one where there are no marks."""
        return self.evidence[-1].quote.rstrip().endswith("?") or (
            self.role is SpeakerRole.CLINICIAN and bool(_ASKS.match(self.text))
        )


def units(transcript: DeidentifiedTranscript) -> list[Unit]:
    """Return the units of a transcript, in order."""
    total = max(len(transcript.utterances), 1)
    found: list[Unit] = []
    for index, utterance in enumerate(transcript.utterances):
        for start, end in _sentences(utterance):
            unit = Unit(utterance.role, (Evidence(utterance.number, utterance.text[start:end]),), index / total)
            before = _cut_off(found, unit)
            if before is None:
                found.append(unit)
            else:
                found[before] = Unit(unit.role, found[before].evidence + unit.evidence, found[before].place)
    return found


def _cut_off(found: list[Unit], unit: Unit) -> int | None:
    """Return the unit that this one goes on with: cut off by a word of another, in the last utterance but one."""
    for index in range(len(found) - 1, max(len(found) - 4, -1), -1):
        other = found[index]
        if other.role is not unit.role:
            continue
        last = other.evidence[-1]
        close = 0 < unit.utterance - last.utterance <= 2 and len(other.evidence) < 3
        return index if close and _CUT.search(last.quote) else None
    return None


def _sentences(utterance: DeidentifiedUtterance) -> Iterator[tuple[int, int]]:
    text = utterance.text
    start = 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        yield from _trimmed(text, start, end)
        start = end


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    found = list(_WORD.finditer(text, start, end))
    if not found:
        return
    marks = len(re.findall(r"[,;.?!]", text[found[0].start() : found[-1].start()]))
    longest = LONGEST if marks * _WORDS_OF_A_MARK >= len(found) else _LOOSE
    first = 0
    for index, word in enumerate(found):
        length = index - first
        if length >= LONGEST or (length >= longest and _CLAUSE.match(text, word.start())):
            yield found[first].start(), found[index - 1].end()
            first = index
    stop = len(text[:end].rstrip())
    yield found[first].start(), stop
