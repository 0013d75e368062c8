"""Who says what: by channel, by voice, or by what is said."""

import bisect
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from osler.domain.transcript import SpeakerRole, Word
from osler.transcribe.pieces import Piece
from osler.transcribe.roles import clinician_score
from osler.transcribe.voices import cluster

Labelled = list[tuple[Piece, str]]

CLINICIAN_FIRST: Final = {"S1": SpeakerRole.CLINICIAN, "S2": SpeakerRole.PATIENT}
"""Roles of the speakers that :func:`by_dialogue` tells apart."""

_CROSSTALK_DB: Final = 6.0
_CROSSTALK_S: Final = 0.5
_CROSSTALK_SHARE: Final = 0.5
_WORD: Final = re.compile(r"[^\W_]+")
_EVIDENCE: Final = 2.0
_ONE_SPEAKER: Final = 4.0
_AFTER_QUESTION, _AFTER_PAUSE, _AT_ONCE = 0.80, 0.50, 0.35
_PAUSE_S: Final = 0.9


def by_channel(pieces: Sequence[Piece], level_db: Callable[[int, float, float], float]) -> tuple[Labelled, int]:
    """Give each track its speaker, and leave out what one microphone hears of the other's speaker.

    That is words in a row while which the other track is much louder, and half of which it says too.

    Parameters
    ----------
    pieces : sequence of Piece
        With times, of both tracks.
    level_db : callable
        Level of a track between two times, against its own loudness, dB.

    Returns
    -------
    list of (Piece, str)
        In order of time.
    int
        From how many pieces something was left out.
    """
    ordered = sorted(pieces, key=lambda piece: (piece.start_s or 0.0, piece.track))
    longest = max(((p.end_s or 0.0) - (p.start_s or 0.0) for p in ordered), default=0.0)
    starts = [piece.start_s or 0.0 for piece in ordered]
    kept: Labelled = []
    left_out = 0
    for piece in ordered:
        start, end = piece.start_s or 0.0, piece.end_s or 0.0
        first = bisect.bisect_left(starts, start - longest - _CROSSTALK_S)
        near = ordered[first : bisect.bisect_right(starts, end + _CROSSTALK_S)]
        others = [one for one in near if one.track != piece.track and (one.end_s or 0.0) > start - _CROSSTALK_S]
        own = _own(piece, others, level_db) if others else piece
        left_out += own is not piece
        if own is not None:
            kept.append((own, f"S{piece.track + 1}"))
    return kept, left_out


def _own(piece: Piece, others: Sequence[Piece], level_db: Callable[[int, float, float], float]) -> Piece | None:
    """Return a piece without the words that are the other speaker's; None when that is all of them."""
    said = {word for other in others for word in _WORD.findall(other.text.lower())}
    words = piece.words or (Word(piece.text, piece.start_s or 0.0, piece.end_s or 0.0, 1.0),)

    def is_fainter(word: Word) -> bool:
        there, here = (level_db(track, word.start_s, word.end_s) for track in (1 - piece.track, piece.track))
        return there - here > _CROSSTALK_DB

    own: list[Word] = []
    for fainter, run in itertools.groupby(words, is_fainter):
        row = list(run)
        repeated = [word in said for one in row for word in _WORD.findall(one.text.lower())]
        if not (fainter and sum(repeated) >= _CROSSTALK_SHARE * max(1, len(repeated))):
            own += row
    if len(own) == len(words):
        return piece
    if not own:
        return None
    text = " ".join(word.text for word in own)
    return replace(piece, text=text, start_s=own[0].start_s, end_s=own[-1].end_s, words=tuple(own))


def by_voice(pieces: Sequence[Piece], threshold: float) -> Labelled:
    """Group the pieces by their voices; one without a voice of its own belongs to the nearest in time.

    Parameters
    ----------
    pieces : sequence of Piece
        In order; one of them at least with a voice.
    threshold : float
        Of the model of voices.
    """
    heard = [at for at, piece in enumerate(pieces) if piece.voice is not None]
    vectors = [voice for piece in pieces if (voice := piece.voice) is not None]
    seconds = [(pieces[at].end_s or 0.0) - (pieces[at].start_s or 0.0) for at in heard]
    groups = cluster(vectors, seconds, threshold=threshold)
    labels: Labelled = []
    for at, piece in enumerate(pieces):
        nearest = min(range(len(heard)), key=lambda one: abs(heard[one] - at))
        labels.append((piece, f"S{groups[nearest] + 1}"))
    return labels


def by_dialogue(pieces: Sequence[Piece]) -> Labelled:
    """Tell clinician (S1) and patient (S2) apart by what they say, by questions and pauses.

    The likeliest sequence of two speakers (Viterbi); one speaker when that explains nearly as much.
    """
    if not pieces:
        return []
    scores = np.array([clinician_score(piece.text) for piece in pieces]) * _EVIDENCE
    said = np.stack([-np.logaddexp(0.0, -scores), -np.logaddexp(0.0, scores)], axis=1)
    change = np.array([0.0, *(_changes(*pair) for pair in itertools.pairwise(pieces))])
    stays, goes = np.log1p(-change), np.log(np.maximum(change, 1e-9))
    best = said[0].copy()
    came = np.zeros((len(pieces), 2), dtype=np.int64)
    for at in range(1, len(pieces)):
        options = np.stack([best + stays[at], best[::-1] + goes[at]])
        choice = np.argmax(options, axis=0)
        came[at] = np.where(choice == 0, (0, 1), (1, 0))
        best = options.max(axis=0) + said[at]
    alone = said.sum(axis=0) + stays[1:].sum()
    if best.max() - alone.max() < _ONE_SPEAKER:
        return [(piece, f"S{int(np.argmax(alone)) + 1}") for piece in pieces]
    state = int(np.argmax(best))
    path = [state]
    for at in range(len(pieces) - 1, 0, -1):
        state = int(came[at, state])
        path.append(state)
    return [(piece, f"S{state + 1}") for piece, state in zip(pieces, reversed(path), strict=True)]


def _changes(before: Piece, after: Piece) -> float:
    """Return how likely it is that another speaker goes on."""
    if before.text.rstrip().endswith("?"):
        return _AFTER_QUESTION
    return _AFTER_PAUSE if after.pause_after(before) > _PAUSE_S else _AT_ONCE
