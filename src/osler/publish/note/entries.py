"""Structured items as FHIR: Condition, MedicationStatement, AllergyIntolerance, Observation.

Until a person signs they are unconfirmed or preliminary and labelled as made by artificial intelligence. Logical ids
are made from the encounter and from what the item says, so that an amendment that leaves an item as it is makes no
second one.

References
----------
HL7 FHIR R4 4.0.1, the resources and the Vital Signs profiles; UCUM; US Core 6.1 (categories)
"""

from typing import Final

from osler.domain.codes import Code
from osler.publish.fhir import AI_ASSERTED
from osler.publish.ids import logical_id
from osler.publish.note.characters import printable
from osler.publish.note.identified import IdentifiedNote
from osler.publish.note.items import AllergyItem, Measure, MedicationItem, ProblemItem, VitalItem
from osler.publish.note.wording import name_of
from osler.standards.fhir import FhirDecimal, Resource, instant

REQUESTS: Final = frozenset({"MedicationRequest", "ServiceRequest"})
"""Resource types of staged orders."""

UUIDS: Final = "urn:ietf:rfc:3986"
"""System of identifiers that are URIs."""

NPI: Final = "http://hl7.org/fhir/sid/us-npi"
"""System of National Provider Identifiers."""

_HL7: Final = "http://terminology.hl7.org/CodeSystem"
_SYSTEMS: Final = {"LN": "http://loinc.org", "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm"}
_UCUM: Final = "http://unitsofmeasure.org"


def entry(note: IdentifiedNote, item: ProblemItem | MedicationItem | AllergyItem | VitalItem) -> Resource:
    """Build the resource of an item that is no order."""
    if isinstance(item, ProblemItem):
        return _condition(note, item)
    if isinstance(item, MedicationItem):
        return _medication(note, item)
    if isinstance(item, AllergyItem):
        return _allergy(note, item)
    return _observation(note, item)


def withdrawn(resource: Resource) -> Resource:
    """Return an item that an amendment no longer says, as entered in error: it is marked, not deleted.

    An order that somebody has placed since is theirs, and stays.
    """
    if resource["resourceType"] in REQUESTS and resource.get("status") != "draft":
        return resource
    kept = {name: value for name, value in resource.items() if name != "clinicalStatus"}
    if "verificationStatus" in resource:
        system = (
            "condition-ver-status" if resource["resourceType"] == "Condition" else "allergyintolerance-verification"
        )
        return kept | {"verificationStatus": concept(system, "entered-in-error", "Entered in Error")}
    return kept | {"status": "entered-in-error"}


def headed(note: IdentifiedNote, kind: str, *parts: str) -> Resource:
    """Return what each resource of a note begins with: type, id, identifier, and the label while nobody has signed."""
    made: Resource = {"resourceType": kind, "id": logical_id(kind, note.encounter_id, *map(printable, parts))}
    if note.signature is None:
        made["meta"] = {"security": [AI_ASSERTED]}
    return made | {"identifier": [identifier(made["id"])]}


def identifier(logical: str) -> Resource:
    """Return the identifier that stands for a logical id of ours, wherever the resource is copied to."""
    return {"system": UUIDS, "value": f"urn:uuid:{logical}"}


def reference(resource: Resource) -> Resource:
    """Return a reference to a resource, with a name where it is a person's or a device's."""
    made: Resource = {"reference": f"{resource['resourceType']}/{resource['id']}"}
    if resource["resourceType"] in ("Patient", "Practitioner") and name_of(resource):
        made["display"] = name_of(resource)
    if resource["resourceType"] == "Device":
        made["display"] = resource["deviceName"][0]["name"]
    return made


def concept(system: str, code: str, display: str) -> Resource:
    """Return a concept of one of HL7's code systems."""
    return {"coding": [{"system": f"{_HL7}/{system}", "code": code, "display": display}]}


def loinc(code: str, title: str) -> Resource:
    """Return a concept of LOINC under a title of ours, which is not LOINC's name of it."""
    return {"coding": [{"system": _SYSTEMS["LN"], "code": code}], "text": printable(title)}


