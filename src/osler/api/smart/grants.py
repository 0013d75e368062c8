"""What people let clients do: authorization codes, refresh tokens, and the grant that they belong to.

A code and a refresh token hold once. A second use means that somebody else has it too, so the grant is revoked, and
with it every token that came of it (RFC 6749 10.5; RFC 9700 4.14.2).
"""

import base64
import hashlib
import hmac
import re
import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Table, select, update

from osler.api.people.roles import Role
from osler.api.people.sessions import SignedIn
from osler.api.smart.context import LaunchContext
from osler.api.smart.scopes import Scope, in_words, parse_scopes
from osler.api.smart.secret_values import hash_of, new_secret
from osler.api.smart.tokens import ActingFor, Grant
from osler.storage.database import Database
from osler.storage.tables import access_grant, authorization_code, client, refresh_token, user

CODE_S: Final = 60.0
ONLINE_S: Final = 12 * 3600.0
"""How long a client may go on while its person is signed in, with ``online_access`` or without a refresh, seconds."""
OFFLINE_S: Final = 90 * 86400.0
"""How long a client may go on when its person is away (``offline_access``), seconds."""
_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


@dataclass(frozen=True, slots=True)
class Permission:
    """What a person has just allowed.

    Parameters
    ----------
    client_id, redirect_uri, challenge : str
        As the client asked; the challenge is that of PKCE, S256.
    nonce : str or None
    person : SignedIn
    scopes : tuple of Scope
    context : LaunchContext
    """

    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    person: SignedIn
    scopes: tuple[Scope, ...]
    context: LaunchContext


@dataclass(frozen=True, slots=True)
class Allowed:
    """A grant that goes on, with what an id token says besides."""

    grant: Grant
    nonce: str | None
    auth_time: float
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a code or refresh token does not hold; ``revoked`` when somebody has used it before, which ends the grant."""

    words: str
    revoked: bool = False


class GrantStore:
    """Keeps what people let clients do. All its changes run in the caller's transaction.

    Parameters
    ----------
    database : Database
    session_s : float
        How long a person stays signed in, seconds: without ``offline_access`` nothing lasts longer.
    """

    def __init__(self, database: Database, *, session_s: float = ONLINE_S) -> None:
        self._database = database
        self._session_s = session_s

    def allow(self, connection: Connection, permission: Permission, *, now: float) -> str:
        """Keep a permission and return the code for it."""
        grant_id = str(uuid.uuid4())
        online_until = min(now + ONLINE_S, permission.person.auth_time + self._session_s)
        offline = any(scope.text == "offline_access" for scope in permission.scopes)
        connection.execute(
            access_grant.insert(),
            {
                "id": grant_id,
                "client_id": permission.client_id,
                "person": permission.person.name,
                "scope": in_words(permission.scopes),
                "context": permission.context.dumps(),
                "nonce": permission.nonce,
                "auth_time": permission.person.auth_time,
                "methods": " ".join(permission.person.methods),
                "created_at": now,
                "expires_at": now + OFFLINE_S if offline else online_until,
                "revoked": False,
            },
        )
        code = new_secret()
        connection.execute(
            authorization_code.insert(),
            {
                "hash": hash_of(code),
                "grant_id": grant_id,
                "redirect_uri": permission.redirect_uri,
                "challenge": permission.challenge,
                "expires_at": now + CODE_S,
                "used": False,
            },
        )
        return code

    def redeem(
        self, connection: Connection, code: str, *, client_id: str, redirect_uri: str, verifier: str, now: float
    ) -> Allowed | Refused:
        """Use a code up. Whatever does not fit uses it up too, so that nobody tries twice."""
        row = connection.execute(_held(authorization_code, code)).one_or_none()
        if row is None:
            return Refused("the code is not known")
        if row.used:
            self.revoke(connection, row.id)
            return Refused("the code was used before", revoked=True)
        connection.execute(_used(authorization_code, code))
        if row.client_id != client_id or row.redirect_uri != redirect_uri:
            return Refused("the code was made for another client or redirect_uri")
        if not _proves(verifier, row.challenge):
            return Refused("the code_verifier is not that of the code_challenge")
        return _allowed(row, now)

    def refresh(self, connection: Connection, token: str, *, client_id: str, now: float) -> Allowed | Refused:
        """Use a refresh token up."""
        row = connection.execute(_held(refresh_token, token)).one_or_none()
        if row is None or row.client_id != client_id:
            return Refused("the refresh token is not known")
        if row.used:
            self.revoke(connection, row.id)
            return Refused("the refresh token was used before", revoked=True)
        allowed = _allowed(row, now)
        if not isinstance(allowed, Refused):
            connection.execute(_used(refresh_token, token))
        return allowed

    def refreshable(self, connection: Connection, grant: Grant) -> str | None:
        """Return a new refresh token, when the person has allowed one."""
        if not {"offline_access", "online_access"} & {scope.text for scope in grant.scopes}:
            return None
        token = new_secret()
        row = {"hash": hash_of(token), "grant_id": grant.id, "expires_at": grant.expires_at, "used": False}
        connection.execute(refresh_token.insert(), row)
        return token

    def holder(self, token: str) -> str | None:
        """Return the id of the client that a refresh token was made for, or None."""
        with self._database.read() as connection:
            row = connection.execute(_held(refresh_token, token)).one_or_none()
        return None if row is None else row.client_id

    def look(self, token: str, *, now: float) -> Grant | None:
        """Return what a refresh token stands for, without using it; None when it does not hold."""
        with self._database.read() as connection:
            row = connection.execute(_held(refresh_token, token)).one_or_none()
        allowed = None if row is None or row.used else _allowed(row, now)
        return allowed.grant if isinstance(allowed, Allowed) else None

    def of(self, person: str, *, now: float) -> list[Grant]:
        """Return what a person lets clients do now, the latest first."""
        statement = (
            select(access_grant, user.c.role, user.c.fhir_user)
            .join(client, client.c.id == access_grant.c.client_id)
            .join(user, user.c.name == access_grant.c.person)
            .where(
                access_grant.c.person == person,
                access_grant.c.expires_at > now,
                ~access_grant.c.revoked,
                ~client.c.disabled,
            )
            .order_by(access_grant.c.created_at.desc(), access_grant.c.id)
        )
        with self._database.read() as connection:
            return [_grant(row) for row in connection.execute(statement)]

    def revoke(self, connection: Connection, grant_id: str) -> None:
        """End a grant, and all that came of it."""
        connection.execute(update(access_grant).where(access_grant.c.id == grant_id).values(revoked=True))

    def revoke_token(self, connection: Connection, token: str, client_id: str) -> bool:
        """End the grant of a client's refresh token; False when it has no such token."""
        row = connection.execute(_held(refresh_token, token)).one_or_none()
        if row is None or row.client_id != client_id:
            return False
        self.revoke(connection, row.id)
        return True


