"""How far somebody's access reaches: which resources of a type may be seen or changed.

Access is decided once, from scopes, launch context and role, and then holds inside the query: what is out of reach is
not found, counted, included or paged over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

NO_PATIENT: Final = ""
"""Stands in :class:`Part` for those that belong to no patient."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the resources of one type: those for which all of this holds.

    Parameters
    ----------
    patient : str or None
        Logical id of the Patient whose compartment they belong to; None for any, and for those of no patient;
        :data:`NO_PATIENT` for those of no patient alone.
    tokens : tuple of (str, tuple of str)
        Search parameter and term (see :func:`osler.standards.fhir_search.token_forms`) that each of them has, as a
        granular scope (``?category=...``) asks for.
    restricted : bool
        Whether those that ``meta.security`` marks as restricted (R) or very restricted (V) are among them.
    """

    patient: str | None = None
    tokens: tuple[tuple[str, tuple[str, ...]], ...] = ()
    restricted: bool = False


Reach = tuple[Part, ...]
"""Any of the parts; empty means nothing."""

EVERYTHING: Final[Reach] = (Part(restricted=True),)

ReachOf = Callable[[str, str], Reach]
"""``reach(type_name, right)``, with a letter of ``cruds``."""
