"""Inside the inference process: one loaded model reads studies."""

import hashlib
import io
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from osler.domain.findings import CaseResult, Inference, Refusal
from osler.errors import InputRejected, OslerError, PluginError
from osler.infer import messages
from osler.infer.asking import Asker
from osler.infer.batching import Outcome, predict_all
from osler.infer.contract import check_selection
from osler.infer.devices import Device
from osler.infer.messages import Hello, Reading, Reply
from osler.infer.origin import origin_of
from osler.infer.sandbox import SandboxReport
from osler.infer.wire import Channel, Message
from osler.plugins import Case, LoadContext, Model, Selection
from osler.registry.boundary import call
from osler.registry.loading import open_artefact
from osler.registry.local import Registry


def serve(channel: Channel, start: Message, report: SandboxReport) -> int:
    """Load the model, greet, and answer requests until the worker closes the pipe."""
    began, spool = time.perf_counter(), Path.cwd()
    asker = Asker(channel, spool)
    try:
        model = _load(start, asker)
    except OslerError as error:
        channel.send({"error": messages.error_to_json(error)})
        return 1
    channel.send(messages.hello_to_json(Hello(model.card, report, time.perf_counter() - began)))
    while (request := channel.receive()) is not None:
        readings = [messages.reading_from_json(document, spool) for document in request["readings"]]
        selected = [_select(model, reading) for reading in readings]
        channel.send({"cases": sum(len(s.selection.cases) for s in selected if isinstance(s, _Selected))})
        asker.reading = True
        replies = _read(model, selected, spool / "out")
        asker.reading = False
        channel.send({"replies": [messages.reply_to_json(reply) for reply in replies]})
    return 0


@dataclass(frozen=True, slots=True)
class _Selected:
    reading: Reading
    selection: Selection
    seconds: float


def _load(start: Message, asker: Asker) -> Model:
    artefact = start["artefact"]
    if artefact:
        model = open_artefact(Path(artefact["folder"]), artefact["sha256"], Registry().resolve(artefact["runtime"]))
    else:
        handle = Registry().resolve(start["model"])
        model = handle.open()
        handle.verified(model.card)
    context = LoadContext(
        threads=start["threads"],
        age_policy=start["age_policy"],
        providers=Device(start["device"]).providers,
        ask=asker if model.card.endpoint else None,
    )
    call("load", lambda: model.load(context))
    return model


def _select(model: Model, reading: Reading) -> _Selected | Reply:
    began = time.perf_counter()
    try:
        selection = call("select", lambda: model.select(reading.study))
        check_selection(reading.study, selection)
    except OslerError as error:
        return Reply(reading.job_id, error=error)
    return _Selected(reading, selection, time.perf_counter() - began)


def _read(model: Model, selected: list[_Selected | Reply], out: Path) -> list[Reply]:
    """Read the cases of all studies together and give each study its own answer."""
    cases = [case for item in selected if isinstance(item, _Selected) for case in item.selection.cases]
    outcomes = iter(predict_all(model, cases))
    replies: list[Reply] = []
    for item in selected:
        if isinstance(item, _Selected):
            own = [(case, next(outcomes)) for case in item.selection.cases]
            replies.append(_reply(model, item, own, out))
        else:
            replies.append(item)
    return replies


def _reply(model: Model, item: _Selected, outcomes: list[tuple[Case, Outcome]], out: Path) -> Reply:
    results: list[CaseResult] = []
    heatmaps: dict[str, str] = {}
    refusals = [Refusal(uid, messages.short(reason)) for uid, reason in item.selection.refused.items()]
    for case, outcome in outcomes:
        answer = outcome.answer
        if isinstance(answer, InputRejected):
            refusals.append(Refusal(case.series_instance_uid, messages.short(str(answer)) or "it cannot be read"))
        elif isinstance(answer, OslerError):
            return Reply(item.reading.job_id, error=answer)
        else:
            result = CaseResult(
                series_instance_uid=case.series_instance_uid,
                sop_instance_uids=tuple(i.sop_instance_uid for i in case.instances),
                findings=tuple(answer.findings),
                outside_intended_use=tuple(
                    messages.short(reason) for reason in (*case.outside_intended_use, *answer.outside_intended_use)
                ),
                ood_score=answer.ood_score,
                inputs={name: float(value) for name, value in answer.inputs.items()},
                origin=origin_of(case, item.reading.study.age_band),
            )
            if answer.heatmap is not None:
                key = _write_heatmap(answer.heatmap, out)
                heatmaps[key] = f"{key}.png"
                result = replace(result, heatmap=key)
            results.append(result)
    seconds = {"select": item.seconds, "predict": sum(outcome.seconds for _, outcome in outcomes)}
    inference = Inference(
        item.reading.study.study_instance_uid, model.card.model_version, tuple(results), tuple(refusals), seconds
    )
    return Reply(item.reading.job_id, inference=inference, heatmaps=heatmaps)


def _write_heatmap(heatmap: npt.NDArray[np.float32], out: Path) -> str:
    """Write an 8-bit greyscale PNG named for its hash, which is its reference in the blob store too."""
    stream = io.BytesIO()
    Image.fromarray(np.rint(heatmap * 255.0).astype(np.uint8)).save(stream, "PNG", compress_level=1)
    content = stream.getvalue()
    key = hashlib.sha256(content).hexdigest()
    try:
        (out / f"{key}.png").write_bytes(content)
    except OSError as error:
        raise PluginError(f"the heatmap cannot be written ({type(error).__name__})") from None
    return key
