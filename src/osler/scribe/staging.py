"""Orders of the note under review: found anew after each change, and kept or dropped by a person. Pure, over JSON.

::

    {"id", "state", "by", "kind", "action", "name", "words", "statements", "evidence", "dose", "route", "frequency",
     "duration", "as_needed", "side", "when", "condition"}

Nothing is placed: what a person keeps goes out with the signed note as a proposal, which the EHR's own users may place.
"""

import copy
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

from osler.domain.note import Topic
from osler.domain.orders import Order, order_from_json, order_to_json
from osler.draft.orders import Said, staged_orders
from osler.errors import NotFound
from osler.scribe.note import signable

Json = dict[str, Any]

_TOPICS: Final = frozenset({Topic.PLAN, Topic.DISPOSITION, Topic.ASSESSMENT, Topic.DIAGNOSIS})
_SECTIONS: Final = frozenset({"18776-5", "51847-2", "8650-4"})
"""LOINC: plan of care, assessment and plan, disposition. What a person writes there has no topic."""


class OrderState(StrEnum):
    """What a person did with an order."""

    STAGED = "staged"
    """Nothing yet: it does not go out."""
    KEPT = "kept"
    DROPPED = "dropped"


def with_orders(note: Json) -> Json:
    """Return the note with the orders that it says now; a decision stays with an order that stays the same."""
    before = list(note.get("orders", ()))
    said = {statement["id"]: statement for statement in _plan(note)}
    found = staged_orders(Said(key, statement["text"]) for key, statement in said.items())
    numbers = [int(one["id"][1:]) for one in before]
    orders = []
    for order in found:
        same = next((one for one in before if order_from_json(one) == order), None)
        decision = {key: same[key] for key in ("id", "state", "by")} if same else {}
        if not same:
            numbers.append(max(numbers, default=0) + 1)
            decision = {"id": f"o{numbers[-1]}", "state": OrderState.STAGED.value, "by": ""}
        evidence = [copy.copy(each) for key in order.statements for each in said[key]["evidence"]]
        distinct = [each for number, each in enumerate(evidence) if each not in evidence[:number]]
        orders.append({**decision, **order_to_json(order), "evidence": distinct})
    return note | {"orders": orders}


def decided(note: Json, order: str, state: OrderState, *, by: str) -> Json:
    """Return the note with an order kept, dropped, or left open again.

    Raises
    ------
    NotFound
    """
    changed = copy.deepcopy(note)
    for one in changed.get("orders", ()):
        if one["id"] == order:
            one |= {"state": state.value, "by": "" if state is OrderState.STAGED else by}
            return changed
    raise NotFound("the note has no order of that id")


def kept(note: Json) -> Iterator[Order]:
    """Yield the orders that a person kept."""
    return (order_from_json(one) for one in note.get("orders", ()) if one["state"] == OrderState.KEPT)


def _plan(note: Json) -> Iterator[Json]:
    """Yield the statements that may say an order: of the plan, to be signed, and nobody's literal words."""
    for section in note["sections"]:
        for statement in section["statements"]:
            topic = Topic(statement["topic"]) if statement["topic"] else None
            planned = topic in _TOPICS if topic else section["code"] in _SECTIONS
            answered = statement["by"] or not note["refusal"]
            if planned and answered and signable(statement) and not statement["verbatim"]:
                yield statement
