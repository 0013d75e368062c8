"""Where something may be sent or asked for: hosts that a setting lists, and no private address that it does not."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx

from osler.errors import ConfigError, DeliveryRefused, PeerUnavailable

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_MAX_URL: Final = 2000


class AllowedHosts:
    """Hosts that may be called.

    Parameters
    ----------
    hosts : sequence of str
        Names, addresses and networks. A name does not admit a private address that it stands for: that must be listed
        too (``localhost`` admits loopback).
    setting : str
        Name of the setting that lists them, for the words of a refusal.

    Raises
    ------
    ConfigError
        If one of the hosts could be none.
    """

    def __init__(self, hosts: Sequence[str], *, setting: str) -> None:
        self._setting = setting
        self._names = frozenset(host.lower() for host in hosts)
        self._networks = tuple(network for host in hosts if (network := _network(host)))
        for host in hosts:
            if _network(host) is None and not all(part and part.replace("-", "").isalnum() for part in host.split(".")):
                raise ConfigError(f"{setting}: {host!r} is no host, address or network")

    def check(self, url: str) -> SplitResult:
        """Return the parts of an address that may be called, as far as the address itself can tell.

        Raises
        ------
        DeliveryRefused
            If it is not an https address (or http on loopback) of a host that is listed.
        """
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
            _ = parts.port
        except ValueError:
            raise DeliveryRefused("the address is not one") from None
        plain = url.isascii() and url.isprintable() and not set(url) & set(' \\"<>') and len(url) <= _MAX_URL
        if not plain or not host or "@" in parts.netloc or parts.fragment:
            raise DeliveryRefused("the address is not one")
        if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
            raise DeliveryRefused("the address is not an https address")
        literal = _network(host)
        listed = host in self._names if literal is None else any(_within(literal, n) for n in self._networks)
        if not listed:
            raise DeliveryRefused(f"the host is not in {self._setting}")
        return parts

    async def address_of(self, parts: SplitResult) -> str:
        """Return the network address to connect to: the one that was looked at, so that no second look-up differs.

        Raises
        ------
        PeerUnavailable
            If the host is not known now.
        DeliveryRefused
            If it stands for a private address that is not listed.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(*_name_of(parts), type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise PeerUnavailable("the host is not known") from None
        return self._looked_at(parts, [str(entry[4][0]) for entry in found])

    def address_now(self, parts: SplitResult) -> str:
        """Return the same as :meth:`address_of`, in a thread that may wait."""
        try:
            found = socket.getaddrinfo(*_name_of(parts), type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise PeerUnavailable("the host is not known") from None
        return self._looked_at(parts, [str(entry[4][0]) for entry in found])

    def _looked_at(self, parts: SplitResult, addresses: Sequence[str]) -> str:
        local = (parts.hostname or "").lower() == "localhost"
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            listed = any(address in network for network in self._networks)
            if not (listed or address.is_global or (local and address.is_loopback)):
                raise DeliveryRefused(f"the address is private, and neither it nor its network is in {self._setting}")
        if not addresses:
            raise PeerUnavailable("the host is not known")
        return addresses[0]


def pinned(parts: SplitResult, address: str) -> str:
    """Return a URL that leads to an address that was looked at; ``Host`` and SNI must name the host."""
    brackets = f"[{address}]" if ":" in address else address
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{brackets}{port}").geturl()


def get(url: str, hosts: AllowedHosts, *, headers: Mapping[str, str], most: int, whole_s: float) -> tuple[int, bytes]:
    """Ask for something at an allowed address: no redirect, no proxy of the environment, bounded in size and time.

    Parameters
    ----------
    url : str
    hosts : AllowedHosts
    headers : mapping
        Beside ``Host``.
    most : int
        Longest answer, bytes as sent.
    whole_s : float
        Time for all of it, seconds.

    Returns
    -------
    (int, bytes)
        HTTP status, and the body as it was sent: whoever needs it unpacked must not ask for it packed.

    Raises
    ------
    DeliveryRefused
        If the host is not allowed.
    PeerUnavailable
        If it does not answer in time, or at too great a length.
    """
    parts = hosts.check(url)
    target, deadline = pinned(parts, hosts.address_now(parts)), time.monotonic() + whole_s
    sent = {**headers, "host": parts.netloc, "accept-encoding": "identity"}
    content = b""
    try:
        with (
            httpx.Client(follow_redirects=False, trust_env=False, timeout=whole_s) as http,
            http.stream("GET", target, headers=sent, extensions={"sni_hostname": parts.hostname or ""}) as response,
        ):
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > most or time.monotonic() > deadline:
                    raise PeerUnavailable("it is too long, or takes too long")
            return response.status_code, content
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
        raise PeerUnavailable(f"it cannot be had ({type(error).__name__})") from None


def _name_of(parts: SplitResult) -> tuple[str, int]:
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _within(
    inner: ipaddress.IPv4Network | ipaddress.IPv6Network, outer: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"))
    except ValueError:
        return None
