"""The four messages between a worker and its inference process, as dataclasses and as JSON.

::

    worker                        inference process
    Start            ───────▶     draws the boundary, loads the model
                     ◀───────     Hello, or an error
    Reading, ...     ───────▶     chooses the cases
                     ◀───────     how many
                                  reads them; a model that runs elsewhere
                     ◀───────     asks, each time
    its answer       ───────▶
                     ◀───────     Reply, ...
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from osler.domain import inference_json
from osler.domain.codes import Code
from osler.domain.findings import Inference
from osler.domain.states import AgeBand, Priority
from osler.errors import (
    ConfigError,
    ContractViolation,
    InputRejected,
    IntegrityError,
    Malformed,
    OslerError,
    PluginError,
    UnsupportedKind,
)
from osler.infer.sandbox import SandboxReport
from osler.plugins import Card, Endpoint, Instance, Output, Study

STEPS: Final = ("select", "predict")
_LONGEST_REASON: Final = 200
_MOST_REASONS: Final = 20
_ERRORS: Final = (
    ContractViolation,
    UnsupportedKind,
    Malformed,
    InputRejected,
    IntegrityError,
    ConfigError,
    PluginError,
)


@dataclass(frozen=True, slots=True)
class Hello:
    """The model is loaded; ``seconds`` is how long that took."""

    card: Card
    sandbox: SandboxReport
    seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One study to read: a job's id and the study with its files in the spool."""

    job_id: str
    study: Study


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one reading: an inference with the names of its heatmap files by their hash, or an error."""

    job_id: str
    inference: Inference | None = None
    error: OslerError | None = None
    heatmaps: Mapping[str, str] = field(default_factory=dict)


def short(reason: str) -> str:
    """Return a reason on one line, cut when it is too long to be one."""
    words = " ".join("".join(c if c.isprintable() else " " for c in reason[: 2 * _LONGEST_REASON]).split())
    return words if len(words) <= _LONGEST_REASON else words[: _LONGEST_REASON - 1] + "…"


def error_to_json(error: OslerError) -> dict[str, Any]:
    """Write an error as its kind and its words."""
    kind = next((kind for kind in _ERRORS if isinstance(error, kind)), PluginError)
    return {"kind": kind.__name__, "words": short(str(error))}


def error_from_json(document: Any) -> OslerError:
    """Read an error; one of an unknown kind is a :class:`PluginError`."""
    if not isinstance(document, Mapping):
        raise ContractViolation("an error of the inference process is not an object")
    kind = next((kind for kind in _ERRORS if kind.__name__ == document.get("kind")), PluginError)
    return kind(short(str(document.get("words", ""))))


def hello_to_json(hello: Hello) -> dict[str, Any]:
    """Write the greeting."""
    card = dataclasses.asdict(hello.card)
    for name in ("training_data", "evaluation", "needs"):  # free form, perhaps with the dates of a YAML file
        card[name] = json.loads(json.dumps(card[name], default=str))
    return {
        "card": card,
        "sandbox": {"applied": hello.sandbox.applied, "missing": hello.sandbox.missing},
        "seconds": hello.seconds,
    }


def hello_from_json(document: Mapping[str, Any]) -> Hello:
    """Read the greeting.

    Raises
    ------
    ContractViolation
        If it is not one.
    """
    try:
        values = dict(document["card"])
        values["outputs"] = tuple(
            Output(**{**output, "code": Code(**output["code"]), "threshold": float(output["threshold"])})
            for output in values["outputs"]
        )
        values["modalities"] = tuple(map(str, values["modalities"]))
        values["endpoint"] = Endpoint.from_mapping(values["endpoint"]) if values.get("endpoint") else None
        values["max_batch"], values["timeout_s"] = int(values["max_batch"]), float(values["timeout_s"])
        report = document["sandbox"]
        sandbox = SandboxReport(tuple(map(str, report["applied"])), tuple(map(short, report["missing"])))
        return Hello(Card(**values), sandbox, float(document["seconds"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ContractViolation("the greeting of the inference process cannot be read") from None


def reading_to_json(reading: Reading, spool: Path) -> dict[str, Any]:
    """Write a reading; its files are named relative to the spool."""
    study = reading.study
    return {
        "job_id": reading.job_id,
        "study_instance_uid": study.study_instance_uid,
        "age_band": study.age_band.value,
        "priority": study.priority.value,
        "instances": [
            [i.sop_instance_uid, i.series_instance_uid, str(i.path.relative_to(spool))] for i in study.instances
        ],
    }


def reading_from_json(document: Mapping[str, Any], spool: Path) -> Reading:
    """Read a reading; the sender is trusted, since it is the hub."""
    study = Study(
        study_instance_uid=document["study_instance_uid"],
        instances=tuple(Instance(sop, series, spool / name) for sop, series, name in document["instances"]),
        age_band=AgeBand(document["age_band"]),
        priority=Priority(document["priority"]),
    )
    return Reading(document["job_id"], study)


def reply_to_json(reply: Reply) -> dict[str, Any]:
    """Write a reply."""
    if reply.inference is None:
        return {"job_id": reply.job_id, "error": error_to_json(reply.error or PluginError("no answer"))}
    return {
        "job_id": reply.job_id,
        "inference": inference_json.to_json(reply.inference),
        "heatmaps": dict(reply.heatmaps),
    }


def reply_from_json(document: Any) -> Reply:
    """Read a reply; what it says is still to be checked against what was asked.

    Raises
    ------
    ContractViolation
        If it has another form.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("job_id"), str):
        raise ContractViolation("a reply of the inference process cannot be read")
    if "error" in document:
        return Reply(document["job_id"], error=error_from_json(document["error"]))
    heatmaps = document.get("heatmaps")
    if not isinstance(heatmaps, Mapping) or not all(isinstance(name, str) for name in heatmaps.values()):
        raise ContractViolation("a reply of the inference process cannot be read")
    try:
        inference = inference_json.from_json(document.get("inference"))
    except Malformed as error:
        raise ContractViolation(f"the reply of the inference process: {error}") from None
    return Reply(document["job_id"], inference=_tamed(inference), heatmaps=dict(heatmaps))


def _tamed(inference: Inference) -> Inference:
    """Bound what a model may say in its own words, and keep only the steps that we know."""
    return replace(
        inference,
        results=tuple(
            replace(result, outside_intended_use=tuple(map(short, result.outside_intended_use[:_MOST_REASONS])))
            for result in inference.results
        ),
        refusals=tuple(replace(refusal, reason=short(refusal.reason)) for refusal in inference.refusals),
        seconds={step: inference.seconds[step] for step in STEPS if step in inference.seconds},
    )
