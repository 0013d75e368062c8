"""A linear softmax over named features: small, readable by its weights, and numpy is all it needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_STEPS: Final = 250
_EPOCHS: Final = 40


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights of features for classes.

    Parameters
    ----------
    classes : tuple of str
    features : mapping of str to int
        Name to row.
    scale : ndarray of float32, shape (feature,)
        How much a feature weighs before the weights of the classes: the rarer the more.
    weights : ndarray of float32, shape (feature, class)
    bias : ndarray of float32, shape (class,)
    """

    classes: tuple[str, ...]
    features: Mapping[str, int]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, named: Iterable[str]) -> NDArray[np.float32]:
        """Return the probability of each class for a set of features, shape (class,); unknown features say nothing."""
        rows = sorted({self.features[name] for name in named if name in self.features})
        scale = self.scale[rows]
        norm = np.sqrt((scale * scale).sum()) if rows else 1.0
        scores = self.bias + (scale / norm) @ self.weights[rows]
        found: NDArray[np.float32] = _softmax(scores[None, :].astype(np.float32))[0]
        return found


def save(path: str, model: Linear) -> None:
    """Write a model; weights are kept as half floats."""
    names = sorted(model.features, key=lambda name: model.features[name])
    np.savez_compressed(
        path,
        classes=np.frombuffer("\n".join(model.classes).encode(), np.uint8),
        features=np.frombuffer("\n".join(names).encode(), np.uint8),
        scale=model.scale.astype(np.float16),
        weights=model.weights.astype(np.float16),
        bias=model.bias,
    )


