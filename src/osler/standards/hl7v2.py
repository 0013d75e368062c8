"""HL7 v2 messages in their delimited form: read, taken apart, and written again as they were.

A message that is read and written without a change has the bytes it came with. Fields stay as they were sent, escapes
included, until they are asked for; nothing here knows what a field means.

References
----------
HL7 v2.8, chapter 2: 2.5 (message construction), 2.7 (escape sequences), 2.14.9.18 (character set), table 0211
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from osler.errors import Malformed, TooLarge, UnsupportedKind

CHARACTER_SETS: Final = {
    "ASCII": "ascii",
    **{f"8859/{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "UNICODE UTF-32": "utf-32",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc_kr",
    "ISO IR14": "iso2022_jp_2",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
}
"""Codecs by the names of table 0211."""

FROM_HL7V2: Final = "urn:osler:hl7v2"
"""``meta.source`` of FHIR resources that messages brought: no image header takes their place."""

MAX_BYTES: Final = 64 << 20
"""Largest message; one that is larger is no message but a file that should not have come this way."""

_WIDE: Final = (  # the first character of a message in each, with and without a byte order mark
    ("utf-32-le", b"M\0\0\0"),
    ("utf-32-be", b"\0\0\0M"),
    ("utf-16-le", b"M\0"),
    ("utf-16-be", b"\0M"),
)
_BYTE_ORDER_MARK: Final = "\ufeff"

_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_MESSAGE: Final = re.compile(rb"(?:^|(?<=[\r\n\x0b]))(?=MSH[^A-Za-z0-9\s])")
_END: Final = re.compile(rb"\x1c|(?<=[\r\n])(?:FHS|BHS|BTS|FTS)[^A-Za-z0-9\s]|\x0b\Z")
_BREAKS: Final = re.compile(r"\.(?:br|sp|sk|ce)[+-]?[0-9]*")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters that a message is built with (MSH-1 and MSH-2)."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    def escaped(self, text: str) -> str:
        r"""Return a text as it may stand in a message; a line feed becomes ``\.br\``."""
        return text.translate(_escapes(self)) if text else text

    def unescaped(self, raw: str, codec: str = "utf-8") -> str:
        """Return the text of a raw field or part of one.

        Line breaks become line feeds; highlighting, changes of character set and local escapes are left out.

        Parameters
        ----------
        raw : str
        codec : str
            Python's name of the character set, for hexadecimal escapes.
        """
        if not self.escape or self.escape not in raw:
            return raw
        plain = {code: character for character, code in _special(self).items()}
        parts = raw.split(self.escape)
        made: list[str] = []
        index = 0
        while index < len(parts):
            made.append(parts[index])
            if index + 2 < len(parts):  # an escape sequence stands between two escape characters
                made.append(_meaning(parts[index + 1], plain, codec))
            elif index + 1 < len(parts):
                made.append(parts[index + 1])  # an escape character that opens nothing
            index += 2
        return "".join(made)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment: its name and its raw fields; ``fields[0]`` is field 1 (of MSH: the field separator itself)."""

    name: str
    fields: tuple[str, ...]
    terminator: str = "\r"

    def field(self, number: int) -> str:
        """Return a raw field by its number in the standard, empty when it is not there."""
        return self.fields[number - 1] if 0 < number <= len(self.fields) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its delimiters, segments in order, Python's name of its character set, its byte order mark."""

    delimiters: Delimiters
    segments: tuple[Segment, ...]
    codec: str
    mark: str = ""

    def text(self, raw: str) -> str:
        """Return the text of a raw field or part of one."""
        return self.delimiters.unescaped(raw, self.codec)


def split_messages(content: bytes) -> list[bytes]:
    """Return the messages of a file or batch, without MLLP's frame bytes; batch headers and trailers are left out."""
    codec = _wide_codec(content)
    if codec:
        try:
            narrow = content.decode(codec).removeprefix(_BYTE_ORDER_MARK).encode()
        except UnicodeDecodeError:
            return []
        return [message.decode().encode(codec) for message in split_messages(narrow)]
    content = content.removeprefix(_BYTE_ORDER_MARK.encode())
    starts = [match.start() for match in _MESSAGE.finditer(content)]
    return [_END.split(content[start:end], maxsplit=1)[0] for start, end in pairwise([*starts, len(content)])]


