"""The keys of clients: from their registration, or fetched from where the registration says, and from nowhere else."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from osler.api.smart.client_keys import MAX_JWKS, ClientKey, usable_keys
from osler.api.smart.clients import Client
from osler.errors import OslerError, PeerUnavailable
from osler.publish.hosts import AllowedHosts, get

_FRESH_S: Final = 3600.0
_AGAIN_S: Final = 30.0  # a kid that is not known may be new, but nobody makes us ask without end
_WHOLE_S: Final = 5.0
_HEADERS: Final = {"accept": "application/json, application/jwk-set+json"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: dict[str, ClientKey]
    fetched_at: float
    tried_at: float


class ClientKeys:
    """Finds the key that a client has signed with.

    Parameters
    ----------
    hosts : sequence of str
        Names, addresses and networks that keys may be fetched from. A name does not admit a private address that it
        stands for: that must be listed too (``localhost`` admits loopback).
    clock : callable
        Seconds since the epoch, UTC.

    Raises
    ------
    ConfigError
        If one of the hosts could be none.
    """

    def __init__(self, hosts: Sequence[str] = (), *, clock: Callable[[], float] = time.time) -> None:
        self._hosts = AllowedHosts(hosts, setting="smart.jwks_hosts")
        self._clock = clock
        self._fetched: dict[str, _Fetched] = {}
        self._fetching = threading.Lock()

    def find(self, client: Client, kid: str) -> ClientKey | None:
        """Return a client's key of a name, or None. Keys at an address are fetched again when the name is new."""
        if client.jwks:
            return usable_keys(client.jwks).get(kid)
        if not client.jwks_uri:
            return None
        held = self._held(client.jwks_uri, kid)
        if held is None:
            with self._fetching:
                held = self._held(client.jwks_uri, kid) or self._fetch(client.jwks_uri)
        return held.keys.get(kid)

    def _held(self, uri: str, kid: str) -> _Fetched | None:
        """Return the keys of an address when they answer the question, or must not be asked for again yet."""
        held, now = self._fetched.get(uri), self._clock()
        if held is None:
            return None
        fresh = now - held.fetched_at < _FRESH_S
        if now - held.tried_at < _AGAIN_S:
            return held if fresh else _Fetched({}, held.fetched_at, held.tried_at)
        return held if fresh and kid in held.keys else None

    def _fetch(self, uri: str) -> _Fetched:
        before, now = self._fetched.get(uri, _Fetched({}, 0.0, 0.0)), self._clock()
        try:
            held = _Fetched(usable_keys(self._text(uri)), now, now)
        except OslerError as error:
            log.warning("keys of a client cannot be fetched", host=urlsplit(uri).hostname, reason=str(error))
            held = _Fetched(before.keys, before.fetched_at, now)
        self._fetched[uri] = held
        return held if now - held.fetched_at < _FRESH_S else _Fetched({}, 0.0, now)

    def _text(self, uri: str) -> str:
        status, content = get(uri, self._hosts, headers=_HEADERS, most=MAX_JWKS, whole_s=_WHOLE_S)
        if status != 200:
            raise PeerUnavailable(f"it answers {status}, not 200")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise PeerUnavailable("it is not UTF-8") from None
