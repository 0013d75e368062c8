"""A data folder of an older program: its database is copied as it was, then brought on."""

import json
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig

from osler.__main__ import main
from osler.storage import Database
from osler.storage.database import sqlite_url

OLD = "0006"
Init = Callable[..., tuple[int, str, str]]


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder whose database an older program made."""
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    config = AlembicConfig()
    config.set_main_option("script_location", "osler.storage:migrations")
    with closing(Database(sqlite_url(made / "osler.db"))) as database:

        def make(connection: object) -> None:
            config.attributes["connection"] = connection
            command.upgrade(config, OLD)

        database.write(make)
    return made


@pytest.fixture
def init(capsys: pytest.CaptureFixture[str]) -> Init:
    def run(folder: Path, *options: str) -> tuple[int, str, str]:
        code = main(["init", "--data-dir", str(folder), *options], {})
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_an_older_database_is_copied_and_brought_on(folder: Path, init: Init) -> None:
    old = tables_of(folder / "osler.db")

    code, out, _ = init(folder, "--json")

    assert code == 0
    said = json.loads(out)["database"]
    copy = folder / f"osler.db.before-{OLD}"
    newest = revision_of(folder / "osler.db")
    assert said == {"before": OLD, "after": newest, "copy": str(copy)}
    assert newest > OLD
    assert (revision_of(copy), tables_of(copy)) == (OLD, old)
    assert tables_of(folder / "osler.db") > old
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in folder.glob("osler.db.*")] == [copy.name]


def test_it_is_said_in_words(folder: Path, init: Init) -> None:
    code, out, _ = init(folder)

    assert code == 0
    assert f"brought from revision {OLD} to {revision_of(folder / 'osler.db')}" in out
    assert str(folder / f"osler.db.before-{OLD}") in out.replace("\n", "")
    assert "nothing was changed" not in out


def test_a_second_time_nothing_is_copied(folder: Path, init: Init) -> None:
    init(folder)
    copy = folder / f"osler.db.before-{OLD}"
    copy.unlink()

    code, out, _ = init(folder, "--json")

    assert code == 0
    assert "database" not in json.loads(out)
    assert not copy.exists()
    assert "nothing was changed" in init(folder)[1]


def test_a_new_folder_has_nothing_to_copy(tmp_path: Path, init: Init) -> None:
    code, out, _ = init(tmp_path / "data", "--json")

    assert code == 0
    assert "database" not in json.loads(out)
    assert not list((tmp_path / "data").glob("*.before-*"))


def test_what_an_attempt_left_is_replaced(folder: Path, init: Init) -> None:
    copy = folder / f"osler.db.before-{OLD}"
    copy.write_bytes(b"half")
    (folder / f"{copy.name}.coming").write_bytes(b"half")

    assert init(folder)[0] == 0
    assert revision_of(copy) == OLD
    assert not (folder / f"{copy.name}.coming").exists()


def test_without_a_copy_nothing_is_changed(folder: Path, init: Init) -> None:
    (folder / f"osler.db.before-{OLD}").mkdir()

    code, _, err = init(folder)

    assert code == 2
    assert "cannot be written" in err
    assert revision_of(folder / "osler.db") == OLD


def test_a_database_of_a_newer_program_is_left_alone(folder: Path, init: Init) -> None:
    with closing(sqlite3.connect(folder / "osler.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    code, _, err = init(folder)

    assert code == 2
    assert "newer" in err
    assert not list(folder.glob("*.before-*"))
