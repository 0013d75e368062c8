"""The keys of clients: from their registration, or fetched from where the registration says, and from nowhere else."""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx
import structlog

from osler.api.smart.client_keys import MAX_JWKS, ClientKey, usable_keys
from osler.api.smart.clients import LOOPBACK, Client
from osler.errors import AccessDenied, ConfigError, OslerError, PeerUnavailable

_FRESH_S: Final = 3600.0
_AGAIN_S: Final = 30.0  # a kid that is not known may be new, but nobody makes us ask without end
_WHOLE_S: Final = 5.0

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
        check_hosts(hosts)
        self._names = frozenset(host.lower() for host in hosts)
        self._networks = tuple(network for host in hosts if (network := _network(host)))
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
        """Get a JWK set: from the address that was looked at, no redirect, no proxy, bounded in size and time."""
        parts = urlsplit(uri)
        address = self._address(parts)
        brackets = f"[{address}]" if ":" in address else address
        port = f":{parts.port}" if parts.port else ""
        target = parts._replace(netloc=f"{brackets}{port}").geturl()
        headers = {"host": parts.netloc, "accept": "application/json, application/jwk-set+json"}
        deadline = time.monotonic() + _WHOLE_S
        content = b""
        try:
            with (
                httpx.Client(follow_redirects=False, trust_env=False, timeout=_WHOLE_S) as http,
                http.stream(
                    "GET", target, headers=headers, extensions={"sni_hostname": parts.hostname or ""}
                ) as response,
            ):
                if response.status_code != 200:
                    raise PeerUnavailable(f"it answers {response.status_code}, not 200")
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > MAX_JWKS or time.monotonic() > deadline:
                        raise PeerUnavailable("it is too long, or takes too long")
            return content.decode("utf-8")
        except (httpx.HTTPError, UnicodeDecodeError) as error:
            raise PeerUnavailable(f"it cannot be had ({type(error).__name__})") from None

    def _address(self, parts: SplitResult) -> str:
        """Return an address of a host that is listed.

        Raises
        ------
        AccessDenied
            If the host is not listed, or stands for a private address that is not.
        """
        host = (parts.hostname or "").lower()
        if parts.scheme != "https" and host not in LOOPBACK:
            raise AccessDenied("it is not an https address")
        literal = _network(host)
        if literal is None and host not in self._names:
            raise AccessDenied("the host is not in smart.jwks_hosts")
        try:
            found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise PeerUnavailable("the host is not known") from None
        addresses = [str(entry[4][0]) for entry in found]
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            listed = any(address in network for network in self._networks)
            if host == "localhost" and address.is_loopback:
                listed = True
            if not listed and (literal is not None or not address.is_global):
                raise AccessDenied("the address is private, and neither it nor its network is in smart.jwks_hosts")
        if not addresses:
            raise PeerUnavailable("the host is not known")
        return addresses[0]


def check_hosts(hosts: Sequence[str]) -> None:
    """Refuse what is neither a host's name, nor an address, nor a network.

    Raises
    ------
    ConfigError
        If one is not.
    """
    for host in hosts:
        if _network(host) is None and not all(part and part.replace("-", "").isalnum() for part in host.split(".")):
            raise ConfigError(f"smart.jwks_hosts: {host!r} is no host, address or network")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"))
    except ValueError:
        return None
