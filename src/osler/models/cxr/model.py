"""The built-in chest X-ray model: triage of paediatric chest radiographs for pneumonia."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime
import pydicom

from osler.domain.findings import Finding
from osler.errors import ContractViolation, InputRejected, Malformed, PluginError, UnsupportedKind
from osler.models import read_card, read_weights
from osler.models.cxr import selection
from osler.models.cxr.pixels import READ_ERRORS, read_grey, without_text
from osler.models.cxr.tensor import figures_of, to_tensor
from osler.plugins import Card, Case, LoadContext, Prediction, Selection, Study

FOLDER: Final = Path(__file__).parent
WEIGHTS: Final = "cxr.onnx"

OUTPUTS: Final = ("probability", "activation", "ood_score")
"""Outputs of the network file: shapes (n,), (n, row, column) and (n,)."""


class ChestRadiographModel:
    """Reads one frontal chest radiograph and gives the calibrated probability of pneumonia.

    Calibration and the out-of-distribution score are part of the network file, and so are the cuts of that score (its
    metadata ``ood_cut`` and ``ood_refusal_cut``): one hash covers all that decides a result, but for the threshold,
    which is the card's.

    Parameters
    ----------
    folder : Path
        Folder with ``card.yaml`` and ``weights/``.

    Raises
    ------
    ConfigError
        If the card cannot be read.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._card = read_card(folder)
        self._session: onnxruntime.InferenceSession | None = None
        self._age_policy = "intended"
        self._ood_cut = self._ood_refusal_cut = float("inf")

    @classmethod
    def from_folder(cls, folder: Path) -> "ChestRadiographModel":
        """Make the model from the card and the weights of an artefact."""
        return cls(folder)

    @property
    def card(self) -> Card:
        """The card; available before ``load``."""
        return self._card

    def load(self, context: LoadContext) -> None:
        """Read the weights and make ready to predict.

        Raises
        ------
        IntegrityError
            If the weights are not those that the card names.
        """
        content = read_weights(self._folder / "weights" / WEIGHTS, self._card)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = context.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(content, options, providers=list(context.providers))
        metadata = session.get_modelmeta().custom_metadata_map
        self._ood_cut, self._ood_refusal_cut = float(metadata["ood_cut"]), float(metadata["ood_refusal_cut"])
        self._age_policy = context.age_policy
        self._session = session

    def select(self, study: Study) -> Selection:
        """Choose the frontal chest radiographs of children; see :mod:`osler.models.cxr.selection`."""
        return selection.select(study, age_policy=self._age_policy)

    def network_inputs(self, case: Case) -> Mapping[str, npt.NDArray[np.float32]]:
        """Return what the network is fed for one image: ``image``, of shape (1, 1, row, column)."""
        return {"image": to_tensor(read_grey(_read(case)))[None, None]}

    def predict(self, case: Case) -> Prediction:
        """Read one image.

        Raises
        ------
        Malformed
            If its pixel data cannot be read.
        UnsupportedKind
            If the image looks like no chest radiograph at all, or is encoded in a way that is not read.
        """
        (answer,) = self.predict_batch([case])
        if isinstance(answer, InputRejected):
            raise answer
        return answer

    def predict_batch(self, cases: Sequence[Case]) -> Sequence[Prediction | InputRejected]:
        """Read several images at once; a case that cannot be read is answered with its error."""
        if self._session is None:
            raise PluginError("the model is not loaded")
        seen = [_seen(case) for case in cases]
        readable = [one.tensor for one in seen if not isinstance(one, InputRejected)]
        outputs = self._session.run(list(OUTPUTS), {"image": np.stack(readable)[:, None]}) if readable else [[], [], []]
        read = iter(zip(*outputs, strict=True))
        return [one if isinstance(one, InputRejected) else self._prediction(one.figures, *next(read)) for one in seen]

    def _prediction(
        self,
        figures: dict[str, float],
        probability: np.float32,
        activation: npt.NDArray[np.float32],
        strangeness: np.float32,
    ) -> Prediction | UnsupportedKind:
        score = float(strangeness)
        if not np.isfinite(score):
            raise ContractViolation("the out-of-distribution score is not a number")
        if score > self._ood_refusal_cut:
            return UnsupportedKind("the image does not look like a chest radiograph")
        outputs = self._card.outputs
        return Prediction(
            findings=tuple(Finding(o.label, o.code, float(probability), o.threshold, o.critical) for o in outputs),
            heatmap=heatmap(activation),
            ood_score=score,
            outside_intended_use=("unlike the images that the model was trained on",) if score > self._ood_cut else (),
            inputs=figures,
        )


def heatmap(activation: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where the finding is seen: the part of the class-activation map that speaks for it, its largest value made 1.

    Parameters
    ----------
    activation : ndarray of float32, shape (row, column)
        Logits; positive speaks for the finding.

    Returns
    -------
    ndarray of float32, same shape, in [0, 1]
    """
    positive = activation.clip(min=0)
    return (positive / max(float(positive.max()), 1.0)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Seen:
    tensor: npt.NDArray[np.float32]
    figures: dict[str, float]


def _seen(case: Case) -> _Seen | InputRejected:
    try:
        grey = read_grey(_read(case))
        tensor = to_tensor(grey)
        return _Seen(tensor, figures_of(grey, tensor))
    except InputRejected as error:
        return error


def _read(case: Case) -> pydicom.Dataset:
    if len(case.instances) != 1:
        raise ContractViolation("a case of this model is one image")
    try:
        return case.instances[0].dataset()
    except READ_ERRORS as error:
        raise Malformed("the file cannot be read as DICOM") from without_text(error)
