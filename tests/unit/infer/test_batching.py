"""Which cases go to the model together, and what a failure does to the others."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from osler.domain.findings import Finding
from osler.errors import ContractViolation, Malformed, PluginError
from osler.infer.batching import predict_all
from osler.plugins import Case, Instance, Prediction
from osler.testing import FakeModel


class Counting(FakeModel):
    """Reads cases by the name of their series: "bad" raises, "refused" is refused."""

    def __init__(self, max_batch: int, batch_error: Exception | None = None) -> None:
        super().__init__(max_batch=max_batch)
        self.calls: list[list[str]] = []
        self.batch_error = batch_error

    def predict(self, case: Case) -> Prediction:
        self.calls.append([case.series_instance_uid])
        return self._answer(case)

    def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction]:
        self.calls.append([case.series_instance_uid for case in cases])
        if self.batch_error is not None:
            raise self.batch_error
        return [self._answer(case) for case in cases]

    def _answer(self, case: Case) -> Prediction:
        name = case.series_instance_uid
        if name == "bad":
            raise ValueError("a value from the data")
        if name == "refused":
            raise Malformed("the pixel data are cut")
        if name == "silent":
            return Prediction(())
        output = self.card.outputs[0]
        return Prediction((Finding(output.label, output.code, 0.5, output.threshold, output.critical),))


def cases(names: str) -> list[Case]:
    return [Case(name, (Instance(name, name, Path(name)),)) for name in names.split()]


@pytest.mark.parametrize(
    ("max_batch", "calls"),
    [
        (1, [["a"], ["b"], ["c"], ["d"], ["e"]]),
        (2, [["a", "b"], ["c", "d"], ["e"]]),
        (4, [["a", "b", "c", "d"], ["e"]]),
        (8, [["a", "b", "c", "d", "e"]]),
    ],
)
def test_cases_are_read_in_batches_of_the_cards_size(max_batch, calls):
    model = Counting(max_batch)
    outcomes = predict_all(model, cases("a b c d e"))
    assert model.calls == calls
    assert all(isinstance(outcome.answer, Prediction) for outcome in outcomes)


@pytest.mark.parametrize(
    ("name", "error"), [("bad", PluginError), ("refused", Malformed), ("silent", ContractViolation)]
)
def test_a_case_that_fails_fails_alone(name, error):
    model = Counting(4)
    outcomes = predict_all(model, cases(f"a {name} c d e f"))
    kinds = [type(outcome.answer) for outcome in outcomes]
    assert kinds == [Prediction, error, Prediction, Prediction, Prediction, Prediction]
    assert model.calls == [["a", name, "c", "d"], ["a"], [name], ["c"], ["d"], ["e", "f"]]


def test_a_model_may_refuse_one_case_of_a_batch_by_itself():
    class Telling(Counting):
        def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction | Malformed]:
            self.calls.append([case.series_instance_uid for case in cases])
            return [Malformed("cut") if case.series_instance_uid == "refused" else self._answer(case) for case in cases]

    model = Telling(4)
    kinds = [type(outcome.answer) for outcome in predict_all(model, cases("a refused c"))]
    assert kinds == [Prediction, Malformed, Prediction]
    assert model.calls == [["a", "refused", "c"]]


def test_a_batch_that_only_fails_as_a_batch_is_read_one_by_one():
    outcomes = predict_all(Counting(4, MemoryError()), cases("a b"))
    assert [type(outcome.answer) for outcome in outcomes] == [Prediction, Prediction]


def test_an_answer_too_few_is_not_taken_for_another_cases():
    class Forgetful(Counting):
        def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction]:
            return super().predict_batch(cases)[1:]

    model = Forgetful(4)
    assert len(predict_all(model, cases("a b"))) == 2
    assert model.calls[1:] == [["a"], ["b"]]


def test_an_exception_is_told_without_its_words():
    (outcome,) = predict_all(Counting(1), cases("bad"))
    assert str(outcome.answer).startswith("predict: ValueError at test_batching.py:")


def test_the_time_is_shared_out():
    outcomes = predict_all(Counting(4), cases("a b c d"))
    assert len({outcome.seconds for outcome in outcomes}) == 1
    assert outcomes[0].seconds > 0.0


def test_no_cases_are_no_call():
    model = Counting(4)
    assert predict_all(model, []) == []
    assert model.calls == []
