"""Make a light variant of a model for a small machine, and say what it costs, as measured here on a labelled set.

The network's convolutions are quantised to 8 bits by ONNX Runtime, calibrated on a tenth of the set, and both variants
are measured on the rest. The light one is taken only when it is faster and loses no more than it may; else the network
is exported as it is. Either way the card says what was tried and what came of it.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.config import Config
from osler.errors import ConfigError, OslerError, PluginError, UnsupportedKind
from osler.hub.cards import start_of, start_pinned
from osler.hub.evaluation import Dataset, Readings, evaluate, read_dataset
from osler.hub.registering import installed
from osler.infer.child import Start
from osler.plugins import Case, Instance, QuantisableModel
from osler.registry.artefact import check, seal
from osler.registry.boundary import call
from osler.registry.contents import file_hash
from osler.registry.port import CARD, WEIGHTS
from osler.registry.signing import Trust

_FIGURES: Final = ("auroc", "sensitivity", "specificity")
_FASTEST_OF: Final = 2
_LEAST_GAIN: Final = 1.05
_MOST_CALIBRATION: Final = 64


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of an export.

    Parameters
    ----------
    reference : str
    dataset : Dataset
    max_loss : float
        Largest loss of AUROC, sensitivity or specificity, on any label, that 8 bits may cost.
    key : Ed25519PrivateKey, optional
        Signs what is made.
    """

    reference: str
    dataset: Dataset
    max_loss: float = 0.01
    key: Ed25519PrivateKey | None = None


