"""An :class:`Inference` as JSON: what the ledger keeps and what an inference process answers."""

import json
import math
from collections.abc import Mapping
from typing import Any

from osler.domain.codes import Code
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion, Refusal
from osler.errors import ContractViolation, Malformed


def to_json(inference: Inference) -> dict[str, Any]:
    """Return the inference as JSON values; floats keep every digit."""
    return {
        "study_instance_uid": inference.study_instance_uid,
        "model": {
            "name": inference.model.name,
            "version": inference.model.version,
            "sha256": inference.model.sha256,
            "preprocessing": inference.model.preprocessing,
        },
        "results": [_result_to_json(result) for result in inference.results],
        "refusals": [{"series_instance_uid": r.series_instance_uid, "reason": r.reason} for r in inference.refusals],
        "seconds": {step: float(seconds) for step, seconds in inference.seconds.items()},
    }


def from_json(document: object) -> Inference:
    """Build the inference from what :func:`to_json` made.

    Raises
    ------
    Malformed
        If a member is missing, of the wrong type or not a finite number; the message names the member.
    """
    top = _object(document, "inference")
    model, seconds = _object(top.get("model"), "model"), _object(top.get("seconds"), "seconds")
    return Inference(
        study_instance_uid=_text(top, "study_instance_uid"),
        model=ModelVersion(*(_text(model, name) for name in ("name", "version", "sha256", "preprocessing"))),
        results=tuple(_result(item) for item in _array(top, "results")),
        refusals=tuple(_refusal(item) for item in _array(top, "refusals")),
        seconds={step: _number(seconds, step) for step in seconds},
    )


def dumps(inference: Inference) -> str:
    """Write the inference as JSON text."""
    return json.dumps(to_json(inference), separators=(",", ":"), allow_nan=False)


def loads(text: str) -> Inference:
    """Read the inference from JSON text.

    Raises
    ------
    Malformed
        If it is not JSON or not an inference.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    return from_json(document)


def _result_to_json(result: CaseResult) -> dict[str, Any]:
    return {
        "series_instance_uid": result.series_instance_uid,
        "sop_instance_uids": list(result.sop_instance_uids),
        "findings": [
            {
                "label": finding.label,
                "code": {
                    "value": finding.code.value,
                    "scheme": finding.code.scheme,
                    "meaning": finding.code.meaning,
                },
                "probability": float(finding.probability),
                "threshold": float(finding.threshold),
                "critical": finding.critical,
            }
            for finding in result.findings
        ],
        "outside_intended_use": list(result.outside_intended_use),
        "ood_score": None if result.ood_score is None else float(result.ood_score),
        "heatmap": result.heatmap,
        **({"inputs": {name: float(value) for name, value in result.inputs.items()}} if result.inputs else {}),
        **({"origin": dict(result.origin)} if result.origin else {}),
    }


def _result(item: object) -> CaseResult:
    result = _object(item, "result")
    heatmap = result.get("heatmap")
    inputs, origin = _object(result.get("inputs", {}), "inputs"), _object(result.get("origin", {}), "origin")
    return CaseResult(
        series_instance_uid=_text(result, "series_instance_uid"),
        sop_instance_uids=_texts(result, "sop_instance_uids"),
        findings=tuple(_finding(finding) for finding in _array(result, "findings")),
        outside_intended_use=_texts(result, "outside_intended_use"),
        ood_score=None if result.get("ood_score") is None else _number(result, "ood_score"),
        heatmap=None if heatmap is None else _text(result, "heatmap"),
        inputs={name: _number(inputs, name) for name in inputs},
        origin={name: _text(origin, name) for name in origin},
    )


def _finding(item: object) -> Finding:
    finding = _object(item, "finding")
    code = _object(finding.get("code"), "code")
    critical = finding.get("critical")
    if not isinstance(critical, bool):
        raise Malformed("critical is not true or false")
    try:
        return Finding(
            label=_text(finding, "label"),
            code=Code(_text(code, "value"), _text(code, "scheme"), _text(code, "meaning")),
            probability=_number(finding, "probability"),
            threshold=_number(finding, "threshold"),
            critical=critical,
        )
    except ContractViolation as error:
        raise Malformed(str(error)) from None


def _refusal(item: object) -> Refusal:
    refusal = _object(item, "refusal")
    return Refusal(_text(refusal, "series_instance_uid"), _text(refusal, "reason"))


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Malformed(f"{name} is not an object")
    return value


def _array(holder: Mapping[str, Any], name: str) -> list[Any]:
    value = holder.get(name)
    if not isinstance(value, list):
        raise Malformed(f"{name} is not an array")
    return value


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name} is not a string")
    return value


def _texts(holder: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = _array(holder, name)
    if not all(isinstance(value, str) for value in values):
        raise Malformed(f"{name} is not an array of strings")
    return tuple(values)


def _number(holder: Mapping[str, Any], name: str) -> float:
    value = holder.get(name)
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Malformed(f"{name} is not a finite number")
    return number
