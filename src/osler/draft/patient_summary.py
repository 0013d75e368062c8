"""A note in plain words for the patient: what passed the gate, in the second person, every sentence tied to it.

A sentence is rewritten only as far as its grammar is sure; what is not understood stays as the note has it. No number
and no placeholder is changed, and what was denied stays denied.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from osler.domain.note import Checked, Statement, Topic
from osler.draft.derived import Part, Sentence, as_sentence, passed
from osler.draft.reading import reading_grade
from osler.draft.second_person import addressed

PARTS: Final[Mapping[str, tuple[Topic, ...]]] = {
    "Why you came": (Topic.CHIEF_COMPLAINT, Topic.HISTORY),
    "What we found": (Topic.VITALS, Topic.EXAM, Topic.LABS, Topic.IMAGING, Topic.PROCEDURES),
    "What we think": (Topic.DIAGNOSIS, Topic.ASSESSMENT),
    "Your medicines": (Topic.MEDICATIONS,),
    "Your allergies": (Topic.ALLERGIES,),
    "What happens next": (Topic.PLAN, Topic.DISPOSITION),
}
"""Heads of the summary and what stands under them; history that the patient told is not told back."""

_FIGURES: Final = re.compile(r"\[[A-Z_]+-\d+\]|\d+(?:[.,/:]\d+)*")
_ARTICLE: Final = re.compile(r"\b(an?) (?=(\w))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PatientSummary:
    """What the patient may read.

    Parameters
    ----------
    parts : tuple of Part
    grade : float
        Flesch-Kincaid grade of the whole.
    """

    parts: tuple[Part, ...]
    grade: float


def patient_summary(checked: Checked) -> PatientSummary:
    """Return the summary of a draft: its statements that passed, and nothing else."""
    parts = tuple(
        Part(title, sentences) for title, topics in PARTS.items() if (sentences := tuple(_sentences(checked, topics)))
    )
    whole = "\n".join(sentence.text for part in parts for sentence in part.sentences)
    return PatientSummary(parts, round(reading_grade(whole), 1))


def _sentences(checked: Checked, topics: tuple[Topic, ...]) -> Iterator[Sentence]:
    for statement in passed(checked, topics):
        yield Sentence(_told(statement), (statement.id,))


def _told(statement: Statement) -> str:
    if statement.verbatim:
        return as_sentence(statement.text)
    return as_sentence(plain_words(addressed(statement.text)))


def plain_words(text: str) -> str:
    """Return a text with the terms of medicine in the words of patients; its figures and placeholders are the same."""
    pattern, plain = _jargon()
    replaced: list[tuple[int, int]] = []
    shift = 0

    def word(match: re.Match[str]) -> str:
        nonlocal shift
        found = plain[match[0].lower()]
        if match[0][:1].isupper() and not match[0].isupper():
            found = found[:1].upper() + found[1:]
        replaced.append((match.start() + shift, match.start() + shift + len(found)))
        shift += len(found) - len(match[0])
        return found

    made = pattern.sub(word, text)
    made = _with_articles(made, {start for start, _ in replaced})
    return made if sorted(_FIGURES.findall(made)) == sorted(_FIGURES.findall(text)) else text


def _with_articles(text: str, starts: set[int]) -> str:
    """Return a text whose "a" and "an" fit the words that were put in."""

    def article(match: re.Match[str]) -> str:
        if match.end() not in starts:
            return match[0]
        fits = "an" if match[2].lower() in "aeiou" else "a"
        return (fits.capitalize() if match[1][0].isupper() else fits) + " "

    return _ARTICLE.sub(article, text)


@cache
def _jargon() -> tuple[re.Pattern[str], Mapping[str, str]]:
    """Return a pattern of all terms, longest first, and the plain words of each."""
    plain = dict(read_plain_words())
    terms = sorted(plain, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, terms))})(?![\w-])", re.IGNORECASE), plain


def read_plain_words() -> Iterator[tuple[str, str]]:
    """Read the table: a term in lower case, and its plain words."""
    data = files("osler.draft.data").joinpath("plain-words.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(data.splitlines()):
        yield row["term"], row["plain"]
