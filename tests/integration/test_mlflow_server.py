"""A real MLflow tracking server: what is registered there serves on when the server is gone."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from osler.config import load
from osler.errors import PeerUnavailable
from osler.hub.cards import greet, start_of
from osler.hub.registering import register
from osler.hub.serving import Serving
from osler.registry.mlflow import MlflowRegistry
from osler.registry.opening import open_registry
from osler.registry.signing import create_key, read_key
from osler.storage import Database
from osler.testing.models import install, write_artefact
from osler.testing.peers import free_ports

pytestmark = pytest.mark.filterwarnings("ignore")  # what MLflow warns of is for its makers
NEEDED = ("mlflow", "flask", "flask_cors", "pandas", "aiohttp", "huey")


class Server:
    """MLflow's tracking server with its database and artefacts in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", folder / "store"),
                *("--workers", "1"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("wb"),
            start_new_session=True,
            cwd=folder,
        )
        self._log = folder / "log"

    def wait(self) -> "Server":
        deadline = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{self.url}/health", timeout=2).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            assert self._process.poll() is None, self._log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < deadline, self._log.read_text(errors="replace")[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        assert os.environ.get("OSLER_REQUIRE_PEERS") != "1", f"MLflow's server needs {', '.join(missing)}"
        pytest.skip(f"MLflow's server needs {', '.join(missing)}")
    made = Server(tmp_path / "mlflow")
    yield made
    made.stop()


def test_the_hub_serves_on_from_its_cache_when_the_server_is_gone(server: Server, tmp_path: Path) -> None:
    server.wait()
    key = tmp_path / "sign.key"
    given = {
        "registry.url": f"mlflow+{server.url}",
        "registry.trusted_keys": [create_key(key)],
        "registry.timeout_s": 10.0,
        "models.enabled": ["fake"],
        "models.folders": [str(install(tmp_path / "models", {"fake": "osler.testing.models:fake"}))],
    }
    config = load({}, data_dir=tmp_path / "data", given=given)
    for version in ("2.0.0", "2.1.0"):
        register(config, write_artefact(tmp_path / version, version=version), key=read_key(key))
    registry = open_registry(config)
    assert isinstance(registry, MlflowRegistry)
    registry.set_alias("fake", "champion", "2.0.0")
    registry.set_alias("fake", "challenger", "2.1.0")
    assert [str(v) for v in registry.versions("fake")] == ["fake@2.0.0", "fake@2.1.0"]
    database = Database(f"sqlite:///{tmp_path}/ledger.db")
    from osler.storage.migrate import upgrade

    upgrade(database)
    before = Serving(config, database)
    assert (before.lineup.champions, before.lineup.beside) == (("fake@2.0.0",), {"fake@2.0.0": ("fake@2.1.0",)})
    server.stop()
    assert before.look() is False, "a running hub goes on as it was"
    after = Serving(config, database)  # and so does one that starts anew
    assert (after.lineup, after.starts) == (before.lineup, before.starts)
    assert greet(after.starts[0]).card.version == "2.0.0"
    with pytest.raises(PeerUnavailable):
        start_of(config, "fake@3.0.0")
    database.close()
    shutil.rmtree(tmp_path / "data" / "models" / "cache")
    with pytest.raises(PeerUnavailable):
        start_of(config, "fake")
