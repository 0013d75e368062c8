"""A recording is cut at its pauses; memory is that of some blocks."""

from collections.abc import Iterator

import numpy as np
import pytest

from osler.transcribe.windows import Window, windows
from recordings import RATE, ToneRecogniser, silence

EAR = ToneRecogniser("one two three four")


def blocks(samples: np.ndarray, seconds: float = 30) -> Iterator[np.ndarray]:
    step = int(seconds * RATE)
    for at in range(0, len(samples), step):
        yield samples[at : at + step]


def test_pauses_are_left_out_and_times_are_those_of_the_recording() -> None:
    samples = np.concatenate([silence(3), EAR.spoken("one two"), silence(5), EAR.spoken("three")])

    (window,) = windows(blocks(samples), EAR.speech)

    assert window.seconds == pytest.approx(0.24 * 3 + 0.04 * 3, abs=0.02)
    assert window.origins_s == pytest.approx((2.98, 8.54), abs=0.01)
    assert window.span(0.6, 0.82) == pytest.approx((8.58, 8.8), abs=0.03)


def test_a_word_that_reaches_over_a_seam_lies_where_its_middle_is() -> None:
    window = Window(silence(4), (0.0, 2.0), (10.0, 20.0), 30.0)

    assert window.span(1.9, 2.5) == (20.0, 20.5)
    assert window.span(1.5, 2.1) == (11.5, 12.0)
    assert len(window.between(20.5, 21.0)) == RATE / 2


@pytest.mark.parametrize("seconds", [1, 3.3, 30])
def test_nothing_is_lost_or_heard_twice_wherever_the_blocks_end(seconds: float) -> None:
    words = "one two three four " * 40
    parts = [[EAR.spoken(word), silence(0.4 * (at % 3))] for at, word in enumerate(words.split())]
    samples = np.concatenate([samples for pair in parts for samples in pair])

    heard = [
        word.text
        for window in windows(blocks(samples, seconds), EAR.speech)
        for segment in EAR.recognise(window.samples).segments
        for word in segment.words
    ]

    assert heard == words.split()


def test_no_window_is_longer_than_what_a_model_hears() -> None:
    samples = np.concatenate([EAR.spoken("one two three four " * 60)])

    lengths = [window.seconds for window in windows(blocks(samples), EAR.speech)]

    assert max(lengths) <= 28
    assert sum(lengths) == pytest.approx(len(samples) / RATE, abs=2)


def test_silence_is_not_looked_at() -> None:
    def refuses(_samples: np.ndarray) -> list[tuple[float, float]]:
        raise AssertionError

    assert list(windows(blocks(silence(90)), refuses)) == []
