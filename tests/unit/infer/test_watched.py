"""What is told of a case for the watch: few finite figures, and categories that name nobody."""

from pathlib import Path

import numpy as np
import pytest

from osler.domain.states import AgeBand
from osler.errors import ContractViolation
from osler.infer.contract import check_watched
from osler.infer.origin import origin_of
from osler.models.cxr.tensor import figures_of, to_tensor
from osler.plugins import Case, Instance
from osler.testing import studies


@pytest.mark.parametrize(
    ("inputs", "origin"),
    [
        ({"mean": float("nan")}, {}),
        ({"mean": "bright"}, {}),
        ({"Doe^Jane": 1.0}, {}),
        ({f"f{n}": 0.0 for n in range(17)}, {}),
        ({}, {"patient": "Doe"}),
        ({}, {"scanner": "Doe^Jane"}),
        ({}, {"scanner": "x" * 49}),
    ],
)
def test_what_may_not_be_told_is_a_broken_contract(inputs: dict[str, float], origin: dict[str, str]) -> None:
    with pytest.raises(ContractViolation):
        check_watched(inputs, origin)


def test_what_may_be_told() -> None:
    check_watched({"mean": 0.5, "p99": 1}, {"scanner": "ACME One-2", "age": "1-5y", "photometric": "MONOCHROME2"})


def case(path: Path, **elements: object) -> Case:
    path.write_bytes(studies.part10(studies.image("CR", **elements)))
    return Case("1.2", (Instance("1.2.3", "1.2", path),))


def test_the_origin_comes_from_the_header_and_unusual_words_do_not(tmp_path: Path) -> None:
    told = origin_of(
        case(tmp_path / "a.dcm", Manufacturer="SIEMENS", ManufacturerModelName="Ysio Max"), AgeBand.YOUNG_CHILD
    )
    assert told["scanner"] == "SIEMENS Ysio Max"
    assert (told["age"], told["modality"], told["photometric"]) == ("1-5y", "CR", "MONOCHROME2")
    strange = origin_of(case(tmp_path / "b.dcm", Manufacturer="Doe^Jane", ManufacturerModelName=""), AgeBand.UNKNOWN)
    assert strange["scanner"] == "other"
    check_watched({}, strange)


def test_a_header_that_cannot_be_read_leaves_the_age(tmp_path: Path) -> None:
    (tmp_path / "c.dcm").write_bytes(b"no DICOM")
    assert origin_of(Case("1.2", (Instance("1.2.3", "1.2", tmp_path / "c.dcm"),)), AgeBand.ADULT) == {"age": "18y+"}


def test_brightness_shows_in_the_figures_though_not_in_the_tensor() -> None:
    grey = np.random.default_rng(1).random((600, 500)).astype(np.float32) * 0.5
    dark, bright = figures_of(grey, to_tensor(grey)), figures_of(grey + 0.3, to_tensor(grey + 0.3))
    assert bright["mean"] == pytest.approx(dark["mean"] + 0.3, abs=1e-3)
    assert bright["spread"] == pytest.approx(dark["spread"], abs=1e-3)
    assert bright["stretched_mean"] == pytest.approx(dark["stretched_mean"], abs=1e-3)
    check_watched(dark, {})
