"""The folder of speech models: what goes in, what is refused, what is found."""

import hashlib
from pathlib import Path

import pytest

from osler.errors import ConfigError, IntegrityError
from osler.transcribe.models import SpeechModels

WEIGHTS = b"\x06\x00\x00\x00\x0c\x00WhisperSpec\x00" + b"weights"


def model_folder(path: Path, weights: bytes = WEIGHTS, leave_out: tuple[str, ...] = ()) -> Path:
    path.mkdir()
    files = {
        "model.bin": weights,
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "vocabulary.txt": b"a\n",
        "README.md": b"not needed",
    }
    for name, content in files.items():
        if name not in leave_out:
            (path / name).write_bytes(content)
    return path


def test_a_model_is_copied_and_found_again(tmp_path: Path) -> None:
    models = SpeechModels(tmp_path / "speech")
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()

    added = models.add(model_folder(tmp_path / "tiny.en"))

    assert (added.model.name, added.model.version, added.model.sha256) == ("tiny.en", sha256[:12], sha256)
    assert added.path == tmp_path / "speech" / "tiny.en" / sha256[:12]
    assert added.size_bytes == len(WEIGHTS)
    assert models.list() == [added]
    assert models.find("tiny.en") == models.find(f"tiny.en@{sha256[:12]}") == added
    assert not (added.path / "README.md").exists()


def test_a_model_is_found_in_a_folder_of_its_own(tmp_path: Path) -> None:
    models = SpeechModels(tmp_path / "speech")
    folder = model_folder(tmp_path / "small.en")
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()

    found = models.find(str(folder))

    assert (found.model.name, found.model.version, found.model.sha256) == ("small.en", sha256[:12], sha256)
    assert found.path == folder
    assert models.list() == []
    with pytest.raises(ConfigError, match="there is no speech model"):
        models.find(str(tmp_path))


def test_adding_the_same_again_changes_nothing(tmp_path: Path) -> None:
    models = SpeechModels(tmp_path / "speech")
    folder = model_folder(tmp_path / "base")

    assert models.add(folder) == models.add(folder)
    assert len(models.list()) == 1


def test_another_model_of_the_same_name_and_version_is_refused(tmp_path: Path) -> None:
    models = SpeechModels(tmp_path / "speech")
    models.add(model_folder(tmp_path / "one"), "base", "1")

    with pytest.raises(ConfigError, match="another speech model is installed as base 1"):
        models.add(model_folder(tmp_path / "two", WEIGHTS + b"2"), "base", "1")


def test_a_name_alone_must_say_which(tmp_path: Path) -> None:
    models = SpeechModels(tmp_path / "speech")
    models.add(model_folder(tmp_path / "one"), "base", "1")
    second = models.add(model_folder(tmp_path / "two", WEIGHTS + b"2"), "base", "2")

    assert models.find("base@2") == second
    with pytest.raises(ConfigError, match="several versions, say which: 1, 2"):
        models.find("base")
    with pytest.raises(ConfigError, match="installed: base@1, base@2"):
        models.find("large")


def test_without_any_model_it_says_how_to_add_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none is installed: osler scribe models add PATH"):
        SpeechModels(tmp_path / "speech").find("base")


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json"])
def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path, missing: str) -> None:
    folder = model_folder(tmp_path / "part", leave_out=(missing,))

    with pytest.raises(ConfigError, match=rf"{missing} missing: give the folder of a Whisper model"):
        SpeechModels(tmp_path / "speech").add(folder)
    assert not (tmp_path / "speech").exists()


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "other", b"\x80\x04pickle or whatever")

    with pytest.raises(ConfigError, match=r"model.bin is not a Whisper model of CTranslate2"):
        SpeechModels(tmp_path / "speech").add(folder)


@pytest.mark.parametrize("name", ["../evil", ".hidden", "a/b", ""])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        SpeechModels(tmp_path / "speech").add(model_folder(tmp_path / "ok"), name or " ", "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ok"]


def test_weights_that_were_changed_are_not_opened(tmp_path: Path) -> None:
    models = SpeechModels(tmp_path / "speech")
    added = models.add(model_folder(tmp_path / "base"))
    (added.path / "model.bin").write_bytes(WEIGHTS + b"changed")

    with pytest.raises(IntegrityError, match="not those that were added"):
        models.open("base")


def test_a_model_without_its_tokenizer_is_not_opened_since_it_would_look_for_one_elsewhere(tmp_path: Path) -> None:
    models = SpeechModels(tmp_path / "speech")
    added = models.add(model_folder(tmp_path / "base"))
    (added.path / "tokenizer.json").unlink()

    with pytest.raises(ConfigError, match=r"tokenizer.json missing"):
        models.open("base")
