"""The public contract: three doors, no more.

=============  ============================  ==================================================================
door           entry point group             rule
=============  ============================  ==================================================================
model          ``osler.models``              intervention: exactly one answers a job
recogniser     ``osler.recognisers``         additive: may add identifier spans to a text, never remove one
destination    ``osler.destinations``        notification: a failure never blocks another
=============  ============================  ==================================================================

Nothing hooks between arrival and de-identification, and nothing can switch audit off.
A model's entry point names a callable without arguments that returns a :class:`Model`. One that is a
:class:`FolderModel` also opens the artefacts of a registry.
A recogniser's names one that returns an ``osler.deidentify.text.Recogniser``: its ``spans(document)`` gives
``osler.deidentify.text.Span`` objects. It runs in the hub's own process, in the identified zone: it sees the text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pydicom

from osler.domain.codes import Code
from osler.domain.findings import Finding, ModelVersion
from osler.domain.states import AgeBand, Priority
from osler.errors import InputRejected

# ------------------------------------------------------------------------------------------------ models


@dataclass(frozen=True, slots=True)
class Output:
    """One finding that a model may report."""

    label: str
    code: Code
    threshold: float
    critical: bool = False


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Form of a tensor of a model that runs elsewhere.

    ``dtype`` is a word of the Open Inference Protocol (FP32, INT64, ...). -1 in ``shape`` is the number of cases, and
    the same in all tensors of one question and its answer.
    """

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model runs that does not run here: a server of the Open Inference Protocol v2 (KServe, Triton).

    Parameters
    ----------
    url : str
        https address of the server. Its host must be in the setting ``models.endpoint_hosts``.
    model, version : str
        Names there; the server must answer with both.
    inputs, outputs : mapping of str to TensorSpec
        What is sent, and what must come back, by name.
    """

    url: str
    model: str
    version: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Endpoint":
        """Make one of what a card's file says.

        Raises
        ------
        TypeError, ValueError, KeyError, AttributeError
            If it says something else.
        """
        specs = {
            side: {
                str(name): TensorSpec(str(one["dtype"]), tuple(map(int, one["shape"]))) for name, one in named.items()
            }
            for side, named in ((side, values[side]) for side in ("inputs", "outputs"))
        }
        return cls(**{**values, "version": str(values["version"]), **specs})


Tensors = Mapping[str, npt.NDArray[Any]]
"""Arrays by their names."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a model is, what it is for, and what it is not for (``card.yaml`` beside the model).

    Parameters
    ----------
    name, version : str
        Kebab-case name; semantic version.
    sha256 : str
        Hash of the weights file, lower-case hex. The hub refuses to run a model whose weights differ.
    preprocessing : str
        Version of the step from DICOM to tensor.
    intended_use, limitations : str
        Prose for the person who decides whether to use it.
    outputs : tuple of Output
    modalities : tuple of str
        Values of Modality (0008,0060) that it can read.
    max_batch : int
        Largest number of cases for one ``predict_batch``; 1 when it cannot batch.
    timeout_s : float
        Longest time for one case, seconds; the hub stops it after that.
    licence : str
        SPDX expression of the weights' licence.
    training_data, evaluation : mapping
        Sources with licences; figures with their intervals. Free form, shown as they are.
    needs : mapping
        What a worker must have to run it: ``tags`` (a list), ``gpu_memory_mb``, ``memory_mb``; and ``processes``, the
        most of them on one host.
    endpoint : Endpoint, optional
        Where the network is, when it does not run here; ``sha256`` is then of a file that belongs to it here.
    """

    name: str
    version: str
    sha256: str
    preprocessing: str
    intended_use: str
    limitations: str
    outputs: tuple[Output, ...]
    modalities: tuple[str, ...]
    licence: str
    max_batch: int = 1
    timeout_s: float = 60.0
    training_data: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    needs: Mapping[str, Any] = field(default_factory=dict)
    endpoint: Endpoint | None = None

    @property
    def model_version(self) -> ModelVersion:
        """The identity that each result carries."""
        return ModelVersion(self.name, self.version, self.sha256, self.preprocessing)


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What a model gets when it is loaded: threads, a device, the site's policy. No network, no vault, no patient.

    ``providers`` are execution providers as ``onnxruntime.InferenceSession`` takes them: the GPU that the model may
    use, and the processor; a model on another engine finds the device in them.

    ``age_policy`` is ``"intended"`` (only the intended population), ``"unknown"`` (also when the age is not known) or
    ``"any"`` (research: every age). What lies outside the intended use must be said in ``Case.outside_intended_use``.

    ``ask`` puts a question to the card's endpoint and returns the answer. It works within ``predict`` alone, and the
    hub sees to all of it: whether, how and where the tensors may go, and that the answer is one to this question.
    """

    threads: int = 1
    age_policy: str = "intended"
    providers: tuple[tuple[str, dict[str, str]], ...] = (("CPUExecutionProvider", {}),)
    ask: Callable[[Tensors], Tensors] | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One de-identified DICOM instance on disk."""

    sop_instance_uid: str
    series_instance_uid: str
    path: Path

    def header(self) -> pydicom.Dataset:
        """Read the dataset up to the pixel data."""
        return pydicom.dcmread(self.path, stop_before_pixels=True)

    def dataset(self) -> pydicom.Dataset:
        """Read the whole dataset."""
        return pydicom.dcmread(self.path)


@dataclass(frozen=True, slots=True)
class Study:
    """A de-identified study and the little about the patient and the order that a model may know."""

    study_instance_uid: str
    instances: tuple[Instance, ...]
    age_band: AgeBand = AgeBand.UNKNOWN
    priority: Priority = Priority.MEDIUM


@dataclass(frozen=True, slots=True)
class Case:
    """What the model will read in one go: one image, or the images of one series.

    ``outside_intended_use`` says why the case lies outside what the model was made for, one reason a string.
    """

    series_instance_uid: str
    instances: tuple[Instance, ...]
    outside_intended_use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases of a study the model reads, and why it does not read the rest.

    ``refused`` maps a Series Instance UID to a reason without any value from the data. Every series is in one or the
    other.
    """

    cases: tuple[Case, ...]
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one case.

    Parameters
    ----------
    findings : tuple of Finding
        One for each of the card's outputs.
    heatmap : ndarray of float32, shape (row, column), in [0, 1], or None
        Activation over the whole source image, any resolution.
    ood_score : float or None
    outside_intended_use : tuple of str
        Reasons found only when the pixels were read, e.g. an out-of-distribution score over the cut.
    inputs : mapping of str to float
        Figures of the image as the model saw it (mean, spread, percentiles), at most 16: the hub watches them for
        drift. Names in lower case, values finite.
    """

    findings: tuple[Finding, ...]
    heatmap: npt.NDArray[np.float32] | None = None
    ood_score: float | None = None
    outside_intended_use: tuple[str, ...] = ()
    inputs: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Model(Protocol):
    """A model. Runs in a process of its own, without network, vault or database."""

    @property
    def card(self) -> Card:
        """The card; available before ``load``."""
        ...

    def load(self, context: LoadContext) -> None:
        """Read the weights. Called once, before the first ``predict``."""
        ...

    def select(self, study: Study) -> Selection:
        """Choose what to read in a study, from headers alone. Called after ``load``."""
        ...

    def predict(self, case: Case) -> Prediction:
        """Read one case."""
        ...


@runtime_checkable
class FolderModel(Model, Protocol):
    """A model whose card and weights come from a folder: what a registry holds of it, in any of its versions."""

    @classmethod
    def from_folder(cls, folder: Path) -> "Model":
        """Make the model from ``card.yaml`` and ``weights/`` in a folder that it may read and not change."""
        ...


@runtime_checkable
class QuantisableModel(FolderModel, Protocol):
    """A model whose network can be made light: it gives what the network would be fed, to calibrate by."""

    def network_inputs(self, case: Case) -> Mapping[str, npt.NDArray[Any]]:
        """Return the network's inputs for one case, by name. Called without ``load``."""
        ...


@runtime_checkable
class BatchModel(Model, Protocol):
    """A model that reads several cases faster together than one by one."""

    def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction | InputRejected]:
        """Read up to ``card.max_batch`` cases; one answer for each, in order.

        A case that cannot be read is answered with the error that ``predict`` would raise. Raising it instead costs
        the whole batch: its cases are then read again one by one.
        """
        ...
