"""Voices are told apart by vectors; the vectors come from a model that the site brings."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from osler.domain.transcript import Word
from osler.errors import ConfigError
from osler.transcribe.pieces import Piece
from osler.transcribe.speakers import by_channel, by_voice
from osler.transcribe.voices import OnnxVoiceModel, cluster, filter_bank
from recordings import noise, silence, tone


def voice_model(path: Path, features: int = 80) -> Path:
    """Write a model whose vector is how much the energy of each band changes: enough to tell two pitches apart."""
    nodes = [
        helper.make_node("Mul", ["features", "features"], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["vector"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "voice",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, None, features])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, features])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def near(vector: np.ndarray, seed: int, spread: float = 0.1) -> np.ndarray:
    moved = vector + spread * np.random.default_rng(seed).standard_normal(len(vector))
    return (moved / np.linalg.norm(moved)).astype(np.float32)


def groups(labels: list[int]) -> set[frozenset[int]]:
    return {frozenset(i for i, label in enumerate(labels) if label == one) for one in labels}


def test_the_filter_bank_has_its_peak_at_the_band_of_a_tone() -> None:
    features = filter_bank(tone(1000, 1))

    assert features.shape == (98, 80)
    assert features.dtype == np.float32
    assert np.isfinite(filter_bank(silence(0.5))).all()
    mel = 1127 * np.log1p(1000 / 700)
    low, high = (1127 * np.log1p(hertz / 700) for hertz in (20, 8000))
    assert int(features.mean(axis=0).argmax()) == pytest.approx((mel - low) / (high - low) * 81 - 1, abs=1)


def test_vectors_of_two_voices_are_two_groups_in_order_of_appearance() -> None:
    first, second = np.eye(16, dtype=np.float32)[:2]
    vectors = [near((first, second)[at % 2], at) for at in range(20)]

    labels = cluster(vectors, [2.0] * 20, threshold=0.5)

    assert labels == [0, 1] * 10


def test_one_voice_is_one_group() -> None:
    vectors = [near(np.eye(16, dtype=np.float32)[0], at) for at in range(10)]

    assert cluster(vectors, [1.0] * 10, threshold=0.5) == [0] * 10


def test_a_cough_makes_no_speaker() -> None:
    every = np.eye(16, dtype=np.float32)
    vectors = [near(every[at % 2], at) for at in range(40)] + [every[5]]

    assert set(cluster(vectors, [3.0] * 40 + [0.8], threshold=0.5)) == {0, 1}


def test_there_are_at_most_four_speakers() -> None:
    vectors = [near(np.eye(16, dtype=np.float32)[at % 7], at, 0.02) for at in range(28)]

    assert len(set(cluster(vectors, [2.0] * 28, threshold=0.5))) == 4


def test_of_very_many_pieces_the_short_ones_join_the_nearest() -> None:
    every = np.eye(16, dtype=np.float32)
    vectors = [near(every[at % 2], at) for at in range(1500)]

    assert groups(cluster(vectors, [1.0 + at % 3 for at in range(1500)], threshold=0.5)) == groups([0, 1] * 750)


def test_nothing_to_cluster() -> None:
    assert cluster([], [], threshold=0.5) == []


def test_a_model_of_voices_tells_two_apart(tmp_path: Path) -> None:
    model = OnnxVoiceModel(voice_model(tmp_path / "voices.onnx"), threshold=0.9)
    low = [np.concatenate([tone(200, 0.3), silence(0.3), tone(240, 0.3)]) + noise(0.9, 0.001, s) for s in range(3)]
    high = [np.concatenate([tone(3000, 0.3), silence(0.3), tone(3300, 0.3)]) + noise(0.9, 0.001, s) for s in range(3)]
    pieces = [
        Piece("word", at, at + 0.9, voice=model.vector(samples))
        for at, samples in enumerate([low[0], high[0], low[1], high[1], high[2], low[2]])
    ]
    pieces.insert(3, Piece("uh", 2.9, 3.0))

    labelled = by_voice(pieces, model.threshold)

    assert np.linalg.norm(model.vector(low[0])) == pytest.approx(1, abs=1e-4)
    assert [label for _, label in labelled] == ["S1", "S2", "S1", "S1", "S2", "S2", "S1"]


def test_what_is_no_model_of_voices_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")

    with pytest.raises(ConfigError, match="no ONNX file"):
        OnnxVoiceModel(broken)
    with pytest.raises(ConfigError, match=r"shape \(1, frame, 80\)"):
        OnnxVoiceModel(voice_model(tmp_path / "narrow.onnx", features=40))


@pytest.mark.parametrize(
    ("fainter_db", "text", "left_out"),
    [
        pytest.param(12, "I have a cough.", 1, id="the other's words, much fainter"),
        pytest.param(3, "I have a cough.", 0, id="the same words, as loud"),
        pytest.param(12, "Do you smoke?", 0, id="other words, however faint"),
    ],
)
def test_crosstalk(fainter_db: float, text: str, left_out: int) -> None:
    pieces = [Piece("I have a cough.", 1.0, 3.0, track=1), Piece(text, 1.1, 3.1, track=0)]

    labelled, number = by_channel(pieces, lambda track, _start, _end: 0.0 if track else -fainter_db)

    assert number == left_out
    assert ("S2" in [label for _, label in labelled]) is True
    assert len(labelled) == 2 - left_out


def test_crosstalk_goes_word_by_word() -> None:
    """The doctor asks, the patient answers at once, and the patient's microphone hears both as one sentence."""

    def spoken(text: str, start_s: float, track: int) -> Piece:
        words = tuple(Word(each, start_s + n / 2, start_s + n / 2 + 0.4, 0.9) for n, each in enumerate(text.split()))
        return Piece(text, words[0].start_s, words[-1].end_s, words, track)

    def level_db(track: int, start: float, end: float) -> float:
        asking = (min(end, 1.5) - min(start, 1.5)) / (end - start)
        return -18.0 * (asking if track else 1 - asking)

    asked, answered = spoken("Do you smoke?", 0.0, 0), spoken("do you smoke, I do not smoke", 0.0, 1)
    labelled, number = by_channel([asked, answered], level_db)

    assert [(piece.text, label) for piece, label in labelled] == [("Do you smoke?", "S1"), ("I do not smoke", "S2")]
    assert (labelled[1][0].start_s, number) == (1.5, 1)
