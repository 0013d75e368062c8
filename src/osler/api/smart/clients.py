"""The registered programs: their keys or secrets, what they may be granted, and where they may be sent back to."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import RowMapping, select, update

from osler.api.people.passwords import Passwords
from osler.api.smart.client_keys import usable_keys
from osler.api.smart.scopes import check_scopes
from osler.errors import ConfigError, InputRejected, NotFound
from osler.storage.database import Database
from osler.storage.tables import client as clients

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_ORIGINS_S: Final = 5.0
_NEVER: Final = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "view-source", "ws", "wss"})


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
    jwks_uri : str or None
        Where its public keys are, in place of ``jwks``.
    has_secret, public, disabled : bool
    redirect_uris : tuple of str
    launch_uri : str or None
        Where an EHR launch starts it.
    """

    id: str
    name: str
    scope: str
    jwks: str | None
    has_secret: bool
    redirect_uris: tuple[str, ...]
    public: bool
    disabled: bool
    jwks_uri: str | None = None
    launch_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What a program is registered with; at least one of keys, a secret, or ``public``.

    Parameters
    ----------
    jwks : str, optional
        Public keys as JSON; at least one RSA key of 2048 bits (RS384) or EC key on P-384 (ES384), with ``kid``.
    jwks_uri : str, optional
        Where they are instead; its host must be in ``smart.jwks_hosts`` when they are fetched.
    secret : str, optional
        Only its argon2id hash is kept.
    redirect_uris : tuple of str
        Compared as they stand, character by character.
    public : bool
        It cannot keep a secret.
    launch_uri : str, optional
    """

    jwks: str | None = None
    jwks_uri: str | None = None
    secret: str | None = field(default=None, repr=False)
    redirect_uris: tuple[str, ...] = ()
    public: bool = False
    launch_uri: str | None = None

    def check(self) -> None:
        """Refuse what could not work, or could not be kept safe.

        Raises
        ------
        ConfigError
            The words name the option.
        """
        proofs = [self.jwks or self.jwks_uri, self.secret]
        if not (any(proofs) or self.public):
            raise ConfigError("a client needs public keys (--jwks, --jwks-uri), a secret (--secret-stdin) or --public")
        if self.public and any(proofs):
            raise ConfigError("a public client has neither keys nor a secret")
        if self.jwks and self.jwks_uri:
            raise ConfigError("give the keys (--jwks) or where they are (--jwks-uri), not both")
        if self.jwks:
            usable_keys(self.jwks)
        if self.jwks_uri:
            _check_web_address(self.jwks_uri, "--jwks-uri")
        if self.launch_uri:
            _check_web_address(self.launch_uri, "--launch-uri")
        for uri in self.redirect_uris:
            _check_redirect(uri)


class ClientStore:
    """Registered programs."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._passwords = Passwords()
        self._origins: frozenset[str] = frozenset()
        self._origins_read_at = float("-inf")

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
        """Register a program and return its client id; as :meth:`register`, for the usual cases."""
        registration = Registration(jwks=jwks, secret=secret, redirect_uris=redirect_uris, public=public)
        return self.register(name, scope, registration)

    def register(self, name: str, scope: str, registration: Registration) -> str:
        """Register a program and return its client id.

        Parameters
        ----------
        name : str
            For people, who see it when they are asked for their consent.
        scope : str
            The most that it may be granted, parted by blanks.
        registration : Registration

        Raises
        ------
        ConfigError
            If the keys, addresses or scopes cannot be used.
        """
        try:
            scope = check_scopes(scope)
        except InputRejected as error:
            raise ConfigError(str(error)) from None
        registration.check()
        client_id = str(uuid.uuid4())
        row = {
            "id": client_id,
            "name": name,
            "scope": scope,
            "jwks": registration.jwks,
            "jwks_uri": registration.jwks_uri,
            "secret_hash": self._passwords.hash(registration.secret) if registration.secret else None,
            "redirect_uris": json.dumps(list(registration.redirect_uris)),
            "launch_uri": registration.launch_uri,
            "public": registration.public,
            "disabled": False,
            "created_at": self._clock(),
        }
        self._database.write(lambda connection: connection.execute(clients.insert(), row))
        self._origins_read_at = float("-inf")
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

    def origins(self) -> frozenset[str]:
        """Return the origins of apps that run in browsers, by their redirect URIs; may be some seconds old."""
        now = self._clock()
        if not 0 <= now - self._origins_read_at < _ORIGINS_S:
            with self._database.read() as connection:
                rows = connection.execute(select(clients.c.redirect_uris).where(~clients.c.disabled)).scalars().all()
            self._origins = frozenset(filter(None, (_origin(uri) for row in rows for uri in json.loads(row))))
            self._origins_read_at = now
        return self._origins

    def disable(self, client_id: str) -> None:
        """Shut a program out; the tokens that it holds end at once.

        Raises
        ------
        NotFound
            If there is no such client.
        """
        shut = update(clients).where(clients.c.id == client_id).values(disabled=True)
        if not self._database.write(lambda connection: connection.execute(shut).rowcount):
            raise NotFound("there is no client of that id")

    def secret_holds(self, client_id: str, secret: str) -> bool:
        """Tell whether a secret is the client's. Takes the time of argon2id."""
        statement = select(clients.c.secret_hash).where(clients.c.id == client_id, ~clients.c.disabled)
        with self._database.read() as connection:
            held = connection.execute(statement).scalar_one_or_none()
        return self._passwords.match(held or "", secret)


def _check_web_address(uri: str, option: str) -> None:
    parts = _parts(uri, option)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not secure or not parts.hostname or parts.fragment or "@" in parts.netloc:
        raise ConfigError(f"{option} must be an https address, or http on loopback, without a fragment")


def _check_redirect(uri: str) -> None:
    parts = _parts(uri, "--redirect-uri")
    if parts.scheme in ("http", "https"):
        _check_web_address(uri, "--redirect-uri")
    elif not parts.scheme or parts.scheme in _NEVER or "#" in uri or "*" in uri:
        raise ConfigError("--redirect-uri must be an https address, http on loopback, or an app's own scheme")


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.lower()}" if parts.scheme in ("http", "https") else ""


def _parts(uri: str, option: str) -> SplitResult:
    if not uri.isascii() or not uri.isprintable() or " " in uri or "\\" in uri:
        raise ConfigError(f"{option} has characters that no address has")
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{option} is not an address") from None
    return parts


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
        jwks_uri=row["jwks_uri"],
        launch_uri=row["launch_uri"],
    )
