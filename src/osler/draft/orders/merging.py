"""The same order said twice is one."""

from dataclasses import dataclass, replace
from typing import Final

from osler.domain.orders import Order, OrderAction, OrderKind
from osler.draft.orders.details import same_time

_DETAILS: Final = ("dose", "route", "frequency", "duration", "as_needed", "side", "when")
_NAMED: Final = frozenset({OrderKind.IMAGING, OrderKind.PROCEDURE, OrderKind.LABORATORY})


@dataclass(frozen=True, slots=True)
class Found:
    """An order with what it is of, by which it is compared."""

    order: Order
    concept: str


def take(kept: list[Found], found: Found) -> None:
    """Add an order to those that are kept, or give what it says more to one that is the same."""
    for number, other in enumerate(kept):
        if other.concept == found.concept and _is_same(other.order, found.order):
            kept[number] = replace(other, order=_merged(other.order, found.order))
            return
    kept.append(found)


def _is_same(mine: Order, theirs: Order) -> bool:
    """Whether nothing that both say differs; what is ordered anyway may be said again under a condition."""
    if mine.kind is not theirs.kind:
        return False
    if mine.action is not theirs.action and (OrderAction.ORDER not in (mine.action, theirs.action) or theirs.condition):
        return False
    if mine.condition != theirs.condition and (mine.condition or not theirs.condition):
        return False
    if not all(_agree(getattr(mine, name), getattr(theirs, name)) for name in _DETAILS if name != "as_needed"):
        return False
    return mine.kind not in _NAMED or _is_nested(mine.name, theirs.name)


def _agree(one: str, other: str) -> bool:
    return not one or not other or same_time(one, other)


def _is_nested(one: str, other: str) -> bool:
    """Whether one name says all that the other says: "echocardiogram" and "repeat echocardiogram"."""
    fewer, more = sorted(({word.rstrip("s") for word in name.lower().split()} for name in (one, other)), key=len)
    return fewer - {"repeat"} <= more


def _merged(mine: Order, theirs: Order) -> Order:
    fuller, rest = (theirs, mine) if _weight(theirs) > _weight(mine) else (mine, theirs)
    action = fuller.action if fuller.action is not OrderAction.ORDER else rest.action
    statements = tuple(dict.fromkeys((*fuller.statements, *rest.statements)))
    filled = {name: getattr(fuller, name) or getattr(rest, name) for name in _DETAILS}
    return replace(fuller, action=action, statements=statements, condition=mine.condition, **filled)


def _weight(order: Order) -> tuple[int, int]:
    return sum(bool(getattr(order, name)) for name in _DETAILS), len(order.name)
