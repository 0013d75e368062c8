"""Refusals on record, so that a flood of them does not drown the log: it becomes few entries, each with its count."""

import asyncio
import ipaddress
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from osler.api.guard import write_down
from osler.api.services import Audit
from osler.audit import AuditRecord
from osler.errors import OslerError

BURST: Final = 200
"""Refusals of one peer that have an entry each, before they are counted together."""
WINDOW_S: Final = 1.0
"""How long refusals of one peer are counted together; after as long a quiet, one more has an entry of its own."""
MOST_PEERS: Final = 4096
"""Peers that are counted for themselves; while there are more, the others are counted as one."""
MOST_KINDS: Final = 100
"""Entries that one window of one peer makes at most: the last one stands for all other routes and reasons."""
_MOST_WAITING: Final = 100
_NETWORK_BITS: Final = 64  # of an IPv6 address: whoever has one has its whole network
_OTHERS: Final = "others"

_Key = tuple[Any, ...]


@dataclass(slots=True)
class _Batch:
    """What one peer was refused in a window: each refusal with its count, and the future of its being on record."""

    counts: dict[_Key, tuple[AuditRecord, int]] = field(default_factory=dict)
    written: "Future[None]" = field(default_factory=Future)

    def add(self, record: AuditRecord) -> None:
        """Count a refusal."""
        key: _Key = (record.event, record.agent, *record.detail.items())
        if key not in self.counts and len(self.counts) >= MOST_KINDS - 1:
            # Neither may what a peer calls itself make an entry more.
            record = replace(record, agent=replace(record.agent, name="unknown"), detail={"reason": "various"})
            key = (record.event, record.agent)
        first, count = self.counts.get(key, (record, 0))
        self.counts[key] = (first, count + 1)


@dataclass(slots=True)
class _Peer:
    """How many entries of its own a peer has left, as of a time."""

    left: float
    at: float
    batch: _Batch | None = None


class Denials:
    """Writes refusals down before they are answered.

    Who is known by a token or a proof has an entry for each. Of a peer whom nobody knows, the first have one each; then
    those of the same route and reason within a window make one entry, which says their ``count``. Their answers wait
    for it, a hundred at most: of those beyond it, whom nothing would slow down, the entry follows within the window.
    A peer is an IPv4 address or an IPv6 network of 64 bits: that is what an entry with a count names. From however
    many of them a flood comes, only so many are held in memory; the rest are counted as one peer, ``others``.

    Parameters
    ----------
    audit : Audit
    burst : int
    window_s : float
        Seconds.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        audit: Audit,
        *,
        burst: int = BURST,
        window_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._audit = audit
        self._burst = burst
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._peers: dict[str, _Peer] = {}
        self._waiting = 0
        self._tidied_at = clock()

    @property
    def peers(self) -> int:
        """How many peers are counted now, each for itself or, as the last, all others."""
        return len(self._peers)

    async def write(self, record: AuditRecord) -> None:
        """Write a refusal down; it is on record when this returns.

        Raises
        ------
        StorageBusy
            If it cannot be written: then there is no other answer either.
        """
        written = self._counted(record)
        if written is None:
            await run_in_threadpool(write_down, self._audit, record)
        elif self._waiting < _MOST_WAITING:
            self._waiting += 1
            try:
                await asyncio.wrap_future(written)
            finally:
                self._waiting -= 1

    def write_now(self, record: AuditRecord) -> None:
        """Write a refusal down from a thread, which must not wait: one that is counted follows within the window."""
        if self._counted(record) is None:
            write_down(self._audit, record)

    def flush(self) -> None:
        """Write what is being counted."""
        with self._lock:
            addresses = [address for address, peer in self._peers.items() if peer.batch is not None]
        for address in addresses:
            self._close(address)

    def _counted(self, record: AuditRecord) -> "Future[None] | None":
        """Count a refusal, and return when it is on record; None when it has an entry of its own."""
        if record.agent.kind != "peer":
            return None
        with self._lock:
            address = self._place(_network_of(record.agent.address))
            peer = self._peer(address)
            if peer.batch is None and peer.left >= 1:
                peer.left -= 1
                return None
            if peer.batch is None:
                peer.batch = _Batch()
                peer.batch.written.set_running_or_notify_cancel()  # who goes away does not cancel it for the others
                timer = threading.Timer(self._window_s, self._close, [address])
                timer.daemon = True
                timer.start()
            peer.batch.add(replace(record, agent=replace(record.agent, address=address)))
            return peer.batch.written

    def _place(self, address: str) -> str:
        """Return under which name a peer is counted: its own, while there is room."""
        if address not in self._peers and len(self._peers) >= MOST_PEERS:
            self._tidy()
            if len(self._peers) >= MOST_PEERS:
                return _OTHERS
        return address

    def _tidy(self) -> None:
        """Forget peers that are quiet; once in a window, as it takes time."""
        now = self._clock()
        if now - self._tidied_at >= self._window_s:
            quiet, self._tidied_at = now - self._burst * self._window_s, now
            self._peers = {a: p for a, p in self._peers.items() if p.batch is not None or p.at > quiet}

    def _peer(self, address: str) -> _Peer:
        now = self._clock()
        peer = self._peers.get(address)
        if peer is None:
            peer = self._peers[address] = _Peer(self._burst, now)
        peer.left = min(float(self._burst), peer.left + (now - peer.at) / self._window_s)
        peer.at = now
        return peer

    def _close(self, address: str) -> None:
        with self._lock:
            peer = self._peers.get(address)
            batch = peer.batch if peer is not None else None
            if peer is None or batch is None:
                return
            peer.batch, peer.left, peer.at = None, 0.0, self._clock()
        entries = (replace(record, detail={**record.detail, "count": n}) for record, n in batch.counts.values())
        try:
            write_down(self._audit, *entries)
        except OslerError as error:
            batch.written.set_exception(error)
        else:
            batch.written.set_result(None)


def _network_of(address: str) -> str:
    """Return the address of a peer, or the network of one that has a network of its own."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return address
    mapped = found.ipv4_mapped
    return str(mapped or ipaddress.ip_network((found, _NETWORK_BITS), strict=False))


def denials_of(app: Any, audit: Audit) -> Denials:
    """Return the denials of an application; those of one that has none are each written at once."""
    held: Denials | None = getattr(app.state, "denials", None)
    return held or Denials(audit)
