"""Search parameters of R4 that Osler understands: one table for the router, the index and the CapabilityStatement.

The table is derived from HL7's own definitions (``data/build_fhir_r4_search.py``) and read when first needed.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1 Search
"""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

Kind = Literal["token", "reference", "date", "string", "number", "quantity", "uri", "composite"]

_CODED: Final = frozenset({"code", "boolean", "id", "string", "exists"})


@dataclass(frozen=True, slots=True)
class Step:
    """One name on the way to an element; with ``element`` only where that has the ``value``."""

    name: str
    element: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """Where a parameter reads: names in JSON from the resource down, and the data type at the end."""

    steps: tuple[Step, ...]
    type: str


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type.

    Parameters
    ----------
    name : str
    kind : {"token", "reference", "date", "string", "number", "quantity", "uri", "composite"}
    url : str
        Canonical URL of its R4 definition.
    bit : int
        Its place among those of its type, by which a resource says which of them it has.
    paths : tuple of Path
    targets : tuple of str
        Resource types that a reference may point to; empty for any.
    stored : tuple of str
        Parameters under which the index holds what this one matches: mostly itself alone.
    system : str
        Code system that a bound ``code`` implies, for a token.
    concept : bool
        Whether a token reads coded concepts, which compare without case; identifiers, codes and ids compare with it.
    otherwise : str
        Code that a resource without the element has, for a token.
    at : str
        Element that repeats, for a composite; empty when its parts are of the whole resource.
    parts : tuple of SearchParameter
        What a composite joins.
    """

    name: str
    kind: Kind
    url: str
    bit: int
    paths: tuple[Path, ...] = ()
    targets: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    system: str = ""
    concept: bool = False
    otherwise: str = ""
    at: str = ""
    parts: tuple["SearchParameter", ...] = ()

    @property
    def coded(self) -> bool:
        """Whether a token reads bare codes, whose system is implied."""
        return all(path.type in _CODED for path in self.paths)


@dataclass(frozen=True, slots=True)
class Searchable:
    """How one resource type is searched.

    Parameters
    ----------
    type : str
    parameters : mapping of str to SearchParameter
        By name, in alphabetical order.
    date : str
        The parameter that gives a resource its place in time, by which pages are sorted; empty when it has none.
    compartment : tuple of str
        Reference parameters by which it belongs to a patient (R4 CompartmentDefinition Patient).
    summary : frozenset of str
        Paths of the elements that ``_summary=true`` keeps.
    kept : frozenset of str
        Mandatory and modifying elements: no subset leaves them out.
    """

    type: str
    parameters: Mapping[str, SearchParameter]
    date: str
    compartment: tuple[str, ...]
    summary: frozenset[str]
    kept: frozenset[str]


def token_forms(system: str, code: str) -> Iterator[tuple[str, ...]]:
    """Yield the three ways to ask for a token: ``code``, ``system|code`` and ``system|``."""
    yield ("code", code)
    yield ("both", system, code)
    if system:
        yield ("system", system)


def asked_token(parameter: SearchParameter, system: str | None, code: str) -> tuple[str, ...] | None:
    """Return the form of a token that is asked for; None when no resource can have it.

    Parameters
    ----------
    parameter : SearchParameter
    system : str or None
        None when it is not asked for; empty to ask for a token without one.
    code : str
        Empty to ask for any code of the system.
    """
    if parameter.coded:
        return ("code", code) if system in (None, "", parameter.system) and code else None
    if parameter.concept:
        code = code.casefold()
    if system is None:
        return ("code", code)
    return ("both", system, code) if code else ("system", system)


class _Table(Mapping[str, Searchable]):
    """All types that are served, by name."""

    def __getitem__(self, name: str) -> Searchable:
        return _table()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_table())

    def __len__(self) -> int:
        return len(_table())


SEARCHABLE: Final[Mapping[str, Searchable]] = _Table()
"""How each type that is served is searched."""


@functools.cache
def table_text() -> str:
    """Return the table as it is shipped."""
    return resources.files("osler.standards").joinpath("data/fhir_r4_search.json").read_text(encoding="utf-8")


@functools.cache
def _table() -> dict[str, Searchable]:
    return {name: _searchable(name, made) for name, made in json.loads(table_text())["types"].items()}


def _searchable(name: str, made: Mapping[str, Any]) -> Searchable:
    shapes = made["parameters"]
    known = {each: _parameter(each, shape, bit) for bit, (each, shape) in enumerate(shapes.items())}
    joined = {
        each: _parameter(each, shape, known[each].bit, tuple(_part(part, known) for part in shape["components"]))
        for each, shape in shapes.items()
        if "components" in shape
    }
    return Searchable(
        name,
        known | joined,
        made["date"],
        tuple(made["compartment"]),
        frozenset(made["summary"]),
        frozenset(made["kept"]),
    )


def _part(shape: Mapping[str, Any], known: Mapping[str, SearchParameter]) -> SearchParameter:
    whole = known[shape["name"]]
    return _parameter(whole.name, shape, whole.bit) if "paths" in shape else whole


def _parameter(
    name: str, shape: Mapping[str, Any], bit: int, parts: tuple[SearchParameter, ...] = ()
) -> SearchParameter:
    return SearchParameter(
        name,
        shape["kind"],
        shape["url"],
        bit,
        paths=tuple(Path(tuple(map(_step, path.split("."))), leaf) for path, leaf in shape["paths"].items()),
        targets=tuple(shape.get("targets", ())),
        stored=tuple(shape.get("stored", (name,))),
        system=shape.get("system", ""),
        concept=shape.get("concept", False),
        otherwise=shape.get("otherwise", ""),
        at=shape.get("at", ""),
        parts=parts,
    )


def _step(text: str) -> Step:
    name, _, condition = text.partition("?")
    element, _, value = condition.partition("=")
    return Step(name, element, value)
