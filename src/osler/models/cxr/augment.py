"""Random changes of a whole batch: what scanners, windows, collimation and file formats do to a chest radiograph.

In the source data the classes differ in framing, contrast and sharpness, which says nothing of the lungs; the changes
are wide so that the network cannot lean on them. Part of the training; never imported at run time.
"""

import math

import torch
from torch.nn import functional


def augment(batch: torch.Tensor, *, side: int, rng: torch.Generator) -> torch.Tensor:
    """Change each image of a batch at random.

    Parameters
    ----------
    batch : Tensor of float32, shape (n, 1, row, column), in [0, 1]
    side : int
        Rows and columns of what is returned.
    rng : torch.Generator

    Returns
    -------
    Tensor of float32, shape (n, 1, side, side), in [0, 1]
    """
    batch = _resharpen(_warp(batch, side, rng), rng)
    return _cut_out(_regrade(batch, rng), rng)


def _uniform(batch: torch.Tensor, low: float, high: float, rng: torch.Generator) -> torch.Tensor:
    return torch.rand(len(batch), 1, 1, 1, generator=rng) * (high - low) + low


def _chosen(batch: torch.Tensor, share: float, rng: torch.Generator) -> torch.Tensor:
    return torch.rand(len(batch), 1, 1, 1, generator=rng) < share


def _warp(batch: torch.Tensor, side: int, rng: torch.Generator) -> torch.Tensor:
    """Rotate, scale, change the aspect ratio, shift and mirror."""

    def draw(low: float, high: float) -> torch.Tensor:
        return _uniform(batch, low, high, rng)[:, 0, 0, 0]

    angle = draw(-10, 10) * (math.pi / 180)
    scale, aspect = draw(-0.22, 0.15).exp(), draw(-0.18, 0.18).exp()
    mirror = torch.where(_chosen(batch, 0.25, rng)[:, 0, 0, 0], -1.0, 1.0)
    theta = torch.stack(
        [
            torch.stack([angle.cos() * scale * aspect * mirror, -angle.sin() * scale, draw(-0.15, 0.15)], 1),
            torch.stack([angle.sin() * scale * mirror, angle.cos() * scale / aspect, draw(-0.15, 0.15)], 1),
        ],
        1,
    )
    grid = functional.affine_grid(theta, [len(batch), 1, side, side], align_corners=False)
    outside = "zeros" if torch.rand((), generator=rng) < 0.5 else "border"
    return functional.grid_sample(batch, grid, padding_mode=outside, align_corners=False)


def _resharpen(batch: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Blur, sharpen or coarsen."""
    side = batch.shape[-1]
    coarse_side = int(side * float(torch.empty(()).uniform_(0.35, 0.9, generator=rng)))
    coarse = functional.interpolate(batch, size=coarse_side, mode="bilinear", antialias=True)
    coarse = functional.interpolate(coarse, size=side, mode="bilinear")
    amount = _uniform(batch, -0.8, 1.0, rng)  # negative: the difference is added back, which sharpens
    return torch.where(_chosen(batch, 0.5, rng), batch + amount * (coarse - batch), batch)


def _regrade(batch: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Gamma, window (contrast and brightness), noise of the detector and of JPEG's 8 x 8 blocks."""
    batch = batch.clamp(0, 1).pow(_uniform(batch, -0.5, 0.5, rng).exp())
    mean = batch.mean((2, 3), keepdim=True)
    batch = (batch - mean) * _uniform(batch, -0.5, 0.35, rng).exp() + mean + _uniform(batch, -0.15, 0.15, rng)
    fine = torch.randn(batch.shape, generator=rng)
    blocks = functional.interpolate(
        torch.randn(len(batch), 1, batch.shape[2] // 8, batch.shape[3] // 8, generator=rng), size=batch.shape[2:]
    )
    noise = fine * _uniform(batch, 0, 0.05, rng) + blocks * _uniform(batch, 0, 0.02, rng)
    return torch.where(_chosen(batch, 0.4, rng), batch + noise, batch)


def _cut_out(batch: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Cover a rectangle with one grey: a marker, a lead, a shutter."""
    side = batch.shape[-1]
    rows, columns = torch.arange(side).view(1, 1, -1, 1), torch.arange(side).view(1, 1, 1, -1)
    top, left = _uniform(batch, -0.1, 0.9, rng) * side, _uniform(batch, -0.1, 0.9, rng) * side
    height, width = _uniform(batch, 0.05, 0.35, rng) * side, _uniform(batch, 0.05, 0.35, rng) * side
    inside = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    covered = torch.where(inside, _uniform(batch, 0, 1, rng), batch)
    return torch.where(_chosen(batch, 0.4, rng), covered, batch).clamp(0, 1)
