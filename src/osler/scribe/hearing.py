"""The ear of the hub: one speech model, over the takes of a recording one after another."""

import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO

from osler.clinical.lexicon import drug_names
from osler.domain.transcript import Transcript
from osler.scribe.chart import Chart
from osler.transcribe.hotwords import Hints
from osler.transcribe.recognise import Recogniser
from osler.transcribe.streaming import Stream
from osler.transcribe.transcriber import Options, joined, transcribe


class SpeechEar:
    """Hears with a speech model, which is loaded when it is first needed.

    Parameters
    ----------
    open_model : callable
        Loads the model.
    options : Options
    """

    def __init__(self, open_model: Callable[[], Recogniser], options: Options) -> None:
        self._open = open_model
        self._options = options
        self._model: Recogniser | None = None
        self._loading = threading.Lock()

    def hear(self, files: Sequence[BinaryIO], chart: Chart, *, progress: Callable[[float], None]) -> Transcript:
        """Return the transcript of all takes; their times follow one another."""
        model, found, before_s = self._loaded(), list[Transcript](), 0.0
        for file in files:
            begun_s = before_s

            def told(done: float, _total: float, begun_s: float = begun_s) -> None:
                progress(begun_s + done)

            heard = transcribe(file, model, hints=hints_of(chart), options=self._options, progress=told)
            found.append(heard)
            before_s += heard.duration_s or 0.0
        return joined(found)

    def stream(self, chart: Chart) -> Stream:
        """Return what hears while it is spoken."""
        return Stream(self._loaded(), hints=hints_of(chart), language=self._options.language)

    def _loaded(self) -> Recogniser:
        with self._loading:
            if self._model is None:
                self._model = self._open()
            return self._model


def hints_of(chart: Chart) -> Hints:
    """Return what may be spoken of: the chart's medications and problems, and the names of drugs."""
    return Hints(chart.medications, chart.problems, frozenset(drug_names()))
