"""Hosts of their own on one machine: Linux network namespaces, joined by switches whose ports can be cut."""

import contextlib
import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


class Network:
    """Hosts, the networks that each is plugged into, and nothing between networks: a host forwards no packet.

    Network ``n`` is 10.81.n.0/24, and the ``k``-th host that is plugged into it 10.81.n.k.

    Parameters
    ----------
    networks : dict
        Name of each network, with the names of its hosts.

    Raises
    ------
    PermissionError
        If this system does not let this user make network namespaces.
    """

    def __init__(self, networks: dict[str, tuple[str, ...]]) -> None:
        self._tag = f"osler-{secrets.token_hex(3)}-"
        self._addresses: dict[tuple[str, str], str] = {}
        self._ports: dict[tuple[str, str], str] = {}
        self._names = ["switch", *dict.fromkeys(host for hosts in networks.values() for host in hosts)]
        try:
            for name in self._names:
                _ip("netns", "add", self._tag + name)
                _ip("-n", self._tag + name, "link", "set", "lo", "up")
            for number, (name, hosts) in enumerate(networks.items(), 1):
                self._plug(name, number, hosts)
        except PermissionError:
            self.close()
            raise

    def _plug(self, network: str, number: int, hosts: tuple[str, ...]) -> None:
        switch = self._tag + "switch"
        _ip("-n", switch, "link", "add", f"net{number}", "type", "bridge")
        _ip("-n", switch, "link", "set", f"net{number}", "up")
        for place, host in enumerate(hosts, 1):
            ours, theirs = f"net{number}p{place}", f"eth{number}"
            peer = ("peer", "name", theirs, "netns", self._tag + host)
            _ip("-n", switch, "link", "add", ours, "type", "veth", *peer)
            _ip("-n", switch, "link", "set", ours, "master", f"net{number}", "up")
            self._addresses[network, host] = address = f"10.81.{number}.{place}"
            self._ports[network, host] = ours
            _ip("-n", self._tag + host, "address", "add", f"{address}/24", "dev", theirs)
            _ip("-n", self._tag + host, "link", "set", theirs, "up")

    def address(self, host: str, network: str) -> str:
        """Return the IPv4 address of a host in a network."""
        return self._addresses[network, host]

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Let this thread be on a host: what it opens, starts and resolves, and the threads and processes it starts."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            there = os.open(f"/run/netns/{self._tag}{host}", os.O_RDONLY)
            try:
                _enter(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)

    def cut(self, host: str, network: str) -> None:
        """Pull the plug: packets vanish, no connection is closed."""
        _ip("-n", self._tag + "switch", "link", "set", self._ports[network, host], "down")

    def restore(self, host: str, network: str) -> None:
        """Put the plug back."""
        _ip("-n", self._tag + "switch", "link", "set", self._ports[network, host], "up")

    def close(self) -> None:
        """Remove all hosts; their processes are the caller's to end."""
        for name in self._names:
            if Path(f"/run/netns/{self._tag}{name}").exists():
                _ip("netns", "del", self._tag + name)


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*args: str) -> None:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(f"ip {' '.join(args)}: {done.stderr.strip()}")
