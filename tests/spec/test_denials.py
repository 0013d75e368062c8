"""Refusals on record: one entry each, until a peer that nobody knows floods; then few entries that lose no count."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server import BASE, FhirServer
from osler.api.denials import BURST, MOST_KINDS, MOST_PEERS, Denials
from osler.audit import Agent, AuditRecord
from osler.errors import StorageBusy
from osler.hub.observer import NetworkObserver
from osler.ingest.dimse import Peer
from osler.metrics import Metrics


class Kept:
    """Keeps entries in memory; refuses to when told so."""

    def __init__(self) -> None:
        self.entries: list[AuditRecord] = []
        self.broken = False

    def record(self, *records: AuditRecord) -> None:
        if self.broken:
            raise StorageBusy("full")
        self.entries += records

    def append(self, _connection: Any, *records: AuditRecord) -> None:
        raise NotImplementedError

    @property
    def total(self) -> int:
        return sum(int(e.detail.get("count", 1)) for e in self.entries)


def refusal(address: str = "192.0.2.1", route: str = "/a", kind: Any = "peer") -> AuditRecord:
    detail = {"reason": "Unauthenticated", "method": "GET", "route": route}
    return AuditRecord("access-denied", agent=Agent("unknown", kind, address), outcome=8, detail=detail)


def test_the_first_have_an_entry_each_and_the_rest_are_counted() -> None:
    kept = Kept()
    denials = Denials(kept, burst=3, window_s=3600, clock=lambda: 0.0)
    for _ in range(50):
        denials.write_now(refusal())
    assert (len(kept.entries), kept.total) == (3, 3)
    denials.flush()
    assert (len(kept.entries), kept.total) == (4, 50)
    assert kept.entries[-1].detail == {"reason": "Unauthenticated", "method": "GET", "route": "/a", "count": 47}


def test_a_flood_of_dicom_peers_that_are_turned_away_is_few_entries() -> None:
    kept = Kept()
    denials = Denials(kept, burst=2, window_s=3600, clock=lambda: 0.0)
    observer = NetworkObserver(Metrics(), denials)
    for number in range(500):
        observer.association_rejected(Peer(f"AE{number}", "192.0.2.1"), "calling AE title not recognized")
    denials.flush()
    assert (len(kept.entries), kept.total) == (2 + MOST_KINDS, 500)
    assert {entry.event for entry in kept.entries} == {"association-rejected"}


def test_each_route_and_peer_is_counted_for_itself() -> None:
    kept = Kept()
    denials = Denials(kept, burst=0, window_s=3600, clock=lambda: 0.0)
    for address, route, times in (("192.0.2.1", "/a", 3), ("192.0.2.1", "/b", 2), ("192.0.2.2", "/a", 4)):
        for _ in range(times):
            denials.write_now(refusal(address, route))
    denials.flush()
    counts = {(e.agent.address, e.detail["route"]): e.detail["count"] for e in kept.entries}
    assert counts == {("192.0.2.1", "/a"): 3, ("192.0.2.1", "/b"): 2, ("192.0.2.2", "/a"): 4}


def test_who_is_known_has_an_entry_for_each() -> None:
    kept = Kept()
    denials = Denials(kept, burst=0, window_s=3600)
    for _ in range(10):
        denials.write_now(refusal(kind="client"))
    assert [e.detail.get("count") for e in kept.entries] == [None] * 10


def test_quiet_gives_back_entries_of_ones_own() -> None:
    kept, now = Kept(), [0.0]
    denials = Denials(kept, burst=2, window_s=10, clock=lambda: now[0])
    for _ in range(2):
        denials.write_now(refusal())
    now[0] = 10.0
    denials.write_now(refusal())
    assert len(kept.entries) == 3
    denials.write_now(refusal())
    assert len(kept.entries) == 3, "the fourth is counted"
    denials.flush()
    assert kept.total == 4


def test_an_answer_waits_until_it_is_on_record() -> None:
    kept = Kept()
    denials = Denials(kept, burst=0, window_s=3600, clock=lambda: 0.0)

    async def run() -> None:
        waiting = [asyncio.create_task(denials.write(refusal())) for _ in range(5)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        waiting[0].cancel()  # its client went away; it was refused all the same
        await asyncio.to_thread(denials.flush)
        await asyncio.gather(*waiting[1:])
        assert kept.total == 5

    asyncio.run(run())


def test_what_cannot_be_written_is_not_answered() -> None:
    kept = Kept()
    kept.broken = True
    denials = Denials(kept, burst=1, window_s=3600, clock=lambda: 0.0)

    async def run() -> None:
        with pytest.raises(StorageBusy):
            await denials.write(refusal())
        counted = asyncio.create_task(denials.write(refusal()))
        await asyncio.sleep(0)
        await asyncio.to_thread(denials.flush)
        with pytest.raises(StorageBusy):
            await counted

    asyncio.run(run())


def test_no_more_than_a_hundred_wait() -> None:
    kept = Kept()
    denials = Denials(kept, burst=0, window_s=3600, clock=lambda: 0.0)

    async def run() -> None:
        tasks = [asyncio.create_task(denials.write(refusal())) for _ in range(300)]
        done, waiting = await asyncio.wait(tasks, timeout=0)
        while len(done) < 200:
            done, waiting = await asyncio.wait(tasks, timeout=0.01)
        assert len(waiting) == 100
        await asyncio.to_thread(denials.flush)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert kept.total == 300


def test_many_threads_lose_no_count() -> None:
    kept = Kept()
    denials = Denials(kept, burst=5, window_s=0.001)
    threads = [threading.Thread(target=lambda: [denials.write_now(refusal()) for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    denials.flush()
    assert kept.total == 4000


def test_peers_that_are_quiet_are_forgotten() -> None:
    kept, now = Kept(), [0.0]
    denials = Denials(kept, burst=1, window_s=1, clock=lambda: now[0])
    for number in range(10_000):
        now[0] += 0.01
        denials.write_now(refusal(f"peer{number}"))
    assert denials.peers < MOST_PEERS
    assert kept.total == 10_000


@pytest.mark.parametrize(
    ("addresses", "named"),
    [
        (["192.0.2.1"] * 3, {"192.0.2.1": 3}),
        (["192.0.2.1", "192.0.2.2"], {"192.0.2.1": 1, "192.0.2.2": 1}),
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::9"], {"2001:db8::/64": 3}),
        (["2001:db8::1", "2001:db8:0:1::1"], {"2001:db8::/64": 1, "2001:db8:0:1::/64": 1}),
        (["fe80::1%eth0", "fe80::2%eth1"], {"fe80::/64": 2}),
        (["::ffff:192.0.2.1", "192.0.2.1"], {"192.0.2.1": 2}),
        (["", "testclient"], {"": 1, "testclient": 1}),
    ],
)
def test_an_ipv6_network_of_64_bits_is_one_peer(addresses: list[str], named: dict[str, int]) -> None:
    kept = Kept()
    denials = Denials(kept, burst=0, window_s=3600, clock=lambda: 0.0)
    for address in addresses:
        denials.write_now(refusal(address))
    denials.flush()
    assert {entry.agent.address: entry.detail["count"] for entry in kept.entries} == named


def test_a_flood_from_everywhere_is_held_in_bounds_and_none_is_lost() -> None:
    kept = Kept()
    denials = Denials(kept, burst=1, window_s=3600, clock=lambda: 0.0)
    for number in range(3 * MOST_PEERS):
        denials.write_now(refusal(f"2001:db8:{number:x}::1"))
    denials.flush()
    assert denials.peers == MOST_PEERS + 1
    assert kept.total == 3 * MOST_PEERS
    assert len(kept.entries) == MOST_PEERS + 2  # one each, the first of the others, and the others together


def test_a_flood_of_inventions_makes_few_entries() -> None:
    kept = Kept()
    denials = Denials(kept, burst=0, window_s=3600, clock=lambda: 0.0)
    for number in range(1000):
        denials.write_now(refusal(route=f"/{number}"))
    denials.flush()
    assert len(kept.entries) == MOST_KINDS
    assert kept.total == 1000
    assert kept.entries[-1].detail["reason"] == "various"


@pytest.fixture
def server(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[FhirServer]:
    server = FhirServer(new_sqlite(tmp_path / "osler.db"), tmp_path)
    yield server
    server.stop()


def test_a_flood_over_http(server: FhirServer) -> None:
    """Every answer is on record when it is given, in few entries."""
    limits = httpx.Limits(max_connections=50)
    with (
        httpx.Client(base_url=server.http.base_url, timeout=30, limits=limits) as client,
        ThreadPoolExecutor(50) as pool,
    ):
        paths = [f"{BASE}/Observation/{n}" if n % 2 else f"{BASE}/Patient" for n in range(400)]
        answers = list(pool.map(client.get, paths))
    assert Counter(answer.status_code for answer in answers) == {401: 400}
    entries = server.audit.search(event="access-denied", limit=1000)
    details = [{d["type"]: d["valueString"] for e in x.resource["entity"] for d in e["detail"]} for x in entries]
    assert sum(int(d.get("count", 1)) for d in details) == 400
    assert BURST < len(entries) < BURST + 50
    assert {d["route"] for d in details} == {f"{BASE}/{{type}}/{{id}}", f"{BASE}/{{type}}"}
    assert {x.resource["agent"][0]["network"]["address"] for x in entries} == {"127.0.0.1"}
    assert server.audit.verify().ok


def test_a_flood_at_the_token_endpoint(server: FhirServer) -> None:
    form = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "x" * 12}
    for _ in range(BURST + 50):
        assert server.http.post("/oauth/token", data=form).status_code in (400, 401, 429)
    entries = server.audit.search(event="access-denied", limit=1000)
    assert len(entries) <= BURST + 5
    server.app.state.denials.flush()
    entries = server.audit.search(event="access-denied", limit=1000)
    counts = [
        int(d["valueString"])
        for x in entries
        for e in x.resource["entity"]
        for d in e.get("detail", ())
        if d["type"] == "count"
    ]
    assert len(entries) - len(counts) + sum(counts) == BURST + 50
