"""Whoever fails to sign in must wait, longer each time; and nobody can keep a person out of their own account.

Failures are counted for the account, for the network that they come from, and, from a browser in which the person has
signed in before, for that browser alone: whatever strangers do, the person at their own workstation signs in. The
first failures cost nothing; then the wait doubles up to a quarter of an hour.

An attempt is counted before the password is looked at, and taken back when it was right: so a hundred guesses at once
are no better than a hundred one after the other.
"""

import hashlib
import ipaddress
import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, delete, select, update

from osler.storage.database import Database, insert_ignore
from osler.storage.tables import sign_in_failure

FIRST_WAIT_S: Final = 15.0
LONGEST_WAIT_S: Final = 900.0
_FORGOTTEN_S: Final = 86_400.0
_OF_A_NETWORK: Final = 10  # times as many: a ward may share one address


class Waits:
    """Counts failed sign-ins.

    Parameters
    ----------
    database : Database
    max_failures : int
        Failures of one account before one must wait.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, database: Database, *, max_failures: int = 5, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._max_failures = max_failures
        self._clock = clock

    def begin(self, connection: Connection, name: str, address: str, *, known_browser: str | None = None) -> float:
        """Count an attempt, within the caller's transaction, and return how long it must wait first, seconds.

        Parameters
        ----------
        connection : Connection
        name : str
            As given; it need not be anybody's.
        address : str
            Of the network peer.
        known_browser : str or None
            The browser, when the person has signed in there before (:class:`~osler.api.people.browsers.Browsers`).

        Returns
        -------
        float
            0 when it may go on. Then it stands as a failure until :meth:`succeeded` takes it back; an attempt that
            must wait is not counted, so the wait has an end.
        """
        now = self._clock()
        connection.execute(delete(sign_in_failure).where(sign_in_failure.c.last_at < now - _FORGOTTEN_S))
        sources = self._sources(name, address, known_browser)
        wait = max(self._wait(connection, source, limit, now) for source, limit in sources)
        if wait <= 0:
            for source, _ in sources:
                _count(connection, source, now)
        return max(0.0, wait)

    def succeeded(self, connection: Connection, name: str, address: str, *, known_browser: str | None = None) -> None:
        """Take back what :meth:`begin` counted: for the account all of it, for the network this one."""
        account, *networks = [source for source, _ in self._sources(name, address, known_browser)]
        connection.execute(delete(sign_in_failure).where(sign_in_failure.c.source == account))
        for source in networks:
            connection.execute(
                update(sign_in_failure)
                .where(sign_in_failure.c.source == source, sign_in_failure.c.count > 0)
                .values(count=sign_in_failure.c.count - 1)
            )

    def forget(self, connection: Connection, name: str) -> None:
        """Forget the failures of an account."""
        connection.execute(delete(sign_in_failure).where(sign_in_failure.c.source == _source("account", name)))

    def _sources(self, name: str, address: str, known_browser: str | None) -> Sequence[tuple[bytes, int]]:
        if known_browser is not None:
            return [(_source("browser", known_browser, name), self._max_failures)]
        return [
            (_source("account", name), self._max_failures),
            (_source("network", _network(address)), self._max_failures * _OF_A_NETWORK),
        ]

    def _wait(self, connection: Connection, source: bytes, limit: int, now: float) -> float:
        found = connection.execute(select(sign_in_failure).where(sign_in_failure.c.source == source)).mappings().first()
        if found is None or found["count"] < limit:
            return 0.0
        doubled: float = FIRST_WAIT_S * 2.0 ** min(found["count"] - limit, 16)
        return float(found["last_at"]) + min(doubled, LONGEST_WAIT_S) - now


def _count(connection: Connection, source: bytes, now: float) -> None:
    row = {"source": source, "count": 1, "last_at": now}
    if not insert_ignore(connection, sign_in_failure, [row]):
        connection.execute(
            update(sign_in_failure)
            .where(sign_in_failure.c.source == source)
            .values(count=sign_in_failure.c.count + 1, last_at=now)
        )


def _network(address: str) -> str:
    """Return the address, of IPv6 the /64: whoever has one of those has all of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False)) if parsed.version == 6 else address


def _source(*parts: str) -> bytes:
    framed = b"".join(len(p).to_bytes(4, "big") + p for p in (part.encode("utf-8", "surrogatepass") for part in parts))
    return hashlib.sha256(framed).digest()
