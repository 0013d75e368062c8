"""WebVTT and SubRip: cues with their times.

References
----------
W3C WebVTT: The Web Video Text Tracks Format, sections 3.3 (file structure), 4.2 (cue text and voice spans)
"""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from osler.domain.transcript import Transcript
from osler.errors import Malformed
from osler.transcribe.formats.labels import Labels, Turn, role_of

_STAMP: Final = r"(?:(\d{1,4}):)?([0-5]\d):([0-5]\d)[.,](\d{3})"
_TIMING: Final = re.compile(rf"^\s*{_STAMP}\s+-->\s+{_STAMP}(?:\s.*)?$")
_SRT: Final = re.compile(rf"\s*\d{{1,6}}[ \t]*\r?\n\s*{_STAMP}\s+-->")
_VOICE: Final = re.compile(r"<v(?:\.[^\s>.]{1,40}){0,8}\s{1,8}([^>]{0,200})>")
_TAG: Final = re.compile(r"</?[^<>]{0,200}>")


def is_webvtt(text: str) -> bool:
    """Tell whether a text is WebVTT by its first line."""
    return bool(re.match(r"WEBVTT(?:[ \t\r\n]|$)", text))


def is_srt(text: str) -> bool:
    """Tell whether a text is SubRip by its first cue."""
    return bool(_SRT.match(text))


def cues(text: str) -> Iterator[Turn]:
    """Yield the turns of WebVTT or SubRip; comments, styles and regions are left out.

    A cue may have several voices (``<v Name>``), or a label as in plain text.

    Raises
    ------
    Malformed
        If there is no cue.
    """
    turns = list(_cues(text))
    if not turns:
        raise Malformed("there is no cue with its times in the transcript: send WebVTT, SubRip, JSON or plain text")
    labels = Labels(turn.text for turn in turns if not turn.label)
    for turn in turns:
        label, said = (turn.label, turn.text) if turn.label else labels.split(turn.text)
        yield replace(turn, label=label, role=role_of(label), text=said)


def _cues(text: str) -> Iterator[Turn]:
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        for at, line in enumerate(lines[:2]):
            if match := _TIMING.match(line):
                start, end = _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:])
                yield from _voices("\n".join(lines[at + 1 :]), start, max(start, end))
                break


def _voices(payload: str, start_s: float, end_s: float) -> Iterator[Turn]:
    parts = _VOICE.split(payload)
    yield Turn("", None, _plain(parts[0]), start_s, end_s)
    for name, said in zip(parts[1::2], parts[2::2], strict=True):
        yield Turn(html.unescape(name).strip().lower(), None, _plain(said), start_s, end_s)


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _seconds(hours: str | None, minutes: str, seconds: str, milliseconds: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(milliseconds) / 1000


def to_webvtt(transcript: Transcript) -> str:
    """Write a transcript as WebVTT with a voice span for each cue: role and label of the speaker.

    Raises
    ------
    Malformed
        If the transcript has no times.
    """
    cue_texts = []
    for one in transcript.utterances:
        if one.start_s is None or one.end_s is None:
            raise Malformed("the transcript has no times, which WebVTT needs: export it as JSON")
        text = html.escape(one.text, quote=False)
        times = f"{_stamp(one.start_s)} --> {_stamp(max(one.end_s, one.start_s + 0.001))}"
        cue_texts.append(f"{one.number}\n{times}\n<v {one.role.value.capitalize()} {one.speaker}>{text}\n")
    return "WEBVTT\n\n" + "\n".join(cue_texts)


def _stamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return (
        f"{milliseconds // 3_600_000:02}:{milliseconds // 60_000 % 60:02}"
        f":{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}"
    )
