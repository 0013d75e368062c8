"""MLLP: HL7 v2 messages over TCP, each answered before the next is read.

References
----------
HL7 v2 Transport Specification: MLLP, Release 1 (a block is ``<SB>message<EB><CR>``, with 0x0B and 0x1C)
"""

import contextlib
import ipaddress
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from osler.errors import ConfigError
from osler.ingest.peers import plain_address
from osler.tls import ServerTls, pending

START: Final = b"\x0b"
END: Final = b"\x1c"
_MAX_NOISE: Final = 4096  # bytes between blocks; whoever sends more does not speak MLLP
_CHUNK: Final = 1 << 16
_ACCEPT_AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the listener.

    Parameters
    ----------
    max_message_bytes : int
        A longer message ends the connection: its control id may not have come yet, so it cannot be answered.
    max_connections : int
    idle_s : float
        How long a connection may be silent between messages.
    message_s : float
        How long one message may take to arrive.
    """

    max_message_bytes: int = 16_000_000
    max_connections: int = 64
    idle_s: float = 600.0
    message_s: float = 30.0


class MllpListener:
    """Listens for HL7 v2 messages.

    Parameters
    ----------
    answer : callable
        Given the bytes of a message and the address of the peer, returns the bytes of its acknowledgement; None ends
        the connection without one. Called in many threads at a time.
    address : (str, int)
        Host and port; port 0 takes a free one.
    allowed : sequence of str
        Addresses and networks that may connect.
    refused : callable
        Told why and from which address a connection was ended.
    limits : Limits
    tls : ServerTls, optional
        Without it we speak in clear.
    """

    def __init__(
        self,
        answer: Callable[[bytes, str], bytes | None],
        *,
        address: tuple[str, int],
        allowed: Sequence[str],
        refused: Callable[[str, str], None] = lambda reason, address: None,
        limits: Limits | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        self._tls = tls
        self._answer = answer
        self._refused = refused
        self._limits = limits or Limits()
        self._networks = [_network(entry) for entry in allowed]
        self._seats = threading.BoundedSemaphore(self._limits.max_connections)
        self._connections: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopped = False
        host, port = address
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._listener = socket.create_server((host, port), family=family, backlog=64)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ConfigError(f"mllp.address: cannot listen on {host}:{port}: {reason}") from None
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread = threading.Thread(target=self._listen, name="mllp", daemon=True)

    @property
    def port(self) -> int:
        """The port that we listen on."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Listen, and return at once."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take nothing new, and let the messages that have begun be answered; a second time it does nothing."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            os.write(self._stop_writer, b"\0")
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()
        deadline = time.monotonic() + timeout_s
        with self._lock:
            waiting = list(self._connections)
            if not waiting:
                self._close_pipe()
        for thread in waiting:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _listen(self) -> None:
        while _wait(self._listener, self._stop_reader, None):
            try:
                connection, peer = self._listener.accept()
            except OSError:  # out of file descriptors, or the peer was gone already
                time.sleep(_ACCEPT_AGAIN_S)
                continue
            self._seat(connection, plain_address(peer[0]))

    def _seat(self, connection: socket.socket, address: str) -> None:
        if not any(ipaddress.ip_address(address) in network for network in self._networks):
            self._turn_away(connection, "not-allowed", address)
        elif not self._seats.acquire(blocking=False):
            self._turn_away(connection, "too-many-connections", address)
        else:
            thread = threading.Thread(target=self._serve, args=(connection, address), name="mllp-peer", daemon=True)
            with self._lock:
                self._connections.add(thread)
            try:
                thread.start()
            except RuntimeError:  # the system has no thread left: the next connection may find one
                self._leave(thread)
                self._turn_away(connection, "out-of-threads", address)

    def _turn_away(self, connection: socket.socket, reason: str, address: str) -> None:
        connection.close()
        self._refused(reason, address)

    def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            secured = connection if self._tls is None else self._tls.shake(connection)
            if secured is None:
                self._refused("tls-handshake", address)
                return
            with secured as connection, contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for message in self._messages(connection, address):
                    answer = self._answer(message, address)
                    if answer is None:
                        return
                    connection.settimeout(self._limits.message_s)
                    connection.sendall(START + answer + END + b"\r")
        finally:
            self._leave(threading.current_thread())

    def _leave(self, thread: threading.Thread) -> None:
        self._seats.release()
        with self._lock:
            self._connections.discard(thread)
            if self._stopped and not self._connections and not self._thread.is_alive():
                self._close_pipe()

    def _close_pipe(self) -> None:
        """Close the pipe, with the last connection that waits on it: its number is somebody else's from then on."""
        if self._stop_reader >= 0:
            os.close(self._stop_reader)
            os.close(self._stop_writer)
            self._stop_reader = self._stop_writer = -1

    def _messages(self, connection: socket.socket, address: str) -> Iterator[bytes]:
        """Yield whole messages, until the peer closes or breaks a bound, or we stop."""
        limits = self._limits
        held = bytearray()
        while True:
            deadline = time.monotonic() + limits.idle_s
            begun = False
            searched = 0
            while (end := held.find(END, searched)) < 0:
                searched = len(held)
                start = held.find(START)
                if start < 0 and len(held) > _MAX_NOISE:
                    self._refused("not-mllp", address)
                    return
                if start >= 0 and not begun:
                    begun, deadline = True, time.monotonic() + limits.message_s
                if len(held) > limits.max_message_bytes:
                    self._refused("message-too-long", address)
                    return
                left = deadline - time.monotonic()
                stop = None if begun else self._stop_reader  # what has begun is read to its end
                if left <= 0 or not _wait(connection, stop, left):
                    if begun:
                        self._refused("message-too-slow", address)
                    return
                chunk = connection.recv(_CHUNK)
                if not chunk:
                    return
                held += chunk
            block = bytes(held[:end])
            del held[: end + 1]
            _, start_byte, message = block.rpartition(START)
            if not start_byte:
                self._refused("not-mllp", address)
                return
            yield message


def _wait(readable: socket.socket, stop: int | None, timeout_s: float | None) -> bool:
    """Wait until a socket can be read; False when ``stop`` became readable before it, or nothing did in time."""
    if pending(readable):
        return True
    poll = select.poll()
    poll.register(readable, select.POLLIN)
    if stop is not None:
        poll.register(stop, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000)}
    return bool(ready) and (stop is None or stop not in ready)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        raise ConfigError(f"mllp.accept: {entry!r} is not an IP address or a network") from None
