"""Recordings in every container that is taken, and what is wrong with the others."""

import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from osler.errors import ConfigError, Malformed, TooLarge, UnsupportedMediaType
from osler.transcribe.audio import AudioLimits, open_recording
from osler.transcribe.extra import load
from osler.transcribe.sniff import is_audio
from recordings import RATE, encoded, noise, silence, tone, wav

CONTAINERS = [
    ("wav", "pcm_s16le"),
    ("flac", "flac"),
    ("mp3", "libmp3lame"),
    ("ogg", "libopus"),
    ("webm", "libopus"),
    ("ipod", "aac"),
]
CUT_OFF = "the recording is incomplete: its end is missing"


def pitch(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples[:RATE], RATE))))


@pytest.mark.parametrize(("container", "codec"), CONTAINERS)
def test_a_recording_is_heard_as_it_was_played(container: str, codec: str) -> None:
    content = encoded(tone(440, 3), container, codec)

    recording = open_recording(content)
    samples = np.concatenate(list(recording.blocks(recording.tracks[0])))

    assert is_audio(content[:12])
    assert recording.duration_s == pytest.approx(3, abs=0.1)
    assert recording.warnings == ()
    assert samples.dtype == np.float32
    assert samples.shape == (round(recording.duration_s * RATE),)
    assert pitch(samples) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(("container", "codec"), [pair for pair in CONTAINERS if pair[0] != "ipod"])
def test_of_a_truncated_file_what_is_there_is_taken_with_a_warning(container: str, codec: str) -> None:
    content = encoded(tone(440, 8), container, codec)

    recording = open_recording(content[: len(content) // 2])

    assert 2 < recording.duration_s < 6
    assert CUT_OFF in recording.warnings


def test_an_m4a_file_without_its_end_has_no_index_and_says_what_to_do() -> None:
    content = encoded(tone(440, 8), "ipod", "aac")

    with pytest.raises(Malformed, match="send the original file"):
        open_recording(content[: len(content) // 2])


def test_what_comes_after_a_damaged_part_is_not_lost() -> None:
    content = bytearray(encoded(noise(8), "mp3", "libmp3lame"))
    content[len(content) // 2 : len(content) // 2 + 400] = b"\x00" * 400

    recording = open_recording(bytes(content))

    assert recording.duration_s > 7


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"A plain text that is no recording.",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"#EXTM3U\nhttp://127.0.0.1:1/part.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><MPD/>",
    ],
)
def test_what_is_no_recording_is_refused_before_a_decoder_sees_it(content: bytes) -> None:
    assert not is_audio(content[:12])
    with pytest.raises(UnsupportedMediaType, match="send WAV, FLAC, MP3"):
        open_recording(content)


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"fLaC" + b"\x00" * 100,
        b"OggS" + b"\x00" * 100,
        b"\x1aE\xdf\xa3" + b"MARTHA" * 50,
        b"\xff\xfb" + b"\x00" * 4000,
        b"ID3" + b"\x00" * 60,
        b"\x00\x00\x00\x20ftypM4A " + b"\x00" * 200,
        wav(silence(0)),
    ],
)
def test_what_begins_as_a_recording_and_is_none_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        open_recording(content)

    assert "MARTHA" not in str(refused.value)


def test_a_film_without_sound_is_refused() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as out:
        track = out.add_stream("mpeg4", rate=5)
        track.width = track.height = 32
        track.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), format="rgb24")
        for packet in [*track.encode(frame), *track.encode(None)]:
            out.mux(packet)

    with pytest.raises(UnsupportedMediaType, match="no audio"):
        open_recording(stream.getvalue())


def test_no_name_of_a_file_is_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "Roe, Jane 1961-04-12.wav"
    path.write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt ")

    with pytest.raises(Malformed) as refused:
        open_recording(path)

    assert "Roe" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_recording_that_is_too_long_is_refused_with_the_limit() -> None:
    content = wav(silence(40))

    with pytest.raises(TooLarge, match=r"longer than 0.01 hours: send it in several parts"):
        open_recording(content, AudioLimits(max_seconds=36))


def test_too_many_channels_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match="at most 2 channels"):
        open_recording(wav(*[tone(300, 1)] * 3), AudioLimits(max_channels=2))


def test_telephone_quality_is_resampled_with_a_warning() -> None:
    recording = open_recording(wav(tone(440, 3)[::2], rate=8000))
    samples = np.concatenate(list(recording.blocks(recording.tracks[0])))

    assert recording.warnings == ("the recording has 8000 samples a second, of telephone quality: expect more errors",)
    assert len(samples) == pytest.approx(3 * RATE, abs=200)
    assert pitch(samples) == pytest.approx(440, abs=2)


def test_a_file_object_is_read_again_from_its_beginning() -> None:
    stream = io.BytesIO(wav(tone(440, 2)))
    stream.seek(1000)

    recording = open_recording(stream)

    assert sum(len(block) for block in recording.blocks((0,))) == 2 * RATE


def test_samples_that_are_no_numbers_are_silence() -> None:
    samples = tone(440, 2)
    samples[8000:9000] = np.nan
    samples[9000:9100] = np.inf
    recording = open_recording(encoded(samples, "wav", "pcm_f32le"))

    heard = np.concatenate(list(recording.blocks((0,))))

    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1


def test_a_quiet_recording_is_amplified_and_a_loud_one_is_not() -> None:
    quiet, loud = (open_recording(wav(tone(440, 2, level))) for level in (0.004, 0.3))

    assert np.abs(next(quiet.blocks((0,)))).max() > 0.05
    assert np.abs(next(loud.blocks((0,)))).max() == pytest.approx(0.3, abs=0.01)


def test_a_streamed_wav_that_does_not_state_its_length_is_whole() -> None:
    content = bytearray(wav(tone(440, 2)))
    content[40:44] = b"\xff\xff\xff\xff"

    recording = open_recording(bytes(content))

    assert recording.duration_s == pytest.approx(2, abs=0.05)
    assert CUT_OFF not in recording.warnings


def test_a_missing_extra_says_how_to_install_it() -> None:
    with pytest.raises(ConfigError, match=r"speech needs osler_not_there.*pip install 'osler\[scribe\]'"):
        load("osler_not_there.inside")


def test_blocks_are_of_half_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(bytes(2 * RATE * 70))

    lengths = [len(block) / RATE for block in open_recording(path).blocks((0,))]

    assert lengths == pytest.approx([30, 30, 10])
