"""Sentences of a track: the smallest parts that one speaker says."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from osler.domain.transcript import SpeakerRole, Utterance, Word
from osler.transcribe.recognise import Segment

_PAUSE_S: Final = 0.8
_TURN_PAUSE_S: Final = 2.0
_ENDS: Final = (".", "?", "!", "。", "？", "！")
_TITLES: Final = frozenset({"dr.", "mr.", "mrs.", "ms.", "st.", "vs.", "prof."})


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Piece:
    """A sentence, or a part of one between pauses.

    Parameters
    ----------
    text : str
    start_s, end_s : float or None
    words : tuple of Word
    track : int
    voice : ndarray of float32, shape (dimension,), or None
        What the voice is like; None when it was too short, or nobody looked.
    """

    text: str
    start_s: float | None = None
    end_s: float | None = None
    words: tuple[Word, ...] = ()
    track: int = 0
    voice: npt.NDArray[np.float32] | None = field(default=None)

    def __repr__(self) -> str:
        return f"Piece(track {self.track}, <identified>)"

    def pause_after(self, before: "Piece") -> float:
        """Return the seconds between the end of a piece before and the beginning of this; 0 where times are missing."""
        if self.start_s is None or before.end_s is None:
            return 0.0
        return max(0.0, self.start_s - before.end_s)


def pieces(segment: Segment, track: int) -> Iterator[Piece]:
    """Cut a segment where a sentence ends and where somebody pauses."""
    if not segment.words:
        yield Piece(segment.text, segment.start_s, segment.end_s, (), track)
        return
    waiting: list[Word] = []
    for word in segment.words:
        if waiting and word.start_s - waiting[-1].end_s >= _PAUSE_S:
            yield _piece(waiting, track)
            waiting = []
        waiting.append(word)
        if word.text.endswith(_ENDS) and word.text.lower() not in _TITLES:
            yield _piece(waiting, track)
            waiting = []
    if waiting:
        yield _piece(waiting, track)


def _piece(words: Sequence[Word], track: int) -> Piece:
    return Piece(" ".join(word.text for word in words), words[0].start_s, words[-1].end_s, tuple(words), track)


def utterances(spoken: Iterable[tuple[Piece, str]], roles: dict[str, SpeakerRole]) -> tuple[Utterance, ...]:
    """Join what one speaker says without a pause of 2 s to numbered utterances.

    Parameters
    ----------
    spoken : iterable of (Piece, str)
        In order, with the label of the speaker.
    roles : dict of str to SpeakerRole
    """
    groups: list[tuple[str, list[Piece]]] = []
    for piece, speaker in spoken:
        last = groups[-1] if groups else None
        if last and last[0] == speaker and piece.pause_after(last[1][-1]) < _TURN_PAUSE_S:
            last[1].append(piece)
        else:
            groups.append((speaker, [piece]))
    return tuple(
        Utterance(
            number,
            speaker,
            roles.get(speaker, SpeakerRole.OTHER),
            " ".join(piece.text for piece in group),
            group[0].start_s,
            group[-1].end_s,
            tuple(word for piece in group for word in piece.words),
        )
        for number, (speaker, group) in enumerate(groups, 1)
    )
