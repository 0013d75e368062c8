"""Planted identifiers never come out, wherever they are planted and however the dataset is encoded."""

import io
import warnings
import zlib
from collections.abc import Sequence

import pydicom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.deidentify.dicom import SafeInstance, deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.domain.identifiers import Identity, PseudonymKind
from osler.standards.confidentiality import profile_rows
from osler.standards.dicom import open_part10
from osler.standards.dicom_stream import (
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Encoding,
    dictionary,
    walk,
)

CANARY = b"KanarieVogel"
CANARY_UID = b"1.2.826.0.1.3680043.8.424242.77"
ENCODINGS = {
    "1.2.840.10008.1.2": IMPLICIT_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.1": EXPLICIT_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.1.99": EXPLICIT_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.2": EXPLICIT_BIG_ENDIAN,
}
DECIDING = frozenset(
    {0x00080064, 0x00280301, *(0x60000100 | group << 17 | low for group in range(16) for low in (0, 2))}
)
"""Attributes by which an instance is refused; they have tests of their own."""
BINARY_NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})
OF_THE_FILE = {
    0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.2"),
    0x00080018: ("UI", CANARY_UID + b".1"),
    0x00080060: ("CS", b"CT"),
    0x0020000D: ("UI", CANARY_UID + b".2"),
    0x0020000E: ("UI", CANARY_UID + b".3"),
}

table_tags = [int(row.pattern, 16) for row in profile_rows() if not set(row.pattern) & set("GX")]
tags = st.one_of(
    st.sampled_from(table_tags),
    st.sampled_from(sorted(dictionary())),
    st.integers(0x0008, 0x7FDF).flatmap(lambda group: st.integers(0, 0xFFFF).map(lambda e: group << 16 | e)),
    st.integers(0x0004, 0x3FEF).flatmap(lambda half: st.integers(0x10, 0xFFFF).map(lambda e: (2 * half + 1) << 16 | e)),
).filter(lambda tag: 0x00080000 <= tag < 0x7FE00000 and tag not in OF_THE_FILE and tag not in DECIDING)
text_vrs = st.sampled_from(
    [
        "AE",
        "AS",
        "CS",
        "DA",
        "DS",
        "DT",
        "IS",
        "LO",
        "LT",
        "OB",
        "OW",
        "PN",
        "SH",
        "ST",
        "TM",
        "UC",
        "UI",
        "UN",
        "UR",
        "UT",
    ]
)
values = st.one_of(
    st.just(CANARY),
    st.just(CANARY_UID),
    st.tuples(st.binary(max_size=6), st.binary(max_size=6)).map(lambda around: around[0] + CANARY + around[1]),
)
trees = st.recursive(
    st.tuples(tags, text_vrs, values),
    lambda inner: st.tuples(tags, st.sampled_from(["SQ", "UN"]), st.lists(st.lists(inner, max_size=3), max_size=2)),
    max_leaves=12,
)


def dataset(elements: Sequence[tuple[int, str, object]], encoding: Encoding, *, defined: bool) -> bytes:
    """Encode elements, ascending and each tag once, as a writer would."""
    once = {tag: (vr, value) for tag, vr, value in elements}
    return b"".join(encoded(tag, *once[tag], encoding, defined=defined) for tag in sorted(once))


def encoded(tag: int, vr: str, value: object, encoding: Encoding, *, defined: bool) -> bytes:
    known = dictionary().get(tag, "")
    if isinstance(value, bytes):
        return encoding.element(tag, vr, value)
    inner = IMPLICIT_LITTLE_ENDIAN if vr == "UN" and encoding.explicit else encoding
    if not encoding.explicit and known != "SQ":
        defined = False  # without a VR only the undefined length says that it is a sequence
    if vr == "UN":
        defined = False
    assert isinstance(value, list)
    items = b"".join(item(dataset(one, inner, defined=defined), inner, defined=defined) for one in value)
    if defined:
        return encoding.header(tag, vr, len(items)) + items
    return encoding.header(tag, vr, UNDEFINED_LENGTH) + items + inner.header(SEQUENCE_DELIMITATION, "", 0)


def item(content: bytes, encoding: Encoding, *, defined: bool) -> bytes:
    if defined:
        return encoding.header(ITEM, "", len(content)) + content
    return encoding.header(ITEM, "", UNDEFINED_LENGTH) + content + encoding.header(ITEM_DELIMITATION, "", 0)


def file(syntax: str, content: bytes) -> bytes:
    """Put a Part 10 file together with canaries in the preamble, in the meta information and after the end."""
    meta = b"".join(
        EXPLICIT_LITTLE_ENDIAN.element(*element)
        for element in (
            (0x00020002, "UI", b"1.2.840.10008.5.1.4.1.1.2"),
            (0x00020003, "UI", CANARY_UID),
            (0x00020010, "UI", syntax.encode()),
            (0x00020013, "SH", CANARY),
            (0x00020016, "AE", CANARY),
            (0x00020100, "UI", CANARY_UID),
            (0x00020102, "OB", CANARY),
        )
    )
    if syntax.endswith(".99"):
        machine = zlib.compressobj(wbits=-15)
        content = machine.compress(content) + machine.flush()
    return CANARY.ljust(128, b"!") + b"DICM" + meta + content + (CANARY if syntax.endswith(".99") else b"")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(elements=st.lists(trees, max_size=12), syntax=st.sampled_from(sorted(ENCODINGS)), defined=st.booleans())