def challenge_of(verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).decode().rstrip("=")


def _proves(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    return hmac.compare_digest(challenge_of(verifier).encode(), challenge.encode())


def _held(table: Table, secret: str) -> Select[Any]:
    """Select a code or refresh token with its grant, the grant's client and person."""
    columns = [column for column in table.c if column.name not in ("grant_id", "expires_at")]
    over_at = table.c.expires_at.label("over_at")
    return (
        select(*columns, over_at, access_grant, user.c.role, user.c.fhir_user, user.c.disabled)
        .join(access_grant, access_grant.c.id == table.c.grant_id)
        .join(client, client.c.id == access_grant.c.client_id)
        .join(user, user.c.name == access_grant.c.person)
        .where(table.c.hash == hash_of(secret), ~client.c.disabled)
    )


def _used(table: Table, secret: str) -> Any:
    return update(table).where(table.c.hash == hash_of(secret)).values(used=True)


def _allowed(row: Row[Any], now: float) -> Allowed | Refused:
    if row.revoked or row.disabled:
        return Refused("what was granted is revoked")
    if min(row.over_at, row.expires_at) <= now:
        return Refused("it has expired")
    return Allowed(_grant(row), row.nonce, row.auth_time, tuple(row.methods.split()))


def _grant(row: Row[Any]) -> Grant:
    return Grant(
        row.client_id,
        parse_scopes(row.scope),
        person=ActingFor(row.person, Role(row.role), row.fhir_user),
        context=LaunchContext.loads(row.context),
        issued_at=row.created_at,
        expires_at=row.expires_at,
        id=row.id,
    )