def _condition(note: IdentifiedNote, item: ProblemItem) -> Resource:
    made = headed(note, "Condition", _key(item.text), *(code.value for code in item.codes))
    status = ("confirmed", "Confirmed") if item.certain else ("provisional", "Provisional")
    if note.signature is None:
        status = ("unconfirmed", "Unconfirmed")
    made |= {
        "clinicalStatus": concept("condition-clinical", "active", "Active"),
        "verificationStatus": concept("condition-ver-status", *status),
        "category": [concept("condition-category", "encounter-diagnosis", "Encounter Diagnosis")],
        "code": {"text": printable(item.text)},
        "subject": reference(note.patient),
        "encounter": reference(note.encounter),
        "recordedDate": instant(note.written_at),
    }
    if item.codes:
        made["code"]["coding"] = [_coding(code) for code in item.codes]
    return made | _recorder(note)


def _medication(note: IdentifiedNote, item: MedicationItem) -> Resource:
    said = (item.instructions, item.dose.value if item.dose else "", str(item.as_needed))
    made = headed(note, "MedicationStatement", _key(item.name), *said)
    made |= {
        "status": "active" if note.signature else "unknown",
        "medicationCodeableConcept": {"text": printable(item.name)},
        "subject": reference(note.patient),
        "context": reference(note.encounter),
        "dateAsserted": instant(note.written_at),
    }
    said_how = dosage(item)
    return made | ({"dosage": [said_how]} if said_how else {})


def dosage(item: MedicationItem) -> Resource:
    """Return how a medication is taken; empty where the note does not say it."""
    made: Resource = {"text": printable(item.instructions)} if item.instructions else {}
    if item.timing:
        repeat = {"frequency": item.timing.frequency, "period": item.timing.period, "periodUnit": item.timing.unit}
        made["timing"] = {"repeat": repeat}
    if item.as_needed:
        made["asNeededBoolean"] = True
    if item.dose:
        quantity: Resource = {"value": FhirDecimal(item.dose.value), "unit": item.dose.unit}
        if item.dose.code:
            quantity |= {"system": _UCUM, "code": item.dose.code}
        made["doseAndRate"] = [{"doseQuantity": quantity}]
    return made


def _allergy(note: IdentifiedNote, item: AllergyItem) -> Resource:
    made = headed(note, "AllergyIntolerance", _key(item.substance), *item.reactions)
    status = ("confirmed", "Confirmed") if note.signature else ("unconfirmed", "Unconfirmed")
    made |= {
        "clinicalStatus": concept("allergyintolerance-clinical", "active", "Active"),
        "verificationStatus": concept("allergyintolerance-verification", *status),
        "category": [item.category],
        "code": {"text": printable(item.substance)},
        "patient": reference(note.patient),
        "encounter": reference(note.encounter),
        "recordedDate": instant(note.written_at),
        **_recorder(note),
    }
    if item.reactions:
        made["reaction"] = [{"manifestation": [{"text": printable(one)} for one in item.reactions]}]
    return made


def _observation(note: IdentifiedNote, item: VitalItem) -> Resource:
    figures = [f"{measure.value} {measure.ucum}" for measure in item.measures]
    made = headed(note, "Observation", item.codes[0].value, *figures)
    made |= {
        "status": "final" if note.signature else "preliminary",
        "category": [concept("observation-category", "vital-signs", "Vital Signs")],
        "code": {"coding": [_coding(code) for code in item.codes], "text": item.codes[0].meaning},
        "subject": reference(note.patient),
        "encounter": reference(note.encounter),
        "effectiveDateTime": instant(note.began_at),
        "issued": instant(note.written_at),
    }
    if note.signature:
        made["performer"] = [reference(note.signature.practitioner)]
    if len(item.measures) == 1:
        return made | {"valueQuantity": _quantity(item.measures[0])}
    components = [{"code": {"coding": [_coding(one.code)]}, "valueQuantity": _quantity(one)} for one in item.measures]
    return made | {"component": components}


def _recorder(note: IdentifiedNote) -> Resource:
    return {"recorder": reference(note.signature.practitioner)} if note.signature else {}


def _quantity(measure: Measure) -> Resource:
    return {"value": FhirDecimal(measure.value), "unit": measure.unit, "system": _UCUM, "code": measure.ucum}


def _coding(code: Code) -> Resource:
    made: Resource = {"system": _SYSTEMS[code.scheme]} if code.scheme in _SYSTEMS else {}
    return made | {"code": code.value, "display": printable(code.meaning)}


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
