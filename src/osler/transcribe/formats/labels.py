"""Names of speakers in transcripts of others, and the roles that they tell.

A label may be a person's name: it is read for its role and goes no further, the transcript calls its speakers S1, S2...
"""

import re
from collections import Counter
from collections.abc import Iterator
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
_PLAIN: Final = re.compile(r"(?P<label>[A-Za-z][\w.'’ -]{0,39}?)\s?:(?=\s|$)\s*(?P<text>.*)", re.DOTALL)
_BRACKETED: Final = re.compile(r"\[(?P<label>[^\[\]\n]{1,40})\]:?\s*(?P<text>.*)", re.DOTALL)
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

    A label in brackets may be any; one before a colon must tell a role or be a number of a speaker, or stand alone as a
    name (two words at most, each with a capital).
    """
    line = line.strip()
    match = _BRACKETED.fullmatch(line)
    if match and _is_label(match["label"], bracketed=True):
        return match["label"].strip().lower(), match["text"].strip()
    match = _PLAIN.fullmatch(line)
    if match and _is_label(match["label"], bracketed=False):
        return match["label"].strip().lower(), match["text"].strip()
    return "", line


def _is_label(label: str, *, bracketed: bool) -> bool:
    label = label.strip()
    words = label.split()
    if _UNKNOWN.fullmatch(label.lower()):
        return True
    if role_of(label) is not None:
        return len(words) <= 4
    return not bracketed and 0 < len(words) <= 2 and all(word[0].isupper() for word in words) and "." not in label[:-1]


def labelled(text: str) -> Iterator[Turn]:
    """Yield the turns of a text with a turn a line; a line without a label goes on with the turn before it.

    A name that stands before one line only is no label: it may be the beginning of what is said.
    """
    rows = [(line.strip(), *split_label(line)) for line in text.splitlines() if line.strip()]
    times = Counter(label for _, label, _ in rows)
    label, role, lines = "", None, list[str]()
    for line, found, rest in rows:
        is_label = found and (times[found] > 1 or role_of(found) is not None or _UNKNOWN.fullmatch(found))
        if is_label or not lines:
            if lines:
                yield Turn(label, role, " ".join(lines))
            label, role, lines = (found, role_of(found), []) if is_label else ("", None, [])
        said = rest if is_label else line
        if said:
            lines.append(said)
    if lines:
        yield Turn(label, role, " ".join(lines))
