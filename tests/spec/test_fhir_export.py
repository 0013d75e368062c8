"""Bulk Data export: asked for, made in pieces, and given to who asked alone. One row a rule of the standard."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import func, select, update

from fhir_server import HUB, FhirServer
from osler.api.smart.scopes import parse_scopes
from osler.errors import IntegrityError
from osler.hub.exports import Exports, Limits
from osler.standards import fhir
from osler.storage.tables import export_file, resource

NDJSON = "application/fhir+ndjson"
ASYNC = {"prefer": "respond-async"}
LENIENT = {"prefer": "respond-async, handling=lenient"}
KEEP_S = 3600.0


class Site:
    """A server with exports at work, in small pieces and with a clock that can be moved."""

    def __init__(self, server: FhirServer) -> None:
        self.server = server
        self.late_s = 0.0
        store = server.services.exports
        assert store is not None
        self.store = store
        self.exports = self.worker()

    def worker(self) -> Exports:
        """Return what a process works with; another one is as good."""
        return Exports(
            self.server.services,
            self.store,
            keep_s=KEEP_S,
            base=f"{HUB}/fhir/R4",
            limits=Limits(resources=2, looks=3, size=100_000),
            clock=lambda: time.time() + self.late_s,
        )

    def start(self, path: str = "/$export", scope: str = "system/*.rs", **changes: Any) -> str:
        """Begin an export, and return the path of its status."""
        headers = changes.get("headers", ASYNC)
        answer = self.server.call(changes.get("method", "GET"), path, changes.get("body"), headers, scope)
        assert answer.status_code == 202, answer.text
        location: str = answer.headers["content-location"].removeprefix(f"{HUB}/fhir/R4")
        return location

    def run(self) -> None:
        """Let all exports come to their end."""
        while self.exports.step():
            pass

    def made(self, path: str = "/$export", scope: str = "system/*.rs", **changes: Any) -> "Made":
        """Export, read all of it, and clear it away."""
        status = self.start(path, scope, **changes)
        self.run()
        manifest = self.server.call("GET", status, scope=scope).json()
        files = {
            each["url"]: self.server.call("GET", each["url"].removeprefix(f"{HUB}/fhir/R4"), scope=scope).text
            for each in (*manifest["output"], *manifest["error"], *manifest["deleted"])
        }
        assert self.server.call("DELETE", status, scope=scope).status_code == 202
        self.run()
        return Made(manifest, files)


class Made:
    """An export that is complete."""

    def __init__(self, manifest: dict[str, Any], files: dict[str, str]) -> None:
        self.manifest = manifest
        self.files = files
        self.resources: list[dict[str, Any]] = []
        for each in manifest["output"]:
            lines = files[each["url"]].splitlines()
            assert len(lines) == each["count"]
            resources = [fhir.loads(line) for line in lines]
            assert {r["resourceType"] for r in resources} == {each["type"]}
            self.resources += resources

    @property
    def references(self) -> list[str]:
        """Type and id of each resource, in the order of the files."""
        return [f"{r['resourceType']}/{r['id']}" for r in self.resources]

    @property
    def deleted(self) -> list[str]:
        """Type and id of each resource that is there no more."""
        lines = (line for each in self.manifest["deleted"] for line in self.files[each["url"]].splitlines())
        bundles = [fhir.loads(line) for line in lines]
        assert all(fhir.validate(bundle) == [] for bundle in bundles)
        return [entry["request"]["url"] for bundle in bundles for entry in bundle["entry"]]

    @property
    def errors(self) -> list[str]:
        """What was left out, in words."""
        lines = (line for each in self.manifest["error"] for line in self.files[each["url"]].splitlines())
        return [issue["diagnostics"] for line in lines for issue in json.loads(line)["issue"]]


BOTH = pytest.mark.parametrize("server", ["sqlite", "postgresql"], indirect=True, scope="module")
"""For what depends on the order of things in the database."""


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("fhir")
    if getattr(request, "param", "sqlite") == "postgresql":
        url = request.getfixturevalue("new_postgresql")()
    else:
        url = request.getfixturevalue("new_sqlite")(folder / "osler.db")
    running = FhirServer(url, folder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def held(server: FhirServer) -> dict[str, str]:
    """Create some resources; return references by a short name."""
    made = {"house": server.create({"resourceType": "Organization", "name": "House"})}
    for name in ("ann", "bob", "cyd"):
        made[name] = server.create({"resourceType": "Patient"})
        for number, status in enumerate(("final", "preliminary", "final")):
            made[f"{name}{number}"] = server.create(
                {
                    "resourceType": "Observation",
                    "status": status,
                    "code": {"coding": [{"system": "http://loinc.org", "code": f"{number}-0"}]},
                    "subject": {"reference": made[name]},
                    "valueQuantity": {"value": fhir.FhirDecimal("0.930"), "unit": "g"},
                }
            )
    made["nobody"] = server.create({"resourceType": "Observation", "status": "final", "code": {"text": "x"}})
    members = [{"entity": {"reference": made["ann"]}}, {"entity": {"reference": made["bob"]}, "inactive": True}]
    made["group"] = server.create({"resourceType": "Group", "type": "person", "actual": True, "member": members})
    return made


@pytest.fixture
def site(server: FhirServer, held: dict[str, str]) -> Iterator[Site]:
    made = Site(server)
    yield made
    made.late_s = KEEP_S * 10
    made.run()


EXPORTED = [
    # rule, path, scope, names of what is in it
    ("system", "/$export", "system/*.rs",
     {"house", "group", "nobody", *(n + d for n in ("ann", "bob", "cyd") for d in ("", "0", "1", "2"))}),
    ("some types", "/$export?_type=Patient,Organization", "system/*.rs", {"ann", "bob", "cyd", "house"}),
    ("types in two parameters", "/$export?_type=Patient&_type=Organization", "system/*.rs",
     {"ann", "bob", "cyd", "house"}),
    ("types that the scopes give", "/$export", "system/Patient.rs system/Organization.r", {"ann", "bob", "cyd"}),
    ("a granular scope", "/$export", "system/Observation.rs?code=http://loinc.org|1-0", {"ann1", "bob1", "cyd1"}),
    ("all patients", "/Patient/$export", "system/*.rs",
     {n + d for n in ("ann", "bob", "cyd") for d in ("", "0", "1", "2")} | {"group"} - {"group"}),
    ("a group: its active members", "/Group/{group}/$export", "system/*.rs", {"ann", "ann0", "ann1", "ann2"}),
    ("a filter", "/$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Dpreliminary", "system/*.rs",
     {"ann1", "bob1", "cyd1"}),
    ("two filters of a type: either", "/$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Dpreliminary,"
     "Observation%3Fsubject%3D{ann}", "system/*.rs", {"ann0", "ann1", "ann2", "bob1", "cyd1"}),
    ("a filter leaves other types alone", "/$export?_type=Observation,Organization"
     "&_typeFilter=Observation%3Fcode%3D2-0", "system/*.rs", {"ann2", "bob2", "cyd2", "house"}),
    ("the form", "/$export?_type=Organization&_outputFormat=application/fhir%2Bndjson", "system/*.rs", {"house"}),
    ("the form in short", "/$export?_type=Organization&_outputFormat=ndjson", "system/*.rs", {"house"}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "scope", "names"), EXPORTED, ids=[row[0] for row in EXPORTED])
def test_exported(site: Site, held: dict[str, str], rule: str, path: str, scope: str, names: set[str]) -> None:
    path = path.replace("{group}", held["group"].partition("/")[2]).replace("{ann}", held["ann"])

    made = site.made(path, scope)

    assert sorted(made.references) == sorted(held[name] for name in names), rule
    assert made.manifest["request"] == f"{HUB}/fhir/R4{path}"
    assert made.manifest["requiresAccessToken"] is True
    assert all(each["count"] <= 2 for each in made.manifest["output"]), "in pieces"


def test_by_post(site: Site, held: dict[str, str]) -> None:
    parameters = [{"name": "_type", "valueString": "Patient"}, {"name": "patient", "valueReference": {
        "reference": held["bob"]}}]  # fmt: skip
    body = {"resourceType": "Parameters", "parameter": parameters}

    made = site.made("/Patient/$export", method="POST", body=body)

    assert made.references == [held["bob"]]


def test_the_text_is_what_a_read_gives(site: Site, held: dict[str, str]) -> None:
    made = site.made("/$export?_type=Observation")

    text = site.server.call("GET", f"/{held['ann0']}").text
    assert "0.930" in text
    assert any(text in content.splitlines() for content in made.files.values())


REFUSED = [
    # rule, path, headers, scope, status
    ("without respond-async", "/$export", {"prefer": "return=minimal"}, "system/*.rs", 400),
    ("without Prefer", "/$export", {}, "system/*.rs", 400),
    ("XML", "/$export", ASYNC | {"accept": "application/fhir+xml"}, "system/*.rs", 406),
    ("another form of files", "/$export?_outputFormat=application/fhir%2Bparquet", ASYNC, "system/*.rs", 400),
    ("a type that is not served", "/$export?_type=Elephant", ASYNC, "system/*.rs", 400),
    ("_since that is none", "/$export?_since=lately", ASYNC, "system/*.rs", 400),
    ("_elements", "/$export?_elements=id", ASYNC, "system/*.rs", 400),
    ("an unknown parameter", "/$export?colour=red", ASYNC, "system/*.rs", 400),
    ("patients of a system", f"/$export?patient={quote('Patient/a')}", ASYNC, "system/*.rs", 400),
    ("a filter with a chain", "/$export?_typeFilter=Observation%3Fsubject:Patient.name%3DX", ASYNC,
     "system/*.rs", 400),
    ("a filter with _has", "/$export?_typeFilter=Patient%3F_has:Observation:subject:code%3DX", ASYNC,
     "system/*.rs", 400),
    ("a filter with _sort", "/$export?_typeFilter=Observation%3F_sort%3Ddate", ASYNC, "system/*.rs", 400),
    ("a filter that is not known", "/$export?_typeFilter=Observation%3Fcolour%3Dred", ASYNC, "system/*.rs", 400),
    ("a filter of a type that is not served", "/$export?_typeFilter=Elephant%3Fa%3Db", ASYNC, "system/*.rs", 400),
    ("no scope for anything", "/$export", ASYNC, "system/Organization.c", 403),
    ("read without search", "/$export", ASYNC, "system/Organization.r", 403),
    ("no scope for the type that is asked for", "/$export?_type=Patient", ASYNC, "system/Observation.rs", 403),
    ("nothing about patients", "/Patient/$export", ASYNC, "system/Organization.rs", 403),
    ("a group that is not there", "/Group/none/$export", ASYNC, "system/*.rs", 404),
    ("a group that may not be read", "/Group/none/$export", ASYNC, "system/Patient.rs", 403),
    ("an export that is not there", "/$export/none", {}, "system/*.rs", 404),
    ("an export that cannot be", "/$export/%00", {}, "system/*.rs", 404),
    ("a patient that cannot be", f"/Patient/$export?patient={quote('Patient/a')}%00", ASYNC, "system/*.rs", 400),
    ("a group that cannot be", "/Group/%00/$export", ASYNC, "system/*.rs", 404),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "headers", "scope", "status"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(site: Site, rule: str, path: str, headers: dict[str, str], scope: str, status: int) -> None:
    answer = site.server.call("GET", path, None, headers, scope)

    assert answer.status_code == status, (rule, answer.text)
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_what_is_left_out_is_said(site: Site, held: dict[str, str]) -> None:
    path = "/Patient/$export?_type=Patient,Observation,Organization&_elements=id"

    made = site.made(path, "system/Patient.rs system/Organization.rs", headers=LENIENT)

    assert sorted(made.references) == sorted(held[name] for name in ("ann", "bob", "cyd"))
    assert made.errors == [
        "a parameter of the export is not supported",
        "Observation is left out: the scope of the access token does not allow it",
        "Organization is left out: it is no part of an export like this",
    ]


def test_a_head_begins_nothing(site: Site) -> None:
    answer = site.server.call("HEAD", "/$export", None, ASYNC)

    assert answer.status_code == 405
    assert not site.exports.step()


@BOTH
def test_how_it_goes(site: Site) -> None:
    status = site.start("/$export?_type=Patient,Observation")
    begun = site.server.call("GET", status)
    second = site.server.call("GET", "/$export", None, ASYNC, "system/*.rs")
    site.run()
    done = site.server.call("GET", status)
    url = done.json()["output"][0]["url"].removeprefix(f"{HUB}/fhir/R4")
    file = site.server.call("GET", url)
    ended = [site.server.call("DELETE", status), site.server.call("GET", status), site.server.call("GET", url)]

    assert (begun.status_code, begun.headers["x-progress"]) == (202, "0 of 2 types, 0 resources")
    assert begun.headers["retry-after"].isdecimal()
    assert (second.status_code, second.json()["issue"][0]["code"]) == (429, "throttled")
    assert second.headers["retry-after"].isdecimal()
    assert (done.status_code, done.headers["content-type"]) == (200, "application/json")
    assert "GMT" in done.headers["expires"]
    assert file.headers["content-type"] == NDJSON
    assert [answer.status_code for answer in ended] == [202, 404, 404]
    assert site.server.call("DELETE", status).status_code == 404


@BOTH
def test_it_shows_one_moment(site: Site, held: dict[str, str]) -> None:
    """What is changed, made or deleted while it runs is as it was when it began."""
    doomed = site.server.create({"resourceType": "Organization", "name": "Doomed"})
    changed = site.server.create({"resourceType": "Organization", "name": "Before"})
    status = site.start("/$export?_type=Organization")
    moment = time.time()
    while time.time() - moment < 0.002:
        pass
    site.server.create({"resourceType": "Organization", "name": "Late"})
    site.server.call("DELETE", f"/{doomed}")
    site.server.call(
        "PUT", f"/{changed}", {"resourceType": "Organization", "id": changed.partition("/")[2], "name": "After"}
    )
    site.run()

    manifest = site.server.call("GET", status).json()
    text = "".join(
        site.server.call("GET", each["url"].removeprefix(f"{HUB}/fhir/R4")).text for each in manifest["output"]
    )

    names = sorted(json.loads(line)["name"] for line in text.splitlines())
    assert names == ["Before", "Doomed", "House"]
    site.server.call("DELETE", status)
    for each in (changed,):
        site.server.call("DELETE", f"/{each}")
    late = site.server.call("GET", "/Organization?name=Late").json()["entry"][0]["resource"]["id"]
    site.server.call("DELETE", f"/Organization/{late}")


def test_since(site: Site, held: dict[str, str]) -> None:
    made = site.server.create({"resourceType": "Practitioner"})
    stamp = site.server.call("GET", f"/{made}").json()["meta"]["lastUpdated"]
    again = site.server.create({"resourceType": "Practitioner"})
    since = f"/$export?_type=Practitioner&_since={quote(stamp)}"
    first = site.made(since)
    for each in (made, again):
        site.server.call("DELETE", f"/{each}")
    then = site.made(since)

    assert first.references == [again]
    assert first.deleted == []
    assert then.references == []
    assert sorted(then.deleted) == sorted([made, again])
    assert site.made("/$export?_type=Practitioner").deleted == [], "who asks for all has nothing to take away"


def test_deletions_are_told_as_far_as_the_token_reaches(site: Site, held: dict[str, str]) -> None:
    start = fhir.instant(time.time() - 1)
    for patient, status in (("ann", "final"), ("bob", "preliminary")):
        body = {"resourceType": "Observation", "status": status, "code": {"text": "x"}}
        gone = site.server.create(body | {"subject": {"reference": held[patient]}})
        held[f"{patient} gone"] = gone
        site.server.call("DELETE", f"/{gone}")
    query = f"?_type=Observation&_since={quote(start)}"

    everyone = site.made(f"/Patient/$export{query}").deleted
    group = site.made(f"/{held['group']}/$export{query}").deleted
    granular = site.made(f"/$export{query}", "system/Observation.rs?status=preliminary").deleted

    ann, bob = held.pop("ann gone"), held.pop("bob gone")
    assert sorted(everyone) == sorted([ann, bob])
    assert group == [ann]
    assert granular == [bob]


def test_a_restart_goes_on(site: Site, held: dict[str, str]) -> None:
    status = site.start("/$export?_type=Observation")
    site.exports.step()
    site.exports.step()

    site.exports = site.worker()
    site.run()

    manifest = site.server.call("GET", status).json()
    assert sum(each["count"] for each in manifest["output"]) == 10
    site.server.call("DELETE", status)


@BOTH
def test_two_workers_write_each_once(site: Site) -> None:
    status = site.start("/$export?_type=Observation")
    workers = [site.worker() for _ in range(4)]

    def work(worker: Exports) -> None:
        while worker.step():
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, workers))

    manifest = site.server.call("GET", status).json()
    lines = [
        line
        for each in manifest["output"]
        for line in site.server.call("GET", each["url"].removeprefix(f"{HUB}/fhir/R4")).text.splitlines()
    ]
    assert len(lines) == len(set(lines)) == 10
    site.server.call("DELETE", status)


def test_files_are_for_who_asked_alone(site: Site) -> None:
    server = site.server
    other = server.services.clients.add("other", "system/*.rs", secret="y" * 12)
    token = server.database.write(lambda c: server.services.tokens.issue(c, other, parse_scopes("system/*.rs")))
    stranger = {"authorization": f"Bearer {token}"}
    status = site.start("/$export?_type=Patient,Observation")
    site.run()
    manifest = server.call("GET", status).json()
    urls = {each["type"]: each["url"].removeprefix(f"{HUB}/fhir/R4") for each in manifest["output"]}

    def answered(path: str, **changes: Any) -> int:
        return server.call(changes.pop("method", "GET"), path, **changes).status_code

    assert answered(status, headers=stranger) == 404
    assert answered(status, headers=stranger, method="DELETE") == 404
    assert answered(urls["Patient"], headers=stranger) == 404
    assert answered(urls["Patient"], headers={"authorization": "Bearer none"}) == 401
    assert answered(urls["Patient"], scope="system/Patient.rs") == 200
    assert answered(urls["Observation"], scope="system/Patient.rs") == 403
    assert answered(urls["Observation"], scope="system/Observation.rs?status=final") == 403, "reaches less far"
    assert answered(f"{status}/../../etc/passwd") == 404
    assert answered(f"{status}/{'0' * 32}.ndjson") == 404
    server.call("DELETE", status)


def test_a_file_is_sealed_and_does_not_open_elsewhere(site: Site, held: dict[str, str]) -> None:
    status = site.start("/$export?_type=Organization,Patient")
    site.run()
    export_id = status.rpartition("/")[2]
    folder = site.store.folder.root / export_id
    paths = sorted(folder.iterdir())

    assert all(b"Organization" not in path.read_bytes() for path in paths)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder, *paths))
    first, second = paths[:2]
    swapped = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(IntegrityError):
        site.store.folder.read(export_id, first.name)
    first.write_bytes(swapped)
    site.server.call("DELETE", status)
    site.run()
    assert not folder.exists()


@BOTH
def test_each_patient_is_on_record_once_before_the_file_can_be_had(site: Site, held: dict[str, str]) -> None:
    ann = held["ann"].partition("/")[2]
    before = len(site.server.audit.search(event="patient-exported", patient=ann))
    status = site.start("/$export?_type=Observation,Patient")
    export_id = status.rpartition("/")[2]

    site.run()
    entries = site.server.audit.search(event="patient-exported", patient=ann)
    url = site.server.call("GET", status).json()["output"][0]["url"]
    site.server.call("GET", url.removeprefix(f"{HUB}/fhir/R4"))
    site.server.call("DELETE", status)

    assert len(entries) == before + 1
    assert export_id in json.dumps(entries[0].resource)
    assert site.server.client_id in json.dumps(entries[0].resource)
    for event in ("export-started", "export-downloaded", "export-ended"):
        assert export_id in json.dumps(site.server.audit.search(event=event)[0].resource)


@BOTH
def test_it_expires(site: Site) -> None:
    status = site.start("/$export?_type=Organization")
    export_id = status.rpartition("/")[2]
    site.run()
    assert (site.store.folder.root / export_id).is_dir()

    site.late_s = KEEP_S + 1
    site.run()

    assert site.server.call("GET", status).status_code == 404
    assert not (site.store.folder.root / export_id).exists()
    assert "expired" in json.dumps(site.server.audit.search(event="export-ended")[0].resource)
    with site.server.database.read() as connection:
        left = select(func.count()).select_from(export_file).where(export_file.c.export_id == export_id)
        assert connection.execute(left).scalar_one() == 0


def test_a_client_that_is_disabled_gets_nothing_more(site: Site) -> None:
    server = site.server
    shut = server.services.clients.add("shut", "system/*.rs", secret="z" * 12)
    token = server.database.write(lambda c: server.services.tokens.issue(c, shut, parse_scopes("system/*.rs")))
    headers = {"authorization": f"Bearer {token}"} | ASYNC
    status = site.start("/$export?_type=Observation", headers=headers)
    site.exports.step()
    exported = len(server.audit.search(event="patient-exported", limit=1000))

    server.services.clients.disable(shut)
    site.run()

    with server.database.read() as connection:
        export = site.store.find(connection, status.rpartition("/")[2])
    assert export is not None
    assert export.state == "failed"
    assert len(server.audit.search(event="patient-exported", limit=1000)) == exported
    assert server.call("GET", status, headers=headers).status_code == 401


def test_damage_fails_the_export_and_is_told(site: Site, held: dict[str, str]) -> None:
    house = held["house"].partition("/")[2]
    here = (resource.c.type == "Organization", resource.c.id == house)
    with site.server.database.read() as connection:
        sound = connection.execute(select(resource.c.sealed).where(*here)).scalar_one()
    damaged = sound[:-1] + bytes([sound[-1] ^ 1])
    site.server.database.write(lambda c: c.execute(update(resource).where(*here).values(sealed=damaged)))
    status = site.start("/$export?_type=Organization")
    try:
        with pytest.raises(IntegrityError):
            site.run()
    finally:
        site.server.database.write(lambda c: c.execute(update(resource).where(*here).values(sealed=sound)))

    assert not site.exports.step(), "it is not met again"
    assert site.server.call("GET", status).status_code == 500
    site.server.call("DELETE", status)


def test_it_is_announced(site: Site) -> None:
    rest = site.server.http.get("/fhir/R4/metadata").json()["rest"][0]
    by_type = {each["type"]: [o["name"] for o in each.get("operation", [])] for each in rest["resource"]}

    assert [operation["name"] for operation in rest["operation"]] == ["export"]
    assert "export" in by_type["Patient"]
    assert "export" in by_type["Group"]
    assert "export" not in by_type["Observation"]
