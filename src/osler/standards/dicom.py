"""DICOM Part 10 files: read what identifies an instance, and put a file together.

References
----------
DICOM PS3.10 section 7.1 (file meta information), PS3.5 section 9 (unique identifiers)
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.charset import python_encoding
from pydicom.uid import UID

from osler import __version__
from osler.domain.identifiers import Identity, InstanceIdentity, PseudonymKind
from osler.errors import Malformed, UnsupportedKind
from osler.standards.dicom_stream import (
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    PIXEL_DATA,
    Encoding,
    Kind,
    inflate,
    read_header,
    walk,
)

IMPLEMENTATION_CLASS_UID = "2.25.321975341384811143808992728880485483027"
"""Names this program's writer of Part 10 files; made once from a random UUID (PS3.5 B.2), never to change."""

IMPLEMENTATION_VERSION_NAME = f"OSLER_{__version__}"[:16]

MAX_META_BYTES = 1 << 20

MAX_IDENTIFIER_BYTES = 256

NO_PATIENT_ID = "no Patient ID, so by study"

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")

SPECIFIC_CHARACTER_SET = 0x00080005
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
ACCESSION_NUMBER = 0x00080050
MODALITY = 0x00080060
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
REQUESTED_PROCEDURE_PRIORITY = 0x00401003

IDENTITY_TAGS = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        SOP_CLASS_UID,
        SOP_INSTANCE_UID,
        ACCESSION_NUMBER,
        PATIENT_ID,
        ISSUER_OF_PATIENT_ID,
        STUDY_INSTANCE_UID,
        SERIES_INSTANCE_UID,
        REQUESTED_PROCEDURE_PRIORITY,
    }
)


class Pixels(enum.StrEnum):
    """How a transfer syntax carries pixel data."""

    NATIVE = "native"
    JPEG = "jpeg"
    JPEG_LS = "jpeg-ls"
    JPEG_2000 = "jpeg-2000"
    JPEG_XL = "jpeg-xl"
    RLE = "rle"
    VIDEO = "video"
    ENCAPSULATED = "encapsulated"
    REFERENCED = "referenced"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """What one needs to know to walk a dataset (PS3.5 annex A)."""

    uid: str
    encoding: Encoding
    pixels: Pixels
    deflated: bool = False


_PREFIX = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = _PREFIX + ".1"
_PIXELS = {
    ".5": Pixels.RLE,
    ".1.98": Pixels.ENCAPSULATED,
    ".8.1": Pixels.ENCAPSULATED,
    **{f".4.{n}": Pixels.JPEG for n in range(50, 71)},
    **{f".4.{n}": Pixels.JPEG_LS for n in (80, 81)},
    **{f".4.{n}": Pixels.JPEG_2000 for n in (90, 91, 92, 93, 201, 202, 203)},
    **{f".4.{n}": Pixels.REFERENCED for n in (94, 95, 204, 205)},
    **{f".4.{n}": Pixels.VIDEO for n in (*range(100, 109), *(f"{m}.1" for m in range(100, 107)))},
    **{f".4.{n}": Pixels.JPEG_XL for n in (110, 111, 112)},
    **{f".7.{n}": Pixels.VIDEO for n in (1, 2, 3)},
}


def transfer_syntax(uid: str) -> TransferSyntax:
    """Return what is known of a transfer syntax.

    Raises
    ------
    UnsupportedKind
        If it is private, retired without a definition here, or not a transfer syntax.
    """
    if uid == _PREFIX:
        return TransferSyntax(uid, IMPLICIT_LITTLE_ENDIAN, Pixels.NATIVE)
    if uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return TransferSyntax(uid, EXPLICIT_LITTLE_ENDIAN, Pixels.NATIVE)
    if uid == _PREFIX + ".1.99":
        return TransferSyntax(uid, EXPLICIT_LITTLE_ENDIAN, Pixels.NATIVE, deflated=True)
    if uid == _PREFIX + ".2":
        return TransferSyntax(uid, EXPLICIT_BIG_ENDIAN, Pixels.NATIVE)
    pixels = _PIXELS.get(uid.removeprefix(_PREFIX)) if uid.startswith(_PREFIX) else None
    if pixels is None:
        raise UnsupportedKind("the transfer syntax is not one that is known here")
    return TransferSyntax(uid, EXPLICIT_LITTLE_ENDIAN, pixels, deflated=uid in (_PREFIX + ".4.95", _PREFIX + ".4.205"))


