"""Orders of a note under review: found anew after each change, decided by people, and of what may be signed alone."""

from typing import Any

import pytest

from osler.domain.orders import OrderAction
from osler.errors import NotFound
from osler.scribe.staging import OrderState, decided, kept, with_orders

PLAN, ASSESSMENT = "18776-5", "51848-0"


def statement(key: str, text: str, **changes: Any) -> dict[str, Any]:
    given = {"topic": "PLAN", "state": "drafted", "passed": True, "by": "", "verbatim": False}
    evidence = [{"utterance": int(key[1:]), "quote": text, "start": None, "end": None}]
    return {"id": key, "text": text, "evidence": evidence, **given, **changes}


def note(*statements: dict[str, Any], code: str = PLAN, refusal: str = "") -> dict[str, Any]:
    return with_orders({"refusal": refusal, "sections": [{"code": code, "statements": list(statements)}]})


def names(one: dict[str, Any]) -> list[str]:
    return [order["name"] for order in one["orders"]]


MRI = statement("s1", "We will order an MRI.")
DRUG = statement("s2", "We will start lisinopril 10 mg daily.")


def test_an_order_has_the_evidence_of_its_statements_and_waits_for_a_person() -> None:
    again = statement("s3", "We will order lisinopril 10 mg.")
    first, second = note(MRI, DRUG, again)["orders"]

    assert (first["id"], first["state"], first["evidence"]) == ("o1", "staged", MRI["evidence"])
    assert (second["id"], second["statements"]) == ("o2", ["s2", "s3"])
    assert second["evidence"] == [*DRUG["evidence"], *again["evidence"]]


@pytest.mark.parametrize(
    "changes",
    [{"passed": False}, {"state": "removed"}, {"topic": "GENHX"}, {"verbatim": True}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_not_signed_or_no_plan_stages_nothing(changes: dict[str, Any]) -> None:
    assert names(note({**MRI, **changes})) == []


def test_what_a_person_writes_is_read_in_a_plan_and_nowhere_else() -> None:
    written = {**MRI, "topic": "", "state": "added", "passed": False, "by": "ann"}

    assert names(note(written)) == ["MRI"]
    assert names(note(written, code=ASSESSMENT)) == []


def test_of_a_note_of_another_encounter_only_what_a_person_wrote_stages_anything() -> None:
    written = {**DRUG, "state": "edited", "by": "ann"}

    assert names(note(MRI, written, refusal="another-encounter")) == ["lisinopril"]


def test_a_decision_stays_with_the_words_that_it_was_made_of() -> None:
    one = decided(decided(note(MRI, DRUG), "o1", OrderState.KEPT, by="ann"), "o2", OrderState.KEPT, by="ann")
    assert [order.name for order in kept(one)] == ["MRI", "lisinopril"]

    one["sections"][0]["statements"][1]["text"] = "We will start lisinopril 20 mg daily."
    changed = with_orders(one)

    assert [(order["id"], order["state"], order["by"]) for order in changed["orders"]] == [
        ("o1", "kept", "ann"),
        ("o3", "staged", ""),
    ]
    (order,) = kept(changed)
    assert (order.name, order.action) == ("MRI", OrderAction.ORDER)


def test_an_order_is_dropped_and_left_open_again() -> None:
    dropped = decided(note(MRI), "o1", OrderState.DROPPED, by="ann")
    opened = decided(dropped, "o1", OrderState.STAGED, by="ann")

    assert (dropped["orders"][0]["state"], list(kept(dropped))) == ("dropped", [])
    assert (opened["orders"][0]["state"], opened["orders"][0]["by"]) == ("staged", "")
    with pytest.raises(NotFound):
        decided(opened, "o9", OrderState.KEPT, by="ann")


def test_a_note_of_before_there_were_orders_has_none_to_send() -> None:
    assert list(kept({"sections": []})) == []
