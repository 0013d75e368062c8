"""Blobs in a folder: durable, idempotent, sealed, checked."""

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from osler.errors import IntegrityError, NotFound, StorageBusy, StorageFull
from osler.storage.blobs import FolderBlobs

FRAME = 4 * 1024 * 1024


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


@pytest.fixture(params=["clear", "sealed"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs", sealer=OneKey() if request.param == "sealed" else None)


@pytest.fixture
def sealed(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "sealed", sealer=OneKey())


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def frames_of(path: Path) -> list[bytes]:
    content, frames = path.read_bytes(), []
    while content:
        length = int.from_bytes(content[:4], "big")
        frames.append(content[: 4 + length])
        content = content[4 + length :]
    return frames


@pytest.mark.parametrize("size", [0, 1, 4096, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME + 17])
def test_what_goes_in_comes_out(blobs: FolderBlobs, size: int) -> None:
    content = os.urandom(size)
    ref = blobs.put(content)
    assert ref == hashlib.sha256(content).hexdigest()
    assert blobs.exists(ref)
    assert blobs.get(ref) == content


def test_the_same_content_again_is_one_file(blobs: FolderBlobs) -> None:
    first = blobs.put(b"one")
    written = blobs.path(first).stat().st_mtime_ns
    assert blobs.put(b"one") == first
    assert [blobs.path(first).stat().st_mtime_ns] == [written]
    assert len(list(files_below(blobs.root))) == 1


def test_a_sealed_file_shows_nothing_of_its_content(sealed: FolderBlobs) -> None:
    sealed.put(b"CANARY^PATIENT" * 100)
    (file,) = files_below(sealed.root)
    assert b"CANARY" not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_delete_forgets_and_may_be_repeated(blobs: FolderBlobs) -> None:
    ref = blobs.put(b"gone")
    blobs.delete(ref)
    blobs.delete(ref)
    assert not blobs.exists(ref)
    with pytest.raises(NotFound):
        blobs.get(ref)


@pytest.mark.parametrize("ref", ["", "../../etc/passwd", "a" * 63, "A" * 64, "g" * 64, "a" * 64 + "\n", "a" * 65])
def test_what_is_no_reference_reaches_no_file(blobs: FolderBlobs, ref: str) -> None:
    for ask in (blobs.get, blobs.exists, blobs.delete):
        with pytest.raises(NotFound):
            ask(ref)


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "longer", "other"])
def test_damage_is_found_and_mended_by_the_next_put(blobs: FolderBlobs, damage: str) -> None:
    content = bytes(range(256)) * 40
    ref, other = blobs.put(content), blobs.put(b"other content")
    path = blobs.path(ref)
    raw = path.read_bytes()
    damaged = {
        "flipped": raw[:100] + bytes((raw[100] ^ 1,)) + raw[101:],
        "cut": raw[:-1],
        "emptied": b"",
        "longer": raw + b"\0",
        "other": blobs.path(other).read_bytes(),
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(IntegrityError, match=ref[:12]):
        blobs.get(ref)
    blobs.put(content)
    assert blobs.get(ref) == content


@pytest.mark.parametrize(
    ("order", "why"),
    [([1, 0, 2], "swapped"), ([0, 1], "cut off"), ([0, 1, 1, 2], "doubled"), ([0, 2], "left out"), ([2], "last alone")],
)
def test_frames_hold_their_places(sealed: FolderBlobs, order: list[int], why: str) -> None:
    ref = sealed.put(os.urandom(2 * FRAME + 5))
    path = sealed.path(ref)
    frames = frames_of(path)
    assert len(frames) == 3
    path.write_bytes(b"".join(frames[i] for i in order))
    with pytest.raises(IntegrityError):
        sealed.get(ref)
    assert why


def test_a_frame_cannot_move_to_another_blob(sealed: FolderBlobs) -> None:
    first, second = sealed.put(os.urandom(100)), sealed.put(os.urandom(100))
    sealed.path(first).write_bytes(sealed.path(second).read_bytes())
    with pytest.raises(IntegrityError):
        sealed.get(first)


def test_the_watermark_refuses_before_anything_is_written(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "full", min_free_bytes=1 << 62)
    with pytest.raises(StorageFull):
        blobs.put(b"too much")
    assert list(files_below(blobs.root)) == []


def test_the_watermark_counts_what_was_taken_since_it_looked(tmp_path: Path) -> None:
    looks: list[Path] = []

    def free_bytes(folder: Path) -> int:
        looks.append(folder)
        return 1000

    blobs = FolderBlobs(tmp_path / "room", min_free_bytes=500, durable=False, free_bytes=free_bytes)
    with pytest.raises(StorageFull):
        blobs.put(bytes(501))
    blobs.put(bytes(300))
    blobs.put(bytes(300))  # there already: takes no room
    with pytest.raises(StorageFull):
        blobs.put(bytes(201))
    blobs.put(bytes(200))
    assert looks == [blobs.root]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    class Broken(OneKey):
        def seal(self, plaintext: bytes, aad: bytes) -> bytes:
            raise IntegrityError("no key")

    blobs = FolderBlobs(tmp_path / "broken", sealer=Broken())
    with pytest.raises(IntegrityError):
        blobs.put(b"content")
    assert list(files_below(blobs.root)) == []


def test_a_store_that_is_gone_is_busy_not_a_crash(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    (blobs.root / "incoming").rmdir()
    with pytest.raises(StorageBusy, match="ENOENT"):
        blobs.put(b"content")


def test_only_old_leftovers_of_killed_processes_go(tmp_path: Path) -> None:
    incoming = tmp_path / "blobs" / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "old").write_bytes(b"x")
    (incoming / "young").write_bytes(b"x")
    os.utime(incoming / "old", (0, 0))
    FolderBlobs(tmp_path / "blobs")
    assert [path.name for path in incoming.iterdir()] == ["young"]


def test_threads_that_put_the_same_content_agree(sealed: FolderBlobs) -> None:
    content, refs = os.urandom(200_000), []
    threads = [threading.Thread(target=lambda: refs.append(sealed.put(content))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(refs)) == 1
    assert len(refs) == 8
    assert sealed.get(refs[0]) == content
    assert len(list(files_below(sealed.root))) == 1


def test_a_workers_copy_is_read_only_and_apart(blobs: FolderBlobs, tmp_path: Path) -> None:
    ref, target = blobs.put(b"image"), tmp_path / "spool-1"
    blobs.link_to(ref, target)
    blobs.link_to(ref, target)  # again, after a worker was killed
    assert target.read_bytes() == b"image"
    assert stat.S_IMODE(target.stat().st_mode) == 0o400
    assert target.stat().st_ino != blobs.path(ref).stat().st_ino


def test_a_damaged_blob_gives_a_worker_nothing(blobs: FolderBlobs, tmp_path: Path) -> None:
    ref, target = blobs.put(b"image"), tmp_path / "spool-1"
    blobs.path(ref).write_bytes(b"imagf")
    with pytest.raises(IntegrityError):
        blobs.link_to(ref, target)
    assert not target.exists()
    with pytest.raises(NotFound):
        blobs.link_to("0" * 64, target)
    assert not target.exists()
