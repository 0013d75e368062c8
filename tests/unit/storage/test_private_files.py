"""Files that hold a key."""

import stat
from pathlib import Path

import pytest

from osler.errors import ConfigError
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
