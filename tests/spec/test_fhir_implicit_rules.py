"""Rules that a server does not understand make a resource that it cannot take (R4 2.25.0.2, Resource.implicitRules)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server import FhirServer

RULES = "http://rules.example/inverted"


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("fhir")
    running = FhirServer(new_sqlite(folder / "osler.db"), folder)
    yield running
    running.stop()


RULED: list[dict[str, Any]] = [
    {"implicitRules": RULES},
    {"_implicitRules": {"extension": [{"url": "urn:x", "valueCode": "y"}]}},
    {"contained": [{"resourceType": "Organization", "id": "o", "name": "x", "implicitRules": RULES}],
     "managingOrganization": {"reference": "#o"}},
]  # fmt: skip


@pytest.mark.parametrize("more", RULED, ids=["its own", "without a value", "of what it contains"])
def test_a_write_is_refused(server: FhirServer, more: dict[str, Any]) -> None:
    sent = {"resourceType": "Patient", **more}

    for answer in (
        server.call("POST", "/Patient", sent),
        server.call("PUT", "/Patient/ruled", sent | {"id": "ruled"}),
    ):
        assert answer.status_code == 400, answer.text
        (issue,) = answer.json()["issue"]
        assert issue["code"] == "not-supported"
        assert issue["expression"][0].endswith("implicitRules")
        assert RULES not in answer.text
    assert server.call("GET", "/Patient/ruled").status_code == 404


def test_a_patch_that_brings_them_is_refused(server: FhirServer) -> None:
    reference = server.create({"resourceType": "Patient"})
    patch = [{"op": "add", "path": "/implicitRules", "value": RULES}]

    answer = server.call("PATCH", f"/{reference}", patch, {"content-type": "application/json-patch+json"})

    assert answer.status_code == 422
    assert "implicitRules" not in server.call("GET", f"/{reference}").json()


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_an_entry_is_refused(server: FhirServer, kind: str) -> None:
    entries = [
        {
            "resource": {"resourceType": "Patient", "implicitRules": RULES},
            "request": {"method": "POST", "url": "Patient"},
        }
    ]
    answer = server.call("POST", "", {"resourceType": "Bundle", "type": kind, "entry": entries})

    if kind == "transaction":
        assert answer.status_code == 400
    else:
        assert answer.json()["entry"][0]["response"]["status"].startswith("400")


def test_rules_of_the_bundle_itself_are_refused(server: FhirServer) -> None:
    sent = {"resourceType": "Bundle", "type": "batch", "implicitRules": RULES}
    assert server.call("POST", "", sent).status_code == 400
