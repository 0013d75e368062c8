"""What the hub asks of a registry of model artefacts, and what a reference to a model is.

::

    NAME               the champion
    NAME@champion      the same; challenger and shadow alike
    NAME@1.2.0         that version and no other
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from osler.errors import ConfigError

CARD: Final = "card.yaml"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
WEIGHTS: Final = "weights"
"""Names in the folder of an artefact; see :mod:`osler.registry.artefact`."""

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
SHADOW: Final = "shadow"
ALIASES: Final = (CHAMPION, CHALLENGER, SHADOW)
"""The champion's results are published; a challenger and a shadow read beside it, and are only compared."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model.

    Parameters
    ----------
    name, version : str
    sha256 : str
        Of its manifest, which has the hash of every file: it stands for the whole artefact.
    signed_by : str
        Public key, ``ed25519:<base64>``; empty for none.
    """

    name: str
    version: str
    sha256: str
    signed_by: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version that was resolved, brought here and found whole.

    Parameters
    ----------
    name, version, sha256 : str
        As in :class:`Version`.
    runtime : str
        Entry point in ``osler.models`` of the installed plugin that opens it.
    folder : Path
        Where its files lie here.
    """

    name: str
    version: str
    sha256: str
    runtime: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class ModelRegistry(Protocol):
    """Versions of models, each an artefact that never changes, and aliases that do."""

    def register(self, version: Version, folder: Path) -> None:
        """Take in a checked artefact. The same one twice is no fault.

        Raises
        ------
        Conflict
            If another artefact has that name and version.
        """
        ...

    def names(self) -> Sequence[str]:
        """Return the names of the models that have versions here."""
        ...

    def versions(self, name: str) -> Sequence[Version]:
        """Return the versions of a model, the first registered first; none when it is not known."""
        ...

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return which version each alias of a model stands for."""
        ...

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Let an alias stand for a version; for none, take it away.

        Raises
        ------
        NotFound
            If there is no such version.
        """
        ...

    def fetch(self, version: Version, target: Path) -> None:
        """Copy the files of a version into an empty folder.

        Raises
        ------
        PeerUnavailable
            If the registry does not answer; each method may raise it.
        """
        ...


def split_reference(reference: str) -> tuple[str, str]:
    """Split a reference into the name and what stands behind the ``@``, an alias or a version (else the champion)."""
    name, _, which = reference.partition("@")
    return name, which or CHAMPION


def chosen(registry: ModelRegistry, reference: str) -> Version | None:
    """Find the version that a reference means; None when the registry has none.

    Raises
    ------
    ConfigError
        If an alias stands for a version that is gone.
    """
    name, which = split_reference(reference)
    wanted = registry.aliases(name).get(which) if which in ALIASES else which
    found = next((v for v in registry.versions(name) if v.version == wanted), None)
    if found is None and wanted is not None and which in ALIASES:
        raise ConfigError(f"{name}@{which} stands for version {wanted}, which the registry does not have")
    return found
