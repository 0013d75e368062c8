"""Summary and letter say what may be signed, and who wrote it does not matter."""

from typing import Any

from osler.scribe.handouts import letter_of, summary_of


def statement(number: int, text: str, topic: str, **more: Any) -> dict[str, Any]:
    made = {"id": f"s{number}", "text": text, "topic": topic, "verbatim": False, "state": "drafted", "passed": True}
    return made | {"by": "", "evidence": []} | more


def note(*statements: dict[str, Any], refusal: str = "") -> dict[str, Any]:
    section = {"key": "plan", "title": "Plan", "code": "18776-5", "problem": "", "statements": list(statements)}
    author = {"kind": "extractive", "name": "osler-extractive", "version": "1", "sha256": ""}
    return {"template": "soap", "author": author, "refusal": refusal, "sections": [section]}


HELD = note(
    statement(1, "The patient has hypertension.", "ASSESSMENT"),
    statement(2, "We will refer the patient to cardiology.", "PLAN"),
    statement(3, "The patient takes oxycodone 80 mg.", "MEDICATIONS", passed=False),
    statement(4, "Come back in two weeks.", "PLAN", state="added", by="ann", passed=False),
    statement(5, "The patient smokes.", "FAM/SOCHX", state="removed"),
)


def test_the_patient_reads_what_may_be_signed_in_plain_words():
    summary = summary_of(HELD)
    sentences = [sentence for part in summary["parts"] for sentence in part["sentences"]]
    text = " ".join(sentence["text"] for sentence in sentences)
    assert "high blood pressure" in text
    assert "two weeks" in text
    assert "oxycodone" not in text
    assert "smoke" not in text
    assert {one for sentence in sentences for one in sentence["statements"]} == {"s1", "s2", "s4"}
    assert summary["grade"] > 0


def test_a_letter_asks_for_what_the_plan_asks_for():
    letter = letter_of(HELD, to="cardiology")
    assert "cardiology" in str(letter["parts"][-1])
    assert letter["warnings"] == ()
    assert letter_of(HELD, to="dermatology")["warnings"]


def test_of_a_refused_note_only_what_a_person_wrote_is_left():
    refused = {**HELD, "refusal": "another-encounter"}
    summary = summary_of(refused)
    assert {one for part in summary["parts"] for s in part["sentences"] for one in s["statements"]} == {"s4"}


def test_who_is_called_a_client_is_spoken_to_all_the_same():
    called = note(statement(1, "The client has hypertension. Refer the client to cardiology.", "ASSESSMENT"))
    text = str(summary_of(called | {"patient_called": "the client"})["parts"])
    assert "client" not in text
    assert "You have" in text
