"""The R4 definitions of the resource types that Osler writes, read from ``data/fhir_r4.json`` when first needed."""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

# The published pattern of base64Binary backtracks without bound on blanks; this one is read in linear time.
# The published pattern of string lets control characters through, which the text of the specification forbids.
_OWN_PATTERNS: Final = {
    "base64Binary": r"\s*(?:(?:[0-9A-Za-z+/=]\s*){4})+",
    "string": r"[^\x00-\x08\x0b\x0c\x0e-\x1f]*[^\s\x00-\x1f][^\x00-\x08\x0b\x0c\x0e-\x1f]*",
    "markdown": r"[^\x00-\x08\x0b\x0c\x0e-\x1f]*[^\s\x00-\x1f][^\x00-\x08\x0b\x0c\x0e-\x1f]*",
    "xhtml": r"<div[\s>/][\s\S]*",
}


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type.

    Parameters
    ----------
    minimum, maximum : int
        Cardinality; a maximum of 0 means ``*``.
    type : str
        A data type, or the path of a backbone element, or ``"Resource"``.
    choice : str
        Name of the choice that it belongs to (``value`` for ``valueQuantity``), else empty.
    codes : frozenset of str or None
        Codes of the required binding, when they can be listed.
    targets : frozenset of str or None
        Resource types that a reference may point to; None for any.
    """

    minimum: int
    maximum: int
    type: str
    choice: str
    codes: frozenset[str] | None
    targets: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Definitions:
    """All types in one place.

    Parameters
    ----------
    resources : frozenset of str
        Resource types that are defined here.
    all_resources : frozenset of str
        Names of all resource types of R4.
    types : mapping
        Elements by name, by type or backbone path.
    required : mapping
        Names of the elements and choices that a type must have.
    primitives : mapping
        Pattern of each primitive type's text.
    """

    resources: frozenset[str]
    all_resources: frozenset[str]
    types: Mapping[str, Mapping[str, Element]]
    required: Mapping[str, tuple[str, ...]]
    primitives: Mapping[str, re.Pattern[str]]


@functools.cache
def definitions() -> Definitions:
    """Return the definitions (HL7 FHIR R4 4.0.1)."""
    text = resources.files("osler.standards").joinpath("data/fhir_r4.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    code_sets = {name: frozenset(codes) for name, codes in document["value_sets"].items()}
    types = {
        name: {key: _element(shape, code_sets) for key, shape in elements.items()}
        for name, elements in document["types"].items()
    }
    return Definitions(
        resources=frozenset(document["resources"]),
        all_resources=frozenset(document["all_resources"]),
        types=types,
        required={
            name: tuple(dict.fromkeys(e.choice or key for key, e in elements.items() if e.minimum))
            for name, elements in types.items()
        },
        primitives={name: re.compile(_OWN_PATTERNS.get(name, p)) for name, p in document["primitives"].items()},
    )


def _element(shape: Mapping[str, Any], code_sets: Mapping[str, frozenset[str]]) -> Element:
    return Element(
        minimum=shape["min"],
        maximum=shape["max"],
        type=shape["type"],
        choice=shape.get("choice", ""),
        codes=code_sets[shape["codes"]] if "codes" in shape else None,
        targets=frozenset(shape["targets"]) if "targets" in shape else None,
    )
