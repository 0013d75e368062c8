"""What artificial intelligence asserted is confirmed by a person, keeps its label, and says who answers for it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from osler.api.smart.scopes import parse_scopes
from smart_flow import RESOURCES, SmartSite

AIAST = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}


def finding(logical_id: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "meta": {"security": [AIAST]},
        "status": "preliminary",
        "code": {"text": "pneumonia"},
        "subject": {"reference": "Patient/P1"},
    } | more


@pytest.fixture
def site(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[SmartSite]:
    resources = (*RESOURCES, finding("f1"), finding("f2", status="final"))
    made = SmartSite(new_sqlite(tmp_path / "osler.db"), tmp_path, resources=resources)
    yield made
    made.stop()


@pytest.fixture
def ann(site: SmartSite) -> dict[str, str]:
    """Return what an app sends in the name of Ann, a clinician."""
    app = site.app("launch/patient user/Observation.cruds user/Provenance.rs")
    return {"authorization": f"Bearer {site.tokens(app)['access_token']}"}


@pytest.fixture
def program(site: SmartSite) -> dict[str, str]:
    """Return what a program sends that acts for itself."""
    client_id = site.services.clients.add("feed", "system/*.cruds", secret="x" * 16)
    tokens, scopes = site.services.tokens, parse_scopes("system/*.cruds")
    return {"authorization": f"Bearer {site.database.write(lambda c: tokens.issue(c, client_id, scopes))}"}


def patch(site: SmartSite, who: dict[str, str], logical_id: str, *operations: dict[str, Any]) -> httpx.Response:
    headers = who | {"content-type": "application/json-patch+json"}
    return site.http.patch(f"/fhir/R4/Observation/{logical_id}", content=json.dumps(operations), headers=headers)


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


@pytest.mark.parametrize("status", ["final", "corrected", "entered-in-error"])
def test_a_person_confirms(site: SmartSite, ann: dict[str, str], status: str) -> None:
    assert patch(site, ann, "f1", replace("/status", status)).status_code == 200

    found = site.http.get("/fhir/R4/Provenance?target=Observation/f1", headers=ann).json()
    (provenance,) = (entry["resource"] for entry in found["entry"])
    assert provenance["activity"]["coding"][0]["code"] == "verify"
    assert provenance["agent"][0]["type"]["coding"][0]["code"] == "verifier"
    assert provenance["agent"][0]["who"] == {"display": "ann", "reference": "Practitioner/ann"}
    assert provenance["target"] == [{"reference": "Observation/f1/_history/2"}]
    assert provenance["entity"][0]["what"] == {"reference": "Observation/f1/_history/1"}
    held = site.http.get("/fhir/R4/Observation/f1", headers=ann).json()
    assert (held["status"], held["meta"]["security"]) == (status, [AIAST])
    (entry,) = site.audit.search(event="result-verified", limit=1)
    assert (entry.agent, entry.patient) == ("ann", "P1")


def test_a_program_cannot_confirm(site: SmartSite, program: dict[str, str]) -> None:
    assert patch(site, program, "f1", replace("/status", "final")).status_code == 403
    assert site.http.get("/fhir/R4/Observation/f1", headers=program).json()["status"] == "preliminary"


def test_a_note_is_no_confirmation(site: SmartSite, program: dict[str, str]) -> None:
    note = {"op": "add", "path": "/note", "value": [{"text": "seen by the feed"}]}

    assert patch(site, program, "f1", note).status_code == 200
    assert site.http.get("/fhir/R4/Provenance?target=Observation/f1", headers=program).json()["total"] == 0


@pytest.mark.parametrize("logical_id", ["f1", "f2"])
def test_the_label_stays(site: SmartSite, ann: dict[str, str], logical_id: str) -> None:
    refused = patch(site, ann, logical_id, {"op": "remove", "path": "/meta/security"})

    assert refused.status_code == 422
    assert "label" in refused.text


@pytest.mark.parametrize("logical_id", ["f1", "f2"])
def test_the_patient_stays(site: SmartSite, ann: dict[str, str], logical_id: str) -> None:
    for operation in (replace("/subject/reference", "Patient/P2"), {"op": "remove", "path": "/subject"}):
        assert patch(site, ann, logical_id, operation).status_code == 422
    assert site.http.get(f"/fhir/R4/Observation/{logical_id}", headers=ann).json()["meta"]["versionId"] == "1"
