"""How the note refers to the patient: by the sex that the clinician named or addressed, else by "they"."""

import re
from typing import Final

from osler.domain.transcript import DeidentifiedTranscript, SpeakerRole
from osler.draft.extractive.person import FEMALE, MALE, UNKNOWN, Pronouns

_AGED: Final = re.compile(
    r"\b(?:years?[\s-]*old|y\.?\s*o\.?|\d+[\s-]*year)\b(?:[\s,]+(?:[\w-]+)){0,5}?\s+(?P<f>female|woman|lady|girl)\b"
    r"|\b(?:years?[\s-]*old|y\.?\s*o\.?)\b(?:[\s,]+(?:[\w-]+)){0,5}?\s+(?P<m>male|man|gentleman|boy)\b",
    re.IGNORECASE,
)
_ADDRESSED: Final = re.compile(
    r"\b(?:(?P<f>ms\.?|mrs\.?|miss|ma'am|madam)|(?P<m>mr\.?|mister|sir))(?=[\s,.?!]|$)", re.IGNORECASE
)
_OTHERS: Final = re.compile(
    r"\b(?:your|my|his|her) (?:wife|husband|mom|mother|dad|father|son|daughter)\b", re.IGNORECASE
)


def pronouns_of(transcript: DeidentifiedTranscript) -> Pronouns:
    """Return the pronouns of the patient; "they" where the clinician names no sex, or both."""
    said = [u.text for u in transcript.utterances if u.role is SpeakerRole.CLINICIAN and not _OTHERS.search(u.text)]
    for pattern in (_AGED, _ADDRESSED):
        found = [match for text in said for match in pattern.finditer(text)]
        female, male = sum(bool(match["f"]) for match in found), sum(bool(match["m"]) for match in found)
        if female != male and min(female, male) * 3 <= max(female, male):
            return FEMALE if female > male else MALE
    return UNKNOWN
