"""The split keeps patients, and patients tied by duplicates, in one part."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from osler.models.cxr.dataset import FRACTIONS, Images, merge_duplicates, read_images, split


def images(groups: list[str], label: list[int]) -> Images:
    count = len(groups)
    return Images(np.zeros((count, 1, 1), np.uint8), np.array(label), np.array([""] * count), np.array(groups))


def test_patients_tied_by_duplicates_become_one_group() -> None:
    merged = merge_duplicates([("a", ""), ("b", "1"), ("c", "1"), ("c", "2"), ("d", "2"), ("e", "")])
    assert len({merged[1], merged[2], merged[3], merged[4]}) == 1
    assert len(set(merged)) == 3


def test_no_group_is_in_two_parts_and_the_classes_keep_their_share() -> None:
    rng = np.random.default_rng(0)
    groups = [f"patient {number}" for number in rng.integers(0, 600, 2000)]
    label = [int(hash_free(name) < 0.7) for name in groups]
    parts = split(images(groups, label), seed=4)
    names = [set(part.group) for part in parts.values()]
    assert not names[0] & names[1]
    assert not names[0] & names[2]
    assert not names[1] & names[2]
    assert sum(len(part) for part in parts.values()) == 2000
    for name, part in parts.items():
        assert abs(len(part) / 2000 - FRACTIONS[name]) < 0.01
        assert abs(part.label.mean() - np.mean(label)) < 0.02


def test_the_split_is_repeatable_and_follows_the_seed() -> None:
    groups = [f"patient {number}" for number in range(100)]
    whole = images(groups, [1, 0] * 50)
    first, again, other = split(whole, seed=1), split(whole, seed=1), split(whole, seed=2)
    assert first["test"].group.tolist() == again["test"].group.tolist()
    assert first["test"].group.tolist() != other["test"].group.tolist()


def test_the_listed_images_are_read_through_the_preprocessing(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(50, 150, 224), (224, 1)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "subtype", "patient", "dup_group"])
        rows.writerow(["a.png", "pneumonia", "virus", "p", ""])
    read = read_images(tmp_path)
    assert read.pixels.shape == (1, 224, 224)
    assert (read.pixels.min(), read.pixels.max()) == (0, 255)
    assert (read.label.tolist(), read.subtype.tolist(), read.group.tolist()) == ([1], ["virus"], ["p"])


def hash_free(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return (int(name.split()[1]) * 0.6180339887) % 1
