"""A resource of ours as it stands at an EHR: whose it is there, what it refers to, and how it is found again.

References
----------
HL7 FHIR R4 4.0.1, 2.3.0 (Reference), 3.1.1 Search
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from osler.standards.fhir import Resource, validate

_LOCAL: Final = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}")


def placed(resource: Resource, places: Mapping[str, str]) -> Resource | None:
    """Return a resource whose references are to what the EHR has; a document Bundle stays as it is.

    Parameters
    ----------
    resource : dict
    places : mapping of str to str
        As for :func:`osler.publish.note.ehr.deliver`.

    Returns
    -------
    dict or None
        None when its patient, or what it cannot do without, is not there.
    """
    if resource["resourceType"] == "Bundle":
        return {name: value for name, value in resource.items() if name != "id"}
    patient = patient_of(resource)
    if patient and patient not in places:
        return None
    made: Resource = {name: _placed(value, places) for name, value in resource.items() if name != "id"}
    made = {name: value for name, value in made.items() if value not in ({}, [])}
    return None if validate(made) else made


def criteria(resource: Resource) -> str:
    """Return the search that finds a resource of ours: by identifier; a Provenance, which has none, by its target."""
    if resource["resourceType"] == "Provenance":
        return urlencode({"target": resource["target"][0]["reference"], "recorded": resource["recorded"]})
    identifiers = resource["identifier"]
    first = identifiers if isinstance(identifiers, dict) else identifiers[0]
    return urlencode({"identifier": f"{first['system']}|{first['value']}"})


def patient_of(resource: Resource) -> str:
    """Return whose a resource is, as it refers to them; empty when it says of no patient."""
    found = resource.get("subject") or resource.get("patient") or {}
    text = found.get("reference") if isinstance(found, dict) else None
    return text if isinstance(text, str) else ""


def _placed(node: Any, places: Mapping[str, str]) -> Any:
    """Return a part of a resource with its references placed; empty where nothing is left of it."""
    if isinstance(node, list):
        return [item for item in (_placed(item, places) for item in node) if item not in ({}, [])]
    if not isinstance(node, dict):
        return node
    made = {name: _placed(value, places) for name, value in node.items()}
    made = {name: value for name, value in made.items() if value not in ({}, [])}
    local = node.get("reference")
    if isinstance(local, str) and _LOCAL.fullmatch(local):
        if local in places:
            made["reference"] = places[local]
        else:
            del made["reference"]
    return made
