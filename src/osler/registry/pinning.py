"""From a reference to files that lie here and are whole: resolved, brought, checked, and kept.

What was resolved is written down. When the registry does not answer, the versions of the last time go on.
"""

import contextlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

import structlog

from osler.errors import IntegrityError, PeerUnavailable, StorageFull
from osler.registry.artefact import check
from osler.registry.port import ModelRegistry, Pinned, Version, chosen
from osler.registry.signing import Trust

_PINS: Final = "pins.json"

log = structlog.get_logger(__name__)


class Pins:
    """Resolves references against a registry, with a cache of whole artefacts.

    Parameters
    ----------
    registry : ModelRegistry
    folder : Path
        Of the cache: ``cache/<sha256>/`` and ``pins.json``; made with the first model.
    trust : Trust
    """

    def __init__(self, registry: ModelRegistry, folder: Path, trust: Trust) -> None:
        self._registry = registry
        self._folder = folder
        self._trust = trust

    def resolve(self, reference: str) -> Pinned | None:
        """Find the version that a reference means, bring it here and check it; None when the registry has none.

        Raises
        ------
        IntegrityError
            If a file or a signature is not what it should be.
        PeerUnavailable
            If the registry does not answer, and the reference was never resolved here.
        """
        version = self.version_of(reference)
        return None if version is None else self._held(version)

    def version_of(self, reference: str) -> Version | None:
        """Find the version that a reference means, and no more.

        Raises
        ------
        PeerUnavailable
            If the registry does not answer, and the reference was never resolved here.
        """
        try:
            version = chosen(self._registry, reference)
        except PeerUnavailable as error:
            pins = self._pins()
            if reference not in pins:
                raise
            log.warning("model registry does not answer; the last known version goes on", model=reference)
            log.debug("model registry", reason=str(error))
            version = pins[reference]
        else:
            self._remember(reference, version)
        return version

    def aliases(self, name: str) -> dict[str, str]:
        """Return which version each alias stands for, as far as it is known."""
        try:
            return dict(self._registry.aliases(name))
        except PeerUnavailable:
            known = {reference: v for reference, v in self._pins().items() if v is not None}
            return {r.partition("@")[2]: v.version for r, v in known.items() if r.startswith(f"{name}@")}

    def _held(self, version: Version) -> Pinned:
        place = self._folder / "cache" / version.sha256
        if not place.is_dir():
            self._bring(version, place)
        artefact = check(place, self._trust)
        found = artefact.version
        if (found.name, found.version, found.sha256) != (version.name, version.version, version.sha256):
            raise IntegrityError(f"what lies in the cache for {version} is another model")
        return artefact.pinned

    def _bring(self, version: Version, place: Path) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            coming = Path(tempfile.mkdtemp(prefix=".coming-", dir=place.parent))
        except OSError:
            raise StorageFull("there is no room for the model") from None
        try:
            self._registry.fetch(version, coming)
            found = check(coming, self._trust).version
            if found.sha256 != version.sha256:
                raise IntegrityError(f"the registry gave another model for {version}")
            with contextlib.suppress(OSError):  # another process brought the same meanwhile
                coming.rename(place)
        finally:
            shutil.rmtree(coming, ignore_errors=True)

    def _pins(self) -> dict[str, Version | None]:
        try:
            document = json.loads((self._folder / _PINS).read_bytes())
            return {r: None if v is None else Version(**v) for r, v in document.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _remember(self, reference: str, version: Version | None) -> None:
        pins = self._pins()
        if reference in pins and pins[reference] == version:
            return
        if version is None and not self._folder.parent.is_dir():  # a command without a data folder
            return
        pins[reference] = version
        document = {r: None if v is None else asdict(v) for r, v in pins.items()}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, coming = tempfile.mkstemp(prefix=".pins-", dir=self._folder)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(coming).replace(self._folder / _PINS)
