"""A Binary is as open as what its securityContext names (R4 Binary): one row a reader, and all ways to it.

References
----------
HL7 FHIR R4 4.0.1, Binary.securityContext
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server import HUB, FhirServer
from osler.api.people.roles import Role
from osler.api.smart.reach import reach_of
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import ActingFor, Grant
from osler.errors import NotFound
from osler.hub.exports import Exports
from osler.standards.fhir import Resource, loads

RESTRICTED = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
TEXT = {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]}


def binary(name: str, context: Any = None) -> Resource:
    made: Resource = {"resourceType": "Binary", "id": name, "contentType": "text/plain", "data": "aGk="}
    if isinstance(context, str):
        context = {"reference": context}
    return made | ({} if context is None else {"securityContext": context})


def document(name: str, patient: str = "ann", **more: Any) -> Resource:
    made: Resource = {"resourceType": "DocumentReference", "id": name, "status": "current", "type": TEXT}
    content = [{"attachment": {"contentType": "text/plain", "url": f"Binary/{name}"}}]
    return made | {"subject": {"reference": f"Patient/{patient}"}, "content": content} | more


def provenance(name: str) -> Resource:
    made: Resource = {"resourceType": "Provenance", "id": f"of-{name}", "recorded": "2026-01-02T09:00:00Z"}
    return made | {"target": [{"reference": f"Binary/{name}"}], "agent": [{"who": {"display": "scanner"}}]}


RECORD: list[Resource] = [
    *({"resourceType": "Patient", "id": name} for name in ("ann", "bob")),
    *(document(name, name) for name in ("ann", "bob")),
    document("secret", meta={"security": RESTRICTED}),
    {"resourceType": "Organization", "id": "house", "name": "House"},
    {"resourceType": "Task", "id": "task", "status": "ready", "intent": "order", "for": {"reference": "Patient/ann"}},
    binary("nobodys"),
    binary("of-ann", "Patient/ann"),
    *(binary(name, f"DocumentReference/{name}") for name in ("ann", "bob", "secret")),
    binary("house", "Organization/house"),
    binary("task", "Task/task/_history/1"),
    binary("labelled", "DocumentReference/ann") | {"meta": {"security": RESTRICTED}},
    binary("lost", "DocumentReference/none"),
    binary("elsewhere", "https://other.example/DocumentReference/ann"),
    binary("another", "Binary/ann"),
    binary("unsaid", {"display": "the report"}),
    *map(provenance, ("ann", "secret")),
]
ALL = {resource["id"] for resource in RECORD if resource["resourceType"] == "Binary"}
OPEN = {"nobodys", "of-ann", "ann", "bob", "house", "task"}


def put(server: FhirServer, *resources: Resource) -> None:
    for resource in resources:
        server.database.write(lambda connection, it=resource: server.services.resources.put(connection, it))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest,
    new_sqlite: Callable[[Path], str],
    new_postgresql: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("binary")
    server = FhirServer(new_sqlite(folder / "osler.db") if request.param == "sqlite" else new_postgresql(), folder)
    put(server, *RECORD)
    yield server
    server.stop()


Reader = Callable[[FhirServer], dict[str, str]]


def program(scope: str) -> Reader:
    return lambda server: server.bearer(scope)


def person(scope: str, patient: str | None = None, role: Role = Role.CLINICIAN) -> Reader:
    return lambda server: server.person(server.new_id("person"), role, scope, patient=patient)


READERS: list[tuple[str, Reader, set[str]]] = [
    ("a program with every right", program("system/*.cruds"), ALL),
    ("a program that may read Binaries alone", program("system/Binary.rs"), {"nobodys", "of-ann"}),
    ("and documents", program("system/Binary.rs system/DocumentReference.rs"),
     {"nobodys", "of-ann", "ann", "bob", "secret", "labelled", "lost"}),
    ("and some documents", program("system/Binary.rs system/DocumentReference.rs?status=current"),
     {"nobodys", "of-ann"}),
    ("and tasks", program("system/Binary.rs system/Task.r"), {"nobodys", "of-ann", "task"}),
    ("and tasks, to search", program("system/Binary.rs system/Task.s"), {"nobodys", "of-ann"}),
    ("a clinician", person("user/*.rs"), OPEN),
    ("for whom an app reads Binaries alone", person("user/Binary.rs"), {"nobodys", "of-ann"}),
    ("or documents besides", person("user/Binary.rs user/DocumentReference.rs"), {"nobodys", "of-ann", "ann", "bob"}),
    ("a privacy officer", person("user/*.rs", role=Role.PRIVACY_OFFICER), set()),
    ("a launch", person("patient/*.rs", "ann"), {"of-ann", "ann", "task"}),
    ("another patient's", person("patient/*.rs", "bob"), {"bob"}),
    ("with documents of every patient", person("patient/Binary.rs user/DocumentReference.rs", "ann"),
     {"of-ann", "ann"}),
    ("with Binaries of every patient", person("user/Binary.rs patient/DocumentReference.rs", "ann"),
     {"nobodys", "of-ann", "ann"}),
]  # fmt: skip


@pytest.mark.parametrize(("who", "reader", "seen"), READERS, ids=[row[0] for row in READERS])
def test_it_is_read_by_who_may_read_its_context(server: FhirServer, who: str, reader: Reader, seen: set[str]) -> None:
    headers = reader(server)

    def answers(path: str, **parameters: str) -> Any:
        return server.http.get(f"/fhir/R4{path}", params=parameters, headers=headers)

    def found(path: str, **parameters: str) -> set[str]:
        answer = answers(path, **parameters)
        entries = answer.json().get("entry", []) if answer.status_code == 200 else []
        return {e["resource"]["id"] for e in entries if e["resource"]["resourceType"] == "Binary"}

    for way in ("", "/_history/1", "/_history"):
        assert {name for name in ALL if answers(f"/Binary/{name}{way}").status_code == 200} == seen, way
    assert found("/Binary") == seen
    assert found("/Binary/_history") == seen
    assert found("/Binary", _id=",".join(sorted(ALL))) == seen
    assert len(found("/Binary", _count="2")) == min(2, len(seen))


def test_what_is_told_of_it_is_as_open(server: FhirServer) -> None:
    for headers, seen in ((person("user/*.rs")(server), {"of-ann"}), (server.bearer(), {"of-ann", "of-secret"})):
        answer = server.http.get("/fhir/R4/Provenance", params={"_include": "Provenance:target"}, headers=headers)
        resources = [entry["resource"] for entry in answer.json()["entry"]]
        assert {r["id"] for r in resources if r["resourceType"] == "Provenance"} == seen
        assert {r["id"] for r in resources if r["resourceType"] == "Binary"} == {n.removeprefix("of-") for n in seen}


def test_everything_has_the_binaries_of_the_patient(server: FhirServer) -> None:
    for headers, seen in (
        (person("user/*.rs")(server), {"of-ann", "ann", "task"}),
        (server.bearer(), {"of-ann", "ann", "task", "secret", "labelled"}),
    ):
        answer = server.http.get("/fhir/R4/Patient/ann/$everything", headers=headers)
        resources = [entry["resource"] for entry in answer.json()["entry"]]
        assert {r["id"] for r in resources if r["resourceType"] == "Binary"} == seen


@pytest.mark.parametrize(
    ("scope", "path", "seen"),
    [
        ("system/*.rs", "/$export?_type=Binary", ALL),
        ("system/Binary.rs", "/$export?_type=Binary", {"nobodys", "of-ann"}),
        ("system/Binary.rs system/Task.rs", "/$export?_type=Binary", {"nobodys", "of-ann", "task"}),
    ],
)
def test_export(server: FhirServer, scope: str, path: str, seen: set[str]) -> None:
    started = server.call("GET", path, headers={"prefer": "respond-async"}, scope=scope)
    assert started.status_code == 202, started.text
    store = server.services.exports
    assert store is not None
    exports = Exports(server.services, store, keep_s=3600, base=f"{HUB}/fhir/R4")
    while exports.step():
        pass
    status = started.headers["content-location"].removeprefix(f"{HUB}/fhir/R4")
    files = [each["url"] for each in server.call("GET", status, scope=scope).json()["output"]]
    pages = [server.call("GET", url.removeprefix(f"{HUB}/fhir/R4"), scope=scope).text for url in files]
    lines = [line for page in pages for line in page.splitlines()]
    assert {loads(line)["id"] for line in lines} == seen


class TestChange:
    """It goes where its context goes, and a change of it reaches as far."""

    def test_a_context_that_becomes_restricted_takes_it_along(self, server: FhirServer) -> None:
        reader = person("user/*.rs")(server)
        name = server.new_id("doc")
        put(server, document(name), binary(name, f"DocumentReference/{name}"), provenance(name))

        def status(path: str) -> int:
            return server.http.get(f"/fhir/R4/{path}", headers=reader).status_code

        ways = (f"Binary/{name}", f"Binary/{name}/_history/1", f"Provenance/of-{name}")
        assert [status(way) for way in ways] == [200] * 3
        put(server, document(name, meta={"security": RESTRICTED}))
        assert [status(way) for way in ways] == [404] * 3
        put(server, document(name))
        assert [status(way) for way in ways] == [200] * 3

    def test_a_context_of_another_patient_takes_it_along(self, server: FhirServer) -> None:
        name = server.new_id("doc")
        put(server, document(name, "ann"), binary(name, f"DocumentReference/{name}"))
        put(server, document(name, "bob"))
        for patient, status in (("ann", 404), ("bob", 200)):
            headers = person("patient/*.rs", patient)(server)
            assert server.http.get(f"/fhir/R4/Binary/{name}", headers=headers).status_code == status

    def test_a_context_that_comes_later_opens_it(self, server: FhirServer) -> None:
        name = server.new_id("doc")
        reader = person("user/*.rs")(server)
        put(server, binary(name, f"DocumentReference/{name}"))
        assert server.http.get(f"/fhir/R4/Binary/{name}", headers=reader).status_code == 404
        put(server, document(name))
        assert server.http.get(f"/fhir/R4/Binary/{name}", headers=reader).status_code == 200

    def test_both_in_one_transaction_in_either_order(self, server: FhirServer) -> None:
        writer = person("user/*.cruds")(server)
        context = {"securityContext": {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}}
        held = {"resource": {"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="} | context,
                "request": {"method": "POST", "url": "Binary"}}  # fmt: skip
        report = {"fullUrl": context["securityContext"]["reference"], "resource": document("x"),
                  "request": {"method": "POST", "url": "DocumentReference"}}  # fmt: skip
        del report["resource"]["id"]  # type: ignore[attr-defined]
        for entries in ([held, report], [report, held]):
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            answer = server.call("POST", "", bundle, headers=writer)
            assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize(
        ("context", "status"),
        [
            ("Patient/ann", 201),
            ("DocumentReference/ann", 201),
            (f"{HUB}/fhir/R4/DocumentReference/ann", 201),
            ("DocumentReference/secret", 403),
            ("DocumentReference/none", 403),
            ("https://other.example/DocumentReference/ann", 403),
        ],
    )
    def test_nobody_makes_one_that_they_may_not_read(self, server: FhirServer, context: str, status: int) -> None:
        made = binary("x", context)
        del made["id"]
        answer = server.call("POST", "/Binary", made, headers=person("user/*.cruds")(server))
        assert answer.status_code == status, answer.text

    def test_a_document_may_go_before_its_binary(self, server: FhirServer) -> None:
        name = server.new_id("doc")
        put(server, document(name), binary(name, f"DocumentReference/{name}"))
        assert server.call("DELETE", f"/DocumentReference/{name}").status_code in (200, 204)
        assert server.call("GET", f"/Binary/{name}").status_code == 200


def test_broken_glass_opens_the_binaries_of_that_patient(server: FhirServer) -> None:
    grant = Grant("app", parse_scopes("user/*.rs"), ActingFor("kim", Role.CLINICIAN, None))
    for patient, opens in (("ann", True), ("bob", False)):
        reach = reach_of(grant, "Binary", "r", broken=frozenset({patient}))
        if opens:
            assert server.services.resources.read("Binary", "secret", reach).id == "secret"
        else:
            with pytest.raises(NotFound):
                server.services.resources.read("Binary", "secret", reach)
