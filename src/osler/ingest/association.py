"""One association as its acceptor: negotiation, then C-ECHO and C-STORE until it is released.

References
----------
DICOM PS3.8 section 9.2 (the acceptor's half of the state machine), PS3.4 annexes A and B, PS3.7 annex D
"""

import contextlib
import socket
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from pynetdicom.pdu_items import PresentationContextItemRQ
from pynetdicom.presentation import PresentationContext

from osler.domain.events import Received
from osler.errors import DataSetMismatch, Malformed, OslerError, PeerUnavailable, UnsupportedKind
from osler.ingest import messages, upper_layer
from osler.ingest.messages import Assembly, Command, Message, Room
from osler.ingest.peers import AcceptList, Peer
from osler.ingest.transport import PduStream
from osler.ingest.upper_layer import ProtocolFault, Rejection, Titles
from osler.standards.dicom import Pixels, file_meta, read_identity, transfer_syntax

VERIFICATION: Final = "1.2.840.10008.1.1"
STORAGE_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
"""All storage SOP classes of the standard are under it, later ones too, but for those in STORAGE_ELSEWHERE."""
STORAGE_ELSEWHERE: Final = frozenset({"1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10"})

_ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 3
_TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 4


class Observer(Protocol):
    """Is told what happens on the network; nothing that it is told identifies a patient."""

    def association_accepted(self, peer: Peer) -> None:
        """Note that an association was accepted."""

    def association_rejected(self, peer: Peer, reason: str) -> None:
        """Note that an association was rejected."""

    def association_aborted(self, peer: Peer, reason: str) -> None:
        """Note that an association, or a connection before it became one, ended other than by release or rejection."""

    def instance_refused(self, peer: Peer, status: int) -> None:
        """Note that a C-STORE was answered with a failure."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer, and all together, may ask of us.

    Parameters
    ----------
    max_pdu_bytes : int
        Longest P-DATA-TF; we propose it as our maximum length.
    max_instance_bytes : int
        Longest data set, and the most that all associations may hold in memory together.
    max_associations, max_associations_per_peer : int
        At a time.
    idle_s : float
        Time without traffic, and for one PDU, seconds.
    acse_s : float
        Time for the association request, seconds.
    """

    max_pdu_bytes: int = 1 << 20
    max_instance_bytes: int = 1 << 31
    max_associations: int = 32
    max_associations_per_peer: int = 16
    idle_s: float = 60.0
    acse_s: float = 10.0


class Seats:
    """Counts who is associated now."""

    def __init__(self, total: int, per_peer: int) -> None:
        self._total = total
        self._per_peer = per_peer
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def seat(self, address: str) -> Iterator[bool]:
        """Hold a seat while the context lasts; the value is False when there is none."""
        with self._lock:
            free = self._taken.total() < self._total and self._taken[address] < self._per_peer
            self._taken[address] += free
        try:
            yield free
        finally:
            with self._lock:
                self._taken[address] -= free
                if not self._taken[address]:
                    del self._taken[address]

    def taken(self) -> int:
        """Return how many are associated."""
        with self._lock:
            return self._taken.total()


@dataclass(frozen=True, slots=True)
class Service:
    """What all associations of one SCP share.

    Parameters
    ----------
    accept : callable
        Returns when the instance is durable; its OslerError becomes the status of the C-STORE.
    ae_title : str
    peers : AcceptList
    limits : Limits
    observer : Observer
    seats : Seats
    room : Room
    stop : int
        File descriptor that becomes readable when associations shall end.
    """

    accept: Callable[[Received], None]
    ae_title: str
    peers: AcceptList
    limits: Limits
    observer: Observer
    seats: Seats
    room: Room
    stop: int


