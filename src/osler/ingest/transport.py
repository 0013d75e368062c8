"""A socket that is read one PDU at a time, within bounds of size and time.

This is not left to pynetdicom: it reads what a PDU declares, up to 4 GiB, before it looks at it, waits for the rest of
a PDU without end, and polls in two threads for each association, so that 32 idle ones keep a processor busy and slow
the one that works to a seventh.

References
----------
DICOM PS3.8 section 9.1
"""

import contextlib
import select
import socket
import struct
import time
from typing import Final

from osler import tls
from osler.errors import PeerUnavailable
from osler.ingest.upper_layer import INVALID_PARAMETER, UNRECOGNIZED_PDU, ProtocolFault

_LINGER_S: Final = 1.0
_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)  # Linux has it


class PduStream:
    """A connected socket that is read one PDU at a time.

    Parameters
    ----------
    connection : socket
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(1 << 14)
        with contextlib.suppress(OSError):  # the peer may be gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wait(self, stop: int, timeout_s: float) -> bool:
        """Wait for the peer to send something.

        Parameters
        ----------
        stop : int
            File descriptor that becomes readable when nobody shall wait any more.
        timeout_s : float

        Returns
        -------
        bool
            False when ``stop`` became readable.

        Raises
        ------
        PeerUnavailable
            If nothing came in time.
        """
        if tls.pending(self._connection):
            return True
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(stop, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(timeout_s * 1000)}
        if not ready:
            raise PeerUnavailable("idle")
        return stop not in ready

    def read(self, *, limit: int, timeout_s: float) -> tuple[int, memoryview]:
        """Read one PDU.

        Parameters
        ----------
        limit : int
            Longest body, bytes. A longer one is refused by its header, before any of it is read.
        timeout_s : float
            Time for the whole PDU.

        Returns
        -------
        (PDU type, body)
            The body is valid until the next call.

        Raises
        ------
        PeerUnavailable
            If the peer is gone or too slow.
        ProtocolFault
            If the PDU is of no known type or too long.
        """
        deadline = time.monotonic() + timeout_s
        kind, length = struct.unpack(">BxI", self._fill(6, deadline))
        if not 1 <= kind <= 7:
            raise ProtocolFault("unrecognized-pdu", UNRECOGNIZED_PDU)
        if length > limit:
            raise ProtocolFault("pdu-too-long", INVALID_PARAMETER)
        return kind, self._fill(length, deadline)

    def send(self, content: bytes, timeout_s: float) -> None:
        """Send bytes.

        Raises
        ------
        PeerUnavailable
            If the peer is gone or does not take them in time.
        """
        try:
            self._connection.settimeout(timeout_s)
            self._connection.sendall(content)
        except OSError:
            raise PeerUnavailable("disconnected") from None

    def close(self, last: bytes = b"") -> None:
        """Send a last PDU, leave it to the peer to close for a moment (PS3.8 Sta13), and close.

        Closing at once would reset the connection, and the peer might never read the PDU.
        """
        deadline = time.monotonic() + _LINGER_S
        try:
            if last:
                self._connection.settimeout(_LINGER_S)
                self._connection.sendall(last)
                while self._some(memoryview(self._buffer), deadline):
                    pass
        except (OSError, PeerUnavailable):
            pass
        finally:
            self._connection.close()

    def _fill(self, length: int, deadline: float) -> memoryview:
        if length > len(self._buffer):
            self._buffer = bytearray(length)
        whole = memoryview(self._buffer)[:length]
        at = 0
        while at < length:
            got = self._some(whole[at:], deadline)
            if not got:
                raise PeerUnavailable("disconnected")
            at += got
        return whole

    def _some(self, into: memoryview, deadline: float) -> int:
        left = deadline - time.monotonic()
        if left <= 0:
            raise PeerUnavailable("slow")
        try:
            self._connection.settimeout(left)
            got = self._connection.recv_into(into)
            if _QUICK_ACK is not None:
                # A peer that holds its next small segment back until this one is acknowledged (Nagle) would wait for
                # our delayed acknowledgement, 40 ms for each message. The option lasts for one acknowledgement.
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            return got
        except TimeoutError:
            raise PeerUnavailable("slow") from None
        except OSError:
            raise PeerUnavailable("disconnected") from None
