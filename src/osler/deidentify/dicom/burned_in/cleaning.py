"""Clean Pixel Data: blank the text that is burned into the frames of an instance.

References
----------
DICOM PS3.15 E.3.1 (Clean Pixel Data Option), PS3.3 C.7.6.1 (Burned In Annotation), PS3.16 CID 7050 (113101)
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.errors import InvalidDicomError

from osler.deidentify.dicom.burned_in.boxes import Box
from osler.deidentify.dicom.burned_in.encoding import BASELINE, encode, encode_baseline
from osler.deidentify.dicom.burned_in.frames import (
    Form,
    NativeFrames,
    Values,
    check_pixels,
    decode,
    encoded_frames,
    fill,
    form_of,
    light,
    without_other_bits,
)
from osler.deidentify.dicom.burned_in.harmless import known_words
from osler.deidentify.dicom.burned_in.looking import Looker, Region
from osler.deidentify.dicom.burned_in.ocr import TextReader
from osler.errors import DeidentificationRefused, Malformed

TIMEOUT_S = 900.0
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_MARGIN = 48


@dataclass(frozen=True, slots=True)
class CleanedPixels:
    """An instance whose frames were all looked at.

    Parameters
    ----------
    content : bytes
        A DICOM Part 10 file in the transfer syntax of the input. What lies outside the blanked boxes is bit-identical,
        except in frames of JPEG baseline that were touched.
    regions : tuple of Region
        All text that was found, with what became of it.
    frames : int
        How many were looked at; 0 when the instance has no pixel data.
    touched : tuple of int
        The frames that changed, ascending, counted from 0.
    lossy : bool
        Frames were compressed again with loss.
    """

    content: bytes
    regions: tuple[Region, ...]
    frames: int
    touched: tuple[int, ...]
    lossy: bool


def clean_pixels(
    content: bytes,
    *,
    known: Mapping[str, Any],
    reader: TextReader,
    on_frame: Callable[[int, int], None] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> CleanedPixels:
    """Blank the text in all frames of an instance that may tell who the patient is.

    Every frame is looked at, whatever Burned In Annotation says. Text stays when it certainly tells nothing of a
    person: an orientation mark, a number of a scale, a setting of the device. All other text goes, and so does what
    looks like text and cannot be read.

    Parameters
    ----------
    content : bytes
        A DICOM Part 10 file whose header is de-identified.
    known : mapping
        What the header said about the patient, in the form of a FHIR Patient.
    reader : TextReader
    on_frame : callable, optional
        Called with the number of frames looked at and of all.
    timeout_s : float
        Longest time for the instance, seconds.

    Raises
    ------
    DeidentificationRefused
        If it cannot be made safe: pixels that cannot be looked at or not encoded again, or too much for the time.
    Malformed
        If the pixels are damaged.
    """
    dataset = _read(content)
    if not check_pixels(dataset):
        return CleanedPixels(content, (), 0, (), lossy=False)
    form = form_of(dataset)
    pixels = _Pixels(dataset, form)
    looker = Looker(reader, known_words(known), tuple(_ultrasound_regions(dataset, form)))
    regions = _look_at_all(pixels, looker, on_frame, time.monotonic() + timeout_s)
    touched = pixels.blank(_boxes_of_frames(regions, form.frames))
    _set_flags(dataset, lossy=pixels.lossy)
    written = io.BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return CleanedPixels(written.getvalue(), tuple(regions), form.frames, touched, pixels.lossy)


def lightness_of_frames(content: bytes) -> Iterator[Values]:
    """Yield how light the pixels of each frame of an instance are, shape (row, column), one frame after the other.

    Raises
    ------
    DeidentificationRefused, Malformed
        As :func:`clean_pixels`.
    """
    dataset = _read(content)
    if check_pixels(dataset):
        yield from _Pixels(dataset, form_of(dataset))


class _Pixels:
    """The frames of an instance, native or compressed."""

    def __init__(self, dataset: pydicom.FileDataset, form: Form) -> None:
        syntax = dataset.file_meta.TransferSyntaxUID
        self.lossy = False
        self._dataset, self._form, self._baseline = dataset, form, str(syntax) in BASELINE
        self._native = None
        if not syntax.is_compressed or syntax == "1.2.840.10008.1.2.1.99":
            self._native = NativeFrames(dataset, form, big_endian=syntax == _BIG_ENDIAN)

    @property
    def frames(self) -> int:
        """How many there are."""
        return self._form.frames

    def __iter__(self) -> Iterator[Values]:
        """Yield how light the pixels of each frame are, one after the other."""
        for values in self._stored():
            yield light(values, self._form, self._dataset)

    def blank(self, boxes: list[list[Box]]) -> tuple[int, ...]:
        """Blank the boxes of each frame, clear what stands beside the stored bits; return the frames that changed."""
        if self._native is None:
            return self._blank_encoded(boxes)
        native, form = self._native, self._form
        touched = [i for i in range(form.frames) if _blank(native.view(i), boxes[i], form, self._dataset)]
        if touched:
            self._dataset.PixelData = bytes(native.buffer)
        return tuple(touched)

    def _blank_encoded(self, boxes: list[list[Box]]) -> tuple[int, ...]:
        frames, touched, form = [], [], self._form
        for index, frame in enumerate(encoded_frames(self._dataset, form)):
            if self._baseline:
                changed = bool(boxes[index])
                new = encode_baseline(frame, boxes[index], form) if changed else frame
                self.lossy |= changed
            elif boxes[index] or form.stored < form.allocated:
                values = decode(frame, self._dataset, form)
                changed = _blank(values, boxes[index], form, self._dataset)
                new = encode(values, self._dataset, form) if changed else frame
            else:
                changed, new = False, frame
            frames.append(new)
            if changed:
                touched.append(index)
        if touched:
            self._put(frames)
        return tuple(touched)

    def _put(self, frames: list[bytes]) -> None:
        dataset = self._dataset
        if "ExtendedOffsetTable" in dataset:
            dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(
                frames
            )
        else:
            has_table = dataset.PixelData[4:8] != b"\0\0\0\0"
            dataset.PixelData = encapsulate(frames, has_bot=has_table)
        dataset["PixelData"].is_undefined_length = True
        if self.lossy:
            bits = self._form.rows * self._form.columns * self._form.samples * len(frames)
            _append(dataset, "LossyImageCompressionRatio", f"{bits / sum(map(len, frames)):.2f}")
            _append(dataset, "LossyImageCompressionMethod", "ISO_10918_1")

    def _stored(self) -> Iterator[Values]:
        if self._native is not None:
            yield from (self._native.view(index) for index in range(self._form.frames))
            return
        count = 0
        for frame in encoded_frames(self._dataset, self._form):
            yield decode(frame, self._dataset, self._form)
            count += 1
        if count != self._form.frames:
            raise Malformed("there are not as many frames as the header says")


def _read(content: bytes) -> pydicom.FileDataset:
    try:
        return pydicom.dcmread(io.BytesIO(content))
    except (InvalidDicomError, ValueError, EOFError, OSError) as error:
        raise Malformed("the instance cannot be read") from type(error)()


def _look_at_all(
    pixels: _Pixels, looker: Looker, on_frame: Callable[[int, int], None] | None, deadline: float
) -> list[Region]:
    """Look at each frame where it differs from the one before; what stays in place is not read anew."""
    regions: list[Region] = []
    before: Values | None = None
    latest: list[Region] = []
    for index, lightness in enumerate(pixels):
        if time.monotonic() > deadline:
            raise DeidentificationRefused("pixel-time", "looking for text took longer than it may")
        part = _changed(before, lightness, latest)
        if part is not None:
            latest = [region for region in latest if not region.box.overlap(part)]
            latest += looker.look(lightness, index, part)
        latest = [Region(index, region.box, region.kept) for region in latest]
        regions += latest
        before = lightness.copy()
        if on_frame is not None:
            on_frame(index + 1, pixels.frames)
    return regions


def _changed(before: Values | None, now: Values, regions: list[Region]) -> Box | None:
    """Return the box of what differs between two frames, with the text that reaches into it, or None."""
    shape = (now.shape[0], now.shape[1])
    whole = Box(0, 0, *shape)
    if before is None:
        return whole
    differs = before != now
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return None
    part = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    part = part.grown(_MARGIN, _MARGIN, shape)
    growing = True
    while growing:
        reached = [r.box for r in regions if r.box.overlap(part) and r.box.union(part) != part]
        growing = bool(reached)
        for box in reached:
            part = part.union(box)
    return whole if 4 * part.area > 3 * whole.area else part


def _boxes_of_frames(regions: list[Region], frames: int) -> list[list[Box]]:
    boxes: list[list[Box]] = [[] for _ in range(frames)]
    for region in regions:
        if not region.kept:
            boxes[region.frame].append(region.box)
    return boxes


def _blank(values: Values, boxes: list[Box], form: Form, dataset: Dataset) -> bool:
    """Blank boxes of stored values in place; return whether anything changed."""
    changed = False
    if form.samples == 1:
        exact = without_other_bits(values, form)
        if not np.array_equal(exact, values):
            values[...] = exact
            changed = True
    if boxes:
        before = values.copy()
        lightness = light(values, form, dataset).copy()
        for box in boxes:
            fill(values, box, lightness)
        changed |= not np.array_equal(values, before)
    return changed


def _ultrasound_regions(dataset: Dataset, form: Form) -> Iterator[Box]:
    """Yield where the header says that there is ultrasound (PS3.3 C.8.5.5)."""
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        try:
            box = Box(
                max(int(item.RegionLocationMinY0), 0),
                max(int(item.RegionLocationMinX0), 0),
                min(int(item.RegionLocationMaxY1) + 1, form.rows),
                min(int(item.RegionLocationMaxX1) + 1, form.columns),
            )
        except (AttributeError, TypeError, ValueError):
            continue
        if box.height > 0 and box.width > 0:
            yield box


def _set_flags(dataset: Dataset, *, lossy: bool) -> None:
    dataset.BurnedInAnnotation = "NO"
    if lossy:
        dataset.LossyImageCompression = "01"


def _append(dataset: Dataset, keyword: str, value: str) -> None:
    old = dataset.get(keyword)
    values = [] if old in (None, "") else [old] if isinstance(old, (str, float, int)) else list(old)
    setattr(dataset, keyword, [*values, value])
