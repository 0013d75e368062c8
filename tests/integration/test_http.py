"""The HTTP side over real sockets: a client's way from its key to a result, studies in, and what goes wrong."""

import contextlib
import dataclasses
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwk, jws, jwt
from prometheus_client.parser import text_string_to_metric_families
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from osler.api.app import Services, create_app
from osler.api.smart.assertion import ASSERTION_TYPE
from osler.api.smart.clients import ClientStore
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import TokenStore
from osler.audit import AuditLog
from osler.domain.events import Received
from osler.errors import PeerUnavailable, StorageBusy, StorageFull
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.standards import fhir
from osler.standards.dicom import read_identity, with_own_meta
from osler.storage import Database
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

CANARY = "CANARY^PATIENT"
Serve = Callable[..., "contextlib.AbstractContextManager[httpx.Client]"]


class Filed:
    """Takes what is handed in, or refuses."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.error: Exception | None = None

    def __call__(self, received: Received) -> None:
        if self.error is not None:
            raise self.error
        self.received.append(received)


@pytest.fixture
def filed() -> Filed:
    return Filed()


@pytest.fixture
def services(new_sqlite: Callable[[Path], str], tmp_path: Path, filed: Filed) -> Iterator[Services]:
    database = Database(new_sqlite(tmp_path / "osler.db"))
    keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
    services = Services(
        base_url="http://hub.example",
        database=database,
        audit=AuditLog(database, signing_key=Ed25519PrivateKey.generate(), checkpoints=tmp_path / "checkpoints"),
        resources=ResourceStore(database, sealer=keys.sealer("record"), index=keys.index),
        search=ResourceSearch(database, sealer=keys.sealer("record"), index=keys.index),
        clients=ClientStore(database),
        tokens=TokenStore(database),
        accept=filed,
        metrics=Metrics(),
        max_body_bytes=200_000,
    )
    patient = {"resourceType": "Patient", "id": "OSL-A", "identifier": [{"value": CANARY}]}
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": "Patient/OSL-A"},
        "valueQuantity": {"value": fhir.FhirDecimal("0.930")},
    }
    for resource in (patient, observation):
        database.write(lambda c, resource=resource: services.resources.put(c, resource))
    yield services
    database.close()


@pytest.fixture
def serve(services: Services) -> Serve:
    @contextlib.contextmanager
    def run(**changes: Any) -> Iterator[httpx.Client]:
        server = WebServer(create_app(dataclasses.replace(services, **changes)), "127.0.0.1:0")
        server.start()
        try:
            with httpx.Client(base_url=server.url, timeout=10) as client:
                yield client
        finally:
            server.stop()

    return run


@pytest.fixture
def bearer(services: Services) -> dict[str, str]:
    client_id = services.clients.add("test", "system/*.cruds", secret="x" * 12)
    scopes = parse_scopes("system/*.rs system/ImagingStudy.c")
    token = services.database.write(lambda c: services.tokens.issue(c, client_id, scopes))
    return {"authorization": f"Bearer {token}"}


def instance(number: int = 1, *, study: str = "2.25.1", size: int = 100) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"2.25.9{number}"
    ds = pydicom.Dataset()
    ds.file_meta = meta
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"2.25.9{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, f"{study}.1"
    ds.PatientName, ds.PatientID = CANARY, CANARY
    ds.add_new((0x7FE0, 0x0010), "OW", b"\0" * size)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def multipart(*parts: bytes) -> tuple[bytes, dict[str, str]]:
    body = b"".join(b"--cut\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts)
    return body + b"--cut--\r\n", {"content-type": 'multipart/related; type="application/dicom"; boundary=cut'}


# ------------------------------------------------------------------------------------------- the whole way


def test_from_a_key_to_a_result(serve: Serve, services: Services) -> None:
    key = jwk.ECKey.generate_key("P-384", {"kid": "k"})
    client_id = services.clients.add("EMR", "system/*.read", jwks=json.dumps({"keys": [key.as_dict(private=False)]}))
    with serve() as http:
        smart = http.get("/fhir/R4/.well-known/smart-configuration").json()
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": smart["token_endpoint"],
            "jti": "1",
            "exp": time.time() + 60,
        }
        registry = jws.JWSRegistry(algorithms=["ES384"])
        assertion = jwt.encode({"alg": "ES384", "kid": "k"}, claims, key, registry=registry)
        form = {"grant_type": "client_credentials", "scope": "system/Observation.read"}
        form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

        token = http.post("/oauth/token", data=form).json()
        headers = {"authorization": f"Bearer {token['access_token']}"}
        read = http.get("/fhir/R4/Observation/o1", headers=headers)
        found = http.get("/fhir/R4/Observation?patient=OSL-A", headers=headers)
        other = http.get("/fhir/R4/Patient/OSL-A", headers=headers)
        services.clients.disable(client_id)
        after = http.get("/fhir/R4/Observation/o1", headers=headers)

    assert [r.status_code for r in (read, found, other, after)] == [200, 200, 403, 401]
    assert '"value":0.930' in read.text
    assert read.text in found.text
    events = [(e.event, e.agent, e.patient) for e in services.audit.search(limit=5)]  # type: ignore[attr-defined]
    assert events == [
        ("access-denied", "unknown", None),
        ("access-denied", client_id, None),
        ("resource-searched", client_id, "OSL-A"),
        ("resource-read", client_id, "OSL-A"),
        ("token-issued", client_id, None),
    ]


def test_head_has_the_headers_of_get_and_no_body(serve: Serve, bearer: dict[str, str]) -> None:
    with serve() as http:
        get = http.get("/fhir/R4/Observation/o1", headers=bearer)
        head = http.head("/fhir/R4/Observation/o1", headers=bearer)

    assert head.content == b""
    for name in ("content-type", "content-length", "etag", "last-modified"):
        assert head.headers[name] == get.headers[name]


# --------------------------------------------------------------------------------------------- fail closed


class Broken:
    """An audit log that cannot write."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def append(self, connection: Any, *records: Any) -> None:
        raise self._error

    def record(self, *records: Any) -> None:
        raise self._error