def test_no_canary_comes_out(elements: list[tuple[int, str, object]], syntax: str, defined: bool) -> None:
    encoding = ENCODINGS[syntax]
    elements = [e for e in elements if is_fair(e, encoding)]
    known = [(tag, vr, value) for tag, (vr, value) in OF_THE_FILE.items()]
    pixels = [(0x7FE00010, "OW", b"\1\2\3\4"), (0xFFFCFFFC, "OB", CANARY)]
    safe = deidentify_instance(
        file(syntax, dataset([*elements, *known, *pixels], encoding, defined=defined)), pseudonyms=EphemeralPseudonyms()
    )
    assert CANARY not in safe.content
    assert CANARY_UID not in safe.content
    readable(safe)


def is_fair(element: tuple[int, str, object], encoding: Encoding) -> bool:
    """Leave out damaged sequences, and what no form can show: letters written as the numbers of an unlimited list."""
    tag, vr, value = element
    known = dictionary().get(tag, "")[:2]
    if isinstance(value, bytes):
        damaged = known == "SQ" and (vr == "UN" or not encoding.explicit)
        return not damaged and known not in BINARY_NUMBERS | {"OW", "OB", "OV"}
    assert isinstance(value, list)
    inside = IMPLICIT_LITTLE_ENDIAN if vr == "UN" else encoding
    return all(is_fair(inner, inside) for one in value for inner in one)


def readable(safe: SafeInstance) -> None:
    """The output is a DICOM file to this program and to pydicom."""
    out = open_part10(safe.content)
    assert sum(1 for _ in walk(out.data, out.start, len(out.data), out.syntax.encoding)) > 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what was kept may break rules that do not matter here
        read = pydicom.dcmread(io.BytesIO(safe.content))
        list(read.iterall())
    assert read.SOPInstanceUID == safe.sop_instance_uid == read.file_meta.MediaStorageSOPInstanceUID
    assert read.PixelData == b"\1\2\3\4"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.from_regex(r"1\.2\.[1-9][0-9]{0,20}", fullmatch=True), min_size=3, max_size=12, unique=True))
def test_uids_map_one_to_one_and_the_same_each_time(uids: list[str]) -> None:
    pseudonyms = EphemeralPseudonyms()
    references = [[(0x00081155, "UI", uid.encode())] for uid in uids]
    elements = [(tag, vr, value) for tag, (vr, value) in OF_THE_FILE.items()]
    content = file(
        "1.2.840.10008.1.2.1",
        dataset([*elements, (0x00081140, "SQ", references)], EXPLICIT_LITTLE_ENDIAN, defined=True),
    )
    for _ in range(2):
        safe = deidentify_instance(content, pseudonyms=pseudonyms)
        read = pydicom.dcmread(io.BytesIO(safe.content))
        written = [str(reference.ReferencedSOPInstanceUID) for reference in read.ReferencedImageSequence]
        assert written == [pseudonyms.uid(uid) for uid in uids]
        assert len(set(written)) == len(uids)


class Asked(EphemeralPseudonyms):
    """Remembers what it was asked for, and refuses what was not announced."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[Identity]] = []

    def prefetch(self, identities: Sequence[Identity]) -> None:
        self.calls.append(list(identities))

    def uid(self, value: str) -> str:
        assert Identity(PseudonymKind.UID, value) in self.calls[-1]
        return super().uid(value)

    def patient(self, patient_id: str, issuer: str) -> str:
        assert Identity(PseudonymKind.PATIENT, patient_id, issuer) in self.calls[-1]
        return super().patient(patient_id, issuer)

    def accession(self, value: str, issuer: str) -> str:
        assert Identity(PseudonymKind.ACCESSION, value, issuer) in self.calls[-1]
        return super().accession(value, issuer)


@settings(max_examples=50, deadline=None)
@given(
    patient_id=st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\\\x7f"), max_size=20),
    accession=st.text("ABC123", max_size=16),
)
def test_the_vault_is_asked_once_for_each_instance(patient_id: str, accession: str) -> None:
    asked = Asked()
    elements = [(tag, vr, value) for tag, (vr, value) in OF_THE_FILE.items()]
    elements += [
        (0x00080005, "CS", b"ISO_IR 100"),
        (0x00080050, "SH", accession.encode()),
        (0x00100020, "LO", patient_id.encode("latin-1")),
    ]
    safe = deidentify_instance(
        file("1.2.840.10008.1.2.1", dataset(elements, EXPLICIT_LITTLE_ENDIAN, defined=True)), pseudonyms=asked
    )
    assert len(asked.calls) == 1
    assert len(asked.calls[0]) == len(set(asked.calls[0]))
    assert bool(safe.accession) == bool(accession)
    expected = patient_id.strip(" \0")
    assert not expected or Identity(PseudonymKind.PATIENT, expected) in asked.calls[0]
