"""Changes lie within the caller's reach: what is there before, and what is there after."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server import FhirServer
from osler.api.fhir.changing import Change, Changing
from osler.api.fhir.entries import parse_entry
from osler.api.fhir.preferences import Preferences
from osler.api.fhir.transaction import changes_of
from osler.audit import Agent
from osler.domain.reach import EVERYTHING, Part, Reach
from osler.errors import AccessDenied, NotFound, OslerError, Unprocessable
from osler.standards import fhir

RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
OF_A: Reach = (Part(patient="a"),)
FINAL: Reach = (Part(tokens=(("status", ("code", "final")),)),)


class Caller:
    """Somebody whose reach is given by the letter of the right."""

    agent = Agent("somebody", "client")

    def __init__(self, **reach: Reach) -> None:
        self._reach = reach

    def reach(self, _type: str, right: str) -> Reach:
        return self._reach.get(right, ())

    def require(self, type_name: str, right: str) -> Reach:
        if not self.reach(type_name, right):
            raise AccessDenied("no")
        return self.reach(type_name, right)


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("fhir")
    running = FhirServer(new_sqlite(folder / "osler.db"), folder)
    for patient in ("a", "b"):
        running.call("PUT", f"/Patient/{patient}", {"resourceType": "Patient", "id": patient})
    yield running
    running.stop()


def observation(patient: str = "a", status: str = "final", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": status,
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient}"},
        "identifier": [{"value": "one"}],
    } | more


def make(server: FhirServer, caller: Any, change: Change) -> int:
    def run(connection: Any) -> int:
        changing = Changing(server.services, caller, connection)
        done = changing.apply(change)
        changing.settle()
        return done.status

    return server.database.write(run)


PATCH = ({"op": "replace", "path": "/subject/reference", "value": "Patient/b"},)
AMENDED = ({"op": "replace", "path": "/status", "value": "amended"},)
TESTED = ({"op": "test", "path": "/status", "value": "final"}, *AMENDED)
WRITES = [
    # rule, reach by right, what is there, method, what is written, status or error
    ("create in the patient's record", {"c": OF_A}, None, "POST", observation(), 201),
    ("create in another's", {"c": OF_A}, None, "POST", observation("b"), AccessDenied),
    ("create for nobody", {"c": OF_A}, None, "POST", {"resourceType": "Device"}, AccessDenied),
    ("create another patient", {"c": OF_A}, None, "POST", {"resourceType": "Patient"}, AccessDenied),
    ("create with the term", {"c": FINAL}, None, "POST", observation(), 201),
    ("create without the term", {"c": FINAL}, None, "POST", observation(status="amended"), AccessDenied),
    ("create what is restricted", {"c": OF_A}, None, "POST", observation(meta=RESTRICTED), AccessDenied),
    ("create what is restricted, with leave", {"c": EVERYTHING}, None, "POST", observation(meta=RESTRICTED), 201),
    ("update the patient's", {"u": OF_A, "r": OF_A}, observation(), "PUT", observation(status="amended"), 200),
    ("update another's: it is not there", {"u": OF_A, "r": OF_A}, observation("b"), "PUT", observation(), NotFound),
    ("update what is seen alone", {"u": OF_A, "r": EVERYTHING}, observation("b"), "PUT", observation(), AccessDenied),
    ("move to another", {"u": OF_A, "r": OF_A}, observation(), "PUT", observation("b"), AccessDenied),
    ("change the term", {"u": FINAL, "r": FINAL}, observation(), "PUT", observation(status="amended"), AccessDenied),
    ("make it restricted", {"u": OF_A, "r": OF_A}, observation(), "PUT", observation(meta=RESTRICTED), AccessDenied),
    ("update what is restricted", {"u": OF_A, "r": OF_A}, observation(meta=RESTRICTED), "PUT", observation(), NotFound),
    ("update as create", {"u": OF_A}, None, "PUT", observation(), 201),
    ("update as create in another's", {"u": OF_A}, None, "PUT", observation("b"), AccessDenied),
    ("patch to another", {"u": OF_A, "r": OF_A}, observation(), "PATCH", PATCH, AccessDenied),
    ("patch what is not seen", {"u": OF_A}, observation(), "PATCH", AMENDED, 200),
    ("ask by a patch what is not seen", {"u": OF_A}, observation(), "PATCH", TESTED, AccessDenied),
    ("ask by a patch what is seen", {"u": OF_A, "r": OF_A}, observation(), "PATCH", TESTED, 200),
    ("patch another's", {"u": OF_A, "r": OF_A}, observation("b"), "PATCH", PATCH, NotFound),
    ("patch nothing", {"u": OF_A, "r": OF_A}, None, "PATCH", PATCH, NotFound),
    ("delete the patient's", {"d": OF_A, "r": OF_A}, observation(), "DELETE", None, 204),
    ("delete another's", {"d": OF_A, "r": OF_A}, observation("b"), "DELETE", None, NotFound),
    ("delete what is not there: no other answer", {"d": OF_A, "r": OF_A}, None, "DELETE", None, NotFound),
    ("delete what is not there, with leave for all", {"d": EVERYTHING}, None, "DELETE", None, 204),
    ("delete what can be seen alone", {"d": OF_A, "r": EVERYTHING}, observation("b"), "DELETE", None, AccessDenied),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "reach", "there", "method", "written", "result"), WRITES, ids=[row[0] for row in WRITES]
)
def test_reach(
    server: FhirServer,
    rule: str,
    reach: dict[str, Reach],
    there: dict[str, Any] | None,
    method: str,
    written: Any,
    result: int | type[OslerError],
) -> None:
    logical_id = server.new_id("o")
    if there is not None:
        server.call("PUT", f"/Observation/{logical_id}", there | {"id": logical_id})
    before = server.call("GET", f"/Observation/{logical_id}").text
    type_name = written["resourceType"] if method in ("POST", "PUT") else "Observation"
    change = Change(
        method,
        type_name,
        "" if method == "POST" else logical_id,
        resource=written if method in ("POST", "PUT") else None,
        patch=written if method == "PATCH" else (),
    )

    if isinstance(result, int):
        assert make(server, Caller(**reach), change) == result
    else:
        with pytest.raises(result):
            make(server, Caller(**reach), change)
        if there is not None:
            assert server.call("GET", f"/Observation/{logical_id}").text == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_match_does_not_tell_what_is_out_of_reach(server: FhirServer, method: str) -> None:
    there = server.create(observation("b")).partition("/")[2]
    told = set()
    for logical_id in (there, "none"):
        change = Change(method, "Observation", logical_id, resource=observation(id=logical_id), if_match='W/"1"')
        with pytest.raises(OslerError) as refused:
            make(server, Caller(u=OF_A, d=OF_A, r=OF_A), change)
        told.add((type(refused.value), str(refused.value)))
    assert len(told) == 1


def test_criteria_choose_within_reach_alone(server: FhirServer) -> None:
    value = server.new_id("i")
    other = server.create(observation("b", identifier=[{"value": value}]))
    caller = Caller(c=OF_A, u=OF_A, d=OF_A, r=OF_A, s=OF_A)
    written = observation("a", identifier=[{"value": value}])

    made = make(server, caller, Change("POST", "Observation", criteria=f"identifier={value}", resource=written))
    again = make(server, caller, Change("POST", "Observation", criteria=f"identifier={value}", resource=written))
    deleted = make(server, caller, Change("DELETE", "Observation", criteria=f"identifier={value}"))

    assert (made, again, deleted) == (201, 200, 204)
    assert server.call("GET", f"/{other}").status_code == 200


KNOWN = [
    # rule, reach by right, whose the resource is that is referred to, whether it may be
    ("what the caller reads", {"c": OF_A, "r": OF_A}, {"patient": "a"}, True),
    ("what the caller finds", {"c": OF_A, "s": OF_A}, {"patient": "a"}, True),
    ("what is another patient's", {"c": OF_A, "r": OF_A, "s": OF_A}, {"patient": "b"}, False),
    ("what has not the term", {"c": FINAL, "r": FINAL}, {"patient": "a", "status": "amended"}, False),
    ("who only writes: what is of the same patient", {"c": OF_A}, {"patient": "a"}, True),
    ("who only writes: what is another patient's", {"c": OF_A}, {"patient": "b"}, False),
    ("what is restricted", {"c": OF_A, "r": OF_A}, {"patient": "a", "meta": RESTRICTED}, False),
    ("what is restricted, with leave", {"c": EVERYTHING, "r": EVERYTHING}, {"patient": "b", "meta": RESTRICTED}, True),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "reach", "target", "known"), KNOWN, ids=[row[0] for row in KNOWN])
def test_a_reference_out_of_reach_is_as_good_as_one_that_leads_nowhere(
    server: FhirServer, rule: str, reach: dict[str, Reach], target: dict[str, Any], known: bool
) -> None:
    told = []
    for referred in (server.create(observation(**target)), "Observation/none"):
        written = observation(derivedFrom=[{"reference": referred}])
        try:
            make(server, Caller(**reach), Change("POST", "Observation", resource=written))
        except Unprocessable as error:
            told.append((str(error), error.issues))

    assert len(told) == (1 if known else 2)
    assert all(each == told[0] for each in told)


def test_who_changes_something_else_may_leave_a_reference_that_is_out_of_reach(server: FhirServer) -> None:
    hidden = server.create(observation(meta=RESTRICTED))
    held = server.create(observation(derivedFrom=[{"reference": hidden}])).partition("/")[2]
    written = observation(status="amended", id=held, derivedFrom=[{"reference": hidden}])

    assert make(server, Caller(u=OF_A, r=OF_A), Change("PUT", "Observation", held, resource=written)) == 200


def test_conditional_references_find_within_reach_alone(server: FhirServer) -> None:
    value = server.new_id("i")
    server.create(observation("b", identifier=[{"value": value}]))
    caller = Caller(c=OF_A, s=OF_A)
    refers = observation("a", derivedFrom=[{"reference": f"Observation?identifier={value}"}])
    entry = parse_entry({"resource": refers, "request": {"method": "POST", "url": "Observation"}}, 0, "http://x")
    assert entry.change is not None
    pair = (entry, entry.change)

    def run(connection: Any) -> Any:
        return changes_of(Changing(server.services, caller, connection), [pair], Preferences())  # type: ignore[arg-type]

    with pytest.raises(OslerError) as refused:
        server.database.write(run)
    assert refused.value.http_status == 422


def test_a_granular_scope_holds_for_writes_over_http(server: FhirServer) -> None:
    scope = "system/Observation.cruds?status=final"

    made = server.call("POST", "/Observation", observation(), scope=scope)
    refused = server.call("POST", "/Observation", observation(status="amended"), scope=scope)
    amended = server.create(observation(status="amended"))
    hidden = server.call("GET", f"/{amended}", scope=scope)
    changed = server.call("PUT", f"/{amended}", observation(id=amended.partition("/")[2]), scope=scope)

    assert [a.status_code for a in (made, refused, hidden, changed)] == [201, 403, 404, 404]
    assert fhir.loads(server.call("GET", f"/{amended}").content)["status"] == "amended"
