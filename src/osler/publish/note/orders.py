"""Staged orders as FHIR: MedicationRequest and ServiceRequest, drafts that propose and order nothing.

``status`` is ``draft`` and ``intent`` is ``proposal``, signed or not: whoever may place orders places them in the EHR.
What is to be stopped is a MedicationRequest with ``doNotPerform``. Name, dose and time are the words of the note; they
are structured beside that only where they are clear.

References
----------
HL7 FHIR R4 4.0.1, MedicationRequest, ServiceRequest, Dosage, Timing; SNOMED CT (categories)
"""

import re
from typing import Final

from osler.domain.orders import Order, OrderAction, OrderKind
from osler.publish.note.characters import printable
from osler.publish.note.entries import dosage, headed, reference
from osler.publish.note.identified import IdentifiedNote
from osler.publish.note.medications import taken
from osler.standards.fhir import Resource, instant

_SNOMED: Final = "http://snomed.info/sct"
_CATEGORIES: Final = {
    OrderKind.LABORATORY: ("108252007", "Laboratory procedure"),
    OrderKind.IMAGING: ("363679005", "Imaging"),
    OrderKind.REFERRAL: ("3457005", "Patient referral"),
    OrderKind.FOLLOW_UP: ("390906007", "Follow-up encounter"),
    OrderKind.PROCEDURE: ("71388002", "Procedure"),
}
_ACTIONS: Final = {
    OrderAction.START: "Start",
    OrderAction.STOP: "Stop",
    OrderAction.CHANGE: "Change",
    OrderAction.REFILL: "Refill",
}
_UNCLEAR: Final = re.compile(r"\d\s*(?:to|or|-|\u2013)\s*\d")
"""A range is not one dose and not one frequency."""


def request(note: IdentifiedNote, order: Order) -> Resource:
    """Build the resource of an order that a person kept."""
    medication = order.kind is OrderKind.MEDICATION
    said = (order.action, order.instructions, order.side, order.when, order.condition)
    name = " ".join(order.name.casefold().split())
    made = headed(note, "MedicationRequest" if medication else "ServiceRequest", order.kind, name, *said)
    made |= {"status": "draft", "intent": "proposal"}
    made |= _medication(order) if medication else _service(order)
    made |= {
        "subject": reference(note.patient),
        "encounter": reference(note.encounter),
        "authoredOn": instant(note.written_at),
    }
    if note.signature:
        made["requester"] = reference(note.signature.practitioner)
    return made | {"note": [{"text": printable(text)} for text in _notes(order)]}


def _medication(order: Order) -> Resource:
    made: Resource = {"doNotPerform": True} if order.action is OrderAction.STOP else {}
    made["medicationCodeableConcept"] = {"text": printable(order.name)}
    clear = [part for part in (order.dose.replace(",", ""), order.frequency) if not _UNCLEAR.search(part)]
    said = dosage(taken(order.statements[0], order.name, " ".join(part for part in clear if part)))
    if order.instructions:
        said["text"] = printable(order.instructions)
    if order.as_needed:
        said["asNeededBoolean"] = True
    if order.route:
        said["route"] = {"text": printable(order.route)}
    return made | ({"dosageInstruction": [said]} if said else {})


def _service(order: Order) -> Resource:
    code, display = _CATEGORIES[order.kind]
    made: Resource = {
        "category": [{"coding": [{"system": _SNOMED, "code": code, "display": display}]}],
        "code": {"text": printable(order.name)},
    }
    if order.when:
        made["occurrenceTiming"] = {"code": {"text": printable(order.when)}}
    if order.condition:
        made["asNeededCodeableConcept"] = {"text": printable(order.condition)}
    return made


def _notes(order: Order) -> list[str]:
    """Return what has no element of its own, and the words of the note."""
    medication = order.kind is OrderKind.MEDICATION
    action = _ACTIONS.get(order.action, "")
    when = f"When: {order.when}" if order.when and medication else ""
    condition = f"Condition: {order.condition}" if order.condition and medication else ""
    return [text for text in (action, when, condition, f"Note: {order.words}") if text]
