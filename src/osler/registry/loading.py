"""In a model's process: an artefact's files and the plugin that its manifest names become a model."""

from pathlib import Path

from osler.errors import IntegrityError, PluginError
from osler.plugins import Model
from osler.registry.contents import file_hash
from osler.registry.local import ModelHandle
from osler.registry.port import CARD, MANIFEST, WEIGHTS


def open_artefact(folder: Path, sha256: str, handle: ModelHandle) -> Model:
    """Make the model of an artefact, whose files the hub has checked against its manifest.

    Parameters
    ----------
    folder : Path
    sha256 : str
        Hash of its manifest, as it was pinned.
    handle : ModelHandle
        The installed plugin that its manifest names.

    Raises
    ------
    IntegrityError
        If it is another artefact, or the plugin takes another card for its own.
    PluginError
        If the plugin does not open it.
    """
    if file_hash(folder / MANIFEST) != sha256:
        raise IntegrityError("the model's folder holds another artefact than was pinned")
    model = handle.open_folder(folder)
    if not isinstance(model, Model):
        raise PluginError(f"from_folder of {handle.name} does not make a model")
    weights = (p for p in (folder / WEIGHTS).rglob("*") if p.is_file())
    if model.card.sha256 not in {file_hash(path) for path in weights}:
        raise IntegrityError(f"the plugin {handle.name} does not read the artefact's {CARD}")
    return model