@pytest.mark.parametrize(
    "error", [StorageBusy("x"), StorageFull("x"), OSError(28, "x")], ids=lambda e: type(e).__name__
)
def test_nothing_is_answered_that_is_not_on_record(
    serve: Serve, services: Services, bearer: dict[str, str], error: Exception
) -> None:
    secret = {"grant_type": "client_credentials", "client_id": services.clients.list()[0].id, "client_secret": "x" * 12}
    with serve(audit=Broken(error)) as http:
        answers = [
            http.get("/fhir/R4/Observation/o1", headers=bearer),
            http.get("/fhir/R4/Patient/none", headers=bearer),
            http.get("/fhir/R4/Patient?_id=OSL-A", headers=bearer),
            http.get("/fhir/R4/Patient/OSL-A"),
            http.post("/oauth/token", data=secret),
            http.post("/oauth/token", data=secret | {"client_secret": "wrong"}),
        ]

    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert fhir.loads(answer.content)["issue"][0]["code"] == "transient"
        assert CANARY not in answer.text
        assert "0.930" not in answer.text
        assert "access_token" not in answer.text
    with serve() as http:
        assert http.get("/fhir/R4/Observation/o1", headers=bearer).status_code == 200


def test_a_fault_of_ours_lets_nothing_out(serve: Serve, bearer: dict[str, str]) -> None:
    with serve(audit=Broken(RuntimeError(CANARY))) as http, structlog.testing.capture_logs() as logs:
        answer = http.get("/fhir/R4/Observation/o1", headers=bearer)

    assert answer.status_code == 500
    assert fhir.loads(answer.content)["resourceType"] == "OperationOutcome"
    assert CANARY not in answer.text + str(logs)
    assert [line["error"] for line in logs if line["log_level"] == "error"] == ["RuntimeError"]


def test_a_damaged_resource_is_not_answered(serve: Serve, services: Services, bearer: dict[str, str]) -> None:
    services.database.write(lambda c: c.exec_driver_sql("UPDATE resource SET version = 7 WHERE type = 'Observation'"))
    with serve() as http:
        answer = http.get("/fhir/R4/Observation/o1", headers=bearer)

    assert answer.status_code == 500
    assert "0.930" not in answer.text


# ------------------------------------------------------------------------------------------------- STOW-RS


