"""Train, compare, calibrate, evaluate and export the chest X-ray model, and write its card.

``python -m osler.models.cxr.train --data DIR --out weights/`` (``make train-cxr DATA=DIR``). Needs the ``train`` extra.
Every random draw is seeded; the card is written by this program, not by hand.
"""

import argparse
import hashlib
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom
import torch
import yaml
from torch import nn

from osler.models.cxr import card_text, measure
from osler.models.cxr.augment import augment
from osler.models.cxr.dataset import Images, read_image, read_images, split
from osler.models.cxr.export import Familiarity, Scorer, Shipped, TwoViews, export
from osler.models.cxr.fit import RECIPES, REFERENCE_PREVALENCE, Recipe, fit, to_batch
from osler.models.cxr.pixels import read_grey
from osler.models.cxr.tensor import to_tensor
from osler.models.cxr.variants import VARIANTS

LOG: Final = logging.getLogger(__name__)

SENSITIVITY: Final = 0.97
"""Sensitivity on the validation patients that the shipped threshold is chosen for."""

OOD_PERCENTILE: Final = 99.0
"""Percentile of the validation images' out-of-distribution score above which an image is flagged."""

OOD_REFUSAL_FACTOR: Final = 1.8
"""An image whose score is this many times the cut is not read at all."""

HARD_COPIES: Final = 2
"""Augmented copies of each validation image, on which the architectures are compared and the temperature is fitted."""

ROBUSTNESS_STEP: Final = 4
"""Every fourth held-apart image is written in all the other ways."""

MAX_BYTES: Final = 25_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """One trained architecture and what validation says of it."""

    recipe: Recipe
    net: nn.Module
    scorer: Scorer
    validation_auroc: float
    hard_validation_auroc: float
    test_auroc: float


