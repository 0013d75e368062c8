"""An order that the clinician said will be placed: staged for a person, and never placed by us."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class OrderKind(StrEnum):
    """What is ordered."""

    MEDICATION = "medication"
    LABORATORY = "laboratory"
    IMAGING = "imaging"
    REFERRAL = "referral"
    FOLLOW_UP = "follow-up"
    PROCEDURE = "procedure"
    """A procedure, a therapy, a vaccination or an aid."""


class OrderAction(StrEnum):
    """What is to be done with it."""

    ORDER = "order"
    """Of a medication: it is prescribed, given or to be taken, and the note does not say whether it is new."""
    START = "start"
    STOP = "stop"
    CHANGE = "change"
    REFILL = "refill"


@dataclass(frozen=True, slots=True)
class Order:
    """One order, in the words of the note: what was not said is empty.

    Parameters
    ----------
    kind : OrderKind
    action : OrderAction
        Other than ``order`` of medications only.
    name : str
        Drug, test, specialty or procedure, with its site and side where they stand beside it.
    statements : tuple of str
        Ids of the statements that say it; never empty, the one that says most first.
    words : str
        The sentence of that statement.
    dose, route, frequency, duration : str
        Of a medication.
    as_needed : bool
    side : str
        ``left``, ``right`` or ``both``.
    when : str
        As "in 2 weeks".
    condition : str
        As "if the pain gets worse": without it nothing is ordered.
    """

    kind: OrderKind
    action: OrderAction
    name: str
    statements: tuple[str, ...]
    words: str
    dose: str = ""
    route: str = ""
    frequency: str = ""
    duration: str = ""
    as_needed: bool = False
    side: str = ""
    when: str = ""
    condition: str = ""

    @property
    def instructions(self) -> str:
        """How a medication is to be taken, as the note says it."""
        said = (self.dose, self.route, self.frequency, "as needed" if self.as_needed else "", self.duration)
        return ", ".join(part for part in said if part)


def order_to_json(order: Order) -> Json:
    """Return an order as JSON values."""
    return asdict(order) | {"statements": list(order.statements)}


def order_from_json(document: Mapping[str, Any]) -> Order:
    """Return the order that :func:`order_to_json` wrote; members of others are left out."""
    given = {field.name: document[field.name] for field in fields(Order)}
    given |= {"kind": OrderKind(given["kind"]), "action": OrderAction(given["action"])}
    return Order(**given | {"statements": tuple(given["statements"])})
