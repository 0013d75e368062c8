"""The changes of a transaction, in the order that the standard gives them.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.17.2
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from osler.api.fhir.changing import Change, Changing, Done
from osler.api.fhir.entries import Entry, below
from osler.api.fhir.linking import Links, has_conditional
from osler.api.fhir.preferences import Preferences
from osler.errors import InvalidResource, Malformed, OslerError
from osler.standards.fhir import Issue
from osler.storage.stored import Stored

_ORDER: Final[Mapping[str, int]] = {"POST": 0, "PUT": 1, "PATCH": 1}


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one entry.

    Parameters
    ----------
    status : int
        As HTTP says it.
    stored : Stored or None
        The version that it is about.
    text : str
        The resource that is given back.
    changed : bool
        Whether the entry asked for a change.
    issues : sequence of Issue
        Why it failed.
    """

    status: int
    stored: Stored | None = None
    text: str = ""
    changed: bool = False
    issues: Sequence[Issue] = ()


def changes_of(changing: Changing, entries: Sequence[tuple[Entry, Change]], wishes: Preferences) -> dict[int, Answered]:
    """Make the changes of a transaction; return what became of each, by the number of its entry.

    Raises
    ------
    OslerError
        As :meth:`Changing.apply` does, with the place of the entry.
    Malformed
        If two entries change the same resource.
    """
    answered: dict[int, Answered] = {}
    links = Links(changing.find)
    waiting: list[tuple[Entry, Change]] = []
    claimed: set[str] = set()
    for entry, change in sorted(entries, key=lambda pair: pair[1].method != "DELETE"):
        with at(entry.place):
            _claim(claimed, f"{change.method} {change.type}?{change.criteria}" if change.criteria is not None else "")
            resolved = changing.resolve(change)
            if isinstance(resolved, Stored):
                answered[entry.number] = changed(change, changing.met(resolved), wishes)
                links.add(entry.full_url, resolved.reference)
                continue
            reference = f"{resolved.type}/{resolved.id}" if resolved.id else ""
            _claim(claimed, reference)
            if change.method == "DELETE":
                answered[entry.number] = changed(change, changing.apply(resolved), wishes)
            else:
                links.add(entry.full_url, reference)
                waiting.append((entry, resolved))
    for entry, change in sorted(waiting, key=lambda pair: _turn(pair[1])):
        with at(entry.place):
            done = changing.apply(links.applied(change, entry.full_url))
            answered[entry.number] = changed(change, done, wishes)
    return answered


def _turn(change: Change) -> tuple[int, int, bool]:
    """Return when a change has its turn; Binary and Provenance last: they belong to the patients of others."""
    return {"Binary": 1, "Provenance": 2}.get(change.type, 0), _ORDER[change.method], has_conditional(change)


def changed(change: Change, done: Done, wishes: Preferences) -> Answered:
    """Return the answer to a change, with the resource when it is wished for."""
    given = done.stored and done.shown and change.method != "DELETE" and wishes.returning == "representation"
    return Answered(done.status, done.stored, done.stored.text if given and done.stored else "", changed=True)


@contextmanager
def at(place: str) -> Iterator[None]:
    """Say of an error at which entry it came up."""
    try:
        yield
    except InvalidResource as error:
        issues = error.issues or (Issue(error.issue_code, "", str(error)),)
        raise type(error)(
            str(error), tuple(replace(i, expression=below(place, i.expression)) for i in issues)
        ) from None
    except OslerError as error:
        raise type(error)(f"{place}: {error}") from None


def _claim(claimed: set[str], what: str) -> None:
    if what and what in claimed:
        raise Malformed("two entries of the transaction change the same resource")
    claimed.add(what)
