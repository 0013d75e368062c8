"""Keys: one master key wraps a data key for each tenant and purpose; data keys seal what is identified.

A sealed value::

    version (1 byte, 1) | key id (8) | nonce (12, random) | AES-256-GCM ciphertext and tag (16)
    AAD: tenant, purpose and what the caller binds (a blob's reference, a row's key)

A wrapped data key is a value sealed under the master key, bound to the key's id, tenant and purpose. Rotation makes a
new data key active and keeps the old ones for reading. A ring that meets a key id it does not know reads the keys
again, so other processes go on while one rotates. With random nonces one key may seal 2**32 values (NIST SP 800-38D,
8.3); rotate long before.
"""

import contextlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, select, update

from osler.errors import ConfigError, IntegrityError
from osler.storage import Database
from osler.storage.blobs import Sealer
from osler.storage.tables import data_key
from osler.vault.master_key import MASTER_KEY_BYTES

Purpose = Literal["blob", "vault", "record"]
PURPOSES: Final[tuple[Purpose, ...]] = ("blob", "vault", "record")
_INDEX: Final = "index"
_VERSION: Final = b"\x01"
_KEY_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
_HEADER_BYTES: Final = 1 + _KEY_ID_BYTES + _NONCE_BYTES


@dataclass(frozen=True, slots=True, repr=False)
class _Keys:
    """The unwrapped keys, and which of them seals."""

    by_id: Mapping[str, bytes]
    ciphers: Mapping[bytes, AESGCM]
    active: Mapping[str, bytes]
    index: bytes
    read_at: float


