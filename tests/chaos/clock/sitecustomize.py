"""On the path of a Python process, it lets the clock of that process be set: in a file, seconds to add.

It covers ``time.time`` and all that asks it, which in the hub is all that waits, leases, expires and signs. It does not
cover what asks the system itself: times of files, and ``datetime.now``, which no step of the flow goes by.
"""

import os
import time

_LOOK_S = 0.2


class SetClock:
    """A clock that looks into the file now and then."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._real, self._monotonic = time.time, time.monotonic
        self._ahead_s = 0.0
        self._look_at = 0.0

    def __call__(self) -> float:
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            try:
                with open(self._file, encoding="ascii") as file:
                    self._ahead_s = float(file.read())
            except (OSError, ValueError):
                pass  # the sandbox of a model sees no file of ours, and keeps the true time
        return self._real() + self._ahead_s


if file := os.environ.get("CHAOS_CLOCK"):
    time.time = SetClock(file)
