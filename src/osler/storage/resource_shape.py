"""A search apart from its values: the shape that its statements depend on, so that each is written once.

To write a statement takes longer than to run it. So values leave the conditions, and the names of bound parameters
stand in their place; searches that differ in their values alone have one shape.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from osler.domain.reach import NO_PATIENT, Part, Reach, ReachOf
from osler.standards.fhir_conditions import Chain, Condition, Every, Has, Present, Range, Test, Text
from osler.standards.fhir_index import Link, Term
from osler.standards.fhir_order import with_id
from osler.standards.fhir_query import Query
from osler.standards.fhir_result import LATEST_FIRST, Sort
from osler.standards.fhir_text import MOST_STARTS, grams_of
from osler.storage.resource_index import ResourceIndex

HIGH: Final = "_high"
"""Ends the name of the upper end of a range, which is named as its lower end is."""
UNIT: Final = "_unit"
_MOST_GRAMS: Final = 8  # of a longer string; what they let through is compared in clear


@dataclass(frozen=True, slots=True)
class Shape:
    """What the statements of a search depend on.

    Parameters
    ----------
    type : str
    conditions : tuple of Condition
        With names in place of values: the only part of a term, the target of a link, the only part of a unit.
    reaches : tuple of (str, Reach)
        How far a search of each type that is touched reaches, with names in place of patients and terms.
    keys : tuple of Sort
        The order in which the index is read, that of the page unless values decide it; the last one is the id.
    """

    type: str
    conditions: tuple[Condition, ...]
    reaches: tuple[tuple[str, Reach], ...]
    keys: tuple[Sort, ...]


class Values:
    """Takes values out of searches and keeps them under their names, as the statements bind them.

    Parameters
    ----------
    index : ResourceIndex
    reach_of : ReachOf
    """

    def __init__(self, index: ResourceIndex, reach_of: ReachOf) -> None:
        self.bound: dict[str, Any] = {}
        self._index = index
        self._reach_of = reach_of
        self._patients: dict[str, str] = {}
        self._reaches: dict[str, Reach] = {}

    def shape_of(self, query: Query) -> Shape:
        """Return the shape of a search."""
        self._touch(query.type)
        conditions = tuple(map(self._condition, query.conditions))
        keys = query.sort if all(key.column for key in query.sort) else LATEST_FIRST
        return Shape(query.type, conditions, tuple(self._reaches.items()), with_id(keys))

    def reach(self, type_name: str, right: str) -> Reach:
        """Return how far somebody reaches, with names in place of values."""
        return tuple(
            Part(self._patient(part.patient), tuple(map(self._token, part.tokens)), part.restricted)
            for part in self._reach_of(type_name, right)
        )

    def _touch(self, type_name: str) -> None:
        if type_name not in self._reaches:
            self._reaches[type_name] = self.reach(type_name, "s")

    def _condition(self, condition: Condition) -> Condition:
        return replace(condition, any_of=tuple(map(self._test, condition.any_of)))

    def _test(self, test: Test) -> Test:
        if isinstance(test, Term):
            return self._term(test)
        if isinstance(test, Link):
            return Link(test.parameter, self._name(self._index.target(test.target)))
        if isinstance(test, Range):
            name = self._name(test.low)
            self.bound[name + HIGH] = test.high
            self.bound[name + UNIT] = self._index.term(test.parameter, test.unit)
            return replace(test, low=0.0, high=0.0, unit=(name,))
        if isinstance(test, Text):
            return Every(tuple(map(self._term, _terms_of(test))))
        if isinstance(test, Every):
            return Every(tuple(map(self._test, test.tests)))
        if isinstance(test, Chain | Has):
            self._touch(test.type)
            return replace(test, condition=self._condition(test.condition))
        assert isinstance(test, Present)
        return test

    def _term(self, term: Term) -> Term:
        value = term.parts[-1] if term.parameter == "_id" else self._index.term(term.parameter, term.parts)
        return Term(term.parameter, (self._name(value),))

    def _token(self, token: tuple[str, tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
        term = self._term(Term(*token))
        return term.parameter, term.parts

    def _patient(self, patient: str | None) -> str | None:
        if patient is None or patient == NO_PATIENT:
            return patient
        if patient not in self._patients:
            self._patients[patient] = self._name(patient)
        return self._patients[patient]

    def _name(self, value: Any) -> str:
        name = f"v{len(self.bound)}"
        self.bound[name] = value
        return name


def _terms_of(test: Text) -> Iterable[Term]:
    """Return terms that each string has which holds a text; a longer text has more of them than are looked for."""
    if not test.anywhere:
        return [Term(test.parameter, ("starts", test.folded[:MOST_STARTS]))]
    grams = grams_of(test.folded)
    step = max(1, len(grams) // _MOST_GRAMS)
    return [Term(test.parameter, parts) for parts in grams[::step][: _MOST_GRAMS + 1]]
