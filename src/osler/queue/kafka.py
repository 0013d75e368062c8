"""References on Kafka: a topic for each model and priority, read by one consumer group.

::

    osler.jobs.MODEL.PRIORITY ──▶ workers (group osler.workers)
        ▲
        └──when the time is over── osler.retry.8s, one for each step of the delay (group osler.retries)
    osler.dead: dead letters, for people

Offsets are committed by hand, up to the first reference of a partition that is not settled: after a crash or a
rebalance Kafka brings what lies behind it once more, and the ledger drops what had its effect.
"""

import contextlib
import re
import threading
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import structlog
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from osler.domain.states import Priority
from osler.errors import Malformed, PeerUnavailable
from osler.queue.buffer import Buffer
from osler.queue.kafka_offsets import Offsets
from osler.queue.transport import DELAYS_S, LONGEST_BATCH, Incoming, Outgoing, Reference, delay_step
from osler.storage.due import has_come

_ANSWER_S: Final = 10.0
_PROBE_S: Final = 1.0
_COMMIT_S: Final = 0.1
_MOST: Final = 2048
_FEWEST: Final = 256
_MOST_RETRIES: Final = 10_000

log = structlog.get_logger(__name__)


class KafkaTransport:
    """See :class:`osler.queue.transport.Transport`.

    Parameters
    ----------
    url : str
        ``kafka://host:port,host:port``. In the query: ``partitions`` and ``replicas`` of topics that are made here (12
        and the cluster's default), ``create=no`` when an administrator makes them, and any property of librdkafka
        (``security.protocol=ssl``, ``ssl.ca.location=...``).
    prefix : str
        Of the names of all topics and groups.
    wait_s : float
        How long :meth:`receive` waits for a first reference, seconds.
    delays_s : sequence of float
        Steps of the delay, ascending, seconds.
    password : str
        For SASL (``sasl.username`` is in the URL's query); empty: none.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "osler",
        wait_s: float = 0.2,
        delays_s: Sequence[float] = DELAYS_S,
        password: str = "",
    ) -> None:
        self._prefix = prefix
        self._wait_s = wait_s
        self._delays_s = delays_s
        self._options, self._make = _read_url(url)
        if password:
            self._options["sasl.password"] = password
        self.buffer = Buffer()
        self._offsets = Offsets()
        self._topics: set[str] = set()
        self._models: set[str] = set()
        self._subscribed: frozenset[str] = frozenset()
        self._paused: set[str] = set()
        self._guard = threading.RLock()
        self._making = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._producer: Producer | None = None
        self._counting: Consumer | None = None
        self._reachable = False
        self._stop = threading.Event()

    def reachable(self) -> bool:
        """Tell whether the cluster answered the last look; see the protocol."""
        self._start()
        return self._reachable

    def publish(self, outgoing: Sequence[Outgoing]) -> set[str]:
        """Publish and wait for the confirmations of all in-sync replicas; see the protocol."""
        if not self.reachable() or self._producer is None:
            return set()
        confirmed: set[str] = set()
        for one in outgoing:
            topic = self._topic_of(one)
            self._ensure(topic)
            with contextlib.suppress(BufferError, KafkaException):
                self._produce(topic, one.reference, confirmed)
        self._producer.flush(_ANSWER_S)
        return set(confirmed)

    def receive(self, models: Sequence[str], limit: int) -> list[Incoming]:
        """Take from the buffer, after a short wait when it is empty; see the protocol."""
        if not self.reachable():
            return []
        with self._guard:
            self._models.update(models)
        return self.buffer.take(models, limit, wait_s=self._wait_s)

    def settle(self, incoming: Sequence[Incoming]) -> None:
        """Let their offsets be committed; see the protocol."""
        self._offsets.settle([one.receipt for one in incoming])

    def waiting(self, model: str, priority: Priority) -> int:
        """Count what is not committed; see the protocol."""
        topic = self._jobs_topic(model, priority)
        self._ensure(topic)
        try:
            counting = self._counting_consumer()
            found = counting.list_topics(topic, timeout=_ANSWER_S).topics[topic]
            parts = [TopicPartition(topic, number) for number in found.partitions]
            count = 0
            for committed in counting.committed(parts, timeout=_ANSWER_S) if parts else ():
                low, high = counting.get_watermark_offsets(committed, timeout=_ANSWER_S)
                count += high - max(low, committed.offset)
        except KafkaException:
            raise PeerUnavailable("the cluster did not answer") from None
        return count

    def close(self) -> None:
        """Leave the group; see the protocol."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_ANSWER_S)
        with self._guard:
            if self._counting is not None:
                self._counting.close()
                self._counting = None
        if self._producer is not None:
            self._producer.flush(1.0)

    # ---------------------------------------------------------------------------------------------- threads

    def _start(self) -> None:
        with self._guard:
            if self._threads or self._stop.is_set():
                return
            self._producer = Producer(
                {
                    **self._options,
                    "enable.idempotence": True,
                    "linger.ms": 2,
                    "message.timeout.ms": round(_ANSWER_S * 1000),
                }
            )
            for work in (self._probe, self._consume, self._move_retries):
                thread = threading.Thread(target=work, name=f"queue-kafka{work.__name__}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _probe(self) -> None:
        """Look whether the cluster is there, again and again."""
        assert self._producer is not None
        told = None
        while not self._stop.is_set():
            try:
                self._producer.list_topics(f"{self._prefix}.dead", timeout=2 * _PROBE_S)
                self._reachable = True
            except KafkaException:
                self._reachable = False
            if self._reachable is not told:
                told = self._reachable
                (log.info if told else log.warning)(f"queue broker is {'there' if told else 'away'}", broker="kafka")
            self._stop.wait(_PROBE_S)
        self._reachable = False

    def _consume(self) -> None:
        consumer = self._consumer("workers")
        committed_at = 0.0
        try:
            while not self._stop.is_set():
                if not self._subscribe(consumer):
                    self._stop.wait(0.02)
                    continue
                self._pause_full(consumer)
                first = consumer.poll(0.05)
                for message in [first, *consumer.consume(LONGEST_BATCH, 0.0)] if first is not None else ():
                    if message.error() is None:
                        self._deliver(message)
                if time.monotonic() - committed_at > _COMMIT_S:
                    self._commit(consumer)
                    committed_at = time.monotonic()
            self._commit(consumer)
        finally:
            consumer.close()

    def _subscribe(self, consumer: Consumer) -> bool:
        with self._guard:
            models = frozenset(self._models)
        if models and models != self._subscribed and self._reachable:
            topics = [self._jobs_topic(model, priority) for model in sorted(models) for priority in Priority]
            for topic in topics:
                self._ensure(topic)
            consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
            self._subscribed = models
        return bool(self._subscribed)

    def _pause_full(self, consumer: Consumer) -> None:
        """Let nothing more come of a model of which enough lies here; the other models are not held up."""
        for model in self._subscribed:
            count, paused = self.buffer.count(model), model in self._paused
            full = count > _FEWEST if paused else count >= _MOST  # a pause throws away what was fetched: seldom
            if full is paused:
                continue
            topics = {self._jobs_topic(model, priority) for priority in Priority}
            parts = [part for part in consumer.assignment() if part.topic in topics]
            with contextlib.suppress(KafkaException):
                (consumer.pause if full else consumer.resume)(parts)
            (self._paused.add if full else self._paused.discard)(model)

    def _assigned(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._paused.clear()  # what is assigned begins to flow

    def _deliver(self, message: Message) -> None:
        receipt = (str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
        self._offsets.receive(receipt)
        try:
            self.buffer.add(Incoming(Reference.decode(message.value() or b""), receipt))
        except Malformed as error:
            log.warning("message refused", broker="kafka", reason=str(error))
            self._offsets.settle([receipt])

    def _commit(self, consumer: Consumer) -> None:
        ready = [TopicPartition(*receipt) for receipt in self._offsets.committable()]
        if ready:
            with contextlib.suppress(KafkaException):  # what is not committed comes again, and is dropped
                consumer.commit(offsets=ready, asynchronous=False)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Forget what lies here of partitions that others read from now on."""
        self._commit(consumer)
        gone = {(part.topic, part.partition) for part in partitions}
        self.buffer.keep([one for one in self.buffer.clear() if one.receipt[:2] not in gone])
        self._offsets.forget(gone)

    def _move_retries(self) -> None:
        """Bring what was held back into its line again, when its time has come."""
        consumer = self._consumer("retries")
        topics = {self._retry_topic(step): step for step in self._delays_s}
        held: list[tuple[float, Reference, tuple[str, int, int]]] = []
        offsets = Offsets()
        subscribed = False
        try:
            while not self._stop.is_set():
                if not subscribed:
                    subscribed = self._watch(consumer, topics, held, offsets)
                    continue
                message = consumer.poll(0.05) if len(held) < _MOST_RETRIES else None
                if message is not None and message.error() is None:
                    receipt = (str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
                    offsets.receive(receipt)
                    try:
                        reference = Reference.decode(message.value() or b"")
                        held.append((message.timestamp()[1] / 1000 + topics[receipt[0]], reference, receipt))
                    except Malformed:
                        offsets.settle([receipt])
                self._move_due(held, offsets)
                ready = [TopicPartition(*receipt) for receipt in offsets.committable()]
                if ready:
                    with contextlib.suppress(KafkaException):
                        consumer.commit(offsets=ready, asynchronous=False)
        finally:
            consumer.close()

    def _watch(self, consumer: Consumer, topics: dict[str, float], held: list[Any], offsets: Offsets) -> bool:
        if not self._reachable:
            self._stop.wait(0.05)
            return False
        for topic in topics:
            self._ensure(topic)

        def revoked(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
            gone = {(part.topic, part.partition) for part in partitions}
            held[:] = [one for one in held if one[2][:2] not in gone]
            offsets.forget(gone)

        consumer.subscribe(list(topics), on_revoke=revoked, on_lost=revoked)
        return True

    def _move_due(self, held: list[tuple[float, Reference, tuple[str, int, int]]], offsets: Offsets) -> None:
        now = time.time()
        due = [one for one in held if has_come(one[0], now)]
        if not due:
            return
        moved = self.publish([Outgoing(reference) for _, reference, _ in due])
        done = [one for one in due if one[1].job_id in moved]
        held[:] = [one for one in held if one not in done]
        offsets.settle([receipt for _, _, receipt in done])

    # ----------------------------------------------------------------------------------------------- topics

    def _produce(self, topic: str, reference: Reference, confirmed: set[str]) -> None:
        def answered(error: Any, _message: Any) -> None:
            if error is None:
                confirmed.add(reference.job_id)

        assert self._producer is not None
        self._producer.produce(topic, reference.encode(), key=reference.job_id, on_delivery=answered)

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            {
                **self._options,
                "group.id": f"{self._prefix}.{group}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": True,
                "topic.metadata.refresh.interval.ms": 5_000,  # of topics that others make
                "session.timeout.ms": 10_000,
                "partition.assignment.strategy": "range",
            }
        )

    def _counting_consumer(self) -> Consumer:
        with self._guard:
            if self._counting is None:
                self._counting = self._consumer("workers")  # asks for the group's offsets, never joins it
            return self._counting

    def _ensure(self, topic: str) -> None:
        """Make a topic that is not there; who asks for it meanwhile waits, or a group would join without it."""
        with self._making:
            if topic in self._topics:
                return
            if self._make is None:
                with contextlib.suppress(KafkaException):  # to ask for a topic makes it, where the cluster allows that
                    self._counting_consumer().list_topics(topic, timeout=_ANSWER_S)
            else:
                self._create(topic, *self._make)
            self._topics.add(topic)

    def _create(self, topic: str, partitions: int, replicas: int) -> None:
        admin = AdminClient(self._options)
        for answer in admin.create_topics([NewTopic(topic, partitions, replicas)], request_timeout=5.0).values():
            with contextlib.suppress(KafkaException, TimeoutError):  # it is there, or the cluster makes topics itself
                answer.result(5.0)

    def _topic_of(self, one: Outgoing) -> str:
        if one.dead:
            return f"{self._prefix}.dead"
        if one.delay_s > 0:
            return self._retry_topic(delay_step(one.delay_s, self._delays_s))
        return self._jobs_topic(one.reference.model, one.reference.priority)

    def _retry_topic(self, step_s: float) -> str:
        return f"{self._prefix}.retry.{step_s:g}s"

    def _jobs_topic(self, model: str, priority: Priority) -> str:
        return f"{self._prefix}.jobs.{_legal(model)}.{priority.value}"


def _legal(name: str) -> str:
    """Write a name with the characters that Kafka allows, each name differently."""
    return re.sub(r"[^a-zA-Z0-9.-]", lambda found: f"_{ord(found[0]):x}_", name)


def _read_url(url: str) -> tuple[dict[str, Any], tuple[int, int] | None]:
    """Split a URL into the client's properties, and the partitions and replicas of new topics."""
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    make = (int(options.pop("partitions", 12)), int(options.pop("replicas", -1)))
    create = options.pop("create", "yes") != "no"
    options["bootstrap.servers"] = parts.netloc.rpartition("@")[2]
    options.setdefault("log_level", 2)
    return options, make if create else None
