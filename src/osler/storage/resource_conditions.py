"""Conditions of a search, and how far somebody's access reaches, as SQL over the index."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    false,
    literal,
    not_,
    or_,
    select,
    true,
    union_all,
)

from osler.domain.reach import NO_PATIENT, Reach
from osler.standards.fhir_conditions import Chain, Condition, Every, Has, Present, Range, Test
from osler.standards.fhir_index import COLUMNS, Link, Term
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.resource_shape import HIGH, UNIT
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_reference as references
from osler.storage.tables import resource_span as spans
from osler.storage.tables import resource_token as tokens

_INSTANT_S: Final = 0.001  # how long the instant of meta.lastUpdated lasts
_MOST_APART: Final = 16
_SELECTIVE: Final = ("identifier",)
_RANK_OF_PATIENT: Final = 2


class Place:
    """Where in a statement a resource stands that conditions are put to.

    Parameters
    ----------
    type_name : str
    row : FromClause
        Something with its ``date_at`` and ``id``.
    resource : FromClause
        Its own row among the resources; the same as ``row`` when nothing else leads there.
    """

    def __init__(self, type_name: str, row: FromClause, resource: FromClause) -> None:
        self.type = type_name
        self.row = row
        self._resource = resource
        self._spoken_of = False

    @property
    def resource(self) -> FromClause:
        """The resource's own row, which is then part of the statement: most searches need the index alone."""
        self._spoken_of = True
        return self._resource

    @property
    def source(self) -> FromClause:
        """What a statement reads from, once all its conditions are written."""
        own = self._resource
        if own is self.row or not self._spoken_of:
            return self.row
        return self.row.join(own, and_(own.c.type == self.type, own.c.id == self.row.c.id))


