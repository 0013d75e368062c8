"""The statements of a search: one page in its order, and the count. Each is written once for a shape."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Integer,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    union,
)

from osler.standards.fhir_result import Sort
from osler.storage.resource_conditions import Conditions
from osler.storage.resource_shape import Shape
from osler.storage.tables import resource as resources

Position = tuple[Any, ...]
"""The values of the keys of the last match of a page."""
_SHAPES: Final = 256
MOST_KEPT: Final = 60
"""Values of a statement that is kept."""
_LIMIT: Final = "most"
_AFTER: Final = "after"


def executed(
    connection: Connection, write: Callable[..., Select[Any]], shape: Shape, values: dict[str, Any], **how: Any
) -> CursorResult[Any]:
    """Run a statement of a shape, :func:`page_statement` or :func:`count_statement`, with its values.

    A large one is not kept: its like may never come again, and many of them would fill the memory.
    """
    if len(values) <= MOST_KEPT:
        return connection.execute(write(shape, **how), values)
    made = inspect.unwrap(write)(shape, **how)
    return connection.execute(made, values, execution_options={"compiled_cache": None})


def position_values(after: Position, most: int) -> dict[str, Any]:
    """Return what :func:`page_statement` binds beside the values of the search."""
    return {_LIMIT: most} | {f"{_AFTER}{number}": value for number, value in enumerate(after)}


@functools.lru_cache(maxsize=_SHAPES)
def page_statement(shape: Shape, *, further: bool) -> Select[Any]:
    """Select the resources of one page, in order; ``further`` when it is not the first."""
    limit = bindparam(_LIMIT, type_=Integer)
    parts = []
    for statement in _matching(shape):
        columns = list(statement.selected_columns)
        part = statement.where(_after(columns, shape.keys)) if further else statement
        parts.append(part.order_by(*_order(columns, shape.keys)).limit(limit))
    found = (parts[0] if len(parts) == 1 else union(*map(_whole, parts))).subquery("found")
    here = and_(resources.c.type == shape.type, resources.c.id == found.c.id)
    whole = select(resources).select_from(found.join(resources, here))
    return whole.order_by(*_order([found.c[key.column] for key in shape.keys], shape.keys)).limit(limit)


@functools.lru_cache(maxsize=_SHAPES)
def count_statement(shape: Shape, *, most: int | None) -> Select[Any]:
    """Count the matches; no further than ``most`` of each leading alternative."""
    parts = [statement if most is None else statement.limit(most) for statement in _matching(shape)]
    found = parts[0].subquery() if len(parts) == 1 else union(*map(_whole, parts)).subquery()
    return select(func.count()).select_from(found)


def _matching(shape: Shape) -> list[Select[Any]]:
    columns = (key.column for key in shape.keys)
    return Conditions(dict(shape.reaches)).matching(shape.type, shape.conditions, *columns)


def _whole(statement: Select[Any]) -> Select[Any]:
    """Put a statement with an order and a limit of its own in a form that can be united with others."""
    return select(statement.subquery())


def _after(columns: Sequence[Any], keys: Sequence[Sort]) -> ColumnElement[bool]:
    """Return that a row comes after a position in the order of the page."""
    after: list[Any] = [bindparam(f"{_AFTER}{number}") for number in range(len(keys))]
    alternatives = []
    for number, (column, key, value) in enumerate(zip(columns, keys, after, strict=True)):
        same = [c == v for c, v in zip(columns[:number], after[:number], strict=True)]
        alternatives.append(and_(*same, column < value if key.descending else column > value))
    first = columns[0] <= after[0] if keys[0].descending else columns[0] >= after[0]  # where the index is entered
    return and_(first, or_(*alternatives))


def _order(columns: Sequence[Any], keys: Sequence[Sort]) -> list[Any]:
    return [column.desc() if key.descending else column.asc() for column, key in zip(columns, keys, strict=True)]
