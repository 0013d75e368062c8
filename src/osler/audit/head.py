"""The head of the chain: one row that says, signed, how far the log reaches."""

from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import ColumnElement, Connection, Select, bindparam, select, type_coerce, update
from sqlalchemy.types import NullType

from osler.audit.signing import GENESIS, head_message, is_signed
from osler.errors import IntegrityError
from osler.storage.database import insert_ignore
from osler.storage.tables import audit_head

_ID: Final = 1
_COLUMNS: Final = ("seq", "hash", "signature")
# Without the types' conversions, which what a stranger wrote into the row could break.
_UNTYPED: Final[list[ColumnElement[Any]]] = [type_coerce(audit_head.c[name], NullType()) for name in _COLUMNS]
_READ: Final[Select[Any]] = select(*_UNTYPED).where(audit_head.c.id == _ID)
_MOVE: Final = (
    update(audit_head)
    .where(audit_head.c.id == _ID, *(audit_head.c[name] == bindparam(f"from_{name}") for name in _COLUMNS))
    .values({name: bindparam(f"to_{name}") for name in _COLUMNS})
)


class Head(NamedTuple):
    """The last entry's number and hash, and the signature of both."""

    seq: int
    hash: bytes
    signature: bytes

    @classmethod
    def sign(cls, key: Ed25519PrivateKey, seq: int, digest: bytes) -> "Head":
        """Make a head."""
        return cls(seq, digest, key.sign(head_message(seq, digest)))

    def holds(self, key: Ed25519PublicKey) -> bool:
        """Tell whether the signature holds."""
        return is_signed(key, self.signature, head_message(self.seq, self.hash))


def read_head(connection: Connection, *, lock: bool = False) -> Head | None:
    """Read the head, and keep others from moving it when a transaction asks so; None before the first entry.

    Raises
    ------
    IntegrityError
        If the row does not hold a head.
    """
    row = connection.execute(_READ.with_for_update() if lock else _READ).one_or_none()
    if row is None:
        return None
    seq, digest, signature = row
    if not isinstance(seq, int) or seq < 0 or not isinstance(digest, bytes) or not isinstance(signature, bytes):
        raise IntegrityError("the head of the audit log cannot be read")
    return Head(seq, digest, signature)


def first_head(connection: Connection, key: Ed25519PrivateKey) -> Head:
    """Write the head of an empty log."""
    head = Head.sign(key, 0, GENESIS)
    insert_ignore(connection, audit_head, [{"id": _ID, **head._asdict()}])
    return head


def move_head(connection: Connection, old: Head, new: Head) -> bool:
    """Put the new head in the place of the old one; False when that is not the head any more."""
    values = {f"from_{name}": value for name, value in old._asdict().items()}
    values |= {f"to_{name}": value for name, value in new._asdict().items()}
    return connection.execute(_MOVE, values).rowcount == 1