def main(arguments: list[str] | None = None) -> int:
    """Run the training program.

    Returns
    -------
    int
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m osler.models.cxr.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv and the images it lists")
    parser.add_argument("--out", type=Path, required=True, help="folder for cxr.onnx; card.yaml goes beside it")
    parser.add_argument("--seed", type=int, default=20180222)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoints", type=Path, help="folder that keeps trained networks and takes those it has")
    parser.add_argument(
        "--unlike",
        type=Path,
        action="append",
        default=[],
        help="folder of pictures (PNG, JPEG, DICOM) that are no chest "
        "radiographs, for measuring the out-of-distribution score; may be given several times",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)
    parts = split(read_images(options.data), options.seed)
    hard = harder(parts["validation"], seed=options.seed)
    candidates = [candidate(recipe, parts, hard, options) for recipe in RECIPES]
    best = max(candidates, key=lambda c: c.hard_validation_auroc)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "cxr.onnx"
    shipped, decisions = ship(best, parts, hard)
    if len(shipped) > MAX_BYTES:
        raise SystemExit(f"the weights take more than {MAX_BYTES // 1_000_000} MB")
    path.write_bytes(shipped)
    evaluation = evaluate(Scorer(shipped, threads=options.threads), parts["test"], decisions, options)
    evaluation["comparison"] = [comparison(c, chosen=c is best) for c in candidates]
    write_card(options.out.parent / "card.yaml", path, decisions, evaluation, training_data(parts, best))
    LOG.info("wrote %s", path)
    return 0


def candidate(recipe: Recipe, parts: dict[str, Images], hard: Images, options: argparse.Namespace) -> Candidate:
    """Train one architecture, or take it from the checkpoints, and score it."""
    kept = options.checkpoints and options.checkpoints / f"{recipe.architecture.split()[0]}-{options.seed}.pt"
    if kept and kept.exists():
        net = recipe.build().eval()
        net.load_state_dict(torch.load(kept, map_location="cpu", weights_only=True))
    else:
        net = fit(recipe, parts["train"], seed=options.seed)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            torch.save(net.state_dict(), kept)
    scorer = Scorer(export(TwoViews(net), ("logit", "activation", "features")), threads=options.threads)
    scored = {
        name: measure.auroc(scorer(images.pixels)["logit"], images.label)
        for name, images in (("validation", parts["validation"]), ("hard", hard), ("test", parts["test"]))
    }
    LOG.info("%s: AUROC %s", recipe.architecture, scored)
    return Candidate(recipe, net, scorer, scored["validation"], scored["hard"], scored["test"])


def harder(images: Images, *, seed: int) -> Images:
    """Augmented copies of images, as the training saw them."""
    draws = torch.Generator().manual_seed(seed + 1)
    index = np.tile(np.arange(len(images)), HARD_COPIES)
    copies = [
        augment(to_batch(images.pixels[index[i : i + 64]]), side=images.pixels.shape[1], rng=draws)
        for i in range(0, len(index), 64)
    ]
    pixels = (torch.cat(copies)[:, 0] * 255).round().byte().numpy()
    return Images(pixels, images.label[index], images.subtype[index], images.group[index])


def ship(best: Candidate, parts: dict[str, Images], hard: Images) -> tuple[bytes, dict[str, float]]:
    """Decide temperature, threshold and cuts on validation; returns the network that has them, and the decisions."""
    weight = measure.weights_for(hard.label, REFERENCE_PREVALENCE)
    # On its own patients the smoothed network is under-confident, and the fit would sharpen it. Every other hospital
    # makes a network over-confident, so it is never sharpened.
    temperature = max(1.0, measure.fit_temperature(best.scorer(hard.pixels)["logit"], hard.label, weight))
    said = best.scorer(parts["validation"].pixels)
    probability = 1 / (1 + np.exp(-said["logit"] / temperature))
    familiarity = Familiarity.of(best.scorer(parts["train"].pixels)["features"])
    cut = float(np.percentile(familiarity.score(said["features"]), OOD_PERCENTILE))
    decisions = {
        "temperature": round(temperature, 4),
        "threshold": measure.threshold_for(probability, parts["validation"].label, sensitivity=SENSITIVITY),
        "ood_cut": round(cut, 4),
        "ood_refusal_cut": round(cut * OOD_REFUSAL_FACTOR, 4),
    }
    shipped = Shipped(best.net, temperature=decisions["temperature"], familiarity=familiarity)
    metadata = {key: str(decisions[key]) for key in ("ood_cut", "ood_refusal_cut")}
    return export(shipped, ("probability", "activation", "ood_score"), metadata=metadata), decisions


def evaluate(scorer: Scorer, test: Images, decisions: dict[str, float], options: argparse.Namespace) -> dict[str, Any]:
    """All figures on the patients held apart, measured on the exported file."""
    said = scorer(test.pixels)
    probability, threshold = said["probability"], decisions["threshold"]
    own = measure.reliability(probability, test.label, np.ones(len(test)))
    weight = measure.weights_for(test.label, REFERENCE_PREVALENCE)
    table = measure.reliability(probability, test.label, weight)
    return {
        "data": "patients held apart from the training collection; not the source's official test split",
        "threshold_rule": f"sensitivity {SENSITIVITY} on the validation patients",
        **decisions,
        "reference_prevalence": round(REFERENCE_PREVALENCE, 4),
        "overall": measure.figures(probability, test.label, test.group, threshold=threshold, seed=options.seed),
        "subgroups": {
            name: measure.figures(
                probability[chosen], test.label[chosen], test.group[chosen], threshold=threshold, seed=options.seed
            )
            for name, chosen in (
                ("bacterial pneumonia against normal", test.subtype != "virus"),
                ("viral pneumonia against normal", test.subtype != "bacteria"),
            )
        },
        "calibration": {
            "expected_calibration_error": round(measure.calibration_error(table), 4),
            "at_the_prevalence_of_the_images": round(measure.calibration_error(own), 4),
            "brier": round(float(np.average((probability - test.label) ** 2, weights=weight)), 4),
            "reliability": table,
        },
        "robustness": robustness(scorer, test, threshold),
        "out_of_distribution": strangeness(scorer, said["ood_score"], decisions, options),
    }


def robustness(scorer: Scorer, test: Images, threshold: float) -> dict[str, Any]:
    """Score a part of the same patients, each image written as DICOM in another way and read back as at run time."""
    test = test.take(np.arange(0, len(test), ROBUSTNESS_STEP))
    results: dict[str, Any] = {"images": len(test)}
    for name, variant in VARIANTS.items():
        tensors = np.stack([to_tensor(read_grey(variant(square))) for square in test.pixels])
        probability = scorer(tensors)["probability"]
        results[name] = {
            "auroc": round(measure.auroc(probability, test.label), 4),
            "sensitivity": round(float((probability >= threshold)[test.label == 1].mean()), 4),
            "specificity": round(float((probability < threshold)[test.label == 0].mean()), 4),
        }
    return results


def strangeness(
    scorer: Scorer, chests: npt.NDArray[np.float64], decisions: dict[str, float], options: argparse.Namespace
) -> dict[str, Any]:
    """How often the score flags and refuses images that are no chest radiographs, and those that are."""
    sets = {"held-apart chest radiographs": chests}
    for name, tensors in {**made_up(options.seed), **{str(f.name): read_folder(f) for f in options.unlike}}.items():
        sets[name] = scorer(tensors)["ood_score"]
    return {
        name: {
            "images": len(score),
            "flagged": round(float((score > decisions["ood_cut"]).mean()), 4),
            "refused": round(float((score > decisions["ood_refusal_cut"]).mean()), 4),
        }
        for name, score in sets.items()
    }


def made_up(seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Pictures of nothing: noise, black, gradients."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, 224, dtype=np.float32)
    gradients = [np.add.outer(a * ramp, b * ramp) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    return {
        "noise": np.stack([to_tensor(rng.random((224, 224), dtype=np.float32)) for _ in range(20)]),
        "black": np.zeros((1, 224, 224), np.float32),
        "gradients": np.stack([to_tensor(g.astype(np.float32)) for g in gradients]),
    }


def read_folder(folder: Path) -> npt.NDArray[np.float32]:
    """Every picture of a folder, shape (image, 224, 224)."""
    tensors = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() == ".dcm":
            tensors.append(to_tensor(read_grey(pydicom.dcmread(path))))
        elif path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            tensors.append(np.divide(read_image(path), 255, dtype=np.float32))
    return np.stack(tensors)


def comparison(scored: Candidate, *, chosen: bool) -> dict[str, Any]:
    """One line of the comparison of architectures."""
    return {
        "architecture": scored.recipe.architecture,
        "initial_weights": scored.recipe.initial_weights,
        "epochs": epochs_of(scored.recipe),
        "parameters": sum(p.numel() for p in scored.net.parameters()),
        "validation_auroc": round(scored.validation_auroc, 4),
        "augmented_validation_auroc": round(scored.hard_validation_auroc, 4),
        "held_apart_auroc": round(scored.test_auroc, 4),
        "shipped": chosen,
    }


def epochs_of(recipe: Recipe) -> list[dict[str, int]]:
    """Give the epochs of a recipe and the size of the images in them, for the card."""
    return [{"epochs": epochs, "side": side} for epochs, side in recipe.stages]


def training_data(parts: dict[str, Images], best: Candidate) -> dict[str, Any]:
    """Gather sources, sizes and recipe for the card."""
    recipe = best.recipe
    return {
        **card_text.SOURCES,
        "split": {
            name: {
                "images": len(images),
                "patients": len(np.unique(images.group)),
                "normal": int((images.label == 0).sum()),
                "bacterial": int((images.subtype == "bacteria").sum()),
                "viral": int((images.subtype == "virus").sum()),
            }
            for name, images in parts.items()
        },
        "recipe": {
            "architecture": recipe.architecture,
            "initial_weights": recipe.initial_weights,
            "views": "mean logit of the image and of its mirrored copy in a black frame",
            "epochs": epochs_of(recipe),
            "images_per_epoch": recipe.epoch_images,
            "batch": recipe.batch,
            "peak_learning_rate": recipe.learning_rate,
            "label_smoothing": recipe.label_smoothing,
            "weight_average_decay": recipe.average_decay,
        },
    }


def write_card(
    path: Path, weights: Path, decisions: dict[str, float], evaluation: dict[str, Any], data: dict[str, Any]
) -> None:
    """Write ``card.yaml``: the prose, the decisions, the figures and the weights' hash."""
    output = {**card_text.OUTPUT, "threshold": decisions["threshold"]}
    content = {
        **card_text.HEAD,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "outputs": [output],
        **card_text.RUN,
        "training_data": data,
        "evaluation": evaluation,
    }
    path.write_text(
        "# Written by train.py.\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110),
        encoding="utf-8",
    )


if __name__ == "__main__":
    sys.exit(main())
