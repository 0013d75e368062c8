"""Which presentation contexts are taken, and what of an association request is refused (PS3.8 9.3.2, PS3.7 annex D)."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context

from osler.ingest import upper_layer
from osler.ingest.association import negotiate, takes_abstract_syntax
from osler.ingest.upper_layer import ProtocolFault, Titles, decode_request, fragments, read_titles

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def request(*contexts: tuple[str, list[str]], called: str = "OSLER", calling: str = "SCU") -> bytes:
    """Body of an A-ASSOCIATE-RQ."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = upper_layer.APPLICATION_CONTEXT_NAME
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    proposed = [build_context(uid, syntaxes) for uid, syntaxes in contexts]
    for number, context in enumerate(proposed):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = proposed
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16384, UID("1.2.3")
    primitive.user_information = [length, implementation]
    return bytes(A_ASSOCIATE_RQ(primitive).encode())[6:]


def answers(*contexts: tuple[str, list[str]]) -> list[tuple[int | None, str]]:
    results = negotiate(decode_request(memoryview(request(*contexts))).presentation_context)
    return [(context.result, str(context.transfer_syntax[0])) for context in results]


TAKEN = [
    *["", ".1", ".1.98", ".1.99", ".2", ".5", ".8.1"],
    *[f".4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 92, 93, 110, 111, 112, 201, 202, 203)],
    *[f".4.{n}" for n in (*range(100, 109), *(f"{m}.1" for m in range(100, 107)))],
]
NOT_TAKEN = [
    *[".4.94", ".4.95", ".4.204", ".4.205"],  # JPIP: the pixels are elsewhere
    *[".7.1", ".7.2", ".7.3"],  # live streams
    *[".6.1", ".6.2"],  # retired wrappings that are no data sets
]


@pytest.mark.parametrize("end", TAKEN)
def test_a_transfer_syntax_that_holds_its_pixels_is_taken(end: str) -> None:
    assert answers((CT, [IMPLICIT + end])) == [(0, IMPLICIT + end)]


@pytest.mark.parametrize("uid", [*(IMPLICIT + end for end in NOT_TAKEN), "1.2.840.113619.5.2", "1.2.3"])
def test_another_transfer_syntax_is_not(uid: str) -> None:
    assert answers((CT, [uid])) == [(4, uid)]


def test_the_requestor_decides_the_order_of_transfer_syntaxes() -> None:
    jpeg_2000 = IMPLICIT + ".4.90"
    assert answers((CT, [jpeg_2000, EXPLICIT]), (CT, [IMPLICIT, jpeg_2000]), (CT, ["1.2.3", EXPLICIT])) == [
        (0, jpeg_2000),
        (0, IMPLICIT),
        (0, EXPLICIT),
    ]


def test_all_storage_sop_classes_are_taken() -> None:
    known = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    assert len(known) > 160
    assert [uid for uid in known if not takes_abstract_syntax(uid)] == []


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.2.2.1",  # Study Root find
        "1.2.840.10008.5.1.4.31",  # Modality Worklist
        "1.2.840.10008.1.20.1",  # Storage Commitment
        "1.2.840.10008.1.3.10",  # a DICOMDIR
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol: of no study
        "1.3.12.2.1107.5.9.1",  # private
    ],
)
def test_another_abstract_syntax_is_not(uid: str) -> None:
    assert answers((uid, [EXPLICIT]), ("1.2.840.10008.1.1", [IMPLICIT])) == [(3, EXPLICIT), (0, IMPLICIT)]


def test_an_acceptance_is_read_by_another_program() -> None:
    results = negotiate(
        decode_request(memoryview(request((CT, [EXPLICIT]), ("1.2.3", [EXPLICIT])))).presentation_context
    )
    accept = A_ASSOCIATE_AC()
    accept.decode(upper_layer.encode_accept(Titles(1, "OSLER", "SCU"), results, 1 << 20))
    primitive = accept.to_primitive()
    found: list[PresentationContext] = primitive.presentation_context_definition_results_list
    assert [(cx.context_id, cx.result) for cx in found] == [(1, 0), (3, 3)]
    assert primitive.maximum_length_received == 1 << 20
    assert accept.reserved_aet == "OSLER"
    assert accept.reserved_aec == "SCU"


def test_the_titles_are_read_without_the_items() -> None:
    body = request((CT, [EXPLICIT]))[:68] + b"\xff" * 1000
    assert read_titles(memoryview(body)) == Titles(1, "OSLER", "SCU")
    with pytest.raises(ProtocolFault):
        decode_request(memoryview(body))


@pytest.mark.parametrize(
    "body", [b"", bytes(67), b"\0\1\0\0" + b"\xe9" * 32 + bytes(32), b"\0\1\0\0" + b"a\nbc" * 8 + bytes(32)]
)
def test_titles_that_are_none_are_a_fault(body: bytes) -> None:
    with pytest.raises(ProtocolFault):
        read_titles(memoryview(body))


def test_more_than_128_contexts_are_a_fault() -> None:
    body = request(*[(CT, [EXPLICIT])] * 128)
    assert len(decode_request(memoryview(body)).presentation_context) == 128
    context = body[body.index(b"\x20\0") : body.index(b"\x20\0", body.index(b"\x20\0") + 2)]
    at = body.index(b"\x50\0")
    with pytest.raises(ProtocolFault):
        decode_request(memoryview(body[:at] + context + body[at:]))


@given(st.data())
@settings(max_examples=300)
def test_a_damaged_request_is_a_fault_and_nothing_else(data: st.DataObject) -> None:
    body = bytearray(request((CT, [EXPLICIT, IMPLICIT]), ("1.2.840.10008.1.1", [IMPLICIT])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(68, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(68, len(body)))
    try:
        results = negotiate(decode_request(memoryview(body[:cut])).presentation_context)
        upper_layer.encode_accept(Titles(1, "OSLER", "SCU"), results, 1 << 20)
    except ProtocolFault:
        pass


def pdv(context_id: int, header: int, content: bytes) -> bytes:
    return struct.pack(">IBB", len(content) + 2, context_id, header) + content


def test_presentation_data_values_are_split() -> None:
    found = fragments(memoryview(pdv(1, 3, b"command") + pdv(1, 0, b"") + pdv(5, 2, b"data")))
    assert [(context_id, header, bytes(content)) for context_id, header, content in found] == [
        (1, 3, b"command"),
        (1, 0, b""),
        (5, 2, b"data"),
    ]
    assert fragments(memoryview(b"")) == []


@pytest.mark.parametrize(
    "body",
    [
        b"\0",
        struct.pack(">I", 0) + b"\1\3",
        struct.pack(">I", 1) + b"\1",
        struct.pack(">IBB", 0xFFFFFFFF, 1, 3),
        pdv(1, 3, b"abc")[:-1],
        pdv(1, 3, b"abc") + b"\0\0",
        pdv(1, 0, b"") * 257,
    ],
)
def test_lengths_that_do_not_add_up_are_a_fault(body: bytes) -> None:
    with pytest.raises(ProtocolFault, match="malformed-p-data"):
        fragments(memoryview(body))
