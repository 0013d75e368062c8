"""The storage SCP against real peers: dcmtk, pynetdicom, and our own sender."""

import io
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import pytest
import structlog
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context

from osler.domain.events import Received
from osler.errors import (
    AccessDenied,
    ConfigError,
    DeliveryRefused,
    IntegrityError,
    Malformed,
    OslerError,
    PeerUnavailable,
    StorageBusy,
    StorageFull,
    UnsupportedKind,
)
from osler.ingest.dimse import AcceptList, Limits, Peer, StorageScp
from osler.ingest.folder import Outcome, send
from osler.ingest.messages import encode_p_data
from osler.ingest.requestor import Kind, associate
from osler.ingest.upper_layer import Titles, encode_request
from osler.standards.dicom import part10
from osler.standards.dicom_stream import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PATIENCE_S = 20.0


def data_set(sop_instance_uid: str, sop_class_uid: str = CT, size: int = 64) -> bytes:
    elements = [
        (0x00080016, "UI", sop_class_uid.encode()),
        (0x00080018, "UI", sop_instance_uid.encode()),
        (0x00100010, "PN", b"CANARY^PATIENT"),
        (0x00100020, "LO", b"CANARY-ID"),
        (0x0020000D, "UI", b"1.2.3"),
        (0x0020000E, "UI", b"1.2.3.1"),
        (0x7FE00010, "OW", bytes(size)),
    ]
    return b"".join(EXPLICIT_LITTLE_ENDIAN.element(*element) for element in elements)


def write_file(path: Path, sop_instance_uid: str, *, sop_class_uid: str = CT, syntax: str = EXPLICIT) -> bytes:
    content = data_set(sop_instance_uid, sop_class_uid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        part10(content, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid, transfer_syntax_uid=syntax)
    )
    return content


