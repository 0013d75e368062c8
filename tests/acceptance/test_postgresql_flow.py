"""The whole flow on PostgreSQL, and a server that is killed while it works."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance.running import RunningHub, eventually, radiograph
from postgresql_peer import PostgresqlServer

RECOVERY_S = 30.0


@pytest.fixture
def server(need: Callable[..., str]) -> Iterator[PostgresqlServer]:
    made = PostgresqlServer(need("initdb"), need("postgres")).start()
    yield made
    made.remove()


def store(need: Callable[..., str], hub: RunningHub, path: Path) -> bool:
    """Send a file with dcmtk; tell whether it was acknowledged."""
    command = [need("storescu"), "-aec", "OSLER", "127.0.0.1", str(hub.dimse_port), str(path)]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0


def test_a_database_that_is_killed_and_comes_back_loses_nothing(
    make_hub: Callable[..., RunningHub], need: Callable[..., str], server: PostgresqlServer, tmp_path: Path
) -> None:
    need("storescu")
    hub = make_hub(f'[storage]\ndatabase = "{server.url()}"\n').start()
    acknowledged = 0
    for number in range(3):
        acknowledged += store(need, hub, radiograph(tmp_path / str(number), PatientID=f"MRN-{number}"))
    server.kill()
    late = radiograph(tmp_path / "late", PatientID="MRN-LATE")
    taken = store(need, hub, late)
    server.start()
    back_at = time.monotonic()
    if not taken:
        eventually(lambda: store(need, hub, late), "studies are taken again", within_s=RECOVERY_S)
    assert acknowledged == 3
    hub.settled(4)
    assert time.monotonic() - back_at < 2 * RECOVERY_S
    for number in ("MRN-0", "MRN-1", "MRN-2", "MRN-LATE"):
        (patient,) = hub.fhir("Patient", identifier=number)["entry"]
        (report,) = hub.fhir("DiagnosticReport", patient=patient["resource"]["id"])["entry"]
        assert report["resource"]["status"] == "preliminary"
    assert hub.process is not None
    assert hub.process.poll() is None
    assert hub.stop() == 0
    assert hub.json("audit", "verify")["verified"] is True
