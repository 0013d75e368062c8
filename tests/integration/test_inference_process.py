"""The inference process with real processes: what a model may do wrong, and what comes of it."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from osler.domain.findings import Inference
from osler.errors import (
    ConfigError,
    ContractViolation,
    IntegrityError,
    PluginError,
    PluginTimeout,
    Transient,
)
from osler.infer.child import Answer, InferenceProcess, Start
from osler.infer.messages import Reading
from osler.infer.spool import Spool
from osler.testing import studies
from osler.testing.models import install

PLUGINS = Path(__file__).parent / "plugins"
MISBEHAVING = (
    *("not-a-number", "infinite", "silent", "inventive", "own-threshold", "not-a-number-heatmap", "hanging"),
    *("crashing", "exiting", "raising", "refusing", "doubting", "printing", "hungry", "slow", "leaves-out"),
    *("loads-badly", "other-weights", "changes-its-card", "crashing-batch", "raising-batch", "batch-hanging"),
    *("swarming", "filling"),
)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for source in PLUGINS.glob("*.py"):
        shutil.copy(source, folder)
    entries = {name: f"misbehaving:make_{name.replace('-', '_')}" for name in MISBEHAVING}
    entries |= {"fake": "osler.testing.models:fake", "onnx-sigmoid": "onnx_model:onnx_sigmoid"}
    return install(folder, {**entries, "absent": "no_such_module:model", "not-a-model": "os:getcwd"})


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


@pytest.fixture
def open_model(models: Path, spool: Spool) -> Iterator[Callable[..., InferenceProcess]]:
    with contextlib.ExitStack() as stack:

        def _open(name: str, **settings: object) -> InferenceProcess:
            return stack.enter_context(InferenceProcess(Start(name, folders=(str(models),), **settings), spool))

        yield _open


def reading(spool: Spool, job_id: str = "job", *, rows: int = 64) -> Reading:
    image = studies.image(pixels=studies.chest_pixels(rows=rows))
    return Reading(job_id, studies.study(spool.study_folder(job_id), image))


def one(answers: list[Answer]) -> Answer:
    (answer,) = answers
    return answer


def test_a_study_is_read(open_model, spool):
    process = open_model("fake")
    asked = reading(spool)
    answer = one(process.read([asked]))
    inference = answer.result
    assert isinstance(inference, Inference)
    assert inference.study_instance_uid == asked.study.study_instance_uid
    assert inference.model == process.hello.card.model_version
    (result,) = inference.results
    assert result.sop_instance_uids == (asked.study.instances[0].sop_instance_uid,)
    assert 0.5 < result.findings[0].probability < 0.65
    assert set(inference.seconds) == {"select", "predict"}
    (heatmap,) = answer.heatmaps.values()
    assert result.heatmap == hashlib.sha256(heatmap).hexdigest()
    assert heatmap.startswith(b"\x89PNG")


def test_a_study_that_is_refused_is_an_answer(open_model, spool):
    process = open_model("fake")
    study = studies.study(spool.study_folder("job"), studies.image(Modality="CT"), studies.image())
    inference = one(process.read([Reading("job", study)])).result
    assert isinstance(inference, Inference)
    assert [r.reason for r in inference.refusals] == ["not a radiograph"]
    assert [r.series_instance_uid for r in inference.results] == [study.instances[1].series_instance_uid]


def test_a_damaged_image_is_refused(open_model, spool):
    study = studies.study(spool.study_folder("job"), studies.image(PixelData=b"\0" * 8))
    inference = one(open_model("fake").read([Reading("job", study)])).result
    assert [r.reason for r in inference.refusals] == ["the pixel data cannot be decoded"]


def test_onnx_runtime_works_in_the_sandbox(open_model, spool):
    process = open_model("onnx-sigmoid", threads=2, memory_mb=2048)
    assert process.hello.sandbox.complete
    assert 0.5 < one(process.read([reading(spool)])).result.results[0].findings[0].probability < 1.0


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("not-a-number", "is not a number in [0, 1]"),
        ("infinite", "score is not a finite number"),
        ("silent", "finding 'opacity' is missing"),
        ("inventive", "not among the card's outputs"),
        ("own-threshold", "another code, threshold or urgency"),
        ("not-a-number-heatmap", "outside [0, 1]"),
    ],
)
def test_a_broken_contract_fails_the_job_and_not_the_process(open_model, spool, model, words):
    process = open_model(model)
    answer = one(process.read([reading(spool, rows=13)]))
    assert isinstance(answer.result, ContractViolation)
    assert words in str(answer.result)
    assert isinstance(one(process.read([reading(spool)])).result, Inference)


def test_a_study_that_select_leaves_out_breaks_the_contract(open_model, spool):
    answer = one(open_model("leaves-out").read([reading(spool)]))
    assert isinstance(answer.result, ContractViolation)


def test_an_exception_is_told_by_its_place_and_never_by_its_words(open_model, spool):
    process = open_model("raising")
    error = one(process.read([reading(spool, rows=13)])).result
    assert type(error) is PluginError
    assert str(error).startswith("predict: ValueError at misbehaving.py:")
    assert "OSL" not in str(error)
    assert isinstance(one(process.read([reading(spool)])).result, Inference)


def test_a_refusal_by_predict_is_a_refusal_of_its_series(open_model, spool):
    asked = reading(spool, rows=13)
    inference = one(open_model("refusing").read([asked])).result
    assert [(r.series_instance_uid, r.reason) for r in inference.refusals] == [
        (asked.study.instances[0].series_instance_uid, "the lungs are cut off")
    ]


def test_a_long_reason_is_cut(open_model, spool):
    inference = one(open_model("doubting").read([reading(spool, rows=13)])).result
    assert len(inference.refusals[0].reason) == 200


def test_a_model_that_hangs_is_stopped(open_model, spool):
    process = open_model("hanging")
    began = time.monotonic()
    with pytest.raises(PluginTimeout):
        process.read([reading(spool, rows=13)])
    assert time.monotonic() - began < 10
    assert not process.alive


@pytest.mark.parametrize(("model", "how"), [("crashing", "signal 6"), ("exiting", "code 3")])
def test_a_model_that_ends_its_process(open_model, spool, model, how):
    process = open_model(model)
    with pytest.raises(PluginError, match=how):
        process.read([reading(spool, rows=13)])
    assert not process.alive


def test_what_a_model_prints_does_not_reach_the_conversation(open_model, spool, capfd):
    answer = one(open_model("printing").read([reading(spool, rows=13)]))
    assert isinstance(answer.result, Inference)
    assert "a model that talks" not in capfd.readouterr().out


def test_a_model_that_wants_all_memory_fails_alone(open_model, spool):
    process = open_model("hungry")
    error = one(process.read([reading(spool, rows=13)])).result
    assert "MemoryError" in str(error)
    assert isinstance(one(process.read([reading(spool)])).result, Inference)


@pytest.mark.skipif(os.geteuid() != 0, reason="for an ordinary user the system itself limits the threads")
def test_a_model_that_floods_the_machine_with_threads_is_stopped(open_model, spool):
    process = open_model("swarming")
    with pytest.raises(PluginError, match="too many threads"):
        process.read([reading(spool, rows=13)])
    assert not process.alive


def test_a_model_that_fills_the_disk_is_stopped(open_model, spool):
    process = open_model("filling")
    with pytest.raises(PluginError, match="filled its spool"):
        process.read([reading(spool, rows=13)])
    assert not process.alive


def test_an_answer_in_the_name_of_another_model_is_not_believed(open_model, spool):
    process = open_model("changes-its-card")
    with pytest.raises(ContractViolation, match="another model"):
        process.read([reading(spool)])
    assert not process.alive


def test_several_jobs_are_read_together(open_model, spool):
    readings = [reading(spool, f"job{n}", rows=20 + n) for n in range(6)]
    answers = open_model("raising-batch").read(readings)
    assert [answer.job_id for answer in answers] == [r.job_id for r in readings]
    assert all(isinstance(answer.result, Inference) for answer in answers)


def test_a_case_that_fails_does_not_fail_its_batch(open_model, spool):
    readings = [reading(spool, "a"), reading(spool, "bad", rows=13), reading(spool, "c")]
    results = [answer.result for answer in open_model("raising-batch").read(readings)]
    assert [isinstance(result, Inference) for result in results] == [True, False, True]


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ("nothing", ConfigError, "there is no model 'nothing'"),
        ("fake@2.0.0", ConfigError, "is installed in version 1.0.0, not 2.0.0"),
        ("absent", PluginError, "cannot be imported: ModuleNotFoundError"),
        ("not-a-model", PluginError, "does not make a model"),
        ("loads-badly", PluginError, "load: OSError at misbehaving.py"),
        ("other-weights", IntegrityError, "are not those of its card"),
    ],
)
def test_a_model_that_cannot_be_loaded(open_model, model, error, words):
    with pytest.raises(error) as raised:
        open_model(model)
    assert type(raised.value) is error
    assert words in str(raised.value)


@pytest.mark.parametrize("reference", ["fake", "fake@1.0.0", "fake@champion"])
def test_a_model_is_found_by_name_version_and_alias(open_model, reference):
    assert str(open_model(reference).hello.card.model_version) == "fake@1.0.0"


def test_the_tick_may_end_the_wait(open_model, spool):
    process = open_model("slow")

    def tick() -> None:
        raise Transient("the worker was stopped")

    with pytest.raises(Transient):
        process.read([reading(spool, rows=13)], tick=tick)
    assert not process.alive


def test_the_process_ends_with_its_parent(models, tmp_path):
    """A hub that is killed leaves no orphan behind, though the model never looks at its pipe."""
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from osler.infer.child import InferenceProcess, Start
        from osler.infer.messages import Reading
        from osler.infer.spool import Spool
        from osler.testing import studies

        spool = Spool(Path({str(tmp_path)!r}) / "spool")
        process = InferenceProcess(Start("slow", folders=({str(models)!r},)), spool)
        image = studies.image(pixels=studies.chest_pixels(rows=13))
        asked = Reading("job", studies.study(spool.study_folder("job"), image))
        process.read([asked], tick=lambda: print(process._process.pid, flush=True))
        """
    )
    hub = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with hub, contextlib.suppress(ProcessLookupError):
        assert hub.stdout is not None
        child = int(hub.stdout.readline())
        hub.kill()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not _ended(child):
            os.kill(child, 0)
    assert _ended(child)


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
