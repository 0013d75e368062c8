"""An edge against hubs that are away for days, have no room for it, or answer what they were not asked."""

import contextlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from acceptance.running import radiograph
from osler.config import Config, load
from osler.domain.codes import Code
from osler.domain.events import Deidentified, Received
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.domain.inference_json import to_json
from osler.errors import ConfigError, DeliveryRefused, PeerUnavailable
from osler.hub.edge import Edge, open_link
from osler.hub.opening import create_data_dir, open_stores
from osler.hub.publishing import make_publisher
from osler.metrics import Metrics
from osler.pipeline import Pipeline, Runtime
from osler.publish.hub_link import HubLink
from osler.standards.dicom import read_identity
from osler.storage import edge_outbox as outbox
from osler.storage.edge_outbox import State
from osler.storage.tables import audit_event, inference
from osler.stores import Stores
from osler.testing import studies

LIGHT = ModelVersion("light", "1.0.0", "a" * 64, "1")
HEAVY = ModelVersion("heavy", "2.0.0", "b" * 64, "1")
DAY_S = 86400.0


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class ScriptedHub:
    """A hub that does as it is told, on a real socket."""

    has: dict[str, bytes] = field(default_factory=dict)
    offers: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False
    results: Callable[[str], Any] = lambda study: {"study_instance_uid": study, "open": 1, "results": []}
    status: int = 200
    calls: int = 0
    broken: str = "none"

    def start(self) -> "ScriptedHub":
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


