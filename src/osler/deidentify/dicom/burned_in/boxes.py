"""Boxes in a frame, and the boxes around what is connected in a map."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """Rows ``top <= row < bottom`` and columns ``left <= column < right``, counted from 0."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def grown(self, rows: int, columns: int, shape: tuple[int, int]) -> "Box":
        """Return the box with a margin, within a frame of (rows, columns)."""
        return Box(
            max(self.top - rows, 0),
            max(self.left - columns, 0),
            min(self.bottom + rows, shape[0]),
            min(self.right + columns, shape[1]),
        )

    def overlap(self, other: "Box") -> int:
        """Return the number of pixels in both."""
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        width = min(self.right, other.right) - max(self.left, other.left)
        return max(height, 0) * max(width, 0)

    def union(self, other: "Box") -> "Box":
        """Return the smallest box that holds both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def of(self, frame: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
        """Return the view of a frame of shape (row, column, ...)."""
        return frame[self.top : self.bottom, self.left : self.right]


def merged(boxes: Iterable[Box]) -> list[Box]:
    """Return the boxes with those joined that show the same line, seen twice: each overlaps half of the lesser one."""
    waiting, done = sorted(boxes), list[Box]()
    while waiting:
        box = waiting.pop()
        same = [other for other in waiting if _same_line(box, other)]
        if not same:
            done.append(box)
            continue
        waiting = [other for other in waiting if other not in same]
        for other in same:
            box = box.union(other)
        waiting.append(box)
    return sorted(done)


def _same_line(one: Box, other: Box) -> bool:
    common = one.overlap(other)
    if 2 * common < min(one.area, other.area) or not common:
        return False
    # A whole block that was taken for one line does not swallow the lines in it.
    return max(one.height, other.height) <= 2 * min(one.height, other.height)


def connected(mask: npt.NDArray[np.bool_]) -> Iterator[Box]:
    """Yield the bounding box of each connected area, of eight neighbours, of a mask of shape (row, column).

    Runs of each row are joined with those of the row before that they touch, so the time grows with the number of runs.
    """
    parents: list[int] = []
    boxes: list[Box] = []

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    before: list[tuple[int, int, int]] = []
    for row, starts, ends in _runs(mask):
        if before and boxes[before[0][2]].bottom < row:
            before = []
        current: list[tuple[int, int, int]] = []
        for start, end in zip(starts, ends, strict=True):
            index = len(parents)
            parents.append(index)
            boxes.append(Box(row, start, row + 1, end))
            for other_start, other_end, other in before:
                if other_start <= end and start <= other_end:
                    kept, joined = sorted((root(index), root(other)))
                    parents[joined] = kept
            current.append((start, end, index))
        before = current
    whole: dict[int, Box] = {}
    for index, box in enumerate(boxes):
        top = root(index)
        whole[top] = whole[top].union(box) if top in whole else box
    yield from whole.values()


def _runs(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yield each row that has any run, with the columns where its runs start and end."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    for row in np.flatnonzero(mask.any(axis=1)).tolist():
        yield row, np.flatnonzero(edges[row] == 1).tolist(), np.flatnonzero(edges[row] == -1).tolist()
