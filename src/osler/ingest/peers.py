"""Who may associate: calling AE titles at addresses."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from osler.errors import ConfigError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Peer:
    """The other side of an association.

    Parameters
    ----------
    calling_ae_title : str
        Without padding; empty until the peer has said it.
    address : str
        IP address; an IPv4 address mapped into IPv6 is written as IPv4.
    """

    calling_ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class _Entry:
    title: str
    networks: tuple[_Network, ...]


class AcceptList:
    """The setting ``dimse.accept``, parsed.

    Parameters
    ----------
    entries : sequence of str
        ``TITLE@ADDRESS``: an AE title or ``*``, at an IP address or a network in CIDR form. ``127.0.0.1`` and
        ``localhost`` stand for the loopback of both IP versions.

    Raises
    ------
    ConfigError
        If an entry has another form.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self._entries = tuple(_parse(entry) for entry in entries)

    def allows(self, peer: Peer) -> bool:
        """Whether this peer may associate."""
        address = ipaddress.ip_address(peer.address)
        return any(
            entry.title in ("*", peer.calling_ae_title)
            and any(address in network for network in entry.networks if network.version == address.version)
            for entry in self._entries
        )


def plain_address(address: str) -> str:
    """Return a socket's peer address without an IPv6 zone, and as IPv4 when it is one mapped into IPv6."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _parse(entry: str) -> _Entry:
    title, at, address = entry.rpartition("@")
    title, address = title.strip(), address.strip()
    if not at or not 1 <= len(title) <= 16:
        raise ConfigError(f"dimse.accept: {entry!r} is not TITLE@ADDRESS")
    if address in _LOOPBACK:
        return _Entry(title, (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("::1")))
    try:
        return _Entry(title, (ipaddress.ip_network(address.strip("[]"), strict=False),))
    except ValueError:
        raise ConfigError(f"dimse.accept: {entry!r} names no IP address or network") from None
