"""Bearer tokens: opaque, random, short-lived; only their hash is kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from osler.api.people.roles import Role
from osler.api.smart.context import NOWHERE, LaunchContext
from osler.api.smart.scopes import Scope, in_words, parse_scopes
from osler.api.smart.secret_values import hash_of, new_secret
from osler.storage.database import Database, insert_ignore
from osler.storage.tables import (
    access_grant,
    access_token,
    authorization_code,
    client,
    launch,
    refresh_token,
    used_assertion,
    user,
)

PERSON_LIFETIME_S: Final = 3600.0
"""Longest life of a token that a person has let a client have, seconds."""
_CLEAN_EVERY_S: Final = 60.0

# Made once: it runs before every request, and making it takes longer than running it.
_HELD: Final = (
    select(
        access_token.c.client_id,
        access_token.c.grant_id,
        access_token.c.scope,
        access_token.c.issued_at,
        access_token.c.expires_at,
        access_grant.c.context,
        user.c.name,
        user.c.role,
        user.c.fhir_user,
    )
    .join(client, client.c.id == access_token.c.client_id)
    .outerjoin(access_grant, access_grant.c.id == access_token.c.grant_id)
    .outerjoin(user, user.c.name == access_grant.c.person)
    .where(
        access_token.c.hash == bindparam("held"),
        access_token.c.expires_at > bindparam("now"),
        ~access_token.c.revoked,
        ~client.c.disabled,
        or_(access_token.c.grant_id.is_(None), (~access_grant.c.revoked) & (~user.c.disabled)),
    )
)


@dataclass(frozen=True, slots=True)
class ActingFor:
    """The person in whose name a client acts.

    Parameters
    ----------
    name : str
    role : Role
        As it is now, not as it was when the token was issued.
    fhir_user : str or None
        ``Practitioner/id``.
    """

    name: str
    role: Role
    fhir_user: str | None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for.

    Parameters
    ----------
    client_id : str
    scopes : tuple of Scope
    person : ActingFor or None
        None when the client acts for itself.
    context : LaunchContext
    issued_at, expires_at : float
        Seconds since the epoch, UTC.
    id : str or None
        Of what the person let the client do.
    """

    client_id: str
    scopes: tuple[Scope, ...]
    person: ActingFor | None = None
    context: LaunchContext = NOWHERE
    issued_at: float = 0.0
    expires_at: float = 0.0
    id: str | None = None


class TokenStore:
    """Issues access tokens and knows them again.

    Parameters
    ----------
    database : Database
    lifetime_s : int
        Life of a token of a client for itself, seconds; 300 to 3600.
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
        """Make a token for a client of its own, within the caller's transaction."""
        return self._add(connection, client_id, scopes, None, self.clock() + self.lifetime_s)

    def issue_for(self, connection: Connection, grant: Grant, scopes: tuple[Scope, ...]) -> tuple[str, int]:
        """Make a token of what a person let a client do; return it with its life in seconds."""
        now = self.clock()
        expires_at = min(now + PERSON_LIFETIME_S, grant.expires_at)
        return self._add(connection, grant.client_id, scopes, grant.id, expires_at), int(expires_at - now)

    def check(self, token: str) -> Grant | None:
        """Return what a token stands for.

        None when it is unknown, expired or revoked, or when its client, or the person in whose name it acts, is
        disabled.
        """
        with self._database.read() as connection:
            row = connection.execute(_HELD, {"held": hash_of(token), "now": self.clock()}).one_or_none()
        if row is None:
            return None
        if row.grant_id is None:
            return Grant(row.client_id, parse_scopes(row.scope), issued_at=row.issued_at, expires_at=row.expires_at)
        return Grant(
            row.client_id,
            parse_scopes(row.scope),
            person=ActingFor(row.name, Role(row.role), row.fhir_user),
            context=LaunchContext.loads(row.context),
            issued_at=row.issued_at,
            expires_at=row.expires_at,
            id=row.grant_id,
        )

    def revoke(self, connection: Connection, token: str, client_id: str) -> bool:
        """End one token of a client; False when it has no such token."""
        mine = (access_token.c.hash == hash_of(token)) & (access_token.c.client_id == client_id)
        return connection.execute(update(access_token).where(mine).values(revoked=True)).rowcount > 0

    def use_assertion(self, connection: Connection, client_id: str, jti: str, *, expires_at: float) -> bool:
        """Note that an assertion was used; False when it was used before."""
        row = {"client_id": client_id, "jti": jti, "expires_at": expires_at}
        return insert_ignore(connection, used_assertion, [row]) == 1

    def _add(
        self, connection: Connection, client_id: str, scopes: tuple[Scope, ...], grant_id: str | None, expires_at: float
    ) -> str:
        now = self.clock()
        self._clean(connection, now)
        token = new_secret()
        row = {
            "hash": hash_of(token),
            "client_id": client_id,
            "grant_id": grant_id,
            "scope": in_words(scopes),
            "issued_at": now,
            "expires_at": expires_at,
            "revoked": False,
        }
        connection.execute(access_token.insert(), row)
        return token

    def _clean(self, connection: Connection, now: float) -> None:
        """Take away what is over. A code and a used refresh token stay with their grant: a second use must be seen."""
        if now - self._cleaned_at < _CLEAN_EVERY_S:
            return
        self._cleaned_at = now
        for table in (access_token, used_assertion, launch):
            connection.execute(delete(table).where(table.c.expires_at < now - _CLEAN_EVERY_S))
        over = select(access_grant.c.id).where(access_grant.c.expires_at < now - PERSON_LIFETIME_S - _CLEAN_EVERY_S)
        for table in (authorization_code, refresh_token, access_token):
            connection.execute(delete(table).where(table.c.grant_id.in_(over)))
        connection.execute(delete(access_grant).where(access_grant.c.id.in_(over)))
