"""Staged orders as FHIR R4: drafts that propose, each with its provenance, valid, and withdrawn by an amendment."""

import json
from dataclasses import replace
from typing import Any

import fhirkit
import pytest

from note_examples import BASE, PLAN, note, said, section
from osler.domain.note import Topic
from osler.domain.orders import Order, OrderAction, OrderKind, order_from_json, order_to_json
from osler.draft.orders import Said, staged_orders
from osler.publish.note.amendment import taken_back
from osler.publish.note.document import document, resources
from osler.publish.note.entries import withdrawn
from osler.publish.note.items import OrderItem
from osler.standards.fhir import dumps, validate

TEXTS = (
    "We will increase the lisinopril to 1,000 mg by mouth once a day for 10 days.",
    "Stop the ibuprofen.",
    "We will prescribe oxycodone 5 mg every 6 to 8 hours as needed if the pain gets worse.",
    "If the cough goes on, we will order a chest x-ray in 2 weeks.",
    "We will refer the patient to cardiology.",
    "We will order a CBC.",
    "I will see the patient again in 2 weeks.",
    "We will order physical therapy.",
)
STATEMENTS = tuple(said(text, Topic.PLAN, id=f"s{number}") for number, text in enumerate(TEXTS, start=1))
NOTE = note(sections=(section(*STATEMENTS, **PLAN),))
ORDERS = staged_orders(Said(one.id, one.text) for one in STATEMENTS)
ITEMS = tuple(map(OrderItem, ORDERS))
SNOMED = "http://snomed.info/sct"


def made(name: str, *, signed: bool = True) -> dict[str, Any]:
    """Return the request of an order, as it is read."""
    one = NOTE if signed else replace(NOTE, signature=None)
    found = [json.loads(dumps(resource)) for resource in resources(one, ITEMS, base_url=BASE)]
    named = [r for r in found if name in json.dumps(r.get("medicationCodeableConcept") or r.get("code") or "")]
    requests: list[dict[str, Any]] = [r for r in named if r["resourceType"].endswith("Request")]
    assert len(requests) == 1
    return requests[0]


@pytest.mark.parametrize("signed", [True, False])
def test_whatever_is_ordered_is_a_draft_that_proposes_and_valid(signed: bool) -> None:
    requests = [made(order.name, signed=signed) for order in ORDERS]

    assert len(requests) == 8
    for request in requests:
        assert (request["status"], request["intent"]) == ("draft", "proposal")
        assert (request.get("requester") is not None, "meta" in request) == (signed, not signed)
        assert [str(issue) for issue in (*validate(request), *fhirkit.validate(request))] == []
        assert request["note"][-1]["text"].startswith("Note: ")


def test_a_medication_has_its_dosage_as_far_as_it_is_clear() -> None:
    change, stop, either = made("lisinopril"), made("ibuprofen"), made("oxycodone")

    (dosage,) = change["dosageInstruction"]
    assert dosage["text"] == "1,000 mg, by mouth, once a day, for 10 days"
    assert dosage["doseAndRate"][0]["doseQuantity"]["value"] == 1000
    assert (dosage["timing"]["repeat"]["frequency"], dosage["route"]["text"]) == (1, "by mouth")
    assert change["note"][0]["text"] == "Change"
    assert (stop["doNotPerform"], "dosageInstruction" in stop) == (True, False)
    assert "timing" not in either["dosageInstruction"][0], "6 to 8 hours is no one frequency"
    assert either["dosageInstruction"][0]["asNeededBoolean"] is True
    assert {"text": "Condition: if the pain gets worse"} in either["note"]


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("chest x-ray", "363679005"),
        ("CBC", "108252007"),
        ("cardiology", "3457005"),
        ("follow-up", "390906007"),
        ("physical therapy", "71388002"),
    ],
)
def test_a_service_has_its_category(name: str, category: str) -> None:
    assert made(name)["category"][0]["coding"][0] | {"display": ""} == {
        "system": SNOMED,
        "code": category,
        "display": "",
    }


def test_a_condition_and_a_time_stay_as_they_were_said() -> None:
    request = made("chest x-ray")

    assert request["asNeededCodeableConcept"] == {"text": "If the cough goes on"}
    assert request["occurrenceTiming"] == {"code": {"text": "in 2 weeks"}}


def test_each_order_is_in_the_document_and_traced_to_what_was_said() -> None:
    twice = replace(ORDERS[0], statements=("s1", "s4"))
    bundle = json.loads(dumps(document(NOTE, [OrderItem(twice)], base_url=BASE)))
    found = [entry["resource"] for entry in bundle["entry"]]
    (request,) = [r for r in found if r["resourceType"] == "MedicationRequest"]
    place = f"MedicationRequest/{request['id']}"
    (provenance,) = [r for r in found if r["resourceType"] == "Provenance" and r["target"] == [{"reference": place}]]

    assert {"reference": place} in found[0]["section"][0]["entry"]
    assert [agent["type"]["coding"][0]["code"] for agent in provenance["agent"]] == ["author", "verifier"]
    assert [entity["what"]["display"].split(":")[0] for entity in provenance["entity"]] == [
        "Statement s1",
        "Statement s4",
    ]
    assert [str(issue) for issue in validate(bundle)] == []


def test_an_amendment_enters_an_order_in_error_unless_somebody_has_placed_it() -> None:
    before, after = resources(NOTE, ITEMS, base_url=BASE), resources(NOTE, ITEMS[1:], base_url=BASE)
    ((gone, change),) = [(one, change) for one, change in taken_back(before, after)]
    placed = gone | {"status": "active", "intent": "order"}

    assert change(gone)["status"] == "entered-in-error"
    assert validate(withdrawn(gone)) == []
    assert change(placed) == placed


def test_an_order_is_the_same_when_read_and_written_again() -> None:
    order = Order(OrderKind.IMAGING, OrderAction.ORDER, "MRI", ("s1", "s2"), "We will order an MRI.", when="today")

    assert order_from_json(json.loads(json.dumps(order_to_json(order) | {"id": "o1", "state": "kept"}))) == order
