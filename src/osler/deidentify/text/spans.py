"""The span: one identifier in a text, where it is, what it is and why it was taken for one."""

from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """The identifiers of 45 CFR 164.514(b)(2)(i), as typed spans; the letter is the clause's."""

    NAME = "NAME"  # A
    LOCATION = "LOCATION"  # B
    DATE = "DATE"  # C
    AGE = "AGE"  # C, ages over 89
    PHONE = "PHONE"  # D
    FAX = "FAX"  # E
    EMAIL = "EMAIL"  # F
    SSN = "SSN"  # G
    MRN = "MRN"  # H
    HEALTH_PLAN = "HEALTH_PLAN"  # I
    ACCOUNT = "ACCOUNT"  # J
    LICENSE = "LICENSE"  # K
    VEHICLE = "VEHICLE"  # L
    DEVICE = "DEVICE"  # M
    URL = "URL"  # N
    IP = "IP"  # O
    BIOMETRIC = "BIOMETRIC"  # P
    PHOTO = "PHOTO"  # Q
    OTHER_ID = "OTHER_ID"  # R


@dataclass(frozen=True, slots=True)
class Span:
    """An identifier in a text.

    Parameters
    ----------
    start, end : int
        Code points; ``end`` is exclusive. A recogniser counts in the shadow text, the engine's result in the input.
    category : Category
    score : float
        Confidence, 0 to 1.
    rule : str
        What found it, kebab-case.
    replacement : str or None
        What stands in its place in the output, once a profile has decided.
    """

    start: int
    end: int
    category: Category
    score: float
    rule: str
    replacement: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the span as commands print it."""
        return {
            "start": self.start,
            "end": self.end,
            "category": self.category.value,
            "text_length": self.end - self.start,
            "score": round(self.score, 3),
            "rule": self.rule,
            "replacement": self.replacement,
        }
