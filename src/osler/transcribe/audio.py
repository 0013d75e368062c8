"""A recording as mono or two-channel samples at 16 kHz, read in blocks so that its length does not matter."""

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from osler.errors import Malformed, TooLarge, UnsupportedMediaType
from osler.transcribe.channels import Track, gain, level_db, loudness_db, tracks
from osler.transcribe.extra import load
from osler.transcribe.sniff import CONTAINERS, container

RATE: Final = 16_000
"""Samples a second that speech models take."""

FRAME: Final = 320
"""Samples of a level frame: 20 ms."""

Samples = npt.NDArray[np.float32]
Source = bytes | Path | BinaryIO

_BLOCK: Final = 30 * RATE
_RATES: Final = range(4_000, 384_001)
_SHORTFALL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """What is taken of one recording.

    Parameters
    ----------
    max_seconds : float
        Longest recording.
    max_channels : int
    """

    max_seconds: float = 4 * 3600.0
    max_channels: int = 8


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording that has been listened to once, for its length and levels.

    Parameters
    ----------
    duration_s : float
    levels : ndarray of float32, shape (channel, frame), dB of full scale
        Of each 20 ms.
    tracks : tuple of tuple of int
        What to transcribe: for each track the channels that are averaged to it. Two tracks are two speakers.
    warnings : tuple of str
    """

    source: Source
    duration_s: float
    levels: Samples
    tracks: tuple[Track, ...]
    warnings: tuple[str, ...]

    def blocks(self, track: Track) -> Iterator[Samples]:
        """Decode again and yield the samples of a track, 30 s at a time, float32 in [-1, 1], amplified if quiet."""
        factor = gain(loudness_db(self.track_levels(track)))
        for block in _decoded(self.source, AudioLimits(self.duration_s + 1), lambda _: None):
            mixed = block[list(track)].mean(axis=0, dtype=np.float32)
            yield np.ascontiguousarray((mixed * factor).clip(-1.0, 1.0), dtype=np.float32)

    def track_levels(self, track: Track) -> Samples:
        """Return the levels of a track, dB of full scale, one each 20 ms."""
        return np.asarray(self.levels[list(track)].max(axis=0), dtype=np.float32)


def open_recording(source: Source, limits: AudioLimits | None = None) -> Recording:
    """Listen to a recording once: is it audio, how long is it, how loud, and do its channels differ.

    Parameters
    ----------
    source : bytes, Path or seekable binary file
    limits : AudioLimits, optional

    Raises
    ------
    UnsupportedMediaType
        If it is in no container that is read here, or has no audio.
    Malformed
        If nothing of it can be decoded.
    TooLarge
        If it is longer than the limit; nothing beyond the limit is decoded.
    ConfigError
        If the extra ``scribe`` is not installed.
    """
    limits = limits or AudioLimits()
    warnings: list[str] = []
    levels: list[Samples] = []
    samples = 0
    for block in _decoded(source, limits, warnings.append):
        samples += block.shape[1]
        levels.append(level_db(block, FRAME))
    if not samples:
        raise Malformed("nothing of the recording can be decoded: record again, or send the original file")
    measured = np.concatenate(levels, axis=1)
    return Recording(source, samples / RATE, measured, tracks(measured), tuple(dict.fromkeys(warnings)))


def _decoded(source: Source, limits: AudioLimits, warn: Callable[[str], None]) -> Iterator[Samples]:
    """Yield blocks of shape (channel, sample), 16 kHz, all but the last of 30 s."""
    av = load("av")
    with _opened(source) as stream:
        form = _container(stream)
        try:
            opened = av.open(stream, format=form, metadata_errors="ignore")
        except (av.error.FFmpegError, ValueError, EOFError):
            raise Malformed(
                "the recording is damaged and cannot be opened, it may have been cut off: send the original file"
            ) from None
        with opened:
            yield from _joined(_frames(av, opened, limits, warn), limits)
        if not _whole(form, stream):
            warn("the recording is incomplete: its end is missing")


def _joined(parts: Iterator[Samples], limits: AudioLimits) -> Iterator[Samples]:
    waiting: list[Samples] = []
    held, total = 0, 0
    for part in parts:
        total += part.shape[1]
        if total > limits.max_seconds * RATE:
            raise TooLarge(
                f"the recording is longer than {limits.max_seconds / 3600:.3g} hours: send it in several parts"
            )
        waiting.append(part)
        held += part.shape[1]
        while held >= _BLOCK:
            whole = np.concatenate(waiting, axis=1)
            yield _clean(whole[:, :_BLOCK])
            waiting, held = [whole[:, _BLOCK:]], held - _BLOCK
    if held:
        yield _clean(np.concatenate(waiting, axis=1))


def _frames(av: Any, opened: Any, limits: AudioLimits, warn: Callable[[str], None]) -> Iterator[Samples]:
    stream = _audio_stream(opened, limits)
    if stream.rate < RATE:
        warn(f"the recording has {stream.rate} samples a second, of telephone quality: expect more errors")
    layout = "stereo" if stream.channels == 2 else "mono"
    resampler: Any = None
    form = None
    decoder = _Decoder(av.error.FFmpegError)
    samples = 0
    for frame in decoder.frames(opened, stream):
        if form != (found := (frame.format.name, frame.layout.name, frame.rate)):
            for array in _flushed(resampler):
                samples += array.shape[1]
                yield array
            resampler, form = av.AudioResampler("fltp", layout, RATE, RATE), found
        frame.pts = None
        for part in resampler.resample(frame):
            array = _array(part)
            samples += array.shape[1]
            yield array
    for array in _flushed(resampler):
        samples += array.shape[1]
        yield array
    _warn_of_shortfall(opened, stream, samples / RATE, decoder.damaged, warn)


class _Decoder:
    """Decodes packet by packet, so that what comes after a bad one is not lost."""

    def __init__(self, error: type[Exception]) -> None:
        self.damaged = False
        self._errors = (error, ValueError, EOFError)

    def frames(self, opened: Any, stream: Any) -> Iterator[Any]:
        for packet in self._packets(opened, stream):
            try:
                yield from packet.decode()
            except self._errors:
                self.damaged = True

    def _packets(self, opened: Any, stream: Any) -> Iterator[Any]:
        try:
            yield from opened.demux(stream)
        except self._errors:
            self.damaged = True


def _flushed(resampler: Any) -> Iterator[Samples]:
    if resampler is not None:
        for part in resampler.resample(None):
            yield _array(part)


def _array(frame: Any) -> Samples:
    return np.asarray(frame.to_ndarray(), dtype=np.float32)


def _clean(samples: Samples) -> Samples:
    """Return samples that are numbers in [-1, 1]; a recording in floating point may have others."""
    if np.isfinite(samples).all():
        return samples.clip(-1.0, 1.0)
    return np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)


def _audio_stream(opened: Any, limits: AudioLimits) -> Any:
    if not opened.streams.audio:
        raise UnsupportedMediaType(f"the file has no audio: send a recording as {CONTAINERS}")
    stream = opened.streams.audio[0]
    if stream.codec_context is None or not stream.rate or not stream.channels:
        raise Malformed("the recording does not say how its audio is coded: send the original file")
    if stream.channels > limits.max_channels or stream.rate not in _RATES:
        raise UnsupportedMediaType(
            f"at most {limits.max_channels} channels and between {_RATES.start} and {_RATES.stop - 1} samples a second"
            " are taken: convert the recording"
        )
    return stream


def _warn_of_shortfall(opened: Any, stream: Any, decoded_s: float, damaged: bool, warn: Callable[[str], None]) -> None:
    promised = 0.0
    if stream.duration is not None and stream.time_base is not None:
        promised = float(stream.duration * stream.time_base)
    elif opened.duration is not None:
        promised = opened.duration / 1e6
    if promised > decoded_s + _SHORTFALL_S:
        warn("the recording is incomplete: its end is missing")
    if damaged:
        warn("the recording is damaged: parts of it could not be decoded")


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
    elif isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        source.seek(0)
        yield source


def _container(stream: BinaryIO) -> str:
    """Name the container by its first bytes; only these demuxers are ever started, and none opens another file."""
    found = container(stream.read(12))
    stream.seek(0)
    if found is None:
        raise UnsupportedMediaType(f"this is not a recording that can be read here: send {CONTAINERS}")
    return found


def _whole(form: str, stream: BinaryIO) -> bool:
    """Tell whether the end is there, for the two containers whose demuxers do not say."""
    return {"ogg": _ogg_ends, "wav": _wav_ends}.get(form, lambda _: True)(stream)


def _ogg_ends(stream: BinaryIO) -> bool:
    """Tell whether the last Ogg page is whole and says that it is the last (RFC 3533 section 6)."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - 131_072))
    tail = stream.read(131_072)
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    segments = tail[at + 26]
    table = tail[at + 27 : at + 27 + segments]
    whole = len(table) == segments and len(tail) >= at + 27 + segments + sum(table)
    return whole and bool(tail[at + 5] & 0x04)


def _wav_ends(stream: BinaryIO) -> bool:
    """Tell whether the file is as long as its data chunk says; one that was streamed says nothing."""
    size = stream.seek(0, io.SEEK_END)
    at = 12
    while at + 8 <= size:
        stream.seek(at)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            return length == 0xFFFFFFFF or at + 8 + length <= size
        at += 8 + length + length % 2
    return True
