"""Master key, data keys, sealed values."""

import base64
from pathlib import Path

import pytest
from sqlalchemy import select, update

from osler.errors import ConfigError, IntegrityError
from osler.storage import Database
from osler.storage.tables import data_key
from osler.vault import KeyRing, create_master_key, read_master_key

MASTER = bytes(range(32))
OTHER_MASTER = bytes(range(1, 33))


def test_a_master_key_comes_from_its_file(tmp_path: Path) -> None:
    create_master_key(tmp_path / "master.key")
    key = read_master_key(tmp_path / "master.key", None)
    assert len(key) == 32
    assert base64.b64decode((tmp_path / "master.key").read_bytes()) == key
    with pytest.raises(ConfigError):
        create_master_key(tmp_path / "master.key")


def test_the_environments_master_key_comes_first(tmp_path: Path) -> None:
    create_master_key(tmp_path / "master.key")
    assert read_master_key(tmp_path / "master.key", base64.b64encode(MASTER).decode()) == MASTER


@pytest.mark.parametrize("value", ["x", "not base64!", base64.b64encode(bytes(31)).decode()])
def test_a_wrong_master_key_is_refused_without_being_shown(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="OSLER_MASTER_KEY must hold 32 bytes") as refused:
        read_master_key(tmp_path / "master.key", value)
    assert value not in str(refused.value).replace("OSLER_MASTER_KEY", "") or len(value) == 1
    with pytest.raises(ConfigError, match="32 bytes"):
        KeyRing.open(Database("sqlite://"), master_key=bytes(31), tenant="default")


def test_keys_are_the_same_when_opened_again(database: Database, keyring: KeyRing) -> None:
    sealed = keyring.sealer("blob").seal(b"text", b"ref")
    again = KeyRing.open(database, master_key=MASTER, tenant="default")
    assert again.sealer("blob").open(sealed, b"ref") == b"text"
    assert again.index("mrn", "1") == keyring.index("mrn", "1")


def test_another_master_key_opens_nothing(database: Database, keyring: KeyRing) -> None:
    for tenant in ("default", "new tenant"):
        with pytest.raises(ConfigError, match="master key"):
            KeyRing.open(database, master_key=OTHER_MASTER, tenant=tenant)


def test_a_wrapped_key_that_was_moved_or_changed_is_refused(database: Database, keyring: KeyRing) -> None:
    with database.read() as connection:
        rows = {row.purpose: row for row in connection.execute(select(data_key))}
    for wrapped in (rows["vault"].wrapped, rows["blob"].wrapped[:-1], b""):
        database.write(
            lambda c, w=wrapped: c.execute(update(data_key).where(data_key.c.id == rows["blob"].id).values(wrapped=w))
        )
        with pytest.raises(ConfigError):
            KeyRing.open(database, master_key=MASTER, tenant="default")


@pytest.mark.parametrize("change", ["purpose", "tenant", "aad"])
def test_a_sealed_value_is_bound_to_its_place(database: Database, keyring: KeyRing, change: str) -> None:
    sealed = keyring.sealer("blob").seal(b"text", b"place")
    assert keyring.sealer("blob").open(sealed, b"place") == b"text"
    other = KeyRing.open(database, master_key=MASTER, tenant="other") if change == "tenant" else keyring
    sealer = other.sealer("vault" if change == "purpose" else "blob")
    with pytest.raises(IntegrityError):
        sealer.open(sealed, b"another place" if change == "aad" else b"place")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(36), b"\x02" + bytes(60), bytes(100)])
def test_what_was_never_sealed_does_not_open(keyring: KeyRing, sealed: bytes) -> None:
    with pytest.raises(IntegrityError):
        keyring.sealer("blob").open(sealed, b"")


def test_sealing_twice_shows_nothing_alike(keyring: KeyRing) -> None:
    sealer = keyring.sealer("record")
    first, second = sealer.seal(b"same text", b""), sealer.seal(b"same text", b"")
    assert first[9:] != second[9:]
    assert len(first) == len(b"same text") + 37


