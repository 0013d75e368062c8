"""A signed note at a FHIR server over real sockets, by SMART backend services: our own hub plays the EHR.

Answers are lost, requests arrive twice, the server fails: each resource is there once in the end.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server import FhirServer
from losing_proxy import LosingProxy
from note_examples import BASE, ENCOUNTER, PATIENT, PRACTITIONER, items_of, note
from osler.domain.states import DeliveryState
from osler.ehr_settings import Ehr
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.ingest.ehr.access import BackendAccess, Credentials, discover
from osler.ingest.ehr.client_key import make_key, public_jwks
from osler.ingest.ehr.hosts import Hosts
from osler.ingest.ehr.wire import Patience, Wire
from osler.publish.hosts import AllowedHosts
from osler.publish.note.document import document, resources, superseded
from osler.publish.note.ehr import ItemDelivery, ItemState, Outgoing, deliver, state_of
from osler.publish.note.ehr_http import EhrHttp
from osler.publish.note.entries import withdrawn
from osler.publish.note.identified import IdentifiedNote

SCOPE = "system/*.cruds"


class Site:
    """The EHR behind a relay, and our client of it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.proxy = LosingProxy()
        self.server = FhirServer(url, folder, base_url=self.proxy.url)
        self.proxy.target = self.server._server.url
        self.base = f"{self.proxy.url}/fhir/R4"
        key = make_key(folder / "client.json", "ES384")
        client = self.server.services.clients.add("osler", SCOPE, jwks=json.dumps(public_jwks(key)))
        self.wire = Wire(Hosts(self.base), patience=Patience(attempts=1))
        endpoints = discover(self.wire, Ehr("ehr", self.base, client))
        self.access = BackendAccess(self.wire, endpoints, Credentials(client, key=key), scope=SCOPE)
        self.ehr = EhrHttp(self.base, AllowedHosts(["127.0.0.1"], setting="hosts"), self.access)

    def people(self) -> dict[str, str]:
        """Bring a new patient and the rest into being at the EHR, under ids of its own."""
        patient = self.server.create({"resourceType": "Patient", "name": PATIENT["name"]})
        practitioner = self.server.create({"resourceType": "Practitioner", "name": PRACTITIONER["name"]})
        visit = {name: value for name, value in ENCOUNTER.items() if name != "id"} | {"subject": {"reference": patient}}
        encounter = self.server.create(visit)
        return {
            f"Patient/{PATIENT['id']}": patient,
            f"Practitioner/{PRACTITIONER['id']}": practitioner,
            f"Encounter/{ENCOUNTER['id']}": encounter,
        }

    def held(self, kind: str, reference: str) -> dict[str, Any]:
        answer = self.server.call("GET", f"/{reference}")
        assert answer.status_code == 200, (kind, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    def count(self, kind: str, patient: str) -> int:
        """Return how many resources of a kind are of a patient."""
        parameter = "patient" if kind in ("AllergyIntolerance", "Provenance") else "subject"
        answer = self.server.call("GET", f"/{kind}?{parameter}={patient}&_summary=count")
        total: int = answer.json()["total"]
        return total

    def counts(self, places: dict[str, str]) -> dict[str, int]:
        patient = places[f"Patient/{PATIENT['id']}"]
        kinds = (
            "DocumentReference",
            "Composition",
            "Condition",
            "MedicationStatement",
            "AllergyIntolerance",
            "Observation",
        )
        return {kind: self.count(kind, patient) for kind in kinds}

    def stop(self) -> None:
        self.wire.close()
        self.server.stop()
        self.proxy.stop()


ONCE = {"DocumentReference": 2, "Composition": 1, "Condition": 2, "MedicationStatement": 1, "AllergyIntolerance": 1,
        "Observation": 3}  # fmt: skip


@pytest.fixture(scope="module")
def running(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("ehr")
    site = Site(new_sqlite(folder / "osler.db"), folder)
    yield site
    site.stop()


@pytest.fixture
def site(running: Site) -> Site:
    running.proxy.reset()
    return running


@pytest.fixture
def one(site: Site) -> IdentifiedNote:
    return note(encounter_id=site.server.new_id("e-"))


def outgoing(one: IdentifiedNote) -> list[Outgoing]:
    return [Outgoing(resource) for resource in resources(one, items_of(one), base_url=BASE)]


def places_after(places: dict[str, str], found: tuple[ItemDelivery, ...]) -> dict[str, str]:
    return places | {item.key: item.reference for item in found if item.reference}


def until_delivered(
    site: Site, what: list[Outgoing], places: dict[str, str], *, most: int = 200, remember: bool = True
) -> tuple[ItemDelivery, ...]:
    """Attempt as often as an outbox would; without ``remember``, as if each attempt had died before its end."""
    for _ in range(most):
        found = deliver(what, site.ehr, places)
        if state_of(found) is not DeliveryState.PENDING:
            return found
        places = places_after(places, found) if remember else places
    pytest.fail("not delivered")


# ------------------------------------------------------------------------------------------------ as it should be


def test_everything_is_created_and_refers_to_what_the_ehr_has(site: Site, one: IdentifiedNote) -> None:
    places = site.people()

    found = deliver(outgoing(one), site.ehr, places)

    states = {item.state for item in found if not item.key.startswith("Device/")}
    assert states == {ItemState.CREATED}  # the devices may be there from another note
    assert state_of(found) is DeliveryState.DELIVERED
    assert site.counts(places) == ONCE
    at = places_after(places, found)
    patient, encounter = at[f"Patient/{PATIENT['id']}"], at[f"Encounter/{ENCOUNTER['id']}"]
    for item in found:
        kind = item.reference.partition("/")[0]
        held = site.held(kind, item.reference)
        if kind == "Condition":
            assert (held["subject"]["reference"], held["encounter"]["reference"]) == (patient, encounter)
        if kind == "Provenance":
            assert held["target"][0]["reference"] in at.values()
            assert held["agent"][0]["who"]["reference"] in at.values()
        if kind == "DocumentReference" and "docStatus" in held:
            assert held["subject"]["reference"] == patient
            assert held["authenticator"]["reference"] == at[f"Practitioner/{PRACTITIONER['id']}"]


def test_a_document_goes_as_it_is_and_an_ehr_that_keeps_none_says_so(site: Site, one: IdentifiedNote) -> None:
    bundle = Outgoing(document(one, items_of(one), base_url=BASE))

    (item,) = deliver([bundle], site.ehr, site.people())

    assert (item.state, item.reason) == (ItemState.REFUSED, "the EHR refuses it (HTTP 404, not-found)")


def test_what_has_arrived_is_not_asked_for_again(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    found = deliver(outgoing(one), site.ehr, places)
    site.proxy.reset()

    again = deliver(outgoing(one), site.ehr, places_after(places, found))

    assert {item.state for item in again} == {ItemState.PRESENT}
    assert site.proxy.seen == []


def test_a_note_delivered_again_from_the_beginning_creates_nothing(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    first = deliver(outgoing(one), site.ehr, places)
    site.proxy.reset()

    again = deliver(outgoing(one), site.ehr, places)

    assert {item.state for item in again} == {ItemState.PRESENT}
    assert [item.reference for item in again] == [item.reference for item in first]
    assert site.proxy.posted() == []
    assert site.counts(places) == ONCE


# ------------------------------------------------------------------------------------------------ as it is


@pytest.mark.parametrize(
    ("verdict", "remember"), [("lose", True), ("lose", False), ("drop", True), (500, True), (503, False)]
)
def test_an_answer_that_does_not_come_makes_nothing_twice(
    site: Site, one: IdentifiedNote, verdict: str | int, remember: bool
) -> None:
    places = site.people()
    site.proxy.rule = lambda method, path, count: verdict if method == "POST" and count == 1 else "pass"

    found = until_delivered(site, outgoing(one), places, remember=remember)

    assert state_of(found) is DeliveryState.DELIVERED
    assert site.counts(places) == ONCE


def test_a_request_that_arrives_twice_makes_nothing_twice(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    site.proxy.rule = lambda method, path, count: "twice" if method == "POST" else "pass"

    found = deliver(outgoing(one), site.ehr, places)

    assert state_of(found) is DeliveryState.DELIVERED
    assert site.counts(places) == ONCE


def test_more_requests_fail_than_not(site: Site, one: IdentifiedNote) -> None:
    places, rounds = site.people(), iter(range(10_000))
    verdicts = ("pass", "lose", "pass", 502, "drop", "pass", 500)
    site.proxy.rule = lambda method, path, count: verdicts[next(rounds) % len(verdicts)]

    found = until_delivered(site, outgoing(one), places)

    assert state_of(found) is DeliveryState.DELIVERED
    assert site.counts(places) == ONCE
    assert next(rounds) > 2 * len(found)


def test_an_ehr_that_is_away_is_asked_once_and_everything_waits(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    site.proxy.rule = lambda method, path, count: "drop"

    found = deliver(outgoing(one), site.ehr, places)

    assert {item.state for item in found} == {ItemState.WAITING}
    assert len(site.proxy.seen) == 1
    assert state_of(found) is DeliveryState.PENDING


def test_one_resource_over_which_the_ehr_fails_does_not_hold_up_the_others(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    site.proxy.rule = lambda method, path, count: 500 if method == "POST" and path.endswith("/Condition") else "pass"

    found = deliver(outgoing(one), site.ehr, places)

    states = {item.key.partition("/")[0]: item.state for item in found}
    assert states["Condition"] is ItemState.WAITING
    assert states["DocumentReference"] is ItemState.CREATED
    assert site.counts(places) == ONCE | {"Condition": 0}
    site.proxy.reset()
    assert state_of(until_delivered(site, outgoing(one), places)) is DeliveryState.DELIVERED
    assert site.counts(places) == ONCE


def test_what_is_refused_says_the_codes_and_no_words(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    bad = {"resourceType": "Condition", "id": "x", "identifier": [{"system": "urn:x", "value": one.encounter_id}],
           "subject": {"reference": f"Patient/{PATIENT['id']}"}, "code": {"text": "Secret"},
           "encounter": {"reference": f"{site.proxy.url}/fhir/R4/Encounter/nowhere"}}  # fmt: skip

    (item,) = deliver([Outgoing(bad)], site.ehr, places)

    assert item.state is ItemState.REFUSED
    assert item.reason.startswith("the EHR refuses it (HTTP 4")
    assert "Secret" not in item.reason
    assert "nowhere" not in item.reason
    assert state_of([item]) is DeliveryState.FAILED


# ------------------------------------------------------------------------------------------------ amendments


def test_an_amendment_replaces_withdraws_and_keeps(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    before = resources(one, items_of(one), base_url=BASE)
    places = places_after(places, deliver([Outgoing(r) for r in before], site.ehr, places))
    amended = note(encounter_id=one.encounter_id, revision=2, amends=1, sections=one.sections[:3])
    after = resources(amended, items_of(amended), base_url=BASE)
    kept = {r["id"] for r in after}
    gone = [Outgoing(r, withdrawn) for r in before if r["id"] not in kept and r["resourceType"] == "Condition"]
    indexed = next(r for r in before if r["resourceType"] == "DocumentReference" and "docStatus" in r)

    found = deliver([*map(Outgoing, after), *gone, Outgoing(indexed, superseded)], site.ehr, places)

    assert state_of(found) is DeliveryState.DELIVERED
    assert len(gone) == 1
    at = {item.key: item for item in found}
    assert at[gone[0].key].state is ItemState.CHANGED
    condition = site.held("Condition", at[gone[0].key].reference)
    assert condition["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    old = site.held("DocumentReference", places[f"DocumentReference/{indexed['id']}"])
    assert (old["status"], old["meta"]["versionId"]) == ("superseded", "2")
    new = next(site.held("DocumentReference", i.reference) for i in found if i.key == Outgoing(
        next(r for r in after if r["resourceType"] == "DocumentReference" and "docStatus" in r)).key)  # fmt: skip
    assert new["relatesTo"][0]["target"]["reference"] == places[f"DocumentReference/{indexed['id']}"]
    assert site.counts(places)["Condition"] == 2
    assert site.counts(places)["Observation"] == 3


def test_a_change_is_made_once_and_to_the_version_that_was_read(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    made = resources(one, items_of(one), base_url=BASE)
    places = places_after(places, deliver([Outgoing(r) for r in made], site.ehr, places))
    condition = Outgoing(next(r for r in made if r["resourceType"] == "Condition"), withdrawn)
    at = places[condition.key]

    def meanwhile(method: str, path: str, count: int) -> str:
        if method == "PUT" and count == 1:  # a clinician changes it between our reading and our writing
            held = site.held("Condition", at)
            assert site.server.call("PUT", f"/{at}", held | {"note": [{"text": "mine"}]}).status_code == 200
        return "pass"

    site.proxy.rule = meanwhile
    (first,) = deliver([condition], site.ehr, places)
    (second,) = deliver([condition], site.ehr, places)
    (third,) = deliver([condition], site.ehr, places)

    assert [first.state, second.state, third.state] == [ItemState.WAITING, ItemState.CHANGED, ItemState.PRESENT]
    held = site.held("Condition", at)
    assert held["note"] == [{"text": "mine"}]
    assert held["meta"]["versionId"] == "3"


# ------------------------------------------------------------------------------------------------ the way there


def test_a_token_that_is_refused_is_renewed_once(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    site.proxy.rule = lambda method, path, count: 401 if path.endswith("/Device") and count == 1 else "pass"

    assert state_of(deliver(outgoing(one), site.ehr, places)) is DeliveryState.DELIVERED


def test_a_token_that_is_never_taken_refuses_everything(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    site.proxy.rule = lambda method, path, count: 401 if "/fhir/" in path else "pass"

    found = deliver(outgoing(one), site.ehr, places)

    assert {(item.state, item.reason) for item in found} == {(ItemState.REFUSED, "the EHR does not take our token")}
    assert len(site.proxy.seen) <= 3


def test_no_token_when_the_token_endpoint_refuses(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    credentials = Credentials("nobody", secret="x" * 12)
    endpoints = discover(site.wire, Ehr("ehr", site.base, "nobody"))
    access = BackendAccess(site.wire, endpoints, credentials, scope=SCOPE)
    ehr = EhrHttp(site.base, AllowedHosts(["127.0.0.1"], setting="hosts"), access)

    found = deliver(outgoing(one), ehr, places)

    assert {item.state for item in found} == {ItemState.REFUSED}
    assert "no token" in found[0].reason


def test_a_host_that_is_not_listed_is_not_asked(site: Site) -> None:
    ehr = EhrHttp(site.base, AllowedHosts(["ehr.example"], setting="hosts of the ehr"), site.access)

    with pytest.raises(DeliveryRefused, match="hosts of the ehr"):
        ehr.ask("GET", "Patient", headers={})


def test_a_redirect_is_not_followed(site: Site, one: IdentifiedNote) -> None:
    places = site.people()
    site.proxy.rule = lambda method, path, count: 307 if path.endswith("/Device") else "pass"

    found = deliver(outgoing(one)[:1], site.ehr, places)

    assert (found[0].state, found[0].reason) == (ItemState.REFUSED, "the EHR refuses it (HTTP 307)")


@pytest.mark.parametrize("whole_s", [60.0, 1e-6])
def test_an_answer_without_an_end_is_none(site: Site, whole_s: float) -> None:
    site.proxy.rule = lambda method, path, count: "endless" if path.endswith("/metadata") else "pass"
    ehr = EhrHttp(site.base, AllowedHosts(["127.0.0.1"], setting="hosts"), site.access, whole_s=whole_s)

    with pytest.raises(PeerUnavailable):
        ehr.ask("GET", "metadata", headers={})
