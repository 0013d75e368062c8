"""What a hostile or broken peer does to the SCP: an answer comes, memory and time are bounded, others go on."""

import contextlib
import os
import random
import socket
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from pynetdicom.presentation import build_context

from osler.domain.events import Received
from osler.ingest.dimse import AcceptList, Limits, Peer, StorageScp
from osler.ingest.messages import C_STORE_RQ, Command, decode_status, encode_p_data, encode_store_request
from osler.ingest.upper_layer import Titles, encode_request
from osler.standards.dicom_stream import EXPLICIT_LITTLE_ENDIAN

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
PATIENCE_S = 20.0
CANARY = "CANARY^PATIENT"


@dataclass
class Hub:
    """Keeps what comes and notes what is observed."""

    kept: list[Received] = field(default_factory=list)
    events: list[tuple[str, Peer, object]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def accept(self, received: Received) -> None:
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
            self.events.append((what, peer, detail))
            self.changed.notify_all()

    def wait_for(self, what: str, detail: object, count: int = 1) -> None:
        def came() -> bool:
            return sum((event, told) == (what, detail) for event, _, told in self.events) >= count

        with self.changed:
            assert self.changed.wait_for(came, PATIENCE_S), [(event, told) for event, _, told in self.events]


@contextmanager
def listening(hub: Hub, limits: Limits | None = None) -> Iterator[int]:
    scp = StorageScp(
        hub.accept,
        address=("127.0.0.1", 0),
        ae_title="OSLER",
        peers=AcceptList(["*@127.0.0.0/8"]),
        observer=hub,
        limits=limits,
    )
    scp.start()
    try:
        yield scp.port
    finally:
        scp.stop(timeout_s=5.0)


class RawPeer:
    """A socket that sends what it is told to."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S, source_address=(source, 0))

    def __enter__(self) -> "RawPeer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def read(self) -> tuple[int, bytes]:
        """Read one PDU; type 0 when the connection is closed."""
        try:
            head = self._exactly(6)
            kind, length = struct.unpack(">BxI", head)
            return kind, self._exactly(length)
        except (EOFError, ConnectionResetError):
            return 0, b""

    def _exactly(self, length: int) -> bytes:
        found = b""
        while len(found) < length:
            piece = self.socket.recv(length - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found

    def associate(self, *kinds: tuple[str, str]) -> None:
        self.send(association_request(*kinds))
        kind, _ = self.read()
        assert kind == 2

    def store(self, content: bytes, uid: str = "1.2.3.4", context_id: int = 1) -> tuple[int, str]:
        self.send(store_request(uid, context_id) + encode_p_data(context_id, 2, content))
        return self.status()

    def status(self) -> tuple[int, str]:
        kind, body = self.read()
        assert kind == 4
        return decode_status(body[6:])

    def aborted(self) -> tuple[int, int] | None:
        """Return source and reason of the A-ABORT that comes next, or None for another PDU."""
        kind, body = self.read()
        return (body[2], body[3]) if kind == 7 else None


def association_request(*kinds: tuple[str, str], called: str = "OSLER") -> bytes:
    contexts = [build_context(*kind) for kind in kinds or ((CT, EXPLICIT),)]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    return encode_request(Titles(1, called, "PEER"), contexts, 16384)


def store_request(uid: str = "1.2.3.4", context_id: int = 1) -> bytes:
    return encode_store_request(Command(C_STORE_RQ, 1, True, CT, uid), context_id)


def pdu(kind: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack(">BxI", kind, length) + body


def element(tag: int, vr: str, value: bytes | str) -> bytes:
    return EXPLICIT_LITTLE_ENDIAN.element(tag, vr, value.encode() if isinstance(value, str) else value)


def data_set(uid: str = "1.2.3.4", *, study: str = "1.2", more: bytes = b"") -> bytes:
    return (
        element(0x00080016, "UI", CT)
        + element(0x00080018, "UI", uid)
        + element(0x00100010, "PN", CANARY)
        + more
        + element(0x0020000D, "UI", study)
        + element(0x0020000E, "UI", "1.3")
    )


def goes_on(port: int, hub: Hub) -> None:
    """The service still takes an instance."""
    before = len(hub.kept)
    with RawPeer(port) as peer:
        peer.associate()
        assert peer.store(data_set("1.9.9"), "1.9.9") == (0, "")
    assert len(hub.kept) == before + 1


@pytest.fixture
def hub() -> Hub:
    return Hub()


# ---------------------------------------------------------------------------------------------------- PDUs


@pytest.mark.parametrize("associated", [False, True])
@pytest.mark.parametrize("kind", [1, 4, 7])
def test_a_pdu_that_declares_2_gib_is_refused_by_its_header(hub: Hub, associated: bool, kind: int) -> None:
    with listening(hub) as port:
        with RawPeer(port) as peer:
            if associated:
                peer.associate()
            tracemalloc.start()
            peer.send(pdu(kind, 1 << 31))
            assert peer.aborted() == (2, 6)
            with contextlib.suppress(OSError):  # it goes on sending what it declared
                for _ in range(64):
                    peer.send(bytes(1 << 20))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 8 << 20
        hub.wait_for("aborted", "pdu-too-long")
        goes_on(port, hub)


def test_a_pdu_of_the_maximum_length_is_taken_and_one_byte_more_is_not(hub: Hub) -> None:
    limits = Limits(max_pdu_bytes=4096)
    content = data_set()
    with listening(hub, limits) as port:
        for extra, expected in ((0, 4), (1, 7)):
            with RawPeer(port) as peer:
                peer.associate()
                padded = content + element(0x7FE00010, "OW", bytes(4096 - 6 - len(content) - 12 + 2 * extra))
                peer.send(store_request() + encode_p_data(1, 2, padded))
                assert peer.read()[0] == expected
    assert len(hub.kept) == 1


@pytest.mark.parametrize(
    ("garbage", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", (2, 1)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (2, 1)),
        (bytes(100), (2, 1)),
        (b"\xff" * 100, (2, 1)),
        (pdu(2, 4, bytes(4)), (2, 2)),
        (pdu(4, 0), (2, 2)),
        (pdu(5, 4, bytes(4)), (2, 2)),
        (pdu(1, 10, bytes(10)), (2, 6)),
        (pdu(1, 68, association_request()[6:74]), (2, 6)),
    ],
)
def test_what_is_no_association_request_is_aborted(hub: Hub, garbage: bytes, answer: tuple[int, int]) -> None:
    with listening(hub) as port:
        with RawPeer(port) as peer:
            peer.send(garbage)
            assert peer.aborted() == answer
        goes_on(port, hub)


def test_random_bytes_do_no_harm(hub: Hub) -> None:
    chance = random.Random(2)
    valid = association_request() + store_request() + encode_p_data(1, 2, data_set())
    with listening(hub, Limits(idle_s=0.2, acse_s=0.2)) as port:
        for _ in range(60):
            damaged = bytearray(valid)
            for _ in range(chance.randint(1, 6)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            with RawPeer(port) as peer, contextlib.suppress(OSError):
                peer.send(bytes(damaged[: chance.randint(1, len(damaged))]))
                peer.socket.shutdown(socket.SHUT_WR)
                while peer.read()[0]:
                    pass
        goes_on(port, hub)
    assert not any(detail == "internal-error" for _, _, detail in hub.events)


def test_a_hostile_association_request_costs_little(hub: Hub) -> None:
    item = b"\x40\0\0\x01" + b"1"
    context = b"\x30\0\0\x11" + b"1.2.840.10008.1.1" + item * 2600
    contexts = b"".join(
        b"\x20\0" + struct.pack(">H", len(context) + 4) + bytes([i, 0, 0, 0]) + context for i in range(1, 19, 2)
    )
    fixed = association_request()[6:74]
    with listening(hub) as port:
        with RawPeer(port) as peer:
            start = time.monotonic()
            peer.send(pdu(1, 68 + len(contexts), fixed + contexts))
            assert peer.read()[0] in (2, 7)
            assert time.monotonic() - start < 5
        with RawPeer(port) as peer:
            peer.send(pdu(1, 1 << 20))
            assert peer.aborted() == (2, 6)
        goes_on(port, hub)


# ------------------------------------------------------------------------------------------------ messages


def p_data(*fragments: tuple[int, int, bytes]) -> bytes:
    body = b"".join(struct.pack(">IBB", len(c) + 2, context_id, header) + c for context_id, header, c in fragments)
    return pdu(4, len(body), body)


COMMAND = store_request()[12:]
BAD_MESSAGES = {
    "a data set without a command": p_data((1, 2, b"data")),
    "a command after the command": p_data((1, 3, COMMAND), (1, 3, COMMAND)),
    "fragments of two contexts": p_data((1, 3, COMMAND), (3, 2, b"data")),
    "a context that was not accepted": p_data((5, 3, COMMAND)),
    "an even context id": p_data((2, 3, COMMAND)),
    "a command that never ends": b"".join(p_data((1, 1, bytes(1000))) for _ in range(20)),
    "a command that is garbage": p_data((1, 3, b"\xff" * 50)),
    "an empty command": p_data((1, 3, b"")),
    "a response": p_data(
        (
            1,
            3,
            COMMAND.replace(struct.pack("<HHIH", 0, 0x0100, 2, 1), struct.pack("<HHIH", 0, 0x0100, 2, 0x8001)).replace(
                struct.pack("<HHIH", 0, 0x0800, 2, 0x0100), struct.pack("<HHIH", 0, 0x0800, 2, 0x0101)
            ),
        )
    ),
    "a length beyond the PDU": pdu(4, 10, struct.pack(">IBB", 0x7FFFFFFF, 1, 3) + b"abcd"),
    "a length of nothing": pdu(4, 6, struct.pack(">IBB", 0, 1, 3)),
    "ten thousand fragments": p_data(*[(1, 1, b"")] * 10_000),
    "a second association request": association_request(),
    "an association acceptance": pdu(2, 100, bytes(100)),
    "a release response": pdu(6, 4, bytes(4)),
    "an unknown PDU": pdu(9, 4, bytes(4)),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_what_breaks_the_protocol_is_aborted(hub: Hub, name: str) -> None:
    with listening(hub) as port:
        with RawPeer(port) as peer:
            peer.associate((CT, EXPLICIT), (CT, EXPLICIT))
            peer.send(BAD_MESSAGES[name])
            aborted = peer.aborted()
            assert aborted is not None
            assert aborted[0] == 2
        goes_on(port, hub)
    assert len(hub.kept) == 1


def test_an_operation_that_is_not_offered_is_answered_and_the_association_goes_on(hub: Hub) -> None:
    find = COMMAND.replace(struct.pack("<HHIH", 0, 0x0100, 2, 1), struct.pack("<HHIH", 0, 0x0100, 2, 0x0020))
    with listening(hub) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data((1, 3, find), (1, 2, b"an identifier")))
        kind, body = peer.read()
        assert kind == 4
        assert struct.pack("<HHIH", 0, 0x0100, 2, 0x8020) in body
        assert struct.pack("<HHIH", 0, 0x0900, 2, 0x0211) in body
        assert peer.store(data_set()) == (0, "")


def test_a_store_without_a_data_set_is_refused(hub: Hub) -> None:
    bare = COMMAND.replace(struct.pack("<HHIH", 0, 0x0800, 2, 0x0100), struct.pack("<HHIH", 0, 0x0800, 2, 0x0101))
    with listening(hub) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(p_data((1, 3, bare)))
        assert peer.status() == (0xC000, "the request has no data set")
        assert peer.store(data_set()) == (0, "")


def test_another_sop_class_than_that_of_the_context_is_refused(hub: Hub) -> None:
    other = encode_store_request(Command(C_STORE_RQ, 1, True, CT + ".1", "1.2.3.4"), 1)
    with listening(hub) as port, RawPeer(port) as peer:
        peer.associate()
        peer.send(other + encode_p_data(1, 2, data_set()))
        assert peer.status() == (0x0122, "the SOP class is not that of the presentation context")
        assert peer.store(data_set()) == (0, "")


# --------------------------------------------------------------------------------------- size and time bounds


def test_an_instance_that_is_too_large_is_refused_and_the_next_one_taken(hub: Hub) -> None:
    with listening(hub, Limits(max_instance_bytes=1 << 20)) as port, RawPeer(port) as peer:
        peer.associate()
        tracemalloc.start()
        peer.send(store_request())
        for _ in range(80):
            peer.send(encode_p_data(1, 0, bytes(1 << 19)))
        peer.send(encode_p_data(1, 2, b""))
        assert peer.status() == (0xC000, "the instance is larger than dimse.max_instance_mb")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 << 20
        assert peer.store(data_set()) == (0, "")
        hub.wait_for("refused", 0xC000)


def test_what_all_peers_send_together_is_bounded(hub: Hub) -> None:
    with listening(hub, Limits(max_instance_bytes=1 << 20)) as port, RawPeer(port) as first, RawPeer(port) as second:
        first.associate()
        second.associate()
        content = data_set(more=element(0x00181000, "OW", bytes(700_000)))
        first.send(store_request() + encode_p_data(1, 0, content[:-10]))
        for _ in range(100):  # until the first one's bytes are counted
            status, comment = second.store(content)
            if status:
                break
        assert (status, comment) == (0xA700, "too much is being received at a time")
        first.send(encode_p_data(1, 2, content[-10:]))
        assert first.status() == (0, "")
        assert second.store(content) == (0, "")


def test_a_peer_that_sends_no_request_is_let_go(hub: Hub) -> None:
    with listening(hub, Limits(acse_s=0.15)) as port:
        with RawPeer(port) as silent, RawPeer(port) as half, RawPeer(port) as trickling:
            half.send(association_request()[:40])
            start = time.monotonic()
            with contextlib.suppress(OSError):
                for byte in association_request() * 100:
                    trickling.send(bytes([byte]))
                    if time.monotonic() - start > 1:
                        break
            for peer in (silent, half):
                assert peer.aborted() == (2, 0)
            assert trickling.read()[0] in (0, 2, 7)
        hub.wait_for("aborted", "slow", 2)
        goes_on(port, hub)


def test_an_association_that_falls_silent_is_ended(hub: Hub) -> None:
    with listening(hub, Limits(idle_s=0.15)) as port:
        with RawPeer(port) as idle, RawPeer(port) as in_pdu, RawPeer(port) as in_message:
            for peer in (idle, in_pdu, in_message):
                peer.associate()
            in_pdu.send(store_request()[:20])
            in_message.send(store_request())
            for peer in (idle, in_pdu, in_message):
                assert peer.aborted() == (2, 0)
        hub.wait_for("aborted", "idle", 1)
        hub.wait_for("aborted", "slow", 2)
        goes_on(port, hub)


def test_a_peer_that_vanishes_leaves_nothing(hub: Hub) -> None:
    with listening(hub) as port:
        for cut in (6, 40, len(association_request())):
            with RawPeer(port) as peer:
                peer.send(association_request()[:cut])
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(store_request() + encode_p_data(1, 0, data_set()))
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        hub.wait_for("aborted", "disconnected", 3)
        goes_on(port, hub)
    assert len(hub.kept) == 1


def test_a_flood_of_connections_is_turned_away_and_others_are_served(hub: Hub) -> None:
    limits = Limits(max_associations=16, max_associations_per_peer=4)
    before = threading.active_count()
    with listening(hub, limits) as port, contextlib.ExitStack() as flood:
        for _ in range(200):
            flood.enter_context(RawPeer(port, source="127.0.0.2"))
        hub.wait_for("aborted", "too-many-connections", 188)
        assert threading.active_count() - before <= 14
        goes_on(port, hub)


def test_a_flood_of_associations_is_rejected_and_others_are_served(hub: Hub) -> None:
    limits = Limits(max_associations=8, max_associations_per_peer=4)
    with listening(hub, limits) as port, contextlib.ExitStack() as flood:
        answers = []
        for _ in range(8):
            peer = flood.enter_context(RawPeer(port, source="127.0.0.2"))
            peer.send(association_request())
            answers.append(peer.read())
        assert [kind for kind, _ in answers] == [2] * 4 + [3] * 4
        assert {body for kind, body in answers if kind == 3} == {bytes([0, 2, 3, 2])}
        goes_on(port, hub)


# ------------------------------------------------------------------------------------------------ data sets


def nested(depth: int) -> bytes:
    inner = element(0x00100010, "PN", CANARY)
    for _ in range(depth):
        inner = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
        inner = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, len(inner)) + inner
    return inner


def nested_undefined(depth: int) -> bytes:
    opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return opening * depth


HOSTILE_DATA_SETS = {
    "nothing": b"",
    "one byte": b"\x08",
    "cut in the header": data_set()[:6],
    "cut before the study": data_set()[:70],
    "noise": random.Random(1).randbytes(4096),
    "a false length": data_set().replace(b"PN\x0e\x00", b"PN\xff\xff"),
    "a false long length": struct.pack("<HH2sHI", 0x0008, 0x0005, b"UT", 0, 0x7FFFFFFF) + data_set(),
    "a length of FFFFFFFF in a text": struct.pack("<HH2sHI", 0x0008, 0x0005, b"UT", 0, 0xFFFFFFFF) + data_set(),
    "500 nested sequences without end": data_set()[:70] + nested_undefined(500) + data_set()[70:],
    "a study UID with a path": data_set(study="../../etc/passwd"),
    "a study UID of 65 digits": data_set(study="1" * 65),
    "an empty study UID": data_set(study=""),
    "no study UID": data_set().replace(element(0x0020000D, "UI", "1.2"), b""),
    "a PE header": b"MZ" + bytes(126) + b"DICM" + data_set(),
    "a Part 10 file": bytes(128) + b"DICM" + data_set(),
}


@pytest.mark.parametrize("name", HOSTILE_DATA_SETS)
def test_a_data_set_that_cannot_be_read_is_refused(hub: Hub, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with listening(hub) as port, RawPeer(port) as peer:
        peer.associate()
        status, comment = peer.store(HOSTILE_DATA_SETS[name])
        assert status == 0xC000
        assert comment
        assert peer.store(data_set()) == (0, "")
        told = comment + repr(hub.events) + "".join(capfd.readouterr())
    assert CANARY not in told
    assert "passwd" not in told
    assert len(hub.kept) == 1


def test_deep_nesting_within_the_header_is_refused_quickly(hub: Hub) -> None:
    with listening(hub) as port, RawPeer(port) as peer:
        peer.associate()
        start = time.monotonic()
        status, _ = peer.store(element(0x00080016, "UI", CT) + nested(500) + data_set())
        assert status in (0, 0xC000)
        assert time.monotonic() - start < 2
        assert peer.store(data_set("1.2.3.5"), "1.2.3.5") == (0, "")


def test_a_deflate_bomb_is_refused_in_bounded_memory(hub: Hub) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = element(0x00080016, "UI", CT) + struct.pack("<HH2sHI", 0x0009, 0x0010, b"OB", 0, 0x7FFFFFFE)
    bomb = packer.compress(zeros) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    assert len(bomb) < 400_000
    with listening(hub) as port, RawPeer(port) as peer:
        peer.associate((CT, DEFLATED))
        tracemalloc.start()
        status, _ = peer.store(bomb)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert status == 0xC000
        assert peak < 256 << 20
        assert peer.store(zlib.compress(data_set(), wbits=-15)) == (0, "")


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1..2", "1.2.3.4.5" * 8, "1.2\\1.3", ""])
def test_a_command_with_a_bad_instance_uid_is_refused(hub: Hub, uid: str) -> None:
    with listening(hub) as port, RawPeer(port) as peer:
        peer.associate()
        assert peer.store(data_set(), uid)[0] in (0xC000, 0xA900)
        assert peer.store(data_set()) == (0, "")
    assert len(hub.kept) == 1


def test_the_process_does_not_grow_with_what_it_refuses(hub: Hub) -> None:
    def resident_bytes() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with listening(hub, Limits(max_instance_bytes=1 << 20)) as port:

        def round_of_refusals() -> None:
            with RawPeer(port) as peer:
                peer.associate()
                for _ in range(20):
                    assert peer.store(bytes(900_000))[0] == 0xC000
            with RawPeer(port) as peer:
                peer.send(pdu(1, 1 << 31))
                assert peer.aborted() == (2, 6)

        round_of_refusals()
        before = resident_bytes()
        for _ in range(5):
            round_of_refusals()
        assert resident_bytes() - before < 32 << 20
        goes_on(port, hub)
