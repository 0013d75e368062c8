"""One contract for every store of blobs: a folder, and a bucket of a real S3 server; sealed, and in clear."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from osler.config import load
from osler.errors import ConfigError, IntegrityError, NotFound, StorageBusy
from osler.storage.blob_port import Blobs
from osler.storage.blobs import FolderBlobs
from osler.storage.frames import FRAME
from osler.storage.opening import open_blobs
from osler.storage.s3_blobs import S3Blobs

if TYPE_CHECKING:
    from s3_peer import S3Server


class OneKey:
    """A sealer with one key."""

    def __init__(self) -> None:
        self.cipher = AESGCM(bytes(32))

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self.cipher.encrypt(nonce, plaintext, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        try:
            return self.cipher.decrypt(sealed[:12], sealed[12:], aad)
        except (InvalidTag, ValueError):
            raise IntegrityError("changed") from None


@pytest.fixture(params=["folder", "s3"])
def make_blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Blobs]:
    """Return a function that opens a store; with the same sealer it is the same store."""
    if request.param == "folder":
        return lambda sealer=None: FolderBlobs(tmp_path / "blobs", sealer=sealer)
    server: S3Server = request.getfixturevalue("s3_server")
    return lambda sealer=None: server.bucket(tmp_path.name, sealer=sealer)


@pytest.fixture(params=["clear", "sealed"])
def blobs(request: pytest.FixtureRequest, make_blobs: Callable[..., Blobs]) -> Blobs:
    return make_blobs(OneKey() if request.param == "sealed" else None)


def as_kept(blobs: Blobs, ref: str) -> bytes:
    kept = blobs.kept(ref)
    content = b"".join(kept.chunks)
    assert len(content) == kept.size
    return content


@pytest.mark.parametrize("size", [0, 1, 4096, FRAME, FRAME + 1, 5 * FRAME + 17])
def test_what_goes_in_comes_out(blobs: Blobs, size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    staged = blobs.stage(content)
    staged.settle()
    assert staged.ref == blobs.put(content) == hashlib.sha256(content).hexdigest()
    assert blobs.exists(staged.ref)
    assert blobs.get(staged.ref) == content
    blobs.link_to(staged.ref, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o400


def test_delete_forgets_and_may_be_repeated(blobs: Blobs, tmp_path: Path) -> None:
    ref = blobs.put(b"gone")
    blobs.delete(ref)
    blobs.delete(ref)
    assert not blobs.exists(ref)
    for ask in (blobs.get, blobs.kept, lambda ref: blobs.link_to(ref, tmp_path / "copy")):
        with pytest.raises(NotFound):
            ask(ref)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("ref", ["", "../../etc/passwd", "a" * 63, "A" * 64, "g" * 64, "a" * 65])
def test_what_is_no_reference_reaches_nothing(blobs: Blobs, ref: str) -> None:
    asks: Iterable[Callable[[str], Any]] = (
        blobs.get,
        blobs.exists,
        blobs.delete,
        blobs.kept,
        lambda ref: blobs.bring_back(ref, [b"x"]),
    )
    for ask in asks:
        with pytest.raises(NotFound):
            ask(ref)


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "longer", "other"])
def test_damage_is_found_at_each_reading_and_mended_by_the_next_put(blobs: Blobs, damage: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    ref, other = blobs.put(content), blobs.put(b"other content")
    raw = as_kept(blobs, ref)
    damaged = {
        "flipped": raw[:100] + bytes((raw[100] ^ 1,)) + raw[101:],
        "cut": raw[:-1],
        "emptied": b"",
        "longer": raw + b"\0",
        "other": as_kept(blobs, other),
    }[damage]
    blobs.bring_back(ref, [damaged])
    with pytest.raises(IntegrityError, match=ref[:12]):
        blobs.get(ref)
    with pytest.raises(IntegrityError, match=ref[:12]):
        blobs.link_to(ref, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    blobs.put(content)
    assert blobs.get(ref) == content


def test_sealed_blobs_show_nothing_of_their_content(make_blobs: Callable[..., Blobs]) -> None:
    sealed = make_blobs(OneKey())
    ref = sealed.put(b"CANARY^PATIENT" * 100)
    assert b"CANARY" not in as_kept(sealed, ref)
    with pytest.raises(IntegrityError):
        make_blobs(None).get(ref)


def test_all_are_listed_and_may_be_taken_elsewhere(blobs: Blobs, tmp_path: Path) -> None:
    contents = {os.urandom(20), os.urandom(3 * FRAME), b""}
    refs = {blobs.put(content) for content in contents}
    assert set(blobs.refs()) == refs
    elsewhere = FolderBlobs(tmp_path / "elsewhere", sealer=OneKey() if as_kept(blobs, blobs.put(b"")) != b"" else None)
    for ref in refs:
        elsewhere.bring_back(ref, blobs.kept(ref).chunks)
    assert {elsewhere.get(ref) for ref in refs} == contents


def test_a_ready_store_says_so(blobs: Blobs) -> None:
    blobs.check_room()


def test_a_bucket_that_is_gone_is_busy_and_comes_back(s3_server: "S3Server") -> None:
    blobs: S3Blobs = s3_server.bucket("restart", timeout_s=3.0)
    ref = blobs.put(b"kept before")
    s3_server.kill()
    try:
        for ask in (
            lambda: blobs.put(b"meanwhile"),
            lambda: blobs.get(ref),
            blobs.check_room,
            lambda: blobs.exists(ref),
        ):
            with pytest.raises(StorageBusy):
                ask()
    finally:
        s3_server.start()
    assert blobs.get(ref) == b"kept before"
    assert blobs.get(blobs.put(b"meanwhile")) == b"meanwhile"


def test_wrong_credentials_are_said_without_the_servers_words(s3_server: "S3Server") -> None:
    blobs: S3Blobs = s3_server.bucket("denied", secret="another secret", timeout_s=3.0)
    with pytest.raises(StorageBusy, match="refused our credentials") as caught:
        blobs.put(b"content")
    assert "another secret" not in str(caught.value)


def test_the_server_is_asked_to_encrypt_as_well(s3_server: "S3Server") -> None:
    blobs: S3Blobs = s3_server.bucket("encrypted", encryption="AES256", sealer=OneKey())
    ref = blobs.put(b"content")
    assert blobs.get(ref) == b"content"


def test_the_settings_lead_to_the_bucket(s3_server: "S3Server", tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("a secret of the tests alone\n", encoding="utf-8")
    environ = {
        "OSLER_STORAGE_BLOBS": "s3://osler/configured",
        "OSLER_STORAGE_S3_ENDPOINT": s3_server.endpoint,
        "OSLER_STORAGE_S3_KEY_ID": "AKOSLERTEST",
        "OSLER_STORAGE_S3_SECRET_FILE": str(secret),
    }
    blobs = open_blobs(load(environ, data_dir=tmp_path / "data"), "identified", sealer=OneKey())
    assert isinstance(blobs, S3Blobs)
    assert blobs.get(blobs.put(b"content")) == b"content"
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="0600"):
        open_blobs(load(environ, data_dir=tmp_path / "data"), "identified")


@pytest.mark.parametrize("place", ["gs://bucket", "https://bucket", "s3://"])
def test_a_bucket_of_another_kind_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        open_blobs(load({"OSLER_STORAGE_BLOBS": place}, data_dir=tmp_path / "data"), "deidentified")
