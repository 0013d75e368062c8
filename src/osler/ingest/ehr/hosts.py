"""Which hosts may be asked, and at which of their addresses."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from osler.ehr_settings import may_be_asked
from osler.errors import AccessDenied, ConfigError, PeerUnavailable

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PORTS: Final = {"https": 443, "http": 80}


class Hosts:
    """The hosts that an ``[[ehr]]`` lists.

    Parameters
    ----------
    base : str
        URL whose host is among them. When it is an address, that address is listed, private or not.
    listed : sequence of str
        Names, addresses and networks. A name does not admit a private address that it stands for: that must be listed
        too (``localhost`` admits loopback).
    resolve : callable, optional
        Takes a host and a port, returns the addresses, the best first.

    Raises
    ------
    ConfigError
        If one of them can be no host.
    """

    def __init__(
        self,
        base: str,
        listed: Sequence[str] = (),
        *,
        resolve: Callable[[str, int], Sequence[str]] | None = None,
    ) -> None:
        self._resolve = resolve or _resolved
        texts = [urlsplit(base).hostname or "", *(text.strip("[]").lower() for text in listed)]
        for text in texts:
            named = all(part and part.replace("-", "").replace("_", "").isalnum() for part in text.split("."))
            if network_of(text) is None and not named:
                raise ConfigError(f"hosts of an ehr: {text!r} is no host, address or network")
        self._names = frozenset(texts)
        self._networks = tuple(network for text in texts if (network := network_of(text)))

    def check(self, url: str) -> SplitResult:
        """Return the parts of a URL that may be asked, as far as its words go.

        Raises
        ------
        AccessDenied
            If it is not https (http on loopback), or its host is not listed.
        """
        if not may_be_asked(url):
            raise AccessDenied("the EHR names an address that is not https")
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if host not in self._names and not self._listed(host):
            raise AccessDenied("the EHR names a host that its hosts in the settings do not have")
        return parts

    def addresses(self, url: str) -> Sequence[str]:
        """Return the addresses that a URL's host may be asked at.

        Raises
        ------
        AccessDenied
            As :meth:`check`, or if the host stands for a private address that is not listed.
        PeerUnavailable
            If the host is not known.
        """
        parts = self.check(url)
        host = (parts.hostname or "").lower()
        try:
            addresses = self._resolve(host, parts.port or _PORTS[parts.scheme])
        except (OSError, UnicodeError):
            raise PeerUnavailable("the EHR's host is not known") from None
        for text in addresses:
            address = ipaddress.ip_address(text)
            admitted = address.is_global or self._listed(text) or (host == "localhost" and address.is_loopback)
            if not admitted:
                raise AccessDenied("the EHR's host stands for a private address that its hosts do not have: list it")
        if not addresses:
            raise PeerUnavailable("the EHR's host is not known")
        return addresses

    def _listed(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def _resolved(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in sorted(found, key=lambda entry: entry[0])]  # IPv4 first


def network_of(text: str) -> _Network | None:
    """Return the network that a text names; None when it names none."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL that may be asked; empty ones of another."""
    if not may_be_asked(url):
        return ("", "", 0)
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]