class KeyRing:
    """The keys of one tenant. Make one with :meth:`open`.

    Safe to use from many threads.
    """

    def __init__(self, database: Database, master_key: bytes, tenant: str, *, refresh_s: float) -> None:
        self._database = database
        self._master_key = master_key
        self._tenant = tenant
        self._refresh_s = refresh_s
        self._reading = threading.Lock()
        self._prefixes = {purpose: _framed(tenant.encode()) + _framed(purpose.encode()) for purpose in PURPOSES}
        rows = self._rows()
        self._keys = _keys(rows, {row.id: _unwrap(master_key, row) for row in rows})

    @classmethod
    def open(cls, database: Database, *, master_key: bytes, tenant: str, refresh_s: float = 60.0) -> "KeyRing":
        """Read the tenant's keys, making those that are not there yet.

        Parameters
        ----------
        database : Database
        master_key : bytes
            32 bytes.
        tenant : str
        refresh_s : float
            A ring looks for a newer active key when it last looked so long ago, seconds.

        Raises
        ------
        ConfigError
            If the master key is not the one that wrapped the keys.
        """
        _check_length(master_key)

        def complete(connection: Connection) -> None:
            for row in connection.execute(select(data_key)).all():
                _unwrap(master_key, row)
            for purpose in _missing(connection, tenant):
                _insert_key(connection, master_key, tenant, purpose)

        with database.read() as connection:
            missing = _missing(connection, tenant)
        if missing:
            database.write(complete)
        return cls(database, master_key, tenant, refresh_s=refresh_s)

    def sealer(self, purpose: Purpose) -> Sealer:
        """Return what seals and opens values of one purpose."""
        return _RingSealer(self, purpose)

    def index(self, purpose: str, *parts: str) -> bytes:
        """Return the keyed index of a value: 32 bytes from which nobody without the key can tell the value.

        The key of the index is not rotated: the same value keeps its index.
        """
        message = b"".join(_framed(part.encode("utf-8", "surrogatepass")) for part in (purpose, *parts))
        return hmac.digest(self._keys.index, message, "sha256")

    def rotate(self, purpose: Purpose | None = None) -> None:
        """Make a new data key active for one purpose, or for all. What older keys sealed stays readable."""

        def change(connection: Connection) -> None:
            for each in PURPOSES if purpose is None else (purpose,):
                mine = (data_key.c.tenant == self._tenant) & (data_key.c.purpose == each)
                connection.execute(update(data_key).where(mine).values(active=False))
                _insert_key(connection, self._master_key, self._tenant, each)

        self._database.write(change)
        self._reload(None)

    def rewrap(self, new_master: bytes) -> None:
        """Wrap the data keys of all tenants under a new master key, all or none.

        Rings that are open go on with the keys they know; they need the new master key to read newer ones.

        Raises
        ------
        ConfigError
            If the new key has a wrong length, or a wrapped key does not open; nothing is changed then.
        """
        _check_length(new_master)

        def change(connection: Connection) -> None:
            for row in connection.execute(select(data_key)).all():
                key = _unwrap(self._master_key, row)
                wrapped = _wrap(new_master, row.id, row.tenant, row.purpose, key)
                connection.execute(update(data_key).where(data_key.c.id == row.id).values(wrapped=wrapped))

        self._database.write(change)
        self._master_key = new_master

    def seal(self, purpose: Purpose, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt under the active key of a purpose."""
        keys = self._keys
        if time.monotonic() - keys.read_at > self._refresh_s:
            keys = self._reload(None)
        key_id = keys.active[purpose]
        nonce = os.urandom(_NONCE_BYTES)
        sealed = keys.ciphers[key_id].encrypt(nonce, plaintext, self._prefixes[purpose] + aad)
        return b"".join((_VERSION, key_id, nonce, sealed))

    def open_sealed(self, purpose: Purpose, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt a sealed value.

        Raises
        ------
        IntegrityError
            If it was changed, stands in another's place, or was sealed under a key that is not ours.
        """
        if len(sealed) < _HEADER_BYTES + _TAG_BYTES or not sealed.startswith(_VERSION):
            raise IntegrityError("a sealed value has no valid form")
        view = memoryview(sealed)
        key_id = bytes(view[1 : 1 + _KEY_ID_BYTES])
        key = self._keys.ciphers.get(key_id) or self._reload(key_id).ciphers.get(key_id)
        if key is None:
            raise IntegrityError("a sealed value names a key that is not there")
        nonce, bound = view[1 + _KEY_ID_BYTES : _HEADER_BYTES], self._prefixes[purpose] + aad
        try:
            return key.decrypt(nonce, view[_HEADER_BYTES:], bound)
        except InvalidTag:
            raise IntegrityError("a sealed value was changed, or stands in another's place") from None

    def _reload(self, wanted: bytes | None) -> _Keys:
        """Read the keys again, unless another thread has read the wanted one meanwhile.

        A key that does not open is left out: another process may have wrapped it under a new master key.
        """
        with self._reading:
            if wanted is None or wanted not in self._keys.ciphers:
                rows, by_id = self._rows(), dict(self._keys.by_id)
                for row in rows:
                    if row.id not in by_id:
                        with contextlib.suppress(ConfigError):
                            by_id[row.id] = _unwrap(self._master_key, row)
                self._keys = _keys([row for row in rows if row.id in by_id], by_id, before=self._keys)
            return self._keys

    def _rows(self) -> Sequence[Row[Any]]:
        with self._database.read() as connection:
            return connection.execute(select(data_key).where(data_key.c.tenant == self._tenant)).all()


@dataclass(frozen=True, slots=True)
class _RingSealer:
    ring: KeyRing
    purpose: Purpose

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        return self.ring.seal(self.purpose, plaintext, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        return self.ring.open_sealed(self.purpose, sealed, aad)


def _keys(rows: Sequence[Row[Any]], by_id: Mapping[str, bytes], *, before: _Keys | None = None) -> _Keys:
    active = {row.purpose: bytes.fromhex(row.id) for row in rows if row.active}
    return _Keys(
        by_id=by_id,
        ciphers={bytes.fromhex(key_id): AESGCM(key) for key_id, key in by_id.items()},
        active=active if before is None else {**before.active, **active},
        index=next(by_id[row.id] for row in rows if row.purpose == _INDEX) if before is None else before.index,
        read_at=time.monotonic(),
    )


def _missing(connection: Connection, tenant: str) -> list[str]:
    there = set(connection.execute(select(data_key.c.purpose).where(data_key.c.tenant == tenant)).scalars())
    return [purpose for purpose in (*PURPOSES, _INDEX) if purpose not in there]


def _check_length(master_key: bytes) -> None:
    if len(master_key) != MASTER_KEY_BYTES:
        raise ConfigError(f"the master key must have {MASTER_KEY_BYTES} bytes")


def _framed(part: bytes) -> bytes:
    """Put the length before a part, so that no two lists of parts read the same."""
    return len(part).to_bytes(4, "big") + part


def _insert_key(connection: Connection, master_key: bytes, tenant: str, purpose: str) -> None:
    key_id = secrets.token_hex(_KEY_ID_BYTES)
    wrapped = _wrap(master_key, key_id, tenant, purpose, secrets.token_bytes(_KEY_BYTES))
    connection.execute(
        data_key.insert().values(
            id=key_id, tenant=tenant, purpose=purpose, wrapped=wrapped, active=True, created_at=time.time()
        )
    )


def _wrap(master_key: bytes, key_id: str, tenant: str, purpose: str, key: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(master_key).encrypt(nonce, key, _wrap_aad(key_id, tenant, purpose))


def _unwrap(master_key: bytes, row: Row[Any]) -> bytes:
    wrapped = bytes(row.wrapped)
    nonce, sealed = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
    try:
        return AESGCM(master_key).decrypt(nonce, sealed, _wrap_aad(row.id, row.tenant, row.purpose))
    except (InvalidTag, ValueError):
        raise ConfigError("the master key is not the one that wrapped the data keys, or they were changed") from None


def _wrap_aad(key_id: str, tenant: str, purpose: str) -> bytes:
    return b"".join(_framed(part.encode()) for part in ("osler data key", key_id, tenant, purpose))
