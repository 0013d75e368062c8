"""JSON over a pair of pipes, each message behind its length: how a worker and its inference process talk.

Either side may be hostile or dead, so that nothing here waits without end or grows without bound.
"""

import json
import math
import os
import select
import time
from collections.abc import Callable
from typing import Any, Final

from osler.errors import ContractViolation, PluginTimeout

_LENGTH_BYTES: Final = 4
_LARGEST_MESSAGE: Final = 16 * 2**20
_CHUNK: Final = 2**16

Message = dict[str, Any]


class Channel:
    """One end of the conversation.

    Parameters
    ----------
    reading, writing : int
        File descriptors, owned by the channel from now on.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)

    def send(self, message: Message, *, timeout_s: float | None = None) -> bool:
        """Send a message; False when nobody listens any more.

        Raises
        ------
        PluginTimeout
            If the other side does not take it in time.
        """
        text = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
        rest = memoryview(len(text).to_bytes(_LENGTH_BYTES, "big") + text)
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while rest:
            _wait(self._writing, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._writing, rest[:_CHUNK]) :]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                return False
            if rest:
                _check(deadline)
        return True

    def receive(
        self,
        *,
        timeout_s: float | None = None,
        tick_s: float = math.inf,
        tick: Callable[[], None] | None = None,
    ) -> Message | None:
        """Wait for a message; None when the other side has ended.

        Parameters
        ----------
        timeout_s : float, optional
            Longest wait for the whole message, seconds.
        tick_s, tick : optional
            While waiting, ``tick`` is called this often.

        Raises
        ------
        PluginTimeout
            If it does not come in time.
        ContractViolation
            If it is too long or not a JSON object.
        """
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        next_tick = time.monotonic() + tick_s
        received = bytearray()
        wanted = _LENGTH_BYTES
        while len(received) < wanted:
            ready = _wait(self._reading, select.POLLIN, min(deadline, next_tick))
            if tick is not None and time.monotonic() >= next_tick:
                tick()
                next_tick = time.monotonic() + tick_s
            if ready:
                chunk = os.read(self._reading, min(_CHUNK, wanted - len(received)))
                if not chunk:
                    return None
                received += chunk
                if wanted == _LENGTH_BYTES == len(received):
                    wanted += _checked_length(int.from_bytes(received, "big"))
            if len(received) < wanted:
                _check(deadline)
        return _parsed(bytes(received[_LENGTH_BYTES:]))

    def close(self) -> None:
        """Close both ends."""
        os.close(self._reading)
        os.close(self._writing)


def _wait(descriptor: int, event: int, until: float) -> bool:
    poll = select.poll()  # not select(): a busy hub has descriptors beyond its 1024
    poll.register(descriptor, event)
    left = max(0.0, until - time.monotonic())
    return bool(poll.poll(None if math.isinf(left) else math.ceil(left * 1000)))


def _check(deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise PluginTimeout("the model did not answer in its time")


def _checked_length(length: int) -> int:
    if length > _LARGEST_MESSAGE:
        raise ContractViolation("a message of the inference process is too long")
    return length


def _parsed(text: bytes) -> Message:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ContractViolation("a message of the inference process is not a JSON object")
    return message
