"""From a folder that somebody brings to a registered version: copied, checked, started in its sandbox, taken in."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.config import Config
from osler.errors import Conflict, IntegrityError, OslerError, StorageFull
from osler.hub.cards import greet, start_pinned
from osler.infer.needs import Needs
from osler.registry.artefact import Artefact, check, copy_in, networks_of, seal
from osler.registry.local import Registry
from osler.registry.opening import open_registry, open_trust
from osler.registry.port import CHAMPION, MANIFEST, Version


def register(
    config: Config, folder: Path, *, key: Ed25519PrivateKey | None = None, runtime: str | None = None
) -> Version:
    """Register a model.

    Parameters
    ----------
    config : Config
    folder : Path
        With ``card.yaml`` and ``weights/``; a manifest and its signature too, unless ``key`` makes them.
    key : Ed25519PrivateKey, optional
        Signs a new manifest.
    runtime : str, optional
        Entry point of the plugin that opens it, for a new manifest; else the card's name.

    Raises
    ------
    InputRejected
        If it is no artefact, or holds what is not taken.
    IntegrityError
        If it is not whole, or not signed by a trusted key.
    Conflict
        If another model has that name and version.
    PluginError
        If it does not load.
    ConfigError
        If the needs of its card are none that a worker knows.
    """
    with staged(config, folder) as copy:
        if key is not None or not (copy / MANIFEST).is_file():
            seal(copy, runtime=runtime, key=key)
        artefact = check(copy, open_trust(config))
        if artefact.networks != networks_of(copy):
            raise IntegrityError("the networks have other inputs and outputs than the manifest states")
        _check_installed(config, artefact)
        hello = greet(start_pinned(config, str(artefact.version), artefact.pinned))
        version = artefact.version
        if (hello.card.name, hello.card.version) != (version.name, version.version):
            raise IntegrityError(f"the plugin {artefact.runtime} takes the model for {hello.card.model_version}")
        Needs.of(hello.card)  # or each worker would find out, and none run it
        open_registry(config).register(version, copy)
    return version


@contextlib.contextmanager
def staged(config: Config, folder: Path) -> Iterator[Path]:
    """Copy a folder from outside to where it can be worked on; the copy goes at the end."""
    root = config.data_dir / "models"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=".staged-", dir=root)
    except OSError as error:
        raise StorageFull(f"{root} cannot be written: {error.strerror}") from None
    with scratch:
        copy = Path(scratch.name, "model")
        copy_in(folder, copy, max_bytes=config.integer("registry.max_mb") * 1_000_000)
        yield copy


def champion_of(config: Config, name: str) -> str:
    """Return the version that is the champion: the registry's, else the installed one; empty for none."""
    alias = open_registry(config).aliases(name).get(CHAMPION)
    return alias or installed_version(config, name) or ""


def installed(config: Config) -> Registry:
    """Return the models that are installed, and those in the folders that the configuration names."""
    folders = config.items("models.folders")
    sys.path.extend(folder for folder in folders if folder not in sys.path)
    return Registry([Path(folder) for folder in folders])


def installed_version(config: Config, name: str) -> str | None:
    """Return the version of the installed package that brings a model; None when none does."""
    found = [handle for handle in installed(config).list() if handle.name == name]
    try:
        return found[0].card.version if found else None
    except OslerError:
        return None


def _check_installed(config: Config, artefact: Artefact) -> None:
    version = artefact.version
    if installed_version(config, version.name) == version.version:
        raise Conflict(f"{version} is installed as a package: give the artefact a version of its own")
