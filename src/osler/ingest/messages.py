"""DIMSE messages: command sets, and fragments put together within bounds.

A command set is a flat list of elements in Implicit VR Little Endian, so it is read here without a dataset parser. A
data set is not read at all: it grows behind the file meta information that it will have in its Part 10 file.

References
----------
DICOM PS3.7 sections 6.3, 9.1 and annex E
"""

import io
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from osler.errors import OslerError, StorageBusy, TooLarge
from osler.ingest.upper_layer import INVALID_PARAMETER, P_DATA_TF, UNEXPECTED_PDU, ProtocolFault
from osler.standards.dicom import read_text

C_STORE_RQ: Final = 0x0001
C_ECHO_RQ: Final = 0x0030
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000

SUCCESS: Final = 0x0000
UNRECOGNIZED_OPERATION: Final = 0x0211

MAX_COMMAND_BYTES: Final = 1 << 14
_NO_DATA_SET: Final = 0x0101
_MEDIUM_PRIORITY: Final = 0
_ELEMENT: Final = struct.Struct("<HHI")


@dataclass(frozen=True, slots=True)
class Command:
    """What a command set asks for.

    Parameters
    ----------
    operation : int
        Command Field (0000,0100).
    message_id : int
    has_data_set : bool
    sop_class_uid, sop_instance_uid : str
        Affected SOP Class and Instance UID; empty when absent.
    """

    operation: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str = ""
    sop_instance_uid: str = ""

    def __repr__(self) -> str:
        return f"Command(0x{self.operation:04X})"


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message.

    Parameters
    ----------
    context_id : int
    command : Command
    content : bytes
        The prefix that was asked for and the data set; empty when there is none, or it was refused.
    refusal : OslerError, optional
        Why the data set was not kept.
    """

    context_id: int
    command: Command
    content: bytes = b""
    refusal: OslerError | None = None


class Room:
    """Memory that the messages of all associations share.

    Parameters
    ----------
    total : int
        Bytes.
    """

    def __init__(self, total: int) -> None:
        self._left = total
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take a part, if there is that much."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += size


class Assembly:
    """Puts messages together from the fragments of one association, one after the other.

    A data set that is too large, or for which there is no room, is read to its end and thrown away, so that the sender
    gets a status for this instance and can go on with the next.

    Parameters
    ----------
    prefix : callable
        Takes the context id and the command; returns the bytes to put before the data set. May raise OslerError, and
        then the data set is thrown away.
    room : Room
    max_bytes : int
        Longest data set.
    """

    def __init__(self, prefix: Callable[[int, Command], bytes], room: Room, max_bytes: int) -> None:
        self._prefix = prefix
        self._room = room
        self._max_bytes = max_bytes
        self._taken = 0
        self._context_id: int | None = None
        self._command: Command | None = None
        self._encoded_command = b""
        self._content = io.BytesIO()
        self._refusal: OslerError | None = None

    @property
    def empty(self) -> bool:
        """Whether the next fragment begins a message."""
        return self._context_id is None

    def add(self, context_id: int, header: int, fragment: memoryview) -> Message | None:
        """Add a fragment; return the message that it completes.

        Parameters
        ----------
        context_id, header : int
            Presentation context id and message control header (PS3.8 table E.2-1).
        fragment : memoryview

        Raises
        ------
        ProtocolFault
            If fragments come out of order or a command set is malformed or too long.
        """
        if self._context_id not in (None, context_id) or bool(header & 1) != (self._command is None):
            raise ProtocolFault("fragments-out-of-order", UNEXPECTED_PDU)
        self._context_id = context_id
        if self._command is None:
            return self._add_command(context_id, fragment, last=bool(header & 2))
        self._keep(fragment)
        return self._finish(self._command, context_id) if header & 2 else None

    def release(self) -> None:
        """Give back the room of the message that was returned last, or that will never be whole."""
        self._room.give_back(self._taken)
        self._taken = 0

    def _add_command(self, context_id: int, fragment: memoryview, *, last: bool) -> Message | None:
        self._encoded_command += fragment
        if len(self._encoded_command) > MAX_COMMAND_BYTES:
            raise ProtocolFault("command-too-long", INVALID_PARAMETER)
        if not last:
            return None
        self._command = command = decode_command(self._encoded_command)
        if not command.has_data_set:
            return self._finish(command, context_id)
        try:
            self._content.write(self._prefix(context_id, command))
        except OslerError as error:
            self._refuse(error)
        return None

    def _keep(self, fragment: memoryview) -> None:
        if self._refusal is not None:
            return
        if self._taken + len(fragment) > self._max_bytes:
            self._refuse(TooLarge("the instance is larger than dimse.max_instance_mb"))
        elif not self._room.take(len(fragment)):
            self._refuse(StorageBusy("too much is being received at a time"))
        else:
            self._taken += len(fragment)
            self._content.write(fragment)

    def _refuse(self, error: OslerError) -> None:
        self._refusal = error
        self._content = io.BytesIO()
        self.release()

    def _finish(self, command: Command, context_id: int) -> Message:
        content = self._content.getvalue() if self._refusal is None else b""
        message = Message(context_id, command, content, self._refusal)
        self._context_id = self._command = self._refusal = None
        self._encoded_command = b""
        self._content = io.BytesIO()
        return message


def decode_command(encoded: bytes) -> Command:
    """Decode a command set.

    Raises
    ------
    ProtocolFault
        If an element does not end within it, or what every request has is missing.
    """
    values = _elements(encoded)
    operation, data_set_type = _number(values, 0x0100), _number(values, 0x0800)
    message_id = _number(values, 0x0110, 0x0120)
    if operation is None or message_id is None or data_set_type is None:
        raise ProtocolFault("malformed-command", INVALID_PARAMETER)
    return Command(operation, message_id, data_set_type != _NO_DATA_SET, _text(values, 0x0002), _text(values, 0x1000))


def decode_status(encoded: bytes) -> tuple[int, str]:
    """Decode the command set of a response to C-STORE: its Status and its Error Comment.

    Raises
    ------
    ProtocolFault
        If it is not one.
    """
    values = _elements(encoded)
    status = _number(values, 0x0900)
    if status is None or _number(values, 0x0100) != C_STORE_RQ | RESPONSE:
        raise ProtocolFault("malformed-command", INVALID_PARAMETER)
    return status, _text(values, 0x0902)


def encode_response(command: Command, context_id: int, status: int, comment: str = "") -> bytes:
    """Encode the response to a request as a whole P-DATA-TF PDU.

    Parameters
    ----------
    command : Command
        The request.
    context_id, status : int
    comment : str
        Error Comment (0000,0902), cut to 64 characters; left out when empty.

    References
    ----------
    DICOM PS3.7 tables 9.3-2 and 9.3-13
    """
    values = {
        0x0002: _uid(command.sop_class_uid),
        0x0100: _us(command.operation | RESPONSE),
        0x0120: _us(command.message_id),
        0x0800: _us(_NO_DATA_SET),
        0x0900: _us(status),
        0x0902: _padded(comment[:64], b" "),
        0x1000: _uid(command.sop_instance_uid),
    }
    return encode_p_data(context_id, 3, _command_set(values))


def encode_store_request(command: Command, context_id: int) -> bytes:
    """Encode the command of a C-STORE as a whole P-DATA-TF PDU (PS3.7 table 9.3-1)."""
    values = {
        0x0002: _uid(command.sop_class_uid),
        0x0100: _us(C_STORE_RQ),
        0x0110: _us(command.message_id),
        0x0700: _us(_MEDIUM_PRIORITY),
        0x0800: _us(_NO_DATA_SET - 1),
        0x1000: _uid(command.sop_instance_uid),
    }
    return encode_p_data(context_id, 3, _command_set(values))


def encode_p_data(context_id: int, header: int, fragment: bytes | memoryview) -> bytes:
    """Encode a P-DATA-TF PDU with one fragment (PS3.8 9.3.5)."""
    head = struct.pack(">BxIIBB", P_DATA_TF, len(fragment) + 6, len(fragment) + 2, context_id, header)
    return b"".join((head, fragment))


def _command_set(values: dict[int, bytes]) -> bytes:
    body = b"".join(_ELEMENT.pack(0, element, len(value)) + value for element, value in values.items() if value)
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _uid(value: str) -> bytes:
    return _padded(value, b"\0")


def _padded(text: str, pad: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + pad * (len(value) % 2)


def _elements(encoded: bytes) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    at = 0
    while at + _ELEMENT.size <= len(encoded):
        group, element, length = _ELEMENT.unpack_from(encoded, at)
        at += _ELEMENT.size + length
        if group != 0 or at > len(encoded):
            raise ProtocolFault("malformed-command", INVALID_PARAMETER)
        values[element] = encoded[at - length : at]
    if at != len(encoded):
        raise ProtocolFault("malformed-command", INVALID_PARAMETER)
    return values


def _text(values: dict[int, bytes], element: int) -> str:
    return read_text(values.get(element, b""), b"")


def _number(values: dict[int, bytes], *elements: int) -> int | None:
    found = next((values[element] for element in elements if element in values), b"")
    return int.from_bytes(found, "little") if len(found) == 2 else None
