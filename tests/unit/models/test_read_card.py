"""A card is read whole or not at all; weights must be those that it names."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from osler.errors import ConfigError, IntegrityError
from osler.models import read_card, read_weights
from osler.plugins import Card

CONTENT: dict[str, Any] = {
    "name": "a-model",
    "version": "1.2.3",
    "sha256": hashlib.sha256(b"weights").hexdigest(),
    "preprocessing": "p-1",
    "intended_use": "tests",
    "limitations": "all",
    "licence": "MIT",
    "modalities": ["CR"],
    "outputs": [
        {"label": "x", "code": {"value": "1", "scheme": "SCT", "meaning": "X"}, "threshold": 0.5, "critical": True}
    ],
    "evaluation": {"auroc": 0.9},
}


def card_of(folder: Path, content: Any) -> Card:
    (folder / "card.yaml").write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return read_card(folder)


def test_a_card_is_read(tmp_path: Path) -> None:
    card = card_of(tmp_path, CONTENT)
    assert (card.name, card.version, card.modalities) == ("a-model", "1.2.3", ("CR",))
    assert (card.outputs[0].code.value, card.outputs[0].threshold, card.outputs[0].critical) == ("1", 0.5, True)
    assert card.max_batch == 1
    assert card.evaluation["auroc"] == 0.9


@pytest.mark.parametrize(
    "content",
    [
        {key: value for key, value in CONTENT.items() if key != "sha256"},
        {key: value for key, value in CONTENT.items() if key != "outputs"},
        {**CONTENT, "colour": "blue"},
        {**CONTENT, "outputs": [{"label": "x"}]},
        "- a\n- list",
        "{",
        "",
    ],
    ids=["no hash", "no outputs", "unknown key", "half an output", "a list", "not YAML", "empty"],
)
def test_half_a_card_is_none(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ConfigError, match=r"card\.yaml"):
        card_of(tmp_path, content)


def test_no_card(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_card(tmp_path)


def test_weights_are_those_of_the_card(tmp_path: Path) -> None:
    card, path = card_of(tmp_path, CONTENT), tmp_path / "w"
    path.write_bytes(b"weights")
    assert read_weights(path, card) == b"weights"
    path.write_bytes(b"weightz")
    with pytest.raises(IntegrityError):
        read_weights(path, card)
    path.unlink()
    with pytest.raises(IntegrityError):
        read_weights(path, card)
