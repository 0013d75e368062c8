"""A note in plain text into its headings and sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from osler.clinical.lexicon import lexicon
from osler.domain.note import Topic

_BULLET: Final = re.compile(r"^\s*(?:[•*\-–·]+|\(?\d{1,2}[.)])\s+")
_LABEL: Final = re.compile(r"^([A-Za-z][A-Za-z/&' ]{1,40}?)\s*:\s*")
_END: Final = re.compile(r"(?<=[.?!])(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)\s+(?=[\[\"A-Z0-9])")
_ABBREVIATION: Final = 5
_LONGEST: Final = 1500
_TOPICS: Final = (
    (("allerg", "nkda"), Topic.ALLERGIES),
    (("review of systems", "ros"), Topic.REVIEW_OF_SYSTEMS),
    (("family", "social", "fh", "fhx", "sh", "shx"), Topic.FAMILY_SOCIAL),
    (("surgical", "surgical history", "past surgical", "psh"), Topic.PAST_SURGICAL),
    (("medication", "dh", "dhx", "drug history"), Topic.MEDICATIONS),
    (("vital",), Topic.VITALS),
    (("exam", "o/e"), Topic.EXAM),
    (("result", "lab"), Topic.LABS),
    (("imaging",), Topic.IMAGING),
    (("assessment", "impression", "imp", "diagnos"), Topic.ASSESSMENT),
    (("plan", "instruction", "recommendation"), Topic.PLAN),
    (("past", "medical history", "medical", "pmh"), Topic.PAST_MEDICAL),
    (("chief", "presenting", "pc"), Topic.CHIEF_COMPLAINT),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a note and what its heading says it is about; a label such as "Neck:" is left out."""

    text: str
    topic: Topic


def read_sentences(note: str) -> Iterator[Sentence]:
    """Yield the sentences of a note in order; headings and labels set the topic and are no sentences themselves."""
    topic = Topic.HISTORY
    for text in _lines(note):
        if _is_heading(text):
            topic = _topic(text) or topic
            continue
        label = _LABEL.match(text)
        here = topic
        if label:
            here = _topic(label[1]) or topic
            text = text[label.end() :].strip()
        for sentence in _END.split(text):
            for at in range(0, len(sentence), _LONGEST):
                if any(letter.isalnum() for letter in sentence[at : at + _LONGEST]):
                    yield Sentence(sentence[at : at + _LONGEST].strip(), here)


def _lines(note: str) -> Iterator[str]:
    """Yield the lines of a note without their bullets; what goes on in small letters belongs to the line before."""
    waiting: list[str] = []
    for line in note.splitlines():
        text = line.strip()
        if waiting and text and text[0].islower():
            waiting.append(text)
            continue
        if waiting:
            yield " ".join(waiting)
        waiting = [bare] if (bare := _BULLET.sub("", line).strip()) else []
    if waiting:
        yield " ".join(waiting)


def _is_heading(text: str) -> bool:
    if len(text) > 60 or text[-1] in ".,;?!" or any(letter.isdigit() for letter in text):
        return False
    words = text.rstrip(":").split()
    if text.isupper() and (len(words) > 1 or lexicon().concept(words[0]) is None) and len(text) > _ABBREVIATION:
        return True
    return len(words) <= 4 and _topic(text) is not None and _is_titled(words)


def _is_titled(words: list[str]) -> bool:
    return all(word[0].isupper() or word in ("and", "of", "/", "&") for word in words)


def _topic(heading: str) -> Topic | None:
    lower = heading.lower().rstrip(":").strip()
    for starts, topic in _TOPICS:
        if any(lower == start or (len(start) > 3 and start in lower) for start in starts):
            return topic
    return None
