"""Workers on hosts of their own: without a key, and in PostgreSQL without more rights than they need."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from acceptance.running import RunningHub, environment, eventually, radiograph
from osler.config import load
from osler.errors import ConfigError
from osler.hub.opening import open_stores, open_worker_stores
from osler.ingest.folder import send
from osler.storage.tables import metadata

MakeHub = Callable[..., RunningHub]
ROLE = Path(__file__).parents[2] / "deploy" / "postgresql" / "worker-role.sql"
ROLES = "dimse,http,deidentifier,publisher"


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that starts ``osler worker`` in a data folder with settings and nothing else."""
    running: list[subprocess.Popen[bytes]] = []

    def start(settings: str) -> Path:
        folder = tmp_path / f"worker{len(running)}"
        folder.mkdir()
        (folder / "osler.toml").write_text(settings, encoding="utf-8")
        with (tmp_path / "worker.log").open("ab") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "osler", "worker", "--data-dir", str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment(),
                )
            )
        return folder

    def stop(number: int) -> None:
        running[number].terminate()
        assert running[number].wait(60) == 0

    start.stop = stop  # type: ignore[attr-defined]
    yield start
    for process in running:
        process.terminate()
    assert [process.wait(60) for process in running] == [0] * len(running)


def settings_for(hub: RunningHub, database: str) -> str:
    return (
        f'[models]\nenabled = ["fake"]\nfolders = ["{hub.data_dir.parent / "models"}"]\n'
        f'[storage]\ndatabase = "{database}"\nblobs = "{hub.data_dir / "blobs"}"\n'
    )


