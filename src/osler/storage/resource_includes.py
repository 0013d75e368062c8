"""What comes along with the matches of a search (R4 3.1.1.5.4)."""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, not_, select

from osler.standards.fhir_index import references_of
from osler.standards.fhir_query import Query
from osler.standards.fhir_result import Include
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.blobs import Sealer
from osler.storage.resource_conditions import Conditions, Place
from osler.storage.resource_shape import Values
from osler.storage.stored import Stored, open_stored
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_reference as references

MOST_INCLUDED: Final = 1000
_AT_ONCE: Final = 500


def included(
    connection: Connection, query: Query, matches: Sequence[Stored], values: Values, sealer: Sealer
) -> tuple[Stored, ...]:
    """Return what the matches refer to and what refers to them, each once, as far as it is asked for and within reach.

    Parameters
    ----------
    connection : Connection
    query : Query
    matches : sequence of Stored
    values : Values
    sealer : Sealer
        Of the purpose ``record``.
    """
    known = {match.reference for match in matches}
    found: list[Stored] = []
    forward, backward = _forward(query.includes, matches), _backward(connection, query, sorted(known), values)
    for wanted, right in ((forward, "r"), (backward, "s")):
        by_type: dict[str, list[str]] = {}
        for reference in dict.fromkeys(wanted):
            type_name, _, logical_id = reference.partition("/")
            if reference not in known and type_name in SEARCHABLE:
                known.add(reference)
                by_type.setdefault(type_name, []).append(logical_id)
        for type_name, ids in by_type.items():
            found += _open(connection, values, (type_name, right), ids[: MOST_INCLUDED - len(found)], sealer)
    return tuple(found)


def _forward(includes: Iterable[Include], matches: Sequence[Stored]) -> Iterable[str]:
    includes = tuple(includes)
    for match in matches if includes else ():
        resource = json.loads(match.text)
        for include in includes:
            parameters = SEARCHABLE[match.type].parameters
            chosen = parameters.values() if include.parameter == "*" else (parameters[include.parameter],)
            for reference in (r for p in chosen if p.kind == "reference" for r in references_of(resource, p)):
                if include.target in ("", reference.partition("/")[0]):
                    yield reference


def _backward(connection: Connection, query: Query, targets: Sequence[str], values: Values) -> Iterable[str]:
    for include in query.revincludes if targets else ():
        parameter = SEARCHABLE[include.type].parameters[include.parameter]
        place = Place(include.type, references, resources)
        within = Conditions({}).within(values.reach(include.type, "s"), place)
        pointing = (
            select(references.c.id)
            .select_from(place.source)
            .where(
                within,
                references.c.type == include.type,
                references.c.parameter.in_(parameter.stored),
                references.c.target.in_(targets),
            )
            .order_by(references.c.date_at.desc(), references.c.id)
            .limit(MOST_INCLUDED)
        )
        for logical_id in connection.execute(pointing, values.bound).scalars():
            yield f"{include.type}/{logical_id}"


def _open(
    connection: Connection, values: Values, access: tuple[str, str], ids: Sequence[str], sealer: Sealer
) -> Iterable[Stored]:
    place = Place(access[0], resources, resources)
    within = Conditions({}).within(values.reach(*access), place)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        here = (resources.c.type == access[0], resources.c.id.in_(some), not_(resources.c.deleted))
        statement = select(resources).where(*here, within)
        rows = {row["id"]: row for row in connection.execute(statement, values.bound).mappings()}
        yield from (open_stored(rows[each], sealer) for each in some if each in rows)
