"""The models that are installed on this machine, found by their entry points.

Listing and resolving run no code of a model; opening one imports it. The hub itself opens none: a model's process does.
"""

import hashlib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Final

from osler.errors import ConfigError, IntegrityError, PluginError
from osler.plugins import Card, FolderModel, Model
from osler.registry.boundary import call

GROUP: Final = "osler.models"
CHAMPION: Final = "champion"


@dataclass(frozen=True, slots=True)
class ModelHandle:
    """An installed model, not yet imported.

    Parameters
    ----------
    name : str
        Name of the entry point, which is the card's name.
    wanted_version : str or None
        The version that was asked for; None for whichever is installed.
    distribution, distribution_version : str
        The Python package that brings it.
    entry_point : EntryPoint
    """

    name: str
    wanted_version: str | None
    distribution: str
    distribution_version: str
    entry_point: EntryPoint

    def open(self) -> Model:
        """Import the model and make it; its weights are not loaded yet.

        Raises
        ------
        ConfigError
            If it has another version than was asked for.
        PluginError
            If it cannot be imported, or what its entry point makes is not a model.
        """
        model = call(f"model {self.name} cannot be imported", lambda: self.entry_point.load()())
        if not isinstance(model, Model):
            raise PluginError(f"the entry point of model {self.name} does not make a model")
        card = model.card
        if card.name != self.name:
            raise PluginError(f"the entry point {self.name} makes a model whose card says {card.name}")
        if self.wanted_version not in (None, card.version):
            raise ConfigError(f"model {self.name} is installed in version {card.version}, not {self.wanted_version}")
        return model

    @property
    def card(self) -> Card:
        """The card. Imports the model."""
        return self.open().card

    def open_folder(self, folder: Path) -> Model:
        """Import the model and make it from an artefact's folder; its weights are not loaded yet.

        Raises
        ------
        PluginError
            If it cannot be imported, or takes no folder.
        """
        own = call(f"model {self.name} cannot be imported", lambda: self.entry_point.load()())
        if not isinstance(own, FolderModel):
            raise PluginError(f"model {self.name} opens no artefacts: it has no from_folder")
        return call("from_folder", lambda: type(own).from_folder(folder))

    def verified(self, card: Card) -> Path:
        """Find the file whose hash the card states.

        It is one of the files in the folder ``weights`` beside the module of the entry point; for a model of plain
        code, which has no such folder, it is that module itself.

        Raises
        ------
        IntegrityError
            If no file has that hash: the weights are not those that the card describes.
        """
        module = Path(importlib.import_module(self.entry_point.module).__file__ or "")
        weights = module.parent / "weights"
        candidates = sorted(p for p in weights.iterdir() if p.is_file()) if weights.is_dir() else [module]
        for path in candidates:
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() == card.sha256:
                    return path
        raise IntegrityError(f"the weights of model {self.name} are not those of its card")


class Registry:
    """The installed models.

    Parameters
    ----------
    folders : sequence of Path
        Folders with Python packages besides those where Python looks anyway; to open a model from there, the
        folder must be on ``sys.path``.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self.folders = tuple(folders)

    def list(self) -> list[ModelHandle]:
        """Return all models, by name."""
        found: dict[tuple[str, str], ModelHandle] = {}
        for distribution in distributions(path=[*map(str, self.folders), *sys.path]):
            for entry in distribution.entry_points.select(group=GROUP):
                handle = ModelHandle(entry.name, None, distribution.name, distribution.version, entry)
                found.setdefault((handle.name, handle.distribution), handle)  # Python imports the first as well
        return [found[key] for key in sorted(found)]

    def resolve(self, reference: str) -> ModelHandle:
        """Find ``NAME``, ``NAME@VERSION`` or ``NAME@champion``.

        One version of a model is installed at a time, and it is the champion.

        Raises
        ------
        ConfigError
            If there is no such model, or two packages bring one of that name.
        """
        name, _, which = reference.partition("@")
        every = self.list()
        found = [handle for handle in every if handle.name == name]
        if not found:
            names = ", ".join(sorted({handle.name for handle in every})) or "none"
            raise ConfigError(f"there is no model {name!r}; installed: {names}")
        if len(found) > 1:
            raise ConfigError(f"model {name!r} is brought by {' and by '.join(h.distribution for h in found)}")
        handle = found[0]
        version = None if which in ("", CHAMPION) else which
        return ModelHandle(name, version, handle.distribution, handle.distribution_version, handle.entry_point)
