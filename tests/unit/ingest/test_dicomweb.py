"""The Store transaction of PS3.18 10.5, without the HTTP."""

import json
from collections.abc import Callable, Iterable, Iterator

import pytest
from pydicom.dataset import Dataset

from osler.domain.events import Received
from osler.errors import (
    InputRejected,
    IntegrityError,
    Malformed,
    OslerError,
    StorageFull,
    TooLarge,
    UnsupportedKind,
    UnsupportedMediaType,
)
from osler.ingest.dicomweb import StoreResult, Storing, open_multipart
from osler.ingest.multipart import BodyLimits
from osler.standards.dicom import part10
from osler.standards.dicom_stream import EXPLICIT_LITTLE_ENDIAN

CT = "1.2.840.10008.5.1.4.1.1.2"
BASE = "http://osler.example/dicom-web"
CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary=b'


def instance(number: int, study: str = "1.2.3") -> bytes:
    elements = [
        (0x00080016, "UI", CT),
        (0x00080018, "UI", f"{study}.9.{number}"),
        (0x00100010, "PN", "CANARY^PATIENT"),
        (0x00100020, "LO", "CANARY-ID"),
        (0x0020000D, "UI", study),
        (0x0020000E, "UI", f"{study}.1"),
    ]
    data_set = b"".join(EXPLICIT_LITTLE_ENDIAN.element(tag, vr, value.encode()) for tag, vr, value in elements)
    return part10(
        data_set,
        sop_class_uid=CT,
        sop_instance_uid=f"{study}.9.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )


def body(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + b"--b--"


def accepting(kept: list[Received], *failures: OslerError | None) -> Callable[[Received], None]:
    waiting = list(failures)

    def accept(received: Received) -> None:
        error = waiting.pop(0) if waiting else None
        if error is not None:
            raise error
        kept.append(received)

    return accept


def answer(result: StoreResult) -> Dataset:
    """Return the response as another program reads it."""
    return Dataset.from_json(json.dumps(result.to_json(BASE)))


def parse_multipart(content_type: str, chunks: Iterable[bytes], limits: BodyLimits) -> Iterator[bytes]:
    """Yield the parts of a body that comes in chunks."""
    parser = open_multipart(content_type, limits)
    for chunk in chunks:
        yield from parser.feed(chunk)
    parser.finish()


def store_instances(
    parts: Iterable[bytes], accept: Callable[[Received], None], source: str, study_instance_uid: str = ""
) -> StoreResult:
    """Store parts as they come, as a request does."""
    storing = Storing(accept, source, study_instance_uid)
    try:
        for part in parts:
            storing.store(part)
    except InputRejected as error:
        storing.broke_off(error)
    return storing.result()


def test_all_parts_stored() -> None:
    kept: list[Received] = []
    parts = parse_multipart(CONTENT_TYPE, [body(instance(1), instance(2))], BodyLimits())
    result = store_instances(parts, accepting(kept), "stow:viewer")
    assert result.http_status == 200
    assert [received.content for received in kept] == [instance(1), instance(2)]
    assert {received.source for received in kept} == {"stow:viewer"}
    response = answer(result)
    assert response.RetrieveURL == f"{BASE}/studies/1.2.3"
    assert "FailedSOPSequence" not in response
    assert [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID, item.RetrieveURL)
        for item in response.ReferencedSOPSequence
    ] == [(CT, f"1.2.3.9.{n}", f"{BASE}/studies/1.2.3/series/1.2.3.1/instances/1.2.3.9.{n}") for n in (1, 2)]


def test_some_parts_stored() -> None:
    kept: list[Received] = []
    parts = [instance(1), b"not DICOM", instance(2), instance(3, study="1.2.4")]
    result = store_instances(parts, accepting(kept, None, StorageFull("full")), "stow:viewer")
    assert result.http_status == 202
    response = answer(result)
    assert [item.ReferencedSOPInstanceUID for item in response.ReferencedSOPSequence] == ["1.2.3.9.1", "1.2.4.9.3"]
    unnamed, full = response.FailedSOPSequence
    assert unnamed.FailureReason == 0xC000
    assert "ReferencedSOPInstanceUID" not in unnamed
    assert (full.ReferencedSOPClassUID, full.ReferencedSOPInstanceUID, full.FailureReason) == (CT, "1.2.3.9.2", 0xA700)
    assert [item.FailureReason for item in response[0x0008119A].value] == [0xC000]
    assert not response.get("RetrieveURL")  # of two studies there is none


def test_no_part_stored() -> None:
    result = store_instances([b"", b"nothing"], accepting([]), "stow:viewer")
    assert result.http_status == 409
    response = answer(result)
    assert "ReferencedSOPSequence" not in response
    assert [item.FailureReason for item in response.FailedSOPSequence] == [0xC000, 0xC000]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Malformed("x"), 0xC000),
        (UnsupportedKind("x"), 0x0122),
        (StorageFull("x"), 0xA700),
        (IntegrityError("x"), 0x0110),
    ],
)
def test_each_error_has_its_failure_reason(error: OslerError, reason: int) -> None:
    result = store_instances([instance(1)], accepting([], error), "stow:viewer")
    assert [item.FailureReason for item in answer(result).FailedSOPSequence] == [reason]