def export_light(config: Config, wish: Wish, out: Path) -> dict[str, Any]:
    """Write a light variant as an artefact.

    Parameters
    ----------
    config : Config
    wish : Wish
    out : Path
        Folder that is made.

    Returns
    -------
    dict
        What its card says of it: the chosen precision, and of each that was tried the figures and the speed.

    Raises
    ------
    ConfigError
        If there is something at ``out`` already, or what quantises is not installed.
    UnsupportedKind
        If the model is not of a card and one network.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already")
    start = start_of(config, wish.reference)
    source, runtime = _source(config, start)
    calibration, measured = _split(wish.dataset)
    _copy(source, out)
    try:
        card = yaml.safe_load((out / CARD).read_text(encoding="utf-8"))
        network = _network(out, card["sha256"])
        _quantise(_model(config, runtime, source), calibration, network)
        light = {**card, "version": f"{card['version']}+edge.int8", "sha256": file_hash(network)}
        _write(out, light, runtime, wish.key)
        pinned = check(out, Trust((), allow_unsigned=True) if wish.key is None else _own(wish.key)).pinned
        before, after = _measure(start, start_pinned(config, str(pinned), pinned), measured)
        report = _report(before, after, measured) | {"calibration_images": len(calibration.truth)}
        if not report["int8"]["worth_it"] or _loss(report) > wish.max_loss:
            shutil.copy(source / network.relative_to(out), network)
            light = {**card, "version": f"{card['version']}+edge.fp32"}
            report["precision"] = "fp32"
        light["evaluation"] = {**card.get("evaluation", {}), "edge": report}
        _write(out, light, runtime, wish.key)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return report | {"version": light["version"], "folder": str(out)}


def _source(config: Config, start: Start) -> tuple[Path, str]:
    """Return where the card and the weights of a model lie, and the plugin that opens them."""
    if start.artefact is not None:
        return start.artefact.folder, start.artefact.runtime
    handle = installed(config).resolve(start.model)
    weights = handle.verified(handle.card)
    if not (weights.parent.parent / CARD).is_file():
        raise UnsupportedKind(f"{handle.name} has no card.yaml with weights/: there is no network to make light")
    return weights.parent.parent, handle.name


def _split(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Set a tenth of the set aside to calibrate by, evenly over its names; what is measured on is the rest."""
    names = sorted(dataset.truth)
    step = max(10, -(-len(names) // _MOST_CALIBRATION))
    aside = set(names[::step])
    return tuple(  # type: ignore[return-value]
        replace(dataset, truth={n: t for n, t in dataset.truth.items() if (n in aside) is wanted})
        for wanted in (True, False)
    )


def _copy(source: Path, out: Path) -> None:
    out.mkdir(parents=True)
    shutil.copy(source / CARD, out / CARD)
    shutil.copytree(source / WEIGHTS, out / WEIGHTS, ignore=shutil.ignore_patterns("__*", "*.py"))


def _network(folder: Path, sha256: str) -> Path:
    found = [path for path in (folder / WEIGHTS).rglob("*.onnx") if file_hash(path) == sha256]
    if len(found) != 1:
        raise UnsupportedKind("the weights that the card names are no single ONNX network")
    return found[0]


def _model(config: Config, runtime: str, folder: Path) -> QuantisableModel:
    model = installed(config).resolve(runtime).open_folder(folder)
    if not isinstance(model, QuantisableModel):
        raise PluginError(f"the plugin {runtime} does not say what its network is fed: it has no network_inputs")
    return model


def _quantise(model: QuantisableModel, calibration: Dataset, network: Path) -> None:
    """Replace a network by one whose convolutions are of 8 bits."""
    try:
        import onnx  # noqa: F401 - what follows cannot do without it
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError:
        raise ConfigError("to make a network light: pip install 'osler[edge]'") from None

    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        """Hands over the inputs one after the other."""

        def __init__(self) -> None:
            self._inputs = _inputs(model, calibration)

        def get_next(self) -> Mapping[str, Any] | None:
            return next(self._inputs, None)

    coming = network.with_suffix(".int8.onnx")
    call(
        "quantise",
        lambda: quantize_static(
            str(network),
            str(coming),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        ),
    )
    coming.replace(network)


def _inputs(model: QuantisableModel, dataset: Dataset) -> Iterator[Mapping[str, Any]]:
    for name in sorted(dataset.truth):
        case = Case("2.25.2", (Instance("2.25.1", "2.25.2", dataset.folder / name),))
        with contextlib.suppress(OslerError):  # what the model cannot read it is not calibrated by either
            yield call("network_inputs", partial(model.network_inputs, case))


def _write(out: Path, card: Mapping[str, Any], runtime: str, key: Ed25519PrivateKey | None) -> None:
    text = yaml.safe_dump(dict(card), sort_keys=False, allow_unicode=True, width=110)
    (out / CARD).write_text(text, encoding="utf-8")
    seal(out, runtime=runtime, key=key)


def _own(key: Ed25519PrivateKey) -> Trust:
    from osler.registry.signing import public_text

    return Trust((public_text(key.public_key()),))


def _measure(before: Start, after: Start, dataset: Dataset) -> tuple[tuple[Start, Readings], tuple[Start, Readings]]:
    """Read the set with both, in turn, and keep the faster reading of each."""
    best: list[Readings | None] = [None, None]
    for _ in range(_FASTEST_OF):
        for which, start in enumerate((before, after)):
            found = read_dataset(start, dataset)
            known = best[which]
            best[which] = found if known is None or found.seconds < known.seconds else known
    assert best[0] is not None
    assert best[1] is not None
    return (before, best[0]), (after, best[1])


def _report(before: tuple[Start, Readings], after: tuple[Start, Readings], dataset: Dataset) -> dict[str, Any]:
    first, second = evaluate(before[0], dataset, before[1]), evaluate(after[0], dataset, after[1])
    both = sorted(set(before[1].probability) & set(after[1].probability))
    differences = [
        abs(before[1].probability[name][label] - after[1].probability[name][label])
        for name in both
        for label in before[1].probability[name]
    ]
    gain = (second["images_per_second"] or 0.0) / (first["images_per_second"] or np.inf)
    return {
        "precision": "int8",
        "dataset": dataset.sha256,
        "images": len(dataset.truth),
        "fp32": {"labels": first["labels"], "refused": first["refused"]}
        | {"images_per_second": first["images_per_second"]},
        "int8": {
            "labels": second["labels"],
            "refused": second["refused"],
            "images_per_second": second["images_per_second"],
            "times_as_fast": round(float(gain), 2),
            "losses": {
                one["label"]: {what: _difference(one[what]["value"], other[what]["value"]) for what in _FIGURES}
                for one, other in zip(first["labels"], second["labels"], strict=True)
            },
            "largest_difference": round(max(differences, default=0.0), 4),
            "worth_it": bool(gain >= _LEAST_GAIN and second["refused"] <= first["refused"]),
        },
    }


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else round(one - other, 4)


def _loss(report: Mapping[str, Any]) -> float:
    """Return the largest loss; a loss that could not be measured counts as too much."""
    losses = [loss for label in report["int8"]["losses"].values() for loss in label.values()]
    return max((np.inf if loss is None else loss for loss in losses), default=np.inf)
