"""The keys that sign id tokens: RS256, sealed in the ledger, replaced without a gap.

References
----------
OpenID Connect Core 1.0, 10.1.1 Rotation of Asymmetric Signing Keys
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from joserfc import jwk, jwt
from sqlalchemy import Connection, delete, select

from osler.storage.blobs import Sealer
from osler.storage.database import Database
from osler.storage.tables import signing_key

ALGORITHM: Final = "RS256"
_BITS: Final = 2048
_KEPT: Final = 3  # published: who has cached an id token can still check it
_REFRESH_S: Final = 60.0


class SigningKeys:
    """The keys of one ledger. Safe to use from many threads.

    Parameters
    ----------
    database : Database
    sealer : Sealer
        Of the purpose ``record``.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, database: Database, *, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._lock = threading.Lock()
        self._current: jwk.RSAKey | None = None
        self._read_at = 0.0

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return claims as a signed JWT."""
        key = self._key()
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}, dict(claims), key, algorithms=[ALGORITHM])

    def published(self) -> dict[str, Any]:
        """Return the public keys as a JWK set, the newest first; makes the first key when there is none."""
        self._key()
        with self._database.read() as connection:
            rows = connection.execute(_newest(signing_key.c.public)).scalars().all()
        return {"keys": [json.loads(row) for row in rows]}

    def rotate(self) -> None:
        """Sign with a new key from now on; the two before it stay published."""
        self._make(only_the_first=False)
        with self._lock:
            self._current = None

    def _key(self) -> jwk.RSAKey:
        with self._lock:
            if self._current is None or not 0 <= self._clock() - self._read_at < _REFRESH_S:
                self._current = self._read() or self._first()
                self._read_at = self._clock()
            return self._current

    def _first(self) -> jwk.RSAKey:
        self._make(only_the_first=True)
        made = self._read()
        if made is None:
            raise AssertionError("a signing key was made and is not there")
        return made

    def _read(self) -> jwk.RSAKey | None:
        with self._database.read() as connection:
            row = connection.execute(_newest(signing_key.c.kid, signing_key.c.sealed)).first()
        if row is None:
            return None
        return jwk.RSAKey.import_key(json.loads(self._sealer.open(row.sealed, _aad(row.kid))))

    def _make(self, *, only_the_first: bool) -> None:
        kid = secrets.token_hex(8)
        key = jwk.RSAKey.generate_key(_BITS, {"kid": kid, "use": "sig", "alg": ALGORITHM})
        row = {
            "kid": kid,
            "sealed": self._sealer.seal(json.dumps(key.as_dict(private=True)).encode(), _aad(kid)),
            "public": json.dumps(key.as_dict(private=False)),
        }

        def change(connection: Connection) -> None:
            held = connection.execute(_newest(signing_key.c.kid, signing_key.c.created_at)).all()
            if held and only_the_first:  # another process was first
                return
            created_at = max([self._clock(), *(before.created_at + 0.001 for before in held)])
            connection.execute(signing_key.insert(), row | {"created_at": created_at})
            kept = [kid, *(before.kid for before in held[: _KEPT - 1])]
            connection.execute(delete(signing_key).where(signing_key.c.kid.not_in(kept)))

        self._database.write(change)


def _newest(*columns: Any) -> Any:
    return select(*columns).order_by(signing_key.c.created_at.desc(), signing_key.c.kid).limit(_KEPT)


def _aad(kid: str) -> bytes:
    return f"signing-key/{kid}".encode()