def grant(url: str) -> str:
    """Make the role of the workers; return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ROLE.read_text(encoding="utf-8"))
    return url.replace("osler@", "osler_worker@")


def test_a_worker_without_keys_works_beside_a_hub_with_the_rights_of_its_role(
    make_hub: MakeHub, new_postgresql: Callable[[], str], start_worker: Callable[[str], Path], tmp_path: Path
) -> None:
    url = new_postgresql()
    hub = make_hub(f'[storage]\ndatabase = "{url}"\n').start("--roles", ROLES)
    folder = start_worker(settings_for(hub, grant(url)))
    send([radiograph(tmp_path / "study")], address=("127.0.0.1", hub.dimse_port))
    hub.settled(1)
    assert hub.fhir("Observation")["total"] == 1
    (job,) = hub.json("queue", "list")
    assert (job["state"], job["attempts"]) == ("completed", 1)
    recorded = hub.json("audit", "search", "--event", "inference-recorded")
    assert len(recorded) == 1
    assert recorded[0]["patient"]
    assert hub.json("audit", "verify")["verified"] is True
    assert {path.name for path in folder.iterdir()} <= {"osler.toml", "spool", "models"}
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM handed_in").fetchone() == (0,)


def test_a_worker_on_the_sqlite_file_of_the_hub_needs_no_key(
    make_hub: MakeHub, start_worker: Callable[[str], Path], tmp_path: Path
) -> None:
    hub = make_hub().start("--roles", ROLES)
    folder = start_worker(settings_for(hub, f"sqlite:///{hub.data_dir / 'osler.db'}"))
    send([radiograph(tmp_path / "study")], address=("127.0.0.1", hub.dimse_port))
    hub.settled(1)
    config = load(environment(), data_dir=folder)
    with pytest.raises(ConfigError, match="is missing"), open_stores(config, {}):
        pass
    with open_worker_stores(config) as stores:
        assert {name for name in dir(stores) if not name.startswith("_")} == {"database", "deidentified", "queue"}


def test_the_role_of_a_worker_reaches_nothing_else(new_postgresql: Callable[[], str]) -> None:
    url = new_postgresql()
    worker = grant(grant(url).replace("osler_worker@", "osler@"))  # twice, as after an upgrade
    allowed = {
        ("job", "SELECT"),
        ("alembic_version", "SELECT"),
        ("handed_in", "INSERT"),
        *(("worker", kind) for kind in ("SELECT", "INSERT", "UPDATE", "DELETE")),
    }
    found = set()
    with psycopg.connect(worker, autocommit=True) as connection:
        for table in [*metadata.tables, "alembic_version"]:
            for kind, statement in {
                "SELECT": f'SELECT * FROM "{table}" LIMIT 1',
                "INSERT": f'INSERT INTO "{table}" DEFAULT VALUES',
                "UPDATE": f'UPDATE "{table}" SET {columns(url, table)[0]} = NULL WHERE false',
                "DELETE": f'DELETE FROM "{table}" WHERE false',
            }.items():
                # A row that is no good was let in all the same.
                with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                    with contextlib.suppress(psycopg.errors.NotNullViolation):
                        connection.execute(statement)
                    found.add((table, kind))
        assert found == allowed
        for column in ("study_uid", "body", "model", "priority", "site", "role"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"UPDATE job SET {column} = 'x'")
        for statement in ("CREATE TABLE mine (id int)", "CREATE ROLE other", "DROP TABLE audit_event"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def columns(url: str, table: str) -> list[str]:
    with psycopg.connect(url) as connection:
        query = "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position"
        return [f'"{name}"' for (name,) in connection.execute(query, [table])]


def test_what_a_worker_makes_up_is_refused(
    make_hub: MakeHub, new_postgresql: Callable[[], str], tmp_path: Path
) -> None:
    """A worker that was taken over hands in what its model cannot have said."""
    url = new_postgresql()
    hub = make_hub(f'[storage]\ndatabase = "{url}"\n').start("--roles", ROLES)
    send([radiograph(tmp_path / "study")], address=("127.0.0.1", hub.dimse_port))
    eventually(lambda: [j["state"] for j in hub.json("queue", "list")] == ["scheduled"], "the job waits for a worker")
    with psycopg.connect(grant(url), autocommit=True) as connection:
        connection.execute("UPDATE job SET state = 'in progress', lease_owner = 'thief', lease_until = 1e12")
        connection.execute("INSERT INTO handed_in SELECT id, 'thief', '{\"study_instance_uid\": 7}', 1.0 FROM job")
    (job,) = eventually(
        lambda: [j for j in hub.json("queue", "list") if j["state"] == "dead"], f"the job is set aside\n{hub.log}"
    )
    assert "is not a" in job["reason"]
    assert hub.fhir("Observation")["total"] == 0


def test_workers_are_restarted_in_turn_under_load_without_a_failed_attempt(
    make_hub: MakeHub, start_worker: Callable[[str], Path], tmp_path: Path
) -> None:
    hub = make_hub().start("--roles", ROLES)
    settings = settings_for(hub, f"sqlite:///{hub.data_dir / 'osler.db'}")
    start_worker(settings)
    start_worker(settings)
    count = 40
    paths = [radiograph(tmp_path / "studies", f"{number}.dcm") for number in range(count)]

    def done() -> int:
        return sum(job["state"] == "completed" for job in hub.json("queue", "list"))

    for number in range(2):
        send(paths[number * 20 : number * 20 + 20], address=("127.0.0.1", hub.dimse_port))
        eventually(lambda number=number: done() > number * 20, f"work goes on\n{hub.log}")
        start_worker.stop(number)  # type: ignore[attr-defined]
        start_worker(settings)
    eventually(lambda: done() == count, f"all is done\n{hub.log}")
    jobs = hub.json("queue", "list")
    assert {(job["state"], job["attempts"]) for job in jobs} == {("completed", 1)}
    assert len(hub.json("audit", "search", "--event", "inference-recorded", "--limit", "1000")) == count
    workers = eventually(
        lambda: (w := hub.json("workers", "list")) and [one["models"] for one in w] == ["fake@1.0.0"] * 2 and w,
        "two workers are on the list, each with its model",
    )
    assert {worker["state"] for worker in workers} <= {"idle", "busy"}
