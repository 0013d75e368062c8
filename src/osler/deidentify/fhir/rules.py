"""The tables: which elements R4 has, what happens to each, which extensions may go on."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

WALK: Final = "walk"
REMOVE: Final = "remove"


class Element(NamedTuple):
    """One element of a type: its type, whether it must be there, its codes when R4 binds it to a list, its rule."""

    type: str
    required: bool
    codes: frozenset[str] | None
    action: str


@dataclass(frozen=True, slots=True)
class Rules:
    """All elements of R4 and their rules.

    Parameters
    ----------
    resources : frozenset of str
    types : mapping
        Elements by name, by type or path of a backbone element.
    primitives : frozenset of str
    extensions : frozenset of str
        URLs; of an extension in another, the outer URL, a space, and its own.
    """

    resources: frozenset[str]
    types: Mapping[str, Mapping[str, Element]]
    primitives: frozenset[str]
    extensions: frozenset[str]


@cache
def rules() -> Rules:
    """Return the rules.

    References
    ----------
    HL7 FHIR R4 4.0.1, StructureDefinitions of all resource types
    """
    source = files("osler.standards").joinpath("data/fhir_r4_elements.json").read_text(encoding="utf-8")
    document = json.loads(source)
    codes = {name: frozenset(listed.split()) for name, listed in document["value_sets"].items()}
    actions = {row["path"]: row["action"] for row in csv.DictReader(_lines("fhir-rules.csv"))}
    types: dict[str, dict[str, Element]] = {}
    for owner, elements in document["types"].items():
        types[owner] = {
            name: _element(owner, name, shape.split(), (actions, codes)) for name, shape in elements.items()
        }
    return Rules(
        resources=frozenset(document["resources"]),
        types=types,
        primitives=frozenset(document["primitives"]),
        extensions=frozenset(_lines("fhir-extensions.txt")),
    )


def _element(
    owner: str, name: str, shape: list[str], tables: tuple[Mapping[str, str], Mapping[str, frozenset[str]]]
) -> Element:
    actions, codes = tables
    kind = shape[0]
    action = (
        actions.get(f"{owner}.{name}")
        or actions.get(f"*.{name}")
        or actions.get(kind)
        or (REMOVE if kind[0].islower() else WALK)
    )
    return Element(kind, shape[1] == "1", codes[shape[2]] if len(shape) > 2 else None, action)


def _lines(name: str) -> list[str]:
    return files("osler.deidentify").joinpath("data", name).read_text(encoding="ascii").splitlines()[1:]
