"""What a model needs of the worker that runs it, and whether a worker has it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from osler.errors import ConfigError
from osler.infer.devices import Device
from osler.plugins import Card

_KEYS: Final = {"tags", "gpu_memory_mb", "memory_mb", "processes"}


@dataclass(frozen=True, slots=True)
class Needs:
    """What a card's ``needs`` says.

    Parameters
    ----------
    tags : frozenset of str
        All of which the worker must have.
    gpu_memory_mb, memory_mb : int
        Least memory of the GPU, and least address space of its process, MB; 0 for any.
    processes : int
        Most processes on one host; 0 for any number.
    """

    tags: frozenset[str] = frozenset()
    gpu_memory_mb: int = 0
    memory_mb: int = 0
    processes: int = 0

    @classmethod
    def of(cls, card: Card) -> "Needs":
        """Read them from a card.

        Raises
        ------
        ConfigError
            If the card says something else there.
        """
        given, numbers = dict(card.needs), ("gpu_memory_mb", "memory_mb", "processes")
        tags = given.get("tags", ())
        whole = all(type(given.get(name, 0)) is int and given.get(name, 0) >= 0 for name in numbers)
        words = isinstance(tags, list | tuple) and all(isinstance(tag, str) for tag in tags)
        if not whole or not words or set(given) - _KEYS:
            raise ConfigError(f"the needs of {card.name} are not {', '.join(sorted(_KEYS))} with their values")
        return cls(frozenset(tags), *(given.get(name, 0) for name in numbers))

    def lacking(self, *, device: Device, tags: Collection[str], memory_mb: int) -> str:
        """Say what a worker lacks; nothing when it can run the model."""
        missing = sorted(self.tags - set(tags))
        if missing:
            return f"the worker lacks the tag {missing[0]}"
        if self.gpu_memory_mb and device.name == "cpu":
            return "the worker has no GPU"
        if self.gpu_memory_mb > device.memory_mb > 0:
            return f"{device.name} has {device.memory_mb} MB, and the model needs {self.gpu_memory_mb}"
        if self.memory_mb > memory_mb:
            return f"worker.memory_mb is {memory_mb}, and the model needs {self.memory_mb}"
        return ""
