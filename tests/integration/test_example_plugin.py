"""The example plugin, built and installed from outside the tree as a stranger's would be, runs in the sandbox."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from osler.infer.child import InferenceProcess, Start
from osler.infer.messages import Reading
from osler.infer.spool import Spool
from osler.registry.local import Registry
from osler.testing import studies

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugins" / "exposure"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("hatchling") is None:
        assert os.environ.get("OSLER_REQUIRE_PEERS") != "1", "needs hatchling"
        pytest.skip("needs hatchling, which builds the package")
    folder = tmp_path_factory.mktemp("stranger")
    source, target = folder / "source", folder / "site-packages"
    source.mkdir()
    for name in ("pyproject.toml", "osler_exposure.py"):  # under another name: it may be installed already
        text = (EXAMPLE / name).read_text(encoding="utf-8").replace("osler_exposure", "stranger_model")
        text = text.replace("osler-exposure", "stranger-model").replace("exposure =", "stranger =")
        (source / name.replace("osler_exposure", "stranger_model")).write_text(
            text.replace('name="exposure"', 'name="stranger"'), encoding="utf-8"
        )
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, source], check=True)
    return target


def test_it_is_found_and_reads_a_study_in_its_sandbox(installed, tmp_path):
    handle = next(h for h in Registry([installed]).list() if h.name == "stranger")
    assert (handle.distribution, handle.distribution_version) == ("stranger-model", "1.0.0")
    spool = Spool(tmp_path / "spool")
    with InferenceProcess(Start("stranger", folders=(str(installed),)), spool) as process:
        study = studies.study(spool.study_folder("job"), studies.image(), studies.image(Modality="CT"))
        (answer,) = process.read([Reading("job", study)])
    spool.close()
    assert [result.findings[0].positive for result in answer.result.results] == [False]
    assert [refusal.reason for refusal in answer.result.refusals] == ["not a radiograph (CR or DX)"]
    assert len(answer.heatmaps) == 1


def test_it_is_a_model_of_fewer_than_a_hundred_lines():
    assert len((EXAMPLE / "osler_exposure.py").read_text(encoding="utf-8").splitlines()) < 100
