"""kill -9 at random moments under load: what was acknowledged has its result, once, and the audit holds.

One process of all roles on SQLite; :mod:`chaos` strikes a larger place in more ways. The long form:
``OSLER_TEST_KILLS=200 pytest tests/acceptance/test_kill.py``.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom

from acceptance.running import RunningHub, destination_pacs, destination_pager, eventually, radiograph
from osler.errors import OslerError
from osler.ingest.folder import Outcome, send
from osler.testing.peers import Pacs, Pager

KILLS = int(os.environ.get("OSLER_TEST_KILLS", "6"))
SEED = int(os.environ.get("OSLER_TEST_SEED", "20261124"))
LONGEST_WAIT_S = 2.5
MOST_AHEAD = 20


class Sender:
    """Sends new studies without end, at most so many ahead of the PACS, and remembers what was acknowledged."""

    def __init__(self, folder: Path, port: int, pacs: Pacs) -> None:
        self.acknowledged: set[str] = set()
        self.sent = 0
        self._folder = folder
        self._port = port
        self._pacs = pacs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender")
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if len(self.acknowledged) - len(set(self._pacs.received)) > MOST_AHEAD:
                self._stopping.wait(0.05)
                continue
            patient = f"MRN-{self.sent}"
            path = radiograph(self._folder, f"{self.sent}.dcm", PatientID=patient, AccessionNumber=f"A{self.sent}")
            self.sent += 1
            uid = str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
            try:
                report = send([path], address=("127.0.0.1", self._port))
            except OslerError:  # the hub is down
                self._stopping.wait(0.05)
                continue
            if report.files[0].outcome is Outcome.SENT:
                self.acknowledged.add(uid)


def model_processes(hub: RunningHub) -> Iterator[int]:
    """Yield the inference processes of a hub."""
    assert hub.process is not None
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if b"osler.infer.process" in command and parent == hub.process.pid:
            yield int(entry.name)


def test_nothing_acknowledged_is_lost_and_nothing_is_published_twice(
    make_hub: Callable[..., RunningHub], pacs: Pacs, pager: Pager, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    quick = "[publish]\nbackoff_s = 0.2\n[queue]\nlease_s = 2\nbackoff_s = 0.2\nmax_attempts = 50\n"
    quick += "[alert]\nescalate_s = 100000\n"  # a reminder of the long form would be a second message
    hub = make_hub(quick + destination_pacs(pacs.address, "PACS") + destination_pager(pager)).start()
    sender = Sender(tmp_path / "studies", hub.dimse_port, pacs)
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, LONGEST_WAIT_S))
            workers = list(model_processes(hub))
            if chance.random() < 0.3 and workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
            else:
                hub.kill()
                hub.start()
        wanted = len(sender.acknowledged) + 3
        eventually(lambda: len(sender.acknowledged) >= wanted, f"the hub takes studies again\n{hub.log}")
    finally:
        sender.stop()

    eventually(lambda: sender.acknowledged <= referenced(pacs), f"every acknowledged instance has its SR\n{hub.log}",
               within_s=120 + KILLS)  # fmt: skip
    deliveries = hub.settled(3 * len(sender.acknowledged))

    documents = list(pacs.folder.glob("*.dcm"))
    studies = {str(pydicom.dcmread(d).StudyInstanceUID) for d in documents}
    assert len(documents) == len(studies), "one SR for each study"
    keys = {m.headers["Idempotency-Key"] for m in pager.messages}
    assert len(keys) == len(documents), "one alert for each study"
    assert all(m.signed for m in pager.messages)
    assert len([d for d in deliveries if d["kind"] == "fhir"]) == len(documents)
    assert hub.fhir("DiagnosticReport")["total"] == len(documents)
    assert hub.fhir("Patient")["total"] == len(documents)
    assert {j["state"] for j in hub.json("queue", "list", "--limit", "100000")} == {"completed"}
    assert hub.stop() == 0
    assert hub.json("audit", "verify") == {
        "verified": True,
        "entries": hub.json("audit", "verify")["entries"],
        "problems": [],
    }


def referenced(pacs: Pacs) -> set[str]:
    """Return the source instances that the SRs in the PACS are about."""
    found = set()
    for path in pacs.folder.glob("*.dcm"):
        (evidence,) = pydicom.dcmread(path).CurrentRequestedProcedureEvidenceSequence
        for series in evidence.ReferencedSeriesSequence:
            found |= {str(i.ReferencedSOPInstanceUID) for i in series.ReferencedSOPSequence}
    return found
