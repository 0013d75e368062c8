"""Measure and lighten a model with a small network of its own, on labelled radiographs."""

import importlib.util
import json
import os
import textwrap
from pathlib import Path

import numpy as np
import pytest
import yaml

from osler.config import Config, load
from osler.errors import ConfigError, Malformed
from osler.hub.cards import start_of
from osler.hub.evaluation import evaluate, open_dataset, read_dataset
from osler.hub.light_variant import Wish, export_light
from osler.hub.registering import register
from osler.models import read_card
from osler.registry.artefact import check
from osler.registry.contents import file_hash
from osler.registry.signing import Trust, create_key, public_text, read_key
from osler.testing import studies
from osler.testing.models import install, write_artefact

PLUGIN = """
    import numpy as np
    import onnxruntime

    from osler.domain.findings import Finding
    from osler.models import read_card
    from osler.plugins import Prediction
    from osler.testing.models import FakeModel


    class Small(FakeModel):
        @classmethod
        def from_folder(cls, folder):
            model = cls()
            model._card, model._network = read_card(folder), folder / "weights" / "net.onnx"
            return model

        def load(self, context):
            self._session = onnxruntime.InferenceSession(self._network.read_bytes(), providers=["CPUExecutionProvider"])

        def network_inputs(self, case):
            pixels = case.instances[0].dataset().pixel_array.astype(np.float32) / 4095.0
            return {"image": pixels[None, None, :64, :48]}

        def predict(self, case):
            ((value,),) = self._session.run(["probability"], self.network_inputs(case))
            return Prediction((Finding("opacity", self._output.code, float(value), 0.5, True),))
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    if importlib.util.find_spec("onnx") is None:
        assert os.environ.get("OSLER_REQUIRE_PEERS") != "1", "needs onnx"
        pytest.skip("needs onnx")
    folder = install(tmp_path / "plugins", {"fake": "osler.testing.models:fake", "small": "small:Small"})
    (folder / "small.py").write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
    given = {"models.folders": [str(folder)], "registry.allow_unsigned": True}
    made = load({}, data_dir=tmp_path / "data", given=given)
    made.data_dir.mkdir()
    return made


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Forty phantoms of which the bright ones have an opacity, and one file that is no radiograph."""
    folder, lines = tmp_path / "locked", ["file,opacity"]
    folder.mkdir()
    for number in range(40):
        bright = number % 2
        pixels = (studies.chest_pixels(seed=number) // 2 + (1800 if bright else 0)).astype(np.uint16)
        (folder / f"{number:02}.dcm").write_bytes(studies.part10(studies.image("CR", pixels=pixels)))
        lines.append(f"{number:02}.dcm,{bright}")
    (folder / "words.dcm").write_text("words")
    (folder / "labels.csv").write_text("\n".join([*lines, "words.dcm,1"]) + "\n", encoding="utf-8")
    return folder


def small_artefact(folder: Path) -> Path:
    """Make an artefact whose network is two convolutions and a mean."""
    from onnx import TensorProto, helper, numpy_helper, save

    write_artefact(folder)
    (folder / "weights" / "gain.txt").unlink()
    kernel = np.full((4, 1, 3, 3), 1 / 9, np.float32)
    mix = np.full((1, 4, 1, 1), 1 / 4, np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["blurred"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["blurred", "mix"], ["mixed"]),
        helper.make_node("ReduceMean", ["mixed"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Clip", ["mean", "zero", "one"], ["probability"]),
    ]
    constants = {"kernel": kernel, "mix": mix, "zero": np.float32(0), "one": np.float32(1)}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 64, 48])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save(model, str(folder / "weights" / "net.onnx"))
    card = yaml.safe_load((folder / "card.yaml").read_text())
    card["sha256"] = file_hash(folder / "weights" / "net.onnx")
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    return folder


def test_a_model_is_measured_as_it_would_read_here(config: Config, dataset: Path, tmp_path: Path) -> None:
    register(config, small_artefact(tmp_path / "model"), runtime="small")
    start, locked = start_of(config, "fake@2.0.0"), open_dataset(dataset)
    found = evaluate(start, locked, read_dataset(start, locked))
    assert (found["read"], found["refused"]) == (40, 1)
    assert found["model"]["version"] == "2.0.0"
    assert found["dataset"] == {"sha256": locked.sha256, "images": 41}
    (label,) = found["labels"]
    assert (label["images"], label["positives"], label["auroc"]["value"]) == (40, 20, 1.0)
    assert json.loads(json.dumps(found)) == found


def test_a_light_variant_says_what_was_measured_and_is_what_was_better(
    config: Config, dataset: Path, tmp_path: Path
) -> None:
    register(config, small_artefact(tmp_path / "model"), runtime="small")
    create_key(tmp_path / "key")
    key = read_key(tmp_path / "key")
    out = tmp_path / "light"
    report = export_light(config, Wish("fake@2.0.0", open_dataset(dataset), key=key), out)
    artefact = check(out, Trust((public_text(key.public_key()),)))
    assert (artefact.version.version, artefact.runtime) == (report["version"], "small")
    edge = read_card(out).evaluation["edge"]
    assert edge["int8"]["images_per_second"] > 0
    assert edge["fp32"]["labels"][0]["auroc"]["value"] == 1.0
    assert edge["calibration_images"] + edge["images"] == 41
    losses = edge["int8"]["losses"]["opacity"]
    better = edge["int8"]["worth_it"] and max(losses.values()) <= 0.01
    assert edge["precision"] == ("int8" if better else "fp32")
    assert report["version"].endswith(edge["precision"])
    before = file_hash(tmp_path / "model" / "weights" / "net.onnx")
    assert (file_hash(out / "weights" / "net.onnx") == before) is not better
    with pytest.raises(ConfigError, match="there already"):
        export_light(config, Wish("fake@2.0.0", open_dataset(dataset)), out)


def test_a_set_has_a_hash_of_all_that_it_holds(dataset: Path) -> None:
    first = open_dataset(dataset).sha256
    assert open_dataset(dataset).sha256 == first
    (dataset / "unnamed.dcm").write_text("not of the set")
    assert open_dataset(dataset).sha256 == first
    with (dataset / "07.dcm").open("ab") as file:
        file.write(b"\0")
    assert open_dataset(dataset).sha256 != first


@pytest.mark.parametrize(
    "text", ["", "name,opacity\na,1\n", "file\n", "file,opacity\n../secret,1\n", "file,opacity\n00.dcm,yes\n",
             "file,opacity\nnone.dcm,1\n", "file,opacity\n/etc/passwd,1\n", "file,opacity\n00.dcm,1,0\n"]
)  # fmt: skip
def test_labels_that_cannot_be_read_or_lead_outside_are_refused(dataset: Path, text: str) -> None:
    (dataset.parent / "secret").write_text("secret")
    (dataset / "labels.csv").write_text(text)
    with pytest.raises(Malformed):
        open_dataset(dataset)
