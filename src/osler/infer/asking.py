"""How a model in its process asks an endpoint that it cannot reach: tensors in the spool, a message on the pipe.

The process has no network. It says what it wants to know; whether and where that is asked is decided outside.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from osler.errors import ContractViolation, OslerError, PluginError
from osler.infer import messages
from osler.infer.spool import Spool
from osler.infer.wire import Channel, Message
from osler.plugins import Tensors
from osler.standards.oip import DTYPES

QUESTION: Final = "question.bin"
ANSWER: Final = "answer"
MOST_BYTES: Final = 256 * 2**20
_MOST_TENSORS: Final = 64
_NAMES: Final = {np.dtype(kind): name for name, kind in DTYPES.items()}


class Asker:
    """The model's side: what :class:`osler.plugins.LoadContext` gives as ``ask``.

    Parameters
    ----------
    channel : Channel
    spool : Path
        The spool of this process.
    """

    def __init__(self, channel: Channel, spool: Path) -> None:
        self._channel = channel
        self._spool = spool
        self.reading = False

    def __call__(self, tensors: Tensors) -> Tensors:
        """Ask, and wait for the answer.

        Raises
        ------
        PluginError
            If the endpoint cannot be asked, or gave no answer that holds.
        ContractViolation
            If the tensors are none, or it is no time to ask.
        """
        if not self.reading:
            raise ContractViolation("a model may ask its endpoint within predict alone")
        content, forms = _packed(tensors)
        try:
            (self._spool / "out" / QUESTION).write_bytes(content)
        except OSError as error:
            raise PluginError(f"the question cannot be written ({type(error).__name__})") from None
        self._channel.send({"ask": forms})
        message = self._channel.receive()
        if message is None:
            raise PluginError("the worker has ended")
        if "error" in message:
            raise messages.error_from_json(message["error"])
        return _unpacked((self._spool / "in" / ANSWER / "0.bin").read_bytes(), message["answer"])


class Asking:
    """The worker's side, while one batch is read.

    Parameters
    ----------
    spool : Spool
    ask : callable or None
        Puts the question; None when nothing may be asked.
    """

    def __init__(self, spool: Spool, ask: Callable[[Tensors], Tensors] | None) -> None:
        self._spool = spool
        self._ask = ask
        self.failure: OslerError | None = None
        """Why there was no answer, once there was none: it counts for more than what the model made of it."""

    def answer(self, message: Message, tick: Callable[[], None] | None, *, tick_s: float) -> Message:
        """Put the question of a message, and return the message that tells the model the outcome.

        Raises
        ------
        ContractViolation
            If the question cannot be read.
        OslerError
            Of ``tick``, which is called this often, seconds, while the endpoint takes its time.
        """
        tensors = _unpacked(self._spool.written(QUESTION, MOST_BYTES), message["ask"])
        if self._ask is None:
            raise ContractViolation("the model asks an endpoint, and has none")
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._ask, tensors)
            while not wait([asked], timeout=tick_s).done:
                if tick is not None:
                    tick()
            try:
                content, forms = _packed(asked.result())
            except OslerError as error:
                self.failure = error
                return {"error": messages.error_to_json(error)}
        (self._spool.study_folder(ANSWER) / "0.bin").write_bytes(content)
        return {"answer": forms}


def _packed(tensors: Tensors) -> tuple[bytes, list[list[Any]]]:
    if not all(isinstance(one, np.ndarray) and one.dtype in _NAMES for one in tensors.values()):
        raise ContractViolation("what is asked with is not all arrays of numbers")
    if sum(one.nbytes for one in tensors.values()) > MOST_BYTES or not 0 < len(tensors) <= _MOST_TENSORS:
        raise ContractViolation("a question is too large")
    forms = [[name, _NAMES[one.dtype], list(one.shape)] for name, one in tensors.items()]
    return b"".join(np.ascontiguousarray(one).tobytes() for one in tensors.values()), forms


def _unpacked(content: bytes, forms: object) -> dict[str, npt.NDArray[Any]]:
    """Read tensors; the other side may be hostile."""
    if not isinstance(forms, list) or not 0 < len(forms) <= _MOST_TENSORS:
        raise ContractViolation("a question of the inference process cannot be read")
    found: dict[str, npt.NDArray[Any]] = {}
    at = 0
    for form in forms:
        try:
            name, dtype, shape = form
            kind, count = np.dtype(DTYPES[dtype]), math.prod(shape)
            if count < 0 or at + count * kind.itemsize > len(content):
                raise ValueError("more than there is")
            found[str(name)] = np.frombuffer(content, kind, count, at).reshape(shape)
            at += count * kind.itemsize
        except (TypeError, ValueError, KeyError):
            raise ContractViolation("a question of the inference process cannot be read") from None
    if at != len(content) or len(found) != len(forms):
        raise ContractViolation("a question of the inference process is not of the size that it says")
    return found