def test_an_instance_of_another_study_than_the_address_is_refused() -> None:
    kept: list[Received] = []
    parts = [instance(1), instance(2, study="1.2.4")]
    result = store_instances(parts, accepting(kept), "stow:viewer", study_instance_uid="1.2.3")
    assert result.http_status == 202
    assert [received.identity.study_instance_uid for received in kept] == ["1.2.3"]
    assert [item.FailureReason for item in answer(result).FailedSOPSequence] == [0xA900]


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom+json"; boundary=b',
        'multipart/related; type="application/dicom+xml"; boundary=b',
        "multipart/form-data; boundary=b",
        "application/dicom",
        "application/json",
        "",
    ],
)
def test_another_media_type_is_415(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType) as refused:
        open_multipart(content_type, BodyLimits())
    assert refused.value.http_status == 415


def test_a_content_type_without_boundary_is_malformed() -> None:
    with pytest.raises(Malformed):
        open_multipart('multipart/related; type="application/dicom"', BodyLimits())


@pytest.mark.parametrize("encoded", [b"--b--", b"", body(instance(1))[:-30], b"nested: --b\r\n"])
def test_a_body_of_which_nothing_was_stored_is_malformed(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        store_instances(parse_multipart(CONTENT_TYPE, [encoded], BodyLimits()), accepting([]), "stow:viewer")


@pytest.mark.parametrize(
    ("limits", "cut"), [(BodyLimits(), 40), (BodyLimits(parts=1), 0), (BodyLimits(total_bytes=400), 0)]
)
def test_a_body_that_breaks_off_still_says_what_was_stored(limits: BodyLimits, cut: int) -> None:
    encoded = body(instance(1), instance(2))
    halves = [encoded[: len(encoded) // 2 + 20], encoded[len(encoded) // 2 + 20 : len(encoded) - cut]]
    kept: list[Received] = []
    limits = BodyLimits(limits.part_bytes, len(halves[0]) + 10, limits.parts) if limits.total_bytes == 400 else limits
    result = store_instances(parse_multipart(CONTENT_TYPE, halves, limits), accepting(kept), "stow:viewer")
    assert result.http_status == 202
    assert [received.identity.sop_instance_uid for received in kept] == ["1.2.3.9.1"]
    assert [item.FailureReason for item in answer(result).FailedSOPSequence] == [0xC000]


def test_a_part_that_is_itself_multipart_is_one_failed_part() -> None:
    inner = body(instance(1)).replace(b"--b", b"--inner")
    parts = parse_multipart(CONTENT_TYPE, [body(inner, instance(2))], BodyLimits())
    kept: list[Received] = []
    result = store_instances(parts, accepting(kept), "stow:viewer")
    assert result.http_status == 202
    assert [received.identity.sop_instance_uid for received in kept] == ["1.2.3.9.2"]


def test_a_part_that_is_too_large_before_anything_was_stored_is_413() -> None:
    parts = parse_multipart(CONTENT_TYPE, [body(instance(1))], BodyLimits(part_bytes=100))
    with pytest.raises(TooLarge) as refused:
        store_instances(parts, accepting([]), "stow:viewer")
    assert refused.value.http_status == 413


def test_a_part_is_stored_before_the_next_one_is_read() -> None:
    kept: list[Received] = []

    def chunks() -> Iterator[bytes]:
        yield body(instance(1), instance(2))[: len(body(instance(1))) + 10]
        assert len(kept) == 1
        yield body(instance(1), instance(2))[len(body(instance(1))) + 10 :]

    assert (
        store_instances(parse_multipart(CONTENT_TYPE, chunks(), BodyLimits()), accepting(kept), "s").http_status == 200
    )
    assert len(kept) == 2


def test_the_result_does_not_print_the_patient() -> None:
    result = store_instances([instance(1), instance(2)], accepting([], Malformed("x")), "stow:viewer")
    assert "CANARY" not in repr(result)
    assert "CANARY" not in json.dumps(result.to_json(BASE))
