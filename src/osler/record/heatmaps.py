"""Heatmaps of a result go into the blob store, and the result names them by reference."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from osler.domain.findings import CaseResult, Inference


def with_heatmaps(inference: Inference, heatmaps: Mapping[str, bytes], *, keep: Callable[[bytes], str]) -> Inference:
    """Keep the heatmaps of an inference.

    Parameters
    ----------
    inference : Inference
        Its results name their heatmaps by key.
    heatmaps : mapping of str to bytes
        PNG files by that key.
    keep : callable
        Keeps a file and returns its reference.
    """

    def kept(result: CaseResult) -> CaseResult:
        return result if result.heatmap is None else replace(result, heatmap=keep(heatmaps[result.heatmap]))

    return replace(inference, results=tuple(kept(result) for result in inference.results))
