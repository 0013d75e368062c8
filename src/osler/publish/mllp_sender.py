"""Send an HL7 v2 message over MLLP, and read the answer.

======  ==========================================================  ===============
MSA-1   meaning (table 0008, original mode)                         answer
======  ==========================================================  ===============
AA, CA  taken                                                       Delivery
AR, CR  not now, for a reason that is not the message's             PeerUnavailable
AE, CE  the message is at fault                                     DeliveryRefused
none    no connection, closed, or no answer in time                 PeerUnavailable
======  ==========================================================  ===============

References
----------
HL7 v2.5.1, 2.9.2; HL7 v2 Transport Specification: MLLP, Release 1
"""

import contextlib
import socket
import ssl
import time
from typing import Final

from osler.config import Destination, split_address
from osler.domain.events import Delivery
from osler.errors import DeliveryRefused, OslerError, PeerUnavailable
from osler.standards.hl7v2 import parse
from osler.tls import reason_of

_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 30.0
_MAX_ANSWER: Final = 1 << 20


def send(message: bytes, destination: Destination, *, control_id: str, tls: ssl.SSLContext | None = None) -> Delivery:
    """Send one message.

    Parameters
    ----------
    message : bytes
    destination : Destination
        Of the kind ``hl7v2``.
    control_id : str
        MSH-10; the answer must name it.
    tls : SSLContext, optional
        Without it we speak in clear.

    Raises
    ------
    PeerUnavailable
        If the same may succeed later.
    DeliveryRefused
        If the receiver says that the message is at fault.
    """
    try:
        with _connected(split_address(destination.address), tls) as connection:
            connection.settimeout(_ANSWER_S)
            connection.sendall(b"\x0b" + message + b"\x1c\r")
            answer = _answer(connection)
    except OSError:
        raise PeerUnavailable("the HL7 v2 receiver does not answer") from None
    code, named = _acknowledged(answer)
    if named != control_id:
        raise PeerUnavailable("the HL7 v2 receiver answered another message")
    if code in ("AA", "CA"):
        return Delivery(control_id)
    if code in ("AE", "CE"):
        raise DeliveryRefused(f"the HL7 v2 receiver answered {code}")
    raise PeerUnavailable("the HL7 v2 receiver cannot take it now")


def _connected(address: tuple[str, int], tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection(address, timeout=_CONNECT_S)
    if tls is None:
        return connection
    try:
        return tls.wrap_socket(connection, server_hostname=address[0])
    except ssl.SSLError as error:
        raise PeerUnavailable(f"the HL7 v2 receiver speaks no TLS that we trust: {reason_of(error)}") from None


def _answer(connection: socket.socket) -> bytes:
    deadline = time.monotonic() + _ANSWER_S
    got = bytearray()
    while b"\x1c" not in got:
        left = deadline - time.monotonic()
        if left <= 0 or len(got) > _MAX_ANSWER:
            raise PeerUnavailable("the HL7 v2 receiver does not end its answer")
        connection.settimeout(left)
        chunk = connection.recv(65536)
        if not chunk:
            raise PeerUnavailable("the HL7 v2 receiver closed the connection without an answer")
        got += chunk
    return bytes(got).partition(b"\x1c")[0].rpartition(b"\x0b")[2]


def _acknowledged(answer: bytes) -> tuple[str, str]:
    with contextlib.suppress(OslerError):
        message = parse(answer)
        for segment in message.segments:
            if segment.name == "MSA":
                return segment.field(1).strip(), message.text(segment.field(2)).strip()
    raise PeerUnavailable("the HL7 v2 receiver's answer is no acknowledgement")
