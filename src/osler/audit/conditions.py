"""Conditions of a search in the audit log: as SQL over its columns, and the rest over the entries themselves."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, false, not_, or_, select, true

from osler.audit.event import EVENTS, OSLER
from osler.errors import Malformed
from osler.standards.fhir_conditions import Condition, Present, Range, Test, Text
from osler.standards.fhir_index import Key, Link, Term, has_text, index_of, keys_of
from osler.standards.fhir_search import SEARCHABLE, token_forms
from osler.standards.fhir_text import fold, text_terms
from osler.storage.tables import audit_event as table

_INSTANTS: Final = frozenset({"date", "_lastUpdated"})
_CODES: Final = {"action": table.c.action, "outcome": table.c.outcome}
_PERSON: Final = "urn:osler:person"


class Conditions:
    """The conditions of one search.

    Parameters
    ----------
    connection : Connection
        Tells who there is, for a search by name.
    conditions : sequence of Condition

    Attributes
    ----------
    leading : list of ColumnElement
        What an index leads to.
    others : list of ColumnElement
        What the other columns must hold besides; entries that match are among those for which they do.

    Raises
    ------
    Malformed
        If a condition asks for what cannot be asked of the log.
    """

    def __init__(self, connection: Connection, conditions: Sequence[Condition]) -> None:
        self._connection = connection
        self._rest: list[Condition] = []
        self.leading: list[ColumnElement[bool]] = []
        self.others: list[ColumnElement[bool]] = []
        for condition in conditions:
            self._take(condition)

    @property
    def unsure(self) -> bool:
        """Whether the entries themselves must be looked into."""
        return bool(self._rest)

    def hold(self, resource: dict[str, Any]) -> bool:
        """Tell whether what the columns cannot tell holds of an entry."""
        return all(any(_holds(resource, t) for t in c.any_of) != c.negated for c in self._rest)

    def _take(self, condition: Condition) -> None:
        if not all(isinstance(test, Term | Link | Range | Text | Present) for test in condition.any_of):
            raise Malformed("chains and _has are not offered for AuditEvent")
        found = [_exact(condition.parameter, test) for test in condition.any_of]
        exact = [each for each in found if each is not None]
        if len(exact) == len(found):
            held = or_(false(), *exact)
            leads = condition.parameter not in _CODES and not condition.negated
            (self.leading if leads else self.others).append(not_(held) if condition.negated else held)
            return
        self._rest.append(condition)
        if not condition.negated:
            narrowed = or_(false(), *(self._narrowed(test) for test in condition.any_of))
            leads = all(_leads(test) for test in condition.any_of)
            (self.leading if leads else self.others).append(narrowed)

    def _narrowed(self, test: Test) -> ColumnElement[bool]:
        """Return what holds of all entries that pass a test, and of few others."""
        if isinstance(test, Term | Text) and test.parameter == "agent-name":
            names = self._connection.execute(select(table.c.agent).distinct()).scalars()
            return table.c.agent.in_([name for name in names if _named(name, test)])
        if isinstance(test, Term) and _leads(test):
            return table.c.agent == test.parts[2]
        if isinstance(test, Link):
            return table.c.body.contains(json.dumps(test.target)[1:-1], autoescape=True)
        if isinstance(test, Term | Text):
            return self._mentions(test.folded if isinstance(test, Text) else test.parts[-1])
        return true()

    def _mentions(self, text: str) -> ColumnElement[bool]:
        """Return that an entry has a text, in any case, or something beyond ASCII, which may compare as ASCII."""
        written, body = json.dumps(text)[1:-1], table.c.body
        # SQLite's LIKE compares ASCII without case by itself, and fast.
        sqlite = self._connection.dialect.name == "sqlite"
        mentioned = body.contains(written, autoescape=True) if sqlite else body.icontains(written, autoescape=True)
        return or_(mentioned, body.contains("\\u"))


def _exact(parameter: str, test: Test) -> ColumnElement[bool] | None:
    """Return a test as SQL when the columns alone can tell."""
    if parameter == "_id" and isinstance(test, Term):
        number = test.parts[-1]
        known = number.isascii() and number.isdecimal() and len(number) < 19 and str(int(number)) == number
        return table.c.seq == int(number) if known else false()
    if parameter in _INSTANTS and isinstance(test, Range):
        return _stands_so(test)
    if parameter == "patient":
        return _about(test)
    if parameter in _CODES and isinstance(test, Term):
        return _CODES[parameter] == test.parts[-1]
    if parameter in ("type", "subtype") and isinstance(test, Term):
        return table.c.kind.in_([name for name in EVENTS if test.parts in set(_forms(parameter, name))])
    return None


def _leads(test: Test) -> bool:
    """Tell whether a test is narrowed to some agents."""
    if not isinstance(test, Term | Text):
        return False
    person = isinstance(test, Term) and test.parts[:2] == ("both", _PERSON)
    return test.parameter == "agent-name" or (test.parameter == "agent:identifier" and person)


def _about(test: Test) -> ColumnElement[bool] | None:
    if isinstance(test, Present):
        return table.c.patient.is_not(None)
    if isinstance(test, Link):
        kind, _, logical_id = test.target.partition("/")
        return table.c.patient == logical_id if kind == "Patient" and test.parameter == "entity" else false()
    return None


def _stands_so(wanted: Range) -> ColumnElement[bool]:
    """Return how an instant must stand to a date (R4 3.1.1.4.7)."""
    at = table.c.recorded_at
    within = and_(at >= wanted.low, at < wanted.high)
    return {
        "eq": within,
        "ap": within,
        "ne": not_(within),
        "gt": at >= wanted.high,
        "sa": at >= wanted.high,
        "ge": at >= wanted.low,
        "lt": at < wanted.low,
        "eb": at < wanted.low,
        "le": at < wanted.high,
    }[wanted.prefix]


def _forms(parameter: str, event: str) -> Iterator[tuple[str, ...]]:
    """Yield the forms in which the type or the subtypes of an event are asked for."""
    kind = EVENTS[event]
    codings = [kind.type] if parameter == "type" else [*([kind.subtype] if kind.subtype else []), (event, OSLER, "")]
    for code, system, _ in codings:
        yield from token_forms(system, code.casefold())


def _named(name: str, test: Term | Text) -> bool:
    if isinstance(test, Term):
        return test.parts in set(text_terms(name))
    return test.folded in fold(name) if test.anywhere else fold(name).startswith(test.folded)


def _holds(resource: dict[str, Any], test: Test) -> bool:
    known = SEARCHABLE[resource["resourceType"]].parameters
    if isinstance(test, Present):
        return bool(index_of(resource).present >> test.bit & 1)
    if isinstance(test, Text):
        return has_text(resource, known[test.parameter], test.folded, anywhere=test.anywhere)
    if isinstance(test, Term | Link):
        keys: set[Key] = set(keys_of(resource, known[test.parameter.partition(":")[0]]))
        return test in keys
    raise TypeError(type(test).__name__)
