"""The training images, and their split by patient. Part of the training; never imported at run time."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from osler.models.cxr.tensor import to_tensor

FRACTIONS: Final = {"train": 0.70, "validation": 0.13, "test": 0.17}


@dataclass(frozen=True, slots=True)
class Images:
    """A set of images in one order.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (image, 224, 224)
        What :func:`osler.models.cxr.tensor.to_tensor` returns, times 255.
    label : ndarray of int64, shape (image,)
        1 for pneumonia, 0 for normal.
    subtype : ndarray of str, shape (image,)
        ``"bacteria"``, ``"virus"`` or ``""``.
    group : ndarray of str, shape (image,)
        The patient, merged with patients who share a duplicate image.
    """

    pixels: npt.NDArray[np.uint8]
    label: npt.NDArray[np.int64]
    subtype: npt.NDArray[np.str_]
    group: npt.NDArray[np.str_]

    def take(self, index: npt.NDArray[np.intp]) -> "Images":
        """Return the images at these places."""
        return Images(self.pixels[index], self.label[index], self.subtype[index], self.group[index])

    def __len__(self) -> int:
        return len(self.label)


def read_images(folder: Path) -> Images:
    """Read the images that ``labels.csv`` (file, label, subtype, patient, dup_group) lists."""
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return Images(
        pixels=np.stack([read_image(folder / row["file"]) for row in rows]),
        label=np.array([int(row["label"] == "pneumonia") for row in rows]),
        subtype=np.array([row["subtype"] for row in rows]),
        group=np.array(merge_duplicates([(row["patient"], row["dup_group"]) for row in rows])),
    )


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """One picture file, through the same preprocessing as at run time; shape (224, 224)."""
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L"), dtype=np.float32)
    return np.rint(to_tensor(grey) * 255).astype(np.uint8)


def merge_duplicates(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Give each (patient, duplicate group) the name of the set of patients that duplicates tie together."""
    rows = list(rows)
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for patient, duplicate in rows:
        if duplicate:
            parent[root(patient)] = root(f"duplicate {duplicate}")
    return [root(patient) for patient, _ in rows]


def split(images: Images, seed: int) -> dict[str, Images]:
    """Split into train, validation and test, no group in two of them, the classes in proportion.

    The order of the groups is that of a seeded hash of their names, so a new image moves no other.
    """
    positive = {str(group) for group in images.group[images.label == 1]}
    place: dict[str, str] = {}
    for stratum in (positive, {str(group) for group in images.group} - positive):
        ordered = sorted(stratum, key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
        size = dict.fromkeys(stratum, 0)
        for group in images.group:
            if str(group) in size:
                size[str(group)] += 1
        total, done, bounds = sum(size.values()), 0, np.cumsum(list(FRACTIONS.values()))
        for group in ordered:
            part = min(int(np.searchsorted(bounds, (done + size[group] / 2) / total)), len(FRACTIONS) - 1)
            place[group] = list(FRACTIONS)[part]
            done += size[group]
    part_of = np.array([place[str(group)] for group in images.group])
    return {part: images.take(np.flatnonzero(part_of == part)) for part in FRACTIONS}
