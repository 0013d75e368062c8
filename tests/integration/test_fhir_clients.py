"""FHIR clients of others go their round: npm's ``fhir-kit-client`` and PyPI's ``fhirpy``."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from osler.api.smart.scopes import parse_scopes
from osler.testing.peers import free_ports
from smart_flow import SmartSite

SECRET = "a secret of the client"


@pytest.fixture
def site(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[SmartSite]:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    url = new_sqlite(tmp_path / "osler.db")
    site = SmartSite(url, tmp_path, resources=(), base_url=f"http://{address}", address=address)
    yield site
    site.stop()


def test_fhir_kit_client(site: SmartSite, need: Callable[..., str], need_peer: Callable[[str], Path]) -> None:
    node, peers = need("node"), need_peer("fhir-kit-client")
    client_id = site.services.clients.add("kit", "system/*.cruds", secret=SECRET)
    base = site.services.fhir_base

    options = json.dumps({"base": base, "clientId": client_id, "secret": SECRET})
    done = subprocess.run([node, "kit_round.mjs", options], cwd=peers, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == {
        "tokenUrl": f"{site.services.base_url}/oauth/token",
        "fhirVersion": "4.0.1",
        "anonymous": 401,
        "created": ["1", 201],
        "read": "Kestrel",
        "updated": ["2", "other"],
        "patched": ["3", "1980-04-06", 2],
        "vread": "female",
        "conditional": [True, True, "4"],
        "transaction": ["transaction-response", ["201"] * 5],
        "batch": ["200", "404", "200"],
        "batchSearch": 2,
        "pages": 3,
        "dates": ["2026-03-05", "2026-03-04", "2026-03-03", "2026-03-02", "2026-03-01"],
        "resolved": "2026-03-01",
        "included": ["match", "include"],
        "posted": 5,
        "history": ["history", ["4", "3", "2", "1"]],
        "typeHistory": ["history", 5],
        "validated": True,
        "everything": 6,
        "refused": 400,
        "gone": 410,
    }
    events = {entry.event for entry in site.audit.search(limit=100)}
    assert {"token-issued", "access-denied", "resource-created", "resource-updated", "resource-deleted"} <= events, (
        events
    )


def test_fhirpy(site: SmartSite) -> None:
    fhirpy = pytest.importorskip("fhirpy")
    client_id = site.services.clients.add("fhirpy", "system/*.cruds", secret=SECRET)
    issue = site.services.tokens.issue
    token = site.database.write(lambda c: issue(c, client_id, parse_scopes("system/*.cruds")))
    client: Any = fhirpy.SyncFHIRClient(site.services.fhir_base, authorization=f"Bearer {token}")

    patient = client.resource("Patient", name=[{"family": "Pye", "given": ["Ian"]}], active=True)
    patient.create()
    assert patient["meta"]["versionId"] == "1"
    for number in range(1, 6):
        client.resource(
            "Observation",
            status="final",
            code={"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
            subject=patient.to_reference(),
            effectiveDateTime=f"2026-03-0{number}",
        ).save()
    patient["gender"] = "male"
    patient.save()
    patient.refresh()
    assert (patient["meta"]["versionId"], patient["gender"]) == ("2", "male")

    observations = client.resources("Observation").search(patient=patient.id).sort("-date").limit(2)
    assert [one["effectiveDateTime"][-1] for one in observations.fetch()] == ["5", "4"]
    assert len(observations.fetch_all()) == 5
    assert observations.count() == 5
    assert client.resources("Observation").search(date__ge="2026-03-04").count() == 2
    with_patient = client.resources("Observation").search(date="2026-03-01").include("Observation", "subject")
    assert {entry["resource"]["resourceType"] for entry in with_patient.fetch_raw()["entry"]} == {
        "Observation",
        "Patient",
    }
    assert client.resources("Patient").search(name="pye").first().id == patient.id
    assert client.resource("Patient", gender="male").is_valid()
    assert not client.resource("Patient", gender="no such code").is_valid()
    with pytest.raises(fhirpy.base.exceptions.OperationOutcome):
        client.resource("Observation", status="final").create()
    found = client.resources("Observation").first()
    found.delete()
    with pytest.raises(fhirpy.base.exceptions.ResourceNotFound):
        client.reference("Observation", found.id).to_resource()