def load(path: str) -> Linear:
    """Read a model that :func:`save` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        names = stored["features"].tobytes().decode().split("\n")
        return Linear(
            tuple(stored["classes"].tobytes().decode().split("\n")),
            {name: row for row, name in enumerate(names)},
            stored["scale"].astype(np.float32),
            stored["weights"].astype(np.float32),
            stored["bias"],
        )


def fit(
    examples: Sequence[Iterable[str]],
    targets: NDArray[np.float32],
    classes: Sequence[str],
    *,
    importance: NDArray[np.float32] | None = None,
    least: int = 2,
    decay: float = 1e-4,
) -> Linear:
    """Fit by Adam on the whole set, deterministic.

    Parameters
    ----------
    examples : sequence of iterables of str
        Features of each example.
    targets : ndarray of float32, shape (example, class)
        Probabilities to learn.
    classes : sequence of str
    importance : ndarray of float32, shape (example,), optional
    least : int
        Examples that a feature needs.
    decay : float
        Weight of the squared weights.
    """
    features, scale, matrix = _prepared(examples, least)
    share = np.ones(len(examples), np.float32) if importance is None else importance
    share = (share / share.sum())[:, None]
    weights = np.zeros((len(features), len(classes)), np.float32)
    bias = np.log(np.maximum((targets * share).sum(axis=0), 1e-6)).astype(np.float32)
    moments = [np.zeros_like(weights), np.zeros_like(weights), np.zeros_like(bias), np.zeros_like(bias)]
    for step in range(1, _STEPS + 1):
        wrong = (_softmax(matrix.times(weights) + bias) - targets) * share
        rate = 0.1 * (1 - step / (_STEPS + 1))
        _adam(weights, matrix.transposed_times(wrong) + decay * weights, moments[:2], step=step, rate=rate)
        _adam(bias, wrong.sum(axis=0), moments[2:], step=step, rate=rate)
    return Linear(tuple(classes), features, scale, weights, bias)


def fit_margins(
    examples: Sequence[Iterable[str]],
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    importance: NDArray[np.float32],
    cost: float,
    sharpness: float,
) -> Linear:
    """Fit each class against the others by the squared hinge, with dual coordinate descent (Hsieh et al. 2008).

    Parameters
    ----------
    examples : sequence of iterables of str
        Features of each example.
    labels : sequence of str
        One of the classes each; a rare class weighs as much as a frequent one.
    classes : sequence of str
    importance : ndarray of float32, shape (example,)
    cost : float
        Of an example on the wrong side.
    sharpness : float
        What a margin is multiplied with, so that the softmax of the margins is near the truth.
    """
    features, scale, matrix = _prepared(examples, 2)
    sign = np.array([[1.0 if label == name else -1.0 for name in classes] for label in labels], np.float32)
    seen = np.maximum((sign > 0).sum(axis=0), 1)
    rarity = len(labels) / (len(set(labels)) * seen)
    costs = cost * importance[:, None] * np.where(sign > 0, rarity, 1.0)
    slack = (0.5 / costs).astype(np.float32)
    weights = np.zeros((len(features) + 1, len(classes)), np.float32)
    dual = np.zeros_like(sign)
    rows = [np.append(columns, len(features)) for columns in matrix.columns_of]
    values = [np.append(row, np.float32(1)) for row in matrix.values_of]
    for epoch in range(_EPOCHS):
        for index in np.random.default_rng(epoch).permutation(len(rows)):
            row, value = rows[index], values[index]
            slope = sign[index] * (value @ weights[row]) - 1 + dual[index] * slack[index]
            moved = np.maximum(dual[index] - slope / (value @ value + slack[index]), 0)
            weights[row] += value[:, None] * ((moved - dual[index]) * sign[index])
            dual[index] = moved
    return Linear(tuple(classes), features, scale, sharpness * weights[:-1], sharpness * weights[-1])


def _prepared(examples: Sequence[Iterable[str]], least: int) -> tuple[dict[str, int], NDArray[np.float32], "_Sparse"]:
    """Return the features that enough examples have, how much each weighs, and the examples by them."""
    sets = [sorted(set(example)) for example in examples]
    counts: dict[str, int] = {}
    for names in sets:
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    features = {name: row for row, name in enumerate(sorted(n for n, c in counts.items() if c >= least))}
    held = np.array([counts[name] for name in features], np.float32)
    scale = (np.log((1 + len(sets)) / (1 + held)) + 1).astype(np.float16).astype(np.float32)
    return features, scale, _Sparse([[features[name] for name in names if name in features] for names in sets], scale)


class _Sparse:
    """Rows of the scales of their features, each of length one."""

    def __init__(self, rows: Sequence[Sequence[int]], scale: NDArray[np.float32]) -> None:
        self.shape = (len(rows), len(scale))
        self.columns = np.array([column for row in rows for column in row], np.int64)
        self.rows = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        squares = np.bincount(self.rows, scale[self.columns] ** 2, minlength=len(rows))
        self.values = (scale[self.columns] / np.sqrt(squares[self.rows])).astype(np.float32)[:, None]
        ends = np.cumsum([len(row) for row in rows])[:-1]
        self.columns_of = np.split(self.columns, ends)
        self.values_of = np.split(self.values[:, 0], ends)
        self.order = np.argsort(self.columns, kind="stable")

    def times(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        return _summed(weights[self.columns] * self.values, self.rows, self.shape[0])

    def transposed_times(self, wrong: NDArray[np.float32]) -> NDArray[np.float32]:
        order = self.order
        return _summed(wrong[self.rows[order]] * self.values[order], self.columns[order], self.shape[1])


def _summed(parts: NDArray[np.float32], groups: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    """Sum rows by sorted group."""
    out = np.zeros((length, parts.shape[1]), np.float32)
    if len(groups):
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        out[groups[starts]] = np.add.reduceat(parts, starts, axis=0)
    return out


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _adam(
    values: NDArray[np.float32],
    slope: NDArray[np.float32],
    moments: Sequence[NDArray[np.float32]],
    *,
    step: int,
    rate: float,
) -> None:
    first, second = moments
    first += 0.1 * (slope - first)
    second += 0.001 * (slope * slope - second)
    values -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
