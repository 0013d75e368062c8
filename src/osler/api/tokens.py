"""Bearer tokens: opaque, random, short-lived; only their hash is kept."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select

from osler.api.scopes import Scope, parse_scopes
from osler.storage.database import Database, insert_ignore
from osler.storage.tables import access_token, client, used_assertion

TOKEN_BYTES: Final = 32
_CLEAN_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for."""

    client_id: str
    scopes: tuple[Scope, ...]


class TokenStore:
    """Issues tokens and knows them again.

    Parameters
    ----------
    database : Database
    lifetime_s : int
        Life of a token, seconds; 300 to 3600.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, database: Database, *, lifetime_s: int = 300, clock: Callable[[], float] = time.time) -> None:
        if not 300 <= lifetime_s <= 3600:
            raise ValueError("a token lives 300 to 3600 seconds")
        self.lifetime_s = lifetime_s
        self.clock = clock
        self._database = database
        self._cleaned_at = 0.0

    def issue(self, connection: Connection, client_id: str, scopes: tuple[Scope, ...]) -> str:
        """Make a token for a client, within the caller's transaction."""
        now = self.clock()
        self._clean(connection, now)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        row = {
            "hash": _hash(token),
            "client_id": client_id,
            "scope": " ".join(scope.text for scope in scopes),
            "expires_at": now + self.lifetime_s,
            "revoked": False,
        }
        connection.execute(access_token.insert(), row)
        return token

    def check(self, token: str) -> Grant | None:
        """Return what a token stands for; None when it is unknown, expired, revoked, or its client is disabled."""
        statement = (
            select(access_token.c.client_id, access_token.c.scope)
            .join(client, client.c.id == access_token.c.client_id)
            .where(
                access_token.c.hash == _hash(token),
                access_token.c.expires_at > self.clock(),
                ~access_token.c.revoked,
                ~client.c.disabled,
            )
        )
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else Grant(row.client_id, parse_scopes(row.scope))

    def use_assertion(self, connection: Connection, client_id: str, jti: str, *, expires_at: float) -> bool:
        """Note that an assertion was used; False when it was used before."""
        row = {"client_id": client_id, "jti": jti, "expires_at": expires_at}
        return insert_ignore(connection, used_assertion, [row]) == 1

    def _clean(self, connection: Connection, now: float) -> None:
        if now - self._cleaned_at < _CLEAN_EVERY_S:
            return
        self._cleaned_at = now
        for table in (access_token, used_assertion):
            connection.execute(delete(table).where(table.c.expires_at < now - _CLEAN_EVERY_S))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