def test_instances_are_stored(serve: Serve, bearer: dict[str, str], filed: Filed) -> None:
    body, headers = multipart(instance(1), instance(2))
    with serve() as http:
        answer = http.post("/dicom-web/studies", content=body, headers=bearer | headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert "warning" not in answer.headers
    assert [r.content for r in filed.received] == [
        with_own_meta(c, read_identity(c)) for c in (instance(1), instance(2))
    ]
    assert {r.source.partition(":")[0] for r in filed.received} == {"stow"}
    document = answer.json()
    stored = document["00081199"]["Value"]
    assert [item["00081155"]["Value"] for item in stored] == [["2.25.91"], ["2.25.92"]]
    assert document["00081190"]["Value"] == ["http://hub.example/dicom-web/studies/2.25.1"]


def test_what_fails_is_named_beside_what_is_stored(serve: Serve, bearer: dict[str, str], filed: Filed) -> None:
    body, headers = multipart(instance(1), b"not DICOM", instance(2, study="2.25.2"))
    with serve() as http:
        answer = http.post("/dicom-web/studies/2.25.1", content=body, headers=bearer | headers)

    assert answer.status_code == 202
    assert answer.headers["warning"].startswith("299 osler")
    assert [r.identity.sop_instance_uid for r in filed.received] == ["2.25.91"]
    reasons = [item["00081197"]["Value"] for item in answer.json()["00081198"]["Value"]]
    assert len(reasons) == 2
    assert [0xA900] in reasons, "another study than the address names"


@pytest.mark.parametrize("error", [StorageFull("x"), StorageBusy("x"), PeerUnavailable("x")])
def test_what_cannot_be_kept_now_is_refused_with_the_status_to_try_again(
    serve: Serve, bearer: dict[str, str], filed: Filed, error: Exception
) -> None:
    filed.error = error
    body, headers = multipart(instance(1))
    with serve() as http:
        answer = http.post("/dicom-web/studies", content=body, headers=bearer | headers)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]


BODY, HEADERS = multipart(instance(1))
REFUSED = [
    ("no part", *multipart(), 400),
    ("another media type", b"{}", {"content-type": "application/dicom+json"}, 415),
    ("another type inside", BODY, {"content-type": 'multipart/related; type="image/png"; boundary=cut'}, 415),
    ("no media type", BODY, {}, 415),
    ("no boundary", BODY, {"content-type": "multipart/related"}, 400),
    ("cut off before the end of the first part", BODY[:200], HEADERS, 400),
    ("nothing that can be stored", *multipart(b"not DICOM"), 409),
    ("an answer that we do not write", BODY, HEADERS | {"accept": "application/dicom+xml"}, 406),
    ("larger than allowed", *multipart(instance(1, size=300_000)), 413),
]


