"""CKD-EPI 2021 against values worked out by hand from the published equation, and contrast against the consensus."""

import pytest

from osler.clinical.contrast import Medium, contrast_caution
from osler.clinical.imaging_order import ImagingOrder, comparable, read_order
from osler.clinical.kidney import ckd_epi_2021
from osler.errors import InputRejected


@pytest.mark.parametrize(
    ("creatinine", "age", "female", "expected"),
    [
        (0.7, 50.0, True, 105.3),  # 142 x 0.9938^50 x 1.012
        (0.9, 50.0, False, 104.0),  # 142 x 0.9938^50
        (1.4, 50.0, True, 45.8),  # the same x 2^-1.2
        (1.8, 50.0, False, 45.3),
        (0.35, 30.0, True, 140.9),  # 142 x 0.5^-0.241 x 0.9938^30 x 1.012
        (4.0, 80.0, False, 14.4),
    ],
)
def test_ckd_epi_2021(creatinine: float, age: float, female: bool, expected: float) -> None:
    assert ckd_epi_2021(creatinine, age=age, female=female) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("creatinine", "age"), [(1.0, 17.9), (1.0, 200.0), (0.0, 50.0), (88.0, 50.0), (-1.0, 50.0)])
def test_what_the_equation_is_not_for(creatinine: float, age: float) -> None:
    with pytest.raises(InputRejected):
        ckd_epi_2021(creatinine, age=age, female=True)


@pytest.mark.parametrize(
    ("egfr", "medium", "severe"),
    [
        (29.9, Medium.IODINATED, True),
        (30.0, Medium.IODINATED, False),
        (44.9, Medium.IODINATED, False),
        (45.0, Medium.IODINATED, None),
        (29.9, Medium.GADOLINIUM, True),
        (30.0, Medium.GADOLINIUM, None),
    ],
)
def test_contrast(egfr: float, medium: Medium, severe: bool | None) -> None:
    caution = contrast_caution(egfr, medium)

    assert (caution.severe if caution else None) == severe


@pytest.mark.parametrize(
    ("words", "modality", "regions", "medium"),
    [
        ("CT Chest W contrast IV", "CT", {"chest"}, Medium.IODINATED),
        ("CT chest with IV contrast", "CT", {"chest"}, Medium.IODINATED),
        ("CT CHEST W/ CONTRAST", "CT", {"chest"}, Medium.IODINATED),
        ("CT Chest WO contrast", "CT", {"chest"}, None),
        ("CT chest without contrast", "CT", {"chest"}, None),
        ("CT chest w/o contrast", "CT", {"chest"}, None),
        ("CT Abdomen and Pelvis W and WO contrast", "CT", {"abdomen", "pelvis"}, Medium.IODINATED),
        ("CT angiography pulmonary arteries", "CT", {"chest"}, Medium.IODINATED),
        ("CTA head and neck", "CT", {"head", "neck"}, Medium.IODINATED),
        ("MRI brain with gadolinium", "MR", {"head"}, Medium.GADOLINIUM),
        ("MR lumbar spine without contrast", "MR", {"spine"}, None),
        ("XR Chest 2 Views", "XR", {"chest"}, None),
        ("Ultrasound abdomen", "US", {"abdomen"}, None),
        ("Chest X-ray", "XR", {"chest"}, None),
    ],
)
def test_the_words_of_an_order(words: str, modality: str, regions: set[str], medium: Medium | None) -> None:
    assert read_order(words) == ImagingOrder(modality, frozenset(regions), medium)


@pytest.mark.parametrize("words", ["Complete blood count", "Cardiology referral", "", "Contact precautions"])
def test_an_order_for_something_else(words: str) -> None:
    assert read_order(words) is None


@pytest.mark.parametrize(
    ("modalities", "words", "same"),
    [
        ({"CR"}, "CHEST PA", True),
        ({"DX"}, "thorax ap", True),
        ({"CT"}, "CHEST", False),
        ({"CR"}, "KNEE", False),
        ({"CR"}, "", False),
    ],
)
def test_what_is_comparable(modalities: set[str], words: str, same: bool) -> None:
    order = read_order("XR chest 2 views")

    assert order is not None
    assert comparable(order, modalities=frozenset(modalities), words=words) is same
