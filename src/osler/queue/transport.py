"""What a broker is asked to carry: references to jobs, never their content."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from osler.domain.states import Priority
from osler.errors import Malformed

LONGEST_BATCH: Final = 256
"""References that are published at a time."""

DELAYS_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 600.0)
"""The steps in which brokers hold a reference back, seconds: the ledger's back-off doubles up to ten minutes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a broker knows of a job.

    Parameters
    ----------
    job_id, model : str
    priority : Priority
    urgent_at : float
        The ledger's order: the lower, the more urgent. Seconds since the epoch.
    """

    job_id: str
    model: str
    priority: Priority
    urgent_at: float

    def encode(self) -> bytes:
        """Return the body of a message."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> "Reference":
        """Read the body of a message.

        Raises
        ------
        Malformed
            If it is not one of ours.
        """
        try:
            found = json.loads(body)
            return cls(
                str(found["job_id"]), str(found["model"]), Priority(found["priority"]), float(found["urgent_at"])
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Malformed("a message on the broker is not a reference to a job") from None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reference to publish.

    Parameters
    ----------
    reference : Reference
    delay_s : float
        To be held back for at least this time, seconds.
    dead : bool
        For the dead letters: nobody works on it, a person looks.
    """

    reference: Reference
    delay_s: float = 0.0
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """A reference that a broker delivered and still counts as ours; ``receipt`` is the transport's own."""

    reference: Reference
    receipt: Any


class Transport(Protocol):
    """A broker, as the queue uses it. It may lose, double and reorder what it carries: the ledger sees to the rest."""

    def reachable(self) -> bool:
        """Tell whether the broker is there."""
        ...

    def publish(self, outgoing: Sequence[Outgoing]) -> set[str]:
        """Publish durably; return the ids of the jobs whose reference the broker confirmed."""
        ...

    def receive(self, models: Sequence[str], limit: int) -> list[Incoming]:
        """Return up to ``limit`` references to jobs of one model, the most urgent first; none while it is away."""
        ...

    def settle(self, incoming: Sequence[Incoming]) -> None:
        """Let the broker forget them: their effect is in the ledger."""
        ...

    def waiting(self, model: str, priority: Priority) -> int:
        """Count the references that wait in one line.

        Raises
        ------
        PeerUnavailable
            If the broker does not answer.
        """
        ...

    def close(self) -> None:
        """Disconnect; what was received and not settled goes back."""
        ...


def delay_step(delay_s: float, steps_s: Sequence[float] = DELAYS_S) -> float:
    """Return the shortest step that is as long as the delay, or the longest step, seconds."""
    return next((step for step in steps_s if step >= delay_s), steps_s[-1])
