"""Which worker can run which model, and on what device."""

from dataclasses import replace
from pathlib import Path

import pytest

from osler.errors import ConfigError
from osler.infer.devices import Device, devices
from osler.infer.needs import Needs
from osler.testing import FakeModel

CPU, GPU = Device(), Device("cuda:0", 16_000)
CARD = FakeModel().card


@pytest.mark.parametrize(
    ("needs", "device", "tags", "lacking"),
    [
        ({}, CPU, [], ""),
        ({"tags": ["ward"]}, CPU, ["ward", "night"], ""),
        ({"tags": ["ward"]}, CPU, [], "the worker lacks the tag ward"),
        ({"gpu_memory_mb": 8000}, GPU, [], ""),
        ({"gpu_memory_mb": 8000}, CPU, [], "the worker has no GPU"),
        ({"gpu_memory_mb": 24_000}, GPU, [], "cuda:0 has 16000 MB, and the model needs 24000"),
        ({"gpu_memory_mb": 24_000}, Device("rocm:1"), [], ""),  # nobody knows what it has
        ({"memory_mb": 4096}, CPU, [], ""),
        ({"memory_mb": 4097}, CPU, [], "worker.memory_mb is 4096, and the model needs 4097"),
    ],
)
def test_a_worker_runs_what_it_has_enough_for(needs, device, tags, lacking):
    found = Needs.of(replace(CARD, needs=needs))
    assert found.lacking(device=device, tags=tags, memory_mb=4096) == lacking


@pytest.mark.parametrize(
    "needs", [{"gpu": 1}, {"tags": "ward"}, {"tags": [1]}, {"memory_mb": -1}, {"memory_mb": True}, {"processes": 1.5}]
)
def test_a_card_that_needs_something_else_is_refused(needs):
    with pytest.raises(ConfigError, match="the needs of fake"):
        Needs.of(replace(CARD, needs=needs))


@pytest.mark.parametrize(
    ("name", "providers"),
    [
        ("cpu", (("CPUExecutionProvider", {}),)),
        ("cuda:1", (("CUDAExecutionProvider", {"device_id": "1"}), ("CPUExecutionProvider", {}))),
        ("rocm:0", (("ROCMExecutionProvider", {"device_id": "0"}), ("CPUExecutionProvider", {}))),
    ],
)
def test_a_device_stands_for_execution_providers(name, providers):
    assert Device(name).providers == providers


@pytest.mark.parametrize("name", ["gpu", "cuda", "cuda:-1", "tpu:0", ""])
def test_what_is_no_device_is_refused(name):
    with pytest.raises(ConfigError, match="is no device"):
        devices([name])


def test_named_devices_are_taken_as_they_are():
    assert devices(["cuda:1", "cpu", "cuda:1"], memory_mb=8000) == [Device("cuda:1", 8000), CPU]


def test_a_gpu_that_onnx_runtime_cannot_use_here_is_passed_over(tmp_path: Path):
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    assert devices(["auto"], dev=tmp_path) == [CPU]  # the ONNX Runtime of the tests is that for the processor
    assert devices(["auto"], dev=tmp_path / "none") == [CPU]
