"""The PDUs of the DICOM Upper Layer, encoded and decoded.

The items of an A-ASSOCIATE PDU are left to pynetdicom; what comes before and after it is flat enough to be read here.

References
----------
DICOM PS3.8 section 9
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext

from osler.standards.dicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

ASSOCIATE_RQ: Final = 1
ASSOCIATE_AC: Final = 2
ASSOCIATE_RJ: Final = 3
P_DATA_TF: Final = 4
RELEASE_RQ: Final = 5
ABORT: Final = 7

APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"
MAX_ASSOCIATE_BYTES: Final = 1 << 17
"""Longest A-ASSOCIATE-RQ that is read: 128 presentation contexts of 30 transfer syntaxes take 110 KB."""
MIN_PDU_BYTES: Final = 128
"""Shortest maximum length that makes sense: the command of a C-STORE is about as long."""
MAX_FRAGMENTS: Final = 256
"""Most PDVs in one PDU; senders put one or two."""

RELEASE_REQUEST: Final = struct.pack(">BxI4x", RELEASE_RQ, 4)
RELEASE_RESPONSE: Final = struct.pack(">BxI4x", 6, 4)
_TITLES: Final = struct.Struct(">H2x16s16s32x")


class ProtocolFault(Exception):
    """The peer breaks the upper layer protocol: the association ends with an A-ABORT. It never leaves this package.

    Parameters
    ----------
    reason : str
        Short name of the fault, kebab-case.
    diagnostic : int
        Reason of the provider's A-ABORT (PS3.8 table 9-26).
    """

    def __init__(self, reason: str, diagnostic: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.diagnostic = diagnostic


UNRECOGNIZED_PDU: Final = 1
UNEXPECTED_PDU: Final = 2
INVALID_PARAMETER: Final = 6


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an association is rejected (PS3.8 table 9-21): result, source, reason, and our own short name for it."""

    result: int
    source: int
    reason: int
    name: str

    def encode(self) -> bytes:
        """Encode an A-ASSOCIATE-RJ PDU."""
        return struct.pack(">BxIxBBB", 3, 4, self.result, self.source, self.reason)


CALLED_NOT_RECOGNIZED: Final = Rejection(1, 1, 7, "called-ae-title-not-recognized")
CALLING_NOT_RECOGNIZED: Final = Rejection(1, 1, 3, "calling-ae-title-not-recognized")
CONTEXT_NOT_SUPPORTED: Final = Rejection(1, 1, 2, "application-context-not-supported")
VERSION_NOT_SUPPORTED: Final = Rejection(1, 2, 2, "protocol-version-not-supported")
LIMIT_EXCEEDED: Final = Rejection(2, 3, 2, "local-limit-exceeded")


@dataclass(frozen=True, slots=True)
class Titles:
    """The fixed fields of an A-ASSOCIATE-RQ, which say who calls whom before any item is decoded."""

    version: int
    called: str
    calling: str


def read_titles(body: memoryview) -> Titles:
    """Read the fixed fields of an A-ASSOCIATE-RQ.

    Raises
    ------
    ProtocolFault
        If the PDU is too short or a title is not printable ASCII.
    """
    if len(body) < _TITLES.size:
        raise ProtocolFault("malformed-associate-request", INVALID_PARAMETER)
    version, called, calling = _TITLES.unpack_from(body)
    return Titles(version, _title(called), _title(calling))


def decode_request(body: memoryview) -> A_ASSOCIATE_RQ:
    """Decode a whole A-ASSOCIATE-RQ.

    Raises
    ------
    ProtocolFault
        If it is malformed, or proposes more than 128 presentation contexts.
    """
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(struct.pack(">BxI", ASSOCIATE_RQ, len(body)) + bytes(body))
        ids = [item.context_id for item in request.presentation_context]
        sound = request.user_information is not None and all(
            item.abstract_syntax and item.transfer_syntax for item in request.presentation_context
        )
    except Exception:  # the decoder lets through whatever its struct, str and dict operations raise
        raise ProtocolFault("malformed-associate-request", INVALID_PARAMETER) from None
    if not sound or not 1 <= len(ids) <= 128 or len(set(ids)) < len(ids) or any((i or 0) % 2 == 0 for i in ids):
        raise ProtocolFault("malformed-associate-request", INVALID_PARAMETER)
    return request


