"""A model from a registry's folder, in its sandbox: it reads its own files, and no others."""

import textwrap
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Connection

from osler.config import Config, load
from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, Priority, Role
from osler.errors import ConfigError, Conflict, IntegrityError, OslerError, PluginError
from osler.hub.cards import greet, start_of
from osler.hub.registering import register
from osler.hub.serving import Serving
from osler.queue.embedded import EmbeddedQueue
from osler.registry.opening import open_registry
from osler.storage import Database
from osler.storage.model_roles import set_role
from osler.testing.models import install, write_artefact

CURIOUS = """
    from pathlib import Path

    from osler.errors import PluginError
    from osler.testing.models import FakeModel


    class Curious(FakeModel):
        @classmethod
        def from_folder(cls, folder: Path) -> FakeModel:
            for path, mode in ((folder.parents[2] / "secret.txt", "r"), (folder / "more.txt", "w"),
                               (folder / "card.yaml", "a")):
                try:
                    path.open(mode).close()
                except OSError:
                    continue
                raise PluginError(f"it could open {path.name}")
            return super().from_folder(folder)
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folder = install(
        tmp_path / "plugins", {"curious": "curious:Curious", "fake": "osler.testing.models:fake", "plain": "plain:make"}
    )
    (folder / "curious.py").write_text(textwrap.dedent(CURIOUS), encoding="utf-8")
    (folder / "plain.py").write_text("def make():\n    return object()\n", encoding="utf-8")
    given = {"models.folders": [str(folder)], "registry.allow_unsigned": True}
    made = load({}, data_dir=tmp_path / "data", given=given)
    made.data_dir.mkdir()
    (made.data_dir / "secret.txt").write_text("a secret of the hub")
    return made


def test_it_reads_its_folder_and_neither_changes_it_nor_reads_beside_it(config: Config, tmp_path: Path) -> None:
    register(config, write_artefact(tmp_path / "model"), runtime="curious")
    start = start_of(config, "fake@2.0.0")
    assert start.artefact is not None
    assert start.artefact.folder.parents[2] == config.data_dir
    hello = greet(start)
    assert (hello.card.version, hello.sandbox.missing) == ("2.0.0", ())


def test_a_plugin_that_takes_no_folder_is_told_when_it_is_registered(config: Config, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no from_folder"):
        register(config, write_artefact(tmp_path / "model"), runtime="plain")
    with pytest.raises(OslerError, match="there is no model 'missing'"):
        register(config, write_artefact(tmp_path / "other"), runtime="missing")
    assert list(open_registry(config).names()) == []


def test_needs_that_no_worker_knows_are_told_when_it_is_registered(config: Config, tmp_path: Path) -> None:
    card = write_artefact(tmp_path / "model") / "card.yaml"
    card.write_text(yaml.safe_dump({**yaml.safe_load(card.read_text()), "needs": {"gpu": 1}}), encoding="utf-8")
    with pytest.raises(ConfigError, match="the needs of fake"):
        register(config, card.parent)
    assert list(open_registry(config).names()) == []


def test_the_version_of_an_installed_package_is_not_registered_once_more(config: Config, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="installed as a package"):
        register(config, write_artefact(tmp_path / "model", version="1.0.0"))


def test_what_was_changed_in_the_cache_does_not_start(config: Config, tmp_path: Path) -> None:
    register(config, write_artefact(tmp_path / "model"))
    start = start_of(config, "fake@2.0.0")
    assert start.artefact is not None
    (start.artefact.folder / "weights" / "gain.txt").write_text("2.0\n")
    with pytest.raises(IntegrityError):
        start_of(config, "fake@2.0.0")
    with pytest.raises(IntegrityError):  # nor when it is changed after the hub has looked
        greet(start)


def test_a_former_champion_is_served_until_no_job_waits_for_it(
    config: Config, database: Database, tmp_path: Path
) -> None:
    config = load({}, data_dir=config.data_dir, given={**config.values, "models.enabled": ["fake"]})
    serving = Serving(config, database)
    assert (serving.lineup.champions, [s.model for s in serving.starts]) == (("fake@1.0.0",), ["fake@1.0.0"])
    instance = DeidentifiedInstance("1.2.3", "1.2", "1.2.840.10008.5.1.4.1.1.1", "blob")
    study = Deidentified("2.25.1", 1, (instance,), AgeBand.CHILD, Priority.HIGH)
    queue = EmbeddedQueue(database)
    database.write(lambda c: queue.put(c, study, "fake@1.0.0"))
    register(config, write_artefact(tmp_path / "model"))
    open_registry(config).set_alias("fake", "champion", "2.0.0")
    assert serving.look()
    assert serving.lineup.champions == ("fake@2.0.0",)
    assert [s.model for s in serving.starts] == ["fake@2.0.0", "fake@1.0.0"]
    (job,) = queue.claim("worker", models=["fake@1.0.0"], limit=1)
    assert not serving.look(), "what is in work is not taken away"
    assert database.write(lambda c: queue.complete(c, job))
    assert serving.look()
    assert [s.model for s in serving.starts] == ["fake@2.0.0"]
    anew = Serving(config, database)
    assert (anew.lineup, anew.starts) == (serving.lineup, serving.starts)


def test_a_shadow_waits_behind_work_that_somebody_waits_for(database: Database) -> None:
    instance = DeidentifiedInstance("1.2.3", "1.2", "1.2.840.10008.5.1.4.1.1.1", "blob")
    study = Deidentified("2.25.1", 1, (instance,), AgeBand.CHILD, Priority.HIGH)
    queue = EmbeddedQueue(database)

    def put(connection: Connection) -> None:
        for model, role in (("fake@2.0.0", Role.SHADOW), ("fake@1.0.0", Role.CHAMPION)):
            queue.put(connection, study, model)
            set_role(connection, study, model, role)

    database.write(put)
    models = ["fake@1.0.0", "fake@2.0.0"]
    order = [job.model for _ in models for job in queue.claim("worker", models=models, limit=1)]
    assert order == models
