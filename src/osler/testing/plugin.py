"""The contract test: authors of a model run it in their tests, and so do we."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydicom.uid import EncapsulatedPDFStorage

from osler.errors import ContractViolation, InputRejected, OslerError
from osler.infer.contract import check_prediction, check_selection
from osler.plugins import BatchModel, Card, Case, LoadContext, Model, Prediction, Selection, Study
from osler.registry.boundary import call
from osler.testing import studies as sample

T = TypeVar("T")
_TOLERANCE = 1e-4


def check_plugin(model: Model, *, studies: Sequence[Study] = (), context: LoadContext | None = None) -> None:
    """Check a model against the contract of :mod:`osler.plugins`.

    Checked are the card; that ``select`` answers for each series once, the same each time; that ``predict`` gives each
    of the card's outputs once, finite, the same each time and the same in a batch; that what cannot be read is refused
    with :class:`~osler.errors.InputRejected` and no other exception; and that no input file is changed.

    Parameters
    ----------
    model : Model
        Not loaded yet.
    studies : sequence of Study
        Studies that the model should meet, see :mod:`osler.testing.studies`. A chest phantom, a document and a damaged
        image are added. The model must read at least one of them all.
    context : LoadContext, optional

    Raises
    ------
    ContractViolation
        With all that is wrong, one problem a line.
    """
    problems = list(_card_problems(model))
    try:
        call("load", lambda: model.load(context or LoadContext()))
    except OslerError as error:
        raise ContractViolation("\n".join([*problems, f"load fails: {error}"])) from None
    with tempfile.TemporaryDirectory() as folder:
        probes = _Probes(model)
        for study in (*studies, *_samples(Path(folder))):
            before = _fingerprint(study)
            probes.meet(study)
            if _fingerprint(study) != before:
                probes.problems.append("an input file is changed")
        probes.read_together()
    if not probes.read:
        probes.problems.append("none of the studies is read: give check_plugin one that the model reads")
    problems += dict.fromkeys(probes.problems)
    if problems:
        raise ContractViolation("\n".join(problems))


class _Probes:
    """Shows studies to a model and notes what is wrong."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.problems: list[str] = []
        self.read: list[tuple[Case, Prediction]] = []

    def meet(self, study: Study) -> None:
        """Have one study selected and its cases read, each twice."""
        selection = self._tried("select", lambda: self.model.select(study))
        again = self._tried("select", lambda: self.model.select(study))
        if selection is None or not self._holds(lambda: check_selection(study, selection)):
            return
        if again is None or _outline(again) != _outline(selection):
            self.problems.append("select chooses differently when asked again")
        for case in selection.cases:
            self._predict(case)

    def _predict(self, case: Case) -> None:
        prediction = self._tried("predict", lambda: self.model.predict(case))
        if prediction is None or not self._holds(lambda: check_prediction(self.model.card, prediction)):
            return
        again = self._tried("predict", lambda: self.model.predict(case))
        if again is None or not _alike(prediction, again):
            self.problems.append("predict answers differently when asked again")
        self.read.append((case, prediction))

    def read_together(self) -> None:
        """Have all cases that could be read alone read in batches."""
        model, size = self.model, self.model.card.max_batch
        if size == 1 or not self.read:
            return
        if not isinstance(model, BatchModel):
            self.problems.append("card: max_batch is above 1 and there is no predict_batch")
            return
        chunk = (self.read * 2)[:size]
        together = self._tried("predict_batch", lambda: model.predict_batch([case for case, _ in chunk]))
        if together is None:
            return
        if len(together) != len(chunk):
            self.problems.append("predict_batch does not return one prediction for each case")
        elif not all(_alike(single, other) for (_, single), other in zip(chunk, together, strict=True)):
            self.problems.append("predict_batch answers differently from predict")

    def _tried(self, step: str, function: Callable[[], T]) -> T | None:
        """Call into the model; a refusal of the input is an answer like another."""
        try:
            return call(step, function)
        except InputRejected as error:
            if not str(error).strip():
                self.problems.append(f"{step} refuses without a reason")
        except OslerError as error:
            self.problems.append(f"{step} fails: {error}")
        return None

    def _holds(self, check: Callable[[], None]) -> bool:
        try:
            check()
        except ContractViolation as error:
            self.problems.append(str(error))
            return False
        return True


def _card_problems(model: Model) -> Iterator[str]:
    card = model.card
    if not isinstance(model, Model) or not isinstance(card, Card):
        yield "card: it is not a Card"
        return
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", card.name):
        yield "card: name is not in kebab-case"
    if not re.fullmatch(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?", card.version):
        yield "card: version is not a semantic version"
    if not re.fullmatch(r"[0-9a-f]{64}", card.sha256):
        yield "card: sha256 is not 64 lower-case hexadecimal digits"
    for name in ("preprocessing", "intended_use", "limitations", "licence"):
        if not str(getattr(card, name)).strip():
            yield f"card: {name} is empty"
    if not card.modalities:
        yield "card: there are no modalities"
    if not 1 <= card.max_batch <= 1024 or not 0.0 < card.timeout_s <= 3600.0:
        yield "card: max_batch is not 1 to 1024, or timeout_s not above 0 and up to 3600"
    yield from _output_problems(card)


def _output_problems(card: Card) -> Iterator[str]:
    labels = [output.label for output in card.outputs]
    if not labels or len(set(labels)) != len(labels):
        yield "card: there are no outputs, or two of the same label"
    for output in card.outputs:
        if not 0.0 < output.threshold < 1.0:
            yield f"card: the threshold of {output.label!r} is not between 0 and 1"
        if not (output.code.value and output.code.scheme and output.code.meaning):
            yield f"card: the code of {output.label!r} is not complete"


def _samples(folder: Path) -> Iterator[Study]:
    yield sample.study(folder / "phantom", sample.image("DX"), sample.image("CR"))
    document = sample.image(
        "DX", PixelData=None, Rows=None, Columns=None, Modality="DOC", SOPClassUID=EncapsulatedPDFStorage
    )
    document.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    yield sample.study(folder / "document", document)
    yield sample.study(folder / "damaged", sample.image("DX", PixelData=b"\0" * 64))


def _fingerprint(study: Study) -> list[str]:
    return [hashlib.sha256(i.path.read_bytes()).hexdigest() for i in study.instances]


def _outline(selection: Selection) -> tuple[object, object]:
    return selection.cases, dict(selection.refused)


def _alike(one: Prediction, other: Prediction | InputRejected) -> bool:
    if isinstance(other, InputRejected) or [f.label for f in one.findings] != [f.label for f in other.findings]:
        return False
    pairs = zip(one.findings, other.findings, strict=True)
    if any(abs(a.probability - b.probability) > _TOLERANCE for a, b in pairs):
        return False
    if one.heatmap is None or other.heatmap is None:
        return one.heatmap is other.heatmap
    return one.heatmap.shape == other.heatmap.shape and bool(np.allclose(one.heatmap, other.heatmap, atol=1e-3))
