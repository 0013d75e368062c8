"""Fixtures of the acceptance tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance.running import RunningHub
from osler.testing.models import install
from osler.testing.peers import Pacs, Pager, free_ports


@pytest.fixture
def in_database(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Return a function that puts a database into settings: SQLite, or PostgreSQL when OSLER_TEST_DATABASE says so."""

    def add(settings: str) -> str:
        if os.environ.get("OSLER_TEST_DATABASE") != "postgresql" or "\ndatabase = " in settings:
            return settings
        line = f'database = "{request.getfixturevalue("new_postgresql")()}"\n'
        before, section, after = settings.partition("[storage]\n")
        return f"{before}{section}{line}{after}" if section else f"{settings}\n[storage]\n{line}"

    return add


@pytest.fixture
def make_hub(tmp_path: Path, in_database: Callable[[str], str]) -> Iterator[Callable[..., RunningHub]]:
    """Return a function that makes a data folder; the hub on it ends with the test."""
    hubs: list[RunningHub] = []

    def make(settings: str = "", *, fake_model: bool = True) -> RunningHub:
        folder = tmp_path / f"hub{len(hubs)}"
        folder.mkdir()
        dimse_port, http_port = free_ports(2)
        hub = RunningHub(folder / "data", dimse_port, http_port)
        models = ""
        if fake_model:
            install(folder / "models", {"fake": "osler.testing.models:fake"})
            models = f'[models]\nenabled = ["fake"]\nfolders = ["{folder / "models"}"]\n'
        hub.data_dir.mkdir()
        given = in_database(f"[study]\nquiet_s = 0.5\n{models}{settings}")
        (hub.data_dir / "osler.toml").write_text(given, encoding="utf-8")
        hub.osler("init", "--admin-password-stdin", stdin="correct horse battery\n")
        hubs.append(hub)
        return hub

    yield make
    for hub in hubs:
        hub.kill()


@pytest.fixture
def pager() -> Iterator[Pager]:
    """Return a webhook receiver that checks signatures."""
    made = Pager("a long secret of the pager")
    yield made
    made.stop()


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Pacs]:
    """Return a storage SCP that keeps what it gets."""
    made = Pacs(tmp_path / "pacs")
    yield made
    made.stop()
