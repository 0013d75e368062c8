"""The DICOM storage SCP: takes connections, and lets each association run in a thread of its own.

The upper layer and the messages are in ``upper_layer``, ``messages`` and ``association``.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable

from osler.domain.events import Received
from osler.errors import ConfigError
from osler.ingest.association import Association, Limits, Observer, Seats, Service
from osler.ingest.messages import Room
from osler.ingest.peers import AcceptList, Peer, plain_address
from osler.tls import ServerTls

__all__ = ["AcceptList", "Limits", "Observer", "Peer", "StorageScp"]

_SPARE_CONNECTIONS = 32
_SPARE_CONNECTIONS_PER_PEER = 8
"""Connections beyond the associations that may be open: those in negotiation or closing."""
_ABORT_S = 2.0
_ACCEPT_AGAIN_S = 0.05


class StorageScp:
    """A DICOM node that answers C-ECHO and stores what C-STORE brings.

    Parameters
    ----------
    accept : callable
        Files one instance and returns when it is durable. Called in many threads at a time. An OslerError that it
        raises becomes the status of the C-STORE.
    address : (str, int)
        Host and port; port 0 takes a free one.
    ae_title : str
        Called AE title that peers must use.
    peers : AcceptList
        Who may associate.
    observer : Observer
    limits : Limits
    """

    def __init__(
        self,
        accept: Callable[[Received], None],
        *,
        address: tuple[str, int],
        ae_title: str,
        peers: AcceptList,
        observer: Observer,
        limits: Limits | None = None,
    ) -> None:
        self._address = address
        self._tls: ServerTls | None = None
        limits = limits or Limits()
        self._stop_reader, self._stop_writer = os.pipe()
        self._service = Service(
            accept,
            ae_title,
            peers,
            limits,
            observer,
            Seats(limits.max_associations, limits.max_associations_per_peer),
            Room(limits.max_instance_bytes),
            self._stop_reader,
        )
        self._listener: socket.socket | None = None
        self._listening: threading.Thread | None = None
        self._connections: dict[threading.Thread, tuple[socket.socket, str]] = {}
        self._changed = threading.Condition()

    @property
    def port(self) -> int:
        """The port that we listen on."""
        if self._listener is None:
            raise ConfigError("the DICOM node is not started")
        return int(self._listener.getsockname()[1])

    @property
    def associations(self) -> int:
        """Number of associations that are open now."""
        return self._service.seats.taken()

    def start(self, tls: ServerTls | None = None) -> None:
        """Listen, and return at once; without ``tls`` in clear.

        Raises
        ------
        ConfigError
            If the address cannot be listened on.
        """
        host, port = self._address
        self._tls = tls
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._listener = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            raise ConfigError(
                f"dimse.address: cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}"
            ) from None
        self._listening = threading.Thread(target=self._listen, args=(self._listener,), name="dimse", daemon=True)
        self._listening.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no more connections, let messages that are on their way end, then abort what is left.

        Parameters
        ----------
        timeout_s : float
            Time for the messages, seconds.
        """
        if self._listener is None or self._listening is None:
            return
        os.write(self._stop_writer, b"\0")
        self._listening.join()
        self._listener.close()
        self._listener = None
        with self._changed:
            if not self._changed.wait_for(lambda: not self._connections, timeout_s):
                for connection, _ in self._connections.values():
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
            # A thread that is still filing an instance keeps the pipe: it looks at it once more before it ends.
            if self._changed.wait_for(lambda: not self._connections, _ABORT_S):
                os.close(self._stop_writer)
                os.close(self._stop_reader)

    def _listen(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._stop_reader, select.POLLIN)
        while self._stop_reader not in {fd for fd, _ in poll.poll()}:
            try:
                connection, remote = listener.accept()
            except OSError:
                # The peer is gone again, or there is no file descriptor left: the next one may be luckier.
                time.sleep(_ACCEPT_AGAIN_S)
                continue
            connection.setblocking(True)
            self._open(connection, plain_address(remote[0]))

    def _open(self, connection: socket.socket, address: str) -> None:
        with self._changed:
            opened = self._has_place(address) and self._start_thread(connection, address)
        if not opened:
            connection.close()
            self._service.observer.association_aborted(Peer("", address), "too-many-connections")

    def _has_place(self, address: str) -> bool:
        limits = self._service.limits
        taken = Counter(other for _, other in self._connections.values())
        return (
            taken.total() < limits.max_associations + _SPARE_CONNECTIONS
            and taken[address] < limits.max_associations_per_peer + _SPARE_CONNECTIONS_PER_PEER
        )

    def _start_thread(self, connection: socket.socket, address: str) -> bool:
        thread = threading.Thread(
            target=self._run, args=(connection, address), name=f"dimse-{connection.fileno()}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            return False
        self._connections[thread] = (connection, address)
        return True

    def _run(self, connection: socket.socket, address: str) -> None:
        try:
            secured = self._secured(connection, address)
            if secured is not None:
                Association(secured, address, self._service).run()
                secured.close()
        finally:
            connection.close()
            with self._changed:
                del self._connections[threading.current_thread()]
                self._changed.notify_all()

    def _secured(self, connection: socket.socket, address: str) -> socket.socket | None:
        """Return the connection as the association shall use it; None when a TLS handshake failed."""
        if self._tls is None:
            return connection
        secured = self._tls.shake(connection)
        if secured is None:
            self._service.observer.association_aborted(Peer("", address), "tls-handshake")
            return None
        with self._changed:
            self._connections[threading.current_thread()] = (secured, address)
        return secured
