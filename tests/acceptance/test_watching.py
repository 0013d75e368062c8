"""Those who run a hub see what it does: one trace through two processes, gauges, and the view at the terminal."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from acceptance.running import RunningHub, destination_pacs, environment, eventually, radiograph
from osler.ingest.folder import send
from osler.testing.peers import Pacs
from otlp_collector import Collector

MakeHub = Callable[..., RunningHub]
CANARIES = {
    "PatientName": "Zyxwcanary^Quilla",
    "PatientID": "CANARY-7351",
    "AccessionNumber": "ACCCANARY9",
    "PatientBirthDate": "19730517",
    "InstitutionName": "Canaryhouse Clinic",
    "ReferringPhysicianName": "Mcanaryson^Ugo",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.77777777",
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


def test_one_trace_goes_from_the_modality_to_the_pacs_through_a_worker_of_its_own(
    make_hub: MakeHub, pacs: Pacs, collector: Collector, tmp_path: Path
) -> None:
    settings = f'[otel]\nendpoint = "{collector.url}"\n[worker]\nprocesses = 1\n'
    hub = make_hub(settings + destination_pacs(pacs.address, "PACS"))
    hub.start("--roles", "dimse,http,deidentifier,publisher")
    worker = hub.spawn("worker")
    try:
        send([radiograph(tmp_path / "study", **CANARIES)], address=("127.0.0.1", hub.dimse_port))
        hub.settled(2)
    finally:
        worker.terminate()
        assert worker.wait(30) == 0
    metrics = httpx.get(f"{hub.url}/metrics").text
    hub.stop()

    spans = [span for span, _ in collector.spans()]
    assert {span.trace_id for span in spans} == {spans[0].trace_id}, "one study, one trace"
    assert sorted(s.name for s in spans) == ["deidentify", "infer", "ingest", "publish", "publish", "queue", "record"]
    (root,) = [span for span in spans if span.name == "ingest"]
    assert root.parent_span_id == b""
    assert all(span.parent_span_id == root.span_id for span in spans if span is not root)
    processes = {span.name: process["service.instance.id"] for span, process in collector.spans()}
    assert processes["infer"] != processes["record"] == processes["ingest"]
    order = sorted(spans, key=lambda s: s.start_time_unix_nano)
    assert [s.name for s in order][:4] == ["ingest", "deidentify", "queue", "infer"]

    everything = b"".join(collector.bodies) + metrics.encode()
    for canary in CANARIES.values():
        assert canary.encode() not in everything
    assert not re.search(rb"2\.25\.\d{10}|OSL-[0-9A-Z]", everything), "nor pseudonyms"
    for name in ("osler_step_seconds_count", "osler_queue_wait_seconds_count", "osler_delivery_seconds_count"):
        assert name in metrics
    assert "osler_audit_lag_seconds" in metrics
    assert "osler_disk_free_bytes" in metrics


def screen(hub: RunningHub, *args: str, until: bytes, times: int) -> str:
    """Run a command on a terminal until it has drawn some words so many times, end it by Ctrl-C; return all it drew."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (50, 160))
    command = [sys.executable, "-m", "osler", *args, "--data-dir", str(hub.data_dir)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment())
    os.close(theirs)
    drawn = b""
    with contextlib.suppress(OSError), open(ours, "rb", buffering=0) as terminal:  # Linux: EIO when all have left
        while part := terminal.read(65536):
            drawn += part
            if drawn.count(until) >= times:
                process.send_signal(signal.SIGINT)
                times = sys.maxsize
    assert process.wait(30) == 0
    return drawn.decode()


def test_the_view_at_the_terminal_and_the_watch_of_a_model(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub().start()
    send([radiograph(tmp_path / "study", Manufacturer="SIEMENS")], address=("127.0.0.1", hub.dimse_port))
    hub.settled(1)
    seen = hub.json("top")
    assert seen["jobs"] == [{"state": "completed", "priority": "MEDIUM", "jobs": 1}]
    assert seen["models"][0]["model"] == "fake@1.0.0"
    assert seen["models"][0]["last_hour"] == 1
    assert seen["dead"] == seen["quarantined"] == 0
    assert seen["audit"]["entries"] > 5
    assert seen["disk"]["free"] > 0
    eventually(lambda: hub.json("top")["workers"], "the worker has said that it is there")
    drawn = hub.osler("top", "--once")
    for words in ("fake@1.0.0", "deliveries", "audit:", "disk", "workers"):
        assert words in drawn

    live = screen(hub, "top", "--every", "0.2", until=b"Osler ", times=3)
    assert "fake@1.0.0" in live
    assert "\x1b[?1049l" in live, "the terminal is as it was before"

    (watched,) = hub.json("models", "drift", "fake")
    assert (watched["model"], watched["cases"], watched["reference"], watched["alarms"]) == ("fake@1.0.0", 1, 1, [])
    assert hub.json("models", "feedback", "fake", "--rolling") == []
    (watched,) = hub.json("models", "drift", "fake", "--new-reference")
    assert (watched["cases"], watched["reference"]) == (1, 0)
    assert len(hub.json("audit", "search", "--event", "drift-reference-set")) == 1
    assert hub.osler("models", "drift", "no-such-model", ok=(1,)) == ""
