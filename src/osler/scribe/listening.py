"""Listening to a place in the recording again: a clip of it, decoded anew, and on record."""

import io
import wave
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from osler.audit import Agent
from osler.domain.encounter import Documented
from osler.errors import Malformed, NotFound
from osler.scribe.own import OwnBlobs
from osler.scribe.record import record
from osler.scribe.takes import takes
from osler.storage import encounters
from osler.stores import Stores
from osler.transcribe.audio import RATE, open_recording

LONGEST_S: Final = 120.0


def clip(stores: Stores, agent: Agent, held: Documented, *, start_s: float, end_s: float) -> bytes:
    """Return a part of the recording as a WAV file: mono, 16 kHz, 16 bits.

    Parameters
    ----------
    start_s, end_s : float
        From the beginning of the first take, the takes one after another, seconds.

    Raises
    ------
    NotFound
        If there is no audio, or no more.
    Malformed
        If the end is not after the start, or the clip is longer than :data:`LONGEST_S`.
    """
    if not 0 < end_s - start_s <= LONGEST_S:
        raise Malformed(f"a clip ends after it starts, and is at most {LONGEST_S:.0f} s long")
    with stores.database.read() as connection:
        parts = encounters.audio(connection, held.id)
    if not parts:
        gone = held.audio_deleted_at is not None
        raise NotFound("the audio has been deleted, as the settings ask" if gone else "there is no audio")
    stores.audit.record(record("audio-heard", agent, held, start=start_s, end=end_s))
    at, found = 0.0, []
    for file in takes(parts, OwnBlobs(stores.identified).get):
        recording = open_recording(file)
        if at + recording.duration_s > start_s:
            every = tuple(range(len(recording.levels)))
            found.append(_between(recording.blocks(every), start_s - at, end_s - at))
        at += recording.duration_s
        if at >= end_s:
            break
    return _wav(np.concatenate(found) if found else np.zeros(0, np.float32))


def _between(blocks: Iterator[npt.NDArray[np.float32]], start_s: float, end_s: float) -> npt.NDArray[np.float32]:
    first, last, at, kept = max(0, round(start_s * RATE)), round(end_s * RATE), 0, []
    for block in blocks:
        kept.append(block[max(0, first - at) : max(0, last - at)])
        at += len(block)
        if at >= last:
            break
    return np.concatenate(kept) if kept else np.zeros(0, np.float32)


def _wav(samples: npt.NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return stream.getvalue()
