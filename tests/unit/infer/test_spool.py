"""The spool: what is read back from a process that is not trusted, and what is left behind."""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osler.errors import ContractViolation
from osler.infer.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


def png(rows: int = 4, columns: int = 3, mode: str = "L", kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    pixels = np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns)
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_only_its_owner_may_look_into_it(spool):
    for folder in (spool.path, spool.inbox, spool.outbox, spool.study_folder("job")):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_job_id_makes_no_path(spool):
    folder = spool.study_folder("../../etc/passwd")
    assert folder.parent == spool.inbox


def test_a_heatmap_is_read_back(spool):
    content = png()
    (spool.outbox / "map.png").write_bytes(content)
    assert spool.heatmaps({key(content): "map.png"}) == {key(content): content}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "8-bit greyscale PNG"),
        (b"GIF89a", "8-bit greyscale PNG"),
        (png(kind="BMP"), "8-bit greyscale PNG"),
        (png(mode="RGB"), "8-bit greyscale PNG"),
        (png(mode="1"), "8-bit greyscale PNG"),
        (png(rows=4097, columns=1), "8-bit greyscale PNG"),
        (png()[:16] + (2**31 - 1).to_bytes(4, "big") + png()[20:], "8-bit greyscale PNG"),
        (png()[:16] + bytes(4) + png()[20:], "8-bit greyscale PNG"),
    ],
    ids=["empty", "not an image", "another format", "colour", "1 bit", "too tall", "claims too much", "no columns"],
)
def test_a_file_that_is_no_heatmap_is_refused(spool, content, words):
    (spool.outbox / "map.png").write_bytes(content)
    with pytest.raises(ContractViolation, match=words):
        spool.heatmaps({key(content): "map.png"})


def test_a_heatmap_under_a_false_hash_is_refused(spool):
    (spool.outbox / "map.png").write_bytes(png())
    with pytest.raises(ContractViolation, match="hash"):
        spool.heatmaps({"0" * 64: "map.png"})


def test_a_file_that_is_too_large_is_not_read(spool):
    with (spool.outbox / "map.png").open("wb") as stream:
        stream.write(png())
        stream.truncate(2**30)
    with pytest.raises(ContractViolation, match="bounded size"):
        spool.heatmaps({"0" * 64: "map.png"})


@pytest.mark.parametrize("kind", ["nothing", "folder", "fifo", "link"])
def test_only_a_plain_file_is_read(spool, tmp_path, kind):
    content, path = png(), spool.outbox / "map.png"
    (tmp_path / "outside.png").write_bytes(content)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "outside.png")
    with pytest.raises(ContractViolation):
        spool.heatmaps({key(content): "map.png"})


@pytest.mark.parametrize("name", ["../in/secret", "/etc/passwd", "a/b", "nul\0", "..", ".", "", "\ud800", "x" * 5000])
def test_a_name_leads_nowhere_else(spool, name):
    (spool.inbox / "secret").write_bytes(png())
    with pytest.raises(ContractViolation):
        spool.heatmaps({key(png()): name})


def test_a_spool_is_cleared_and_keeps_its_folders(spool, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    folders = [spool.inbox.stat().st_ino, spool.outbox.stat().st_ino]
    (spool.study_folder("job") / "0.dcm").touch()
    (spool.outbox / "deep" / "er").mkdir(parents=True)
    (spool.outbox / "link").symlink_to(outside)
    spool.clear()
    assert [path for path in spool.path.rglob("*") if not path.is_dir()] == []
    assert list(spool.outbox.iterdir()) == []
    assert [spool.inbox.stat().st_ino, spool.outbox.stat().st_ino] == folders
    assert (outside / "file").exists()


@pytest.mark.parametrize(("files", "size", "overflows"), [(3, 100, False), (1001, 0, True), (6, 200 * 2**20, True)])
def test_what_a_process_writes_is_watched(spool, files, size, overflows):
    (spool.outbox / "deep").mkdir()
    for number in range(files):
        with (spool.outbox / "deep" / str(number)).open("wb") as stream:
            stream.truncate(size)
    assert spool.overflows() is overflows


def test_spools_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path):
    root = tmp_path / "spool"
    living = Spool(root)
    (root / "spool-dead" / "in" / "job").mkdir(parents=True)
    (root / "spool-dead" / "in" / "job" / "0.dcm").touch()
    (root / "note").touch()
    other = Spool(root)
    assert sorted(root.iterdir()) == sorted([living.path, other.path, root / "note"])
    living.close()
    other.close()
    assert list(root.iterdir()) == [root / "note"]
