"""What a model's answer must be: one row a rule."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osler.domain.codes import Code
from osler.domain.findings import CaseResult, Finding, Inference, Refusal
from osler.errors import ContractViolation
from osler.infer.contract import check_inference, check_prediction, check_selection
from osler.plugins import Case, Instance, Output, Prediction, Selection, Study
from osler.testing import FakeModel

A, B = (Instance(f"2.25.{n}1", f"2.25.{n}", Path(f"{n}.dcm")) for n in (1, 2))
A2 = Instance("2.25.12", "2.25.1", Path("1b.dcm"))
ELSEWHERE = Instance("2.25.91", "2.25.1", Path("9.dcm"))
STUDY = Study("2.25.0", (A, A2, B))
CODE = Code("112033", "DCM", "Abnormal opacity")
CARD = replace(
    FakeModel().card,
    outputs=(Output("opacity", CODE, 0.5, critical=True), Output("effusion", CODE, 0.25)),
)
OPACITY = Finding("opacity", CODE, 0.75, 0.5, critical=True)
EFFUSION = Finding("effusion", CODE, 0.125, 0.25)


def case(*instances: Instance, series: str = "2.25.1") -> Case:
    return Case(series, instances)


@pytest.mark.parametrize(
    "selection",
    [
        Selection((case(A),), {"2.25.2": "a lateral view"}),
        Selection((case(A), case(A2), case(B, series="2.25.2"))),
        Selection((case(A, A2),), {"2.25.2": "a lateral view"}),
        Selection((), {"2.25.1": "a leg", "2.25.2": "a leg"}),
    ],
    ids=["one of two", "every image a case", "a series is a case", "nothing"],
)
def test_a_selection_that_holds(selection):
    check_selection(STUDY, selection)


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (None, "does not return a Selection"),
        (Selection(()), "leaves out a series"),
        (Selection((case(A),)), "leaves out a series"),
        (Selection((case(A), case(B, series="2.25.2")), {"2.25.3": "unknown"}), "leaves out"),
        (Selection((case(A),), {"2.25.1": "a leg", "2.25.2": "a leg"}), "both reads and refuses"),
        (Selection((case(),), {"2.25.2": "a leg"}), "no instances"),
        (Selection((case(B),), {"2.25.2": "a leg"}), "its series does not have"),
        (Selection((case(ELSEWHERE),), {"2.25.2": "a leg"}), "its series does not have"),
        (Selection((case(A),), {"2.25.2": " "}), "without a reason"),
        (Selection((case(A),), {"2.25.2": None}), "without a reason"),
    ],
)
def test_a_selection_that_does_not_hold(selection, words):
    with pytest.raises(ContractViolation, match=words):
        check_selection(STUDY, selection)


def unchecked(**values: object) -> Finding:
    finding = replace(OPACITY)
    for name, value in values.items():
        object.__setattr__(finding, name, value)
    return finding


@pytest.mark.parametrize(
    "heatmap", [None, np.zeros((1, 1), np.float32), np.ones((4096, 2), np.float32)], ids=["none", "small", "tall"]
)
@pytest.mark.parametrize("ood_score", [None, 0.0, -3.5, 1e30])
def test_a_prediction_that_holds(heatmap, ood_score):
    check_prediction(CARD, Prediction((EFFUSION, OPACITY), heatmap=heatmap, ood_score=ood_score))


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (None, "does not return a Prediction"),
        (Prediction(()), "'opacity' is missing"),
        (Prediction((OPACITY,)), "'effusion' is missing"),
        (Prediction((OPACITY, EFFUSION, EFFUSION)), "more than once"),
        (Prediction((OPACITY, EFFUSION, unchecked(label="mass"))), "not among the card's outputs"),
        (Prediction((OPACITY, "effusion")), "not a Finding"),
        (Prediction((unchecked(threshold=0.6), EFFUSION)), "another code, threshold or urgency"),
        (Prediction((unchecked(critical=False), EFFUSION)), "another code, threshold or urgency"),
        (Prediction((unchecked(code=Code("1", "99X", "x")), EFFUSION)), "another code, threshold or urgency"),
        (Prediction((unchecked(probability=float("nan")), EFFUSION)), r"not a number in \[0, 1\]"),
        (Prediction((unchecked(probability=float("inf")), EFFUSION)), r"not a number in \[0, 1\]"),
        (Prediction((unchecked(probability=-0.1), EFFUSION)), r"not a number in \[0, 1\]"),
        (Prediction((OPACITY, EFFUSION), ood_score=float("nan")), "not a finite number"),
        (Prediction((OPACITY, EFFUSION), ood_score=float("-inf")), "not a finite number"),
    ],
)
def test_a_prediction_that_does_not_hold(prediction, words):
    with pytest.raises(ContractViolation, match=words):
        check_prediction(CARD, prediction)


@pytest.mark.parametrize(
    ("heatmap", "words"),
    [
        ([[0.0]], "float32"),
        (np.zeros((4, 4)), "float32"),
        (np.zeros((4, 4), np.uint8), "float32"),
        (np.zeros(4, np.float32), "shape"),
        (np.zeros((1, 4, 4), np.float32), "shape"),
        (np.zeros((0, 4), np.float32), "shape"),
        (np.zeros((4097, 1), np.float32), "shape"),
        (np.full((2, 2), 1.01, np.float32), r"outside \[0, 1\]"),
        (np.full((2, 2), -0.01, np.float32), r"outside \[0, 1\]"),
        (np.full((2, 2), np.nan, np.float32), r"outside \[0, 1\]"),
        (np.full((2, 2), np.inf, np.float32), r"outside \[0, 1\]"),
    ],
)
def test_a_heatmap_that_does_not_hold(heatmap, words):
    with pytest.raises(ContractViolation, match=words):
        check_prediction(CARD, Prediction((OPACITY, EFFUSION), heatmap=heatmap))


RESULT = CaseResult("2.25.1", ("2.25.11",), (OPACITY, EFFUSION))
INFERENCE = Inference("2.25.0", CARD.model_version, (RESULT,), (Refusal("2.25.2", "a leg"),))


def test_an_inference_that_holds():
    check_inference(CARD, STUDY, INFERENCE)


@pytest.mark.parametrize(
    ("inference", "words"),
    [
        (replace(INFERENCE, study_instance_uid="2.25.7"), "another study"),
        (replace(INFERENCE, model=replace(INFERENCE.model, version="2.0.0")), "another model"),
        (replace(INFERENCE, model=replace(INFERENCE.model, sha256="0" * 64)), "another model"),
        (replace(INFERENCE, refusals=()), "leaves out a series"),
        (replace(INFERENCE, results=(), refusals=INFERENCE.refusals), "leaves out a series"),
        (replace(INFERENCE, refusals=(*INFERENCE.refusals, Refusal("2.25.3", "x"))), "does not have"),
        (replace(INFERENCE, results=(replace(RESULT, sop_instance_uids=("2.25.21",)),)), "does not have"),
        (replace(INFERENCE, results=(replace(RESULT, findings=(OPACITY,)),)), "'effusion' is missing"),
        (replace(INFERENCE, results=(replace(RESULT, ood_score=float("nan")),)), "finite"),
    ],
)
def test_an_inference_that_does_not_hold(inference, words):
    with pytest.raises(ContractViolation, match=words):
        check_inference(CARD, STUDY, inference)