@dataclass(frozen=True, slots=True)
class EncodedDataset:
    """The dataset of a Part 10 file, still encoded: ``data[start:]``, inflated where it came deflated."""

    data: bytes
    start: int
    syntax: TransferSyntax


def is_uid(value: str) -> bool:
    """Whether ``value`` is a UID: at most 64 digits and full stops, no empty component (PS3.5 9.1).

    Components with leading zeros are let through, as devices write them.
    """
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def is_standard_uid(value: str) -> bool:
    """Whether ``value`` is a UID that PS3.6 registers: of a SOP class, a transfer syntax, a well-known instance."""
    return value.startswith("1.2.840.10008.") and is_uid(value) and UID(value).name != value


def open_part10(content: bytes) -> EncodedDataset:
    """Find the dataset in a Part 10 file.

    Raises
    ------
    Malformed
        If this is not a Part 10 file, its meta information is damaged, or it names no transfer syntax.
    UnsupportedKind
        If the transfer syntax is not known.
    """
    at, uid = _meta_end(content)
    return open_dataset(content, at, uid)


def with_own_meta(content: bytes, instance: InstanceIdentity) -> bytes:
    """Return a Part 10 file with preamble and file meta information of our own; the dataset stays as it is encoded.

    So the same instance is the same file, whoever sends it by whatever way.
    """
    at, _ = _meta_end(content)
    meta = file_meta(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid)
    return meta + content[at:]


def _meta_end(content: bytes) -> tuple[int, str]:
    """Return where the dataset of a Part 10 file begins, and its transfer syntax."""
    if content[128:132] != b"DICM":
        raise Malformed("not a DICOM Part 10 file")
    at, end, uid = 132, min(len(content), 132 + MAX_META_BYTES), ""
    while content[at : at + 2] == b"\x02\x00":
        tag, _, value, length = read_header(content, at, end, EXPLICIT_LITTLE_ENDIAN)
        if length > end - value:
            raise Malformed("the file meta information is damaged")
        at = value + length
        if tag == 0x00020010:
            uid = _uid(content[value:at])
    if not uid:
        raise Malformed("the file meta information names no transfer syntax")
    return at, uid


def open_dataset(data: bytes, start: int, transfer_syntax_uid: str) -> EncodedDataset:
    """Take ``data[start:]`` as a dataset in a transfer syntax; inflates a deflated one, bounded."""
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax.deflated:
        return EncodedDataset(inflate(data, start), 0, syntax)
    return EncodedDataset(data, start, syntax)


def read_identity(content: bytes) -> InstanceIdentity:
    """Read what the hub must know of an instance from a Part 10 file; passes over the pixels without looking at them.

    Raises
    ------
    Malformed
        If the file is cut off or damaged anywhere up to the end of the pixel data, or a UID is missing or not one.
    UnsupportedKind
        If the transfer syntax is not known.
    """
    return _identity(open_part10(content))


def read_identity_of_dataset(dataset_bytes: bytes, transfer_syntax_uid: str) -> InstanceIdentity:
    """As :func:`read_identity`, for a dataset without file meta information, as a C-STORE carries it."""
    return _identity(open_dataset(dataset_bytes, 0, transfer_syntax_uid))


def _identity(dataset: EncodedDataset) -> InstanceIdentity:
    values: dict[int, bytes] = {}
    for token in walk(dataset.data, dataset.start, len(dataset.data), dataset.syntax.encoding):
        if token.depth == 0 and token.tag in IDENTITY_TAGS and token.kind is Kind.ELEMENT:
            values[token.tag] = dataset.data[token.value : token.end]
        elif token.depth == 0 and token.tag >= PIXEL_DATA:
            break
    return identity_of_values(values, dataset.syntax.uid)


