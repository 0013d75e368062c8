"""A referral letter from what passed the gate: reason, history, medications, allergies, request; tied to statements."""

import re
from dataclasses import dataclass
from typing import Final

from osler.domain.note import Checked, Statement, Topic
from osler.draft.derived import Part, Sentence, as_sentence, passed

OPENING: Final = "Dear colleague,"
CLOSING: Final = "With kind regards,"
"""Words around the letter that say nothing of the patient."""

NO_REQUEST: Final = "Nothing in the note asks for a referral: the letter has no request."
_REFERS: Final = re.compile(
    r"\b(?:refer(?:ral|red|ring|s)?|consult(?:ation|s)?|second opinion|evaluat\w+ by|seen by"
    r"|see (?:a|an|the) \w+(?:logist|geon|pist|trist|dist))\b",
    re.IGNORECASE,
)
_PARTS: Final[tuple[tuple[str, tuple[Topic, ...]], ...]] = (
    ("Reason for referral", (Topic.CHIEF_COMPLAINT, Topic.DIAGNOSIS, Topic.ASSESSMENT)),
    ("History", (Topic.HISTORY, Topic.PAST_MEDICAL, Topic.PAST_SURGICAL, Topic.FAMILY_SOCIAL, Topic.GYNAECOLOGICAL)),
    ("Findings", (Topic.VITALS, Topic.EXAM, Topic.LABS, Topic.IMAGING, Topic.PROCEDURES)),
    ("Medications", (Topic.MEDICATIONS,)),
    ("Allergies", (Topic.ALLERGIES,)),
)
REQUEST: Final = "Request"


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that nobody has signed; de-identified, with placeholders.

    Parameters
    ----------
    opening : str
    parts : tuple of Part
        Those that have sentences, the request last.
    closing : str
    warnings : tuple of str
    """

    opening: str
    parts: tuple[Part, ...]
    closing: str
    warnings: tuple[str, ...] = ()


def referral_letter(checked: Checked, *, to: str = "") -> Letter:
    """Return a letter to a colleague.

    Parameters
    ----------
    checked : Checked
    to : str
        Specialty, as "cardiology"; only what asks for it is the request. Empty takes every referral of the plan.

    Returns
    -------
    Letter
        Without a request, and with a warning, when the plan asks for no such referral.
    """
    asked = [one for one in passed(checked, (Topic.PLAN, Topic.DISPOSITION)) if _asks(one, to)]
    parts = [Part(title, _sentences(list(passed(checked, topics)))) for title, topics in _PARTS]
    parts.append(Part(REQUEST, _sentences(asked)))
    return Letter(OPENING, tuple(part for part in parts if part.sentences), CLOSING, () if asked else (NO_REQUEST,))


def _sentences(statements: list[Statement]) -> tuple[Sentence, ...]:
    return tuple(Sentence(as_sentence(one.text), (one.id,)) for one in statements)


def _asks(statement: Statement, to: str) -> bool:
    """Tell whether a statement of the plan asks for a referral to somebody."""
    if not _REFERS.search(statement.text):
        return False
    stem = re.sub(r"(?:y|[i]st|[i]cs)$", "", to.lower().strip())
    return stem in statement.text.lower()
