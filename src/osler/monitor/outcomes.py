"""What people said of a model's findings, as labels that come late: how often it was right, lately.

A finding that a person confirmed was right; one that they rejected, or confirmed with the other value, was wrong. Those
that nobody answered say nothing. People look first at what a model calls positive, so the sensitivity is of the cases
that people looked at, not of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from osler.metrics import Figures
from osler.monitor.figures import wilson

Answer = Literal["agree", "disagree"]

ROLLING: Final = 500
"""Inferences of a model that are looked at, the last ones."""
FEW: Final = 30
"""Answers below which a figure is not shown to Prometheus: an alarm on a handful would be noise."""
_BINS: Final = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A finding that a person has answered.

    Parameters
    ----------
    model, finding : str
        ``name@version`` and the label of the finding.
    probability : float
    positive : bool
        As the model called it.
    answer : {"agree", "disagree"}
    """

    model: str
    finding: str
    probability: float
    positive: bool
    answer: Answer

    @property
    def truth(self) -> bool:
        """Whether the finding is there, as the person said."""
        return self.positive if self.answer == "agree" else not self.positive


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval; ``of`` is how many it is of, and ``value`` None when that is none."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """Hits of all."""
        return self.hits / self.of if self.of else None

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        low, high = wilson(self.hits, self.of)
        return {
            "value": None if self.value is None else round(self.value, 4),
            "interval_95": [round(low, 4), round(high, 4)],
            "hits": self.hits,
            "of": self.of,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a model did on one finding, by what people said lately."""

    model: str
    finding: str
    answers: tuple[Labelled, ...]

    @property
    def sensitivity(self) -> Share:
        """Of those where the finding is there, how many the model called."""
        there = [a for a in self.answers if a.truth]
        return Share(sum(a.positive for a in there), len(there))

    @property
    def specificity(self) -> Share:
        """Of those where it is not there, how many the model did not call."""
        absent = [a for a in self.answers if not a.truth]
        return Share(sum(not a.positive for a in absent), len(absent))

    @property
    def calibration(self) -> float | None:
        """Share of those where the finding is there, less the mean of the probabilities; None without answers."""
        if not self.answers:
            return None
        return sum(a.truth - a.probability for a in self.answers) / len(self.answers)

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "model": self.model,
            "finding": self.finding,
            "answers": len(self.answers),
            "agreement": Share(sum(a.answer == "agree" for a in self.answers), len(self.answers)).document(),
            "sensitivity": self.sensitivity.document(),
            "specificity": self.specificity.document(),
            "observed_less_expected": None if self.calibration is None else round(self.calibration, 4),
            "reliability": [self._bin(low, high) for low, high in _BINS],
        }

    def _bin(self, low: float, high: float) -> dict[str, Any]:
        inside = [a for a in self.answers if low <= a.probability < high or a.probability == high == 1.0]
        expected = round(sum(a.probability for a in inside) / len(inside), 4) if inside else None
        return {
            "from": low,
            "to": high,
            "expected": expected,
            **Share(sum(a.truth for a in inside), len(inside)).document(),
        }


def outcomes(labelled: Sequence[Labelled]) -> list[Outcome]:
    """Sort answers by model and finding."""
    keys = sorted({(one.model, one.finding) for one in labelled})
    return [Outcome(*key, tuple(one for one in labelled if (one.model, one.finding) == key)) for key in keys]


def outcome_figures(found: Sequence[Outcome]) -> Figures:
    """Return the gauges of feedback; a share of few answers is left out."""
    values: dict[str, dict[tuple[str, ...], float]] = {
        f"osler_feedback_{name}": {} for name in ("answers", "sensitivity", "specificity", "calibration")
    }
    for one in found:
        labels = (one.model, one.finding)
        values["osler_feedback_answers"][labels] = float(len(one.answers))
        for name, share in (("sensitivity", one.sensitivity), ("specificity", one.specificity)):
            if share.value is not None and share.of >= FEW:
                values[f"osler_feedback_{name}"][labels] = share.value
        if one.calibration is not None and len(one.answers) >= FEW:
            values["osler_feedback_calibration"][labels] = one.calibration
    return Figures(values)
