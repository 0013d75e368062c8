"""Refusals on record, so that a flood of them does not drown the log: it becomes few entries, each with its count."""

import asyncio
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
_MOST_WAITING: Final = 100
_MOST_PEERS: Final = 4096

_Key = tuple[Any, ...]


@dataclass(slots=True)
class _Batch:
    """What one peer was refused in a window: each refusal with its count, and the future of its being on record."""

    counts: dict[_Key, tuple[AuditRecord, int]] = field(default_factory=dict)
    written: "Future[None]" = field(default_factory=Future)


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
        address = record.agent.address
        with self._lock:
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
            key = (record.event, record.agent, *record.detail.items())
            first, count = peer.batch.counts.get(key, (record, 0))
            peer.batch.counts[key] = (first, count + 1)
            return peer.batch.written

    def _peer(self, address: str) -> _Peer:
        now = self._clock()
        peer = self._peers.get(address)
        if peer is None:
            if len(self._peers) >= _MOST_PEERS:
                quiet = now - self._burst * self._window_s
                self._peers = {a: p for a, p in self._peers.items() if p.batch is not None or p.at > quiet}
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


def denials_of(app: Any, audit: Audit) -> Denials:
    """Return the denials of an application; those of one that has none are each written at once."""
    held: Denials | None = getattr(app.state, "denials", None)
    return held or Denials(audit)
