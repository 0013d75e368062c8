"""Send objects to a PACS with C-STORE, and read its answer.

======================  ==================================================================  ===========================
status                  meaning (PS3.4 table B.2-1, PS3.7 annex C)                          answer
======================  ==================================================================  ===========================
0000                    success                                                             Delivery
0001, 0107, 0116, Bxxx  taken, with a reservation                                           Delivery with a warning
0111                    the peer has an object of that UID: ours, from an earlier attempt   Delivery with a warning
A7xx, 0210, 0213        the peer cannot now                                                 PeerUnavailable
other                   the peer will not                                                   DeliveryRefused
none                    no association, aborted, or no answer in time                       PeerUnavailable
======================  ==================================================================  ===========================

References
----------
DICOM PS3.4 B.2.3, PS3.7 C.4 and C.5, PS3.8 (association)
"""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from osler.config import Destination, split_address
from osler.domain.events import Delivery
from osler.errors import DeliveryRefused, PeerUnavailable

_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0111, 0x0116})
_BUSY: Final = frozenset({0x0210, 0x0213})
_SYNTAXES: Final = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for a peer, seconds: to connect, for each answer, and for a whole delivery."""

    connect_s: float = 5.0
    answer_s: float = 20.0
    whole_s: float = 60.0


def store(
    objects: Sequence[pydicom.Dataset],
    destination: Destination,
    *,
    calling_ae_title: str,
    timeouts: Timeouts | None = None,
    tls: ssl.SSLContext | None = None,
) -> Delivery:
    """Send objects to a destination over one association.

    Parameters
    ----------
    objects : sequence of pydicom.Dataset
        At least one, Explicit VR Little Endian, with file meta information.
    destination : Destination
        Of kind ``dicom``.
    calling_ae_title : str
    timeouts : Timeouts, optional
    tls : SSLContext, optional
        Without it we speak in clear.

    Returns
    -------
    Delivery
        ``reference`` is the SOP Instance UIDs, with a blank between them.

    Raises
    ------
    PeerUnavailable
        If the peer cannot be reached, cannot take them now, ends the association or does not answer.
    DeliveryRefused
        If the peer will not take them.
    """
    warnings = []
    with _association(objects, destination, calling_ae_title, timeouts or Timeouts(), tls) as association:
        for number, one in enumerate(objects, 1):
            warning = _send(association, one, destination.name, number)
            if warning:
                warnings.append(warning)
    return Delivery(" ".join(str(o.SOPInstanceUID) for o in objects), "; ".join(warnings) or None)


@contextmanager
def _association(
    objects: Sequence[pydicom.Dataset],
    destination: Destination,
    calling_ae_title: str,
    timeouts: Timeouts,
    tls: ssl.SSLContext | None,
) -> Iterator[Association]:
    host, port = split_address(destination.address)
    entity = _Entity(ae_title=calling_ae_title)
    entity.connection_timeout = timeouts.connect_s
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeouts.answer_s
    for sop_class_uid in dict.fromkeys(str(o.SOPClassUID) for o in objects):
        entity.add_requested_context(sop_class_uid, _SYNTAXES)
    deadline = threading.Timer(timeouts.whole_s, entity.cut)
    deadline.daemon = True
    deadline.start()
    association = None
    try:
        association = entity.associate(host, port, ae_title=destination.ae_title, tls_args=(tls, host) if tls else None)
        if not association.is_established:
            raise _no_association(association, destination.name)
        yield association
        association.release()
    except OSError:
        raise PeerUnavailable(f"destination {destination.name}: its address is not known") from None
    finally:
        if association is not None and not association.is_released:
            association.abort()
        deadline.cancel()
        entity.close()


class _Entity(AE):
    """An application entity that can cut its connections.

    The time limits of pynetdicom count between whole PDUs: it waits without end, when it aborts too, for the rest of
    one that the peer has begun, and for a peer that no longer reads. It also leaves the sockets of connections that
    fail to the garbage collector.
    """

    def __init__(self, ae_title: str) -> None:
        super().__init__(ae_title)
        self._sockets: list[socket.socket] = []

    def _create_socket(self, *args: Any) -> Any:
        made = super()._create_socket(*args)
        if made.socket is not None:
            self._sockets.append(made.socket)
        return made

    def cut(self) -> None:
        """End the connections, whatever goes on."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets:
            one.close()


def _no_association(association: Association, name: str) -> PeerUnavailable | DeliveryRefused:
    if association.is_rejected:
        return PeerUnavailable(f"destination {name}: the peer rejected the association; check both AE titles")
    if association.rejected_contexts:
        return DeliveryRefused(f"destination {name}: the peer takes none of the SOP classes")
    return PeerUnavailable(f"destination {name}: no association; the peer does not answer or ended it")


def _send(association: Association, one: pydicom.Dataset, name: str, number: int) -> str | None:
    """Send one object; return a warning if there was one."""
    kind = UID(str(one.SOPClassUID))
    if all(context.abstract_syntax != kind for context in association.accepted_contexts):
        raise DeliveryRefused(f"destination {name}: the peer does not take {kind.name}")
    try:
        answer = association.send_c_store(one, msg_id=number)
    except RuntimeError:
        raise PeerUnavailable(f"destination {name}: the peer ended the association") from None
    except (ValueError, AttributeError):
        raise DeliveryRefused(f"destination {name}: {kind.name} cannot be encoded for the peer") from None
    status = answer.get("Status")
    if status is None:
        raise PeerUnavailable(f"destination {name}: the peer did not answer or ended the association")
    if status == 0x0000:
        return None
    if status in _WARNINGS or status & 0xF000 == 0xB000:
        return f"status {status:04X}"
    if status & 0xFF00 == 0xA700 or status in _BUSY:
        raise PeerUnavailable(f"destination {name}: the peer cannot take it now (status {status:04X})")
    raise DeliveryRefused(f"destination {name}: the peer refused it (status {status:04X})")
