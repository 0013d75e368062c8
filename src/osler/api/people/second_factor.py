"""The second factor: a code that changes every half minute (TOTP), and codes on paper for when the telephone is gone.

References
----------
RFC 6238; RFC 4226; NIST SP 800-63B 5.1.2 and 5.1.4
"""

import base64
import hashlib
import hmac
import io
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from sqlalchemy import Connection, delete, func, insert, select, update

from osler.api.people.store import Change, end_access
from osler.errors import InputRejected, IntegrityError, NotFound
from osler.storage.blobs import Sealer
from osler.storage.database import Database
from osler.storage.tables import recovery_code, user

STEP_S: Final = 30
_SECRET_BYTES: Final = 20
_DIGITS: Final = 6
_OFFER_S: Final = 900.0
_RECOVERY_CODES: Final = 10
_RECOVERY_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another
_RECOVERY_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class State:
    """Whether a person has a second factor, and how many recovery codes are left."""

    enrolled: bool
    recovery_codes: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A secret that a person may take into their authenticator.

    Parameters
    ----------
    secret : str
        In base 32, in groups of four, to be typed.
    uri : str
        ``otpauth:`` address.
    picture : str
        The address as a QR code, an SVG element.
    ticket : str
        Comes back with the first code; it holds the secret, sealed.
    """

    secret: str
    uri: str
    picture: str
    ticket: str


class SecondFactors:
    """Codes of people.

    Parameters
    ----------
    database : Database
    sealer : Sealer
        Seals the secrets.
    site : str
        As authenticators show it.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self, database: Database, *, sealer: Sealer, site: str = "Osler", clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._site = site
        self._clock = clock

    def state(self, name: str) -> State:
        """Tell what a person has.

        Raises
        ------
        NotFound
            If there is no such person.
        """
        codes = select(func.count()).select_from(recovery_code).where(recovery_code.c.person == name)
        with self._database.read() as connection:
            row = connection.execute(select(user.c.totp_sealed).where(user.c.name == name)).one_or_none()
            if row is None:
                raise NotFound("there is nobody of that name")
            return State(row.totp_sealed is not None, connection.execute(codes).scalar_one())

    def offer(self, name: str, ticket: str = "") -> Offer:
        """Make a new secret, or show that of a ticket again; nothing is kept until it is enrolled."""
        secret = self._open_ticket(name, ticket) or secrets.token_bytes(_SECRET_BYTES)
        typed = base64.b32encode(secret).decode()
        uri = f"otpauth://totp/{quote(self._site)}:{quote(name)}?secret={typed}&issuer={quote(self._site)}"
        picture = io.BytesIO()
        segno.make(uri, error="m").save(
            picture, kind="svg", scale=4, border=3, xmldecl=False, svgclass="qr", lineclass=None, omitsize=True
        )
        groups = " ".join(typed[i : i + 4] for i in range(0, len(typed), 4))
        return Offer(groups, uri, picture.getvalue().decode(), self._seal_ticket(name, secret))

    def enrol(self, connection: Connection, name: str, ticket: str, code: str) -> list[str]:
        """Take a secret into use, within the caller's transaction; return new recovery codes, to be shown once.

        Raises
        ------
        InputRejected
            If the code is not the secret's, or the ticket is too old.
        """
        secret = self._open_ticket(name, ticket)
        if secret is None:
            raise InputRejected("this took too long; begin again with the new picture")
        step = _step_of(secret, code, self._clock())
        if step is None:
            raise InputRejected("that is not the code of now: check that the telephone's clock is right")
        sealed = self._sealer.seal(secret, _aad(name))
        connection.execute(update(user).where(user.c.name == name).values(totp_sealed=sealed, totp_step=step))
        connection.execute(delete(recovery_code).where(recovery_code.c.person == name))
        codes = [_new_recovery_code() for _ in range(_RECOVERY_CODES)]
        connection.execute(insert(recovery_code), [{"person": name, "hash": _recovery_hash(c)} for c in codes])
        return codes

    def check(self, connection: Connection, name: str, code: str) -> bool:
        """Tell whether a code is right, and use it up, within the caller's transaction: it holds once."""
        row = connection.execute(select(user.c.totp_sealed, user.c.totp_step).where(user.c.name == name)).one_or_none()
        if row is None or row.totp_sealed is None:
            return False
        step = _step_of(self._sealer.open(row.totp_sealed, _aad(name)), code, self._clock())
        if step is None or (row.totp_step is not None and step <= row.totp_step):
            return False
        connection.execute(update(user).where(user.c.name == name).values(totp_step=step))
        return True

    def recover(self, connection: Connection, name: str, code: str) -> bool:
        """Tell whether a recovery code is right, and use it up, within the caller's transaction."""
        which = (recovery_code.c.person == name) & (recovery_code.c.hash == _recovery_hash(code))
        return connection.execute(delete(recovery_code).where(which)).rowcount == 1

    def reset(self, name: str, *, within: Change) -> None:
        """Take a person's second factor away; their sessions and tokens end.

        Raises
        ------
        NotFound
            If there is no such person.
        """

        def change(connection: Connection) -> None:
            values: dict[str, Any] = {"totp_sealed": None, "totp_step": None}
            if not connection.execute(update(user).where(user.c.name == name).values(values)).rowcount:
                raise NotFound("there is nobody of that name")
            connection.execute(delete(recovery_code).where(recovery_code.c.person == name))
            end_access(connection, name)
            within(connection)

        self._database.write(change)

    def _seal_ticket(self, name: str, secret: bytes) -> str:
        content = json.dumps([secret.hex(), self._clock() + _OFFER_S]).encode()
        return base64.urlsafe_b64encode(self._sealer.seal(content, b"offer/" + _aad(name))).decode()

    def _open_ticket(self, name: str, ticket: str) -> bytes | None:
        try:
            content = self._sealer.open(base64.urlsafe_b64decode(ticket.encode("ascii")), b"offer/" + _aad(name))
        except (ValueError, IntegrityError):
            return None
        secret, until = json.loads(content)
        return bytes.fromhex(secret) if self._clock() < until else None


def _hotp(secret: bytes) -> HOTP:
    return HOTP(secret, _DIGITS, SHA1())  # noqa: S303 -- the one that authenticators know


def _step_of(secret: bytes, code: str, now: float) -> int | None:
    """Return the time step whose code it is, of this and the two beside it (RFC 6238 5.2), or None."""
    given = "".join(code.split()).encode("utf-8", "replace")
    current = int(now) // STEP_S
    for step in (current, current - 1, current + 1):
        if hmac.compare_digest(_hotp(secret).generate(step), given):
            return step
    return None


def _new_recovery_code() -> str:
    letters = "".join(secrets.choice(_RECOVERY_LETTERS) for _ in range(_RECOVERY_LENGTH))
    return "-".join(letters[i : i + 4] for i in range(0, _RECOVERY_LENGTH, 4))


def _recovery_hash(code: str) -> bytes:
    return hashlib.sha256("".join(c for c in code.lower() if c.isalnum()).encode()).digest()


def _aad(name: str) -> bytes:
    return f"second-factor/{name}".encode()
