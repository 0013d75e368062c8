"""A model that runs elsewhere, and what its server computes: the mean of a corner of the image."""

from pathlib import Path

from osler.testing.models import install

SIDE = 8
SOURCE = """
from dataclasses import replace

import numpy as np

from osler.domain.findings import Finding
from osler.plugins import Endpoint, Prediction
from osler.testing.models import FakeModel

ENDPOINT = {endpoint!r}


class Far(FakeModel):
    def __init__(self):
        super().__init__("far", max_batch=4, timeout_s={timeout_s}, code_file=__file__)
        self._card = replace(self._card, endpoint=Endpoint.from_mapping(ENDPOINT))

    def load(self, context):
        self._ask = context.ask

    def predict(self, case):
        return self.predict_batch([case])[0]

    def predict_batch(self, cases):
        corners = [case.instances[0].dataset().pixel_array[:{side}, :{side}] for case in cases]
        answer = self._ask({{"image": np.stack(corners).astype(np.float32) / 4095}})
        output = self._output
        return [
            Prediction((Finding(output.label, output.code, float(p), output.threshold, output.critical),))
            for p in answer["probability"]
        ]
"""


def endpoint(url: str) -> dict[str, object]:
    """Return what the card says of the endpoint."""
    return {
        "url": url,
        "model": "mean",
        "version": "3",
        "inputs": {"image": {"dtype": "FP32", "shape": [-1, SIDE, SIDE]}},
        "outputs": {"probability": {"dtype": "FP32", "shape": [-1]}},
    }


def install_far(folder: Path, url: str, *, timeout_s: float = 20.0) -> Path:
    """Install the model, whose server is at this address."""
    install(folder, {"far": "far_elsewhere:Far"}, package="far-model")
    source = SOURCE.format(endpoint=endpoint(url), timeout_s=timeout_s, side=SIDE)
    (folder / "far_elsewhere.py").write_text(source, encoding="utf-8")
    return folder
