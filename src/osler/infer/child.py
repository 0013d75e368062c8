"""The worker's side of an inference process: start it, ask it, stop it in time, believe nothing unchecked."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osler.domain.findings import Inference
from osler.errors import ContractViolation, OslerError, PluginError
from osler.infer import messages
from osler.infer.asking import Asking
from osler.infer.contract import check_inference
from osler.infer.messages import Hello, Reading, Reply
from osler.infer.sandbox import MOST_THREADS
from osler.infer.spool import Spool
from osler.infer.wire import Channel, Message
from osler.plugins import Tensors
from osler.registry.port import Pinned

_SELECT_ALLOWANCE_S: Final = 30.0
_SEND_S: Final = 30.0
_TICK_S: Final = 0.5
_FAREWELL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """How to start an inference process.

    Parameters
    ----------
    model : str
        ``NAME``, ``NAME@VERSION`` or ``NAME@champion``.
    threads : int
        Threads for the model.
    memory_mb : int
        Its address space, MB.
    age_policy : str
        See :class:`osler.plugins.LoadContext`.
    load_s : float
        Longest time to start and load, seconds.
    folders : tuple of str
        Folders with models besides the installed packages.
    protected : tuple of str
        What the process must not be able to read: the data folder.
    artefact : Pinned, optional
        The folder that the model comes from, which the process may read; else an installed package brings it all.
    device : str
        Where it runs; see :class:`osler.infer.devices.Device`.
    timeout_s : float
        Longest time for one case in place of the card's, seconds; 0 for the card's.
    """

    model: str
    threads: int = 1
    memory_mb: int = 4096
    age_policy: str = "intended"
    load_s: float = 120.0
    folders: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    artefact: Pinned | None = None
    device: str = "cpu"
    timeout_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one job: an inference and its heatmaps (PNG by SHA-256), or an error."""

    job_id: str
    result: Inference | OslerError
    heatmaps: dict[str, bytes]


