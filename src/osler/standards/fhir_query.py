"""A search request, understood: what its parameters ask for, and how the answer is to look.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.4 (parameters), 3.1.1.5 (managing returned resources)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from osler.errors import Malformed
from osler.standards.fhir_conditions import Chain, Condition, Has, Present, Test, Text
from osler.standards.fhir_paging import CURSOR
from osler.standards.fhir_result import CONTROLS, LATEST_FIRST, Include, Sort
from osler.standards.fhir_search import SEARCHABLE, Searchable, SearchParameter
from osler.standards.fhir_values import Values, split

DEFAULT_COUNT: Final = 100
_MAX_PARAMETERS: Final = 40
_MAX_ALTERNATIVES: Final = 200
_MAX_WEIGHT: Final = 1000  # tests of a whole search
_WEIGHT_OF_TEXT: Final = 8
_NO_EFFECT: Final = frozenset({"_format", "_pretty"})  # of the answer's form, not of the search


@dataclass(frozen=True, slots=True)
class Query:
    """What a search asks for.

    Parameters
    ----------
    type : str
        Resource type, one of :data:`SEARCHABLE`.
    conditions : tuple of Condition
        All of them must hold.
    sort : tuple of Sort
    count : int
        Matches on a page; 0 asks for the total alone.
    total : {"", "none", "estimate", "accurate"}
        Whether to count all matches; by default as far as that is cheap.
    cursor : str
        Where the page before ended; empty for the first.
    includes, revincludes : tuple of Include
        What else to bring: what the matches refer to, and what refers to them.
    summary : {"", "true", "text", "data", "count", "false"}
    elements : tuple of str
        Top-level elements to return; none means all.
    understood : tuple of (str, str)
        The parameters that are in force, as given, for the self link.
    ignored : tuple of int
        Positions, from 1, of the parameters that were not understood.
    """

    type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[Sort, ...] = LATEST_FIRST
    count: int = DEFAULT_COUNT
    total: str = ""
    cursor: str = ""
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    summary: str = ""
    elements: tuple[str, ...] = ()
    understood: tuple[tuple[str, str], ...] = ()
    ignored: tuple[int, ...] = ()


def parse_query(
    type_name: str, pairs: Sequence[tuple[str, str]], *, now: float, base: str = "", strict: bool = False
) -> Query:
    """Understand the parameters of a search.

    Parameters
    ----------
    type_name : str
        One of :data:`SEARCHABLE`.
    pairs : sequence of (str, str)
        Names and values, decoded, in order; a name may come more than once (AND), a value may hold commas (OR).
    now : float
        Seconds since the epoch, for the prefix ``ap``.
    base : str
        Our FHIR base URL; an absolute reference under it means the same as a relative one.
    strict : bool
        Refuse what is not known (``Prefer: handling=strict``); else leave it out, also of ``understood``.

    Raises
    ------
    Malformed
        If a value has not the form of its parameter, a modifier or chain is asked for that is not supported, or, when
        strict, a parameter is not known. The message counts parameters from 1 and quotes nothing.
    """
    if len(pairs) > _MAX_PARAMETERS:
        raise Malformed(f"more than {_MAX_PARAMETERS} search parameters")
    reading = _Reading(SEARCHABLE[type_name], Values(now, base))
    for position, (name, value) in enumerate(pairs, 1):
        if name in _NO_EFFECT or not value:
            continue
        try:
            known = reading.take(name, value)
        except Malformed as error:
            raise Malformed(f"search parameter {position}: {error}") from None
        if known:
            reading.understood.append((name, value))
        elif strict:
            raise Malformed(f"search parameter {position} is not known for {type_name}")
        else:
            reading.ignored.append(position)
    return reading.query()


@dataclass(slots=True)
class _Reading:
    searchable: Searchable
    values: Values
    conditions: list[Condition] = field(default_factory=list)
    understood: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[int] = field(default_factory=list)
    controls: dict[str, Any] = field(default_factory=dict)
    weight: int = 0

    def take(self, name: str, value: str) -> bool:
        """Take one parameter; False when it is not known."""
        control = CONTROLS.get(name)
        if control is not None:
            taken = control(self.searchable, value)
            for key, item in taken.items():
                # Includes add up; of the others, the last one holds.
                self.controls[key] = self.controls.get(key, ()) + item if key.endswith("includes") else item
            return bool(taken)
        condition = self.condition(self.searchable, name, value)
        if condition is not None:
            self.conditions.append(condition)
        return condition is not None

    def query(self) -> Query:
        understood = tuple(pair for pair in self.understood if pair[0] != CURSOR)
        return Query(
            self.searchable.type,
            tuple(self.conditions),
            understood=understood,
            ignored=tuple(self.ignored),
            **self.controls,
        )

    def condition(self, searchable: Searchable, name: str, value: str, *, linked: bool = False) -> Condition | None:
        """Read one parameter of a type; None when it is not known."""
        if name.startswith("_has:"):
            return self._has(searchable, name, value, linked=linked)
        link, dot, rest = name.partition(".")
        stem, _, modifier = link.partition(":")
        parameter = searchable.parameters.get(stem)
        if parameter is None:
            return None
        if dot:
            if linked:
                raise Malformed("a chain has one link only")
            return self._chain(parameter, modifier, rest, value)
        if modifier == "missing":
            if value not in ("true", "false"):
                raise Malformed(":missing is true or false")
            return Condition(stem, (Present(parameter.bit),), negated=value == "true")
        tests = self._tests(searchable.type, parameter, modifier, value)
        if linked and any(isinstance(test, Text) and test.partial for test in tests):
            raise Malformed("a string at the end of a chain is too long for this")
        return Condition(stem, tests, negated=modifier == "not")

    def _tests(self, type_name: str, parameter: SearchParameter, modifier: str, value: str) -> tuple[Test, ...]:
        alternatives = split(value, ",")
        if len(alternatives) > _MAX_ALTERNATIVES:
            raise Malformed(f"more than {_MAX_ALTERNATIVES} alternatives")
        tests = tuple(
            dict.fromkeys(t for text in alternatives for t in self.values.tests(type_name, parameter, modifier, text))
        )
        self.weight += sum(_WEIGHT_OF_TEXT if isinstance(test, Text) else 1 for test in tests)
        if self.weight > _MAX_WEIGHT:
            raise Malformed("too many alternatives in all")
        return tests

    def _chain(self, parameter: SearchParameter, target: str, rest: str, value: str) -> Condition:
        if parameter.kind != "reference":
            raise Malformed("a chain starts with a reference")
        if target and (target not in SEARCHABLE or (parameter.targets and target not in parameter.targets)):
            raise Malformed("a chain leads to a type that the reference cannot point to")
        chains: list[Test] = []
        for type_name in (target,) if target else parameter.targets or tuple(SEARCHABLE):
            condition = type_name in SEARCHABLE and self.condition(SEARCHABLE[type_name], rest, value, linked=True)
            if condition:
                chains += (Chain(name, type_name, condition) for name in parameter.stored)
        if not chains:
            raise Malformed("a chain ends in a parameter that is not known")
        return Condition(parameter.name, tuple(chains))

    def _has(self, searchable: Searchable, name: str, value: str, *, linked: bool) -> Condition:
        _, type_name, reference, rest = [*name.split(":", 3), "", "", ""][:4]
        if linked or "." in rest or rest.startswith("_has:"):
            raise Malformed("_has has one link only")
        source = SEARCHABLE.get(type_name)
        parameter = source.parameters.get(reference) if source else None
        if source is None or parameter is None or parameter.kind != "reference":
            raise Malformed("_has needs a type and one of its references")
        if parameter.targets and searchable.type not in parameter.targets:
            raise Malformed("_has names a reference that cannot point to this type")
        condition = self.condition(source, rest, value, linked=True)
        if condition is None:
            raise Malformed("_has ends in a parameter that is not known")
        return Condition("_has", tuple(Has(type_name, stored, condition) for stored in parameter.stored))
