"""A search request, understood: what its parameters ask for, in the terms and spans of the index.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.4 (parameters), 3.1.1.5 (managing returned resources)
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from osler.errors import Malformed
from osler.standards.fhir_dates import parse_span
from osler.standards.fhir_search import SEARCHABLE, Searchable, SearchParameter

DEFAULT_COUNT: Final = 100
MAX_COUNT: Final = 500
CURSOR: Final = "_cursor"
_MAX_PARAMETERS: Final = 40
_MAX_ALTERNATIVES: Final = 200
_PREFIXED: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([,|$\\])")
_NO_EFFECT: Final = frozenset({"_format", "_pretty"})  # of the answer's form, not of the search


@dataclass(frozen=True, slots=True)
class TermCondition:
    """A resource matches when it has one of these terms."""

    parameter: str
    any_of: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class DateRange:
    """A prefix with the interval of its date, seconds since the epoch, UTC."""

    prefix: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DateCondition:
    """A resource matches when one of its spans stands so to one of these ranges."""

    parameter: str
    any_of: tuple[DateRange, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What a search asks for.

    Parameters
    ----------
    type : str
        Resource type, one of :data:`SEARCHABLE`.
    conditions : tuple
        All of them must hold.
    by_update : bool
        Sort by ``_lastUpdated``; else by the date of the type.
    descending : bool
    count : int
        Resources on a page; 0 asks for the total alone.
    total : bool
        Whether to count all matches.
    cursor : str
        Where the page before ended; empty for the first.
    understood : tuple of (str, str)
        The parameters that are in force, as given, for the self link.
    """

    type: str
    conditions: tuple[TermCondition | DateCondition, ...] = ()
    by_update: bool = False
    descending: bool = True
    count: int = DEFAULT_COUNT
    total: bool = True
    cursor: str = ""
    understood: tuple[tuple[str, str], ...] = ()


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
        If a value has not the form of its parameter, a modifier or chain is asked for, or, when strict, a parameter
        is not known. The message counts parameters from 1 and quotes nothing.
    """
    if len(pairs) > _MAX_PARAMETERS:
        raise Malformed(f"more than {_MAX_PARAMETERS} search parameters")
    reading = _Reading(SEARCHABLE[type_name], now, base)
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
    return reading.query()


@dataclass(slots=True)
class _Reading:
    searchable: Searchable
    now: float
    base: str
    conditions: list[TermCondition | DateCondition] = field(default_factory=list)
    understood: list[tuple[str, str]] = field(default_factory=list)
    controls: dict[str, Any] = field(default_factory=dict)

    def take(self, name: str, value: str) -> bool:
        """Take one parameter; False when it is not known."""
        control = _CONTROLS.get(name)
        if control is not None:
            taken = control(self.searchable, value)
            self.controls.update(taken)
            return bool(taken)
        stem = re.split(r"[:.]", name, maxsplit=1)[0]
        parameter = self.searchable.parameters.get(stem)
        if parameter is None:
            return False
        if stem != name:
            # Leaving out what narrows a search would widen its answer.
            raise Malformed("modifiers and chains are not supported")
        alternatives = _split(value, ",")
        if len(alternatives) > _MAX_ALTERNATIVES:
            raise Malformed(f"more than {_MAX_ALTERNATIVES} alternatives")
        if parameter.kind == "date":
            ranges = tuple(_date_range(text, self.now) for text in alternatives)
            self.conditions.append(DateCondition(parameter.name, ranges))
        else:
            read = _token if parameter.kind == "token" else self._reference
            parts = tuple(p for text in alternatives for p in read(text, parameter))
            self.conditions.append(TermCondition(parameter.name, parts))
        return True

    def query(self) -> Query:
        cursor = self.controls.pop("cursor", "")
        understood = tuple(pair for pair in self.understood if pair[0] != CURSOR)
        return Query(
            self.searchable.type, tuple(self.conditions), cursor=cursor, understood=understood, **self.controls
        )

    def _reference(self, text: str, parameter: SearchParameter) -> Iterator[tuple[str, ...]]:
        reference = _unescape(text).partition("/_history/")[0]
        if self.base and reference.startswith(self.base + "/"):
            reference = reference[len(self.base) + 1 :]
        if "/" in reference or ":" in reference:
            yield (reference,)
        elif parameter.targets:
            yield from ((f"{target}/{reference}",) for target in parameter.targets)
        else:
            raise Malformed("a reference must name its type, as in Type/id")


def _token(text: str, parameter: SearchParameter) -> Iterator[tuple[str, ...]]:
    system, *rest = (_unescape(part) for part in _split(text, "|"))
    if len(rest) > 1:
        raise Malformed("a token has one | at most")
    code = rest[0] if rest else system
    if parameter.concept:
        code = code.casefold()
    if not rest:
        yield ("code", code)
    elif code:
        yield ("both", system, code)
    elif system:
        yield ("system", system)
    else:
        raise Malformed("a token needs a system or a code")


def _date_range(text: str, now: float) -> DateRange:
    match = _PREFIXED.fullmatch(text)
    prefix, date = (match[1] or "eq", match[2]) if match else ("eq", text)
    low, high = parse_span(date.replace(" ", "+"))  # a + that was not escaped in the URL
    if prefix == "ap":
        margin = abs(now - (low + high) / 2) / 10  # R4 3.1.1.4.7: ten percent of the distance from now
        low, high = low - margin, high + margin
    return DateRange(prefix, low, high)


def _count(_searchable: Searchable, value: str) -> dict[str, Any]:
    if not value.isascii() or not value.isdecimal() or len(value) > 9:
        raise Malformed("_count is not a whole number")
    return {"count": min(int(value), MAX_COUNT)}


def _sort(searchable: Searchable, value: str) -> dict[str, Any]:
    name = value.removeprefix("-")
    if name not in ("_lastUpdated", searchable.date):
        return {}
    return {"by_update": name == "_lastUpdated", "descending": value.startswith("-")}


def _total(_searchable: Searchable, value: str) -> dict[str, Any]:
    return {"total": value != "none"} if value in ("none", "estimate", "accurate") else {}


def _cursor(_searchable: Searchable, value: str) -> dict[str, Any]:
    return {"cursor": value}


_CONTROLS: Final[Mapping[str, Callable[[Searchable, str], dict[str, Any]]]] = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    CURSOR: _cursor,
}


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that no backslash escapes (R4 3.1.1.4.0)."""
    parts = [""]
    escaped = False
    for character in text:
        if character == separator and not escaped:
            parts.append("")
            continue
        parts[-1] += character
        escaped = character == "\\" and not escaped
    return [part for part in parts if part] if separator == "," else parts


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
