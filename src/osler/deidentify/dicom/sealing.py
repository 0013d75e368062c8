"""By what an instance is known that was de-identified here before, so that twice is once.

The output bears a seal: a keyed digest of the options, of all UIDs and pseudonyms in it and of all dates that were
moved. The key comes out of the vault and is in no output. An instance whose seal holds has what this vault gave, so its
UIDs, pseudonyms and dates stay; all else of it is treated as if it had never been seen. What an instance says of itself
counts for nothing: without the key nobody can make a seal, and one that is copied holds for no other values.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from osler.deidentify.dicom.dates import moved
from osler.deidentify.dicom.forms import dummy
from osler.deidentify.dicom.options import Options
from osler.deidentify.dicom.pieces import Dated, Piece, Waiting
from osler.domain.identifiers import Identity, PseudonymKind

KEY: Final = Identity(PseudonymKind.UID, "method seal")
"""What the vault keeps a random secret for, that is in no output."""

_HEADER: Final = Struct("<IQ")
_SEAL: Final = re.compile(rb"(?:.*\\)?seal ([0-9a-f]{32}) ?", re.DOTALL)


def seal_of(method: bytes) -> str:
    """Return the seal that stands last in De-identification Method (0012,0063); empty when none does."""
    match = _SEAL.fullmatch(method)
    return match[1].decode("ascii") if match else ""


def values_of(pieces: Sequence[Piece], *, days: int, value_of: Callable[[Identity], str]) -> list[bytes | None]:
    """Return what each piece that waits for identities, or is a date, becomes; None for the others.

    Parameters
    ----------
    pieces : sequence of Piece
    days : int
        By which dates are moved.
    value_of : callable
        What stands for an identity.
    """
    return [_value_of(piece, days, value_of) if isinstance(piece, Waiting | Dated) else None for piece in pieces]


def _value_of(piece: Waiting | Dated, days: int, value_of: Callable[[Identity], str]) -> bytes:
    if isinstance(piece, Dated):
        return moved(piece.raw, piece.vr, days) or b""
    values = [value_of(value) if isinstance(value, Identity) else value for value in piece.values]
    return "\\".join(values).encode("utf-8", "surrogatepass")


def sealed(pieces: Sequence[Piece], values: Sequence[bytes | None], *, key: str, options: Options) -> str:
    """Return the seal of a header: of each identity and each date, but not of what stands in for a date.

    Parameters
    ----------
    pieces : sequence of Piece
    values : sequence of bytes or None
        What :func:`values_of` gives for them.
    key : str
        What the vault gives for :data:`KEY`.
    options : frozenset of Option
    """
    seal = hmac.new(key.encode(), " ".join(sorted(options)).encode(), hashlib.sha256)
    for piece, value in zip(pieces, values, strict=True):
        stands_in = isinstance(piece, Dated) and value in (b"", dummy(piece.vr))
        if isinstance(piece, Waiting | Dated) and value is not None and not stands_in:
            seal.update(_HEADER.pack(piece.tag, len(value)) + value)
    return seal.digest()[:16].hex()


def holds(seal: str, made: str) -> bool:
    """Whether a seal that came is the one that was made."""
    return hmac.compare_digest(seal, made)
