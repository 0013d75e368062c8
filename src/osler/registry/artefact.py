"""A model as a folder: its card, its weights, and a manifest that binds them. Data only; the code is a plugin's.

::

    card.yaml         what it is for, what was measured; see osler.plugins.Card
    weights/          the network, as ONNX, and what else it reads
    manifest.json     name, version, the plugin that opens it, the hash of each file, the networks' inputs and outputs
    manifest.sig      an Ed25519 signature of manifest.json

A folder comes from outside: it is copied file by file, and what is no plain file of a kind that we know is refused.
Nothing in it is ever unpickled.
"""

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.errors import IntegrityError, Malformed, PluginError, TooLarge, UnsupportedKind
from osler.registry.boundary import call
from osler.registry.contents import file_hash, refuse_code
from osler.registry.port import CARD, MANIFEST, SIGNATURE, WEIGHTS, Pinned, Version
from osler.registry.signing import LARGEST_SIGNATURE, Trust, sign

SUFFIXES: Final = frozenset({".onnx", ".yaml", ".json", ".txt", ".md", ".csv", ".npy", ".npz", ".safetensors"})

_FORM: Final = 1
_LARGEST_TEXT: Final = 4_000_000
_MOST_FILES: Final = 1000
_MOST_LEVELS: Final = 8
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_VERSION: Final = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}([-+][0-9A-Za-z.+-]{1,40})?")
_HASH: Final = re.compile(r"[0-9a-f]{64}")

Tensor = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Artefact:
    """A folder that holds what its manifest says.

    Parameters
    ----------
    version : Version
    runtime : str
        Entry point in ``osler.models`` that opens it.
    networks : mapping
        Of each ONNX file: its ``inputs`` and ``outputs`` with name, type and shape.
    folder : Path
    """

    version: Version
    runtime: str
    networks: Mapping[str, Mapping[str, list[Tensor]]]
    folder: Path

    @property
    def pinned(self) -> Pinned:
        """The same, as a worker gets it."""
        v = self.version
        return Pinned(v.name, v.version, v.sha256, self.runtime, self.folder)


def copy_in(source: Path, target: Path, *, max_bytes: int) -> None:
    """Copy a folder from outside, of plain files alone.

    Parameters
    ----------
    source, target : Path
        ``target`` is made.
    max_bytes : int
        Most that all files may have together.

    Raises
    ------
    UnsupportedKind
        If there is a link, a device, a file of an unknown kind, or one that holds a pickle.
    TooLarge
        If there is too much of it.
    Malformed
        If it is no folder.
    """
    target.mkdir(mode=0o700)
    left = max_bytes
    for count, (name, size) in enumerate(_walk(source)):
        left -= size
        if left < 0 or count >= _MOST_FILES:
            raise TooLarge(f"the model is larger than {max_bytes // 1_000_000} MB (registry.max_mb), or of many files")
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _copy_file(source / name, place, size)
        refuse_code(place)


def seal(folder: Path, *, runtime: str | None = None, key: Ed25519PrivateKey | None = None) -> None:
    """Write the manifest of a folder, and sign it.

    Parameters
    ----------
    folder : Path
        With ``card.yaml`` and ``weights/``.
    runtime : str, optional
        Entry point of the plugin that opens it; else the card's name.
    key : Ed25519PrivateKey, optional
        Without it the manifest is not signed.

    Raises
    ------
    Malformed
        If the card or a network cannot be read.
    """
    (folder / SIGNATURE).unlink(missing_ok=True)
    card = _card(folder)
    names = sorted(name for name, _ in _walk(folder) if name not in (MANIFEST, SIGNATURE))
    manifest = {
        "form": _FORM,
        "name": card["name"],
        "version": card["version"],
        "runtime": runtime or card["name"],
        "files": {name: file_hash(folder / name) for name in names},
        "networks": networks_of(folder),
    }
    content = json.dumps(manifest, indent=1, sort_keys=True).encode()
    (folder / MANIFEST).write_bytes(content)
    if key is not None:
        (folder / SIGNATURE).write_bytes(sign(content, key))


def check(folder: Path, trust: Trust) -> Artefact:
    """Read an artefact, and find it whole: its signature, and the hash of each file, no file more or less.

    Raises
    ------
    IntegrityError
        If a file or a signature is not what it should be.
    Malformed
        If the manifest or the card cannot be read, or they do not agree.
    """
    content = _small(folder / MANIFEST, _LARGEST_TEXT)
    signature = _small(folder / SIGNATURE, LARGEST_SIGNATURE) if (folder / SIGNATURE).exists() else None
    signed_by = trust.signer(content, signature)
    manifest = _manifest(content)
    there = {name for name, _ in _walk(folder)} - {MANIFEST, SIGNATURE}
    if there != set(manifest["files"]):
        raise IntegrityError("the model has other files than its manifest names")
    for name, wanted in manifest["files"].items():
        if file_hash(folder / name) != wanted:
            raise IntegrityError(f"{name} is not the file that the model's manifest names")
    card = _card(folder)
    if (card["name"], card["version"]) != (manifest["name"], manifest["version"]):
        raise Malformed("the card and the manifest name different models")
    if card["sha256"] not in {h for name, h in manifest["files"].items() if name.startswith(f"{WEIGHTS}/")}:
        raise IntegrityError("no file in weights/ has the hash that the card states")
    sha256 = hashlib.sha256(content).hexdigest()
    version = Version(manifest["name"], manifest["version"], sha256, signed_by)
    return Artefact(version, manifest["runtime"], manifest["networks"], folder)


