"""What an EMR and a data warehouse ask of a running hub: to be told of each report, and to have it all at once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from acceptance.running import RunningHub, eventually, radiograph
from subscriber import Receiver

SCOPE = "system/*.rs system/Subscription.cruds"


def test_an_emr_is_told_and_a_warehouse_exports(make_hub: Callable[..., RunningHub], tmp_path: Path) -> None:
    emr = Receiver()
    hub = make_hub('[subscription]\nhosts = ["127.0.0.1"]\n').start()
    hub.add_client(SCOPE)
    with httpx.Client(base_url=f"{hub.url}/fhir/R4/", headers=hub.authorize(SCOPE), timeout=30) as fhir:
        report = told_of_a_report(hub, fhir, emr, tmp_path)
        exported(hub, fhir, report)
    patient = report["subject"]["reference"].partition("/")[2]
    accessed = {entry["event"] for entry in hub.json("audit", "search", "--patient", patient)}
    assert {"subscriber-told", "patient-exported"} <= accessed
    assert "Doe" not in hub.log
    assert "s3cret" not in hub.log
    assert hub.stop() == 0
    assert hub.json("audit", "verify")["verified"] is True


def told_of_a_report(hub: RunningHub, fhir: httpx.Client, emr: Receiver, tmp_path: Path) -> dict[str, Any]:
    """Subscribe to reports, send a study, and return the report that the subscriber is sent."""
    wanted = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "reports",
        "criteria": "DiagnosticReport",
        "channel": {
            "type": "rest-hook",
            "endpoint": emr.url,
            "payload": "application/fhir+json",
            "header": ["Authorization: Bearer s3cret"],
        },
    }
    made = fhir.post("Subscription", content=json.dumps(wanted), headers={"content-type": "application/fhir+json"})
    assert made.status_code == 201, made.text
    radiograph(tmp_path / "study")
    hub.osler("send", str(tmp_path / "study"), "--to", f"127.0.0.1:{hub.dimse_port}")

    eventually(lambda: emr.got, f"the EMR is told\n{hub.log}")

    (_, path, headers, body) = emr.got[0]
    report: dict[str, Any] = json.loads(body)
    assert report["resourceType"] == "DiagnosticReport"
    assert path == f"/DiagnosticReport/{report['id']}"
    assert headers["authorization"] == "Bearer s3cret"
    emr.stop()
    return report


def exported(hub: RunningHub, fhir: httpx.Client, report: dict[str, Any]) -> None:
    """Export all patients, and look for the report; nothing is left behind."""
    begun = fhir.get("Patient/$export", headers={"prefer": "respond-async"})
    status = begun.headers["content-location"]
    manifest: dict[str, Any] = eventually(
        lambda: (answer := fhir.get(status)).status_code == 200 and answer.json(), f"the export is complete\n{hub.log}"
    )
    texts = [line for file in manifest["output"] for line in fhir.get(file["url"]).text.splitlines()]
    kept = list((hub.data_dir / "blobs" / "exports").rglob("*.ndjson"))
    fhir.delete(status)

    assert any(json.loads(text) == report for text in texts), "the very report that the EMR was told"
    assert kept
    assert all(b"Doe" not in file.read_bytes() for file in kept)
    eventually(lambda: not any(file.exists() for file in kept), "the files go when the client is done")
