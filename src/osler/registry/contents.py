"""What a file of a model really is, by its content: anything that unpickling would run is refused."""

import hashlib
import io
import pickletools
import zipfile
from pathlib import Path
from typing import IO, Final

import numpy as np

from osler.errors import UnsupportedKind

_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd")
_ZLIB: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_TAR: Final = slice(257, 262)
_CALLS: Final = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "EXT1", "EXT2"})
_READ_AHEAD: Final = 2**20


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_code(path: Path) -> None:
    """Refuse a file that holds a pickle, whatever it is called.

    Raises
    ------
    UnsupportedKind
        If it is a pickle (also a compressed one, or PyTorch's or joblib's), an archive other than ``.npz``, or an
        array of objects.
    """
    with path.open("rb") as stream:
        start = stream.read(_READ_AHEAD)
    if path.suffix == ".safetensors" and start[8:9] == b"{":  # its first eight bytes are a length, and may be any
        return
    if start.startswith(_ZIP) or path.suffix == ".npz":
        _refuse_archive(path)
    elif start.startswith(b"\x93NUMPY"):
        with path.open("rb") as stream:
            _refuse_objects(stream, path.name)
    elif start.startswith((*_COMPRESSED, *_ZLIB)) or start[_TAR] == b"ustar":
        raise UnsupportedKind(f"{path.name!r} is compressed or an archive: what it holds cannot be told")
    elif path.suffix == ".npy":
        raise UnsupportedKind(f"{path.name!r} is no NumPy array")
    elif _is_pickle(start):
        raise UnsupportedKind(f"{path.name!r} is a pickle: reading it would run code")


def _refuse_archive(path: Path) -> None:
    if path.suffix != ".npz":
        raise UnsupportedKind(f"{path.name!r} is an archive: PyTorch's hold pickles")
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if not name.endswith(".npy"):
                    raise UnsupportedKind(f"{path.name!r} holds other than arrays")
                with archive.open(name) as stream:
                    _refuse_objects(stream, path.name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise UnsupportedKind(f"{path.name!r} is no archive of arrays") from None


def _refuse_objects(stream: IO[bytes], name: str) -> None:
    try:
        major, _ = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        _, _, kind = read(stream)
    except ValueError:
        raise UnsupportedKind(f"{name!r} holds an array that cannot be read") from None
    if kind.hasobject:
        raise UnsupportedKind(f"{name!r} holds an array of objects, which are pickles")


def _is_pickle(start: bytes) -> bool:
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:  # what every protocol from 2 on begins with
        return True
    try:  # protocols 0 and 1 have no mark; what calls nothing does no harm
        return bool(_CALLS & {code.name for code, _, _ in pickletools.genops(io.BytesIO(start))})
    except ValueError:
        return False
