"""Two channels are two speakers only when they are."""

import numpy as np
import pytest

from osler.transcribe.audio import open_recording
from osler.transcribe.channels import gain, level_db, tracks
from recordings import noise, silence, tone, wav

DOCTOR = np.concatenate([tone(300, 2), silence(2), tone(300, 1), silence(3)])
PATIENT = np.concatenate([silence(2), tone(500, 2), silence(1), tone(500, 2), silence(1)])
HISS = noise(8, 0.0005)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        pytest.param((DOCTOR, PATIENT), ((0,), (1,)), id="a microphone each"),
        pytest.param((DOCTOR + 0.2 * PATIENT, PATIENT * 0.3 + 0.05 * DOCTOR), ((0,), (1,)), id="each hears the other"),
        pytest.param((DOCTOR + PATIENT, DOCTOR + PATIENT), ((0, 1),), id="mono in two channels"),
        pytest.param((DOCTOR + PATIENT, 0.3 * (DOCTOR + PATIENT)), ((0, 1),), id="one channel quieter"),
        pytest.param((DOCTOR + PATIENT, silence(8)), ((0,),), id="one channel dead"),
        pytest.param((HISS, DOCTOR + PATIENT), ((1,),), id="one channel hisses"),
        pytest.param((silence(8), silence(8)), ((0, 1),), id="silence"),
        pytest.param((DOCTOR + PATIENT,), ((0,),), id="one channel"),
    ],
)
def test_tracks(channels: tuple[np.ndarray, ...], expected: tuple[tuple[int, ...], ...]) -> None:
    assert open_recording(wav(*channels)).tracks == expected


def test_more_than_two_channels_are_mixed() -> None:
    assert open_recording(wav(DOCTOR, PATIENT, HISS)).tracks == ((0,),)


def test_the_level_of_a_sine_is_3_db_under_its_peak() -> None:
    levels = level_db(tone(400, 1, level=1.0)[np.newaxis], 320)

    assert levels.shape == (1, 50)
    assert levels[0, 10] == pytest.approx(-3.01, abs=0.05)


def test_a_channel_without_a_sample_has_no_level() -> None:
    assert tracks(np.zeros((2, 0), dtype=np.float32)) == ((0, 1),)


def test_gain_has_a_limit_and_leaves_silence_alone() -> None:
    assert gain(-20) == 1
    assert gain(-42) == pytest.approx(10)
    assert gain(-75) == pytest.approx(100)
    assert gain(-100) == 1
