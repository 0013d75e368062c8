# mypy: disallow-subclassing-any=False
"""The network as it ships: one ONNX file with calibration and out-of-distribution score. Never imported at run time."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Familiarity:
    """Mahalanobis distance from the training images in the space of the pooled features.

    Parameters
    ----------
    mean : ndarray of float32, shape (channel,)
    whitening : ndarray of float32, shape (channel, component)
    """

    mean: npt.NDArray[np.float32]
    whitening: npt.NDArray[np.float32]

    @classmethod
    def of(cls, features: npt.NDArray[np.floating], *, shrinkage: float = 0.1) -> "Familiarity":
        """Fit to features, shape (image, channel); the covariance is shrunk towards its mean (Ledoit & Wolf 2004)."""
        mean = features.mean(0, dtype=np.float64)
        covariance = np.cov(features, rowvar=False)
        variances, axes = np.linalg.eigh(covariance)
        shrunk = (1 - shrinkage) * np.maximum(variances, 0) + shrinkage * variances.mean()
        whitening = axes / np.sqrt(shrunk * len(mean))
        return cls(mean.astype(np.float32), whitening.astype(np.float32))

    def score(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Root mean square of the whitened features, shape (image,): about 1 for an image like the training's."""
        distance: npt.NDArray[np.floating] = np.linalg.norm((features - self.mean) @ self.whitening, axis=1)
        return distance


class TwoViews(nn.Module):
    """A trained network that looks twice: at the image, and at the image mirrored and shrunk into a black frame.

    The logit is the mean of both, which makes it depend less on resampling and on what the sender did at the border;
    activation and features are those of the image as it is.
    """

    FRAME = 10

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logit, activation and features of images, shape (n, 1, 224, 224)."""
        logit, activation, features = self.net(image)
        smaller = functional.interpolate(image, size=image.shape[-1] - 2 * self.FRAME, mode="bilinear")
        framed, _, _ = self.net(functional.pad(smaller, (self.FRAME,) * 4).flip(3))
        return (logit + framed) / 2, activation, features


class Shipped(nn.Module):
    """Two views of a trained network with its calibration and out-of-distribution score."""

    def __init__(self, net: nn.Module, *, temperature: float, familiarity: Familiarity) -> None:
        super().__init__()
        self.views = TwoViews(net)
        self.temperature = temperature
        self.register_buffer("mean", torch.from_numpy(familiarity.mean))
        self.register_buffer("whitening", torch.from_numpy(familiarity.whitening))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Probability, activation and out-of-distribution score of images, shape (n, 1, 224, 224)."""
        logit, activation, features = self.views(image)
        distance = ((features - self.mean) @ self.whitening).square().sum(1).sqrt()
        return torch.sigmoid(logit / self.temperature), activation / self.temperature, distance


def export(net: nn.Module, outputs: Sequence[str], *, metadata: Mapping[str, str] | None = None) -> bytes:
    """Turn a network into ONNX with a dynamic batch axis.

    Parameters
    ----------
    net : Module
        Takes images, shape (n, 1, 224, 224).
    outputs : sequence of str
        Names of what it returns.
    metadata : mapping, optional
        Written into the file.
    """
    content = io.BytesIO()
    torch.onnx.export(
        net.to(memory_format=torch.contiguous_format).eval(),
        (torch.zeros(2, 1, 224, 224),),
        content,
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=list(outputs),
        dynamic_axes={name: {0: "n"} for name in ("image", *outputs)},
    )
    network = onnx.load_from_string(content.getvalue())
    onnx.helper.set_model_props(network, dict(metadata or {}))
    onnx.checker.check_model(network)
    exported: bytes = network.SerializeToString()
    return exported


class Scorer:
    """An exported network in ONNX Runtime, as it will run."""

    def __init__(self, content: bytes, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def __call__(self, pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float64]]:
        """Each output by name, for images of shape (n, 224, 224): uint8, or float32 in [0, 1]."""
        scale = 255 if pixels.dtype == np.uint8 else 1
        parts = []
        for start in range(0, len(pixels), 32):
            batch = np.divide(pixels[start : start + 32, None], scale, dtype=np.float32)
            parts.append(self._session.run(None, {"image": batch}))
        names = [output.name for output in self._session.get_outputs()]
        return {
            name: np.concatenate(part).astype(np.float64)
            for name, part in zip(names, zip(*parts, strict=True), strict=True)
        }
