"""What is taken for a model, and what is refused, whatever it is called."""

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import osler.models.cxr
from osler.errors import ConfigError, IntegrityError, Malformed, OslerError, TooLarge, UnsupportedKind
from osler.registry.artefact import check, copy_in, seal
from osler.registry.contents import file_hash
from osler.registry.signing import Trust, create_key, public_text, read_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TRUST = Trust((public_text(KEY.public_key()),))
LARGE = 10**8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a card and weights that are no network."""
    made = tmp_path / "model"
    (made / "weights").mkdir(parents=True)
    np.save(made / "weights" / "table.npy", np.arange(4.0))
    sha256 = file_hash(made / "weights" / "table.npy")
    (made / "card.yaml").write_text(f"name: toy\nversion: 1.0.0\nsha256: {sha256}\n", encoding="utf-8")
    return made


@pytest.fixture
def sealed(folder: Path) -> Path:
    seal(folder, key=KEY)
    return folder


def test_a_sealed_folder_is_whole_and_names_its_signer(sealed: Path) -> None:
    artefact = check(sealed, TRUST)
    assert (artefact.version.name, artefact.version.version, artefact.runtime) == ("toy", "1.0.0", "toy")
    assert artefact.version.signed_by == TRUST.keys[0]
    assert artefact.version.sha256 == file_hash(sealed / "manifest.json")


def test_the_inputs_and_outputs_of_a_network_are_in_the_manifest(tmp_path: Path) -> None:
    source, folder = Path(osler.models.cxr.__file__).parent, tmp_path / "model"
    folder.mkdir()
    shutil.copy(source / "card.yaml", folder)
    shutil.copytree(source / "weights", folder / "weights")
    seal(folder, key=KEY)
    (network,) = check(folder, TRUST).networks.values()
    assert [(t["name"], t["type"]) for t in network["inputs"]] == [("image", "tensor(float)")]
    assert [t["name"] for t in network["outputs"]] == ["probability", "activation", "ood_score"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: flip(f / "weights" / "table.npy"),
        lambda f: flip(f / "card.yaml"),
        lambda f: (f / "weights" / "more.txt").write_text("more"),
        lambda f: (f / "weights" / "table.npy").unlink(),
        lambda f: (f / "manifest.sig").unlink(),
        lambda f: (f / "manifest.sig").write_text("{}"),
        lambda f: (f / "manifest.json").write_text((f / "manifest.json").read_text().replace("toy", "tox", 1)),
        lambda f: seal(f, key=Ed25519PrivateKey.generate()),
        lambda f: seal(f),
    ],
    ids=["weights", "card", "more", "less", "no signature", "empty", "manifest", "another key", "sealed unsigned"],
)
def test_whatever_is_changed_after_sealing_is_refused(sealed: Path, change: Callable[[Path], object]) -> None:
    change(sealed)
    with pytest.raises((IntegrityError, Malformed)):
        check(sealed, TRUST)


def test_unsigned_is_taken_where_that_is_allowed_but_a_wrong_signature_never_is(sealed: Path) -> None:
    lax = Trust((), allow_unsigned=True)
    with pytest.raises(IntegrityError, match="not among"):
        check(sealed, lax)
    seal(sealed)
    assert check(sealed, lax).version.signed_by == ""


def test_a_signature_moved_to_another_manifest_does_not_hold(sealed: Path) -> None:
    signature = (sealed / "manifest.sig").read_bytes()
    seal(sealed, runtime="other", key=KEY)
    (sealed / "manifest.sig").write_bytes(signature)
    with pytest.raises(IntegrityError, match="does not hold"):
        check(sealed, TRUST)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/never",)


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def array_file(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


PICKLE = pickle.dumps(Bomb())
BAD = {
    "a.pt": PICKLE,
    "a.pkl": PICKLE,
    "a.joblib": b"plain",
    "a.py": b"import os",
    "named.onnx": PICKLE,
    "named.txt": pickle.dumps(Bomb(), protocol=0),
    "old.json": pickle.dumps(Bomb(), protocol=1),
    "torch.onnx": zipped("archive/data.pkl", PICKLE),
    "zip.npz": zipped("data.pkl", PICKLE),
    "objects.npz": zipped("x.npy", array_file(np.array([{}], dtype=object))),
    "objects.npy": array_file(np.array([{}], dtype=object)),
    "broken.npz": b"PK\x03\x04 no archive",
    "no.npy": b"words",
    "packed.txt": b"\x1f\x8b\x08\0" + b"\0" * 20,
    "deflated.txt": b"\x78\x9c" + b"\0" * 20,
}


@pytest.mark.parametrize(("name", "content"), BAD.items(), ids=BAD)
def test_what_unpickling_or_importing_would_run_is_refused(
    folder: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    (folder / "weights" / name).write_bytes(content)
    with pytest.raises(UnsupportedKind) as refused:
        copy_in(folder, tmp_path / "copy", max_bytes=LARGE)
    assert name in str(refused.value)


def test_plain_words_and_arrays_are_no_pickles(folder: Path, tmp_path: Path) -> None:
    (folder / "README.md").write_text("card: x\nmore words\n", encoding="utf-8")
    np.savez(folder / "weights" / "more.npz", a=np.zeros(3))
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "weights" / "a.safetensors").write_bytes((0x0280).to_bytes(8, "little") + header)
    copy_in(folder, tmp_path / "copy", max_bytes=LARGE)
    assert (tmp_path / "copy" / "weights" / "more.npz").is_file()


def link_file(folder: Path) -> None:
    (folder / "weights" / "out.txt").symlink_to("/etc/passwd")


def link_folder(folder: Path) -> None:
    (folder / "more").symlink_to("/etc")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "weights" / "pipe.txt")


@pytest.mark.parametrize("make", [link_file, link_folder, pipe])
def test_what_is_no_plain_file_is_refused(folder: Path, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(folder)
    with pytest.raises(UnsupportedKind, match="no plain file"):
        copy_in(folder, tmp_path / "copy", max_bytes=LARGE)


def test_what_is_too_large_or_too_deep_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        copy_in(folder, tmp_path / "one", max_bytes=100)
    deep = folder.joinpath(*["d"] * 12)
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("x")
    with pytest.raises(TooLarge):
        copy_in(folder, tmp_path / "two", max_bytes=LARGE)


@pytest.mark.parametrize(
    "entry", ["../../etc/passwd", "/etc/passwd", "weights/../card.yaml", "weights\\table.npy", "weights/none.npy"]
)
def test_a_manifest_reaches_no_file_outside(sealed: Path, entry: str) -> None:
    manifest = json.loads((sealed / "manifest.json").read_text())
    manifest["files"][entry] = "0" * 64
    (sealed / "manifest.json").write_text(json.dumps(manifest))
    (sealed / "manifest.sig").unlink()
    with pytest.raises(IntegrityError, match="other files"):
        check(sealed, Trust((), allow_unsigned=True))


@pytest.mark.parametrize("card", ["name: ../up", "name: a/b", "name: UPPER", "version: ..", "version: 1", "sha256: 12"])
def test_a_card_with_a_name_that_is_no_name_is_refused(folder: Path, card: str) -> None:
    key = card.partition(":")[0]
    lines = [line for line in (folder / "card.yaml").read_text().splitlines() if not line.startswith(key)]
    (folder / "card.yaml").write_text("\n".join([*lines, card]), encoding="utf-8")
    with pytest.raises(Malformed):
        seal(folder)


def test_weights_that_the_card_does_not_name_are_refused(folder: Path) -> None:
    (folder / "card.yaml").write_text(f"name: toy\nversion: 1.0.0\nsha256: {'f' * 64}\n", encoding="utf-8")
    seal(folder, key=KEY)
    with pytest.raises(IntegrityError, match="card states"):
        check(folder, TRUST)


def test_no_network_is_refused_with_a_reason(folder: Path) -> None:
    (folder / "weights" / "net.onnx").write_bytes(b"\x08\x07 not a network")
    with pytest.raises(Malformed, match=r"net\.onnx is no network"):
        seal(folder)


def test_a_key_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    text = create_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert public_text(read_key(tmp_path / "key").public_key()) == text
    with pytest.raises(ConfigError):
        create_key(tmp_path / "key")
    (tmp_path / "rsa").write_text("no key")
    (tmp_path / "rsa").chmod(0o600)
    with pytest.raises(ConfigError, match="no Ed25519"):
        read_key(tmp_path / "rsa")


@pytest.mark.parametrize("key", ["", "ed25519:", "ed25519:AAAA", "rsa:AAAA", "ed25519:***"])
def test_a_trusted_key_that_is_none_stops_the_start(key: str) -> None:
    with pytest.raises(ConfigError):
        Trust((key,))


def test_no_error_is_of_a_library(folder: Path) -> None:
    (folder / "card.yaml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(OslerError):
        seal(folder)
