"""Which models read a study, and in what role."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from osler.domain.states import Role


@dataclass(frozen=True, slots=True)
class Lineup:
    """The models in use at one time.

    Parameters
    ----------
    champions : tuple of str
        ``name@version`` of those whose results are published.
    beside : mapping of str to tuple of str
        To a champion the versions that read the same studies for comparison; the challenger is the first.
    canary_share : float
        In [0, 1]: the share of studies that are published from the challenger in place of its champion.
    """

    champions: tuple[str, ...]
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    canary_share: float = 0.0

    def readers(self, study_instance_uid: str) -> Iterator[tuple[str, Role]]:
        """Yield each model that reads a study, with its role; the same for every revision of the study."""
        for champion in self.champions:
            others = self.beside.get(champion, ())
            canary = bool(others) and _place(study_instance_uid) < self.canary_share
            yield champion, Role.SHADOW if canary else Role.CHAMPION
            for number, other in enumerate(others):
                yield other, Role.CANARY if canary and number == 0 else Role.SHADOW


def _place(study_instance_uid: str) -> float:
    """Map a study to [0, 1), evenly."""
    return int.from_bytes(hashlib.sha256(study_instance_uid.encode()).digest()[:8], "big") / 2.0**64
