from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.domain.findings import Finding, Inference, Refusal
from osler.publish.wording import NOTICE, conclusion, figures, statement
from osler.testing.results import MODEL, PNEUMONIA, case


def finding(probability: float, threshold: float = 0.5) -> Finding:
    return Finding("pneumonia", PNEUMONIA, probability, threshold)


@pytest.mark.parametrize(
    ("probability", "threshold", "said"),
    [
        (0.93, 0.5, ("0.9300", "0.5000")),
        (0.0, 0.5, ("0.0000", "0.5000")),
        (1.0, 1.0, ("1.0000", "1.0000")),
        (1e-9, 0.5, ("0.0000", "0.5000")),
        (0.43996, 0.44, ("0.439960", "0.440000")),
        (0.43999999, 0.44, ("0.439999990", "0.440000000")),
        (0.44, 0.43999999, ("0.4400", "0.4400")),
    ],
)
def test_four_digits_unless_they_would_cross_the_threshold(probability, threshold, said) -> None:
    assert tuple(map(str, figures(finding(probability, threshold)))) == said


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_figures_never_contradict_the_finding(probability: float, threshold: float) -> None:
    one = finding(probability, threshold)

    shown, at = figures(one)

    assert (shown >= at) == one.positive
    assert abs(shown - Decimal(str(probability))) <= Decimal("0.00005")


def test_a_result_in_words() -> None:
    inference = Inference(
        "2.25.1", MODEL, (case(outside=["the age is not known."]),), (Refusal("2.25.1.9.2", "a lateral view."),)
    )

    assert conclusion(inference, intended_use="Triage of children.").split("\n") == [
        NOTICE,
        "pneumonia: suspected (probability 0.9300, threshold 0.5000).",
        "Outside the intended use of the model: the age is not known.",
        "A series was not read: a lateral view.",
        "Model cxr-pneumonia-paediatric, version 1.0.0.",
        "Intended use: Triage of children.",
    ]


def test_a_negative_finding_in_words() -> None:
    said = statement(replace(finding(0.1), label="effusion"))

    assert said == "effusion: not suspected (probability 0.1000, threshold 0.5000)."
