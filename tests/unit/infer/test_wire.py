"""Messages over pipes, from a peer that may be slow, dead or hostile."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import pytest

from osler.errors import ContractViolation, PluginTimeout, Transient
from osler.infer.wire import Channel


@pytest.fixture
def pipe() -> Iterator[tuple[Channel, int, int]]:
    """Return our channel, and the peer's reading and writing ends."""
    our_reading, peer_writing = os.pipe()
    peer_reading, our_writing = os.pipe()
    channel = Channel(our_reading, our_writing)
    yield channel, peer_reading, peer_writing
    channel.close()
    for end in (peer_reading, peer_writing):
        with contextlib.suppress(OSError):
            os.close(end)


def framed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


def test_a_message_arrives_as_it_was_sent(pipe):
    channel, peer_reading, peer_writing = pipe
    peer = Channel(os.dup(peer_reading), os.dup(peer_writing))
    message = {"text": "Müller ✓", "numbers": [1, 0.1, 1e-300], "nothing": None}
    assert channel.send(message)
    assert peer.receive() == message
    peer.close()


def test_a_message_larger_than_the_pipe_arrives(pipe):
    channel, peer_reading, peer_writing = pipe
    peer = Channel(os.dup(peer_reading), os.dup(peer_writing))
    message = {"text": "x" * 3_000_000}
    received = []
    thread = threading.Thread(target=lambda: received.append(peer.receive(timeout_s=20)))
    thread.start()
    assert channel.send(message, timeout_s=20)
    thread.join(20)
    assert received == [message]
    peer.close()


def test_the_end_of_the_peer_is_told(pipe):
    channel, peer_reading, peer_writing = pipe
    os.close(peer_writing)
    assert channel.receive(timeout_s=5) is None
    os.close(peer_reading)
    assert channel.send({"any": "thing"}, timeout_s=5) is False


def test_an_end_within_a_message_is_an_end(pipe):
    channel, _, peer_writing = pipe
    os.write(peer_writing, framed(b'{"cut": true}')[:-3])
    os.close(peer_writing)
    assert channel.receive(timeout_s=5) is None


@pytest.mark.parametrize("sent", [b"", b"\0\0", framed(b'{"a": 1}')[:-1]], ids=["nothing", "half a length", "a part"])
def test_a_peer_that_does_not_finish_is_not_waited_for(pipe, sent):
    channel, _, peer_writing = pipe
    os.write(peer_writing, sent)
    with pytest.raises(PluginTimeout):
        channel.receive(timeout_s=0.05)


def test_a_peer_that_drips_is_not_waited_for(pipe):
    channel, _, peer_writing = pipe
    os.write(peer_writing, (10_000_000).to_bytes(4, "big"))
    with pytest.raises(PluginTimeout):
        channel.receive(timeout_s=0.1, tick_s=0.001, tick=lambda: os.write(peer_writing, b"x") and None)


def test_a_peer_that_does_not_listen_is_not_waited_for(pipe):
    channel, _, _ = pipe
    with pytest.raises(PluginTimeout):
        channel.send({"text": "x" * 1_000_000}, timeout_s=0.05)


@pytest.mark.parametrize(
    "text",
    [b"", b"[1, 2]", b"3", b"\xff\xfe", b'{"a":', b"[" * 100_000],
    ids=["empty", "array", "number", "not UTF-8", "cut", "nested"],
)
def test_what_is_not_a_json_object_is_refused(pipe, text):
    channel, _, peer_writing = pipe
    threading.Thread(target=os.write, args=(peer_writing, framed(text))).start()
    with pytest.raises(ContractViolation):
        channel.receive(timeout_s=5)


def test_a_message_that_claims_gigabytes_is_refused_before_it_comes(pipe):
    channel, _, peer_writing = pipe
    os.write(peer_writing, b"\xff\xff\xff\xff")
    began = time.monotonic()
    with pytest.raises(ContractViolation, match="too long"):
        channel.receive(timeout_s=5)
    assert time.monotonic() - began < 4


def test_numbers_that_json_does_not_have_are_not_sent(pipe):
    channel, _, _ = pipe
    with pytest.raises(ValueError, match="JSON"):
        channel.send({"probability": float("nan")})


def test_the_wait_ticks_and_a_tick_may_end_it(pipe):
    channel, _, _ = pipe
    ticks: list[float] = []

    def tick() -> None:
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            raise Transient("enough")

    with pytest.raises(Transient):
        channel.receive(timeout_s=5, tick_s=0.01, tick=tick)
    assert len(ticks) == 3
