"""References on RabbitMQ: a durable quorum queue for each model and priority.

::

    osler.jobs (direct) ──MODEL.PRIORITY──▶ osler.jobs.MODEL.PRIORITY ──refused, too often returned──▶ osler.dead
        ▲
        └──when the time is over── osler.retry.8s ◀── osler.retry.8s (fanout), one for each step of the delay

The client is asyncio's, on a thread of its own; everything public is called from other threads. A consumer takes from
the broker only while somebody claims: when nobody has for a second, what is in the buffer goes back, so that no job
waits behind a worker that is busy.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from osler.domain.states import Priority
from osler.errors import Malformed, PeerUnavailable
from osler.queue.buffer import Buffer
from osler.queue.rabbitmq_session import ANSWER_S, AWAY, Session, tls_context
from osler.queue.transport import DELAYS_S, Incoming, Outgoing, Reference

T = TypeVar("T")
_HOLD_S: Final = 1.0
_HEARTBEAT_S: Final = 10
_LONGEST_RECONNECT_S: Final = 5.0

log = structlog.get_logger(__name__)


class RabbitTransport:
    """See :class:`osler.queue.transport.Transport`.

    Parameters
    ----------
    url : str
        ``amqp://user:password@host:port/vhost``, or ``amqps://`` with ``?cafile=`` (and ``certfile=``, ``keyfile=``).
    prefix : str
        Of the names of all queues and exchanges.
    prefetch : int
        References that may lie here and not be worked on.
    wait_s : float
        How long :meth:`receive` waits for a first reference, seconds.
    delays_s : sequence of float
        Steps of the delay, ascending, seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "osler",
        prefetch: int = 16,
        wait_s: float = 0.2,
        delays_s: Sequence[float] = DELAYS_S,
    ) -> None:
        self._url = url
        self._prefix = prefix
        self._prefetch = prefetch
        self._wait_s = wait_s
        self._delays_s = delays_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._session: Session | None = None
        self._stop = asyncio.Event()
        self._closing = False
        self.buffer = Buffer()
        self._in_hand: set[AbstractIncomingMessage] = set()
        self._counting = threading.Lock()
        self._asking: Future[None] | None = None
        self._last_claim = 0.0

    def reachable(self) -> bool:
        """Tell whether there is a connection, and see to it that there will be one; see the protocol."""
        self._start()
        return self._session is not None

    def publish(self, outgoing: Sequence[Outgoing]) -> set[str]:
        """Publish and wait for the confirmations; see the protocol."""
        session = self._session
        if session is None:
            return set()
        try:
            return self._ask(session.publish(outgoing))
        except PeerUnavailable:
            return set()

    def receive(self, models: Sequence[str], limit: int) -> list[Incoming]:
        """Take from the buffer, after a short wait when it is empty; see the protocol."""
        if not self.reachable():
            return []
        self._last_claim = time.monotonic()
        session, in_hand = self._session, len(self._in_hand)
        if session is not None and not session.consumes(models, in_hand + limit):
            self._consume(session, models, in_hand + limit + self._prefetch)
        taken = self.buffer.take(models, limit, wait_s=self._wait_s)
        with self._counting:
            self._in_hand.update(one.receipt for one in taken)
        return taken

    def _consume(self, session: Session, models: Sequence[str], prefetch: int) -> None:
        """See to it that the lines deliver, without waiting for one that does not answer."""
        with self._counting:
            if self._asking is not None and not self._asking.done():
                return
            asking = session.consume(models, prefetch)
            assert self._loop is not None
            try:
                self._asking = asyncio.run_coroutine_threadsafe(asking, self._loop)
            except RuntimeError:  # the client has ended
                asking.close()

    def settle(self, incoming: Sequence[Incoming]) -> None:
        """Acknowledge; what came over a connection that is gone was taken back by the broker. See the protocol."""
        if not incoming or self._loop is None:
            return
        with self._counting:
            self._in_hand.difference_update(one.receipt for one in incoming)
        acknowledging = _acknowledge([one.receipt for one in incoming])
        try:
            asyncio.run_coroutine_threadsafe(acknowledging, self._loop)
        except RuntimeError:  # the client has ended
            acknowledging.close()

    def waiting(self, model: str, priority: Priority) -> int:
        """Count; see the protocol."""
        session = self._session
        if session is None:
            raise PeerUnavailable("the broker is away")
        return self._ask(session.count(model, priority))

    def close(self) -> None:
        """Disconnect; see the protocol."""
        with self._starting:
            self._closing = True
        if self._asking is not None:
            self._asking.cancel()
        if self._loop is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(ANSWER_S)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closing:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, name="queue-rabbitmq", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._stay_connected())
        rest = asyncio.all_tasks(self._loop)
        for task in rest:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0.01))  # sockets that were closed are let go in the next round
        self._loop.close()

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Run something on the client's thread."""
        assert self._loop is not None
        try:
            future = asyncio.run_coroutine_threadsafe(question, self._loop)
        except RuntimeError:
            question.close()
            raise PeerUnavailable("the broker's client has ended") from None
        try:
            return future.result(2 * ANSWER_S)
        except (*AWAY, CancelledError) as error:
            future.cancel()
            raise PeerUnavailable(f"the broker did not answer ({type(error).__name__})") from None

    async def _stay_connected(self) -> None:
        pause_s, silent = 0.1, False
        while not self._stop.is_set():
            try:
                await self._one_session()
                pause_s, silent = 0.1, False
            except AWAY as error:
                if not silent:
                    log.warning("queue broker is away", broker="rabbitmq", error=type(error).__name__)
                silent = True
            await self._nap(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_RECONNECT_S)

    async def _one_session(self) -> None:
        async with await self._connect() as connection:
            session = Session(
                connection,
                await connection.channel(publisher_confirms=True),
                prefix=self._prefix,
                delays_s=self._delays_s,
                deliver=self._deliver,
            )
            await session.open()
            self._session = session
            log.info("queue broker is there", broker="rabbitmq")
            try:
                while not session.broken() and not self._stop.is_set():
                    await self._nap(0.1)
                    if (session.consuming or len(self.buffer)) and time.monotonic() - self._last_claim > _HOLD_S:
                        await session.pause()
                        await asyncio.sleep(0)  # what was delivered last comes into the buffer
                        await _give_back([one.receipt for one in self.buffer.clear()])
            finally:
                self._session = None
                self.buffer.clear()
                self._in_hand = set()
        if not self._stop.is_set():
            log.warning("queue broker is away", broker="rabbitmq")

    async def _nap(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _connect(self) -> AbstractConnection:
        url = self._url
        if "heartbeat=" not in url:
            url += f"{'&' if '?' in url else '?'}heartbeat={_HEARTBEAT_S}"
        return await aio_pika.connect(url, timeout=ANSWER_S, ssl_context=tls_context(url))

    async def _deliver(self, message: AbstractIncomingMessage) -> None:
        try:
            reference = Reference.decode(message.body)
        except Malformed as error:
            log.warning("message refused", broker="rabbitmq", reason=str(error))
            await message.reject(requeue=False)
            return
        self.buffer.add(Incoming(reference, message))


async def _acknowledge(messages: Sequence[AbstractIncomingMessage]) -> None:
    for message in messages:
        with contextlib.suppress(*AWAY):  # its connection is gone, and the broker has it again
            await message.ack()


async def _give_back(messages: Sequence[AbstractIncomingMessage]) -> None:
    for message in messages:
        await message.nack(requeue=True)
