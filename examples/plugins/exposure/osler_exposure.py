"""An example of a model plugin: how much of a radiograph's middle is clipped at the end of the detector's range.

It is a measurement with a fixed rule, not a trained model, and says nothing about a disease.
"""

import hashlib
import json
import math
from pathlib import Path

import numpy as np

from osler.domain.codes import Code
from osler.domain.findings import Finding
from osler.errors import Malformed
from osler.models import read_card
from osler.plugins import Card, Case, LoadContext, Output, Prediction, Selection, Study

CLIPPED = Output("clipped-exposure", Code("122742", "DCM", "Poor image quality"), threshold=0.5)
TOLERATED_SHARE = 0.05  # of the pixels; at this share the probability reaches the threshold
WIDTH = 0.01  # how fast it rises around that share


class ExposureModel:
    """Measures the share of clipped pixels in the middle of a radiograph."""

    def __init__(self, tolerated_share: float = TOLERATED_SHARE, card: Card | None = None) -> None:
        self.tolerated_share, self._card = tolerated_share, card

    @classmethod
    def from_folder(cls, folder: Path) -> "ExposureModel":
        """Take another rule, ``weights/rule.json``, from a registry's artefact with a card of its own."""
        rule = json.loads((folder / "weights" / "rule.json").read_text(encoding="utf-8"))
        return cls(float(rule["tolerated_share"]), read_card(folder))

    @property
    def card(self) -> Card:
        """What this is, and what it is not."""
        return self._card or Card(
            name="exposure",
            version="1.0.0",
            sha256=hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),  # there are no weights: the code is hashed
            preprocessing="1",
            intended_use="Tells the technologist that a radiograph has lost detail to the detector's range.",
            limitations=(
                "The probability is a fixed curve over the clipped share, not calibrated on images. Metal and bare"
                " detector in the middle of the image count as clipped. Detail lost in processing goes unseen."
            ),
            outputs=(CLIPPED,),
            modalities=("CR", "DX"),
            licence="Apache-2.0",
            timeout_s=30.0,
            training_data={"none": "nothing was trained"},
        )

    def load(self, context: LoadContext) -> None:
        """There are no weights to load."""

    def select(self, study: Study) -> Selection:
        """Take every radiograph with one sample a pixel, and say why not the others."""
        cases: list[Case] = []
        refused: dict[str, str] = {}
        for instance in study.instances:
            header = instance.header()
            if header.get("Modality") not in self.card.modalities:
                refused[instance.series_instance_uid] = "not a radiograph (CR or DX)"
            elif header.get("SamplesPerPixel") != 1 or "BitsStored" not in header:
                refused[instance.series_instance_uid] = "not a greyscale image"
            else:
                cases.append(Case(instance.series_instance_uid, (instance,)))
        read = {case.series_instance_uid for case in cases}
        return Selection(tuple(cases), {uid: reason for uid, reason in refused.items() if uid not in read})

    def predict(self, case: Case) -> Prediction:
        """Measure one image."""
        dataset = case.instances[0].dataset()
        try:
            pixels = dataset.pixel_array
        except (ValueError, AttributeError, NotImplementedError, RuntimeError):
            raise Malformed("the pixel data cannot be decoded") from None
        if pixels.ndim != 2 or min(pixels.shape) < 4:
            raise Malformed("not a single image of useful size")
        signed = dataset.get("PixelRepresentation", 0) == 1
        lowest = -(2 ** (dataset.BitsStored - 1)) if signed else 0
        highest = lowest + 2**dataset.BitsStored - 1
        clipped = (pixels <= lowest) | (pixels >= highest)
        rows, columns = pixels.shape
        middle = clipped[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
        probability = 1.0 / (1.0 + math.exp((self.tolerated_share - float(middle.mean())) / WIDTH))
        finding = Finding(CLIPPED.label, CLIPPED.code, probability, CLIPPED.threshold)
        step = max(1, max(pixels.shape) // 256)
        return Prediction((finding,), heatmap=clipped[::step, ::step].astype(np.float32))