def networks_of(folder: Path) -> dict[str, dict[str, list[Tensor]]]:
    """Read the inputs and outputs of each ONNX file.

    Raises
    ------
    Malformed
        If one cannot be loaded. A network is loaded from memory, so that it reaches no other file.
    """
    import onnxruntime  # a hub that only runs models has no use for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    def load(path: Path) -> Any:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    found = {}
    for path in sorted((folder / WEIGHTS).rglob("*.onnx")):
        try:
            session = call("load", partial(load, path))
        except PluginError:
            raise Malformed(f"{path.name} is no network that ONNX Runtime loads") from None
        found[path.relative_to(folder).as_posix()] = {
            "inputs": [_tensor(one) for one in session.get_inputs()],
            "outputs": [_tensor(one) for one in session.get_outputs()],
        }
    return found


def _tensor(one: Any) -> Tensor:
    return {"name": one.name, "type": one.type, "shape": [s if isinstance(s, int) else str(s) for s in one.shape]}


def _walk(folder: Path, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, int]]:
    """Yield the name and the size of each file, and refuse what is neither a plain file nor a folder."""
    if depth > _MOST_LEVELS:
        raise TooLarge("the model's folders lie too deep")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise Malformed(f"{folder} cannot be read as a folder: {error.strerror}") from None
    for entry in entries:
        name = prefix + entry.name
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(folder / entry.name, f"{name}/", depth + 1)
        elif not stat.S_ISREG(status.st_mode):
            raise UnsupportedKind(f"{name!r} is no plain file: a model has no links or devices")
        elif name != SIGNATURE and Path(name).suffix not in SUFFIXES:
            raise UnsupportedKind(f"{name!r}: a model has files of the kinds {' '.join(sorted(SUFFIXES))} alone")
        else:
            yield name, status.st_size


def _copy_file(source: Path, target: Path, size: int) -> None:
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # it may have changed since
    except OSError:
        raise UnsupportedKind(f"{source.name!r} cannot be read as a plain file") from None
    with os.fdopen(descriptor, "rb") as reading, target.open("xb") as writing:
        shutil.copyfileobj(reading, writing, 2**20)
        writing.flush()
        os.fsync(writing.fileno())
        if writing.tell() != size:
            raise Malformed(f"{source.name!r} changed while it was read")


def _small(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError:
        raise Malformed(f"the model has no {path.name} that can be read") from None
    if len(content) > most:
        raise TooLarge(f"{path.name} is too long to be one")
    return content


def _card(folder: Path) -> dict[str, str]:
    try:
        document = yaml.safe_load(_small(folder / CARD, _LARGEST_TEXT))
        card = {key: document[key] for key in ("name", "version", "sha256")}
    except (yaml.YAMLError, TypeError, KeyError, RecursionError):
        raise Malformed("card.yaml has no name, version and sha256 that can be read") from None
    _check_names(card)
    if not isinstance(card["sha256"], str) or not _HASH.fullmatch(card["sha256"]):
        raise Malformed("the card's sha256 is no hash")
    return card


def _manifest(content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
        files, networks = manifest["files"], manifest["networks"]
        runtime = manifest["runtime"]
        _check_names({"name": manifest["name"], "version": manifest["version"]})
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Malformed("manifest.json cannot be read") from None
    hashes = isinstance(files, dict) and all(isinstance(h, str) and _HASH.fullmatch(h) for h in files.values())
    if manifest.get("form") != _FORM or not hashes or not isinstance(networks, dict):
        raise Malformed("manifest.json is not of a form that is known here")
    if not isinstance(runtime, str) or not _NAME.fullmatch(runtime):
        raise Malformed("manifest.json names no plugin that opens the model")
    return dict(manifest)


def _check_names(card: Mapping[str, Any]) -> None:
    if not isinstance(card["name"], str) or not _NAME.fullmatch(card["name"]):
        raise Malformed("the model's name is not of lower-case letters, digits and hyphens")
    if not isinstance(card["version"], str) or not _VERSION.fullmatch(card["version"]):
        raise Malformed("the model's version is not of the form 1.2.3")
