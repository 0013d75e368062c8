"""Cases of several jobs read together when the model can; one that fails does not take the others with it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from osler.errors import ContractViolation, InputRejected, OslerError
from osler.infer.contract import check_prediction
from osler.plugins import BatchModel, Case, Model, Prediction
from osler.registry.boundary import call


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the model said of one case, or why it could not; ``seconds`` is the case's share of the time."""

    answer: Prediction | OslerError
    seconds: float


def predict_all(model: Model, cases: Sequence[Case]) -> list[Outcome]:
    """Read cases, in batches of up to ``card.max_batch`` when the model is a :class:`BatchModel`.

    A batch that fails is read again one by one, so that only the case at fault fails. A model that can tell which it is
    returns an :class:`InputRejected` in the place of that case's prediction, which spares the second reading.
    """
    size = max(model.card.max_batch, 1) if isinstance(model, BatchModel) else 1
    outcomes: list[Outcome] = []
    for start in range(0, len(cases), size):
        chunk = cases[start : start + size]
        if isinstance(model, BatchModel) and len(chunk) > 1:
            outcomes += _predict_batch(model, chunk)
        else:
            outcomes += [_predict(model, case) for case in chunk]
    return outcomes


def _predict(model: Model, case: Case) -> Outcome:
    began = time.perf_counter()
    answer: Prediction | OslerError
    try:
        answer = call("predict", lambda: model.predict(case))
        check_prediction(model.card, answer)
    except OslerError as error:
        answer = error
    return Outcome(answer, time.perf_counter() - began)


def _predict_batch(model: BatchModel, cases: Sequence[Case]) -> list[Outcome]:
    began = time.perf_counter()
    answers: Sequence[Prediction | InputRejected] | None
    try:
        answers = call("predict_batch", lambda: model.predict_batch(cases))
        if len(answers) != len(cases):
            raise ContractViolation("predict_batch does not return one prediction for each case")
        for answer in answers:
            if not isinstance(answer, InputRejected):
                check_prediction(model.card, answer)
    except OslerError:
        answers = None
    share = (time.perf_counter() - began) / len(cases)
    if answers is not None:
        return [Outcome(answer, share) for answer in answers]
    again = [_predict(model, case) for case in cases]
    return [Outcome(outcome.answer, outcome.seconds + share) for outcome in again]
