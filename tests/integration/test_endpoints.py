"""Models that run elsewhere: asked over real sockets, of good servers and hostile ones."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from far_model import SIDE, endpoint, install_far
from inference_server import InferenceServer, Twist
from osler.audit import AuditRecord
from osler.config import Config, load
from osler.domain.events import Deidentified, DeidentifiedInstance, Job
from osler.domain.states import AgeBand, Priority
from osler.errors import ConfigError, ContractViolation, IntegrityError, OslerError, PeerUnavailable, ReplyRefused
from osler.hub.endpoints import Endpoints, agreements
from osler.infer.child import InferenceProcess, Start
from osler.infer.messages import Reading
from osler.infer.spool import Spool
from osler.metrics import Metrics
from osler.plugins import Card, Endpoint, Tensors
from osler.testing import studies
from osler.testing.models import FakeModel
from osler.testing.peers import free_ports
from tls_authority import Authority

STUDY = Deidentified(
    "2.25.1", 1, (DeidentifiedInstance("2.25.3", "2.25.2", "1.2", "b" * 64),), AgeBand.CHILD, Priority.MEDIUM
)
JOB = Job("job-1", "far@1.0.0", STUDY, 1, "w", 0.0)
IMAGES = np.linspace(0, 1, 2 * SIDE * SIDE, dtype=np.float32).reshape(2, SIDE, SIDE)


class Records:
    """What is put on record."""

    def __init__(self) -> None:
        self.entries: list[AuditRecord] = []

    def record(self, *records: AuditRecord) -> None:
        self.entries += records

    def named(self, event: str) -> list[AuditRecord]:
        return [one for one in self.entries if one.event == event]


class Site:
    """A hub's way to endpoints, and a model's card."""

    def __init__(self, config: Config, url: str, timeout_s: float) -> None:
        self.records = Records()
        self.metrics = Metrics()
        self.waits: list[float] = []
        self.ask = Endpoints(config, self.records, self.metrics, pause=self.waits.append)
        card = FakeModel("far", timeout_s=timeout_s).card
        self.card = Card(
            **{name: getattr(card, name) for name in card.__slots__}
            | {"endpoint": Endpoint.from_mapping(endpoint(url))}
        )

    def __call__(self, tensors: Tensors | None = None) -> Tensors:
        return self.ask(JOB, self.card, {"image": IMAGES} if tensors is None else tensors)


@pytest.fixture
def server() -> Iterator[InferenceServer]:
    made = InferenceServer()
    yield made
    made.close()


@pytest.fixture
def site(server: InferenceServer, tmp_path: Path) -> Site:
    return Site(config_of(tmp_path), server.url, 2.0)


def config_of(folder: Path, *hosts: str, **given: Any) -> Config:
    listed = list(hosts or ("localhost = BAA 2026-17",))
    return load({}, data_dir=folder, given={"models.endpoint_hosts": listed, **given})


def test_an_answer_comes_back_and_the_disclosure_is_on_record(site: Site, server: InferenceServer) -> None:
    found = site()

    assert np.allclose(found["probability"], IMAGES.mean(axis=(1, 2)), atol=1e-6)
    (question,) = server.questions
    assert question["path"] == "/v2/models/mean/versions/3/infer"
    assert question.keys() == {"id", "inputs", "outputs", "path"}
    (record,) = site.records.named("endpoint-asked")
    assert record.detail["agreement"] == "BAA 2026-17"
    assert record.detail["request"] == question["id"]
    assert record.entities == ("study:2.25.1", "job:job-1")
    assert "2.25." not in json.dumps(question)


def _changed(**changes: Any) -> Twist:
    return lambda answer: answer | changes


def _output(**changes: Any) -> Twist:
    return lambda answer: answer | {"outputs": [answer["outputs"][0] | changes]}


def _huge(_: Any) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % 2**20 + b" " * 2**20 + b"\r\n"
    for _ in range(200):
        yield chunk


ALARMS: dict[str, Twist] = {
    "an unknown id": _changed(id="f" * 32),
    "no id": lambda answer: {name: value for name, value in answer.items() if name != "id"},
    "another model": _changed(model_name="other"),
    "another version": _changed(model_version="4"),
    "no version": _changed(model_version=None),
    "no outputs": _changed(outputs=None),
    "another output": _output(name="secret"),
    "an output twice": lambda answer: answer | {"outputs": answer["outputs"] * 2},
    "another shape": _output(shape=[1], data=[0.5]),
    "another data type": _output(datatype="FP64"),
    "too few numbers": _output(data=[0.5]),
    "words for numbers": _output(data=["0.5", "0.5"]),
    "true for a number": _output(data=[True, 0.5]),
    "a number beyond FP32": _output(data=[1e300, 0.5]),
}


@pytest.mark.parametrize("twist", ALARMS.values(), ids=ALARMS.keys())
def test_an_answer_to_what_was_not_asked_is_refused_and_alarmed(
    site: Site, server: InferenceServer, twist: Twist
) -> None:
    server.twist = twist
    with pytest.raises(ReplyRefused):
        site()

    (alarm,) = site.records.named("reply-refused")
    assert alarm.outcome == 8
    assert len(server.questions) == 1, "it is not tried again"
    assert b'osler_refused_total{door="endpoint",error="reply"} 1.0' in site.metrics.render()


def test_the_answers_of_two_questions_that_are_swapped(site: Site, server: InferenceServer) -> None:
    site()
    first = server.questions[0]["id"]
    server.twist = _changed(id=first)
    with pytest.raises(ReplyRefused, match="another question"):
        site()
    assert len(site.records.named("reply-refused")) == 1


REFUSED: dict[str, tuple[Twist, str]] = {
    "NaN": (lambda a: json.dumps(a | {"x": float("nan")}).encode(), "no finite number"),
    "an infinity": (lambda a: json.dumps(a | {"x": float("inf")}).encode(), "no finite number"),
    "a redirect": (lambda a: 307, "redirect"),
    "a refusal": (lambda a: 400, "HTTP 400"),
    "a huge body": (_huge, "too long"),
}


@pytest.mark.parametrize(("twist", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_an_answer_that_is_none(site: Site, server: InferenceServer, twist: Twist, words: str) -> None:
    server.twist = twist
    with pytest.raises(ContractViolation, match=words):
        site()
    assert len(server.questions) == 1


def _slow(server: InferenceServer) -> Callable[[Any], Iterator[bytes]]:
    def drip(_: Any) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        while not server.stopping.wait(0.05):
            yield b"x: y\r\n"

    return drip


AGAIN: dict[str, Callable[[InferenceServer], Twist]] = {
    "500": lambda server: lambda a: 500,
    "429": lambda server: lambda a: 429,
    "cut off": lambda server: lambda a: json.dumps(a).encode()[:-9],
    "not JSON": lambda server: lambda a: b"<html>",
    "a list": lambda server: lambda a: b"[]",
    "closed": lambda server: lambda a: iter(()),
    "shorter than said": lambda server: lambda a: iter((b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",)),
    "drop by drop": _slow,
}


@pytest.mark.parametrize("misbehave", AGAIN.values(), ids=AGAIN.keys())
def test_what_may_be_better_later_is_tried_again_under_another_id(
    server: InferenceServer, tmp_path: Path, misbehave: Callable[[InferenceServer], Twist]
) -> None:
    site = Site(config_of(tmp_path), server.url, 0.5)
    server.twist = misbehave(server)
    began = time.monotonic()
    with pytest.raises(PeerUnavailable):
        site()

    assert time.monotonic() - began < 10
    assert len({one["id"] for one in server.questions}) == 3
    assert len(site.records.named("endpoint-asked")) == 3, "each is a disclosure"
    assert site.waits == [0.5, 1.0]
    server.twist = lambda answer: answer
    assert site()["probability"].shape == (2,)


def test_a_model_that_is_not_ready_is_not_asked(site: Site, server: InferenceServer) -> None:
    server.is_ready = False
    with pytest.raises(PeerUnavailable):
        site()
    assert server.questions == []
    assert site.records.entries == []


def test_a_model_of_another_form_than_the_card_says_is_not_asked(site: Site, server: InferenceServer) -> None:
    server.metadata["outputs"][0]["shape"] = [-1, 2]
    with pytest.raises(ContractViolation, match="other tensors"):
        site()
    assert server.questions == []


HOSTS = [
    ((), "http://hospital.example", "not an https address"),
    ((), "https://elsewhere.example", r"not in models\.endpoint_hosts"),
    (("10.0.0.0/8 = A",), "https://11.0.0.1", r"not in models\.endpoint_hosts"),
]


@pytest.mark.parametrize(("hosts", "url", "words"), HOSTS, ids=[row[1] for row in HOSTS])
def test_nothing_goes_to_a_host_without_an_agreement(
    tmp_path: Path, hosts: tuple[str, ...], url: str, words: str
) -> None:
    site = Site(config_of(tmp_path, *hosts), url, 1.0)
    with pytest.raises(ConfigError, match=words):
        site()
    assert site.records.entries == []


def test_a_host_is_listed_with_its_agreement(tmp_path: Path) -> None:
    assert agreements(config_of(tmp_path, "A.example = BAA 1", "10.0.0.0/8 = DPA 2")) == {
        "a.example": "BAA 1",
        "10.0.0.0/8": "DPA 2",
    }
    for wrong in ("a.example", "a.example =", "= BAA"):
        with pytest.raises(ConfigError, match="HOST = REFERENCE"):
            agreements(config_of(tmp_path, wrong))


QUESTIONS: dict[str, Tensors] = {
    "another tensor": {"picture": IMAGES},
    "another data type": {"image": IMAGES.astype(np.float64)},
    "another shape": {"image": IMAGES[:, :4]},
    "no case": {"image": IMAGES[:0]},
    "NaN": {"image": np.full_like(IMAGES, np.nan)},
}


@pytest.mark.parametrize("tensors", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_a_question_is_what_the_card_says_or_is_not_asked(
    site: Site, server: InferenceServer, tensors: Tensors
) -> None:
    with pytest.raises(ContractViolation):
        site(tensors)
    assert server.questions == []
    assert site.records.entries == []


def test_only_a_deidentified_study_may_be_asked_about(site: Site) -> None:
    with pytest.raises(IntegrityError):
        site.ask(Job("j", "far", object(), 1, "w", 0.0), site.card, {"image": IMAGES})  # type: ignore[arg-type]


def test_over_tls_the_server_must_be_who_it_says(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    server = InferenceServer(context)
    try:
        trusting = Site(config_of(tmp_path, **{"tls.authorities": str(authority.file)}), server.url, 5.0)
        assert trusting()["probability"].shape == (2,)
        with pytest.raises(PeerUnavailable):
            Site(config_of(tmp_path), server.url, 5.0)()
    finally:
        server.close()


# ------------------------------------------------------------------------------------------ from the sandbox


@pytest.fixture
def sandboxed(server: InferenceServer, tmp_path: Path) -> Iterator[tuple[InferenceProcess, Site, Reading]]:
    folder = install_far(tmp_path / "models", server.url)
    spool = Spool(tmp_path / "spool")
    study = studies.study(spool.study_folder("0"), studies.image("CR"), studies.image("CR"))
    with InferenceProcess(Start("far", folders=(str(folder),)), spool) as process:
        site = Site(config_of(tmp_path), server.url, 2.0)
        site.card = process.hello.card
        yield process, site, Reading("job-1", study)
    spool.close()


def test_a_model_in_its_sandbox_asks_and_has_no_other_way_out(
    sandboxed: tuple[InferenceProcess, Site, Reading], server: InferenceServer
) -> None:
    process, site, reading = sandboxed
    ticks: list[float] = []

    (answer,) = process.read([reading], tick=lambda: ticks.append(time.monotonic()), ask=site)

    assert not isinstance(answer.result, OslerError)
    probabilities = [f.probability for r in answer.result.results for f in r.findings]
    corner = studies.chest_pixels()[:SIDE, :SIDE].astype(np.float32) / 4095
    assert probabilities == pytest.approx([float(corner.mean())] * 2, abs=1e-5)
    assert [one["inputs"][0]["shape"][0] for one in server.questions] == [2], "as one batch"


def test_an_endpoint_that_is_away_costs_the_model_nothing(
    sandboxed: tuple[InferenceProcess, Site, Reading], server: InferenceServer
) -> None:
    process, site, reading = sandboxed
    server.is_ready = False
    with pytest.raises(PeerUnavailable):
        process.read([reading], ask=site)
    assert process.alive
    server.is_ready = True
    (answer,) = process.read([reading], ask=site)
    assert not isinstance(answer.result, OslerError)


def test_a_probability_above_one_is_no_finding(
    sandboxed: tuple[InferenceProcess, Site, Reading], server: InferenceServer
) -> None:
    process, site, reading = sandboxed
    server.twist = lambda answer: _output(data=[1.5] * answer["outputs"][0]["shape"][0])(answer)
    (answer,) = process.read([reading], ask=site)
    assert isinstance(answer.result, ContractViolation)


def test_without_leave_a_model_that_asks_is_stopped(sandboxed: tuple[InferenceProcess, Site, Reading]) -> None:
    process, _, reading = sandboxed
    with pytest.raises(ContractViolation, match="has none"):
        process.read([reading])
    assert not process.alive


# -------------------------------------------------------------------------------------------- a real server

RUNTIME = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

class Mean(MLModel):
    async def predict(self, payload):
        image = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        means = image.mean(axis=(1, 2)).astype(np.float32)
        output = NumpyCodec.encode_output("probability", means)
        output.shape = [len(means)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
"""


