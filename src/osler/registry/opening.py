"""Open the registry that a configuration names, and the cache before it."""

from pathlib import Path

from osler.config import Config
from osler.registry.folder import FolderRegistry
from osler.registry.pinning import Pins
from osler.registry.port import ModelRegistry
from osler.registry.signing import Trust

_MLFLOW = "mlflow+"


def open_registry(config: Config) -> ModelRegistry:
    """Open the configured registry of model artefacts.

    Raises
    ------
    ConfigError
        If it needs a package that is not installed.
    """
    url = config.text("registry.url")
    if url.startswith(_MLFLOW):
        from osler.registry.mlflow import MlflowRegistry  # costs seconds and many packages

        return MlflowRegistry(url.removeprefix(_MLFLOW), timeout_s=config.number("registry.timeout_s"))
    return FolderRegistry(config.data_dir / "models" / "artefacts" if url == "folder" else Path(url))


def open_trust(config: Config) -> Trust:
    """Say whose signature counts under this configuration."""
    return Trust(tuple(config.items("registry.trusted_keys")), config.flag("registry.allow_unsigned"))


def open_pins(config: Config, registry: ModelRegistry | None = None) -> Pins:
    """Open the cache of artefacts before the configured registry."""
    return Pins(registry or open_registry(config), config.data_dir / "models", open_trust(config))
