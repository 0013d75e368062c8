"""Files that hold a key."""

import stat
from pathlib import Path

import pytest

from osler.errors import ConfigError
from osler.storage import Database, migrate
from osler.storage.blobs import FolderBlobs
from osler.storage.database import sqlite_url
from osler.storage.private_files import read_private, write_private


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "key", b"secret")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert read_private(tmp_path / "key") == b"secret"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_private(tmp_path / "key", b"first")
    with pytest.raises(ConfigError, match="never overwritten"):
        write_private(tmp_path / "key", b"second")
    assert read_private(tmp_path / "key") == b"first"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o777])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    write_private(tmp_path / "key", b"secret")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ConfigError, match=f"{mode:04o}") as refused:
        read_private(tmp_path / "key")
    assert "secret" not in str(refused.value)


def test_a_missing_file_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        read_private(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="nowhere"):
        write_private(tmp_path / "nowhere" / "key", b"secret")


def test_the_ledger_and_the_blobs_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "made by somebody, open to all"
    folder.mkdir(mode=0o755)
    database = Database(sqlite_url(folder / "osler.db"))
    migrate.upgrade(database)
    FolderBlobs(folder / "blobs" / "identified")
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*")}
    database.close()
    assert {name: mode for name, mode in modes.items() if name.startswith("osler.db")} == {
        "osler.db": 0o600,
        "osler.db-wal": 0o600,
        "osler.db-shm": 0o600,
    }
    assert modes["identified"] == modes["incoming"] == 0o700