class Conditions:
    """Writes conditions. Names stand in them in place of values (see :class:`osler.storage.resource_shape.Values`).

    Parameters
    ----------
    reaches : mapping of str to Reach
        How far a search of each type reaches: chains and ``_has`` pass only through what may be searched for.
    """

    def __init__(self, reaches: Mapping[str, Reach]) -> None:
        self._reaches = reaches
        self._aliases = iter(range(1_000_000))

    def matching(self, type_name: str, conditions: Sequence[Condition], *columns: str) -> list[Select[Any]]:
        """Return statements that together find all matches within reach.

        There are several when the leading condition has a few alternatives: each of them reads its rows in the order
        of the page.

        Parameters
        ----------
        type_name : str
        conditions : sequence of Condition
        *columns : str
            Of the resource: ``id``, ``date_at``, ``updated_at``.
        """
        reach = self._reaches[type_name]
        lead = min((c for c in conditions if _leads(c)), key=_rank, default=None)
        if lead is not None and _rank(lead) > _RANK_OF_PATIENT and _patient_of(reach):
            lead = None  # the patient's own rows are fewer
        others = [c for c in conditions if c is not lead]
        if lead is None:
            row = self._alias(resources)
            place = Place(type_name, row, row)
            here = (row.c.type == type_name, not_(row.c.deleted))
            return [self._select(place, here, others, reach, columns)]
        return [self._led(type_name, tests, others, reach, columns) for tests in _apart(lead.any_of)]

    def _led(
        self, type_name: str, leads: Sequence[Test], others: Sequence[Condition], reach: Reach, columns: Sequence[str]
    ) -> Select[Any]:
        """Select matches beginning with the rows of the index that one test, or several alike, look for."""
        lead = leads[0]
        if isinstance(lead, Every):
            lead, *rest = lead.tests
            leads = (lead,)
            others = [*others, *(Condition("", (test,)) for test in rest)]
        table = _table_of(lead)
        row = self._alias(table)
        place = Place(type_name, row, self._alias(resources))
        here = (*self._stands(leads, row, place), *_bounds(lead, place))
        statement = self._select(place, here, others, reach, columns)
        several = len(leads) > 1 or isinstance(lead, Chain)
        several |= isinstance(lead, Range) and not _is_main(lead, type_name)
        return statement.distinct() if several else statement

    def _select(
        self,
        place: Place,
        here: Sequence[ColumnElement[bool]],
        conditions: Sequence[Condition],
        reach: Reach,
        columns: Sequence[str],
    ) -> Select[Any]:
        held = [self.holds(condition, place) for condition in conditions]
        where = (*here, *held, self.within(reach, place))
        found = [(place.row if name in place.row.c else place.resource).c[name] for name in columns]
        return select(*found).select_from(place.source).where(*where)

    def holds(self, condition: Condition, place: Place) -> ColumnElement[bool]:
        """Return that a condition holds of the resource at a place."""
        held = or_(false(), *self._alternatives(condition.any_of, place))
        return not_(held) if condition.negated else held

    def within(self, reach: Reach, place: Place) -> ColumnElement[bool]:
        """Return that the resource at a place is within reach."""
        if not reach:
            return false()
        # What all parts ask for stands outside of the alternatives, where an index can serve it.
        patient = _patient_of(reach)
        open_only = not any(part.restricted for part in reach)
        shared: list[ColumnElement[bool]] = []
        if patient is not None:
            shared.append(_belongs(place, patient))
        if open_only:
            shared.append(not_(place.resource.c.restricted))
        parts = []
        for part in reach:
            held = [self._exists([Term(*each)], place) for each in part.tokens]
            if part.patient is not None and part.patient != patient:
                held.append(_belongs(place, part.patient))
            if not (part.restricted or open_only):
                held.append(not_(place.resource.c.restricted))
            parts.append(and_(true(), *held))
        return and_(*shared, or_(*parts))

    def _alternatives(self, tests: Sequence[Test], place: Place) -> Iterator[ColumnElement[bool]]:
        """Yield one condition a test; terms and links of one parameter are looked up together."""
        for (kind, parameter), group in groupby(tests, key=lambda t: (type(t), getattr(t, "parameter", ""))):
            found = list(group)
            if parameter == "_id":
                yield place.row.c.id.in_([bindparam(t.parts[0]) for t in found if isinstance(t, Term)])
            elif kind in (Term, Link):
                yield self._exists(found, place)
            else:
                yield from (self._one(test, place) for test in found)

    def _one(self, test: Test, place: Place) -> ColumnElement[bool]:
        if isinstance(test, Every):
            return and_(*(self._one(each, place) for each in test.tests))
        if isinstance(test, Present):
            return place.resource.c.present.op("&")(literal(1 << test.bit)) != 0
        if isinstance(test, Has):
            return self._has(test, place)
        if isinstance(test, Range) and test.parameter == "_lastUpdated":
            updated = place.resource.c.updated_at
            held: ColumnElement[bool] = _bound(test).stands(updated, updated + _INSTANT_S)
            return held
        return self._exists([test], place)

    def _exists(self, tests: Sequence[Test], place: Place) -> ColumnElement[bool]:
        """Return that the resource has a row that one of several tests looks for, alike in kind and parameter."""
        row = self._alias(_table_of(tests[0]))
        held = exists().select_from(row).where(*self._stands(tests, row, place), *_same(row, place))
        # The main date of a type is what the rows are sorted by: so it narrows what is read.
        return and_(*_bounds(tests[0], place), held)

    def _stands(self, tests: Sequence[Test], row: FromClause, place: Place) -> tuple[ColumnElement[bool], ...]:
        """Return that a row of the index is one that a test looks for; several are terms or links of one parameter."""
        test = tests[0]
        here = (row.c.type == place.type, row.c.parameter == getattr(test, "parameter", ""))
        if isinstance(test, Term | Link):
            column = row.c.value if isinstance(test, Term) else row.c.target
            keys = [_bound_key(each) for each in tests if isinstance(each, Term | Link)]
            return (*here, column == keys[0] if len(keys) == 1 else column.in_(keys))
        if isinstance(test, Range):
            # Where the row itself leads, its date is that by which it is reached.
            low = row.c.date_at if row is place.row and _is_main(test, place.type) else row.c.low
            unit = row.c.value == bindparam(test.unit[0] + UNIT)
            return (*here, unit, _bound(test).stands(low, row.c.high))
        if isinstance(test, Chain):
            return (*here, row.c.target.in_(self._targets(test)))
        raise TypeError(type(test).__name__)

    def _targets(self, chain: Chain) -> Select[Any]:
        """Select ``Type/id`` of all that a chain may lead to."""
        found = union_all(*self.matching(chain.type, [chain.condition], "id")).subquery()
        return select(literal(f"{chain.type}/") + found.c.id)

    def _has(self, test: Has, place: Place) -> ColumnElement[bool]:
        row = self._alias(references)
        there = Place(test.type, row, self._alias(resources))
        where = (
            row.c.type == test.type,
            row.c.parameter == test.parameter,
            row.c.target == literal(f"{place.type}/") + place.row.c.id,
            self.holds(test.condition, there),
            self.within(self._reaches[test.type], there),
        )
        return exists().select_from(there.source).where(*where)

    def _alias(self, table: FromClause) -> FromClause:
        return _alias(table, next(self._aliases))


