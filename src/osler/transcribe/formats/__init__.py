"""A transcript in place of audio, in the forms that others write; and ours as JSON and WebVTT."""

import codecs
from typing import Final

from osler.domain.transcript import Transcript
from osler.errors import TooLarge, UnsupportedMediaType
from osler.transcribe.formats.build import transcript_of
from osler.transcribe.formats.documents import from_json, from_others, parse, to_json
from osler.transcribe.formats.labels import labelled
from osler.transcribe.formats.timed import cues, is_srt, is_webvtt, to_webvtt

__all__ = ["MAX_BYTES", "from_json", "is_transcript", "read_transcript", "to_json", "to_webvtt"]

MAX_BYTES: Final = 16 * 2**20
"""Largest transcript."""

MAX_LINES: Final = 200_000

_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def is_transcript(head: bytes) -> bool:
    """Tell by the first bytes whether this is text and not audio.

    Parameters
    ----------
    head : bytes
        Some hundred bytes at least, when there are as many.
    """
    encoding = _encoding(head)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and "\x00" not in text


def read_transcript(content: bytes) -> Transcript:
    """Read a transcript: plain text with or without labels, WebVTT, SubRip or JSON.

    Parameters
    ----------
    content : bytes
        UTF-8, or UTF-16 with its mark.

    Raises
    ------
    UnsupportedMediaType
        If it is no text.
    Malformed
        If it is none of these forms, or nobody says anything in it.
    TooLarge
        If it is larger than 16 MiB, or has too many lines, sentences or utterances.
    """
    if len(content) > MAX_BYTES:
        raise TooLarge(f"the transcript is larger than {MAX_BYTES // 2**20} MiB: split it")
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise UnsupportedMediaType("this is not text: send a transcript as plain text, WebVTT, SubRip or JSON in UTF-8")
    if text.count("\n") > MAX_LINES:
        raise TooLarge(f"the transcript has more than {MAX_LINES} lines: split it")
    text = text.lstrip()
    if is_webvtt(text) or is_srt(text):
        return transcript_of(cues(text))
    if text.startswith("{") or (text.startswith("[") and text[1:].lstrip().startswith(("{", "]"))):
        return from_others(parse(text))
    return transcript_of(labelled(text))


def _encoding(content: bytes) -> str:
    return next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
