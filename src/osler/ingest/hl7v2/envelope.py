"""The envelope of a message (MSH), and its acknowledgement.

References
----------
HL7 v2.8, chapter 2: 2.9.2 (original mode), 2.14.9 (MSH), 2.14.8 (MSA), 2.14.5 (ERR), tables 0008, 0357
"""

from dataclasses import dataclass
from typing import Final

from osler.errors import Malformed, OslerError, UnsupportedKind
from osler.standards.hl7v2 import Delimiters, Message, Segment, build, parse, split

_VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2")
_MAX_CONTROL_ID: Final = 199
_MAX_NAME: Final = 227
_PROCESSING: Final = frozenset({"P", "T", "D"})
_CODES: Final = {
    "Malformed": ("102", "Data type error"),
    "UnsupportedKind": ("200", "Unsupported message type"),
    "NotFound": ("204", "Unknown key identifier"),
}
_OTHER: Final = ("207", "Application internal error")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a message says of itself.

    Parameters
    ----------
    message : Message
    control_id : str
        MSH-10.
    type, trigger : str
        MSH-9: ``ADT`` and ``A01``.
    sender : tuple of str
        MSH-3 and MSH-4 as text: sending application and facility.
    """

    message: Message
    control_id: str
    type: str
    trigger: str
    sender: tuple[str, str]

    def segments(self, name: str) -> list[Segment]:
        """Return the segments of a name, in order."""
        return [segment for segment in self.message.segments if segment.name == name]


def open_message(content: bytes) -> Envelope:
    """Read a message and check that it can be answered and taken.

    Raises
    ------
    Malformed
        If it is no message, or has no control id.
    UnsupportedKind
        If it is of a version, or for a purpose, that is not taken here.
    """
    message = parse(content)
    msh = message.segments[0]

    def text(number: int, component: int = 1) -> str:
        parts = split(msh.field(number), message.delimiters.component)
        return message.text(parts[component - 1]).strip() if len(parts) >= component else ""

    control_id = text(10)
    if not control_id or len(control_id) > _MAX_CONTROL_ID:
        raise Malformed("MSH-10: a control id is needed")
    if not all(name.isprintable() and len(name) <= _MAX_NAME for name in (control_id, text(3), text(4))):
        raise Malformed(f"MSH-3, MSH-4 and MSH-10: at most {_MAX_NAME} characters, none of them a control character")
    if text(12) and text(12) not in _VERSIONS:
        raise UnsupportedKind("MSH-12: this version of HL7 is not taken here")
    if text(11) and text(11) not in _PROCESSING:
        raise UnsupportedKind("MSH-11: this processing id is not taken here")
    return Envelope(message, control_id, text(9), text(9, 2), (text(3), text(4)))


def acknowledge(envelope: Envelope, *, now: str, error: OslerError | None = None) -> bytes:
    """Build the acknowledgement of a message: AA, or the code of an error with its reason.

    Parameters
    ----------
    envelope : Envelope
    now : str
        Time stamp, ``YYYYMMDDHHMMSS+ZZZZ``.
    error : OslerError, optional
    """
    return _acknowledgement(envelope.message, envelope.control_id, envelope.trigger, now, error)


def reject(content: bytes, *, now: str, error: OslerError) -> bytes:
    """Build the acknowledgement of what could not be opened; when not even its MSH can be read, one that names none."""
    head = content.lstrip(b"\r\n").split(b"\r", 1)[0].split(b"\n", 1)[0]
    try:
        message = parse(head)
    except OslerError:
        return f"MSH|^~\\&|||||{now}||ACK|ACK|P|2.5.1\rMSA|AR||{error}\r".encode()
    control_id = message.segments[0].field(10)[:_MAX_CONTROL_ID]
    return _acknowledgement(message, message.text(control_id), "", now, error)


def _acknowledgement(message: Message, control_id: str, trigger: str, now: str, error: OslerError | None) -> bytes:
    marks, msh = message.delimiters, message.segments[0]
    code = "AA" if error is None else error.hl7_ack
    kind = marks.component.join(("ACK", trigger, "ACK")) if trigger else "ACK"
    header = [
        marks.field,
        msh.field(2),
        *(msh.field(n) for n in (5, 6, 3, 4)),  # the receiver becomes the sender
        now,
        "",
        kind,
        marks.escaped(f"ACK{control_id}"[:_MAX_CONTROL_ID]),
        msh.field(11) or "P",
        msh.field(12) or "2.5.1",
        *[""] * 5,
        msh.field(18),
    ]
    words = marks.escaped(str(error)) if error else ""
    segments = [Segment("MSH", tuple(_trimmed(header))), Segment("MSA", (code, marks.escaped(control_id), words))]
    if error is not None:
        segments.append(_err(marks, error, words))
    return build(Message(marks, tuple(segments), message.codec, message.mark))


def _err(marks: Delimiters, error: OslerError, words: str) -> Segment:
    names = [cls.__name__ for cls in type(error).__mro__]
    number, meaning = next((_CODES[name] for name in names if name in _CODES), _OTHER)
    coded = marks.component.join((number, meaning, "HL70357"))
    return Segment("ERR", ("", "", coded, "E", "", "", "", words))


def _trimmed(fields: list[str]) -> list[str]:
    while fields and not fields[-1]:
        fields.pop()
    return fields
