"""Who saw a patient, and what of the patient left the hub (45 CFR 164.528), as a privacy officer asks."""

import csv
import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from osler.api.people.roles import Role
from osler.api.people.store import UserStore
from osler.api.smart.clients import ClientStore
from osler.audit import Agent, AuditLog, AuditRecord, read_signing_key
from osler.cli import main
from osler.config import load
from osler.hub.opening import create_data_dir, open_stores, signing_key_file
from osler.storage.orders import merge

PASSWORD = "three quiet green lamps"
DAY = 86400.0
FIRST = 1_767_225_600.0  # 2026-01-01T00:00:00Z
ANN = Agent("ann", "person", "192.0.2.1", via="app-1")
BOB = Agent("bob", "person", "192.0.2.2")
HUB = Agent("osler", "system")
PACS = Agent("pacs", "peer", "192.0.2.9:104")


def records(client: str) -> list[AuditRecord]:
    """Return one record a day, from the first of January 2026 on."""
    bulk = Agent(client, "client", "192.0.2.5")
    one = ("Observation/o1/_history/1",)
    return [
        AuditRecord("resource-read", agent=ANN, patient="P1", entities=one),
        AuditRecord("resource-searched", agent=ANN, patient="P1", entities=one),
        AuditRecord("resource-read", agent=BOB, patient="P2", entities=("Condition/c1/_history/1",)),
        AuditRecord("resource-read", agent=bulk, patient="P1", entities=one),
        AuditRecord("resource-searched", agent=bulk, patient="P1", entities=(*one, "Condition/c1/_history/2")),
        AuditRecord("resource-created", agent=bulk, patient="P1", entities=one),
        AuditRecord("result-disclosed", agent=HUB, patient="P1", entities=("study:2.25.1", "sr:x"), recipient=PACS),
        AuditRecord("result-disclosed", agent=HUB, patient="P1", entities=("study:2.25.1", "sr:y"), recipient=PACS),
        AuditRecord("result-published", agent=HUB, patient="P1", entities=("study:2.25.1",)),
        AuditRecord("patient-exported", agent=HUB, patient="P0", entities=("export:e1",), recipient=bulk),
        # What showed nobody anything:
        AuditRecord("resource-read", agent=Agent("eve", "person"), outcome=4, patient="P1"),
        AuditRecord("access-granted", agent=Agent("eve", "person"), patient="P1"),
        AuditRecord("message-received", agent=Agent("ADT", "peer"), patient="P1"),
        AuditRecord("resource-read", agent=Agent("eve", "person", via="app-1"), patient="P9", entities=one),
        AuditRecord("inference-recorded", agent=HUB, patient="P1"),
    ]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub where P0 and P2 were merged into P1."""
    folder = tmp_path_factory.mktemp("accounting") / "data"
    create_data_dir(load({}, data_dir=folder), {})
    with open_stores(load({}, data_dir=folder), {}) as stores:
        client = ClientStore(stores.database).add("=Registry", "system/*.rs", secret="x" * 12)
        days = iter(FIRST + n * DAY for n in range(100))
        log = AuditLog(
            stores.database,
            signing_key=read_signing_key(signing_key_file(folder)),
            checkpoints=folder / "audit" / "checkpoints.jsonl",
            clock=lambda: next(days),
            address="https://hub.example",
        )
        for record in records(client):
            log.record(record)
        stores.database.write(lambda c: merge(c, "P0", "P2", now=FIRST))
        stores.database.write(lambda c: merge(c, "P2", "P1", now=FIRST))
        for logical_id, numbers in (("P1", ["M,1", "7"]), ("P9", ["7"])):
            patient = {
                "resourceType": "Patient",
                "id": logical_id,
                "identifier": [{"system": f"urn:{logical_id}", "value": number} for number in numbers],
            }
            stores.database.write(lambda c, patient=patient: stores.resources.put(c, patient))
        users = UserStore(stores.database)
        for name, role in (("pia", Role.PRIVACY_OFFICER), ("adam", Role.ADMINISTRATOR), ("cleo", Role.CLINICIAN)):
            users.add(name, role, PASSWORD)
    return folder


Osler = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def osler(data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Osler:
    """Run a command; return its exit code and what it printed, JSON when there is any."""

    def run(*args: str, stdin: str = "", environ: dict[str, str] | None = None) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(["audit", *args, "--data-dir", str(data_dir)], environ or {"USER": "root"})
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.startswith("{") else out, err

    return run


def latest(data_dir: Path, count: int = 1) -> list[Any]:
    with open_stores(load({}, data_dir=data_dir), {}) as stores:
        return stores.audit.search(limit=count)


@pytest.mark.parametrize("name", ["P1", "P0", "P2", "M,1", "urn:P1|M,1", "urn:P1|7"])
def test_who_saw_a_patient_by_any_name(osler: Osler, name: str) -> None:
    code, document, _ = osler("who", name, "--json")
    assert code == 0
    assert document["patients"] == ["P1", "P0", "P2"]
    seen = {(row["who"].partition(" (")[0], row["kind"], row["via"]): row for row in document["who"]}
    assert set(seen) == {
        ("ann", "person", "app-1"),
        ("bob", "person", ""),
        ("=Registry", "client", ""),
        ("pacs", "peer", ""),
    }
    ann = seen["ann", "person", "app-1"]
    assert (ann["count"], ann["events"]) == (2, {"resource-read": 1, "resource-searched": 1})
    assert (ann["first"], ann["last"]) == ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
    assert seen["=Registry", "client", ""]["count"] == 4, "with the export under the first name"
    assert [row["last"] for row in document["who"]] == sorted((r["last"] for r in document["who"]), reverse=True)


def test_who_in_a_time(osler: Osler) -> None:
    _, document, _ = osler("who", "P1", "--since", "2026-01-02", "--until", "2026-01-04T00:00:00Z", "--json")
    assert {row["who"]: row["count"] for row in document["who"]} == {"ann": 1, "bob": 1}


def test_who_for_a_person_to_read(osler: Osler) -> None:
    code, out, _ = osler("who", "P1")
    assert code == 0
    assert out.splitlines()[0] == "patient P1, P0, P2"
    assert "resource-read 1, resource-searched 1" in out


def test_disclosures(osler: Osler) -> None:
    code, document, _ = osler("disclosures", "P1", "--json")
    assert code == 0
    rows = [
        (r["who"].partition(" (")[0], r["event"], r["count"], r["first"][:10], r["last"][:10], r["what"], r["address"])
        for r in document["disclosures"]
    ]
    assert rows == [
        ("=Registry", "resource-read", 1, "2026-01-04", "2026-01-04", {"Observation": 1}, "192.0.2.5"),
        (
            "=Registry",
            "resource-searched",
            1,
            "2026-01-05",
            "2026-01-05",
            {"Observation": 1, "Condition": 1},
            "192.0.2.5",
        ),
        ("pacs", "result-disclosed", 2, "2026-01-07", "2026-01-08", {"study": 2, "sr": 2}, "192.0.2.9:104"),
        ("=Registry", "patient-exported", 1, "2026-01-10", "2026-01-10", {"export": 1}, "192.0.2.5"),
    ]
    assert all(len(r["purpose"]) > 10 for r in document["disclosures"])
    assert document["since"] is not None


def test_disclosures_reach_back_six_years_when_nothing_is_said(osler: Osler) -> None:
    _, document, _ = osler("disclosures", "P1", "--json")
    assert datetime.now(UTC).year - int(document["since"][:4]) == 6
    _, document, _ = osler("disclosures", "P1", "--since", "2026-01-06", "--json")
    assert [r["event"] for r in document["disclosures"]] == ["result-disclosed", "patient-exported"]


def test_disclosures_as_csv_hold_no_formula(osler: Osler) -> None:
    code, out, _ = osler("disclosures", "P1", "--csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 4
    assert rows[0]["who"].startswith("'=Registry"), "a spreadsheet shows it as text"
    assert rows[2]["what"] == "sr 2, study 2"
    assert osler("disclosures", "P1", "--csv", "--json")[0] == 2


@pytest.mark.parametrize(
    ("command", "event", "count"), [("who", "audit-searched", 3), ("disclosures", "disclosures-listed", 3)]
)
def test_the_question_is_on_record_for_each_name(
    osler: Osler, data_dir: Path, command: str, event: str, count: int
) -> None:
    osler(command, "P1", "--json", "--as", "pia", "--password-stdin", stdin=f"{PASSWORD}\n")
    entries = latest(data_dir, count)
    assert {(e.event, e.agent, e.patient) for e in entries} == {(event, "pia", p) for p in ("P1", "P0", "P2")}


@pytest.mark.parametrize("name", ["nobody", "urn:P9|M,1"])
def test_a_patient_who_is_not_there(osler: Osler, data_dir: Path, name: str) -> None:
    code, _, err = osler("who", name)
    assert (code, "no patient" in err) == (1, True)
    assert name not in err
    (entry,) = latest(data_dir)
    assert (entry.event, entry.outcome) == ("audit-searched", 4)
    assert name not in json.dumps(entry.resource)


def test_a_number_of_two_patients_says_so(osler: Osler) -> None:
    code, _, err = osler("disclosures", "7")
    assert (code, "several patients" in err) == (1, True)


@pytest.mark.parametrize("name", ["adam", "cleo"])
@pytest.mark.parametrize("command", ["who", "disclosures"])
def test_other_roles_are_refused(osler: Osler, data_dir: Path, command: str, name: str) -> None:
    code, out, err = osler(command, "P1", "--as", name, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert code != 0
    assert out == ""
    assert "privacy-officer" in err
    (entry,) = latest(data_dir)
    assert (entry.event, entry.agent, entry.outcome) == ("access-denied", name, 8)


def test_a_wrong_password_is_refused(osler: Osler) -> None:
    code, out, _ = osler("who", "P1", "--as", "pia", "--password-stdin", stdin="wrong\n")
    assert (code != 0, out) == (True, "")


def test_where_one_must_sign_in_the_account_of_the_system_is_not_enough(osler: Osler) -> None:
    code, out, _ = osler("who", "P1", environ={"USER": "root", "OSLER_ACCESS_SIGN_IN": "true"})
    assert (code != 0, out) == (True, "")
