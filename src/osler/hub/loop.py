"""A thread that does one kind of work until it is told to stop."""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from osler.errors import IntegrityError, OslerError, Transient

_LONGEST_S: Final = 10.0
"""A database or a bucket that is back is noticed so soon, seconds."""

log = structlog.get_logger(__name__)


class Loop:
    """Calls ``step`` again and again; waits for a wake-up or ``every_s`` when there was nothing to do.

    Parameters
    ----------
    name : str
    step : callable
        Does one piece of work; False when there was none.
    every_s : float
        Longest wait between two looks, seconds.
    on_broken : callable
        Told of an error that must stop the process.
    on_failed : callable
        Told of every error.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        *,
        every_s: float,
        on_broken: Callable[[BaseException], None],
        on_failed: Callable[[str, BaseException], None] = lambda name, error: None,
    ) -> None:
        self.name = name
        self._step = step
        self._every_s = every_s
        self._on_broken = on_broken
        self._on_failed = on_failed
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be work."""
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """Let the piece of work in hand end, then stop."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        wait_s = self._every_s
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                busy = self._watched_step()
                wait_s = self._every_s
            except Transient as error:
                log.warning("step put off", step=self.name, reason=str(error))
                busy, wait_s = False, min(max(wait_s * 2, 1.0), _LONGEST_S)
            except IntegrityError as error:
                log.critical("step found damage", step=self.name, reason=str(error))
                self._on_broken(error)
                return
            except OslerError as error:
                log.error("step failed", step=self.name, error=type(error).__name__, reason=str(error))
                busy, wait_s = False, min(max(wait_s * 2, 1.0), _LONGEST_S)
            except BaseException as error:
                log.critical("step ended", step=self.name, error=type(error).__name__)
                self._on_broken(error)
                return
            if not busy:
                self._wake.wait(wait_s)

    def _watched_step(self) -> bool:
        try:
            return self._step()
        except BaseException as error:
            self._on_failed(self.name, error)
            raise