@pytest.mark.parametrize(("rule", "body", "headers", "status"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_store_request_is_refused(
    serve: Serve, bearer: dict[str, str], filed: Filed, rule: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    with serve() as http:
        answer = http.post("/dicom-web/studies", content=body, headers=bearer | headers)

    assert answer.status_code == status, rule
    assert filed.received == []
    assert "CANARY" not in answer.text


def test_a_body_that_does_not_say_its_length_is_limited_too(serve: Serve, bearer: dict[str, str], filed: Filed) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield BODY[:-9]
        while sent < 50_000_000:
            sent += 65536
            yield b"\0" * 65536

    with serve() as http, contextlib.suppress(httpx.WriteError, httpx.ReadError):
        answer = http.post("/dicom-web/studies", content=endless(), headers=bearer | HEADERS)
        assert answer.status_code in (202, 413)

    assert sent < 20_000_000, "it stopped reading"


@pytest.mark.parametrize(
    ("scope", "status"), [("system/ImagingStudy.c", 200), ("system/*.write", 200), ("system/*.rs", 403), (None, 401)]
)
def test_storing_takes_the_right_to_create_imaging_studies(
    serve: Serve, services: Services, filed: Filed, scope: str | None, status: int
) -> None:
    headers = dict(HEADERS)
    if scope is not None:
        client_id = services.clients.add("modality", scope, secret="x" * 12)
        token = services.database.write(lambda c: services.tokens.issue(c, client_id, parse_scopes(scope)))
        headers["authorization"] = f"Bearer {token}"
    with serve() as http:
        assert http.post("/dicom-web/studies", content=BODY, headers=headers).status_code == status

    assert len(filed.received) == (1 if status == 200 else 0)


# ---------------------------------------------------------------------------------------------- operations


def test_health_says_what_is_not_well(serve: Serve) -> None:
    def full() -> None:
        raise StorageFull("the disk is below its watermark")

    with serve(checks={"database": lambda: None}) as http:
        live, ready = http.get("/health/live"), http.get("/health/ready")
    with serve(checks={"database": lambda: None, "blobs": full}) as http:
        still_live, unready = http.get("/health/live"), http.get("/health/ready")

    assert [r.status_code for r in (live, ready, still_live, unready)] == [200, 200, 200, 503]
    assert ready.json() == {"status": "ready", "checks": {"database": "ok"}}
    assert unready.json()["checks"] == {"database": "ok", "blobs": "the disk is below its watermark"}


def test_metrics_count_by_route_and_name_nobody(serve: Serve, services: Services, bearer: dict[str, str]) -> None:
    services.database.write(
        lambda c: c.exec_driver_sql(
            "INSERT INTO job (id, idempotency_key, study_uid, revision, model, priority, state, body, attempts,"
            " available_at, dead, created_at)"
            " VALUES ('j', 'k', '2.25.1', 1, 'm', 'HIGH', 'scheduled', '{}', 0, 0, 0, 1)"
        )
    )
    services.metrics.inferred("cxr@1", 1, 0, seconds=0.2)
    services.metrics.delivery("pacs", "delivered")
    with serve() as http:
        http.get("/fhir/R4/Observation/o1", headers=bearer)
        http.get("/fhir/R4/Patient?identifier=" + CANARY, headers=bearer)
        http.get("/no/such/" + CANARY)
        http.request("BREW", "/fhir/R4/Patient")
        answer = http.get("/metrics")

    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    requests = {tuple(s.labels.values()): s.value for s in families["osler_http_requests"].samples if "total" in s.name}
    assert requests[("GET", "/fhir/R4/{type}/{id}", "200")] == 1
    assert requests[("GET", "/fhir/R4/{type}", "200")] == 1
    assert requests[("GET", "none", "404")] == 1
    assert requests[("other", "/fhir/R4/{type}", "405")] == 1
    jobs = {tuple(sorted(s.labels.values())): s.value for s in families["osler_jobs"].samples}
    assert jobs == {("HIGH", "scheduled"): 1}
    assert families["osler_queue_age_seconds"].samples[0].value > 1
    assert families["osler_audit_entries"].samples[0].value >= 2
    assert CANARY not in answer.text
    assert "OSL-A" not in answer.text


def test_the_log_has_the_route_and_no_identity(serve: Serve, services: Services, bearer: dict[str, str]) -> None:
    with structlog.testing.capture_logs() as logs, serve() as http:  # a line may be written after its answer
        http.get("/fhir/R4/Observation/o1", headers=bearer)
        http.get(f"/fhir/R4/Patient/{CANARY}?identifier={CANARY}", headers=bearer | {"user-agent": CANARY})
        http.get(f"/{CANARY}")

    lines = [line for line in logs if line["event"] == "request"]
    assert [(x["route"], x["status"]) for x in lines] == [
        ("/fhir/R4/{type}/{id}", 200),
        ("/fhir/R4/{type}/{id}", 404),
        ("none", 404),
    ]
    assert lines[0]["client"] == services.clients.list()[0].id
    assert "CANARY" not in str(logs)
    assert "OSL-A" not in str(logs)
    assert bearer["authorization"].partition(" ")[2] not in str(logs)


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /fhir/R4/Patient HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["garbage", "a header too long", "a path too long", "a negative length"],
)
def test_what_is_not_http_is_refused_and_the_service_goes_on(serve: Serve, raw: bytes) -> None:
    with serve() as http:
        with socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=5) as peer:
            with contextlib.suppress(ConnectionError):
                peer.sendall(raw)
            with contextlib.suppress(ConnectionError):
                answer = peer.recv(4096)
                assert answer == b"" or answer.split(b" ")[1].startswith(b"4")
        assert http.get("/health/live").status_code == 200


def test_many_at_once_are_all_on_record(serve: Serve, services: Services, bearer: dict[str, str]) -> None:
    statuses: list[int] = []
    with serve() as http:

        def read() -> None:
            with httpx.Client(base_url=http.base_url, timeout=20) as own:
                statuses.extend(own.get("/fhir/R4/Observation/o1", headers=bearer).status_code for _ in range(5))

        threads = [threading.Thread(target=read) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [200] * 80
    audit: Any = services.audit
    assert len(audit.search(event="resource-read", patient="OSL-A", limit=100)) == 80
    assert audit.verify().ok
