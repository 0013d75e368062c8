"""The whole flow with blobs in a bucket."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from acceptance.running import RunningHub, eventually, radiograph

if TYPE_CHECKING:
    from s3_peer import S3Server


def store(need: Callable[..., str], hub: RunningHub, path: Path) -> bool:
    """Send a file with dcmtk; tell whether it was acknowledged."""
    command = [need("storescu"), "-aec", "OSLER", "127.0.0.1", str(hub.dimse_port), str(path)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    return done.returncode == 0


def test_a_study_goes_through_a_bucket_and_none_is_acknowledged_without_it(
    make_hub: Callable[..., RunningHub], need: Callable[..., str], s3_server: "S3Server", tmp_path: Path
) -> None:
    need("storescu")
    hub = make_hub("[storage]\n" + s3_server.settings()).start()
    checks = {check["name"]: check for check in hub.json("doctor")}
    assert checks["blobs"] == {"name": "blobs", "state": "ok", "words": "s3://osler/hub takes, gives and removes"}
    assert store(need, hub, radiograph(tmp_path / "first"))
    hub.settled(1)

    s3_server.kill()
    second = radiograph(tmp_path / "second", PatientID="MRN-0043")
    try:
        assert not store(need, hub, second)
    finally:
        s3_server.start()
    eventually(lambda: store(need, hub, second), "the second study is taken again")
    hub.settled(2)

    for number in ("MRN-0042", "MRN-0043"):
        (patient,) = hub.fhir("Patient", identifier=number)["entry"]
        assert hub.fhir("DiagnosticReport", patient=patient["resource"]["id"])["entry"]
    assert not [path for path in (hub.data_dir / "blobs").rglob("*") if path.is_file()]
    assert hub.stop() == 0
    assert hub.json("audit", "verify")["verified"] is True
