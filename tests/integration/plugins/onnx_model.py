"""A model on the real ONNX Runtime, with threads: the sandbox must let it live."""

import numpy as np
import onnxruntime
from onnxruntime.datasets import get_example

from osler.domain.findings import Finding
from osler.plugins import Case, LoadContext, Prediction
from osler.testing import FakeModel


class OnnxModel(FakeModel):
    """Takes the sigmoid of the image's corner, by an example network that comes with ONNX Runtime."""

    def __init__(self) -> None:
        super().__init__("onnx-sigmoid", code_file=__file__)

    def load(self, context: LoadContext) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = context.threads
        self.session = onnxruntime.InferenceSession(
            get_example("sigmoid.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def predict(self, case: Case) -> Prediction:
        pixels = case.instances[0].dataset().pixel_array.astype(np.float32) / 4095.0
        corner = np.repeat(pixels[np.newaxis, :4, :5], 3, axis=0)
        (squashed,) = self.session.run(None, {self.session.get_inputs()[0].name: corner})
        output = self.card.outputs[0]
        return Prediction(
            (Finding(output.label, output.code, float(squashed.mean()), output.threshold, output.critical),)
        )


def onnx_sigmoid() -> OnnxModel:
    return OnnxModel()