@functools.lru_cache(maxsize=512)
def _alias(table: FromClause, number: int) -> FromClause:
    """Return a table under another name; each name is made once, for its columns take time to make."""
    return table.alias(f"r{number}")


def _apart(tests: Sequence[Test]) -> list[Sequence[Test]]:
    """Return each test by itself; when they are many, those together that one look-up serves."""
    if len(tests) <= _MOST_APART:
        return [(test,) for test in tests]
    groups: dict[Any, list[Test]] = {}
    for test in tests:
        alike = (type(test), test.parameter) if isinstance(test, Term | Link) else test
        groups.setdefault(alike, []).append(test)
    return list(groups.values())


def _same(row: FromClause, place: Place) -> tuple[ColumnElement[bool], ...]:
    return (row.c.date_at == place.row.c.date_at, row.c.id == place.row.c.id)


def _is_main(test: Test, type_name: str) -> bool:
    return isinstance(test, Range) and test.parameter == SEARCHABLE[type_name].date


def _belongs(place: Place, patient: str) -> ColumnElement[bool]:
    column = place.resource.c.patient
    return column.is_(None) if patient == NO_PATIENT else column == bindparam(patient)


def _bounds(test: Test, place: Place) -> list[ColumnElement[bool]]:
    """Return what the main date of a type says of the order of the rows: that date begins at ``date_at``."""
    if not isinstance(test, Range) or not _is_main(test, place.type):
        return []
    date_at, wanted = place.row.c.date_at, _bound(test)
    low, high = [date_at < wanted.low], [date_at < wanted.high]
    return {
        "eq": [date_at >= wanted.low, *high],
        "lt": low,
        "eb": low,
        "le": high,
        "ap": high,
        "sa": [date_at >= wanted.high],
    }.get(test.prefix, [])


def _bound(test: Range) -> Range:
    """Return a range of bound parameters."""
    low: Any = bindparam(test.unit[0])
    high: Any = bindparam(test.unit[0] + HIGH)
    return replace(test, low=low, high=high)


def _bound_key(test: Term | Link) -> Any:
    return bindparam(test.parts[0] if isinstance(test, Term) else test.target)


def _patient_of(reach: Reach) -> str | None:
    patients = {part.patient for part in reach}
    return patients.pop() if len(patients) == 1 else None


def _leads(condition: Condition) -> bool:
    """Tell whether the rows of the index that a condition looks for can be what a search begins with."""
    return bool(condition.any_of) and not condition.negated and all(map(_can_lead, condition.any_of))


def _can_lead(test: Test) -> bool:
    if isinstance(test, Every):
        return _can_lead(test.tests[0])
    return isinstance(test, Term | Link | Range | Chain) and test.parameter not in COLUMNS


def _rank(condition: Condition) -> int:
    """Return how many rows a condition can be expected to lead to: the fewest first."""
    first = condition.any_of[0]
    if isinstance(first, Term) and first.parameter in _SELECTIVE:
        return 0
    if isinstance(first, Link):
        return 1
    if isinstance(first, Chain):
        return _RANK_OF_PATIENT
    return 3 if isinstance(first, Term | Every) else 4


def _table_of(test: Test) -> FromClause:
    return tokens if isinstance(test, Term) else spans if isinstance(test, Range) else references
