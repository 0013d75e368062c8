import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import ComprehensiveSRStorage, SecondaryCaptureImageStorage, Verification

from osler.config import Destination
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish import sr
from osler.publish.store_scu import Timeouts, store
from osler.testing.peers import Pacs
from osler.testing.results import identified, radiograph, recorded

IMPLICIT = "1.2.840.10008.1.2"
QUICK = Timeouts(connect_s=1.0, answer_s=0.5, whole_s=1.0)


@pytest.fixture(scope="module")
def documents() -> list[pydicom.Dataset]:
    source = identified(radiograph())
    return [sr.build(recorded(revision=revision), source) for revision in (1, 2)]


def destination(address: str, ae_title: str = "PACS") -> Destination:
    return Destination("pacs", "dicom", address=address, ae_title=ae_title)


def send(objects: Sequence[pydicom.Dataset], to: Destination, timeouts: Timeouts | None = None) -> object:
    return store(objects, to, calling_ae_title="OSLER", timeouts=timeouts)


@contextlib.contextmanager
def answering(folder: Path, *statuses: int) -> Iterator[Pacs]:
    left = list(statuses)
    pacs = Pacs(folder, answer=lambda: left.pop(0) if len(left) > 1 else left[0])
    try:
        yield pacs
    finally:
        pacs.stop()


@pytest.mark.parametrize(
    ("status", "warning"),
    [
        (0x0000, None),
        (0xB000, "status B000"),
        (0xB006, "status B006"),
        (0xB007, "status B007"),
        (0x0001, "status 0001"),
        (0x0107, "status 0107"),
        (0x0116, "status 0116"),
        (0x0111, "status 0111"),
    ],
)
def test_what_was_taken(tmp_path: Path, documents: list[pydicom.Dataset], status: int, warning: str | None) -> None:
    with answering(tmp_path, status) as pacs:
        delivery = send(documents[:1], destination(pacs.address))

    assert (delivery.reference, delivery.warning) == (documents[0].SOPInstanceUID, warning)


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0xA7FF, 0x0210, 0x0213])
def test_what_may_be_taken_later(tmp_path: Path, documents: list[pydicom.Dataset], status: int) -> None:
    with answering(tmp_path, status) as pacs, pytest.raises(PeerUnavailable, match=f"{status:04X}"):
        send(documents[:1], destination(pacs.address))


@pytest.mark.parametrize("status", [0xC000, 0xC123, 0xA900, 0x0110, 0x0117, 0x0122, 0x0124])
def test_what_is_refused(tmp_path: Path, documents: list[pydicom.Dataset], status: int) -> None:
    with answering(tmp_path, status) as pacs, pytest.raises(DeliveryRefused, match=f"{status:04X}"):
        send(documents[:1], destination(pacs.address))


def test_several_over_one_association(tmp_path: Path, documents: list[pydicom.Dataset]) -> None:
    with answering(tmp_path, 0x0000, 0xB000) as pacs:
        delivery = send(documents, destination(pacs.address))

    assert delivery.reference == " ".join(d.SOPInstanceUID for d in documents)
    assert delivery.warning == "status B000"
    assert pacs.received == [d.SOPInstanceUID for d in documents]


def test_one_refused_refuses_the_delivery(tmp_path: Path, documents: list[pydicom.Dataset]) -> None:
    with answering(tmp_path, 0x0000, 0xC000) as pacs, pytest.raises(DeliveryRefused):
        send(documents, destination(pacs.address))


def test_what_arrives_is_what_was_built(tmp_path: Path, documents: list[pydicom.Dataset]) -> None:
    with answering(tmp_path, 0x0000) as pacs:
        send(documents[:1], destination(pacs.address))

    (file,) = tmp_path.glob("*.dcm")
    assert pydicom.dcmread(file).to_json_dict() == documents[0].to_json_dict()


@contextlib.contextmanager
def server(entity: AE, handlers: Sequence[tuple[object, Callable[..., object]]] = ()) -> Iterator[str]:
    started = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        yield f"127.0.0.1:{started.socket.getsockname()[1]}"
    finally:
        started.shutdown()


def test_a_peer_that_knows_implicit_vr_only(documents: list[pydicom.Dataset]) -> None:
    got: list[pydicom.Dataset] = []
    entity = AE("PACS")
    entity.supported_contexts = [build_context(ComprehensiveSRStorage, IMPLICIT)]

    def keep(event: evt.Event) -> int:
        got.append(event.dataset)
        return 0x0000

    with server(entity, [(evt.EVT_C_STORE, keep)]) as address:
        send(documents[:1], destination(address))

    assert [d.SOPInstanceUID for d in got] == [documents[0].SOPInstanceUID]
    assert got[0].PatientID == "P100"


