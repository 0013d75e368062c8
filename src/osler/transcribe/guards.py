"""What a speech model writes when nobody says it: silence filled with subtitles, and loops. Left out, and counted."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from osler.domain.transcript import Word
from osler.transcribe.recognise import LOOP_RATIO, Segment


class Dropped(StrEnum):
    """Why a segment was left out, in the words of the warning."""

    NO_WORDS = "no words in it"
    NO_SPEECH = "unlikely to be speech"
    TOO_QUIET = "too quiet to be speech"
    LOOP = "the model was caught in a loop"
    SUBTITLE = "words of subtitles that nobody said"
    TOO_FAST = "more words than can be said in the time"
    ECHO = "the hints read back to us"
    REPEATED = "the same again and again"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the guards know besides the segment.

    Parameters
    ----------
    level_db : callable
        Loudest level between two times of the recording, dB of full scale.
    loudness_db : float
        Of the speech of the track, dB of full scale.
    hotwords : frozenset of str
        Lower case.
    """

    level_db: Callable[[float, float], float]
    loudness_db: float
    hotwords: frozenset[str] = frozenset()


_NO_SPEECH: Final = 0.6
_UNLIKELY: Final = -0.8
_UNLIKELY_LOOP: Final = -0.6
_HOPELESS: Final = -1.6
_QUIET_DB: Final = 30.0
_WORDS_PER_S: Final = 9.0
_UNHEARD: Final = 0.1
_SAME: Final = 3
_LONGEST_LOOP: Final = 12
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ANNOTATION: Final = re.compile(r"[\[(*♪][^\])*♪]*[\])*♪]?")
_SUBTITLE: Final = re.compile(
    r"(?:(?:thank you|thanks)(?: so much| very much)? for (?:watching|listening|viewing)"
    r"|(?:please )?(?:like and )?subscribe(?: to (?:my|our|the) channel)?"
    r"|see you (?:in the )?next (?:time|video)"
    r"|(?:subtitles?|captions?|captioning|transcription|transcribed|translated?)(?: \w+)? by .{1,60}"
    r"|.{0,40}\bamara ?\.?org.{0,40}|www\..{1,60}|copyright .{1,60}|all rights reserved)"
)
_FILLER: Final = frozenset({"you", "thank you", "thanks", "bye", "bye bye", "okay", "so", "oh", "hmm", "the end", "i"})


class Guard:
    """Leaves out, of the segments of one track in their order, what was not said.

    Parameters
    ----------
    around : Surroundings

    Attributes
    ----------
    dropped : Counter of Dropped
        What was left out so far.
    """

    def __init__(self, around: Surroundings) -> None:
        self.dropped: Counter[Dropped] = Counter()
        self._around = around
        self._last: list[list[str]] = []

    def keep(self, segments: Iterable[Segment]) -> list[Segment]:
        """Return the segments that were said, times of the recording; loops inside them are cut to one round."""
        return [kept for segment in segments if (kept := self._kept(segment)) is not None]

    def _kept(self, segment: Segment) -> Segment | None:
        reason = _reason(segment, self._around)
        if reason is not None:
            self.dropped[reason] += 1
            return None
        unlooped = _unlooped(segment)
        if unlooped is not segment:
            self.dropped[Dropped.LOOP] += 1
        shorter = self._without_echo(unlooped)
        if shorter is not unlooped:
            self.dropped[Dropped.ECHO] += 1
        if shorter is None:
            return None
        words = _words(shorter.text)
        self._last = [*self._last, words][-_SAME:] if words in self._last[-1:] else [words]
        if len(self._last) >= _SAME and len(words) > 1:
            self.dropped[Dropped.REPEATED] += 1
            return None
        return shorter

    def _without_echo(self, segment: Segment) -> Segment | None:
        """Take off hints that the model read back after the last sentence."""
        kept = list(segment.words)
        while kept and _plain(kept[-1].text) in self._around.hotwords and kept[-1].probability < _UNHEARD:
            kept.pop()
        if len(kept) == len(segment.words) or (kept and not kept[-1].text.endswith((".", "?", "!"))):
            return segment
        if not kept:
            return None
        text = " ".join(word.text for word in kept)
        return replace(segment, text=text, words=tuple(kept), end_s=kept[-1].end_s)


