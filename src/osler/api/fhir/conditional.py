"""Conditions of a request on the version that it is about.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.5 (versions and concurrency), 3.1.0.2.1 (conditional read); RFC 9110 section 13
"""

import re
from email.utils import formatdate, parsedate_to_datetime
from typing import Final

from osler.errors import PreconditionFailed
from osler.storage.stored import Stored

_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')


def etag(stored: Stored) -> str:
    """Return the entity tag of a version."""
    return f'W/"{stored.version}"'


def last_modified(stored: Stored) -> str:
    """Return when a version came to be, as HTTP writes dates."""
    return formatdate(stored.updated_at, usegmt=True)


def check_match(if_match: str, stored: Stored | None) -> None:
    """Let pass a change whose ``If-Match`` names the current version; an empty one asks for nothing.

    Raises
    ------
    PreconditionFailed
        If another version holds, or none.
    """
    if if_match and (stored is None or stored.deleted or not _names(if_match, stored)):
        raise PreconditionFailed("the current version is not the one that If-Match names")


def check_none_match(if_none_match: str, stored: Stored | None) -> None:
    """Let pass a change that must not replace anything (``If-None-Match: *``); an empty header asks for nothing.

    Raises
    ------
    PreconditionFailed
        If there is a version already, or the very one that the header names.
    """
    if if_none_match and stored is not None and not stored.deleted and _names(if_none_match, stored):
        raise PreconditionFailed("there is a version already that If-None-Match names")


def not_modified(stored: Stored, *, if_none_match: str, if_modified_since: str) -> bool:
    """Tell whether the client has this version already; ``If-None-Match`` goes before the date (RFC 9110 13.2.2)."""
    if if_none_match:
        return _names(if_none_match, stored)
    if if_modified_since:
        try:
            return int(stored.updated_at) <= parsedate_to_datetime(if_modified_since).timestamp()
        except (ValueError, OverflowError):
            return False  # RFC 9110 13.1.3: a date that is none is left out
    return False


def _names(header: str, stored: Stored) -> bool:
    return header.strip() == "*" or str(stored.version) in _TAG.findall(header)
