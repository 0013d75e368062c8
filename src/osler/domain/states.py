"""States of the things that move through the hub."""

from enum import StrEnum
from typing import Final


class JobState(StrEnum):
    """States of a DICOM Unified Procedure Step (PS3.4 CC.1.1)."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    CANCELED = "canceled"


class StudyState(StrEnum):
    """Where a revision of a study stands."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    QUEUED = "queued"
    QUARANTINED = "quarantined"


class Priority(StrEnum):
    """Priority of a workitem: the values of Scheduled Procedure Step Priority (0074,1200)."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


URGENT: Final = frozenset({"STAT", "HIGH", "EMERGENCY", "ASAP"})
"""Requested Procedure Priority (0040,1003) and its like, of which a study is of high priority."""


class Role(StrEnum):
    """In what role a model reads a study: the results of a champion and of a canary are published.

    A shadow's are only compared with the champion's. A canary is a challenger that reads a study in the champion's
    place, which then reads it as a shadow.
    """

    CHAMPION = "champion"
    CANARY = "canary"
    SHADOW = "shadow"


class DeliveryState(StrEnum):
    """Where one delivery to one destination stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class AgeBand(StrEnum):
    """Coarse age, all that a model is told about a patient's age.

    Bands follow the FDA's paediatric subpopulations (21 CFR 814.3(s) and guidance), with the age 1-5 split out.
    """

    NEONATE = "0-27d"
    INFANT = "28d-11m"
    YOUNG_CHILD = "1-5y"
    CHILD = "6-11y"
    ADOLESCENT = "12-17y"
    ADULT = "18y+"
    UNKNOWN = "unknown"
