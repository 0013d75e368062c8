"""The drill: back a working hub up, restore it elsewhere, and go on there."""

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acceptance.running import RunningHub, eventually, radiograph
from osler.testing.peers import free_ports

PASSPHRASE = "a passphrase for the drill"


def store(need: Callable[..., str], hub: RunningHub, path: Path) -> None:
    command = [need("storescu"), "-aec", "OSLER", "127.0.0.1", str(hub.dimse_port), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def reports(hub: RunningHub, number: str) -> list[dict[str, Any]]:
    patients = hub.fhir("Patient", identifier=number).get("entry", [])
    return [
        entry["resource"]
        for patient in patients
        for entry in hub.fhir("DiagnosticReport", patient=patient["resource"]["id"]).get("entry", [])
    ]


@pytest.fixture(params=["sqlite-folder", "postgresql-tar"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, str]:
    """Return where the backup goes, and the setting of the database here and there."""
    if request.param == "sqlite-folder":
        return tmp_path / "backup", "", ""
    request.getfixturevalue("need")("pg_dump", "pg_restore")
    new = request.getfixturevalue("new_postgresql")
    empty = request.getfixturevalue("new_empty_postgresql")
    setting = '[storage]\ndatabase = "{}"\n'
    return tmp_path / "backup.tar", setting.format(new()), setting.format(empty())


def test_a_hub_is_restored_from_a_backup_that_was_made_while_it_worked(
    make_hub: Callable[..., RunningHub], need: Callable[..., str], places: tuple[Path, str, str], tmp_path: Path
) -> None:
    need("storescu")
    place, here, there = places
    hub = make_hub(here).start()
    store(need, hub, radiograph(tmp_path / "before"))
    hub.settled(1)
    before = reports(hub, "MRN-0042")
    assert len(before) == 1
    stop = threading.Event()

    def work() -> None:
        for number in range(1000):
            if stop.is_set():
                return
            store(need, hub, radiograph(tmp_path / f"while{number}", PatientID=f"MRN-W{number}"))

    worker = threading.Thread(target=work)
    worker.start()
    sealed = tmp_path / "elsewhere" / "keys.sealed"
    sealed.parent.mkdir()
    try:
        taken = backup(hub, place, sealed)
    finally:
        stop.set()
        worker.join()
    assert taken["files"] > 3
    assert hub.stop() == 0
    assert hub.json("audit", "verify")["verified"] is True

    again = RunningHub(tmp_path / "again" / "data", *free_ports(2))
    again.data_dir.mkdir(parents=True)
    made = (hub.data_dir / "osler.toml").read_text(encoding="utf-8")
    (again.data_dir / "osler.toml").write_text(made.replace(here, there) if here else made, encoding="utf-8")
    wrong = ["restore", str(place), "--keys", str(sealed), "--passphrase-stdin"]
    again.osler(*wrong, stdin="not the passphrase\n", ok=(1,))
    done = again.osler(*wrong, "--json", stdin=f"{PASSPHRASE}\n")
    assert '"ok": true' in done
    assert '"trusted": true' in done
    assert '"opens": true' in done
    again.osler(*wrong, stdin=f"{PASSPHRASE}\n", ok=(2,))  # it is in use now

    again.start()
    try:
        assert reports(again, "MRN-0042") == before
        store(need, again, radiograph(tmp_path / "after", PatientID="MRN-0099"))
        eventually(lambda: reports(again, "MRN-0099"), "a study that arrives after the restoration is read")
        events = again.json("audit", "search", "--event", "backup-restored")
        assert len(events) == 1
        assert again.stop() == 0
        assert again.json("audit", "verify")["verified"] is True
    finally:
        again.kill()


def backup(hub: RunningHub, place: Path, sealed: Path) -> dict[str, Any]:
    words = hub.osler(
        "backup", str(place), "--keys-to", str(sealed), "--passphrase-stdin", "--json", stdin=f"{PASSPHRASE}\n"
    )
    found: dict[str, Any] = json.loads(words)
    return found
