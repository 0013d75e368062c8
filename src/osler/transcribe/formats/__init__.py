"""A transcript in place of audio, in the forms that others write; and ours as JSON and WebVTT."""

import codecs
import re
from typing import Final

from osler.domain.transcript import Transcript
from osler.errors import TooLarge, UnsupportedMediaType
from osler.transcribe.formats.build import transcript_of
from osler.transcribe.formats.documents import from_json, read_json, to_json
from osler.transcribe.formats.labels import labelled
from osler.transcribe.formats.timed import cues, is_srt, is_webvtt, to_webvtt

__all__ = ["MAX_BYTES", "from_json", "read_transcript", "to_json", "to_webvtt"]

MAX_BYTES: Final = 16 * 2**20
"""Largest transcript."""

MAX_LINES: Final = 200_000

_BINARY: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_transcript(content: bytes) -> Transcript:
    """Read a transcript: plain text with or without labels, WebVTT, SubRip or JSON.

    Parameters
    ----------
    content : bytes
        UTF-8, UTF-16 with its mark, or what old Windows programs write.

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
    text = _decoded(content)
    if "\x00" in text:
        raise UnsupportedMediaType("this is not text: send a transcript as plain text, WebVTT, SubRip or JSON in UTF-8")
    if text.count("\n") > MAX_LINES:
        raise TooLarge(f"the transcript has more than {MAX_LINES} lines: split it")
    text = text.lstrip()
    if is_webvtt(text) or is_srt(text):
        return transcript_of(cues(text))
    if text.startswith("{") or (text.startswith("[") and text[1:].lstrip().startswith(("{", "]"))):
        return read_json(text)
    return transcript_of(labelled(text))


def _decoded(content: bytes) -> str:
    try:
        return content.decode(_encoding(content))
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        return "\x00"
    return "\x00" if _BINARY.search(text) else text


def _encoding(content: bytes) -> str:
    return next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
