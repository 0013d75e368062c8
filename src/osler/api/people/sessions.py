"""Sessions of people in a browser: a random cookie of which only a hash is kept.

A new value is given at each step of the sign-in, so one that somebody planted before is worth nothing after. A session
ends when it was idle for long, at a fixed time after the sign-in, with the account, and when the person says so.

References
----------
OWASP Session Management; RFC 6265bis (``__Host-``)
"""

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from sqlalchemy import Connection, delete, or_, select, update
from starlette.requests import Request

from osler.api.people.roles import Role
from osler.storage.database import Database
from osler.storage.tables import session, user

SIGN_IN_PATH: Final = "/oauth/sign-in"
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_NOTE_EVERY_S: Final = 30.0
_STEPS_S: Final = 600.0
_LONGEST_PATH: Final = 8192


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person who has signed in.

    Parameters
    ----------
    name : str
    role : Role
    fhir_user : str or None
        ``Practitioner/id``.
    auth_time : float
        When the sign-in was complete, seconds since the epoch, UTC.
    methods : tuple of str
        How, in the words of RFC 8176: ``pwd``, ``otp``, ``mfa``; ``ext`` for an external identity provider.
    """

    name: str
    role: Role
    fhir_user: str | None
    auth_time: float
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in of which a step is still to be done."""

    name: str
    awaits: str
    methods: tuple[str, ...]


class Sessions:
    """Who is signed in.

    Parameters
    ----------
    database : Database
    secure : bool
        Whether browsers reach us by https.
    idle_s, absolute_s : float
        How long a session lasts without a request, and in all, seconds.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        database: Database,
        *,
        secure: bool,
        idle_s: float = 900.0,
        absolute_s: float = 28_800.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._idle_s = idle_s
        self._absolute_s = absolute_s
        self._clock = clock
        self.secure = secure
        self.cookie = "__Host-osler" if secure else "osler"

    def token(self, request: Request) -> str | None:
        """Return the cookie's value, of which nothing is known yet; None when it has not the form of ours."""
        value = request.cookies.get(self.cookie, "")
        return value if _FORM.fullmatch(value) else None

    def person(self, request: Request) -> SignedIn | None:
        """Return who sent a request, or None when nobody is signed in there."""
        token = self.token(request)
        if token is None:
            return None
        now = self._clock()
        statement = (
            select(user.c.name, user.c.role, user.c.fhir_user, session)
            .join(user, user.c.name == session.c.person)
            .where(
                session.c.hash == _hash(token),
                session.c.awaits == "",
                session.c.started_at > now - self._absolute_s,
                session.c.seen_at > now - self._idle_s,
                ~user.c.disabled,
            )
        )
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        if now - row.seen_at > _NOTE_EVERY_S:
            seen = update(session).where(session.c.hash == row.hash).values(seen_at=now)
            self._database.write(lambda connection: connection.execute(seen))
        return SignedIn(row.name, Role(row.role), row.fhir_user, row.started_at, tuple(row.methods.split()))

    def begun(self, request: Request) -> Begun | None:
        """Return the sign-in of which a step is still to be done, or None."""
        token = self.token(request)
        if token is None:
            return None
        statement = (
            select(session.c.person, session.c.awaits, session.c.methods)
            .join(user, user.c.name == session.c.person)
            .where(
                session.c.hash == _hash(token),
                session.c.awaits != "",
                session.c.started_at > self._clock() - _STEPS_S,
                ~user.c.disabled,
            )
        )
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else Begun(row.person, row.awaits, tuple(row.methods.split()))

    def start(
        self, connection: Connection, name: str, methods: tuple[str, ...], *, awaits: str = "", before: str | None
    ) -> str:
        """Start a session, within the caller's transaction, and return the new value of the cookie.

        Parameters
        ----------
        connection : Connection
        name : str
        methods : tuple of str
            What the person has shown so far.
        awaits : str
            The step that is still to be done; until then nobody is signed in.
        before : str or None
            The cookie's value so far; the session that it stood for ends.
        """
        now = self._clock()
        over = or_(session.c.started_at < now - self._absolute_s, session.c.seen_at < now - self._idle_s)
        connection.execute(delete(session).where(over))
        if before is not None:
            self.end(connection, before)
        token = secrets.token_urlsafe(32)
        row = {
            "hash": _hash(token),
            "person": name,
            "started_at": now,
            "seen_at": now,
            "methods": " ".join(methods),
            "awaits": awaits,
        }
        connection.execute(session.insert(), row)
        return token

    def end(self, connection: Connection, token: str) -> None:
        """End a session."""
        connection.execute(delete(session).where(session.c.hash == _hash(token)))


def sign_in_url(return_to: str) -> str:
    """Return the path of the sign-in page that leads on to one of our own paths (with its query)."""
    return f"{SIGN_IN_PATH}?return_to={quote(own_path(return_to), safe='')}"


def own_path(path: str, *, otherwise: str = "/account") -> str:
    """Return a path of ours as it is, and another in place of whatever could lead elsewhere."""
    if len(path) > _LONGEST_PATH or not path.isascii() or not path.isprintable() or "\\" in path:
        return otherwise
    try:
        parts = urlsplit(path)
    except ValueError:
        return otherwise
    plain = path.startswith("/") and not path.startswith("//") and not parts.scheme and not parts.netloc
    return path if plain else otherwise


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()
