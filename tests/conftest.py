"""Fixtures that every kind of test shares."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REQUIRE_PEERS = os.environ.get("OSLER_REQUIRE_PEERS") == "1"


def find_program(*names: str) -> str | None:
    """Return the path of the first of the programs that this machine has."""
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/postgresql/15/bin")
        if path:
            return path
    return None


@pytest.fixture(scope="session")
def need() -> Callable[..., str]:
    """Return the path of a peer program, or skip with the reason (fail when OSLER_REQUIRE_PEERS=1)."""

    def _need(*names: str) -> str:
        path = find_program(*names)
        if path is None:
            message = f"needs the program {' or '.join(names)}, which is not on this machine"
            if REQUIRE_PEERS:
                pytest.fail(message)
            pytest.skip(message)
        return path

    return _need


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that finds a free TCP port on loopback."""

    def _free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return _free_port


@pytest.fixture(scope="session")
def postgresql_server(need: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL of our own on a Unix socket and return its base URL, ``postgresql://...?host=...``."""
    pytest.importorskip("psycopg")
    initdb, postgres = need("initdb"), need("postgres")
    folder = Path(tmp_path_factory.mktemp("postgresql"))
    shutil.chown(folder, user="postgres") if os.geteuid() == 0 else None
    folder.chmod(0o755)
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    for parent in folder.parents:
        if as_user and parent.is_dir() and parent.owner() == "root" and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    subprocess.run(
        [*as_user, initdb, "-D", folder / "db", "-U", "osler", "-A", "trust", "-E", "UTF8"],
        check=True,
        capture_output=True,
    )
    server = subprocess.Popen(
        [*as_user, postgres, "-D", folder / "db", "-k", folder, "-c", "listen_addresses="],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    for line in server.stderr:
        if "ready to accept connections" in line:
            break
    else:
        pytest.fail("PostgreSQL did not start")
    try:
        yield f"postgresql://osler@/{{database}}?host={folder}"
    finally:
        server.terminate()
        server.stderr.close()
        server.wait(20)
