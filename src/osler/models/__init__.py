"""The built-in models, one folder each with the same files: ``card.yaml``, ``model.py``, ``train.py``, ``weights/``."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from osler.domain.codes import Code
from osler.errors import ConfigError, IntegrityError
from osler.plugins import Card, Endpoint, Output


def read_card(folder: Path) -> Card:
    """Read ``card.yaml`` in a model's folder.

    Its keys are the fields of :class:`osler.plugins.Card`, those of each of ``outputs`` the fields of
    :class:`osler.plugins.Output`, those of ``endpoint`` the fields of :class:`osler.plugins.Endpoint`.

    Parameters
    ----------
    folder : Path
        The model's folder.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not YAML, or lacks a key or has one that is not known.
    """
    path = folder / "card.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Card(
            **{
                **content,
                "outputs": tuple(_output(entry) for entry in content["outputs"]),
                "modalities": tuple(content["modalities"]),
                "endpoint": Endpoint.from_mapping(content["endpoint"]) if content.get("endpoint") else None,
            }
        )
    except (OSError, yaml.YAMLError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise ConfigError(f"the card {path} cannot be used: {error}") from error


def _output(entry: Mapping[str, Any]) -> Output:
    return Output(**{**entry, "code": Code(**entry["code"])})


def read_weights(path: Path, card: Card) -> bytes:
    """Read a weights file, and check that it is the one that the card names.

    Raises
    ------
    IntegrityError
        If it is missing, or its SHA-256 differs from the card's.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"the weights of {card.name} cannot be read") from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise IntegrityError(f"the weights of {card.name} are not those that its card names")
    return content
