"""One shift of dates for each patient, in DICOM, FHIR, HL7 v2 and the text in them, so that intervals stay exact.

The shift is drawn from a secret that the vault keeps for the number of the patient and is in no output: a pseudonym
would not do, since whoever reads it and this module could move the dates back.

References
----------
DICOM PS3.15 E.3.6 (Retain Longitudinal Temporal Information Modified Dates); 45 CFR 164.514(e)(2)
"""

import hashlib
import hmac
import json
import random
import re
from datetime import date, timedelta
from typing import Final

from osler.deidentify.text.profiles import SHIFT_DAYS
from osler.domain.identifiers import Identity, PseudonymKind

_DATE: Final = re.compile(r"([0-9]{4})(?:(-?)([0-9]{2})(?:\2([0-9]{2}))?)?(?=$|[T0-9+^-])")
_REST: Final = re.compile(r"(?:T?[0-9]{2}(?::?[0-9]{2}){0,2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)


def secret_of(patient: Identity) -> Identity:
    """Return what the vault keeps a random secret for: a patient's shift and surrogates are drawn from it.

    Parameters
    ----------
    patient : Identity
        His number and who gave it out, as his pseudonym stands for them; where only the logical id of a FHIR Patient is
        known, that and its URL.
    """
    # As the vault does: the padding of the wire makes no other patient.
    parts = [patient.issuer.strip(" \0"), patient.value.strip(" \0")]
    return Identity(PseudonymKind.UID, f"dates {json.dumps(parts)}")


def days_of(secret: str) -> int:
    """Return by how many days a patient's dates move: into the past, the same as the text engine draws from the secret.

    Parameters
    ----------
    secret : str
        What stands for :func:`secret_of` in the vault.
    """
    seed = hmac.new(secret.encode(), b"\0shift", hashlib.sha256).digest()
    return -random.Random(seed).randint(*SHIFT_DAYS)  # noqa: S311 (seeded by a keyed hash, so that it is the same again)


def shifted(value: str, days: int) -> str:
    """Return a FHIR or HL7 v2 date so many days later, its time and time zone as they were; '' when it is no date.

    A year or a month is moved as its middle is, and stays a year or a month.
    """
    match = _DATE.match(value)
    if match is None or not _REST.fullmatch(value, match.end()) or (match[4] is None and match.end() != len(value)):
        return ""
    year, mark, month, day = match.groups()
    try:
        moved = date(int(year), int(month or 7), int(day or (15 if month else 2))) + timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    parts = [f"{moved.year:04}", f"{moved.month:02}", f"{moved.day:02}"]
    kept = 1 if month is None else 2 if day is None else 3
    return (mark or "").join(parts[:kept]) + value[match.end() :]