def warnings(dropped: Counter[Dropped]) -> list[str]:
    """Say what was left out; segments without words are no loss and not mentioned."""
    return [
        left_out_warning(number, reason.value)
        for reason, number in sorted(dropped.items())
        if reason is not Dropped.NO_WORDS
    ]


def left_out_warning(number: int, reason: str) -> str:
    """Say that some parts were left out."""
    return f"{number} {'part was' if number == 1 else 'parts were'} left out: {reason}"


def _reason(segment: Segment, around: Surroundings) -> Dropped | None:
    words = _words(_ANNOTATION.sub(" ", segment.text))
    if not words:
        return Dropped.NO_WORDS
    doubtful = segment.no_speech_probability > _NO_SPEECH
    quiet = around.level_db(segment.start_s, segment.end_s) < around.loudness_db - _QUIET_DB
    plain = " ".join(words)
    seconds = max(segment.end_s - segment.start_s, 0.2)
    checks = (
        (Dropped.LOOP, segment.compression_ratio > LOOP_RATIO and _looped(words) > 0.7),
        (Dropped.LOOP, segment.log_probability < _UNLIKELY_LOOP and _repeated(words) > 0.35),
        (Dropped.SUBTITLE, bool(_SUBTITLE.fullmatch(_plain(segment.text)))),
        (Dropped.SUBTITLE, plain in _FILLER and (quiet or (doubtful and segment.log_probability < _UNLIKELY / 2))),
        (Dropped.NO_SPEECH, doubtful and segment.log_probability < _UNLIKELY),
        (Dropped.NO_SPEECH, segment.log_probability < _HOPELESS),
        (Dropped.TOO_QUIET, quiet),
        (Dropped.TOO_FAST, len(words) > 6 and len(words) / seconds > _WORDS_PER_S),
        (Dropped.ECHO, around.hotwords.issuperset(words) and (quiet or doubtful or _unheard(segment.words))),
    )
    return next((reason for reason, found in checks if found), None)


def _unheard(words: Sequence[Word]) -> bool:
    return bool(words) and all(word.probability < _UNHEARD for word in words)


def _plain(text: str) -> str:
    return text.strip(" .!?,…\"'").lower()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _looped(words: Sequence[str]) -> float:
    """Return the share of the words that only repeat what stands before them."""
    return 1.0 - len(_one_round(words)) / len(words)


def _repeated(words: Sequence[str]) -> float:
    """Return the share of the rows of four words that were there before."""
    rows = [tuple(words[at : at + 4]) for at in range(len(words) - 3)]
    return 1.0 - len(set(rows)) / len(rows) if len(rows) > 8 else 0.0


def _one_round(words: Sequence[str]) -> list[int]:
    """Return the positions of the words that stay when each loop is cut to one round.

    A loop is a phrase said at once four times or more, a single word six times or more.
    """
    kept: list[int] = []
    at = 0
    while at < len(words):
        length, rounds = _loop_at(words, at)
        kept.extend(range(at, at + length))
        at += length * rounds
    return kept


def _loop_at(words: Sequence[str], at: int) -> tuple[int, int]:
    for length in range(1, min(_LONGEST_LOOP, (len(words) - at) // 4) + 1):
        phrase = list(words[at : at + length])
        rounds = 1
        while list(words[at + rounds * length : at + (rounds + 1) * length]) == phrase:
            rounds += 1
        if rounds >= (6 if length == 1 else 4):
            return length, rounds
    return 1, 1


def _unlooped(segment: Segment) -> Segment:
    tokens = segment.text.split()
    kept = _one_round([_plain(token) for token in tokens])
    if len(kept) == len(tokens):
        return segment
    words: tuple[Word, ...] = ()
    if len(segment.words) == len(tokens):
        words = tuple(segment.words[at] for at in kept)
    return replace(segment, text=" ".join(tokens[at] for at in kept), words=words)