def identity_of_values(values: Mapping[int, bytes], transfer_syntax_uid: str) -> InstanceIdentity:
    """Put an identity together from the raw values of :data:`IDENTITY_TAGS`.

    Raises
    ------
    Malformed
        If the UID of study, series, instance or SOP class is missing or is not one, or PS3.6 registers that of study,
        series or instance for something else; or if another identifier is longer than 256 bytes.
    """

    def text(tag: int) -> str:
        return read_identifier(values.get(tag, b""), values.get(SPECIFIC_CHARACTER_SET, b""))

    return InstanceIdentity(
        study_instance_uid=_uid_of_instance(values.get(STUDY_INSTANCE_UID, b"")),
        series_instance_uid=_uid_of_instance(values.get(SERIES_INSTANCE_UID, b"")),
        sop_instance_uid=_uid_of_instance(values.get(SOP_INSTANCE_UID, b"")),
        sop_class_uid=_uid(values.get(SOP_CLASS_UID, b"")),
        transfer_syntax_uid=transfer_syntax_uid,
        patient_id=text(PATIENT_ID),
        issuer_of_patient_id=text(ISSUER_OF_PATIENT_ID),
        accession_number=text(ACCESSION_NUMBER),
        priority=text(REQUESTED_PROCEDURE_PRIORITY).upper(),
    )


def _uid(raw: bytes) -> str:
    value = raw.rstrip(b"\0 ").decode("ascii", "replace")
    if not is_uid(value):
        raise Malformed("a UID is missing or is not one")
    return value


def _uid_of_instance(raw: bytes) -> str:
    value = _uid(raw)
    if is_standard_uid(value):
        raise Malformed("a UID that the standard registers stands where an instance has its own")
    return value


def read_identifier(raw: bytes, character_set: bytes) -> str:
    """As :func:`read_text`, for what may have 64 characters in any character set.

    Raises
    ------
    Malformed
        If it is longer than :data:`MAX_IDENTIFIER_BYTES`.
    """
    if len(raw) > MAX_IDENTIFIER_BYTES:
        raise Malformed("an identifier is too long")
    return read_text(raw, character_set)


def read_text(raw: bytes, character_set: bytes) -> str:
    """Decode a short text (LO, SH, CS) and drop its padding.

    Parameters
    ----------
    raw, character_set : bytes
        The value, and the value of Specific Character Set (0008,0005) as it stands.

    Returns
    -------
    str
        Text that the character set does not explain is read as Latin-1, so that different bytes stay different.
    """
    if raw.isascii():
        return raw.decode("ascii").strip(" \0")
    term = character_set.split(b"\\")[0].strip(b" \0").decode("ascii", "replace")
    encoding = python_encoding.get(term, "latin-1")
    try:
        return raw.decode(encoding).strip(" \0")
    except (UnicodeDecodeError, LookupError):
        return raw.decode("latin-1").strip(" \0")


def part10(
    dataset_bytes: bytes,
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
) -> bytes:
    """Put a Part 10 file together around an encoded dataset, which is not looked at.

    Parameters
    ----------
    dataset_bytes : bytes
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str

    Raises
    ------
    Malformed
        If a UID is not one.

    References
    ----------
    DICOM PS3.10 table 7.1-1
    """
    return b"".join((file_meta(sop_class_uid, sop_instance_uid, transfer_syntax_uid), dataset_bytes))


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Write an empty preamble and the file meta information (PS3.10 table 7.1-1)."""
    if not all(map(is_uid, (sop_class_uid, sop_instance_uid, transfer_syntax_uid))):
        raise Malformed("a UID is missing or is not one")
    values = [
        (0x00020001, "OB", b"\0\1"),
        (0x00020002, "UI", sop_class_uid.encode()),
        (0x00020003, "UI", sop_instance_uid.encode()),
        (0x00020010, "UI", transfer_syntax_uid.encode()),
        (0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode()),
        (0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode()),
    ]
    body = b"".join(EXPLICIT_LITTLE_ENDIAN.element(*value) for value in values)
    group_length = EXPLICIT_LITTLE_ENDIAN.element(0x00020000, "UL", len(body).to_bytes(4, "little"))
    return b"".join((b"\0" * 128, b"DICM", group_length, body))


def patient_identity(instance: InstanceIdentity) -> Identity:
    """Return whose pseudonym stands for the patient.

    Without a Patient ID nothing says that two studies are of one patient, so each study then has a patient of its own,
    named by its Study Instance UID under the issuer :data:`NO_PATIENT_ID`.
    """
    if instance.patient_id:
        return Identity(PseudonymKind.PATIENT, instance.patient_id, instance.issuer_of_patient_id)
    return Identity(PseudonymKind.PATIENT, instance.study_instance_uid, NO_PATIENT_ID)
