"""Identifiers of what is published: the same result always gets the same ones, so that sending twice makes one thing.

They are made from pseudonyms and model versions alone. Nobody who lacks the pseudonym can go back or guess one.
"""

import uuid
from typing import Final

_NAMESPACE: Final = uuid.UUID("7d1f8a52-3f0b-4f6d-9a2c-5b8e6d0c1e94")


def _uuid(parts: tuple[str, ...]) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, "\n".join(parts))


def logical_id(*parts: str) -> str:
    """Return a FHIR logical id (a UUID) that stands for ``parts``, of which the first is the resource type."""
    return str(_uuid(parts))


def dicom_uid(*parts: str) -> str:
    """Return a UID under 2.25 that stands for ``parts``, of which the first says what it names (PS3.5 B.2)."""
    return f"2.25.{_uuid(parts).int}"