@pytest.mark.parametrize("takes", [Verification, SecondaryCaptureImageStorage])
def test_a_peer_that_does_not_take_the_kind(documents: list[pydicom.Dataset], takes: str) -> None:
    entity = AE("PACS")
    entity.supported_contexts = [build_context(takes)]

    with server(entity) as address, pytest.raises(DeliveryRefused, match="SOP class"):
        send(documents[:1], destination(address))


def test_a_peer_that_takes_only_one_of_two_kinds(documents: list[pydicom.Dataset]) -> None:
    image = pydicom.Dataset()
    image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, "2.25.5"
    image.file_meta = documents[0].file_meta
    entity = AE("PACS")
    entity.supported_contexts = [build_context(ComprehensiveSRStorage)]

    with (
        server(entity, [(evt.EVT_C_STORE, lambda event: 0x0000)]) as address,
        pytest.raises(DeliveryRefused, match="Secondary Capture"),
    ):
        send([documents[0], image], destination(address))


def test_a_peer_that_rejects_the_association(documents: list[pydicom.Dataset]) -> None:
    entity = AE("PACS")
    entity.supported_contexts = [build_context(ComprehensiveSRStorage)]
    entity.require_called_aet = True

    with server(entity) as address, pytest.raises(PeerUnavailable, match="AE titles"):
        send(documents[:1], destination(address, "WRONG"))


def test_a_peer_that_aborts_instead_of_answering(documents: list[pydicom.Dataset]) -> None:
    entity = AE("PACS")
    entity.supported_contexts = [build_context(ComprehensiveSRStorage)]

    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    with server(entity, [(evt.EVT_C_STORE, abort)]) as address, pytest.raises(PeerUnavailable):
        send(documents[:1], destination(address))


def test_a_peer_that_aborts_the_association(documents: list[pydicom.Dataset]) -> None:
    entity = AE("PACS")
    entity.supported_contexts = [build_context(ComprehensiveSRStorage)]

    with (
        server(entity, [(evt.EVT_ACCEPTED, lambda event: event.assoc.abort())]) as address,
        pytest.raises(PeerUnavailable),
    ):
        send(documents[:1], destination(address))


def test_a_peer_that_does_not_answer_in_time(documents: list[pydicom.Dataset]) -> None:
    left = threading.Event()
    entity = AE("PACS")
    entity.supported_contexts = [build_context(ComprehensiveSRStorage)]

    def wait(event: evt.Event) -> int:
        left.wait(30)
        return 0x0000

    with server(entity, [(evt.EVT_C_STORE, wait)]) as address:
        began = time.monotonic()
        with pytest.raises(PeerUnavailable):
            send(documents[:1], destination(address), QUICK)
        assert time.monotonic() - began < 5
        left.set()


def test_nobody_there(documents: list[pydicom.Dataset], free_port: Callable[[], int]) -> None:
    with pytest.raises(PeerUnavailable, match="no association"):
        send(documents[:1], destination(f"127.0.0.1:{free_port()}"), QUICK)


def test_a_name_that_nobody_knows(documents: list[pydicom.Dataset]) -> None:
    with pytest.raises(PeerUnavailable, match="not known"):
        send(documents[:1], destination("pacs.invalid:104"), QUICK)


HALF_AN_ACCEPT = b"\x02\x00\x00\x00\x00\xff\x00\x01"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="silence"),
        pytest.param(HALF_AN_ACCEPT, id="half an A-ASSOCIATE-AC"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
    ],
)
def test_a_peer_that_hangs_before_the_association(documents: list[pydicom.Dataset], said: bytes) -> None:
    with hanging(said) as address:
        began = time.monotonic()
        with pytest.raises(PeerUnavailable):
            send(documents[:1], destination(address), QUICK)
        assert time.monotonic() - began < 5


def test_a_peer_that_hangs_in_the_midst_of_an_answer(documents: list[pydicom.Dataset]) -> None:
    half_a_response = b"\x04\x00\x00\x00\x00\x50\x00\x00"
    entity = AE("PACS")
    entity.supported_contexts = [build_context(ComprehensiveSRStorage)]
    left = threading.Event()

    def answer_half(event: evt.Event) -> int:
        event.assoc.dul.socket.socket.sendall(half_a_response)
        left.wait(30)
        return 0x0000

    with server(entity, [(evt.EVT_C_STORE, answer_half)]) as address:
        began = time.monotonic()
        with pytest.raises(PeerUnavailable):
            send(documents[:1], destination(address), QUICK)
        assert time.monotonic() - began < 5
        left.set()


@contextlib.contextmanager
def hanging(said: bytes) -> Iterator[str]:
    """Take one connection, say ``said``, and then neither speak nor end it."""
    stop = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(said)
            stop.wait(30)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listening.close()