class InferenceProcess:
    """A running process that has loaded one model. Use it as a context manager, from one thread that outlives it.

    Parameters
    ----------
    start : Start
    spool : Spool
        Its own; nobody else uses it.

    Raises
    ------
    ConfigError
        If there is no such model.
    IntegrityError
        If the weights are not those of the card.
    PluginError
        If the model does not load, or not in time.
    """

    def __init__(self, start: Start, spool: Spool) -> None:
        self._spool = spool
        self._timeout_s = start.timeout_s
        # The process ends with the thread that starts it (PR_SET_PDEATHSIG), so that no orphan reads on.
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-m", "osler.infer.process"],
                bufsize=0,
                cwd=spool.path,
                env=_environment(start, spool.outbox),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a model may print what it reads
                start_new_session=True,
            )
        except OSError as error:
            raise PluginError(f"an inference process cannot be started ({type(error).__name__})") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipes = (self._process.stdin, self._process.stdout)
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
        try:
            self.hello = self._greet(start)
        except OslerError:
            self.close()
            raise

    def _greet(self, start: Start) -> Hello:
        self._send(
            {
                "model": start.model,
                "threads": start.threads,
                "memory_mb": start.memory_mb,
                "age_policy": start.age_policy,
                "folders": start.folders,
                "protected": start.protected,
                "artefact": _artefact(start.artefact),
                "device": start.device,
            }
        )
        message = self._receive(start.load_s, None)
        if "error" in message:
            raise messages.error_from_json(message["error"])
        return messages.hello_from_json(message)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def read(
        self,
        readings: Sequence[Reading],
        *,
        tick: Callable[[], None] | None = None,
        ask: Callable[[Tensors], Tensors] | None = None,
    ) -> list[Answer]:
        """Have studies read, whose files lie in the spool.

        Parameters
        ----------
        readings : sequence of Reading
        tick : callable, optional
            Called about twice a second while waiting.
        ask : callable, optional
            Puts questions to the model's endpoint, for these readings; it may take its time.

        Returns
        -------
        list of Answer
            One for each reading, in order.

        Raises
        ------
        PluginTimeout
            If the answer does not come in the card's time for each case; the process is stopped.
        PluginError
            If the process ends, or says what no model's process says; it is stopped.
        OslerError
            Of ``ask``, when the model has told its end without the answer.
        """
        asking = Asking(self._spool, ask)
        try:
            answers = self._read(readings, tick, asking)
        except BaseException:  # what it is up to now is not known
            self.close()
            raise
        if asking.failure is not None:
            raise asking.failure
        return answers

    def _read(self, readings: Sequence[Reading], tick: Callable[[], None] | None, asking: Asking) -> list[Answer]:
        timeout_s = self._timeout_s or self.hello.card.timeout_s
        self._send({"readings": [messages.reading_to_json(reading, self._spool.path) for reading in readings]})
        chosen = self._receive(_SELECT_ALLOWANCE_S + timeout_s * len(readings), tick)
        most = sum(len(reading.study.instances) for reading in readings)
        cases = chosen.get("cases")
        if not isinstance(cases, int) or cases > most:
            raise ContractViolation("the inference process chose more cases than there are instances")
        message = self._receive(timeout_s * max(cases, 1), tick)
        for _ in range(2 * max(cases, 1)):  # a batch that fails is read again one by one
            if "ask" not in message:
                break
            self._send(asking.answer(message, tick, tick_s=_TICK_S))
            message = self._receive(timeout_s * max(cases, 1), tick)
        documents = message.get("replies")
        if not isinstance(documents, list) or len(documents) != len(readings):
            raise ContractViolation("the inference process does not answer each job")
        replies = [messages.reply_from_json(document) for document in documents]
        return [self._checked(reading, reply) for reading, reply in zip(readings, replies, strict=True)]

    def _checked(self, reading: Reading, reply: Reply) -> Answer:
        if reply.job_id != reading.job_id:
            raise ContractViolation("the inference process answers another job")
        if reply.inference is None:
            return Answer(reading.job_id, reply.error or PluginError("no answer"), {})
        check_inference(self.hello.card, reading.study, reply.inference)
        named = {result.heatmap for result in reply.inference.results if result.heatmap is not None}
        if named != set(reply.heatmaps):
            raise ContractViolation("the answer's heatmaps are not those of its results")
        return Answer(reading.job_id, reply.inference, self._spool.heatmaps(reply.heatmaps))

    def close(self) -> None:
        """Stop the process; it keeps nothing that would need a farewell."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.close()

    def __enter__(self) -> "InferenceProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, message: Message) -> None:
        if not self._channel.send(message, timeout_s=_SEND_S):
            raise self._ended()

    def _receive(self, timeout_s: float, tick: Callable[[], None] | None) -> Message:
        def watch() -> None:
            self._check_greed()
            if tick is not None:
                tick()

        message = self._channel.receive(timeout_s=timeout_s, tick_s=_TICK_S, tick=watch)
        if message is None:
            raise self._ended()
        return message

    def _check_greed(self) -> None:
        """Stop what the system's limits leave open: threads of a process of root, and the room on the disk."""
        with contextlib.suppress(OSError):  # it has ended, or there is no /proc
            if len(os.listdir(f"/proc/{self._process.pid}/task")) > MOST_THREADS:
                raise PluginError("the model started too many threads")
        if self._spool.overflows():
            raise PluginError("the model filled its spool")

    def _ended(self) -> PluginError:
        try:
            code = self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:  # it closed the pipe and stays
            self._process.kill()
            code = self._process.wait()
        how = f"signal {-code}" if code < 0 else f"code {code}"
        return PluginError(f"the model's process ended ({how})")


def _artefact(pinned: Pinned | None) -> Message | None:
    if pinned is None:
        return None
    return {"folder": str(pinned.folder), "sha256": pinned.sha256, "runtime": pinned.runtime}


def _environment(start: Start, home: Path) -> dict[str, str]:
    threads = str(start.threads)
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
