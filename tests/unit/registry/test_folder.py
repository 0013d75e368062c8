"""The registry's port, on a folder and on MLflow: versions stay, aliases move, and the cache goes on without it."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from osler.errors import ConfigError, Conflict, IntegrityError, NotFound, PeerUnavailable
from osler.registry.artefact import check, seal
from osler.registry.folder import FolderRegistry
from osler.registry.mlflow import MlflowRegistry
from osler.registry.pinning import Pins
from osler.registry.port import ModelRegistry, Version, chosen
from osler.registry.signing import Trust
from osler.testing.models import write_artefact

TRUST = Trust((), allow_unsigned=True)


@pytest.fixture(scope="module")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an empty database of MLflow, which takes it seconds."""
    if importlib.util.find_spec("mlflow") is None:
        assert os.environ.get("OSLER_REQUIRE_PEERS") != "1", "needs mlflow-skinny"
        pytest.skip("needs mlflow-skinny")
    made = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowRegistry(f"sqlite:///{made}").names()
    return made


# What MLflow warns of is for its makers.
@pytest.fixture(params=["folder", pytest.param("mlflow", marks=pytest.mark.filterwarnings("ignore"))])
def registry(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """Open an empty registry of each kind."""
    if request.param == "folder":
        return FolderRegistry(tmp_path / "registry")
    shutil.copy(request.getfixturevalue("mlflow_database"), tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)  # where MLflow keeps the artefacts of a database without a server
    return MlflowRegistry(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Version, Path]]:
    """Return a function that makes a checked artefact."""

    def _make(version: str = "2.0.0", gain: float = 1.0) -> tuple[Version, Path]:
        folder = write_artefact(tmp_path / "made" / f"{version}-{gain}", version=version, gain=gain)
        seal(folder)
        return check(folder, TRUST).version, folder

    return _make


def test_versions_come_and_aliases_move(registry: ModelRegistry, make: Callable[..., tuple[Version, Path]]) -> None:
    assert (list(registry.names()), list(registry.versions("fake")), dict(registry.aliases("fake"))) == ([], [], {})
    made = [make(version) for version in ("2.0.0", "2.1.0")]
    for version, folder in made:
        registry.register(version, folder)
    assert list(registry.versions("fake")) == [version for version, _ in made]
    assert list(registry.names()) == ["fake"]
    registry.set_alias("fake", "champion", "2.0.0")
    registry.set_alias("fake", "challenger", "2.1.0")
    assert dict(registry.aliases("fake")) == {"champion": "2.0.0", "challenger": "2.1.0"}
    registry.set_alias("fake", "champion", "2.1.0")
    registry.set_alias("fake", "challenger", None)
    registry.set_alias("fake", "shadow", None)
    assert dict(registry.aliases("fake")) == {"champion": "2.1.0"}
    with pytest.raises(NotFound):
        registry.set_alias("fake", "champion", "9.0.0")


def test_a_version_never_changes(registry: ModelRegistry, make: Callable[..., tuple[Version, Path]]) -> None:
    version, folder = make()
    registry.register(version, folder)
    registry.register(version, folder)
    assert len(registry.versions("fake")) == 1
    with pytest.raises(Conflict):
        registry.register(*make(gain=2.0))


@pytest.mark.parametrize(
    ("reference", "version"),
    [("fake", "2.0.0"), ("fake@champion", "2.0.0"), ("fake@2.1.0", "2.1.0"), ("fake@shadow", None), ("other", None)],
)
def test_a_reference_means_one_version(
    registry: ModelRegistry, make: Callable[..., tuple[Version, Path]], reference: str, version: str | None
) -> None:
    for each in ("2.0.0", "2.1.0"):
        registry.register(*make(each))
    registry.set_alias("fake", "champion", "2.0.0")
    found = chosen(registry, reference)
    assert (found and found.version) == version


def test_what_is_resolved_lies_here_whole(
    registry: ModelRegistry, make: Callable[..., tuple[Version, Path]], tmp_path: Path
) -> None:
    version, folder = make()
    registry.register(version, folder)
    registry.set_alias("fake", "champion", "2.0.0")
    pinned = Pins(registry, tmp_path / "models", TRUST).resolve("fake")
    assert pinned is not None
    assert (str(pinned), pinned.sha256, pinned.runtime) == ("fake@2.0.0", version.sha256, "fake")
    assert pinned.folder == tmp_path / "models" / "cache" / version.sha256
    assert (pinned.folder / "weights" / "gain.txt").read_bytes() == (folder / "weights" / "gain.txt").read_bytes()


@pytest.mark.parametrize("spoil", ["weights/gain.txt", "card.yaml", "manifest.json"])
def test_a_cache_that_was_changed_is_refused(
    make: Callable[..., tuple[Version, Path]], tmp_path: Path, spoil: str
) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    registry.register(*make())
    pins = Pins(registry, tmp_path / "models", TRUST)
    pinned = pins.resolve("fake@2.0.0")
    assert pinned is not None
    with (pinned.folder / spoil).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(IntegrityError):
        pins.resolve("fake@2.0.0")


def test_a_key_that_is_trusted_no_more_stops_what_it_signed(
    make: Callable[..., tuple[Version, Path]], tmp_path: Path
) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    registry.register(*make())
    assert Pins(registry, tmp_path / "models", TRUST).resolve("fake@2.0.0") is not None
    with pytest.raises(IntegrityError, match="not signed"):
        Pins(registry, tmp_path / "models", Trust()).resolve("fake@2.0.0")


class Gone(FolderRegistry):
    """A registry that does not answer."""

    def versions(self, name: str) -> list[Version]:
        raise PeerUnavailable("no answer")

    def aliases(self, name: str) -> dict[str, str]:
        raise PeerUnavailable("no answer")


def test_without_an_answer_the_last_versions_go_on(make: Callable[..., tuple[Version, Path]], tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    for version in ("2.0.0", "2.1.0"):
        registry.register(*make(version))
    registry.set_alias("fake", "champion", "2.0.0")
    registry.set_alias("fake", "challenger", "2.1.0")
    first = Pins(registry, tmp_path / "models", TRUST)
    before = [first.resolve(reference) for reference in ("fake", "fake@challenger", "installed")]
    assert before[2] is None
    shutil.rmtree(tmp_path / "registry")
    pins = Pins(Gone(tmp_path / "registry"), tmp_path / "models", TRUST)
    assert [pins.resolve(reference) for reference in ("fake", "fake@challenger", "installed")] == before
    assert pins.aliases("fake") == {"challenger": "2.1.0"}
    with pytest.raises(PeerUnavailable):
        pins.resolve("never-asked")


def test_an_alias_that_points_nowhere_is_told(make: Callable[..., tuple[Version, Path]], tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path)
    registry.register(*make())
    registry.set_alias("fake", "champion", "2.0.0")
    index = tmp_path / "fake" / "registered.json"
    index.write_text(index.read_text().replace('"champion": "2.0.0"', '"champion": "7.0.0"'))
    with pytest.raises(ConfigError, match=r"7\.0\.0"):
        chosen(registry, "fake")
    index.write_text("{")
    with pytest.raises(IntegrityError):
        registry.versions("fake")
