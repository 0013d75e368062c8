"""What a message says of the people in it, for the text engine to look for first."""

from collections.abc import Iterator
from typing import Any, Final

from osler.deidentify.free_text import Known, distinct, street_lines

_LISTS: Final = ("name", "telecom", "address", "identifier")
_MANY: Final = frozenset({"given", "line", "prefix", "suffix"})
_PEOPLE: Final = ("Patient", "Practitioner", "RelatedPerson", "Person")


def known_people(*resources: Any) -> Known:
    """Return the names, contacts, addresses, identifiers and birth dates at any depth, as one FHIR Patient.

    Parameters
    ----------
    *resources : dict
        FHIR resources; what is not one adds nothing.
    """
    patient: dict[str, Any] = {"resourceType": "Patient"}
    for node in objects(resources):
        for key in _LISTS:
            value = node.get(key)
            found = [_words(item) for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]
            if any(found):
                patient.setdefault(key, []).extend(item for item in found if item)
        if isinstance(node.get("birthDate"), str):
            patient.setdefault("birthDate", node["birthDate"])
        display, reference = node.get("display"), node.get("reference")
        of_person = isinstance(reference, str) and reference.rpartition("/")[0].endswith(_PEOPLE)
        if of_person and isinstance(display, str):
            patient.setdefault("name", []).append({"text": display})
    return patient | {key: distinct(patient[key]) for key in _LISTS if key in patient}


def _words(item: dict[str, Any]) -> dict[str, Any]:
    """Return the strings of an object and its lists of strings; what has another shape is no name or number."""
    made: dict[str, Any] = {}
    for key, value in item.items():
        if isinstance(value, list):
            value = [one for one in value if isinstance(one, str)]
            value = value if key in _MANY else "".join(value[:1])
            value = [part for one in value for part in street_lines(one)] if key == "line" else value
        if value and isinstance(value, str | list):
            made[key] = value
    return made


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in a value, itself included; no recursion, so that depth costs nothing."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)
