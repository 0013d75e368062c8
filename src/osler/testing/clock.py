"""A clock that a test moves."""


class FakeClock:
    """Seconds since the epoch that pass only when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> float:
        """Let time pass and return the new time."""
        self.now += seconds
        return self.now
