"""Models that break their contract, each in its own way, when they meet an image of 13 rows."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from osler.domain.findings import Finding
from osler.errors import Malformed, UnsupportedKind
from osler.plugins import Card, Case, LoadContext, Prediction, Selection, Study
from osler.testing import FakeModel


class Misbehaving(FakeModel):
    def __init__(self, name: str, **settings: object) -> None:
        super().__init__(name, code_file=__file__, **settings)

    def predict(self, case: Case) -> Prediction:
        if case.instances[0].header().Rows == 13:
            return self.misbehave(case)
        return super().predict(case)

    def misbehave(self, case: Case) -> Prediction:
        raise NotImplementedError

    def finding(self, **values: object) -> Finding:
        output = self.card.outputs[0]
        finding = Finding(output.label, output.code, 0.7, output.threshold, output.critical)
        for name, value in values.items():
            object.__setattr__(finding, name, value)
        return finding


class NotANumber(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        return Prediction((self.finding(probability=float("nan")),))


class Infinite(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        return Prediction((self.finding(),), ood_score=float("inf"))


class Silent(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        return Prediction(())


class Inventive(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        return Prediction((self.finding(), self.finding(label="something-else")))


class OwnThreshold(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        return Prediction((self.finding(threshold=0.1),))


class NotANumberHeatmap(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        return Prediction((self.finding(),), heatmap=np.full((4, 4), np.nan, np.float32))


class Hanging(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        while True:
            time.sleep(60)


class Crashing(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        os.abort()


class Exiting(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        sys.exit(3)


class Raising(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        raise ValueError(f"PatientID is {case.instances[0].header().PatientID}")


class Refusing(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        raise UnsupportedKind("the lungs are cut off")


class Doubting(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        raise Malformed("word " * 10_000)


class Printing(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        sys.stdout.write("a model that talks" * 100_000)
        sys.stdout.flush()
        os.write(1, b"\0\0\0\2{}")
        return super(Misbehaving, self).predict(case)


class Hungry(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        return Prediction((self.finding(),), heatmap=np.ones((10**6, 10**5), np.float32))


class Swarming(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        threading.stack_size(64 * 1024)
        with contextlib.suppress(RuntimeError):  # refused, for an ordinary user
            while True:
                threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        raise RuntimeError("refused")


class Filling(Misbehaving):
    def misbehave(self, case: Case) -> Prediction:
        for number in range(6):
            with Path(f"out/{number}").open("wb") as stream:
                stream.truncate(200 * 2**20)
        time.sleep(3600)
        raise AssertionError


class Slow(Misbehaving):
    """Reads when it is told to: a file ``go`` in the folder of the study."""

    def misbehave(self, case: Case) -> Prediction:
        while not case.instances[0].path.with_name("go").exists():
            time.sleep(0.01)
        return super(Misbehaving, self).predict(case)


class BatchHanging(Misbehaving):
    """Cannot batch, though its card says so."""

    def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction]:
        time.sleep(3600)
        return []


class LeavesOut(Misbehaving):
    def select(self, study: Study) -> Selection:
        return Selection(())


class LoadsBadly(Misbehaving):
    def load(self, context: LoadContext) -> None:
        raise OSError("the weights are at home")


class OtherWeights(Misbehaving):
    @property
    def card(self) -> Card:
        return replace(super().card, sha256="0" * 64)


class ChangesItsCard(Misbehaving):
    """Answers as another model than the one that it introduced itself as."""

    loaded = False

    @property
    def card(self) -> Card:
        card = super().card
        return replace(card, version="9.9.9") if self.loaded else card

    def select(self, study: Study) -> Selection:
        self.loaded = True
        return super().select(study)


MODELS = {
    "not-a-number": NotANumber,
    "infinite": Infinite,
    "silent": Silent,
    "inventive": Inventive,
    "own-threshold": OwnThreshold,
    "not-a-number-heatmap": NotANumberHeatmap,
    "crashing": Crashing,
    "exiting": Exiting,
    "raising": Raising,
    "refusing": Refusing,
    "doubting": Doubting,
    "printing": Printing,
    "hungry": Hungry,
    "slow": Slow,
    "swarming": Swarming,
    "filling": Filling,
    "leaves-out": LeavesOut,
    "loads-badly": LoadsBadly,
    "other-weights": OtherWeights,
    "changes-its-card": ChangesItsCard,
}


def __getattr__(name: str) -> object:
    """Make each model a callable of this module: ``make_not_a_number`` makes ``not-a-number``."""
    model = name.removeprefix("make_").replace("_", "-")
    if name.startswith("make_") and model in MODELS:
        return lambda: MODELS[model](model)
    raise AttributeError(name)


def make_hanging() -> Hanging:
    return Hanging("hanging", timeout_s=1.0)


def make_crashing_batch() -> Crashing:
    return Crashing("crashing-batch", max_batch=4)


def make_batch_hanging() -> BatchHanging:
    return BatchHanging("batch-hanging", max_batch=4, timeout_s=0.7)


def make_raising_batch() -> Raising:
    return Raising("raising-batch", max_batch=4)
