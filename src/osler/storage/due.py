"""When something that was put off to a time may be done."""

from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, or_

LONGEST_S: Final = 3600.0
"""Longer than anything is put off here, seconds."""

NEVER: Final = 1e12
"""A time that does not come, seconds since the epoch."""


def due(at: ColumnElement[Any], now: float) -> ColumnElement[bool]:
    """Tell whether the time in a column has come.

    A time that lies further ahead than anything is put off was written while a clock was wrong: it counts as come,
    or what waits for it would wait for days once the clock is right again.

    Parameters
    ----------
    at : ColumnElement
        Seconds since the epoch, UTC.
    now : float
    """
    return or_(at <= now, and_(at > now + LONGEST_S, at < NEVER))


def in_turn(at: ColumnElement[Any], now: float) -> ColumnElement[Any]:
    """Return what to sort by: of a clock that was wrong comes first, or it stood behind all that comes for days."""
    return case((at > now + LONGEST_S, 0.0), else_=at)


def has_come(at: float, now: float) -> bool:
    """Tell the same of a time at hand."""
    return at <= now or now + LONGEST_S < at < NEVER
