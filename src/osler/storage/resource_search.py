"""A FHIR search as SQL over the index of terms and dates."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, or_, select, true

from osler.standards.fhir_query import DateCondition, DateRange, Query, TermCondition
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_token as tokens

SPAN: Final = b""
"""Value of a row that stands for a date: it has no term."""

Term = Callable[[str, tuple[str, ...]], bytes]


def matching_keys(query: Query, term: Term) -> Select[Any]:
    """Select date and id of all matches from the index alone, led by the most selective condition.

    Parameters
    ----------
    query : Query
    term : callable
        Returns the keyed index of a term, from its parameter and parts.
    """
    order = list(SEARCHABLE[query.type].parameters)
    conditions = sorted(query.conditions, key=lambda c: order.index(c.parameter))
    if not conditions:
        return select(resources.c.date_at, resources.c.id).where(resources.c.type == query.type)
    lead, *others = conditions
    row = tokens.alias("lead")
    statement = select(row.c.date_at, row.c.id).where(*_holds(row, query.type, lead, term))
    if isinstance(lead, TermCondition) and len(lead.any_of) > 1:
        statement = statement.distinct()
    for number, condition in enumerate(others):
        other = tokens.alias(f"other_{number}")
        same = (other.c.date_at == row.c.date_at, other.c.id == row.c.id)
        held = exists().select_from(other).where(*_holds(other, query.type, condition, term), *same)
        statement = statement.where(held)
    return statement


def page_keys(query: Query, keys: Select[Any], after: tuple[float, str] | None) -> Select[Any]:
    """Select what is sorted by, and the id, of one page and of one match more.

    Parameters
    ----------
    query : Query
    keys : Select
        From :func:`matching_keys`.
    after : (float, str), optional
        What the page before ended with.
    """
    key: ColumnElement[Any]
    logical_id: ColumnElement[Any]
    if query.by_update:
        found = keys.subquery("found")
        key, logical_id = resources.c.updated_at, resources.c.id
        within = logical_id.in_(select(found.c.id)) if query.conditions else true()
        statement = select(key, logical_id).where(resources.c.type == query.type, within)
    else:
        statement = keys
        key, logical_id = keys.selected_columns
    if after is not None:
        value, last_id = after
        if query.descending:
            statement = statement.where(key <= value, or_(key < value, logical_id < last_id))
        else:
            statement = statement.where(key >= value, or_(key > value, logical_id > last_id))
    order = (key.desc(), logical_id.desc()) if query.descending else (key.asc(), logical_id.asc())
    return statement.order_by(*order).limit(query.count + 1)


def _holds(
    row: FromClause, type_name: str, condition: TermCondition | DateCondition, term: Term
) -> tuple[ColumnElement[bool], ...]:
    place = (row.c.type == type_name, row.c.parameter == condition.parameter)
    if isinstance(condition, DateCondition):
        return (*place, row.c.value == SPAN, or_(*(_stands(row, wanted) for wanted in condition.any_of)))
    values = [term(condition.parameter, parts) for parts in condition.any_of]
    return (*place, row.c.value == values[0] if len(values) == 1 else row.c.value.in_(values))


def _stands(row: FromClause, wanted: DateRange) -> ColumnElement[bool]:
    """Return how a span must stand to the wanted range (R4 3.1.1.4.7)."""
    low, high = row.c.low, row.c.high
    contained = and_(low >= wanted.low, high <= wanted.high)
    return {
        "eq": contained,
        "ne": or_(low < wanted.low, high > wanted.high),
        "gt": high > wanted.high,
        "lt": low < wanted.low,
        "ge": or_(high > wanted.high, contained),
        "le": or_(low < wanted.low, contained),
        "sa": low >= wanted.high,
        "eb": high <= wanted.low,
        "ap": and_(low < wanted.high, high > wanted.low),
    }[wanted.prefix]