def test_mlserver_is_asked_as_the_protocol_says(need: Callable[..., str], tmp_path: Path) -> None:
    if sys.version_info >= (3, 13):
        pytest.skip("MLServer 1.7.1 needs Python below 3.13")
    program = need("mlserver")
    http_port, grpc_port, metrics_port = free_ports(3)
    spec = endpoint(f"http://localhost:{http_port}")
    forms = {
        side: [{"name": n, "datatype": s["dtype"], "shape": s["shape"]} for n, s in spec[side].items()]  # type: ignore[attr-defined]
        for side in ("inputs", "outputs")
    }
    settings = {"http_port": http_port, "grpc_port": grpc_port, "metrics_port": metrics_port, "parallel_workers": 0}
    model = {"name": "mean", "implementation": "mean_runtime.Mean", "parameters": {"version": "3"}, **forms}
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(settings | {"host": "127.0.0.1"}))
    (folder / "model-settings.json").write_text(json.dumps(model))
    (folder / "mean_runtime.py").write_text(RUNTIME)
    process = subprocess.Popen([program, "start", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://localhost:{http_port}/v2/models/mean/versions/3/ready", process)
        site = Site(config_of(tmp_path), f"http://localhost:{http_port}", 20.0)
        found = site()
        assert np.allclose(found["probability"], IMAGES.mean(axis=(1, 2)), atol=1e-6)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 90
    while True:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the server is not ready in 90 s"
            time.sleep(0.1)
