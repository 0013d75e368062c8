"""From a recording to a transcript: listen, cut at pauses, recognise, leave out what nobody said, tell who spoke."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from osler.domain.transcript import Correction, SpeakerRole, Transcript, Utterance, Word
from osler.errors import PluginTimeout
from osler.transcribe.audio import FRAME, RATE, AudioLimits, Recording, Source, open_recording
from osler.transcribe.channels import Levels, Track, loudness_db
from osler.transcribe.formats.build import BY_DIALOGUE
from osler.transcribe.guards import Dropped, Guard, Surroundings, left_out_warning, warnings
from osler.transcribe.hotwords import Corrector, Hints
from osler.transcribe.languages import Languages
from osler.transcribe.pieces import Piece, pieces, utterances
from osler.transcribe.recognise import Recogniser, Segment
from osler.transcribe.roles import roles_of
from osler.transcribe.speakers import CLINICIAN_FIRST, Labelled, by_channel, by_dialogue, by_voice
from osler.transcribe.voices import VoiceModel
from osler.transcribe.windows import Window, windows

Progress = Callable[[float, float], None]

_FRAMES_PER_S: Final = RATE / FRAME
_VOICE_S: Final = 0.7
_HARD: Final = -0.75
_HARD_SHARE: Final = 0.3
_NOBODY: Final = "nobody is heard in the recording: check that the microphone was on"


@dataclass(frozen=True, slots=True)
class Options:
    """How a recording is transcribed.

    Parameters
    ----------
    limits : AudioLimits
    language : str or None
        BCP 47; detected when None.
    voices : VoiceModel or None
        Tells the speakers of one channel apart; without one they are told apart by what they say.
    timeout_s : float or None
        Longest time for all of it.
    """

    limits: AudioLimits = field(default_factory=AudioLimits)
    language: str | None = None
    voices: VoiceModel | None = None
    timeout_s: float | None = None


def transcribe(
    source: Source,
    recogniser: Recogniser,
    *,
    hints: Hints | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Transcript:
    """Write down a recording.

    Parameters
    ----------
    source : bytes, Path or seekable binary file
        WAV, FLAC, MP3, Ogg, WebM or M4A; read several times, held in memory only in parts.
    recogniser : Recogniser
    hints : Hints, optional
        What may be spoken of.
    options : Options, optional
    progress : callable, optional
        Is told seconds of the recording that are done, and of all there are; each of two tracks is half of the work.
    clock : callable
        Seconds that pass.

    Returns
    -------
    Transcript
        Without an utterance, and with a warning, when nobody speaks.

    Raises
    ------
    UnsupportedMediaType, Malformed, TooLarge
        If it is no recording that can be read; see :func:`open_recording`.
    PluginError
        If the model fails.
    PluginTimeout
        If it takes longer than the options allow.
    """
    options = options or Options()
    recording = open_recording(source, options.limits)
    until = None if options.timeout_s is None else clock() + options.timeout_s
    run = _Run(recording, recogniser, hints or Hints(), options)
    total, tracks = recording.duration_s, len(recording.tracks)
    for number, track in enumerate(recording.tracks):
        for done in run.track(number, track):
            if progress is not None:
                progress(min(total, (number * total + done) / tracks), total)
            if until is not None and clock() > until:
                raise PluginTimeout("the transcription took too long: allow it more time, or take a smaller model")
    if progress is not None:
        progress(total, total)
    return run.transcript()


class _Run:
    """One recording on its way to a transcript."""

    def __init__(self, recording: Recording, recogniser: Recogniser, hints: Hints, options: Options) -> None:
        self._recording = recording
        self._recogniser = recogniser
        self._hints = hints
        self._voices = options.voices
        self._languages = Languages(recogniser, options.language, hints.prompt())
        self._dropped: Counter[Dropped] = Counter()
        self._pieces: list[Piece] = []
        self._seconds = 0.0
        self._hard_s = 0.0

    def track(self, number: int, track: Track) -> Iterator[float]:
        """Transcribe a track; yield how much of it is done, seconds."""
        levels = self._recording.track_levels(track)
        loudness = loudness_db(levels)
        around = Surroundings(
            lambda start, end: float(_span(levels, start, end).max()), loudness, self._hints.prompt_words()
        )
        guard = Guard(around)
        for window in windows(self._recording.blocks(track), self._recogniser.speech):
            for segment in guard.keep(_moved(one, window) for one in self._languages.recognise(window).segments):
                self._count(segment)
                self._pieces += [self._voiced(piece, window) for piece in pieces(segment, number)]
            yield window.read_s
        self._dropped += guard.dropped

    def transcript(self) -> Transcript:
        """Tell who spoke, correct names of drugs, and put it together."""
        said = list(self._recording.warnings)
        labelled, notes = self._speakers()
        roles = roles_of(utterances(labelled, {}))
        if notes == [BY_DIALOGUE]:
            roles = CLINICIAN_FIRST
        corrected, corrections = Corrector(self._hints).correct(utterances(labelled, roles))
        if not corrected:
            notes = [_NOBODY]
        elif self._hard_s > _HARD_SHARE * self._seconds:
            notes.append("much of the recording was hard to understand: check it against the audio")
        said += [*self._languages.warnings(), *warnings(self._dropped), *notes]
        return Transcript(
            corrected,
            self._languages.main,
            self._recogniser.model,
            corrections,
            tuple(said),
            self._recording.duration_s,
        )

    def _speakers(self) -> tuple[Labelled, list[str]]:
        notes = []
        if len(self._recording.tracks) > 1:
            labelled, left_out = by_channel(self._pieces, self._relative_level)
            if left_out:
                notes.append(left_out_warning(left_out, "heard through the other speaker's microphone"))
            return labelled, notes
        if any(piece.voice is not None for piece in self._pieces) and self._voices is not None:
            labelled = by_voice(self._pieces, self._voices.threshold)
        else:
            labelled = by_dialogue(self._pieces)
            notes.append(BY_DIALOGUE)
        if len({speaker for _, speaker in labelled}) == 1:
            notes = ["only one speaker was made out"]
        return labelled, notes

    def _relative_level(self, track: int, start: float, end: float) -> float:
        levels = self._recording.track_levels(self._recording.tracks[track])
        return float(_span(levels, start, end).mean()) - loudness_db(levels)

    def _voiced(self, piece: Piece, window: Window) -> Piece:
        """Look at the voice of a piece, while its samples are at hand."""
        if self._voices is None or piece.start_s is None or piece.end_s is None:
            return piece
        samples = window.between(piece.start_s, piece.end_s)
        if len(samples) < _VOICE_S * RATE:
            return piece
        return replace(piece, voice=self._voices.vector(samples))

    def _count(self, segment: Segment) -> None:
        seconds = segment.end_s - segment.start_s
        self._seconds += seconds
        self._hard_s += seconds if segment.log_probability < _HARD else 0.0


def _moved(segment: Segment, window: Window) -> Segment:
    """Return a segment with the times of the recording in place of those of the window."""
    words = tuple(Word(w.text, *window.span(w.start_s, w.end_s), w.probability) for w in segment.words)
    start = words[0].start_s if words else window.span(segment.start_s, segment.start_s)[0]
    end = words[-1].end_s if words else window.span(segment.end_s, segment.end_s)[1]
    return replace(segment, start_s=start, end_s=end, words=words)


def _span(levels: Levels, start: float, end: float) -> Levels:
    """Return the levels between two times, one frame at least."""
    first = min(max(0, int(start * _FRAMES_PER_S)), max(0, len(levels) - 1))
    return levels[first : max(first + 1, int(np.ceil(end * _FRAMES_PER_S)))]


def joined(transcripts: Sequence[Transcript]) -> Transcript:
    """Make one transcript of those of several takes, one after another in time.

    The clinician of each take is one speaker, and so is the patient; the others are told apart by their labels.

    Parameters
    ----------
    transcripts : sequence of Transcript
        One at least; of the same model.
    """
    names = {SpeakerRole.CLINICIAN: "S1", SpeakerRole.PATIENT: "S2"}
    said: list[Utterance] = []
    corrections: list[Correction] = []
    at = 0.0
    if len(transcripts) == 1:
        return transcripts[0]
    for one in transcripts:
        corrections += [replace(c, utterance=c.utterance + len(said)) for c in one.corrections]
        others = dict.fromkeys(u.speaker for u in one.utterances if u.role not in names)
        labels = {speaker: f"S{number}" for number, speaker in enumerate(others, 3)}
        for utterance in one.utterances:
            speaker = names.get(utterance.role) or labels[utterance.speaker]
            said.append(replace(_later(utterance, at), number=len(said) + 1, speaker=speaker))
        at += one.duration_s or 0.0
    return Transcript(
        tuple(said),
        next((one.language for one in transcripts if one.language), ""),
        transcripts[0].model,
        tuple(corrections),
        tuple(dict.fromkeys(warning for one in transcripts for warning in one.warnings)),
        at,
    )


def _later(utterance: Utterance, seconds: float) -> Utterance:
    start, end = (None if time is None else time + seconds for time in (utterance.start_s, utterance.end_s))
    words = tuple(replace(w, start_s=w.start_s + seconds, end_s=w.end_s + seconds) for w in utterance.words)
    return replace(utterance, start_s=start, end_s=end, words=words)
