"""JSON: our own, and what Whisper and its relatives write (``segments``), and others under other names."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from osler.domain.transcript import Correction, SpeakerRole, SpeechModel, Transcript, Utterance, Word
from osler.errors import Malformed
from osler.transcribe.formats.build import transcript_of
from osler.transcribe.formats.labels import Turn, labelled, role_of

_LANGUAGES: Final = {"english": "en", "spanish": "es", "french": "fr", "german": "de", "portuguese": "pt"}
_LISTS: Final = ("utterances", "segments", "turns", "dialogue", "conversation", "messages", "transcript", "text")
_TEXTS: Final = ("text", "content", "utterance", "transcript")
_SPEAKERS: Final = ("speaker", "speaker_label", "name")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_LONGEST_S: Final = 1e6


def to_json(transcript: Transcript) -> str:
    """Write all of a transcript as JSON; :func:`from_json` reads the same again."""
    model = transcript.model
    return json.dumps(
        {
            "language": transcript.language,
            "duration": transcript.duration_s,
            "model": {"name": model.name, "version": model.version, "sha256": model.sha256} if model else None,
            "warnings": list(transcript.warnings),
            "corrections": [
                {"utterance": c.utterance, "heard": c.heard, "written": c.written, "source": c.source}
                for c in transcript.corrections
            ],
            "utterances": [_written(one) for one in transcript.utterances],
        },
        ensure_ascii=False,
    )


def _written(one: Utterance) -> dict[str, Any]:
    words = [{"text": w.text, "start": w.start_s, "end": w.end_s, "probability": w.probability} for w in one.words]
    return {
        "number": one.number,
        "speaker": one.speaker,
        "role": one.role.value,
        "text": one.text,
        "start": one.start_s,
        "end": one.end_s,
        **({"words": words} if words else {}),
    }


def from_json(text: str) -> Transcript:
    """Read what :func:`to_json` wrote.

    Raises
    ------
    Malformed
        If it is something else.
    """
    value = parse(text)
    try:
        utterances = tuple(
            Utterance(
                int(one["number"]),
                str(one["speaker"]),
                SpeakerRole(one["role"]),
                str(one["text"]),
                _time(one["start"]),
                _time(one["end"]),
                _words(one.get("words")),
            )
            for one in value["utterances"]
        )
        model = SpeechModel(**value["model"]) if value["model"] else None
        corrections = tuple(Correction(**one) for one in value["corrections"])
        warnings = tuple(str(one) for one in value["warnings"])
        language, duration = str(value["language"]), _time(value["duration"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Malformed("the JSON is not a transcript as Osler writes it") from None
    if [one.number for one in utterances] != list(range(1, len(utterances) + 1)):
        raise Malformed("the utterances of the transcript are not numbered from 1")
    return Transcript(utterances, language, model, corrections, warnings, duration)


def parse(text: str) -> Any:
    """Read JSON.

    Raises
    ------
    Malformed
        If it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("the JSON of the transcript cannot be read: export it again") from None


def read_json(text: str) -> Transcript:
    """Read a transcript of others, one document or one a line.

    Raises
    ------
    Malformed
        As :func:`from_others`, or if it is no JSON.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.startswith("{") and line.rstrip().endswith("}") for line in lines):
        return from_others([parse(line) for line in lines])
    return from_others(parse(text))


def from_others(value: Any) -> Transcript:
    """Read a transcript of others: ``utterances``, ``segments`` or the like, each with its text, speaker and times.

    Raises
    ------
    Malformed
        If it has none of them, or one of them is not as it should be.
    """
    while isinstance(value, Mapping) and isinstance(held := _first(value, _LISTS), Mapping):
        value = held
    listed, about = (_first(value, _LISTS), value) if isinstance(value, Mapping) else (value, {})
    if isinstance(listed, str):
        return transcript_of(labelled(listed), language=_language(about.get("language")))
    if not isinstance(listed, Sequence):
        raise Malformed('the JSON has neither "utterances" nor "segments": send one of them, or plain text')
    try:
        rows = [(_turn(one), _words(one.get("words"))) for one in listed]
        duration = _time(about.get("duration"))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Malformed('an utterance of the JSON is not {"text", "speaker"?, "role"?, "start"?, "end"?}') from None
    rows = [row for row in rows if row[0].text.strip()]
    return transcript_of(
        [turn for turn, _ in rows],
        language=_language(about.get("language")),
        duration_s=duration,
        words=[words for _, words in rows],
    )


def _first(value: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((held for name in names if (held := value.get(name)) is not None), None)


def _turn(one: Mapping[str, Any]) -> Turn:
    text, role = _first(one, _TEXTS), one.get("role")
    if not isinstance(text, str) or not isinstance(role, str | None):
        raise TypeError
    label = str(_first(one, _SPEAKERS) or role or "").strip().lower()
    told = SpeakerRole(role) if role in tuple(SpeakerRole) else role_of(role or "") or role_of(label)
    return Turn(label, told, text, _time(one.get("start")), _time(one.get("end")))


def _words(listed: Any) -> tuple[Word, ...]:
    return tuple(
        Word(
            str(one.get("text", one.get("word"))).strip(),
            start,
            end,
            min(1.0, max(0.0, float(one.get("probability", one.get("score", 1.0))))),
        )
        for one in listed or ()
        if (start := _time(one.get("start"))) is not None and (end := _time(one.get("end"))) is not None
    )


def _time(value: Any) -> float | None:
    if value is None:
        return None
    seconds = float(value)
    if isinstance(value, bool) or not math.isfinite(seconds) or not 0 <= seconds <= _LONGEST_S:
        raise ValueError
    return seconds


def _language(value: Any) -> str:
    word = str(value or "").strip()
    known = _LANGUAGES.get(word.lower(), word)
    return known if _LANGUAGE.fullmatch(known) else ""
