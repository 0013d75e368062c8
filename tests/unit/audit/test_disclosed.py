"""What a publisher puts on record of a delivery: a disclosure when it left the hub."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.audit import HUB, AuditLog
from osler.audit.accounting import disclosures
from osler.domain.events import Delivery
from osler.hub.publishing import AuditWitness
from osler.metrics import Metrics
from osler.storage import Database


def entry(kind: str, destination: str, critical: bool = False) -> Any:
    inference = SimpleNamespace(critical=critical, study_instance_uid="2.25.7")
    recorded = SimpleNamespace(inference=inference, recorded_at=0.0)
    return SimpleNamespace(kind=kind, destination=destination, id="e1", recorded=recorded)


@pytest.mark.parametrize(
    ("kind", "destination", "critical", "event", "recipient"),
    [
        ("fhir", "", False, "result-published", None),
        ("sr", "pacs", False, "result-disclosed", ("pacs", "192.0.2.9:104")),
        ("alert", "pager", True, "alert-raised", ("pager", "https://pager.example/alert")),
        ("alert", "pager", False, "result-disclosed", ("pager", "https://pager.example/alert")),
        ("sr", "gone", False, "result-disclosed", ("gone", "")),
    ],
)
def test_a_delivery(
    database: Database,
    tmp_path: Path,
    kind: str,
    destination: str,
    critical: bool,
    event: str,
    recipient: tuple[str, str] | None,
) -> None:
    key = Ed25519PrivateKey.generate()
    log = AuditLog(database, signing_key=key, checkpoints=tmp_path / "checkpoints", address="https://hub.example")
    addresses = {"pacs": "192.0.2.9:104", "pager": "https://pager.example/alert"}
    witness = AuditWitness(log, Metrics(), HUB, addresses)
    delivery = Delivery(reference="sr:2.25.8")
    database.write(lambda c: witness.delivered(c, entry(kind, destination, critical), delivery, "P1"))

    (written,) = log.search()
    assert (written.event, written.patient) == (event, "P1")
    known = event == "result-disclosed" and recipient is not None and recipient[1]
    assert ("profile" in written.resource["meta"]) == bool(known)
    with database.read() as connection:
        found = [(one.party.name, one.address, one.event) for one in disclosures(connection, ["P1"])]
    assert found == ([(*recipient, event)] if recipient else [])
