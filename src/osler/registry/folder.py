"""A registry that is a folder: of this hub, or one that several hosts see.

::

    NAME/VERSION/...       the artefact, never changed
    NAME/registered.json   versions in the order of their coming, and aliases

``registered.json`` is replaced as a whole, under a lock, so that a reader sees it before or after, never between.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from osler.errors import Conflict, IntegrityError, NotFound, PeerUnavailable
from osler.registry.port import Version
from osler.storage.private_files import sync_folder

_INDEX: Final = "registered.json"


class FolderRegistry:
    """See :class:`osler.registry.port.ModelRegistry`.

    Parameters
    ----------
    root : Path
        Made with the first model.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def register(self, version: Version, folder: Path) -> None:
        """Take in a checked artefact; see the port."""
        home = self._root / version.name
        with _reachable():
            home.mkdir(parents=True, exist_ok=True, mode=0o700)

        def change(index: dict[str, Any]) -> None:
            known = next((v for v in index["versions"] if v["version"] == version.version), None)
            if known is not None:
                if known["sha256"] != version.sha256:
                    raise Conflict(f"{version} is registered with other content: give the new one a new version")
                return
            coming = Path(tempfile.mkdtemp(prefix=".coming-", dir=home))
            shutil.copytree(folder, coming, dirs_exist_ok=True)
            for place, _, names in os.walk(coming):
                for name in names:
                    _sync_file(Path(place, name))
                sync_folder(Path(place))
            target = home / version.version
            shutil.rmtree(target, ignore_errors=True)  # left by a registration that was killed
            coming.replace(target)
            index["versions"].append(
                {"version": version.version, "sha256": version.sha256, "signed_by": version.signed_by}
            )

        self._change(version.name, change)

    def names(self) -> Sequence[str]:
        """Return the names; see the port."""
        with _reachable():
            if not self._root.is_dir():
                return []
            return sorted(path.parent.name for path in self._root.glob(f"*/{_INDEX}"))

    def versions(self, name: str) -> Sequence[Version]:
        """Return the versions; see the port."""
        return [Version(name, v["version"], v["sha256"], v["signed_by"]) for v in self._index(name)["versions"]]

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return the aliases; see the port."""
        return dict(self._index(name)["aliases"])

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Set or take away an alias; see the port."""

        def change(index: dict[str, Any]) -> None:
            if version is None:
                index["aliases"].pop(alias, None)
                return
            if version not in [v["version"] for v in index["versions"]]:
                raise NotFound(f"the registry has no {name}@{version}")
            index["aliases"][alias] = version

        if version is not None or self._index(name)["aliases"]:
            self._change(name, change)

    def fetch(self, version: Version, target: Path) -> None:
        """Copy the files; see the port."""
        with _reachable():
            shutil.copytree(self._root / version.name / version.version, target, dirs_exist_ok=True)

    def _index(self, name: str) -> dict[str, Any]:
        with _reachable():
            try:
                content = (self._root / name / _INDEX).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return {"versions": [], "aliases": {}}
        try:
            index = json.loads(content)
            return {"versions": list(index["versions"]), "aliases": dict(index["aliases"])}
        except (ValueError, TypeError, KeyError):
            raise IntegrityError(f"the registry's {_INDEX} of {name} cannot be read") from None

    def _change(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        home = self._root / name
        with _reachable():
            if not home.is_dir():
                raise NotFound(f"the registry has no model {name}")
            lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            index = self._index(name)
            change(index)
            with _reachable():
                coming = home / f".{_INDEX}"
                coming.write_text(json.dumps(index, indent=1), encoding="utf-8")
                _sync_file(coming)
                coming.replace(home / _INDEX)
                sync_folder(home)
        finally:
            os.close(lock)


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PeerUnavailable(f"the model registry's folder does not answer: {error.strerror}") from None


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
