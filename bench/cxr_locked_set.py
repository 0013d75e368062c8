"""Write patients held apart from the training of the chest X-ray model as DICOM files with labels.csv.

``python bench/cxr_locked_set.py DATA OUT [IMAGES]``; DATA is the folder that the model was trained from. The set is
what ``osler models evaluate`` and ``osler models export`` measure on: half of it with pneumonia, of the test patients.
"""

import sys
from pathlib import Path

import numpy as np

from osler.models.cxr.dataset import read_images, split
from osler.testing import studies

SEED = 20180222
"""Of the split that the shipped weights were trained with."""


def main(data: Path, out: Path, images: int) -> None:
    """Write the set."""
    held_apart = split(read_images(data), SEED)["test"]
    out.mkdir(parents=True)
    lines = ["file,pneumonia"]
    for label in (0, 1):
        for number in np.flatnonzero(held_apart.label == label)[: images // 2]:
            name = f"{label}-{number:05d}.dcm"
            pixels = held_apart.pixels[number].astype(np.uint16) * 16
            uid = f"2.25.{label + 1}{number:05d}"
            image = studies.image("CR", pixels=pixels, PatientAge="004Y", SOPInstanceUID=uid, WindowCenter=None)
            del image.WindowWidth
            (out / name).write_bytes(studies.part10(image))
            lines.append(f"{name},{label}")
    (out / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 200)
