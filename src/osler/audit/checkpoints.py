"""Signed checkpoints in a file outside the database: what tells a database that was set back.

One JSON object a line: ``{"seq": 120, "hash": "<hex>", "at": 1767225600.0, "signature": "<hex>"}``.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from osler.audit.signing import checkpoint_message, is_signed
from osler.errors import StorageBusy
from osler.storage.private_files import sync_folder

_TAIL = 4096


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The chain reached entry ``seq`` with hash ``hash`` at time ``at`` (seconds since the epoch, UTC)."""

    seq: int
    hash: bytes
    at: float
    signature: bytes

    @classmethod
    def sign(cls, key: Ed25519PrivateKey, seq: int, digest: bytes, at: float) -> "Checkpoint":
        """Make a checkpoint."""
        return cls(seq, digest, at, key.sign(checkpoint_message(seq, digest, at)))

    @classmethod
    def parse(cls, line: bytes) -> "Checkpoint":
        """Read a line.

        Raises
        ------
        ValueError
            If it is not a checkpoint.
        """
        try:
            fields = json.loads(line)
            checkpoint = cls(
                fields["seq"], bytes.fromhex(fields["hash"]), fields["at"], bytes.fromhex(fields["signature"])
            )
            checkpoint_message(checkpoint.seq, checkpoint.hash, checkpoint.at)
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
            raise ValueError("not a checkpoint") from None
        if line != checkpoint.line():
            raise ValueError("not a checkpoint in the form that we write")
        return checkpoint

    def line(self) -> bytes:
        """Return the line of the file."""
        fields = {"seq": self.seq, "hash": self.hash.hex(), "at": self.at, "signature": self.signature.hex()}
        return json.dumps(fields).encode() + b"\n"

    def holds(self, key: Ed25519PublicKey) -> bool:
        """Tell whether the signature holds."""
        return is_signed(key, self.signature, checkpoint_message(self.seq, self.hash, self.at))


class CheckpointFile:
    """The file of checkpoints. Several processes may write to it.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def last(self) -> Checkpoint | None:
        """Return the last checkpoint, None when there is none."""
        try:
            with self.path.open("rb") as file:
                return _last(file)[0]
        except FileNotFoundError:
            return None

    def append(self, checkpoint: Checkpoint) -> bool:
        """Add a checkpoint, durably; False when the file already reaches that far.

        Raises
        ------
        StorageBusy
            If the file cannot be written.
        """
        try:
            made = not self.path.exists()
            with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                last, end = _last(file)
                if last is not None and last.seq >= checkpoint.seq:
                    return False
                file.truncate(end)
                file.seek(end)
                file.write(checkpoint.line())
                file.flush()
                os.fsync(file.fileno())
            if made:
                sync_folder(self.path.parent)
        except OSError as error:
            raise StorageBusy(f"the checkpoint file cannot be written ({error.strerror})") from None
        return True

    def lines(self) -> Iterator[bytes]:
        """Return the complete lines that the file has now; what is added later is left out.

        A last line without its end was being written when the process was killed.
        """
        try:
            return _lines(self.path, self.path.stat().st_size)
        except FileNotFoundError:
            return iter(())


def _lines(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while file.tell() < size and (line := file.readline()).endswith(b"\n"):
            yield line


def _last(file: BinaryIO) -> tuple[Checkpoint | None, int]:
    """Return the last checkpoint and where the last finished line ends."""
    start = max(0, file.seek(0, os.SEEK_END) - _TAIL)
    file.seek(start)
    tail = file.read()
    finished = tail[: tail.rfind(b"\n") + 1]
    for line in reversed(finished.splitlines(keepends=True)):
        try:
            return Checkpoint.parse(line), start + len(finished)
        except ValueError:
            continue
    return None, start + len(finished)
