"""Audio over a WebSocket: durable while it is spoken, understood as far as it goes, and never lost with the link."""

import json
import math
import struct
from collections.abc import Callable

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from acceptance.running import RunningHub, eventually

MakeHub = Callable[..., RunningHub]
SCOPE = "system/Patient.cruds system/DocumentReference.cruds"
TONE = b"".join(struct.pack("<h", round(6000 * math.sin(n * 0.2))) for n in range(6 * 16_000))


def opened(hub: RunningHub, *, consent: bool = True) -> tuple[str, str]:
    """Return the path of a new encounter, and the token to use it with."""
    hub.add_client(SCOPE)
    headers = hub.authorize(SCOPE)
    fhir = {**headers, "content-type": "application/fhir+json"}
    patient = httpx.post(f"{hub.url}/fhir/R4/Patient", json={"resourceType": "Patient"}, headers=fhir).json()["id"]
    body = {"patient": patient, **({"consent": {"method": "verbal"}} if consent else {})}
    made = httpx.post(f"{hub.url}/scribe/encounters", json=body, headers=headers)
    return f"/scribe/encounters/{made.json()['id']}", headers["Authorization"]


def link(hub: RunningHub, path: str, token: str) -> ClientConnection:
    address = hub.url.replace("http", "ws", 1) + path + "/stream"
    return connect(address, additional_headers={"Authorization": token}, proxy=None)


def until(socket: ClientConnection, key: str) -> dict[str, object]:
    """Read until something is said of a key."""
    while True:
        said: dict[str, object] = json.loads(socket.recv(timeout=30))
        if key in said:
            return said


def test_what_is_streamed_is_kept_and_a_lost_link_begins_another_take(make_hub: MakeHub) -> None:
    hub = make_hub().start()
    path, token = opened(hub)
    with link(hub, path, token) as socket:
        assert until(socket, "take") == {"take": 0}
        socket.send(TONE)
        assert until(socket, "kept_s") == {"kept_s": 6.0}
        socket.send(TONE[: 2 * 16_000])
        socket.socket.shutdown(2)  # the network is gone
    with link(hub, path, token) as socket:
        assert until(socket, "take") == {"take": 1}
        socket.send(TONE)
        until(socket, "kept_s")
        socket.send("pause")
        assert until(socket, "paused") == {"paused": True}
        socket.send("resume")
        assert until(socket, "paused") == {"paused": False}
        socket.send("finish")
        assert until(socket, "status")["status"] == "recorded"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)
    takes = httpx.get(f"{hub.url}{path}/audio", headers={"authorization": token}).json()["takes"]
    assert [take["take"] for take in takes] == [0, 1]
    assert takes[0]["parts"] >= 1
    shown = eventually(
        lambda: (
            found if (found := httpx.get(f"{hub.url}{path}", headers={"authorization": token}).json())["reason"] else 0
        ),
        "without a speech model it waits for a person",
    )
    assert "osler scribe models add" in shown["reason"]


def test_who_may_not_record_is_refused_before_a_word(make_hub: MakeHub) -> None:
    hub = make_hub().start()
    path, token = opened(hub, consent=False)
    address = hub.url.replace("http", "ws", 1) + path + "/stream"
    for headers in ({}, {"Origin": "https://elsewhere.example"}, {"Authorization": token}):  # nobody has consented
        with pytest.raises(InvalidStatus) as refused:
            connect(address, additional_headers=headers, proxy=None)
        assert refused.value.response.status_code == 403


def test_what_is_no_audio_ends_the_stream_in_words(make_hub: MakeHub) -> None:
    hub = make_hub().start()
    path, token = opened(hub)
    for message, status in ((b"\x00", 400), ("louder", 400), (b"\x00" * 2_000_000, 413)):
        with link(hub, path, token) as socket:
            socket.send(message)
            assert until(socket, "error")["status"] == status
    assert httpx.get(f"{hub.url}/health/live").status_code == 200
