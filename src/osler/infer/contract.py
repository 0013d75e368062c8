"""What a model's answer must be. Used in its process, by the worker, and by the contract test for authors."""

import math
import re
from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from osler.domain.findings import Finding, Inference
from osler.errors import ContractViolation
from osler.plugins import Card, Prediction, Selection, Study

LARGEST_HEATMAP: Final = 4096  # rows and columns
MOST_INPUTS: Final = 16
ORIGIN: Final = ("age", "modality", "photometric", "scanner")
"""What may be told of where a case comes from."""
WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/+-]{0,47}")
"""A value of it."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")


def check_selection(study: Study, selection: Selection) -> None:
    """Check that each series is either read or refused with a reason, from instances that it has.

    Raises
    ------
    ContractViolation
    """
    if not isinstance(selection, Selection):
        raise ContractViolation("select does not return a Selection")
    members = {(i.series_instance_uid, i.sop_instance_uid) for i in study.instances}
    series = {i.series_instance_uid for i in study.instances}
    chosen = {case.series_instance_uid for case in selection.cases}
    refused = set(selection.refused)
    if chosen & refused:
        raise ContractViolation("select both reads and refuses a series")
    if chosen | refused != series:
        raise ContractViolation("select leaves out a series of the study, or names one that it does not have")
    for case in selection.cases:
        read = {(case.series_instance_uid, i.sop_instance_uid) for i in case.instances}
        if not read or not read <= members:
            raise ContractViolation("a case has no instances, or one that its series does not have")
    if not all(isinstance(reason, str) and reason.strip() for reason in selection.refused.values()):
        raise ContractViolation("select refuses a series without a reason")


def check_prediction(card: Card, prediction: Prediction) -> None:
    """Check that a prediction has each of the card's outputs once, and only finite numbers in their range.

    Raises
    ------
    ContractViolation
    """
    if not isinstance(prediction, Prediction):
        raise ContractViolation("predict does not return a Prediction")
    check_findings(card, prediction.findings)
    _check_score(prediction.ood_score)
    check_watched(prediction.inputs, {})
    if prediction.heatmap is not None:
        check_heatmap(prediction.heatmap)


def check_watched(inputs: Mapping[str, float], origin: Mapping[str, str]) -> None:
    """Check that what is watched for drift is few finite numbers and short words of harmless characters.

    Raises
    ------
    ContractViolation
    """
    if len(inputs) > MOST_INPUTS or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in inputs):
        raise ContractViolation(f"inputs are not at most {MOST_INPUTS} figures with names in lower case")
    if not all(isinstance(value, float | int) and math.isfinite(value) for value in inputs.values()):
        raise ContractViolation("a figure of the inputs is not a finite number")
    if not set(origin) <= set(ORIGIN) or not all(WORD.fullmatch(word) for word in origin.values()):
        raise ContractViolation("the origin of a case is not told in short words")


def check_findings(card: Card, findings: Collection[Finding]) -> None:
    """Check findings against the card's outputs.

    Raises
    ------
    ContractViolation
    """
    if not all(isinstance(finding, Finding) for finding in findings):
        raise ContractViolation("a finding is not a Finding")
    outputs = {output.label: output for output in card.outputs}
    labels = [finding.label for finding in findings]
    for label in labels:
        if label not in outputs:
            raise ContractViolation("a finding is not among the card's outputs")
        if labels.count(label) > 1:
            raise ContractViolation(f"finding {label!r} is given more than once")
    for label in outputs:
        if label not in labels:
            raise ContractViolation(f"finding {label!r} is missing")
    for finding in findings:
        output = outputs[finding.label]
        if (finding.code, finding.threshold, finding.critical) != (output.code, output.threshold, output.critical):
            raise ContractViolation(f"finding {finding.label!r} has another code, threshold or urgency than the card")
        if not 0.0 <= finding.probability <= 1.0:  # nor is NaN, which a class of the plugin's own may have let in
            raise ContractViolation(f"probability of finding {finding.label!r} is not a number in [0, 1]")


def check_heatmap(heatmap: npt.NDArray[np.float32]) -> None:
    """Check that an activation map is float32, has rows and columns, and lies in [0, 1].

    Raises
    ------
    ContractViolation
    """
    if not isinstance(heatmap, np.ndarray) or heatmap.dtype != np.float32:
        raise ContractViolation("the heatmap is not an array of float32")
    if heatmap.ndim != 2 or not 0 < min(heatmap.shape) <= max(heatmap.shape) <= LARGEST_HEATMAP:
        raise ContractViolation(f"the heatmap is not of shape (row, column), each 1 to {LARGEST_HEATMAP}")
    if not np.isfinite(heatmap).all() or heatmap.min() < 0.0 or heatmap.max() > 1.0:
        raise ContractViolation("the heatmap has values outside [0, 1]")


def check_inference(card: Card, study: Study, inference: Inference) -> None:
    """Check that an inference is this model's, and of this study and no other.

    Raises
    ------
    ContractViolation
    """
    if inference.model != card.model_version:
        raise ContractViolation("the answer is of another model")
    if inference.study_instance_uid != study.study_instance_uid:
        raise ContractViolation("the answer is of another study")
    members = {(i.series_instance_uid, i.sop_instance_uid) for i in study.instances}
    named = {(r.series_instance_uid, uid) for r in inference.results for uid in r.sop_instance_uids}
    series = {i.series_instance_uid for i in study.instances}
    answered = {r.series_instance_uid for r in inference.results} | {r.series_instance_uid for r in inference.refusals}
    if not named <= members or answered != series:
        raise ContractViolation("the answer leaves out a series of the study, or names what the study does not have")
    for result in inference.results:
        check_findings(card, result.findings)
        _check_score(result.ood_score)
        check_watched(result.inputs, result.origin)


def check_handed_in(card: Card, inference: Inference) -> None:
    """Check what another process says that this model answered; the ledger checks of which study it may speak.

    Raises
    ------
    ContractViolation
    """
    if inference.model != card.model_version:
        raise ContractViolation("the answer is of another model")
    for result in inference.results:
        check_findings(card, result.findings)
        check_watched(result.inputs, result.origin)


def _check_score(score: float | None) -> None:
    if score is not None and not math.isfinite(score):
        raise ContractViolation("the out-of-distribution score is not a finite number")
