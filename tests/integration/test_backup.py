"""Backups: what goes in comes out, what was changed is found, and keys stay apart."""

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from osler.audit import HUB, AuditRecord
from osler.config import Config, load
from osler.errors import AccessDenied, ConfigError, IntegrityError, StorageFull
from osler.hub.backup import Restored, back_up, check, restore
from osler.hub.backup.archive import safe_name
from osler.hub.backup.sealed_keys import open_keys, read_keys, seal_keys
from osler.hub.backup.taking import Taken, Wanted
from osler.hub.opening import create_data_dir, open_stores
from osler.storage.frames import FRAME

if TYPE_CHECKING:
    from s3_peer import S3Server

PASSPHRASE = "a passphrase for the drill"
CONTENTS = (b"", b"CANARY^PATIENT", os.urandom(2 * FRAME + 3))


def quiet(step: str, done: int, of: int) -> None:
    assert step
    assert done <= of or of == 0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder, and its backup beside it, to be copied: a new schema for each test would take a minute."""
    folder = tmp_path_factory.mktemp("backup")
    take(made(folder / "data", {}), folder / "backup")
    return folder


@pytest.fixture
def config(model: Path, tmp_path: Path) -> Config:
    """A data folder with blobs, artefacts of a model, and entries in the audit log."""
    shutil.copytree(model / "data", tmp_path / "data")
    return load({}, data_dir=tmp_path / "data")


def made(data_dir: Path, environ: dict[str, str]) -> Config:
    config = load(environ, data_dir=data_dir)
    create_data_dir(config, environ)
    with open_stores(config, environ) as stores:
        for content in CONTENTS:
            stores.identified.put(content)
            stores.deidentified.put(content)
        stores.audit.record(*[AuditRecord(event="hub-started", agent=HUB)] * 3)
        stores.audit.checkpoint()
    artefact = data_dir / "models" / "some model, v1" / "weights.onnx"
    artefact.parent.mkdir(parents=True)
    artefact.write_bytes(b"weights")
    return config


def take(config: Config, place: Path, **wanted: object) -> Taken:
    with open_stores(config, {}) as stores:
        return back_up(
            config,
            stores,
            Wanted(place=place, **wanted),  # type: ignore[arg-type]
            agent=HUB,
            environ=os.environ,
            progress=quiet,
        )


def put_back(place: Path, data_dir: Path, config: Config, environ: dict[str, str] | None = None) -> Restored:
    keys = read_keys(config.data_dir / "keys")
    return restore(place, data_dir, keys, agent=HUB, environ=environ or {}, progress=quiet)


@pytest.mark.parametrize("name", ["backup", "backup.tar"])
def test_what_goes_in_comes_out(config: Config, tmp_path: Path, name: str) -> None:
    taken = take(config, tmp_path / name)
    manifest, size = check(tmp_path / name, known=None, progress=quiet)
    assert (manifest.files, size, manifest.about.public_key) == (taken.files, taken.size, taken.public_key)

    done = put_back(tmp_path / name, tmp_path / "again", config)

    assert (done.ok, done.trusted, done.opens, done.blobs) == (True, True, True, 2 * len(CONTENTS))
    again = load({}, data_dir=tmp_path / "again")
    with open_stores(again, {}) as stores, open_stores(config, {}) as before:
        for content, ref in zip(CONTENTS, map(before.identified.put, CONTENTS), strict=True):
            assert stores.identified.get(ref) == stores.deidentified.get(ref) == content
        assert stores.audit.verify().ok
        assert [entry.event for entry in stores.audit.search(limit=2)] == ["backup-restored", "backup-started"]
        assert [entry.event for entry in before.audit.search(limit=2)] == ["backup-made", "backup-started"]
    assert (tmp_path / "again" / "models" / "some model, v1" / "weights.onnx").read_bytes() == b"weights"
    assert not [
        path
        for path in tmp_path.glob("**/*")
        if path.is_file() and path.stat().st_mode & 0o077 and path.is_relative_to(tmp_path / "again")
    ]


def test_a_backup_shows_no_identity_and_holds_no_key(config: Config, tmp_path: Path) -> None:
    take(config, tmp_path / "backup")
    keys = read_keys(config.data_dir / "keys").values()
    for path in (tmp_path / "backup").rglob("*"):
        if path.is_file() and "deidentified" not in path.relative_to(tmp_path / "backup").parts:
            content = path.read_bytes()
            assert b"CANARY" not in content
            assert not [key for key in keys if key in content]
            assert path.stat().st_mode & 0o077 == 0


VICTIMS = ["database.sqlite3", "checkpoints.jsonl", "osler.toml", "manifest.jsonl", "manifest.sig", "models", "blobs"]


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "gone"])
def test_what_was_changed_is_found_and_nothing_serves_it(
    config: Config, model: Path, tmp_path: Path, victim: str, damage: str
) -> None:
    place = tmp_path / "backup"
    shutil.copytree(model / "backup", place)
    path = place / victim
    if path.is_dir():
        path = max((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes((content[middle] ^ 1,)) + content[middle + 1 :]
        path.write_bytes({"flipped": flipped, "cut": content[:-1], "longer": content + b"\n"}[damage])
    with pytest.raises((IntegrityError, ConfigError)):
        check(place, known=None, progress=quiet)
    with pytest.raises((IntegrityError, ConfigError)):
        put_back(place, tmp_path / "again", config)
    assert not list((tmp_path / "again").glob("keys/*"))


def test_a_tar_that_was_cut_off_is_refused(config: Config, tmp_path: Path) -> None:
    place = tmp_path / "backup.tar"
    take(config, place)
    content = place.read_bytes()
    for length in (0, 700, len(content) // 3, len(content) - 12_000):
        place.write_bytes(content[:length])
        with pytest.raises((IntegrityError, ConfigError)):
            put_back(place, tmp_path / f"again{length}", config)


def test_another_hubs_backup_is_refused(config: Config, tmp_path: Path) -> None:
    other = made(tmp_path / "other", {})
    take(other, tmp_path / "backup")
    with pytest.raises(IntegrityError, match="another hub"):
        put_back(tmp_path / "backup", tmp_path / "again", config)


def test_without_keys_it_is_put_back_and_says_what_is_lacking(config: Config, tmp_path: Path) -> None:
    take(config, tmp_path / "backup")
    done = restore(tmp_path / "backup", tmp_path / "again", {}, agent=HUB, environ={}, progress=quiet)
    assert (done.ok, done.trusted, done.opens) == (True, False, False)
    assert "keys" in done.words


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../b", "a//b", "a/.", "", "a\0b", "a\\b", "a\nb"])
def test_no_name_leads_out_of_an_archive(name: str) -> None:
    with pytest.raises(IntegrityError):
        safe_name(name)


def test_a_link_in_a_backup_is_not_followed(config: Config, tmp_path: Path) -> None:
    place = tmp_path / "backup.tar"
    take(config, place)
    with tarfile.open(place) as tar, tarfile.open(tmp_path / "evil.tar", "w") as evil:
        for member in tar.getmembers():
            if member.name == "osler.toml":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
                evil.addfile(member)
            else:
                evil.addfile(member, tar.extractfile(member))
    with pytest.raises(IntegrityError):
        put_back(tmp_path / "evil.tar", tmp_path / "again", config)


@pytest.mark.parametrize(
    ("place", "keys"), [("data/backup", None), ("backup", "backup/keys"), ("backup", "data/keys.sealed")]
)
def test_places_that_would_be_lost_together_are_refused(
    config: Config, tmp_path: Path, place: str, keys: str | None
) -> None:
    where = tmp_path / keys if keys else None
    with pytest.raises(ConfigError, match="another place"):
        take(config, tmp_path / place, keys=where, passphrase=PASSPHRASE)


def test_nothing_is_overwritten(config: Config, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    with pytest.raises(ConfigError, match="never overwritten"):
        take(config, tmp_path / "backup")
    take(config, tmp_path / "good")
    with pytest.raises(ConfigError, match="in use"):
        put_back(tmp_path / "good", config.data_dir, config)


def test_a_backup_that_fails_leaves_nothing_and_is_on_record(config: Config, tmp_path: Path) -> None:
    full = Path("/dev/full")
    with open_stores(config, {}) as stores:
        with pytest.raises((StorageFull, ConfigError)):
            back_up(config, stores, Wanted(place=full), agent=HUB, environ=os.environ, progress=quiet)
        with pytest.raises(ConfigError):
            back_up(
                config,
                stores,
                Wanted(place=tmp_path / "backup", keys=tmp_path / "no" / "keys", passphrase=PASSPHRASE),
                agent=HUB,
                environ=os.environ,
                progress=quiet,
            )
        assert not (tmp_path / "backup").exists()
        (last, *_) = stores.audit.search(limit=1)
        assert (last.event, last.outcome) == ("backup-made", 8)


def test_keys_open_with_their_passphrase_alone(tmp_path: Path) -> None:
    files = {"master.key": b"0123", "audit.key": b"4567"}
    path = tmp_path / "keys"
    seal_keys(path, files, PASSPHRASE)
    assert open_keys(path, PASSPHRASE) == files
    with pytest.raises(AccessDenied):
        open_keys(path, PASSPHRASE + " ")
    content = path.read_bytes()
    for changed in (
        content.replace(b'"lanes": 4', b'"lanes": 2'),
        content.replace(b'"memory_kib": 65536', b'"memory_kib": 32768'),
    ):
        assert changed != content
        path.write_bytes(changed)
        with pytest.raises(AccessDenied):
            open_keys(path, PASSPHRASE)
    path.write_bytes(content.replace(b"65536", b"99999999"))
    with pytest.raises(ConfigError):  # it would take all the memory
        open_keys(path, PASSPHRASE)
    with pytest.raises(ConfigError, match="12"):
        seal_keys(tmp_path / "short", files, "short")


def test_blobs_come_from_a_bucket_and_go_into_one(s3_server: "S3Server", tmp_path: Path) -> None:
    environ = {
        "OSLER_STORAGE_BLOBS": f"s3://osler/{tmp_path.name}-here",
        "OSLER_STORAGE_S3_ENDPOINT": s3_server.endpoint,
        "OSLER_STORAGE_S3_KEY_ID": "AKOSLERTEST",
        "OSLER_STORAGE_S3_SECRET": "a secret of the tests alone",
    }
    config = made(tmp_path / "data", environ)
    take(config, tmp_path / "backup")
    elsewhere = {**environ, "OSLER_STORAGE_BLOBS": f"s3://osler/{tmp_path.name}-there"}
    in_folder = put_back(tmp_path / "backup", tmp_path / "folder", config)
    in_bucket = put_back(tmp_path / "backup", tmp_path / "bucket", config, elsewhere)
    assert in_folder.blobs == in_bucket.blobs == 2 * len(CONTENTS)
    for folder, given in ((tmp_path / "folder", {}), (tmp_path / "bucket", elsewhere)):
        with open_stores(load(given, data_dir=folder), given) as stores:
            assert {stores.identified.get(ref) for ref in stores.identified.refs()} == set(CONTENTS)


def test_a_progress_is_told(config: Config, tmp_path: Path) -> None:
    steps: list[str] = []
    record: Callable[[str, int, int], None] = lambda step, done, of: steps.append(step)  # noqa: E731
    with open_stores(config, {}) as stores:
        back_up(config, stores, Wanted(place=tmp_path / "backup"), agent=HUB, environ=os.environ, progress=record)
    assert {"copying the database", "copying identified blobs", "copying deidentified blobs"} <= set(steps)
