"""Look for text in a frame and decide what of it goes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osler.deidentify.dicom.burned_in.boxes import Box, merged
from osler.deidentify.dicom.burned_in.frames import Values, fill
from osler.deidentify.dicom.burned_in.harmless import is_harmless
from osler.deidentify.dicom.burned_in.ocr import Grey, Line, TextReader
from osler.deidentify.dicom.burned_in.rendering import renderings

_LOOKS = 2
_FAINT, _DOUBTFUL, _SURE = 0.4, 0.6, 0.8
"""Least confidence of what is taken for text; within an area of ultrasound; of one character or of what is very thick.

Measured: 98 % of planted text is read with more than the first, and a third of what is none.
"""
_THICK = 0.08
"""Share of the frame's rows above which a line of text is very thick, and must be read surely to be taken for one."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where text was found in a frame, and what became of it. The text itself is kept nowhere.

    Parameters
    ----------
    frame : int
        Counted from 0.
    box : Box
    kept : bool
        It certainly tells nothing of a person and stays.
    """

    frame: int
    box: Box
    kept: bool


@dataclass(frozen=True, slots=True)
class Looker:
    """Finds the text of one instance's frames.

    Parameters
    ----------
    reader : TextReader
    known : frozenset of str
        Words of the patient's identity, in lower case.
    picture_areas : sequence of Box
        Where the header says that there is ultrasound (Sequence of Ultrasound Regions). What is found there and cannot
        be read at all is speckle and stays; elsewhere it goes.
    drawing : bool
        The frame is a drawing of a few strokes: what cannot be read at all is one of them and stays.
    """

    reader: TextReader
    known: frozenset[str] = frozenset()
    picture_areas: Sequence[Box] = ()
    drawing: bool = False

    def look(self, lightness: Values, frame: int, within: Box) -> list[Region]:
        """Return the text in a part of a frame, and look again behind what goes until no more is found.

        Parameters
        ----------
        lightness : ndarray, shape (row, column)
        frame : int
        within : Box
        """
        part = within.of(lightness).copy()
        found: list[Region] = []
        for _ in range(_LOOKS):
            new = [region for region in self._look_once(part, frame, within) if not region.kept or not found]
            found.extend(new)
            if all(region.kept for region in new):
                break
            before = part.copy()
            for region in new:
                if not region.kept:
                    fill(part, _moved(region.box, -within.top, -within.left), before)
        return found

    def _look_once(self, part: Values, frame: int, within: Box) -> list[Region]:
        pictures = list(renderings(part))
        boxes = merged(box for picture in pictures for box in self.reader.find(picture))
        judged = [(box, self._judge(box, pictures, within)) for box in boxes]
        lines = [(box, kept) for box, kept in judged if kept is not None]
        goes = [box for box, kept in lines if not kept]
        return [
            Region(
                frame,
                _moved(_whole(box, kept, (part.shape[0], part.shape[1])), within.top, within.left),
                kept and not any(_beside(box, other) for other in goes),
            )
            for box, kept in lines
        ]

    def _judge(self, box: Box, pictures: list[Grey], within: Box) -> bool | None:
        """Return whether a text stays, or None when it is none."""
        margin = max(box.height // 8, 1)
        whole = box.grown(margin, margin, (pictures[0].shape[0], pictures[0].shape[1]))
        views = [whole.of(picture) for picture in pictures]
        read = [self.reader.read(view) for view in views]
        if any(is_harmless(line.text, line.confidence, known=self.known) for line in read):
            # All that was read with any confidence must agree: a second reading that differs is a doubt.
            return len({line.text.replace(" ", "") for line in read if line.confidence >= _SURE and line.text}) == 1
        if 2 * box.height > 3 * box.width:
            read += [self.reader.read(np.rot90(view, turns)) for view in (views[0], views[-1]) for turns in (1, 3)]
        placed = _moved(box, within.top, within.left)
        in_picture = any(2 * placed.overlap(area) > placed.area for area in self.picture_areas)
        thick = min(box.height, box.width) > max(_THICK * pictures[0].shape[0], 64)
        least = _SURE if thick else _DOUBTFUL if in_picture else _FAINT
        if any(_legible(line, least, 3 if thick else 1) for line in read):
            return False
        # What cannot be read at all is anatomy, unless it stands on a plain ground, where blanking costs nothing.
        is_shape = in_picture or thick or self.drawing
        return None if is_shape or not _on_plain_ground(whole, pictures[0]) else False


def _legible(line: Line, least: float, fewest: int) -> bool:
    characters = sum(character.isalnum() for character in line.text)
    return characters >= fewest and line.confidence >= (least if characters > 1 else _SURE)


def _on_plain_ground(box: Box, picture: Grey) -> bool:
    outer = box.grown(2, 2, (picture.shape[0], picture.shape[1])).of(picture)
    edge = np.concatenate((outer[0], outer[-1], outer[:, 0], outer[:, -1]))
    low, high = np.percentile(edge, (10, 90))
    return bool(low == high) and bool(np.count_nonzero(outer != low))


def _whole(box: Box, kept: bool, shape: tuple[int, int]) -> Box:
    if kept:
        return box
    thin = min(box.height, box.width)
    return box.grown(thin // 8 + 2, thin // 4 + 2, shape)


def _beside(one: Box, other: Box) -> bool:
    """Whether two boxes lie on one line with less than the width of a word between."""
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    gap = max(one.left, other.left) - min(one.right, other.right)
    return 2 * height > min(one.height, other.height) and gap < max(one.height, other.height)


def _moved(box: Box, rows: int, columns: int) -> Box:
    return Box(box.top + rows, box.left + columns, box.bottom + rows, box.right + columns)
