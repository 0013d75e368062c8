"""One association as its requestor: C-STORE of instances as they are.

References
----------
DICOM PS3.4 annex B, PS3.8 section 9.2
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

from pynetdicom.presentation import build_context

from osler.errors import DeliveryRefused, OslerError, PeerUnavailable
from osler.ingest import messages, upper_layer
from osler.ingest.messages import Command
from osler.ingest.transport import PduStream
from osler.ingest.upper_layer import ProtocolFault, Titles
from osler.tls import reason_of

MAX_CONTEXTS: Final = 128
"""Presentation contexts of one association: their ids are the odd numbers of one byte (PS3.8 9.3.2.2)."""

Kind = tuple[str, str]
"""SOP Class UID and Transfer Syntax UID: what one presentation context is for."""

_MAX_PDU_BYTES: Final = 1 << 17
_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 120.0
_RELEASE_S: Final = 10.0


class Requestor:
    """An association that is open; made by :func:`associate`.

    Parameters
    ----------
    stream : PduStream
    contexts : dict
        Presentation context id of each kind that the peer accepted.
    max_pdu_bytes : int
        Longest P-DATA-TF that the peer takes.
    """

    def __init__(self, stream: PduStream, contexts: dict[Kind, int], max_pdu_bytes: int) -> None:
        self._stream = stream
        self._contexts = contexts
        self._max_fragment = max_pdu_bytes - 6
        self._message_id = 0

    def takes(self, kind: Kind) -> bool:
        """Whether the peer accepted this kind of instance."""
        return kind in self._contexts

    def store(self, kind: Kind, sop_instance_uid: str, data_set: memoryview) -> tuple[int, str]:
        """Send one instance and return the status and the error comment of the answer.

        Raises
        ------
        PeerUnavailable
            If the peer ends the association, is gone, or does not answer in time.
        ProtocolFault
            If what it answers is not the answer.
        """
        context_id = self._contexts[kind]
        self._message_id = self._message_id % 0xFFFF + 1
        command = Command(messages.C_STORE_RQ, self._message_id, True, kind[0], sop_instance_uid)
        self._stream.send(messages.encode_store_request(command, context_id), _ANSWER_S)
        for start in range(0, len(data_set), self._max_fragment):
            end = start + self._max_fragment
            last = 2 * (end >= len(data_set))
            self._stream.send(messages.encode_p_data(context_id, last, data_set[start:end]), _ANSWER_S)
        return messages.decode_status(self._read_command())

    def _read_command(self) -> bytes:
        encoded = b""
        while len(encoded) <= messages.MAX_COMMAND_BYTES:
            kind, body = self._stream.read(limit=_MAX_PDU_BYTES, timeout_s=_ANSWER_S)
            if kind == upper_layer.ABORT:
                raise PeerUnavailable("the node aborted the association")
            if kind != upper_layer.P_DATA_TF:
                break
            for _, header, fragment in upper_layer.fragments(body):
                encoded += fragment
                if header & 2:
                    return encoded
        raise ProtocolFault("unexpected-answer", upper_layer.UNEXPECTED_PDU)


@contextlib.contextmanager
def associate(
    address: tuple[str, int], titles: Titles, kinds: Sequence[Kind], tls: ssl.SSLContext | None = None
) -> Iterator[Requestor]:
    """Open an association, and release it at the end of the context.

    Parameters
    ----------
    address : (str, int)
        Host and port.
    titles : Titles
    kinds : sequence
        At most 128.
    tls : SSLContext, optional
        Without it we speak in clear.

    Raises
    ------
    PeerUnavailable
        If there is no DICOM node, or it rejects the association for now.
    DeliveryRefused
        If it rejects the association for good.
    """
    host, port = address
    try:
        connection = socket.create_connection(address, timeout=_CONNECT_S)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_hostname=host)
    except ssl.SSLError as error:
        raise PeerUnavailable(f"{host}:{port} speaks no TLS that we trust: {reason_of(error)}") from None
    except OSError:
        raise PeerUnavailable(f"no DICOM node answers at {host}:{port}") from None
    stream = PduStream(connection)
    last = b""
    try:
        requestor = _negotiate(stream, f"{host}:{port}", titles, kinds)
        last = upper_layer.encode_abort(0)
        yield requestor
        with contextlib.suppress(PeerUnavailable, ProtocolFault):  # all answers are in
            stream.send(upper_layer.RELEASE_REQUEST, _ANSWER_S)
            stream.read(limit=_MAX_PDU_BYTES, timeout_s=_RELEASE_S)
            last = b""
    except PeerUnavailable:
        last = b""
        raise
    finally:
        stream.close(last)


def _negotiate(stream: PduStream, name: str, titles: Titles, kinds: Sequence[Kind]) -> Requestor:
    proposed = [build_context(*kind) for kind in kinds]
    for number, context in enumerate(proposed):
        context.context_id = 2 * number + 1
    try:
        stream.send(upper_layer.encode_request(titles, proposed, _MAX_PDU_BYTES), _ANSWER_S)
        kind, body = stream.read(limit=_MAX_PDU_BYTES, timeout_s=_ANSWER_S)
        if kind == upper_layer.ASSOCIATE_AC:
            accepted, max_pdu_bytes = upper_layer.decode_accept(body)
            contexts = {
                kind: 2 * number + 1 for number, kind in enumerate(kinds) if accepted.get(2 * number + 1) == kind[1]
            }
            return Requestor(stream, contexts, min(max_pdu_bytes or _MAX_PDU_BYTES, _MAX_PDU_BYTES))
    except (PeerUnavailable, ProtocolFault):
        raise PeerUnavailable(f"no DICOM node answers at {name}") from None
    if kind != upper_layer.ASSOCIATE_RJ:
        raise PeerUnavailable(f"{name} aborted the association")
    for_good, why = upper_layer.describe_rejection(body)
    error: type[OslerError] = DeliveryRefused if for_good else PeerUnavailable
    raise error(f"{name} rejected the association: {why}")
