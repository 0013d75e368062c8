"""What an amendment does to what the revision before it published: nothing is deleted, what is taken back says so.

References
----------
HL7 FHIR R4 4.0.1, Composition.relatesTo, DocumentReference.status, and ``entered-in-error`` of each resource
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from osler.publish.note.document import superseded
from osler.publish.note.ehr import Outgoing
from osler.publish.note.entries import REQUESTS, withdrawn
from osler.standards.fhir import Resource

Change = Callable[[Resource], Resource]

_ITEMS: Final = frozenset({"Condition", "MedicationStatement", "AllergyIntolerance", "Observation"}) | REQUESTS


def taken_back(before: Sequence[Resource], after: Sequence[Resource]) -> Iterator[tuple[Resource, Change]]:
    """Yield what the earlier revision published and the later one does not, each with what it is to become.

    Parameters
    ----------
    before, after : sequence of dict
        What :func:`osler.publish.note.document.resources` makes of the two revisions.

    Yields
    ------
    (dict, callable)
        Items that are not said any more, to be entered in error, and the DocumentReference of the earlier revision,
        to be superseded. The callable is for the copy that is held, whoever holds it.
    """
    kept = {(one["resourceType"], one["id"]) for one in after}
    for one in before:
        kind = one["resourceType"]
        if (kind, one["id"]) in kept:
            continue
        if kind in _ITEMS:
            yield one, withdrawn
        elif kind == "DocumentReference":
            yield one, superseded


def outgoing(
    after: Sequence[Resource], before: Sequence[Resource] = (), *, kinds: Collection[str] = ()
) -> tuple[Outgoing, ...]:
    """Return what an EHR is to be brought: all of a revision, and what becomes of the one before.

    Parameters
    ----------
    after, before : sequence of dict
        As for :func:`taken_back`.
    kinds : collection of str
        Resource types that the EHR takes; empty for all.
    """
    created = (Outgoing(one) for one in after)
    changed = (Outgoing(one, change) for one, change in taken_back(before, after))
    return tuple(one for one in (*created, *changed) if not kinds or one.resource["resourceType"] in kinds)
