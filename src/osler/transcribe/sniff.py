"""Does a file begin as a recording? Told before anything of it is decoded."""

from typing import Final

CONTAINERS: Final = "WAV, FLAC, MP3, Ogg (Opus, Vorbis), WebM or M4A"

_BEGINNINGS: Final = ((b"fLaC", "flac"), (b"OggS", "ogg"), (b"\x1aE\xdf\xa3", "matroska"), (b"ID3", "mp3"))


def container(beginning: bytes) -> str | None:
    """Return the name of the container by the first bytes of a file (12 or more), None when it is none of ours."""
    if beginning.startswith((b"RIFF", b"RF64")) and beginning[8:12] == b"WAVE":
        return "wav"
    if beginning[4:8] == b"ftyp":
        return "mp4"
    if len(beginning) > 1 and beginning[0] == 0xFF and beginning[1] & 0xE0 == 0xE0 and beginning[1] & 0x06 in (2, 4):
        return "mp3"
    return next((name for magic, name in _BEGINNINGS if beginning.startswith(magic)), None)


def is_audio(beginning: bytes) -> bool:
    """Tell whether the first bytes of a file (12 or more) are those of a container that is read here."""
    return container(beginning) is not None
