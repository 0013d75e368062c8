"""Whom an EHR knows: the patient of a note, who must be there beyond doubt, the practitioners and the encounter.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1 Search (token), Patient, Practitioner, Encounter
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from osler.errors import DeliveryRefused, InputRejected, PeerUnavailable
from osler.publish.note.ehr import FhirServer
from osler.publish.note.identified import IdentifiedNote
from osler.standards.fhir import Resource, loads

_JSON: Final = {"accept": "application/fhir+json"}


def places_at(server: FhirServer, note: IdentifiedNote, systems: Mapping[str, str]) -> dict[str, str]:
    """Find the people of a note and its encounter at an EHR, by their identifiers.

    Parameters
    ----------
    server : FhirServer
    note : IdentifiedNote
    systems : mapping of str to str
        Issuer of record numbers, as they are called here, by FHIR system, as the EHR calls them.

    Returns
    -------
    dict of str to str
        ``Type/id`` at the EHR by ``Type/id`` of ours. A practitioner or an encounter that is not found, or twice, is
        left out.

    Raises
    ------
    DeliveryRefused
        If the patient is not there, or more than one has the number, or was born on another day.
    PeerUnavailable
        If the EHR cannot say now.
    """
    patient = _the_patient(server, note.patient, systems)
    places = {f"Patient/{note.patient['id']}": f"Patient/{patient['id']}"}
    signer = [note.signature.practitioner] if note.signature else []
    for ours in (note.practitioner, *signer, note.encounter):
        key = f"{ours['resourceType']}/{ours['id']}"
        theirs = [] if key in places else _matching(server, ours, systems)
        if len(theirs) == 1 and _is_whose(theirs[0], ours, patient):
            places[key] = f"{theirs[0]['resourceType']}/{theirs[0]['id']}"
    return places


def _the_patient(server: FhirServer, ours: Resource, systems: Mapping[str, str]) -> Resource:
    theirs = _matching(server, ours, systems)
    if not theirs:
        raise DeliveryRefused("the EHR has no patient of that record number")
    if len(theirs) > 1:
        raise DeliveryRefused("the EHR has more than one patient of that record number")
    if ours.get("birthDate") and theirs[0].get("birthDate", ours["birthDate"]) != ours["birthDate"]:
        raise DeliveryRefused("the EHR's patient of that record number was born on another day")
    return theirs[0]


def _is_whose(theirs: Resource, ours: Resource, patient: Resource) -> bool:
    """Tell whether an encounter is the patient's; a practitioner is nobody's."""
    if ours["resourceType"] != "Encounter":
        return True
    return str(theirs.get("subject", {}).get("reference", "")).endswith(f"Patient/{patient['id']}")


def _matching(server: FhirServer, ours: Resource, systems: Mapping[str, str]) -> list[Resource]:
    """Return the resources at the EHR that have one of our identifiers, each once."""
    found: dict[str, Resource] = {}
    for system, value in _identifiers(ours, systems):
        for one in _search(server, ours["resourceType"], system, value):
            if any((i.get("system"), i.get("value")) == (system, value) for i in _dicts(one.get("identifier"))):
                found[one["id"]] = one
    return list(found.values())


def _identifiers(ours: Resource, systems: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for one in ours.get("identifier", []):
        codes = {coding.get("code") for coding in one.get("type", {}).get("coding", [])}
        if not one.get("value") or (ours["resourceType"] == "Patient" and codes and not codes & {"MR", "PI"}):
            continue
        issuer = one.get("assigner", {}).get("display", "")
        theirs = [system for system, called in systems.items() if called == issuer]
        own = [one["system"]] if one.get("system") else []
        for system in dict.fromkeys([*own, *theirs]):
            yield system, one["value"]


def _search(server: FhirServer, kind: str, system: str, value: str) -> list[Resource]:
    query = urlencode({"identifier": f"{system}|{value}"})
    answer = server.ask("GET", f"{kind}?{query}", headers=_JSON)
    if answer.status != 200:
        if answer.status >= 500 or answer.status in (408, 425, 429):
            raise PeerUnavailable(f"the EHR cannot answer now (HTTP {answer.status})")
        if kind == "Patient":
            raise DeliveryRefused(f"the EHR does not let us look for the patient (HTTP {answer.status})")
        return []
    try:
        page = loads(answer.content)
    except InputRejected:
        raise PeerUnavailable("the EHR's answer to a search is no searchset") from None
    matches = [entry.get("resource") for entry in _dicts(page.get("entry"))]
    return [one for one in matches if isinstance(one, dict) and one.get("resourceType") == kind and one.get("id")]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
