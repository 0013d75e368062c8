"""What the output is put together from: bytes, and elements that wait for what is not known yet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from osler.domain.codes import Code
from osler.domain.identifiers import Identity
from osler.standards.dicom_stream import ITEM, SEQUENCE_DELIMITATION, UNDEFINED_LENGTH, Encoding

CODE_VALUE, CODING_SCHEME_DESIGNATOR, CODE_MEANING = 0x00080100, 0x00080102, 0x00080104


@dataclass(frozen=True, slots=True, repr=False)
class Waiting:
    """An element whose value stands for identities; the vault gives it once the whole instance is known."""

    tag: int
    vr: str
    encoding: Encoding
    values: tuple[Identity | str, ...]

    @property
    def identities(self) -> Iterator[Identity]:
        """What the vault is to be asked for."""
        return (value for value in self.values if isinstance(value, Identity))


@dataclass(frozen=True, slots=True, repr=False)
class Unclean:
    """A text that waits for the cleaner, which has to know the whole header first."""

    tag: int
    vr: str
    encoding: Encoding
    raw: bytes
    character_set: bytes
    otherwise: bytes | None
    """What is written when nothing of the text may stay; None leaves the element out."""


@dataclass(frozen=True, slots=True, repr=False)
class Dated:
    """A date that waits for the days by which this patient's dates move."""

    tag: int
    vr: str
    encoding: Encoding
    raw: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Sealed:
    """The texts of the method; the seal of the whole header follows them."""

    tag: int
    vr: str
    encoding: Encoding
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Made:
    """Bytes that are made when they are written, a part at a time, since they are many."""

    parts: Callable[[], Iterator[bytes | memoryview]]


Part = bytes | memoryview | Made
Piece = Part | Waiting | Unclean | Dated | Sealed


def coded_item(code: Code | None, encoding: Encoding) -> bytes:
    """Encode the item of a code sequence (PS3.3 table 8.8-1a), or an item without elements."""
    elements = (
        [
            (CODE_VALUE, "SH", code.value.encode("ascii")),
            (CODING_SCHEME_DESIGNATOR, "SH", code.scheme.encode("ascii")),
            (CODE_MEANING, "LO", code.meaning.encode("ascii")),
        ]
        if code
        else []
    )
    content = b"".join(encoding.element(*element) for element in elements)
    return encoding.header(ITEM, "", len(content)) + content


def sequence(tag: int, items: bytes, encoding: Encoding) -> bytes:
    """Encode a sequence around encoded items."""
    return b"".join(
        (encoding.header(tag, "SQ", UNDEFINED_LENGTH), items, encoding.header(SEQUENCE_DELIMITATION, "", 0))
    )
