"""All that belongs to one patient, in the order of type and id.

References
----------
HL7 FHIR R4 4.0.1, CompartmentDefinition Patient
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, false, or_, select, union

from osler.standards.fhir_search import SEARCHABLE
from osler.storage.blobs import Sealer
from osler.storage.stored import Stored, open_stored
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_reference as references

_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Compartment:
    """What of a patient is asked for.

    Parameters
    ----------
    patient : str
        Logical id.
    types : tuple of str
        Resource types.
    since : float or None
        Only what was changed then or later, seconds since the epoch, UTC.
    after : (str, str) or None
        Type and id of what came last before.
    """

    patient: str
    types: tuple[str, ...]
    since: float | None = None
    after: tuple[str, str] | None = None


def members(connection: Connection, sealer: Sealer, wanted: Compartment) -> Iterator[Stored]:
    """Yield what is about a patient or refers to the patient by a parameter of the compartment, but for the Patient.

    It is read in pieces, so that who stops early has not opened all of it.

    Raises
    ------
    IntegrityError
        If a text is not what was written there.
    """
    while wanted.types:
        rows = connection.execute(_statement(wanted)).mappings().all()
        for row in rows:
            yield open_stored(row, sealer)
        if len(rows) < _AT_ONCE:
            return
        wanted = replace(wanted, after=(rows[-1]["type"], rows[-1]["id"]))


def _statement(wanted: Compartment) -> Select[Any]:
    own = select(resources.c.type, resources.c.id).where(
        resources.c.patient == wanted.patient, resources.c.type.in_(wanted.types), *_after(resources, wanted)
    )
    linked = select(references.c.type, references.c.id).where(
        references.c.target == f"Patient/{wanted.patient}", _belongs(wanted.types), *_after(references, wanted)
    )
    found = union(own, linked).subquery("found")
    here = and_(resources.c.type == found.c.type, resources.c.id == found.c.id)
    statement = (
        select(resources)
        .select_from(found.join(resources, here))
        .where(~resources.c.deleted, or_(found.c.type != "Patient", found.c.id != wanted.patient))
    )
    if wanted.since is not None:
        statement = statement.where(resources.c.updated_at >= wanted.since)
    return statement.order_by(found.c.type, found.c.id).limit(_AT_ONCE)


def _belongs(types: tuple[str, ...]) -> ColumnElement[bool]:
    compartments: Mapping[str, tuple[str, ...]] = {name: SEARCHABLE[name].compartment for name in types}
    return or_(
        false(),
        *(
            and_(references.c.type == name, references.c.parameter.in_(stored))
            for name, parameters in compartments.items()
            if (stored := [s for p in parameters for s in SEARCHABLE[name].parameters[p].stored])
        ),
    )


def _after(row: FromClause, wanted: Compartment) -> Iterator[ColumnElement[bool]]:
    if wanted.after is not None:
        type_name, logical_id = wanted.after
        yield row.c.type >= type_name
        yield or_(row.c.type > type_name, row.c.id > logical_id)
