"""What a model says of a case, in the words of the result standards."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from osler.domain.codes import Code
from osler.errors import ContractViolation


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding with its calibrated probability.

    Parameters
    ----------
    label : str
        Short name, as the card lists it, e.g. ``"pneumonia"``.
    code : Code
        The finding as a coded concept.
    probability : float
        Calibrated probability in [0, 1].
    threshold : float
        Operating threshold in [0, 1]; the finding is positive when ``probability >= threshold``.
    critical : bool
        A positive finding of this kind goes to a person at once.

    Raises
    ------
    ContractViolation
        If a number is not finite or lies outside [0, 1].
    """

    label: str
    code: Code
    probability: float
    threshold: float
    critical: bool = False

    def __post_init__(self) -> None:
        for name in ("probability", "threshold"):
            value = getattr(self, name)
            if not math.isfinite(value) or not 0.0 <= value <= 1.0:
                raise ContractViolation(f"{name} of finding {self.label!r} is not a number in [0, 1]")

    @property
    def positive(self) -> bool:
        """Whether the probability reaches the threshold."""
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Which model made a result: enough to find the very weights again.

    ``sha256`` is the hash of the weights file, lower-case hex; ``preprocessing`` the version of the step from DICOM
    to tensor.
    """

    name: str
    version: str
    sha256: str
    preprocessing: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The findings on one case (usually one image), under pseudonyms.

    Parameters
    ----------
    series_instance_uid, sop_instance_uids : str, tuple of str
        Pseudonymous UIDs of what was read.
    findings : tuple of Finding
    outside_intended_use : tuple of str
        Why the case lies outside what the model was made for; empty when it lies inside.
    ood_score : float or None
        Out-of-distribution score, larger is stranger; the card gives its cut.
    heatmap : str or None
        Blob reference of the activation map over the whole source image, an 8-bit greyscale PNG.
    inputs : mapping of str to float
        Figures of what the model was shown, as its preprocessing gives them, e.g. ``{"mean": 0.41}``.
    origin : mapping of str to str
        What kind of image it is, in categories that name nobody: ``scanner``, ``modality``, ``photometric``, ``age``.
    """

    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    findings: tuple[Finding, ...]
    outside_intended_use: tuple[str, ...] = ()
    ood_score: float | None = None
    heatmap: str | None = None
    inputs: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A series that the model does not read, and why, in words without any value from the data."""

    series_instance_uid: str
    reason: str


@dataclass(frozen=True, slots=True)
class Inference:
    """All that one model says of one study. Knows no patient."""

    study_instance_uid: str
    model: ModelVersion
    results: tuple[CaseResult, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def critical(self) -> bool:
        """Whether any positive finding is critical."""
        return any(f.positive and f.critical for r in self.results for f in r.findings)
