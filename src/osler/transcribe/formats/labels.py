"""Names of speakers in transcripts of others, and the roles that they tell.

A label may be a person's name: it is read for its role and goes no further, the transcript calls its speakers S1, S2...
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from osler.domain.transcript import SpeakerRole

_CLINICIAN: Final = frozenset(
    (
        *("doctor", "dr", "doc", "clinician", "physician", "provider", "practitioner", "gp", "md", "do", "np", "pa"),
        *("nurse", "rn", "lpn", "therapist", "surgeon", "resident", "dentist", "psychologist", "psychiatrist"),
        *("midwife", "pharmacist", "consultant", "interviewer"),
    )
)
_PATIENT: Final = frozenset({"patient", "pt", "client", "interviewee"})
_OTHER: Final = frozenset(
    (
        *("guest", "family", "mother", "mom", "mum", "father", "dad", "parent", "wife", "husband", "spouse", "son"),
        *("daughter", "sister", "brother", "grandmother", "grandfather", "aunt", "uncle", "guardian", "partner"),
        *("caregiver", "carer", "relative", "friend", "interpreter", "translator", "visitor", "other"),
    )
)
_UNKNOWN: Final = re.compile(r"(?:speaker|spk|s|person|voice|participant|channel|unknown)[ _-]?[0-9a-z]{0,3}")
_TIME: Final = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?"
_SPAN: Final = rf"{_TIME}(?:\s*(?:-|–|-->|to)\s*{_TIME})?"
_STAMP: Final = re.compile(rf"[\[(]\s*{_SPAN}\s*[\])]\s*[-:]?\s*")
_BEFORE: Final = re.compile(rf"(?:{_STAMP.pattern}|{_SPAN}\s+(?:[-|]\s+)?|[-*•>]\s+){{1,2}}")
_MARKED: Final = re.compile(r"[*_]{1,3}(?P<label>[^*_:]{1,40}):?[*_]{1,3}:?(?=\s|$)\s*(?P<text>.*)", re.DOTALL)
_PLAIN: Final = re.compile(
    rf"(?P<label>[A-Za-z][\w.'’ -]{{0,39}}?)(?:\s*[\[(]\s*{_SPAN}\s*[\])])?\s?:(?=\s|$)\s*(?P<text>.*)", re.DOTALL
)
_BRACKETED: Final = re.compile(
    r"(?:\[([^\[\]\n]{1,40})\]|<([^<>\n]{1,40})>|\(([\w.]{1,20})\)):?\s*(?P<text>.*)", re.DOTALL
)
_DASHED: Final = re.compile(r"(?P<label>[A-Za-z][\w.'’]{0,19}(?: \w{1,3})?)(?:\t|\s[-–—]\s)\s*(?P<text>.*)", re.DOTALL)
_HEADING: Final = re.compile(rf"(?P<label>[A-Za-z][\w.'’ -]{{0,39}}?)\s+[\[(]?{_SPAN}[\])]?(?P<text>)")
_TITLES: Final = frozenset({"Mr", "Mrs", "Ms", "Miss", "Mx", "Sr", "Sra"})
_SEPARATORS: Final = re.compile(r"[^a-z]+")


@dataclass(frozen=True, slots=True, repr=False)
class Turn:
    """A turn of a transcript of others.

    Parameters
    ----------
    label : str
        As it stood there, trimmed and in lower case; empty without one.
    role : SpeakerRole or None
        None when the label does not tell.
    text : str
    start_s, end_s : float or None
    """

    label: str
    role: SpeakerRole | None
    text: str
    start_s: float | None = None
    end_s: float | None = None

    def __repr__(self) -> str:
        return f"Turn({self.role}, <identified>)"


def role_of(label: str) -> SpeakerRole | None:
    """Return the role that a label tells, None when it tells none."""
    words = [word for word in _SEPARATORS.split(label.lower()) if word]
    if not words:
        return None
    if "guest" in words and _CLINICIAN.intersection(words):
        return SpeakerRole.CLINICIAN
    found = (
        (SpeakerRole.OTHER, not _OTHER.isdisjoint(words)),
        (SpeakerRole.PATIENT, not _PATIENT.isdisjoint(words)),
        (SpeakerRole.CLINICIAN, not _CLINICIAN.isdisjoint(words)),
    )
    return next((role for role, holds in found if holds), None)


def split_label(line: str) -> tuple[str, str]:
    """Return the label of a line, in lower case, and its text; an empty label when there is none.

    A label stands before a colon, a dash or a tab, in brackets, in Markdown's emphasis, or on a line with a time; a
    time or a bullet may stand before it. One before a colon or a time must tell a role or be a number of a speaker, or
    stand alone as a name (two words at most, each with a capital); the others must tell a role or be a number.
    """
    line = line.strip()
    for begun in dict.fromkeys((line, _without(_BEFORE, line))):
        if match := _MARKED.fullmatch(begun):
            begun = f"{match['label'].strip()}: {match['text']}"
        for form, alone in ((_BRACKETED, True), (_PLAIN, False), (_DASHED, True), (_HEADING, False)):
            if match := form.fullmatch(begun):
                label = next(group for group in match.groups() if group).strip()
                if _is_label(label, bracketed=alone):
                    return label.lower(), match["text"].strip()
    return "", _without(_STAMP, line)


def _without(beginning: re.Pattern[str], line: str) -> str:
    return line[match.end() :] if (match := beginning.match(line)) else line


class Labels:
    """The labels of the lines of one transcript.

    A name that stands before one line only is no label: it may be the beginning of what is said.

    Parameters
    ----------
    lines : iterable of str
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._times = Counter(split_label(line)[0] for line in lines)

    def split(self, line: str) -> tuple[str, str]:
        """Return the label of a line, in lower case, and its text; an empty label when there is none."""
        label, text = split_label(line)
        if not label or self._times[label] > 1 or role_of(label) is not None or _UNKNOWN.fullmatch(label):
            return label, text
        return "", line.strip()


def _is_label(label: str, *, bracketed: bool) -> bool:
    label = label.strip()
    words = label.split()
    if _UNKNOWN.fullmatch(label.lower()):
        return True
    if role_of(label) is not None:
        return len(words) <= 4
    words = words[1:] if words and words[0].rstrip(".") in _TITLES else words
    return not bracketed and 0 < len(words) <= 2 and all(word[0].isupper() and "." not in word[:-1] for word in words)


def labelled(text: str) -> Iterator[Turn]:
    """Yield the turns of a text with a turn a line; a line without a label goes on with the turn before it."""
    rows = [line for line in text.splitlines() if line.strip()]
    labels = Labels(rows)
    label, lines = "", list[str]()
    for row in rows:
        found, said = labels.split(row)
        if found:
            if lines:
                yield Turn(label, role_of(label), " ".join(lines))
            label, lines = found, []
        if said:
            lines.append(said)
    if lines:
        yield Turn(label, role_of(label), " ".join(lines))