def encode_accept(titles: Titles, results: Sequence[PresentationContext], max_pdu_bytes: int) -> bytes:
    """Encode an A-ASSOCIATE-AC.

    Parameters
    ----------
    titles : Titles
        Of the request; they are returned as they came (PS3.8 table 9-17).
    results : sequence of PresentationContext
        With ``result`` and one transfer syntax each.
    max_pdu_bytes : int
        Longest P-DATA-TF that we take.
    """
    accept = _associate(titles, max_pdu_bytes)
    accept.result = 0
    accept.result_source = 1
    accept.presentation_context_definition_results_list = list(results)
    return bytes(A_ASSOCIATE_AC(accept).encode())


def encode_request(titles: Titles, proposed: Sequence[PresentationContext], max_pdu_bytes: int) -> bytes:
    """Encode an A-ASSOCIATE-RQ.

    Parameters
    ----------
    titles : Titles
    proposed : sequence of PresentationContext
        At most 128, with their ids.
    max_pdu_bytes : int
        Longest P-DATA-TF that we take.
    """
    request = _associate(titles, max_pdu_bytes)
    request.presentation_context_definition_list = list(proposed)
    return bytes(A_ASSOCIATE_RQ(request).encode())


def decode_accept(body: memoryview) -> tuple[dict[int, str], int]:
    """Decode an A-ASSOCIATE-AC.

    Returns
    -------
    ({presentation context id: transfer syntax} of those that were accepted, longest P-DATA-TF that the peer takes)
        0 stands for any length.

    Raises
    ------
    ProtocolFault
        If it is malformed.
    """
    accept = A_ASSOCIATE_AC()
    try:
        accept.decode(struct.pack(">BxI", ASSOCIATE_AC, len(body)) + bytes(body))
        accepted = {
            int(item.context_id or 0): str(item.transfer_syntax)
            for item in accept.presentation_context
            if item.result == 0
        }
        max_pdu_bytes = int(accept.user_information.maximum_length or 0) if accept.user_information else -1
    except Exception:  # as in decode_request
        raise ProtocolFault("malformed-associate-accept", INVALID_PARAMETER) from None
    if max_pdu_bytes != 0 and max_pdu_bytes < MIN_PDU_BYTES:
        raise ProtocolFault("malformed-associate-accept", INVALID_PARAMETER)
    return accepted, max_pdu_bytes


def describe_rejection(body: memoryview) -> tuple[bool, str]:
    """Read an A-ASSOCIATE-RJ: whether it is for good, and why in the words of PS3.8 table 9-21."""
    reject = A_ASSOCIATE_RJ()
    try:
        reject.decode(struct.pack(">BxI", ASSOCIATE_RJ, len(body)) + bytes(body))
        return reject.result == 1, str(reject.reason_str)
    except Exception:  # as in decode_request
        return True, "no reason given"


def encode_abort(source: int, diagnostic: int = 0) -> bytes:
    """Encode an A-ABORT; source 0 is the service user, 2 the service provider (PS3.8 table 9-26)."""
    return struct.pack(">BxI2xBB", ABORT, 4, source, diagnostic)


def fragments(body: memoryview) -> list[tuple[int, int, memoryview]]:
    """Split a P-DATA-TF into its presentation data values.

    Returns
    -------
    list of (presentation context id, message control header, fragment)

    Raises
    ------
    ProtocolFault
        If the lengths do not add up, or there are more than :data:`MAX_FRAGMENTS`.

    References
    ----------
    DICOM PS3.8 sections 9.3.5.1 and E.2
    """
    found: list[tuple[int, int, memoryview]] = []
    at = 0
    while at < len(body):
        end = at + 4 + int.from_bytes(body[at : at + 4])
        if end < at + 6 or end > len(body) or len(found) == MAX_FRAGMENTS:
            raise ProtocolFault("malformed-p-data", INVALID_PARAMETER)
        found.append((body[at + 4], body[at + 5], body[at + 6 : end]))
        at = end
    return found


def _associate(titles: Titles, max_pdu_bytes: int) -> A_ASSOCIATE:
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT_NAME
    primitive.calling_ae_title = titles.calling
    primitive.called_ae_title = titles.called
    primitive.user_information = [length, implementation, version]
    return primitive


def _title(raw: bytes) -> str:
    title = raw.decode("ascii", "replace").strip(" \0")
    if not (title.isascii() and title.isprintable()):
        raise ProtocolFault("malformed-associate-request", INVALID_PARAMETER)
    return title
