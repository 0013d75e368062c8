"""What an EHR may answer, and what becomes of each resource then; references as they stand at the EHR."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from note_examples import BASE, ENCOUNTER, PATIENT, PRACTITIONER, items_of, note
from osler.domain.states import DeliveryState
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish.note.document import document, resources
from osler.publish.note.ehr import Answer, ItemDelivery, ItemState, Outgoing, deliver, state_of
from osler.publish.note.ehr_references import criteria, patient_of, placed
from osler.publish.note.entries import withdrawn
from osler.standards.fhir import loads, validate

PLACES = {
    f"Patient/{PATIENT['id']}": "Patient/p9",
    f"Encounter/{ENCOUNTER['id']}": "Encounter/v9",
    f"Practitioner/{PRACTITIONER['id']}": "Practitioner/d9",
}
MADE = resources(note(), items_of(note()), base_url=BASE)
CONDITION = next(r for r in MADE if r["resourceType"] == "Condition")


class Ehr:
    """An EHR in memory that knows no condition on a create; ``answers`` has what it answers in place of itself."""

    def __init__(self, *, searches: bool = True, **answers: Answer | Exception) -> None:
        self.searches = searches
        self.answers = answers
        self.held: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[Mapping[str, str]] = []

    def ask(self, method: str, path: str, *, headers: Mapping[str, str], content: str = "") -> Answer:
        self.asked.append((method, path))
        self.headers.append(headers)
        instead = self.answers.get(method)
        if isinstance(instead, Exception):
            raise instead
        if instead is not None:
            return instead
        if method == "POST":
            place = f"{path}/{len(self.held) + 1}"
            self.held[place] = loads(content) | {"id": place.rpartition("/")[2]}
            return Answer(201, f"http://ehr.example/fhir/{place}/_history/1")
        kind, _, query = path.partition("?")
        if query:
            return self._found(kind, parse_qs(query)) if self.searches else Answer(403)
        if method == "PUT":
            self.held[path] = loads(content)
            return Answer(200, etag='W/"2"')
        return _json(self.held[path], etag='W/"1"') if path in self.held else Answer(404)

    def _found(self, kind: str, wanted: dict[str, list[str]]) -> Answer:
        def fits(resource: dict[str, Any]) -> bool:
            if "target" in wanted:
                return bool(resource["target"][0]["reference"] == wanted["target"][0])
            given = resource["identifier"]
            one = given if isinstance(given, dict) else given[0]
            return bool(f"{one['system']}|{one['value']}" == wanted["identifier"][0])

        matches = [r for place, r in self.held.items() if place.startswith(f"{kind}/") and fits(r)]
        return _json({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": m} for m in matches]})


def _json(value: Any, status: int = 200, **more: str) -> Answer:
    return Answer(status, content=json.dumps(value, default=str).encode(), **more)


def outcome(status: int, *codes: Any) -> Answer:
    issues = [{"severity": "error", "code": code, "diagnostics": "Jane Doe is unknown"} for code in codes]
    return _json({"resourceType": "OperationOutcome", "issue": issues}, status)


def one(ehr: Ehr, what: Outgoing | None = None, places: Mapping[str, str] = PLACES) -> ItemDelivery:
    (item,) = deliver([what or Outgoing(CONDITION)], ehr, places)
    return item


# ------------------------------------------------------------------------------------------------ what comes back


@pytest.mark.parametrize(
    ("answer", "state", "reference", "reason"),
    [
        (Answer(201, "http://e/fhir/Condition/7/_history/1"), "created", "Condition/7", ""),
        (Answer(201, "Condition/7"), "created", "Condition/7", ""),
        (_json({"resourceType": "Condition", "id": "7"}, 201), "created", "Condition/7", ""),
        (Answer(200, "http://e/fhir/Condition/7"), "present", "Condition/7", ""),
        (Answer(201), "waiting", "", "the EHR does not say what it has made"),
        (Answer(201, "http://e/fhir/Patient/7"), "waiting", "", "the EHR does not say what it has made"),
        (Answer(201, content=b"\xff{"), "waiting", "", "the EHR does not say what it has made"),
        (Answer(302, "http://evil/Condition/7"), "refused", "", "the EHR refuses it (HTTP 302)"),
        (outcome(400, "invalid"), "refused", "", "the EHR refuses it (HTTP 400, invalid)"),
        (outcome(403, "forbidden"), "refused", "", "the EHR refuses it (HTTP 403, forbidden)"),
        (outcome(422, "business-rule", "required", "required"), "refused", "",
         "the EHR refuses it (HTTP 422, business-rule, required)"),
        (outcome(422, "Jane Doe", 7, None, "x" * 99), "refused", "", "the EHR refuses it (HTTP 422)"),
        (Answer(412), "refused", "", "the EHR refuses it (HTTP 412)"),
        (Answer(404, content=b"<html>Jane Doe</html>"), "refused", "", "the EHR refuses it (HTTP 404)"),
        (Answer(501), "refused", "", "the EHR refuses it (HTTP 501)"),
        (Answer(500), "waiting", "", "the EHR fails over it (HTTP 500)"),
        (outcome(500, "exception"), "waiting", "", "the EHR fails over it (HTTP 500)"),
        (Answer(503), "waiting", "", "the EHR cannot answer now (HTTP 503)"),
        (Answer(429), "waiting", "", "the EHR cannot answer now (HTTP 429)"),
        (PeerUnavailable("no"), "waiting", "", "no"),
        (DeliveryRefused("no token"), "refused", "", "no token"),
    ],
)  # fmt: skip
def test_answer(answer: Answer | Exception, state: str, reference: str, reason: str) -> None:
    item = one(Ehr(POST=answer))

    assert (item.state.value, item.reference, item.reason) == (state, reference, reason)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(500), "waiting"),
        (Answer(503), "waiting"),
        (Answer(400), "created"),
        (Answer(403), "created"),
        (Answer(501), "created"),
        (Answer(200, content=b"no json"), "created"),
        (_json({"entry": "x"}), "created"),
        (_json({"entry": [None, {"resource": None}, {"resource": {"resourceType": "Condition"}}]}), "created"),
        (_json({"entry": [{"resource": {"resourceType": "Patient", "id": "7"}}]}), "created"),
    ],
)
def test_an_answer_to_the_search(answer: Answer, state: str) -> None:
    assert one(Ehr(GET=answer)).state.value == state


@pytest.mark.parametrize(
    ("subject", "state"),
    [
        ("Patient/p9", "present"),
        ("http://ehr.example/fhir/Patient/p9/_history/3", "present"),
        ("Patient/p8", "refused"),
        ("Patient/xp9", "refused"),
        ("", "refused"),
    ],
)
def test_what_is_found_is_of_the_patient(subject: str, state: str) -> None:
    found = {"resourceType": "Condition", "id": "7", "subject": {"reference": subject}}

    item = one(Ehr(GET=_json({"entry": [{"resource": found}]})))

    assert item.state.value == state


# ------------------------------------------------------------------------------------------------ once


def test_a_server_that_knows_no_condition_gets_each_once() -> None:
    ehr = Ehr()
    everything = [*map(Outgoing, MADE)]

    first, second = deliver(everything, ehr, PLACES), deliver(everything, ehr, PLACES)

    assert {item.state for item in first} == {ItemState.CREATED}
    assert {item.state for item in second} == {ItemState.PRESENT}
    assert len(ehr.held) == len(MADE)
    posts = [headers for headers, (method, _) in zip(ehr.headers, ehr.asked, strict=True) if method == "POST"]
    assert all(headers["if-none-exist"] and headers["content-type"] == "application/fhir+json" for headers in posts)


def test_what_is_created_does_not_have_our_id_and_refers_to_theirs() -> None:
    ehr = Ehr()
    deliver([*map(Outgoing, MADE)], ehr, PLACES)

    assert not {r["id"] for r in ehr.held.values()} & {r["id"] for r in MADE}
    text = json.dumps(ehr.held, default=str)
    assert PATIENT["id"] not in text
    assert "Patient/p9" in text
    for resource in ehr.held.values():
        assert validate(resource) == []


def test_after_the_server_is_away_nothing_more_is_asked() -> None:
    ehr = Ehr(POST=PeerUnavailable("away"))

    found = deliver([*map(Outgoing, MADE)], ehr, PLACES)

    assert {(item.state, item.reason) for item in found} == {(ItemState.WAITING, "away")}
    assert [item.key for item in found] == [Outgoing(r).key for r in MADE]
    assert len(ehr.asked) == 2


def test_a_provenance_of_what_was_refused_is_not_sent() -> None:
    provenance = next(r for r in MADE if r["resourceType"] == "Provenance")

    item = one(Ehr(), Outgoing(provenance))

    assert (item.state, item.reason) == (ItemState.REFUSED, "what it refers to is not at the EHR")


def test_nothing_is_sent_for_a_patient_whom_the_ehr_does_not_have() -> None:
    ehr = Ehr()

    found = deliver([*map(Outgoing, MADE)], ehr, {})

    devices = [item for item in found if item.key.startswith("Device/")]
    assert {item.state for item in found if item not in devices} == {ItemState.REFUSED}
    assert {path.partition("?")[0] for _, path in ehr.asked} == {"Device"}


# ------------------------------------------------------------------------------------------------ changes


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({}, "changed"),
        ({"GET": Answer(404)}, "refused"),
        ({"GET": Answer(500)}, "waiting"),
        ({"GET": Answer(503)}, "waiting"),
        ({"GET": _json({"resourceType": "Condition", "id": "8"})}, "refused"),
        ({"GET": Answer(200, content=b"?")}, "refused"),
        ({"PUT": Answer(412)}, "waiting"),
        ({"PUT": Answer(409)}, "waiting"),
        ({"PUT": outcome(403, "forbidden")}, "refused"),
        ({"PUT": Answer(500)}, "waiting"),
    ],
)
def test_change(answers: dict[str, Any], state: str) -> None:
    ehr = Ehr(**answers)
    ehr.held["Condition/7"] = (placed(CONDITION, PLACES) or {}) | {"id": "7", "note": [{"text": "theirs"}]}
    what = Outgoing(CONDITION, withdrawn)

    item = one(ehr, what, PLACES | {what.key: "Condition/7"})

    assert item.state.value == state
    if state == "changed":
        assert ehr.held["Condition/7"]["note"] == [{"text": "theirs"}]
        assert "entered-in-error" in json.dumps(ehr.held["Condition/7"]["verificationStatus"])
        assert ehr.headers[-1]["if-match"] == 'W/"1"'


def test_a_change_of_what_the_ehr_never_had_is_none() -> None:
    ehr = Ehr()

    item = one(ehr, Outgoing(CONDITION, withdrawn))

    assert (item.state, item.reference, ehr.asked) == (ItemState.PRESENT, "", [])


def test_a_change_that_is_made_is_not_made_again() -> None:
    ehr = Ehr()
    ehr.held["Condition/7"] = withdrawn(CONDITION) | {"id": "7"}
    what = Outgoing(CONDITION, withdrawn)

    item = one(ehr, what, PLACES | {what.key: "Condition/7"})

    assert (item.state, [method for method, _ in ehr.asked]) == (ItemState.PRESENT, ["GET"])


# ------------------------------------------------------------------------------------------------ the whole


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ("", "delivered"),
        ("created present changed", "delivered"),
        ("created refused", "failed"),
        ("created waiting", "pending"),
        ("refused waiting", "pending"),
    ],
)
def test_state_of_the_whole(states: str, whole: str) -> None:
    items = [ItemDelivery("Condition/1", ItemState(state)) for state in states.split()]

    assert state_of(items) is DeliveryState(whole)


def test_references_that_cannot_be_placed_keep_their_name_or_go() -> None:
    made = placed(CONDITION, {f"Patient/{PATIENT['id']}": "Patient/p9"})

    assert made is not None
    assert made["subject"] == {"reference": "Patient/p9", "display": "Jane Q Doe"}
    assert made["recorder"] == {"display": "Dr. Anna House"}
    assert "encounter" not in made
    assert "id" not in made
    assert CONDITION["encounter"] == {"reference": "Encounter/enc1"}


def test_a_document_is_not_changed() -> None:
    bundle = document(note(), items_of(note()), base_url=BASE)

    assert placed(bundle, {}) == {k: v for k, v in bundle.items() if k != "id"}
    assert patient_of(bundle) == ""


@pytest.mark.parametrize("resource", MADE, ids=lambda r: r["resourceType"])
def test_each_resource_has_a_search_that_finds_it(resource: dict[str, Any]) -> None:
    ((name, *_),) = [list(parse_qs(criteria(resource)))]

    assert name == ("target" if resource["resourceType"] == "Provenance" else "identifier")
    assert "%7C" in criteria(resource) or name == "target"


def test_nothing_of_the_note_is_in_what_a_log_could_say() -> None:
    found = deliver([*map(Outgoing, MADE)], Ehr(POST=outcome(422, "invalid")), PLACES)

    assert "Doe" not in repr([*map(Outgoing, MADE)])
    assert "Doe" not in repr(found)
    assert PATIENT["id"] not in repr(found)
