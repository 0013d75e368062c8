"""One connection to RabbitMQ: what has been declared on it, what is published, what is delivered to us."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, DeliveryError

from osler.domain.states import Priority
from osler.queue.transport import Outgoing, delay_step

ANSWER_S: Final = 10.0
"""How long the broker may take for an answer, seconds."""

AWAY: Final = (*CONNECTION_EXCEPTIONS, TimeoutError, asyncio.CancelledError)
"""What the client raises when the broker is not there; it cancels what waits on a connection that is lost."""

_MOST_DEAD: Final = 100_000
_SICK_S: Final = 5.0
"""How long a line is left alone that did not answer: a quorum queue may be without a leader after a power cut."""


class Session:
    """What one connection knows: a channel to publish on, one for each line to consume from, and what is declared.

    A broker that cannot serve a line closes the channel; the other lines go on.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        publishing: AbstractChannel,
        *,
        prefix: str,
        delays_s: Sequence[float],
        deliver: Any,
    ) -> None:
        self._connection = connection
        self._publishing = publishing
        self._prefix = prefix
        self._delays_s = delays_s
        self._deliver = deliver
        self._lines: dict[str, AbstractQueue] = {}
        self._delays: dict[float, AbstractExchange] = {}
        self.consuming: dict[str, tuple[AbstractQueue, str]] = {}  # by line: its queue and our consumer tag
        self._channels: dict[str, AbstractChannel] = {}  # by line; what is in hand is acknowledged there
        self._sick: dict[str, float] = {}  # until when a line is left alone
        self.prefetch = 0
        self._declaring = asyncio.Lock()
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Declare what does not depend on models."""
        self._jobs = await self._exchange("jobs", ExchangeType.DIRECT)
        self._dead = await self._exchange("dead", ExchangeType.FANOUT)
        # Dead letters are for people and their tools; the ledger has them all.
        dead = await self._queue("dead", {"x-max-length": _MOST_DEAD, "x-overflow": "drop-head"})
        await dead.bind(self._dead)

    def broken(self) -> bool:
        """Tell whether the channel to publish on was closed, which a lost connection does too."""
        return self._publishing.is_closed

    def consumes(self, models: Sequence[str], prefetch: int) -> bool:
        """Tell whether all lines of the models deliver to us, or are left alone; so many references at least."""
        now = time.monotonic()
        return self.prefetch >= prefetch and all(
            self._delivers(line) or self._sick.get(line, 0.0) > now for line in _lines(models)
        )

    def _delivers(self, line: str) -> bool:
        return line in self.consuming and not self._channels[line].is_closed

    async def publish(self, outgoing: Sequence[Outgoing]) -> set[str]:
        """Publish all at once; return whose confirmation came."""
        for line in {(one.reference.model, one.reference.priority) for one in outgoing if not one.dead}:
            await self._declare(*line)
        sent = await asyncio.gather(*(self._publish(one) for one in outgoing), return_exceptions=True)
        if any(isinstance(result, DeliveryError) for result in sent):  # a queue was removed: declare it again
            self._lines.clear()
        for result in sent:
            if isinstance(result, BaseException) and not isinstance(result, AWAY):
                raise result
        return {
            one.reference.job_id
            for one, result in zip(outgoing, sent, strict=True)
            if not isinstance(result, BaseException)
        }

    async def _publish(self, one: Outgoing) -> None:
        reference = one.reference
        message = Message(
            reference.encode(),
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=reference.job_id,
            content_type="application/json",
        )
        exchange = self._jobs
        if one.dead:
            exchange = self._dead
        elif one.delay_s > 0:
            exchange = await self._delay(delay_step(one.delay_s, self._delays_s))
        await exchange.publish(message, _line(reference.model, reference.priority), timeout=ANSWER_S)

    async def consume(self, models: Sequence[str], prefetch: int) -> None:
        """Let the lines of the models deliver to us; one that cannot now is tried again later."""
        async with self._changing:  # several workers claim at once
            if prefetch > self.prefetch:  # holds for consumers that begin after it
                await self._cancel()
                self.prefetch = prefetch
            now = time.monotonic()
            lines = [one for one in _lines(models) if not self._delivers(one) and self._sick.get(one, 0.0) <= now]
            await asyncio.gather(*(self._begin(line) for line in lines))

    async def _begin(self, line: str) -> None:
        model, _, priority = line.rpartition(".")
        self.consuming.pop(line, None)
        try:
            await self._declare(model, Priority(priority))
            channel = self._channels.get(line)
            if channel is None or channel.is_closed:
                channel = self._channels[line] = await self._connection.channel(publisher_confirms=False)
            await channel.set_qos(prefetch_count=self.prefetch, timeout=ANSWER_S)
            queue = await channel.get_queue(f"{self._prefix}.jobs.{line}", ensure=False)
            self.consuming[line] = (queue, await queue.consume(self._deliver, timeout=ANSWER_S))
            self._sick.pop(line, None)
        except AWAY:
            self._sick[line] = time.monotonic() + _SICK_S

    async def pause(self) -> None:
        """Let nothing more be delivered; what was delivered stays."""
        async with self._changing:
            await self._cancel()

    async def _cancel(self) -> None:
        self.prefetch = 0
        while self.consuming:
            _, (queue, tag) = self.consuming.popitem()
            with contextlib.suppress(*AWAY):
                await queue.cancel(tag, timeout=ANSWER_S)

    async def count(self, model: str, priority: Priority) -> int:
        """Count what waits in a line."""
        line = _line(model, priority)
        self._lines.pop(line, None)
        found = (await self._declare(model, priority)).declaration_result.message_count
        return found or 0

    async def _declare(self, model: str, priority: Priority) -> AbstractQueue:
        line = _line(model, priority)
        async with self._declaring:
            if line not in self._lines:
                queue = await self._queue(f"jobs.{line}", {"x-dead-letter-exchange": f"{self._prefix}.dead"})
                await queue.bind(self._jobs, line, timeout=ANSWER_S)
                self._lines[line] = queue
            return self._lines[line]

    async def _delay(self, step_s: float) -> AbstractExchange:
        async with self._declaring:
            if step_s not in self._delays:
                name = f"retry.{step_s:g}s"
                exchange = await self._exchange(name, ExchangeType.FANOUT)
                arguments = {
                    "x-message-ttl": round(step_s * 1000),
                    "x-dead-letter-exchange": f"{self._prefix}.jobs",
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                }
                await (await self._queue(name, arguments)).bind(exchange, timeout=ANSWER_S)
                self._delays[step_s] = exchange
            return self._delays[step_s]

    async def _exchange(self, name: str, kind: ExchangeType) -> AbstractExchange:
        return await self._publishing.declare_exchange(f"{self._prefix}.{name}", kind, durable=True, timeout=ANSWER_S)

    async def _queue(self, name: str, arguments: dict[str, Any]) -> AbstractQueue:
        return await self._publishing.declare_queue(
            f"{self._prefix}.{name}",
            durable=True,
            arguments={"x-queue-type": "quorum", **arguments},
            timeout=ANSWER_S,
        )


def _line(model: str, priority: Priority) -> str:
    return f"{model}.{priority.value}"


def _lines(models: Sequence[str]) -> list[str]:
    return [_line(model, priority) for model in models for priority in Priority]


def tls_context(url: str) -> ssl.SSLContext | None:
    """Make the context of an amqps URL: the peer is verified, by the system's authorities or those of ``cafile``."""
    parts = urlsplit(url)
    if parts.scheme != "amqps":
        return None
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    context = ssl.create_default_context(cafile=options.get("cafile"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if "certfile" in options:
        context.load_cert_chain(options["certfile"], options.get("keyfile"))
    return context
