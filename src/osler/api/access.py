"""Who may call: programs (clients) with their keys or secrets, and people with their passwords."""

import base64
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import argon2
from joserfc import jwk
from joserfc.errors import JoseError
from sqlalchemy import Connection, RowMapping, Table, select, update

from osler.api.scopes import check_scopes
from osler.errors import ConfigError, InputRejected, NotFound
from osler.storage.database import Database, insert_ignore
from osler.storage.tables import client as clients
from osler.storage.tables import user as people

_MAX_JWKS: Final = 64 * 1024
_MIN_RSA_BITS: Final = 2048
_PRIVATE_PARTS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


class Role(StrEnum):
    """What a person may be."""

    CLINICIAN = "clinician"
    RADIOLOGIST = "radiologist"
    PRIVACY_OFFICER = "privacy-officer"
    ADMINISTRATOR = "administrator"
    ML_ENGINEER = "ml-engineer"


@dataclass(frozen=True, slots=True)
class Client:
    """A program that is registered.

    Parameters
    ----------
    id, name : str
    scope : str
        The most that it may be granted.
    jwks : str or None
        Its public keys, a JWK set as JSON.
    has_secret, public, disabled : bool
    redirect_uris : tuple of str
    """

    id: str
    name: str
    scope: str
    jwks: str | None
    has_secret: bool
    redirect_uris: tuple[str, ...]
    public: bool
    disabled: bool


@dataclass(frozen=True, slots=True)
class Person:
    """A person who may sign in."""

    name: str
    role: Role
    disabled: bool


class ClientStore:
    """Registered programs."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        name: str,
        scope: str,
        *,
        jwks: str | None = None,
        secret: str | None = None,
        redirect_uris: tuple[str, ...] = (),
        public: bool = False,
    ) -> str:
        """Register a program and return its client id.

        Parameters
        ----------
        name : str
            For people.
        scope : str
            The most that it may be granted: ``system/`` scopes, parted by blanks.
        jwks : str, optional
            Public keys as JSON; at least one RSA key of 2048 bits (RS384) or EC key on P-384 (ES384), with ``kid``.
        secret : str, optional
            Only its argon2id hash is kept.
        redirect_uris, public
            Kept for sign-in flows.

        Raises
        ------
        ConfigError
            If the keys or the scopes cannot be used, or it has neither keys nor a secret and is not public.
        """
        try:
            scope = check_scopes(scope)
        except InputRejected as error:
            raise ConfigError(str(error)) from None
        if not (jwks or secret or public):
            raise ConfigError("a client needs public keys (--jwks), a secret (--secret-stdin) or --public")
        if jwks:
            usable_keys(jwks)
        client_id = str(uuid.uuid4())
        row = {
            "id": client_id,
            "name": name,
            "scope": scope,
            "jwks": jwks,
            "secret_hash": _hasher().hash(secret) if secret else None,
            "redirect_uris": json.dumps(list(redirect_uris)),
            "public": public,
            "disabled": False,
            "created_at": self._clock(),
        }
        self._database.write(lambda connection: connection.execute(clients.insert(), row))
        return client_id

    def list(self) -> list[Client]:
        """Return all, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(clients).order_by(clients.c.created_at, clients.c.id)).mappings().all()
        return [_client(row) for row in rows]

    def find(self, client_id: str) -> Client | None:
        """Return a client that is not disabled, or None."""
        if not client_id.isprintable():  # a surrogate or NUL, which JSON can carry, is more than a database takes
            return None
        statement = select(clients).where(clients.c.id == client_id, ~clients.c.disabled)
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else _client(row)

    def disable(self, client_id: str) -> None:
        """Shut a program out; the tokens that it holds end at once.

        Raises
        ------
        NotFound
            If there is no such client.
        """
        self._database.write(lambda connection: _disable(connection, clients, clients.c.id == client_id))

    def secret_holds(self, client_id: str, secret: str) -> bool:
        """Tell whether a secret is the client's. Takes the time of argon2id."""
        statement = select(clients.c.secret_hash).where(clients.c.id == client_id, ~clients.c.disabled)
        with self._database.read() as connection:
            held = connection.execute(statement).scalar_one_or_none()
        return held is not None and _matches(held, secret)


