"""Parts of a resource: its summary, its text, or the elements that were asked for.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.5.8 (summary), 3.1.1.5.9 (elements)
"""

from collections.abc import Callable, Collection
from typing import Any, Final

from osler.standards.fhir_json import Resource
from osler.standards.fhir_search import SEARCHABLE

SUBSETTED: Final[Resource] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
"""The tag of a resource that is not whole."""
_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})


def subset(resource: Resource, summary: str, elements: Collection[str] = ()) -> Resource:
    """Return the part of a resource that was asked for, marked as a part; the resource itself when that is all of it.

    Mandatory and modifying elements stay in every part but the summary, for which R4 says element by element whether
    they belong to it.

    Parameters
    ----------
    resource : dict
        Of a type in :data:`SEARCHABLE`.
    summary : {"", "true", "text", "data", "count", "false"}
        The value of ``_summary``.
    elements : collection of str
        The top-level elements that ``_elements`` names; it goes before ``_summary``.
    """
    searchable = SEARCHABLE[resource["resourceType"]]
    if elements:
        wanted = searchable.kept | frozenset(elements)
        made = _top(resource, lambda name: name in wanted or any(_is_choice(name, each) for each in elements))
    elif summary == "text":
        made = _top(resource, lambda name: name == "text" or name in searchable.kept)
    elif summary == "data":
        made = _top(resource, lambda name: name != "text")
    elif summary == "true":
        made = {
            name: _summarised(value, name, searchable.summary)
            for name, value in resource.items()
            if name in _ALWAYS or name.removeprefix("_") in searchable.summary
        }
    else:
        return resource
    meta = made.get("meta", {})
    return made | {"meta": meta | {"tag": [*meta.get("tag", ()), SUBSETTED]}}


def _top(resource: Resource, keeps: Callable[[str], bool]) -> Resource:
    return {name: value for name, value in resource.items() if name in _ALWAYS or keeps(name.removeprefix("_"))}


def _is_choice(name: str, element: str) -> bool:
    """Tell whether a JSON name is a choice of the element, as ``valueQuantity`` is of ``value``."""
    return name.startswith(element) and name[len(element) : len(element) + 1].isupper()


def _summarised(value: Any, path: str, summary: Collection[str]) -> Any:
    """Leave out, below an element of the resource itself, what is not of the summary."""
    if isinstance(value, list):
        return [_summarised(item, path, summary) for item in value]
    if not isinstance(value, dict) or not any(each.startswith(f"{path}.") for each in summary):
        return value
    return {
        name: _summarised(item, f"{path}.{name}", summary)
        for name, item in value.items()
        if name == "id" or f"{path}.{name.removeprefix('_')}" in summary
    }