class _Handler(BaseHTTPRequestHandler):
    hub: ScriptedHub

    def do_POST(self) -> None:
        self._drain()
        self._say(200, {"access_token": "t", "token_type": "bearer"})

    def do_PUT(self) -> None:
        content, parts = self._drain(), self.path.split("/")
        if self.hub.status != 200:
            self._say(self.hub.status, {})
        elif self.hub.broken in parts:
            self._say(500, {})
        elif "instances" in parts:
            self.hub.has[parts[-1]] = content
            self._say(200, {})
        else:
            offer = json.loads(content)
            self.hub.offers.append(offer)
            self._say(200, {"missing": [row[0] for row in offer["instances"] if row[0] not in self.hub.has]})

    def do_GET(self) -> None:
        found = self.hub.results(self.path.rpartition("/")[2])
        if isinstance(found, bytes):
            self._send(200, found)
        else:
            self._say(*((found, {}) if isinstance(found, int) else (200, found)))

    def _drain(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _say(self, status: int, document: Any) -> None:
        self._send(status, json.dumps(document).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.hub.calls += 1
        if self.hub.away:
            status, content = 503, b""
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        if 300 <= status < 400:
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@dataclass
class Site:
    """An edge without its threads: each step is taken by the test."""

    stores: Stores
    config: Config
    pipeline: Pipeline
    edge: Edge
    hub: ScriptedHub
    clock: Clock
    metrics: Metrics
    folder: Path

    def receive(self, number: int, **elements: Any) -> None:
        """Take a study in, and bring it to the queue."""
        path = radiograph(self.folder, f"{number}.dcm", PatientID=f"MRN-{number}", **elements)
        self.pipeline.accept(received(path, at=self.clock()))
        self.clock.now += 5
        self.pipeline.complete()
        assert self.pipeline.deidentify()

    def read_here(self) -> None:
        """Have the light model read all that waits."""
        for job in self.stores.queue.claim("w", models=["light@1.0.0"], limit=100, now=self.clock()):
            assert self.pipeline.record(job, said(job.study, LIGHT), {})

    def states(self) -> dict[str, int]:
        with self.stores.database.read() as connection:
            return {state: n for state, n in outbox.counts(connection).items() if n}

    def used(self) -> int:
        with self.stores.database.read() as connection:
            return outbox.used_bytes(connection)

    def results(self, model: ModelVersion) -> int:
        with self.stores.database.read() as connection:
            query = select(func.count()).where(inference.c.model == str(model))
            return int(connection.execute(query).scalar_one())

    def audited(self, event: str) -> int:
        with self.stores.database.read() as connection:
            query = select(func.count()).where(audit_event.c.kind == event)
            return int(connection.execute(query).scalar_one())

    def settle(self, times: int = 20) -> None:
        for _ in range(times):
            if not self.edge.step():
                return


def received(path: Path, *, at: float) -> Received:
    content = path.read_bytes()
    return Received(read_identity(content), content, "folder", at)


def said(study: Deidentified, model: ModelVersion) -> Inference:
    """What a model says of each instance of a study."""
    finding = Finding("opacity", Code("112033", "DCM", "Abnormal opacity"), 0.9, 0.5, critical=True)
    results = tuple(CaseResult(i.series_instance_uid, (i.sop_instance_uid,), (finding,)) for i in study.instances)
    return Inference(study.study_instance_uid, model, results)


def answer(study: Deidentified, *, waiting: int = 0, revision: int = 0, **changes: Any) -> dict[str, Any]:
    body = to_json(said(study, HEAVY)) | changes
    results = [{"revision": revision or study.revision, "inference": body}]
    return {"study_instance_uid": study.study_instance_uid, "open": waiting, "results": results}


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that was just made, to be copied."""
    folder = tmp_path_factory.mktemp("new") / "data"
    create_data_dir(load({}, data_dir=folder), {})
    return folder


@pytest.fixture
def make_site(tmp_path: Path, new_folder: Path) -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as stack:

        def make(max_spool_mb: int = 100) -> Site:
            hub = ScriptedHub().start()
            stack.callback(hub.server.server_close)
            stack.callback(hub.server.shutdown)
            data_dir = tmp_path / "edge"
            shutil.copytree(new_folder, data_dir)
            secret = data_dir / "hub.secret"
            secret.touch(0o600)
            secret.write_text("a secret")
            given = {"edge.hub": hub.url, "edge.client_id": "clinic", "edge.secret_file": "hub.secret"}
            config = load({}, data_dir=data_dir, given={**given, "edge.max_spool_mb": max_spool_mb})
            stores = stack.enter_context(open_stores(config, {}))
            clock, metrics = Clock(), Metrics()
            publisher = make_publisher(stores, config, metrics=metrics, owner="p")
            runtime = Runtime("w", metrics, clock=clock)
            pipeline = Pipeline(stores, config, models=["light@1.0.0"], publisher=publisher, runtime=runtime)
            link = open_link(config)
            stack.callback(link.close)
            edge = Edge(stores, config, link, metrics=metrics, clock=clock)
            return Site(stores, config, pipeline, edge, hub, clock, metrics, tmp_path / "images")

        yield make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


def waiting_study(site: Site, state: State = State.FORWARDED) -> Deidentified:
    with site.stores.database.read() as connection:
        return outbox.first(connection, state)[0].study


def test_a_study_goes_to_the_hub_and_its_result_comes_back_once(site: Site) -> None:
    site.receive(1)
    site.settle()
    study = waiting_study(site)
    site.hub.results = lambda uid: answer(study, waiting=1)
    for _ in range(3):
        site.clock.now += 30
        site.settle()
    assert site.results(HEAVY) == 1
    site.hub.results = lambda uid: answer(study)
    site.clock.now += 30
    site.settle()

    assert site.states() == {"answered": 1}
    assert site.results(HEAVY) == 1
    assert list(site.hub.has) == [one.sop_instance_uid for one in study.instances]
    assert b"MRN" not in b"".join(site.hub.has.values())
    assert site.audited("study-forwarded") == 1


def test_five_days_without_a_hub(site: Site) -> None:
    site.hub.away = True
    for number in range(5):
        site.receive(number)
        site.settle()
        site.read_here()
        until = site.clock.now + DAY_S
        before = site.hub.calls
        while site.clock.now < until:
            site.clock.now += 300
            site.edge.step()
        assert site.hub.calls - before < 160, "the waits grow to ten minutes"
    assert site.states() == {"waiting": 5}
    assert site.results(LIGHT) == 5, "the light model reads all the while"

    site.hub.away = False
    site.clock.now += 601
    site.settle()

    assert site.states() == {"forwarded": 5}
    assert len(site.hub.has) == 5


def test_what_the_hub_has_is_not_sent_again(site: Site) -> None:
    site.receive(1)
    with site.stores.database.read() as connection:
        study = outbox.first(connection, State.NEW)[0].study
    (one,) = study.instances
    site.hub.has[one.sop_instance_uid] = b"had it before"

    site.settle()

    assert site.states() == {"forwarded": 1}
    assert site.hub.has[one.sop_instance_uid] == b"had it before"


def test_a_later_revision_takes_the_place_of_one_that_waits(site: Site) -> None:
    site.hub.away = True
    uid = "1.2.826.0.1.3680043.8.498.77"
    site.receive(1, StudyInstanceUID=uid)
    site.settle()
    site.pipeline.accept(received(again(site, uid), at=site.clock()))
    site.clock.now += 5
    site.pipeline.complete()
    assert site.pipeline.deidentify()

    assert site.states() == {"new": 1, "superseded": 1}
    site.hub.away = False
    site.clock.now += 600
    site.settle()
    assert len(site.hub.has) == 2
    assert [offer["revision"] for offer in site.hub.offers] == [2, 2]


def again(site: Site, uid: str) -> Path:
    return radiograph(site.folder, "again.dcm", PatientID="MRN-1", StudyInstanceUID=uid)


def test_when_nothing_was_forwarded_a_full_spool_takes_nothing_more_and_says_so(make_site: Callable[..., Site]) -> None:
    site = make_site(max_spool_mb=1)
    site.hub.away = True
    for number in range(3):
        large(site, number)
        site.settle()
        site.read_here()

    assert site.states() == {"waiting": 2, "skipped": 1}
    site.clock.now += 30
    site.edge.step()
    assert site.used() <= 1_000_000, "what was skipped goes once it is read"
    assert site.results(LIGHT) == 3, "local triage goes on"
    assert site.audited("study-not-forwarded") == 1
    assert b'osler_edge_studies{state="skipped"} 1.0' in site.metrics.render()


def test_the_oldest_that_was_forwarded_goes_first_and_is_made_anew_when_more_of_it_comes(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(max_spool_mb=1)
    for number in range(4):
        large(site, number)
        site.read_here()
        site.settle()
    assert site.states() == {"forwarded": 4}
    assert site.used() <= 1_000_000
    assert len(site.hub.has) == 4
    assert site.audited("study-not-forwarded") == 0

    site.pipeline.accept(received(again(site, "1.2.826.0.1.3680043.8.498.0"), at=site.clock()))
    site.clock.now += 5
    site.pipeline.complete()
    assert site.pipeline.deidentify()
    with site.stores.database.read() as connection:
        study = outbox.first(connection, State.NEW)[0].study
    assert study.revision == 2
    assert all(site.stores.deidentified.exists(one.blob) for one in study.instances)
    assert len(study.instances) == 2


def large(site: Site, number: int) -> None:
    """Take in a study of almost half a megabyte."""
    pixels = (studies.chest_pixels(500, 480) // 2 + 2000).astype(np.uint16)
    elements = {"PatientID": "MRN-1", "StudyInstanceUID": f"1.2.826.0.1.3680043.8.498.{number}"}
    given = {"IssuerOfPatientID": "HOSPITAL", "PatientName": "Doe^Jane", "PatientIdentityRemoved": None}
    content = studies.part10(studies.image("CR", pixels=pixels, **(given | elements)))
    path = site.folder / f"large{number}.dcm"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    site.pipeline.accept(received(path, at=site.clock()))
    site.clock.now += 5
    site.pipeline.complete()
    assert site.pipeline.deidentify()


OTHER = "2.25.340282366920938463463374607431768211455"
WRONG: dict[str, Callable[[Deidentified], Any]] = {
    "another study": lambda s: answer(s) | {"study_instance_uid": OTHER},
    "a result of another study": lambda s: answer(s, study_instance_uid=OTHER),
    "an instance of another site": lambda s: answer(s, results=[swapped(s, sop=OTHER)]),
    "a series of another site": lambda s: answer(s, results=[swapped(s, series=OTHER)]),
    "a refusal of another series": lambda s: answer(s, refusals=[{"series_instance_uid": OTHER, "reason": "x"}]),
    "a revision that was not sent": lambda s: answer(s, revision=7),
    "a probability above one": lambda s: answer(s, results=[swapped(s, probability=1.5)]),
    "no result": lambda s: {"study_instance_uid": s.study_instance_uid, "open": 0, "results": [3]},
}


def swapped(study: Deidentified, *, sop: str = "", series: str = "", probability: float = 0.9) -> dict[str, Any]:
    (result,) = to_json(said(study, HEAVY))["results"]
    result["findings"][0]["probability"] = probability
    named = {"sop_instance_uids": [sop] if sop else result["sop_instance_uids"]}
    return dict(result) | named | ({"series_instance_uid": series} if series else {})


@pytest.mark.parametrize("reply", WRONG.values(), ids=WRONG.keys())
def test_an_answer_that_is_of_somebody_else_is_refused_and_alarmed(
    site: Site, reply: Callable[[Deidentified], Any]
) -> None:
    site.receive(1)
    site.hub.results = lambda uid: {"study_instance_uid": uid, "open": 1, "results": []}
    site.settle()
    study = waiting_study(site)
    site.hub.results = lambda uid: reply(study)
    site.clock.now += 30
    site.settle()

    assert site.states() == {"refused": 1}
    assert site.results(HEAVY) == 0
    assert site.audited("reply-refused") == 1
    assert b'osler_refused_total{door="edge",error="reply"} 1.0' in site.metrics.render()


@pytest.mark.parametrize("reply", [b'{"study_instance_uid": "2.2', b"", 500, 302, 429], ids=str)
def test_an_answer_that_is_none_is_asked_for_again(site: Site, reply: bytes | int) -> None:
    site.receive(1)
    site.settle()
    study = waiting_study(site)
    site.hub.results = lambda uid: reply
    site.clock.now += 30
    site.settle()
    assert site.states() == {"forwarded": 1}
    site.hub.results = lambda uid: answer(study)
    site.clock.now += 601
    site.settle()
    assert site.states() == {"answered": 1}
    assert site.audited("reply-refused") == 0


def test_a_study_that_the_hub_stumbles_over_holds_up_no_other(site: Site) -> None:
    for number in (1, 2):
        site.receive(number)
    site.hub.away = True
    site.settle()
    site.hub.away = False
    stumbled = waiting_study(site, State.WAITING)
    (one,) = stumbled.instances
    site.hub.broken = one.sop_instance_uid
    site.clock.now += 601
    for _ in range(4):
        site.settle()
        site.clock.now += 30

    assert site.states() == {"waiting": 1, "forwarded": 1}
    assert waiting_study(site, State.WAITING) == stumbled


def test_a_hub_that_lost_a_study_gets_it_again(site: Site) -> None:
    site.receive(1)
    site.settle()
    study = waiting_study(site)
    site.hub.has.clear()
    site.hub.results = lambda uid: 404 if not site.hub.has else answer(study)
    site.clock.now += 30
    site.settle()
    site.clock.now += 30
    site.settle()

    assert site.states() == {"answered": 1}
    assert len(site.hub.has) == 1


def test_a_study_that_the_hub_does_not_want_waits_for_a_person(site: Site) -> None:
    site.hub.status = 422
    site.receive(1)
    site.settle()
    assert site.states() == {"refused": 1}
    assert site.audited("study-not-forwarded") == 1


def test_a_hub_with_a_heatmap_that_is_none_is_refused(site: Site) -> None:
    site.receive(1)
    site.settle()
    study = waiting_study(site)
    ref = "c" * 64
    with_heatmap = answer(study)
    with_heatmap["results"][0]["inference"]["results"][0]["heatmap"] = ref
    site.hub.results = lambda name: b"not a PNG" if name == ref else with_heatmap
    site.clock.now += 30
    site.settle()
    assert site.states() == {"refused": 1}


def test_the_address_of_a_hub_is_https(tmp_path: Path) -> None:
    for url in ("http://hub.example", "ftp://hub.example", "https://", "https://hub.example/?x=1"):
        with pytest.raises(ConfigError, match=r"edge\.hub must be an https address"):
            HubLink(url, tls=lambda: None, client_id="x", secret="y")  # type: ignore[arg-type,return-value]


def test_the_errors_of_a_line_say_what_to_do_next(site: Site) -> None:
    link = open_link(site.config)
    site.receive(1)
    with site.stores.database.read() as connection:
        study = outbox.first(connection, State.NEW)[0].study
    site.hub.status = 422
    with pytest.raises(DeliveryRefused, match="HTTP 422"):
        link.offer(study)
    site.hub.status = 302
    with pytest.raises(PeerUnavailable, match="HTTP 302"):
        link.offer(study)
    link.close()


def test_a_study_that_was_skipped_is_forwarded_after_all_when_a_person_says_so(make_site: Callable[..., Site]) -> None:
    site = make_site(max_spool_mb=1)
    site.hub.away = True
    for number in range(3):
        large(site, number)
        site.settle()
        site.read_here()
    site.hub.away = False
    site.clock.now += 600
    site.settle()
    assert site.states() == {"forwarded": 2, "skipped": 1}
    large(site, 7)  # its files need the room of all that may go
    site.settle()
    large(site, 8)
    site.settle()
    study_uid = waiting_study(site, State.SKIPPED).study_instance_uid
    with site.stores.database.read() as connection:
        skipped = outbox.find(connection, study_uid)
    assert skipped is not None

    retried = site.stores.database.write(lambda c: outbox.again(c, study_uid, now=site.clock()))
    assert retried
    if not skipped.kept:
        assert site.pipeline.deidentify(), "its files are made anew"
    site.read_here()
    site.settle()
    site.clock.now += 600
    site.settle()

    with site.stores.database.read() as connection:
        found = outbox.find(connection, study_uid)
    assert found is not None
    assert found.state is State.FORWARDED