def test_after_rotation_new_values_use_the_new_key_and_old_ones_open(keyring: KeyRing) -> None:
    sealers = {purpose: keyring.sealer(purpose) for purpose in ("blob", "vault", "record")}
    before = {purpose: sealer.seal(b"old", b"") for purpose, sealer in sealers.items()}
    index = keyring.index("mrn", "1")
    keyring.rotate("vault")
    after = {purpose: sealer.seal(b"new", b"") for purpose, sealer in sealers.items()}
    assert {p: before[p][1:9] == after[p][1:9] for p in before} == {"blob": True, "vault": False, "record": True}
    keyring.rotate()
    assert all(sealer.seal(b"newer", b"")[1:9] != after[purpose][1:9] for purpose, sealer in sealers.items())
    assert all(sealer.open(before[purpose], b"") == b"old" for purpose, sealer in sealers.items())
    assert all(sealer.open(after[purpose], b"") == b"new" for purpose, sealer in sealers.items())
    assert keyring.index("mrn", "1") == index


def test_a_ring_that_is_open_learns_of_a_rotation_elsewhere(database: Database, keyring: KeyRing) -> None:
    elsewhere = KeyRing.open(database, master_key=MASTER, tenant="default")
    elsewhere.rotate()
    sealed = elsewhere.sealer("blob").seal(b"under a key not seen yet", b"")
    assert keyring.sealer("blob").open(sealed, b"") == b"under a key not seen yet"


def test_a_ring_that_is_open_seals_under_the_newest_key_in_time(database: Database) -> None:
    ring = KeyRing.open(database, master_key=MASTER, tenant="default", refresh_s=0)
    before = ring.sealer("blob").seal(b"", b"")[1:9]
    KeyRing.open(database, master_key=MASTER, tenant="default").rotate("blob")
    assert ring.sealer("blob").seal(b"", b"")[1:9] != before


def test_a_new_master_key_takes_the_place_of_the_old(database: Database, keyring: KeyRing) -> None:
    tenant = KeyRing.open(database, master_key=MASTER, tenant="other")
    sealed, of_tenant = keyring.sealer("blob").seal(b"text", b""), tenant.sealer("blob").seal(b"theirs", b"")
    keyring.rewrap(OTHER_MASTER)
    with pytest.raises(ConfigError):
        KeyRing.open(database, master_key=MASTER, tenant="default")
    for name, value, text in (("default", sealed, b"text"), ("other", of_tenant, b"theirs")):
        assert KeyRing.open(database, master_key=OTHER_MASTER, tenant=name).sealer("blob").open(value, b"") == text
    keyring.rotate()
    assert keyring.sealer("blob").open(sealed, b"") == b"text"


def test_rings_that_are_open_go_on_after_a_new_master_key(database: Database, keyring: KeyRing) -> None:
    hub = KeyRing.open(database, master_key=MASTER, tenant="default", refresh_s=0)
    keyring.rewrap(OTHER_MASTER)
    keyring.rotate("blob")
    sealed = hub.sealer("blob").seal(b"still", b"")
    assert keyring.sealer("blob").open(sealed, b"") == b"still"
    with pytest.raises(IntegrityError, match="key that is not there"):
        hub.sealer("blob").open(keyring.sealer("blob").seal(b"newer", b""), b"")


def test_a_failed_new_master_key_changes_nothing(database: Database, keyring: KeyRing) -> None:
    with database.read() as connection:
        before = connection.execute(select(data_key.c.id, data_key.c.wrapped).order_by(data_key.c.id)).all()
    database.write(lambda c: c.execute(update(data_key).where(data_key.c.id == before[-1].id).values(wrapped=b"")))
    with pytest.raises(ConfigError):
        keyring.rewrap(OTHER_MASTER)
    with pytest.raises(ConfigError):
        keyring.rewrap(b"short")
    with database.read() as connection:
        after = connection.execute(select(data_key.c.id, data_key.c.wrapped).order_by(data_key.c.id)).all()
    assert after[:-1] == before[:-1]


def test_an_index_tells_parts_and_purposes_apart(keyring: KeyRing, database: Database) -> None:
    other = KeyRing.open(database, master_key=MASTER, tenant="other")
    indices = [
        keyring.index("a", "b", "c"),
        keyring.index("a", "bc"),
        keyring.index("a", "", "bc"),
        keyring.index("ab", "c"),
        keyring.index("abc"),
        other.index("a", "b", "c"),
    ]
    assert len(set(indices)) == len(indices)
    assert {len(index) for index in indices} == {32}
    assert keyring.index("a", "\udc80")  # undecodable bytes of a file name or header