class Association:
    """One transport connection and the association on it.

    Parameters
    ----------
    connection : socket
    address : str
        The peer's, plain.
    service : Service
    """

    def __init__(self, connection: socket.socket, address: str, service: Service) -> None:
        self._stream = PduStream(connection)
        self._service = service
        self._peer = Peer("", address)
        self._contexts: dict[int, tuple[str, str]] = {}

    def run(self) -> None:
        """Serve the connection to its end, whatever the peer does."""
        last = b""
        try:
            last = self._negotiate()
        except ProtocolFault as fault:
            self._service.observer.association_aborted(self._peer, fault.reason)
            last = upper_layer.encode_abort(2, fault.diagnostic)
        except PeerUnavailable as gone:
            self._service.observer.association_aborted(self._peer, str(gone))
            last = upper_layer.encode_abort(2)
        except Exception as error:
            # The edge: the service goes on. What a stranger's error says may hold a value from the data: not logged.
            where = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            structlog.get_logger().error("association-failed", error=type(error).__name__, where=where[-3:])
            self._service.observer.association_aborted(self._peer, "internal-error")
            last = upper_layer.encode_abort(2)
        finally:
            self._stream.close(last)

    def _negotiate(self) -> bytes:
        limits = self._service.limits
        kind, body = self._stream.read(limit=upper_layer.MAX_ASSOCIATE_BYTES, timeout_s=limits.acse_s)
        if kind != upper_layer.ASSOCIATE_RQ:
            raise ProtocolFault("unexpected-pdu", upper_layer.UNEXPECTED_PDU)
        titles = upper_layer.read_titles(body)
        self._peer = Peer(titles.calling, self._peer.address)
        rejection = self._examine(titles)
        if rejection is not None:
            return self._reject(rejection)
        request = upper_layer.decode_request(body)
        if request.application_context_name != upper_layer.APPLICATION_CONTEXT_NAME:
            return self._reject(upper_layer.CONTEXT_NOT_SUPPORTED)
        with self._service.seats.seat(self._peer.address) as seated:
            if not seated:
                return self._reject(upper_layer.LIMIT_EXCEEDED)
            results = negotiate(request.presentation_context)
            for context in results:
                if context.result == 0 and context.context_id is not None:
                    self._contexts[context.context_id] = str(context.abstract_syntax), str(context.transfer_syntax[0])
            self._stream.send(upper_layer.encode_accept(titles, results, limits.max_pdu_bytes), limits.idle_s)
            self._service.observer.association_accepted(self._peer)
            return self._serve()

    def _examine(self, titles: Titles) -> Rejection | None:
        if not titles.version & 1:
            return upper_layer.VERSION_NOT_SUPPORTED
        if titles.called != self._service.ae_title:
            return upper_layer.CALLED_NOT_RECOGNIZED
        if not self._service.peers.allows(self._peer):
            return upper_layer.CALLING_NOT_RECOGNIZED
        return None

    def _reject(self, rejection: Rejection) -> bytes:
        self._service.observer.association_rejected(self._peer, rejection.name)
        return rejection.encode()

    def _serve(self) -> bytes:
        limits = self._service.limits
        assembly = Assembly(self._file_meta, self._service.room, limits.max_instance_bytes)
        try:
            while not assembly.empty or self._stream.wait(self._service.stop, limits.idle_s):
                kind, body = self._stream.read(limit=limits.max_pdu_bytes, timeout_s=limits.idle_s)
                if kind == upper_layer.RELEASE_RQ:
                    return upper_layer.RELEASE_RESPONSE
                if kind == upper_layer.ABORT:
                    self._service.observer.association_aborted(self._peer, "by-peer")
                    return b""
                if kind != upper_layer.P_DATA_TF:
                    raise ProtocolFault("unexpected-pdu", upper_layer.UNEXPECTED_PDU)
                for fragment in upper_layer.fragments(body):
                    self._take(assembly, *fragment)
        finally:
            assembly.release()
        self._service.observer.association_aborted(self._peer, "stopping")
        return upper_layer.encode_abort(0)

    def _file_meta(self, context_id: int, command: Command) -> bytes:
        if command.operation != messages.C_STORE_RQ:
            return b""
        return file_meta(command.sop_class_uid, command.sop_instance_uid, self._contexts[context_id][1])

    def _take(self, assembly: Assembly, context_id: int, header: int, fragment: memoryview) -> None:
        if context_id not in self._contexts:
            raise ProtocolFault("context-not-accepted", upper_layer.INVALID_PARAMETER)
        message = assembly.add(context_id, header, fragment)
        if message is not None:
            response = self._answer(message)
            del message
            assembly.release()
            self._stream.send(response, self._service.limits.idle_s)

    def _answer(self, message: Message) -> bytes:
        command = message.command
        if command.operation & messages.RESPONSE:
            raise ProtocolFault("unexpected-message", upper_layer.UNEXPECTED_PDU)
        if command.operation == messages.C_CANCEL_RQ:
            return b""
        status, comment = messages.UNRECOGNIZED_OPERATION, ""
        if command.operation == messages.C_ECHO_RQ:
            status = messages.SUCCESS
        elif command.operation == messages.C_STORE_RQ:
            status, comment = self._store(message)
        return messages.encode_response(command, message.context_id, status, comment)

    def _store(self, message: Message) -> tuple[int, str]:
        try:
            self._file(message)
        except OslerError as error:
            self._service.observer.instance_refused(self._peer, error.dimse_status)
            return error.dimse_status, str(error)
        return messages.SUCCESS, ""

    def _file(self, message: Message) -> None:
        command = message.command
        if message.refusal is not None:
            raise message.refusal
        if command.sop_class_uid != self._contexts[message.context_id][0]:
            raise UnsupportedKind("the SOP class is not that of the presentation context")
        if not message.content:
            raise Malformed("the request has no data set")
        identity = read_identity(message.content)
        if (identity.sop_class_uid, identity.sop_instance_uid) != (command.sop_class_uid, command.sop_instance_uid):
            raise DataSetMismatch("the data set is not the instance that was announced")
        source = f"dimse:{self._peer.calling_ae_title}"
        self._service.accept(Received(identity, message.content, source, time.time()))


def negotiate(proposed: Sequence[PresentationContextItemRQ]) -> list[PresentationContext]:
    """Answer the proposed presentation contexts: Verification and storage, in the first transfer syntax that we take.

    The requestor's order decides: it knows how its instances are encoded, and we keep them as they come.

    Returns
    -------
    list of PresentationContext
        With a result (PS3.8 table 9-18) and one transfer syntax each.
    """
    results = []
    for item in proposed:
        context = PresentationContext()
        context.context_id = item.context_id
        context.abstract_syntax = item.abstract_syntax
        taken = next((uid for uid in item.transfer_syntax if takes_transfer_syntax(str(uid))), None)
        context.transfer_syntax = [taken or item.transfer_syntax[0]]
        if not takes_abstract_syntax(str(item.abstract_syntax)):
            context.result = _ABSTRACT_SYNTAX_NOT_SUPPORTED
        else:
            context.result = 0 if taken else _TRANSFER_SYNTAXES_NOT_SUPPORTED
        results.append(context)
    return results


def takes_abstract_syntax(uid: str) -> bool:
    """Whether this is Verification or a storage SOP class of the standard."""
    return uid == VERIFICATION or uid.startswith(STORAGE_ROOT) or uid in STORAGE_ELSEWHERE


def takes_transfer_syntax(uid: str) -> bool:
    """Whether an instance in this transfer syntax is whole: its pixels inside, not referenced and not a live stream."""
    try:
        return transfer_syntax(uid).pixels is not Pixels.REFERENCED and not uid.startswith("1.2.840.10008.1.2.7.")
    except UnsupportedKind:
        return False