@dataclass
class Hub:
    """Stands for the hub behind the SCP: keeps what comes, or fails as it is told; and notes what it observes."""

    kept: list[Received] = field(default_factory=list)
    error: BaseException | None = None
    events: list[tuple[str, str, object]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def accept(self, received: Received) -> None:
        if self.error is not None:
            raise self.error
        with self.changed:
            self.kept.append(received)

    def association_accepted(self, peer: Peer) -> None:
        self._note("accepted", peer, None)

    def association_rejected(self, peer: Peer, reason: str) -> None:
        self._note("rejected", peer, reason)

    def association_aborted(self, peer: Peer, reason: str) -> None:
        self._note("aborted", peer, reason)

    def instance_refused(self, peer: Peer, status: int) -> None:
        self._note("refused", peer, status)

    def _note(self, what: str, peer: Peer, detail: object) -> None:
        with self.changed:
            self.events.append((what, f"{peer.calling_ae_title}@{peer.address}", detail))
            self.changed.notify_all()

    def wait_for(self, event: tuple[str, str, object]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: event in self.events, PATIENCE_S), self.events

    @property
    def uids(self) -> list[str]:
        return sorted(received.identity.sop_instance_uid for received in self.kept)


@contextmanager
def listening(
    hub: Hub,
    *,
    accept: Callable[[Received], None] | None = None,
    peers: list[str] | None = None,
    limits: Limits | None = None,
    host: str = "127.0.0.1",
) -> Iterator[StorageScp]:
    scp = StorageScp(
        accept or hub.accept,
        address=(host, 0),
        ae_title="OSLER",
        peers=AcceptList(["*@127.0.0.1"] if peers is None else peers),
        observer=hub,
        limits=limits,
    )
    scp.start()
    try:
        yield scp
    finally:
        scp.stop(timeout_s=5.0)


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def scp(hub: Hub) -> Iterator[StorageScp]:
    with listening(hub) as scp:
        yield scp


def verification() -> PresentationContext:
    context = build_context(VERIFICATION)
    context.context_id = 1
    return context


@contextmanager
def associated(
    scp: StorageScp, *kinds: Kind, calling: str = "SCU", host: str = "127.0.0.1"
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Associate with our own requestor, which sends bytes as they are; the value stores one instance."""
    kinds = kinds or ((CT, EXPLICIT),)
    with associate((host, scp.port), Titles(1, "OSLER", calling), kinds) as requestor:

        def store(uid: str, content: bytes | None = None) -> tuple[int, str]:
            return requestor.store(kinds[0], uid, memoryview(data_set(uid) if content is None else content))

        yield store


@contextmanager
def pynetdicom_association(scp: StorageScp, *kinds: Kind, calling: str = "SCU") -> Iterator[Association]:
    contexts = [build_context(*kind) for kind in kinds or ((CT, EXPLICIT),)]
    association = AE(ae_title=calling).associate("127.0.0.1", scp.port, contexts=contexts, ae_title="OSLER")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


# --------------------------------------------------------------------------------------------------- dcmtk


def test_dcmtk_echoscu(need: Callable[..., str], scp: StorageScp, hub: Hub) -> None:
    subprocess.run([need("echoscu"), "-aec", "OSLER", "127.0.0.1", str(scp.port)], check=True, timeout=PATIENCE_S)
    assert hub.events == [("accepted", "ECHOSCU@127.0.0.1", None)]


@pytest.mark.parametrize("option", ["-xe", "-xi", "-xd"])
def test_dcmtk_storescu(need: Callable[..., str], scp: StorageScp, hub: Hub, tmp_path: Path, option: str) -> None:
    sent = [write_file(tmp_path / f"{n}.dcm", f"1.2.3.{n}") for n in range(5)]
    subprocess.run(
        [need("storescu"), option, "-aec", "OSLER", "127.0.0.1", str(scp.port), "+sd", tmp_path],
        check=True,
        timeout=PATIENCE_S,
    )
    assert hub.uids == [f"1.2.3.{n}" for n in range(5)]
    received = hub.kept[0]
    syntax = {"-xe": EXPLICIT, "-xi": IMPLICIT, "-xd": "1.2.840.10008.1.2.1.99"}[option]
    assert received.identity.transfer_syntax_uid == syntax
    assert received.identity.patient_id == "CANARY-ID"
    assert received.source == "dimse:STORESCU"
    if option == "-xe":
        assert sorted(received.content[-len(sent[0]) :] for received in hub.kept) == sent


def test_dcmtk_storescu_is_told_why_it_is_rejected(need: Callable[..., str], scp: StorageScp, tmp_path: Path) -> None:
    write_file(tmp_path / "1.dcm", "1.2.3.1")
    done = subprocess.run(
        [need("storescu"), "-aec", "ELSEWHERE", "127.0.0.1", str(scp.port), tmp_path / "1.dcm"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stderr


# ---------------------------------------------------------------------------------------------- pynetdicom


def test_pynetdicom_stores(scp: StorageScp, hub: Hub) -> None:
    instance = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    statuses = []
    for _ in range(5):  # its reactor thread may take an answer away from its own caller, which then waits in vain
        with pynetdicom_association(scp, (VERIFICATION, IMPLICIT), (CT, EXPLICIT)) as association:
            association.dimse_timeout = 1
            statuses.append(association.send_c_echo().get("Status"))
            statuses.append(association.send_c_store(instance).get("Status") if association.is_established else None)
        if statuses[-2:] == [0, 0]:
            break
    assert statuses[-2:] == [0, 0]
    assert set(statuses) <= {0, None}
    received = hub.kept[-1]
    assert received.identity.sop_instance_uid == instance.SOPInstanceUID
    assert received.identity.patient_id == instance.PatientID
    assert pydicom.dcmread(io.BytesIO(received.content)) == instance


# ----------------------------------------------------------------------------------------- what is passed on


def test_an_instance_arrives_as_it_was_sent(scp: StorageScp, hub: Hub) -> None:
    content = data_set("1.2.3.4", size=300_000)
    with associated(scp) as store:
        assert store("1.2.3.4", content) == (0, "")
    (received,) = hub.kept
    assert received.content == part10(
        content, sop_class_uid=CT, sop_instance_uid="1.2.3.4", transfer_syntax_uid=EXPLICIT
    )
    assert received.source == "dimse:SCU"
    assert abs(received.received_at - time.time()) < PATIENCE_S


def test_big_endian_is_passed_on_unchanged(scp: StorageScp, hub: Hub) -> None:
    content = b"".join(
        EXPLICIT_BIG_ENDIAN.element(tag, "UI", uid)
        for tag, uid in ((0x00080016, CT.encode()), (0x00080018, b"1.2.4"), (0x0020000D, b"1.2"), (0x0020000E, b"1.3"))
    )
    with associated(scp, (CT, "1.2.840.10008.1.2.2")) as store:
        assert store("1.2.4", content) == (0, "")
    assert hub.kept[0].content.endswith(content)
    assert hub.kept[0].identity.series_instance_uid == "1.3"


@pytest.mark.parametrize("end", [".4.50", ".4.90", ".4.201", ".5", ".4.102", ".4.110"])
def test_compressed_instances_are_passed_on_unchanged(scp: StorageScp, hub: Hub, end: str) -> None:
    content = data_set("1.2.3.4")
    with associated(scp, (CT, IMPLICIT + end)) as store:
        assert store("1.2.3.4", content) == (0, "")
    assert hub.kept[0].content.endswith(content)
    assert hub.kept[0].identity.transfer_syntax_uid == IMPLICIT + end


def test_all_storage_sop_classes_are_taken(scp: StorageScp) -> None:
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    accepted = []
    for start in range(0, len(classes), 128):
        with pynetdicom_association(scp, *((uid, EXPLICIT) for uid in classes[start : start + 128])) as association:
            accepted += [str(context.abstract_syntax) for context in association.accepted_contexts]
    assert sorted(accepted) == sorted(classes)


def test_the_maximum_pdu_length_is_the_setting(hub: Hub) -> None:
    with listening(hub, limits=Limits(max_pdu_bytes=1 << 18)) as scp, pynetdicom_association(scp) as association:
        assert association.acceptor.maximum_length == 1 << 18


def test_success_means_that_accept_has_returned(hub: Hub) -> None:
    entered, leave = threading.Event(), threading.Event()

    def accept(received: Received) -> None:
        entered.set()
        assert leave.wait(PATIENCE_S)
        hub.accept(received)

    with (
        listening(hub, accept=accept) as scp,
        associated(scp) as store,
        ThreadPoolExecutor() as pool,
    ):
        answer = pool.submit(store, "1.2.3.4")
        assert entered.wait(PATIENCE_S)
        assert not answer.done()
        leave.set()
        assert answer.result(PATIENCE_S) == (0, "")
        assert hub.uids == ["1.2.3.4"]


# ------------------------------------------------------------------------------------------------ statuses


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Malformed("the reason"), 0xC000),
        (UnsupportedKind("the reason"), 0x0122),
        (AccessDenied("the reason"), 0x0124),
        (StorageBusy("the reason"), 0xA700),
        (StorageFull("the reason"), 0xA700),
        (IntegrityError("the reason"), 0x0110),
    ],
)
def test_each_error_has_its_status_and_the_association_goes_on(
    scp: StorageScp, hub: Hub, error: OslerError, status: int
) -> None:
    with associated(scp) as store:
        hub.error = error
        assert store("1.2.3.4") == (status, "the reason")
        hub.error = None
        assert store("1.2.3.5") == (0, "")
    assert hub.uids == ["1.2.3.5"]
    assert ("refused", "SCU@127.0.0.1", status) in hub.events


def test_a_data_set_that_is_another_than_announced_is_refused(scp: StorageScp, hub: Hub) -> None:
    with associated(scp) as store:
        for other in (data_set("1.2.3.5"), data_set("1.2.3.4", sop_class_uid=CT + ".1")):
            assert store("1.2.3.4", other) == (0xA900, "the data set is not the instance that was announced")
        assert store("1.2.3.4") == (0, "")
    assert hub.uids == ["1.2.3.4"]


def test_an_unexpected_failure_ends_the_association_and_says_nothing(scp: StorageScp, hub: Hub) -> None:
    hub.error = KeyError("CANARY^PATIENT")
    with structlog.testing.capture_logs() as logs:
        with associated(scp) as store, pytest.raises(PeerUnavailable, match="aborted"):
            store("1.2.3.4")
        hub.wait_for(("aborted", "SCU@127.0.0.1", "internal-error"))
        hub.error = None
        with associated(scp) as store:
            assert store("1.2.3.4") == (0, "")
    said = str(logs)
    assert "association-failed" in said
    assert "KeyError" in said
    assert "CANARY" not in said


# ----------------------------------------------------------------------------------------- who may associate


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.002)


def rejection(scp: StorageScp, *, calling: str = "SCU", called: str = "OSLER") -> tuple[int, ...] | None:
    """Return result, source and reason of the A-ASSOCIATE-RJ, or None when the association is accepted."""
    with socket.create_connection(("127.0.0.1", scp.port), timeout=PATIENCE_S) as peer:
        peer.sendall(encode_request(Titles(1, called, calling), [verification()], 16384))
        answer = peer.recv(10, socket.MSG_WAITALL)
        return tuple(answer[7:]) if answer[0] == 3 else None


@pytest.mark.parametrize(
    ("peers", "calling", "called", "expected", "reason"),
    [
        (["*@127.0.0.1"], "SCU", "ELSEWHERE", (1, 1, 7), "called-ae-title-not-recognized"),
        (["*@127.0.0.1"], "SCU", "osler", (1, 1, 7), "called-ae-title-not-recognized"),
        (["PACS@127.0.0.1"], "SCU", "OSLER", (1, 1, 3), "calling-ae-title-not-recognized"),
        (["SCU@10.0.0.5"], "SCU", "OSLER", (1, 1, 3), "calling-ae-title-not-recognized"),
        ([], "SCU", "OSLER", (1, 1, 3), "calling-ae-title-not-recognized"),
        (["SCU@127.0.0.0/8"], "SCU", "OSLER", None, ""),
    ],
)
def test_who_may_associate(
    hub: Hub, peers: list[str], calling: str, called: str, expected: tuple[int, int, int] | None, reason: str
) -> None:
    with listening(hub, peers=peers) as scp:
        assert rejection(scp, calling=calling, called=called) == expected
    assert hub.events[0] == (("rejected" if reason else "accepted"), f"{calling}@127.0.0.1", reason or None)


def test_loopback_of_ipv6_is_loopback(hub: Hub) -> None:
    with listening(hub, host="::1") as scp, associated(scp, host="::1") as store:
        assert store("1.2.3.4") == (0, "")
    assert hub.events == [("accepted", "SCU@::1", None)]


@pytest.mark.parametrize("limits", [Limits(max_associations=2), Limits(max_associations_per_peer=2)])
def test_there_is_a_limit_of_associations(hub: Hub, limits: Limits) -> None:
    with listening(hub, limits=limits) as scp:
        with associated(scp), associated(scp):
            assert rejection(scp) == (2, 3, 2)
            assert scp.associations == 2
        until(lambda: scp.associations == 0)
        with associated(scp) as store:
            assert store("1.2.3.4") == (0, "")
    assert ("rejected", "SCU@127.0.0.1", "local-limit-exceeded") in hub.events


def test_many_idle_associations_do_not_slow_the_one_that_works(
    hub: Hub, need: Callable[..., str], tmp_path: Path
) -> None:
    for number in range(40):
        write_file(tmp_path / f"{number}.dcm", f"1.2.3.{number}")
    storescu = [need("storescu"), "-xe", "-aec", "OSLER", "127.0.0.1"]

    def time_s(scp: StorageScp) -> float:
        start = time.monotonic()
        subprocess.run([*storescu, str(scp.port), "+sd", tmp_path], check=True, timeout=PATIENCE_S)
        return time.monotonic() - start

    with listening(hub, limits=Limits(max_associations_per_peer=32)) as scp, ExitStack() as idle:
        alone = min(time_s(scp) for _ in range(3))
        for _ in range(31):
            connection = idle.enter_context(socket.create_connection(("127.0.0.1", scp.port)))
            connection.sendall(encode_request(Titles(1, "OSLER", "IDLE"), [verification()], 16384))
            assert connection.recv(1) == b"\x02"
        assert scp.associations == 31
        among = min(time_s(scp) for _ in range(3))
    assert among < alone * 3 + 1


def test_many_associations_at_once_are_all_served(hub: Hub) -> None:
    def peer(number: int) -> list[int]:
        with associated(scp, calling=f"SCU{number}") as store:
            return [store(f"1.2.3.{number}.{n}")[0] for n in range(3)]

    with listening(hub, limits=Limits(max_associations_per_peer=32)) as scp, ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(peer, range(32)))
    assert statuses == [[0, 0, 0]] * 32
    assert len(set(hub.uids)) == 96


# -------------------------------------------------------------------------------------------- start and stop


def test_a_port_that_is_taken_is_a_configuration_error(scp: StorageScp, hub: Hub) -> None:
    second = StorageScp(
        hub.accept,
        address=("127.0.0.1", scp.port),
        ae_title="OSLER",
        peers=AcceptList([]),
        observer=hub,
    )
    with pytest.raises(ConfigError, match="cannot listen"):
        second.start()
    second.stop()


def test_a_stop_lets_the_running_store_end(hub: Hub) -> None:
    entered, leave = threading.Event(), threading.Event()

    def accept(received: Received) -> None:
        entered.set()
        assert leave.wait(PATIENCE_S)
        hub.accept(received)

    with listening(hub, accept=accept) as scp, ThreadPoolExecutor() as pool:
        port = scp.port
        with pynetdicom_association(scp, calling="IDLE") as idle, associated(scp) as store:
            answer = pool.submit(store, "1.2.3.4")
            assert entered.wait(PATIENCE_S)
            stopped = pool.submit(scp.stop, PATIENCE_S)
            hub.wait_for(("aborted", "IDLE@127.0.0.1", "stopping"))
            assert not stopped.done()
            leave.set()
            assert answer.result(PATIENCE_S) == (0, "")
            stopped.result(PATIENCE_S)
            hub.wait_for(("aborted", "SCU@127.0.0.1", "stopping"))
            until(lambda: idle.is_aborted)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    assert hub.uids == ["1.2.3.4"]


def test_a_stop_does_not_wait_for_a_peer_that_does_not_end(hub: Hub) -> None:
    with listening(hub) as scp, socket.create_connection(("127.0.0.1", scp.port), timeout=PATIENCE_S) as peer:
        peer.sendall(encode_request(Titles(1, "OSLER", "SLOW"), [verification()], 16384))
        assert peer.recv(1) == b"\x02"
        peer.sendall(encode_p_data(1, 1, b"the beginning of a command"))
        start = time.monotonic()
        scp.stop(timeout_s=0.2)
        assert time.monotonic() - start < PATIENCE_S
        assert scp.associations == 0
    assert not hub.kept


# ---------------------------------------------------------------------------------------------- osler send


def test_files_are_sent_as_they_are(scp: StorageScp, hub: Hub, tmp_path: Path) -> None:
    explicit = write_file(tmp_path / "a" / "1.dcm", "1.2.3.1")
    jpeg = write_file(tmp_path / "b" / "2.dcm", "1.2.3.2", syntax=IMPLICIT + ".4.50")
    (tmp_path / "a" / "readme.txt").write_text("hello")
    (tmp_path / "DICOMDIR").write_bytes(b"index")
    told: list[str] = []
    report = send([tmp_path], address=("127.0.0.1", scp.port), progress=lambda file: told.append(file.path.name))
    assert [(file.path.name, file.outcome, file.status) for file in report.files] == [
        ("1.dcm", Outcome.SENT, 0),
        ("readme.txt", Outcome.NOT_DICOM, None),
        ("2.dcm", Outcome.SENT, 0),
    ]
    assert report.complete
    assert sorted(told) == ["1.dcm", "2.dcm", "readme.txt"]
    assert {received.content[-len(explicit) :] for received in hub.kept} == {explicit, jpeg}
    assert {received.identity.transfer_syntax_uid for received in hub.kept} == {EXPLICIT, IMPLICIT + ".4.50"}
    assert [event for event in hub.events if event[0] == "accepted"] == [("accepted", "OSLER_SEND@127.0.0.1", None)]


def test_more_than_128_kinds_need_a_second_association(scp: StorageScp, hub: Hub, tmp_path: Path) -> None:
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts][:130]
    for number, uid in enumerate(classes):
        write_file(tmp_path / f"{number:03}.dcm", f"1.2.3.{number}", sop_class_uid=uid)
    report = send([tmp_path], address=("127.0.0.1", scp.port))
    assert report.complete
    assert report.count(Outcome.SENT) == 130
    assert len([event for event in hub.events if event[0] == "accepted"]) == 2


def test_a_refused_instance_does_not_stop_the_others(scp: StorageScp, hub: Hub, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_file(tmp_path / f"{number}.dcm", f"1.2.3.{number}")
    write_file(tmp_path / "4.dcm", "1.2.3.4", sop_class_uid="1.2.840.10008.5.1.4.38.1")

    def accept(received: Received) -> None:
        if received.identity.sop_instance_uid == "1.2.3.2":
            raise StorageFull("there is no room")
        hub.accept(received)

    with listening(hub, accept=accept) as scp:
        report = send([tmp_path], address=("127.0.0.1", scp.port))
    assert [(file.outcome, file.status, file.comment) for file in report.files] == [
        (Outcome.SENT, 0, ""),
        (Outcome.REFUSED, 0xA700, "there is no room"),
        (Outcome.SENT, 0, ""),
        (Outcome.NOT_SENT, None, "the node does not take this kind of instance"),
    ]
    assert not report.complete


def test_a_rejected_association_says_why(hub: Hub, tmp_path: Path, free_port: Callable[[], int]) -> None:
    write_file(tmp_path / "1.dcm", "1.2.3.1")
    with listening(hub, limits=Limits(max_associations=1)) as scp, associated(scp):
        address = ("127.0.0.1", scp.port)
        with pytest.raises(DeliveryRefused, match="Called AE title not recognised"):
            send([tmp_path], address=address, called_ae_title="ELSEWHERE")
        with pytest.raises(PeerUnavailable, match="Local limit exceeded"):
            send([tmp_path], address=address)
    with pytest.raises(PeerUnavailable, match="no DICOM node answers"):
        send([tmp_path], address=("127.0.0.1", free_port()))
