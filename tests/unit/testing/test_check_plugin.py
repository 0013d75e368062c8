"""The contract test finds what is wrong with a model, and says all of it at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osler.domain.codes import Code
from osler.errors import ContractViolation, Malformed
from osler.plugins import Card, Case, LoadContext, Output, Prediction, Selection, Study
from osler.testing import FakeModel, check_plugin, studies

CODE = Code("112033", "DCM", "Abnormal opacity")


class Wrong(FakeModel):
    """A model with a fault: a change of the card, or one of its methods replaced."""

    def __init__(self, **card: object) -> None:
        super().__init__(max_batch=2)
        self._card = replace(self._card, **card)


def problems_of(model: object, **arguments: object) -> list[str]:
    with pytest.raises(ContractViolation) as raised:
        check_plugin(model, **arguments)
    return str(raised.value).splitlines()


@pytest.mark.parametrize("max_batch", [1, 2, 5])
def test_a_model_that_keeps_the_contract_passes(max_batch):
    check_plugin(FakeModel(max_batch=max_batch))


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ({"name": "My Model"}, "card: name is not in kebab-case"),
        ({"version": "1"}, "card: version is not a semantic version"),
        ({"sha256": "ABC"}, "card: sha256 is not 64 lower-case hexadecimal digits"),
        ({"licence": ""}, "card: licence is empty"),
        ({"intended_use": " "}, "card: intended_use is empty"),
        ({"modalities": ()}, "card: there are no modalities"),
        ({"timeout_s": 0.0}, "card: max_batch is not 1 to 1024, or timeout_s not above 0 and up to 3600"),
        ({"max_batch": 0}, "card: max_batch is not 1 to 1024, or timeout_s not above 0 and up to 3600"),
        ({"outputs": ()}, "card: there are no outputs, or two of the same label"),
        ({"outputs": (Output("x", CODE, 1.5),)}, "card: the threshold of 'x' is not between 0 and 1"),
        ({"outputs": (Output("x", Code("", "", ""), 0.5),)}, "card: the code of 'x' is not complete"),
    ],
)
def test_a_card_that_is_not_complete(card, problem):
    assert problem in problems_of(Wrong(**card))


def test_all_problems_are_told_at_once():
    problems = problems_of(Wrong(name="My Model", licence="", version="new"))
    assert len([problem for problem in problems if problem.startswith("card:")]) == 3


class ForgetsASeries(Wrong):
    def select(self, study: Study) -> Selection:
        return Selection(())


class ChoosesAtRandom(Wrong):
    turn = 0

    def select(self, study: Study) -> Selection:
        self.turn += 1
        return (
            super().select(study)
            if self.turn % 2
            else Selection((), {i.series_instance_uid: "x" for i in study.instances})
        )


class AnswersAtRandom(Wrong):
    turn = 0

    def predict(self, case: Case) -> Prediction:
        self.turn += 1
        prediction = super().predict(case)
        (finding,) = prediction.findings
        return replace(prediction, findings=(replace(finding, probability=0.1 * (self.turn % 2)),))


class RaisesWhatItLikes(Wrong):
    def predict(self, case: Case) -> Prediction:
        try:
            return super().predict(case)
        except Malformed:
            raise KeyError("PatientName") from None


class RefusesInSilence(Wrong):
    def predict(self, case: Case) -> Prediction:
        raise Malformed("")


class AnswersOtherwiseInABatch(Wrong):
    def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction]:
        (finding,) = self.predict(cases[0]).findings
        return [Prediction((replace(finding, probability=0.9),)) for _ in cases]


class ForgetsOneOfABatch(Wrong):
    def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction]:
        return super().predict_batch(cases)[1:]


class ChangesItsInput(Wrong):
    def predict(self, case: Case) -> Prediction:
        prediction = super().predict(case)
        with case.instances[0].path.open("ab") as stream:
            stream.write(b"\0")
        return prediction


class HeatmapOfIntegers(Wrong):
    def predict(self, case: Case) -> Prediction:
        return replace(super().predict(case), heatmap=np.zeros((2, 2), np.uint8))


class ReadsNothing(Wrong):
    def select(self, study: Study) -> Selection:
        return Selection((), {i.series_instance_uid: "not today" for i in study.instances})


class DoesNotLoad(Wrong):
    def load(self, context: LoadContext) -> None:
        raise OSError("a path of mine")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (ForgetsASeries, "select leaves out a series of the study, or names one that it does not have"),
        (ChoosesAtRandom, "select chooses differently when asked again"),
        (AnswersAtRandom, "predict answers differently when asked again"),
        (RaisesWhatItLikes, "predict fails: predict: KeyError at test_check_plugin.py"),
        (RefusesInSilence, "predict refuses without a reason"),
        (AnswersOtherwiseInABatch, "predict_batch answers differently from predict"),
        (ForgetsOneOfABatch, "predict_batch does not return one prediction for each case"),
        (ChangesItsInput, "an input file is changed"),
        (HeatmapOfIntegers, "the heatmap is not an array of float32"),
        (ReadsNothing, "none of the studies is read: give check_plugin one that the model reads"),
        (DoesNotLoad, "load fails: load: OSError at test_check_plugin.py"),
    ],
)
def test_a_method_that_breaks_the_contract(model, problem):
    assert any(found.startswith(problem) for found in problems_of(model()))


def test_a_model_without_predict_batch_must_not_claim_to_batch():
    class Single:
        card: Card = replace(FakeModel().card, max_batch=4)
        load, select, predict = FakeModel.load, FakeModel.select, FakeModel.predict
        _card = card
        _output = card.outputs[0]
        _gain = 1.0

    assert problems_of(Single()) == ["card: max_batch is above 1 and there is no predict_batch"]


def test_an_authors_own_study_is_met_too(tmp_path: Path):
    class OnlyTall(Wrong):
        def select(self, study: Study) -> Selection:
            tall = [i for i in study.instances if i.header().get("Rows") == 100]
            return Selection(
                tuple(Case(i.series_instance_uid, (i,)) for i in tall),
                {i.series_instance_uid: "not tall" for i in study.instances if i not in tall},
            )

    assert problems_of(OnlyTall()) == ["none of the studies is read: give check_plugin one that the model reads"]
    own = studies.study(tmp_path, studies.image(pixels=studies.chest_pixels(rows=100)))
    check_plugin(OnlyTall(), studies=[own])
