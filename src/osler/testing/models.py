"""A model that reads nothing into an image, to be installed in tests, and a way to install one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import yaml

from osler.domain.codes import Code
from osler.domain.findings import Finding
from osler.errors import Malformed
from osler.models import read_card
from osler.plugins import Card, Case, LoadContext, Output, Prediction, Selection, Study


class FakeModel:
    """A model that calls each radiograph by its mean grey value, and refuses what is not a radiograph.

    Parameters
    ----------
    name : str
        Name in the card and of the entry point.
    max_batch : int
    timeout_s : float
    code_file : Path or str, optional
        The module whose hash the card states; else this one.
    """

    def __init__(
        self, name: str = "fake", *, max_batch: int = 1, timeout_s: float = 60.0, code_file: Path | str = __file__
    ) -> None:
        self._output = Output("opacity", Code("112033", "DCM", "Abnormal opacity"), threshold=0.5, critical=True)
        self._gain = 1.0
        self._card = Card(
            name=name,
            version="1.0.0",
            sha256=hashlib.sha256(Path(code_file).read_bytes()).hexdigest(),
            preprocessing="1",
            intended_use="Tests of the hub. It says nothing about a patient.",
            limitations="It is not a model.",
            outputs=(self._output,),
            modalities=("CR", "DX"),
            licence="Apache-2.0",
            max_batch=max_batch,
            timeout_s=timeout_s,
        )

    @classmethod
    def from_folder(cls, folder: Path) -> "FakeModel":
        """Make the model of an artefact: its card, and in ``weights/gain.txt`` what the grey value is multiplied by."""
        model = cls()
        model._card = read_card(folder)
        model._gain = float((folder / "weights" / "gain.txt").read_text(encoding="utf-8").split()[0])
        return model

    @property
    def card(self) -> Card:
        """The card."""
        return self._card

    def load(self, context: LoadContext) -> None:
        """Load nothing."""

    def select(self, study: Study) -> Selection:
        """Choose each image whose modality is that of a radiograph."""
        cases: list[Case] = []
        refused: dict[str, str] = {}
        for instance in study.instances:
            if instance.header().get("Modality") in self._card.modalities:
                cases.append(Case(instance.series_instance_uid, (instance,)))
            else:
                refused[instance.series_instance_uid] = "not a radiograph"
        return Selection(tuple(cases), refused)

    def predict(self, case: Case) -> Prediction:
        """Take the mean grey value for a probability."""
        try:
            pixels = case.instances[0].dataset().pixel_array.astype(np.float32) / 4095.0
        except ValueError:
            raise Malformed("the pixel data cannot be decoded") from None
        finding = Finding(
            self._output.label,
            self._output.code,
            min(1.0, self._gain * float(pixels.clip(0.0, 1.0).mean())),
            self._output.threshold,
            self._output.critical,
        )
        return Prediction((finding,), heatmap=np.clip(pixels, 0.0, 1.0), ood_score=0.0)

    def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction]:
        """Read them one after the other."""
        return [self.predict(case) for case in cases]


def fake() -> FakeModel:
    """Make the model that the entry point ``fake`` names in tests."""
    return FakeModel()


def write_artefact(folder: Path, *, version: str = "2.0.0", gain: float = 1.0) -> Path:
    """Write an artefact of :class:`FakeModel`, not sealed yet.

    Parameters
    ----------
    folder : Path
        Made.
    version : str
    gain : float
        What the mean grey value is multiplied by.
    """
    (folder / "weights").mkdir(parents=True)
    weights = folder / "weights" / "gain.txt"
    weights.write_text(f"{gain}\n{version}\n", encoding="utf-8")
    card = replace(FakeModel().card, version=version, sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    document = asdict(card)
    document["outputs"], document["modalities"] = list(document["outputs"]), list(document["modalities"])
    (folder / "card.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


def install(folder: Path, entry_points: Mapping[str, str], *, package: str = "osler-test-models") -> Path:
    """Make a folder look like one where a package with models is installed.

    Parameters
    ----------
    folder : Path
        To be put on ``sys.path`` or into :class:`osler.infer.child.Start`.
    entry_points : mapping
        Name of a model to ``module:callable``.
    package : str
    """
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"{name} = {target}" for name, target in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[osler.models]", *lines, ""]), encoding="utf-8")
    return folder
