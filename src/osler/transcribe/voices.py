"""Tells voices apart: features of speech, a model that turns them into vectors, and groups of vectors.

No such model comes with the package. One that takes 80 log mel energies every 10 ms, mean taken off, as float32 of
shape (1, frame, 80), and gives one vector, as speaker models of WeSpeaker and 3D-Speaker do, can be given as ONNX.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from osler.errors import ConfigError, PluginError
from osler.registry.boundary import call

Samples = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]

_RATE: Final = 16_000
_FRAME: Final = 400
_HOP: Final = 160
_FFT: Final = 512
_BANDS: Final = 80
_LOWEST_HZ: Final = 20.0
_CLUSTERED: Final = 600
_SMALL: Final = 0.04


class VoiceModel(Protocol):
    """Turns a voice into a vector."""

    threshold: float

    def vector(self, samples: Samples) -> Vector:
        """Return a vector of length 1; two of the same voice have a product above ``threshold``.

        Parameters
        ----------
        samples : ndarray of float32, shape (sample,), 16 kHz
            Of one speaker, half a second at least.
        """
        ...


class OnnxVoiceModel:
    """A model of voices in an ONNX file.

    Parameters
    ----------
    path : Path
    threshold : float
        Cosine above which two vectors are one voice.

    Raises
    ------
    ConfigError
        If the file is no such model.
    """

    def __init__(self, path: Path, threshold: float = 0.5) -> None:
        import onnxruntime  # slow to import, and most have no such model

        self.threshold = threshold
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        providers = ["CPUExecutionProvider"]
        try:
            content = path.read_bytes()
            self._session = call("load", lambda: onnxruntime.InferenceSession(content, options, providers=providers))
        except (PluginError, OSError):
            raise ConfigError("the model of voices is no ONNX file that can be loaded") from None
        inputs = self._session.get_inputs()
        width = inputs[0].shape[2] if len(inputs) == 1 and len(inputs[0].shape) == 3 else 0
        if isinstance(width, int) and width != _BANDS:
            raise ConfigError(f"the model of voices must take one input of shape (1, frame, {_BANDS})")
        self._input = inputs[0].name

    def vector(self, samples: Samples) -> Vector:
        """Return the vector of a voice."""
        features = filter_bank(samples)
        features -= features.mean(axis=0, keepdims=True)
        given = {self._input: features[np.newaxis]}
        found = call("the model of voices failed", lambda: self._session.run(None, given)[0])
        return _unit(np.asarray(found, dtype=np.float32).ravel())


def filter_bank(samples: Samples) -> npt.NDArray[np.float32]:
    """Compute log mel energies.

    Parameters
    ----------
    samples : ndarray of float32, shape (sample,), 16 kHz, in [-1, 1]

    Returns
    -------
    ndarray of float32, shape (frame, 80)
        One frame each 10 ms over 25 ms; natural logarithm of the energy in 80 mel bands from 20 Hz to 8 kHz.
    """
    scaled = np.asarray(samples, dtype=np.float32) * 32768.0
    if len(scaled) < _FRAME:
        scaled = np.pad(scaled, (0, _FRAME - len(scaled)))
    frames = np.lib.stride_tricks.sliding_window_view(scaled, _FRAME)[::_HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    shifted = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    spectrum = np.fft.rfft((frames - 0.97 * shifted) * np.hamming(_FRAME), _FFT)
    energy = np.square(np.abs(spectrum)) @ _mel_bands().T
    return np.asarray(np.log(np.maximum(energy, np.finfo(np.float32).eps)), dtype=np.float32)


def _mel_bands() -> npt.NDArray[np.float64]:
    low, high = (1127.0 * np.log1p(hertz / 700.0) for hertz in (_LOWEST_HZ, _RATE / 2))
    edges = np.linspace(low, high, _BANDS + 2)
    bins = 1127.0 * np.log1p(np.fft.rfftfreq(_FFT, 1 / _RATE) / 700.0)
    up = (bins - edges[:-2, np.newaxis]) / (edges[1:-1] - edges[:-2])[:, np.newaxis]
    down = (edges[2:, np.newaxis] - bins) / (edges[2:] - edges[1:-1])[:, np.newaxis]
    return np.asarray(np.maximum(0.0, np.minimum(up, down)), dtype=np.float64)


def cluster(vectors: Sequence[Vector], seconds: Sequence[float], *, threshold: float, most: int = 4) -> list[int]:
    """Group the vectors of the same voice.

    Agglomerative, average linkage, cosine. Of many vectors those of the longest pieces are grouped, and the others join
    the nearest group; a group with less than 4 % of the time is given up to its neighbours.

    Parameters
    ----------
    vectors : sequence of ndarray of float32, shape (dimension,), length 1
    seconds : sequence of float
        How long each piece is.
    threshold : float
        Groups less alike than this are not joined, unless they are more than ``most``.
    most : int

    Returns
    -------
    list of int
        Group of each vector, from 0 in order of first appearance.
    """
    if not vectors:
        return []
    every = np.stack(vectors).astype(np.float64)
    weights = np.asarray(seconds, dtype=np.float64)
    chosen = np.sort(np.argsort(-weights, kind="stable")[:_CLUSTERED])
    groups = _joined(every[chosen], threshold, most)
    total = weights[chosen].sum()
    large = [g for g in groups if weights[chosen[g]].sum() >= _SMALL * total] or groups
    centres = np.stack([_unit((every[chosen[g]] * weights[chosen[g], np.newaxis]).sum(axis=0)) for g in large])
    nearest = np.argmax(every @ centres.T, axis=1)
    order = {group: at for at, group in enumerate(dict.fromkeys(nearest.tolist()))}
    return [order[group] for group in nearest.tolist()]


def _joined(vectors: npt.NDArray[np.float64], threshold: float, most: int) -> list[list[int]]:
    groups: list[list[int]] = [[at] for at in range(len(vectors))]
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    while len(groups) > 1:
        first, second = divmod(int(np.argmax(alike)), len(groups))
        if alike[first, second] < threshold and len(groups) <= most:
            break
        first, second = min(first, second), max(first, second)
        a, b = len(groups[first]), len(groups[second])
        row = (alike[first] * a + alike[second] * b) / (a + b)
        alike[first], alike[:, first] = row, row
        alike[first, first] = -np.inf
        alike = np.delete(np.delete(alike, second, axis=0), second, axis=1)
        groups[first] += groups.pop(second)
    return groups


def _unit(vector: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)
