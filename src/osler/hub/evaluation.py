"""Measure a model on a folder of labelled DICOM files, as it would read them here.

::

    labels.csv        file,LABEL,...     one line a file, 1 or 0 for each label of the card; empty where not known
    ...               the files that it names

Each file is one study. It is de-identified as in the flow, then read in the model's sandbox.
"""

import csv
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.domain.findings import Inference
from osler.errors import InputRejected, Malformed
from osler.infer.child import InferenceProcess, Start
from osler.infer.messages import Reading
from osler.infer.spool import Spool
from osler.plugins import Card, Instance, Study
from osler.registry.contents import file_hash
from osler.registry.measures import auroc, calibration_error, proportion

LABELS: Final = "labels.csv"
_AT_A_TIME: Final = 16


@dataclass(frozen=True, slots=True)
class Dataset:
    """A locked set.

    Parameters
    ----------
    folder : Path
    truth : mapping
        Of each file, by its name: whether each label is there; a label that is not known is left out.
    sha256 : str
        Over the names and the hashes of the files, and over ``labels.csv``.
    """

    folder: Path
    truth: Mapping[str, Mapping[str, bool]]
    sha256: str


@dataclass(frozen=True, slots=True)
class Readings:
    """What a model said of a set: of each file the probability of each label; ``refused`` says why it read the others.

    ``seconds`` is the model's own time for all the files, with decoding and without de-identifying.
    """

    card: Card
    probability: Mapping[str, Mapping[str, float]]
    refused: Mapping[str, str]
    seconds: float


def open_dataset(folder: Path) -> Dataset:
    """Read the labels, and hash the set.

    Raises
    ------
    Malformed
        If ``labels.csv`` cannot be read, or names what is not there or lies outside.
    """
    try:
        text = (folder / LABELS).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise Malformed(f"{folder} has no {LABELS} that can be read") from None
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or "file" not in rows[0] or len(rows[0]) < 2:
        raise Malformed(f"{LABELS} begins with a line file,LABEL,... and has a line for each file")
    truth = {str(row["file"]): _labels(row, number) for number, row in enumerate(rows, start=2)}
    digest = hashlib.sha256(f"{file_hash(folder / LABELS)}\n".encode())
    root = folder.resolve()
    for name in sorted(truth):
        path = (folder / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise Malformed(f"{LABELS} names a file that the folder does not have")
        digest.update(f"{file_hash(path)} {name}\n".encode())
    return Dataset(folder, truth, digest.hexdigest())


def read_dataset(start: Start, dataset: Dataset) -> Readings:
    """Let a model read a set, in its sandbox."""
    probability: dict[str, dict[str, float]] = {}
    refused: dict[str, str] = {}
    seconds = 0.0
    with tempfile.TemporaryDirectory(prefix="osler-evaluate-") as scratch:
        spool = Spool(Path(scratch))
        try:
            with InferenceProcess(start, spool) as process:
                names = iter(sorted(dataset.truth))
                while batch := list(islice(names, _AT_A_TIME)):
                    readings = list(_prepared(dataset, batch, spool, refused))
                    for answer in process.read(readings) if readings else []:
                        if isinstance(answer.result, Inference):
                            seconds += answer.result.seconds.get("predict", 0.0)
                            _take(answer.job_id, answer.result, probability, refused)
                        else:
                            refused[answer.job_id] = str(answer.result)
                    spool.clear()
                return Readings(process.hello.card, probability, refused, seconds)
        finally:
            spool.close()


def evaluate(start: Start, dataset: Dataset, readings: Readings) -> dict[str, Any]:
    """Compute the figures of what a model said of a set.

    Returns
    -------
    dict
        ``model``, ``dataset``, ``labels`` (AUROC, sensitivity and specificity at the card's threshold, each with its
        95 % interval, and the expected calibration error), ``refused`` and ``images_per_second``.
    """
    card = readings.card
    read = len(readings.probability)
    return {
        "model": {
            "name": card.name,
            "version": card.version,
            "sha256": card.sha256,
            "artefact": start.artefact.sha256 if start.artefact else "",
        },
        "dataset": {"sha256": dataset.sha256, "images": len(dataset.truth)},
        "age_policy": start.age_policy,
        "read": read,
        "refused": len(readings.refused),
        "reasons": _counted(readings.refused.values()),
        "images_per_second": round(read / readings.seconds, 2) if readings.seconds else None,
        "labels": [_figures(output.label, output.threshold, dataset, readings) for output in card.outputs],
    }


def _figures(label: str, threshold: float, dataset: Dataset, readings: Readings) -> dict[str, Any]:
    known = [n for n in sorted(readings.probability) if label in dataset.truth[n] and label in readings.probability[n]]
    probability = np.array([readings.probability[name][label] for name in known], dtype=np.float64)
    positive = np.array([dataset.truth[name][label] for name in known], dtype=np.bool_)
    called = probability >= threshold
    return {
        "label": label,
        "images": len(known),
        "positives": int(positive.sum()),
        "threshold": threshold,
        "auroc": auroc(probability, positive).document(),
        "sensitivity": proportion(int(called[positive].sum()), int(positive.sum())).document(),
        "specificity": proportion(int((~called)[~positive].sum()), int((~positive).sum())).document(),
        "expected_calibration_error": round(calibration_error(probability, positive), 4) if known else None,
    }


def _labels(row: Mapping[str, Any], line: int) -> dict[str, bool]:
    found = {}
    for label, value in row.items():
        if label is None or value is None or (value not in ("", "0", "1") and label != "file"):
            raise Malformed(f"{LABELS}, line {line}: a label is 1, 0 or empty")
        if label != "file" and value:
            found[label] = value == "1"
    return found


def _prepared(dataset: Dataset, names: Sequence[str], spool: Spool, refused: dict[str, str]) -> Iterator[Reading]:
    for number, name in enumerate(names):
        try:
            safe = deidentify_instance((dataset.folder / name).read_bytes(), pseudonyms=EphemeralPseudonyms())
        except InputRejected as error:
            refused[name] = f"not de-identified: {error}"
            continue
        path = spool.study_folder(f"study-{number}") / "0.dcm"
        path.write_bytes(safe.content)
        instance = Instance(safe.sop_instance_uid, safe.series_instance_uid, path)
        yield Reading(name, Study(f"2.25.{number}", (instance,), safe.age_band))


def _take(name: str, result: Inference, probability: dict[str, dict[str, float]], refused: dict[str, str]) -> None:
    found: dict[str, float] = {}
    for case in result.results:
        for finding in case.findings:
            found[finding.label] = max(finding.probability, found.get(finding.label, 0.0))
    if found:
        probability[name] = found
    else:
        refused[name] = next((refusal.reason for refusal in result.refusals), "nothing was read")


def _counted(reasons: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items()))