def parse(content: bytes) -> Message:
    """Read one message.

    Raises
    ------
    Malformed
        If it does not start with MSH, its delimiters are not five different characters, a segment has no name, or
        the bytes are not of the character set that it declares.
    UnsupportedKind
        If it declares a character set that is not taken here.
    TooLarge
        If it has more than :data:`MAX_BYTES`.
    """
    if len(content) > MAX_BYTES:
        raise TooLarge(f"a message has more than {MAX_BYTES >> 20} MB")
    wide = _wide_codec(content)
    head = content[:16384].decode(wide or "latin-1", "replace")
    mark = next((m for m in (_BYTE_ORDER_MARK, "\xef\xbb\xbf") if head.startswith(m)), "")
    head = head.removeprefix(mark)
    delimiters = _delimiters(head)
    codec = _codec(re.split(r"[\r\n]", head, maxsplit=1)[0].split(delimiters.field), delimiters)
    if bool(wide) != codec.startswith(("utf-16", "utf-32")) and codec != "ascii":
        raise Malformed("the message is not in the character set that it declares")
    source, codec = _decoded(content, wide or codec)
    mark = _BYTE_ORDER_MARK if mark and source.startswith(_BYTE_ORDER_MARK) else ""
    source = source.removeprefix(mark)
    if codec.startswith("iso2022") and source.encode(codec) != content:
        raise UnsupportedKind("the message changes its character set in a way that is not taken here")
    line = re.compile(r"([^\r]*)(\r\n?|$)" if "\r" in source else r"([^\n]*)(\n|$)")
    segments = tuple(
        _segment(match[1], match[2], delimiters) for match in line.finditer(source) if match[1] or match[2]
    )
    return Message(delimiters, segments, codec, mark)


def build(message: Message) -> bytes:
    """Write a message.

    Raises
    ------
    Malformed
        If a character is not in the message's character set.
    """
    separator = message.delimiters.field
    parts = [message.mark]
    for segment in message.segments:
        fields = segment.fields[1:] if segment.name == "MSH" else segment.fields
        parts += [separator.join((segment.name, *fields)), segment.terminator]
    try:
        return "".join(parts).encode(message.codec)
    except UnicodeEncodeError:
        raise Malformed("a character is not in the character set of the message") from None


def split(raw: str, delimiter: str) -> Sequence[str]:
    """Return the raw repetitions, components or subcomponents; a delimiter that is not used separates nothing."""
    return raw.split(delimiter) if delimiter else [raw]


def _wide_codec(content: bytes) -> str:
    """Return the codec of a message in characters of two or four bytes, else an empty text."""
    for codec, first in _WIDE:
        mark = _BYTE_ORDER_MARK.encode(codec)
        if content.startswith((first, mark + first)):
            return codec
    return ""


def _special(marks: Delimiters) -> dict[str, str]:
    """Return the codes of the escape sequences that stand for delimiters."""
    pairs = (
        (marks.field, "F"),
        (marks.component, "S"),
        (marks.repetition, "R"),
        (marks.escape, "E"),
        (marks.subcomponent, "T"),
        (marks.truncation, "P"),
    )
    return {character: code for character, code in pairs if character}


@lru_cache(maxsize=64)
def _escapes(marks: Delimiters) -> dict[int, str]:
    special = _special(marks)
    if not marks.escape:
        return {ord(c): " " for c in (*special, "\r", "\n")}
    codes = special | {"\n": ".br", "\r": "X0D"}
    return {ord(c): f"{marks.escape}{code}{marks.escape}" for c, code in codes.items()}


def _delimiters(head: str) -> Delimiters:
    if not head.startswith("MSH") or len(head) < 8:
        raise Malformed("a message must start with an MSH segment")
    field = head[3]
    rest = head[4:].split(field, 1)[0]
    used = field + rest
    if not 1 <= len(rest) <= 5 or len(set(used)) != len(used) or any(c.isalnum() or c.isspace() for c in used):
        raise Malformed("MSH-1 and MSH-2 are not delimiters")
    return Delimiters(field, *rest, *[""] * (4 - len(rest)))


def _codec(msh: Sequence[str], delimiters: Delimiters) -> str:
    declared = [name.strip() for name in split(msh[17], delimiters.repetition)] if len(msh) > 17 else []
    names = [name for name in declared if name]
    unknown = [name for name in names if name not in CHARACTER_SETS]
    if unknown:
        raise UnsupportedKind("the message declares a character set that is not taken here")
    codecs = {CHARACTER_SETS[name] for name in names} - {"ascii"}
    if len(codecs) > 1:
        raise UnsupportedKind("the message declares several character sets that do not go together")
    return codecs.pop() if codecs else "ascii"


def _decoded(content: bytes, codec: str) -> tuple[str, str]:
    """Return the text, and the codec that it was read with: ASCII with other bytes in it is UTF-8 or ISO 8859-1."""
    for candidate in ("ascii", "utf-8", "iso8859_1") if codec == "ascii" else (codec,):
        try:
            return content.decode(candidate), candidate
        except UnicodeDecodeError:
            continue
    raise Malformed("the message is not in the character set that it declares")


def _segment(line: str, terminator: str, delimiters: Delimiters) -> Segment:
    name, *fields = line.split(delimiters.field)
    if not line:
        return Segment("", (), terminator)
    if not _NAME.fullmatch(name):
        raise Malformed("a segment has no name")
    if name == "MSH":
        fields.insert(0, delimiters.field)
    return Segment(name, tuple(fields), terminator)


def _meaning(sequence: str, plain: dict[str, str], codec: str) -> str:
    if sequence in plain:
        return plain[sequence]
    if _BREAKS.fullmatch(sequence):
        return "\n"
    if sequence.startswith("X"):
        try:
            return bytes.fromhex(sequence[1:]).decode(codec)
        except (ValueError, UnicodeDecodeError):
            return ""
    return ""