class UserStore:
    """People and their passwords."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def add(self, name: str, role: Role, password: str) -> None:
        """Add a person.

        Raises
        ------
        ConfigError
            If the name is taken.
        """
        row = {
            "name": name,
            "role": Role(role).value,
            "password_hash": _hasher().hash(password),
            "disabled": False,
            "created_at": self._clock(),
        }
        if not self._database.write(lambda connection: insert_ignore(connection, people, [row])):
            raise ConfigError("there is a person of that name already")

    def verify(self, name: str, password: str) -> Person | None:
        """Return the person when the password is right and the account is open, else None."""
        statement = select(people).where(people.c.name == name, ~people.c.disabled)
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        if row is None or not _matches(row["password_hash"], password):
            return None
        return _person(row)

    def list(self) -> list[Person]:
        """Return all, by name."""
        with self._database.read() as connection:
            return [_person(row) for row in connection.execute(select(people).order_by(people.c.name)).mappings()]

    def disable(self, name: str) -> None:
        """Shut a person out.

        Raises
        ------
        NotFound
            If there is no such person.
        """
        self._database.write(lambda connection: _disable(connection, people, people.c.name == name))


def usable_keys(jwks: str) -> dict[str, jwk.RSAKey | jwk.ECKey]:
    """Read a JWK set and return the keys that may sign an assertion, by ``kid``.

    Raises
    ------
    ConfigError
        If it is not a JWK set, holds a private or symmetric key, names a key twice, or has no key that can be used.
    """
    entries = _jwks_entries(jwks)
    if any(_PRIVATE_PARTS & entry.keys() or entry.get("kty") == "oct" for entry in entries):
        raise ConfigError("the JWK set holds a private or symmetric key; register the public keys only")
    found: dict[str, jwk.RSAKey | jwk.ECKey] = {}
    for entry in entries:
        kid = entry.get("kid")
        if not isinstance(kid, str) or not kid or entry.get("use", "sig") != "sig":
            continue
        if kid in found:
            raise ConfigError("the JWK set names two keys with the same kid")
        key = _key(entry)
        if key is not None:
            found[kid] = key
    if not found:
        raise ConfigError("the JWK set has no key with a kid that is RSA of 2048 bits or more, or EC on P-384")
    return found


def _jwks_entries(jwks: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(jwks)["keys"] if len(jwks) <= _MAX_JWKS else None
    except (ValueError, KeyError, TypeError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError('not a JWK set: it must be a JSON object with a list "keys"')
    return entries


def _key(entry: dict[str, Any]) -> jwk.RSAKey | jwk.ECKey | None:
    try:
        if entry.get("kty") == "RSA" and entry.get("alg", "RS384") == "RS384":
            # before it is imported: joserfc takes a short key with a warning
            modulus = base64.urlsafe_b64decode(entry["n"] + "==")
            return jwk.RSAKey.import_key(entry) if len(modulus) * 8 >= _MIN_RSA_BITS else None
        if entry.get("kty") == "EC" and entry.get("crv") == "P-384" and entry.get("alg", "ES384") == "ES384":
            return jwk.ECKey.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        raise ConfigError("a key of the JWK set cannot be read") from None
    return None


def _hasher() -> argon2.PasswordHasher:
    # OWASP's argon2id for servers: 19 MiB, so that a burst of sign-ins does not take the memory of a study.
    return argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def _matches(held: str, given: str) -> bool:
    try:
        return _hasher().verify(held, given)
    except argon2.exceptions.Argon2Error:
        return False


def _disable(connection: Connection, table: Table, which: Any) -> None:
    if not connection.execute(update(table).where(which).values(disabled=True)).rowcount:
        raise NotFound("there is nobody of that name")


def _client(row: RowMapping) -> Client:
    return Client(
        id=row["id"],
        name=row["name"],
        scope=row["scope"],
        jwks=row["jwks"],
        has_secret=row["secret_hash"] is not None,
        redirect_uris=tuple(json.loads(row["redirect_uris"])),
        public=row["public"],
        disabled=row["disabled"],
    )


def _person(row: RowMapping) -> Person:
    return Person(row["name"], Role(row["role"]), row["disabled"])
