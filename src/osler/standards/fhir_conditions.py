"""What a search asks of a resource, in the terms, links and spans of the index."""

from dataclasses import dataclass
from typing import Any

from osler.standards.fhir_index import Link, Term
from osler.standards.fhir_text import MOST_GRAM


@dataclass(frozen=True, slots=True)
class Range:
    """A span must stand so to a date or number (R4 3.1.1.4.5 to 3.1.1.4.7).

    Parameters
    ----------
    parameter : str
    prefix : {"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}
    low, high : float
        Dates: from ``low`` to just before ``high``, seconds since the epoch, UTC. Numbers: what ``eq``, ``ne`` and
        ``ap`` allow; the number itself, twice, for the others.
    unit : tuple of str
        Of a quantity; empty for any, and for dates and numbers.
    numeric : bool
    """

    parameter: str
    prefix: str
    low: float
    high: float
    unit: tuple[str, ...] = ()
    numeric: bool = False

    def stands(self, low: Any, high: Any) -> Any:
        """Return whether a span from ``low`` to ``high`` stands so: of two numbers a bool, of two columns a clause."""
        if self.numeric:
            within = (low >= self.low) & (high < self.high)
            return {
                "eq": within,
                "ne": (low < self.low) | (high >= self.high),
                "gt": high > self.high,
                "lt": low < self.low,
                "ge": high >= self.low,
                "le": low <= self.high,
                "sa": low > self.high,
                "eb": high < self.low,
                "ap": (low <= self.high) & (high >= self.low),
            }[self.prefix]
        within = (low >= self.low) & (high <= self.high)
        return {
            "eq": within,
            "ne": (low < self.low) | (high > self.high),
            "gt": high > self.high,
            "lt": low < self.low,
            "ge": (high > self.high) | within,
            "le": (low < self.low) | within,
            "sa": low >= self.high,
            "eb": high <= self.low,
            "ap": (low < self.high) & (high > self.low),
        }[self.prefix]


@dataclass(frozen=True, slots=True)
class Text:
    """A string must start with this, or contain it; ``folded`` is as :func:`osler.standards.fhir_text.fold` writes."""

    parameter: str
    folded: str
    anywhere: bool

    @property
    def partial(self) -> bool:
        """Whether the index alone cannot tell: then the string itself must be compared."""
        return not self.anywhere or len(self.folded) > MOST_GRAM


@dataclass(frozen=True, slots=True)
class Present:
    """The resource must have a value for a parameter."""

    bit: int


@dataclass(frozen=True, slots=True)
class Every:
    """All of these must hold."""

    tests: tuple["Test", ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """A reference must lead to a resource of a type of which the condition holds."""

    parameter: str
    type: str
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of a type of which the condition holds must refer to this one."""

    type: str
    parameter: str
    condition: "Condition"


Test = Term | Link | Range | Text | Present | Every | Chain | Has


@dataclass(frozen=True, slots=True)
class Condition:
    """One parameter of a search: a resource matches when any test holds, or none when it is negated.

    Parameters
    ----------
    parameter : str
        Its name, for the record.
    any_of : tuple of Test
        Nothing passes an empty one.
    negated : bool
    """

    parameter: str
    any_of: tuple[Test, ...]
    negated: bool = False
