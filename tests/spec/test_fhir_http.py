"""What HTTP itself asks of the FHIR side: compressed answers, other origins, methods, and what it claims of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fhir_server import FHIR_JSON, FhirServer
from osler.standards import fhir

APP = "https://app.example"


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("fhir")
    running = FhirServer(new_sqlite(folder / "osler.db"), folder, cors_origins=(APP,))
    yield running
    running.stop()


GZIP = [
    # rule, path, accept-encoding, whether it comes compressed
    ("a long answer", "/metadata", "gzip, deflate", True),
    ("not when it is not taken", "/metadata", "identity", False),
    ("a short answer", "/Patient/none", "gzip", False),
]


@pytest.mark.parametrize(("rule", "path", "accepted", "compressed"), GZIP, ids=[row[0] for row in GZIP])
def test_gzip(server: FhirServer, rule: str, path: str, accepted: str, compressed: bool) -> None:
    answer = server.call("GET", path, headers={"accept-encoding": accepted})

    assert (answer.headers.get("content-encoding") == "gzip") == compressed, rule
    assert fhir.loads(answer.content)["resourceType"]
    if compressed:
        assert "accept-encoding" in answer.headers["vary"].lower()
        assert int(answer.headers["content-length"]) < len(answer.content) / 4


def test_what_is_no_fhir_is_not_compressed(server: FhirServer) -> None:
    metrics = server.http.get("/metrics", headers={"accept-encoding": "gzip"})
    token = server.http.post("/oauth/token", data={"x": "y" * 3000}, headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in metrics.headers
    assert "content-encoding" not in token.headers


@pytest.mark.parametrize(
    "path",
    ["/fhir/R4/Patient/x", "/fhir/R4", "/fhir/R4/metadata/x", "/oauth/token", "/cds-services/osler-patient-view"],
)
def test_preflight(server: FhirServer, path: str) -> None:
    asked = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization,if-match,prefer"}

    ours = server.http.options(path, headers=asked | {"origin": APP})
    others = server.http.options(path, headers=asked | {"origin": "https://evil.example"})

    assert ours.status_code == 200
    assert ours.headers["access-control-allow-origin"] == APP
    assert "PUT" in ours.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in ours.headers
    assert others.status_code == 400
    assert "access-control-allow-origin" not in others.headers


def test_another_origin_reads_answers_and_refusals(server: FhirServer) -> None:
    for headers in ({}, {"authorization": ""}):
        answer = server.call("GET", "/Patient/none", headers=headers | {"origin": APP})
        assert answer.headers["access-control-allow-origin"] == APP
        assert {"ETag", "Location", "Content-Location"} <= set(
            answer.headers["access-control-expose-headers"].split(", ")
        )
    assert "access-control-allow-origin" not in server.call("GET", "/Patient/none", headers={"origin": "null"}).headers


def test_no_origin_may_call_unless_it_is_configured_or_registered(
    new_sqlite: Callable[[Path], str], tmp_path: Path
) -> None:
    server = FhirServer(new_sqlite(tmp_path / "osler.db"), tmp_path)
    try:
        answer = server.call("GET", "/Patient", headers={"origin": APP})
        assert "access-control-allow-origin" not in answer.headers
        server.services.clients.add("app", "patient/*.rs", public=True, redirect_uris=(f"{APP}/callback",))
        answer = server.call("GET", "/Patient", headers={"origin": APP})
        assert answer.headers["access-control-allow-origin"] == APP
    finally:
        server.stop()


@pytest.mark.parametrize("origin", ["https://stranger.example", APP, "null"])
@pytest.mark.parametrize(
    "path",
    [
        "/fhir/R4/metadata",
        "/fhir/R4/.well-known/smart-configuration",
        "/.well-known/openid-configuration",
        "/oauth/jwks",
        "/cds-services",
    ],
)
def test_what_is_open_to_everybody_is_open_to_pages_of_any_origin(server: FhirServer, path: str, origin: str) -> None:
    asked = {"origin": origin, "cookie": "session=1"}
    answer = server.http.get(path, headers=asked)
    preflight = server.http.options(path, headers=asked | {"access-control-request-method": "GET"})
    writing = server.http.options(path, headers=asked | {"access-control-request-method": "POST"})

    for one in (answer, preflight):
        assert one.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in one.headers
    assert (preflight.status_code, writing.status_code) == (200, 400)


METHODS = [
    # path, what Allow names
    ("/Patient", {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}),
    ("/Patient/x", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
    ("/Patient/x/_history", {"GET", "HEAD"}),
    ("/Patient/x/_history/1", {"GET", "HEAD"}),
    ("/metadata", {"GET", "HEAD"}),
    ("/Patient/_search", {"POST"}),
    ("", {"POST"}),
]


@pytest.mark.parametrize(("path", "allowed"), METHODS, ids=[row[0] or "base" for row in METHODS])
def test_a_method_that_is_not_offered_is_told_which_are(server: FhirServer, path: str, allowed: set[str]) -> None:
    answer = server.call("TRACE", path)

    assert answer.status_code == 405
    assert answer.headers["content-type"] == FHIR_JSON
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_the_capability_statement_names_the_security_and_the_bundles(server: FhirServer) -> None:
    statement = fhir.loads(server.call("GET", "/metadata").content)

    rest = statement["rest"][0]
    assert fhir.validate(statement) == []
    assert rest["security"]["cors"] is True
    uris = {e["url"]: e["valueUri"] for e in rest["security"]["extension"][0]["extension"]}
    assert uris["token"] == "http://hub.example/oauth/token"
    assert "authorize" not in uris, "nobody signs in here"
    assert [i["code"] for i in rest["interaction"]] == ["transaction", "batch"]
    assert statement["patchFormat"] == ["application/json-patch+json"]
    observation = next(r for r in rest["resource"] if r["type"] == "Observation")
    assert "Observation:subject" in observation["searchInclude"]
    assert "Provenance:target" in observation["searchRevInclude"]
    assert observation["referencePolicy"] == ["literal", "local", "enforced"]
