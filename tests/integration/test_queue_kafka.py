"""References over Kafka's protocol: doubled, held back, left behind by a worker that died; and no cluster at all."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from osler.domain.states import Priority
from osler.queue.brokered import BrokeredQueue
from osler.queue.kafka import KafkaTransport
from osler.queue.kafka_offsets import Offsets
from osler.queue.transport import Outgoing, Reference
from osler.storage.database import Database
from queue_traffic import MODEL, Traffic, wait_for

OpenQueue = Callable[..., BrokeredQueue]


@pytest.fixture
def database(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[Database]:
    opened = Database(new_sqlite(tmp_path / "osler.db"))
    yield opened
    opened.close()


@pytest.fixture
def prefix() -> str:
    return f"osler-{secrets.token_hex(4)}"


@pytest.fixture
def open_queue(kafka_url: str, database: Database, prefix: str) -> Iterator[OpenQueue]:
    with contextlib.ExitStack() as stack:

        def make(url: str = kafka_url, *, there: bool = True, **terms: Any) -> BrokeredQueue:
            transport = KafkaTransport(url, prefix=prefix, wait_s=0.05, delays_s=(0.05, 0.2))
            queue = BrokeredQueue(database, transport, **{"backoff_s": 0.1, "republish_s": 30.0, **terms})
            stack.callback(queue.close)
            assert not there or wait_for(queue.reachable)
            return queue

        yield make


@pytest.fixture
def traffic(database: Database) -> Traffic:
    return Traffic(database)


def all_once(traffic: Traffic) -> bool:
    return traffic.done() == traffic.put_count and set(traffic.effects.values()) <= {1}


def read_topic(url: str, topic: str) -> Reference:
    """Read the first message of a topic, as a tool of an operator would."""
    consumer = Consumer(
        {
            "bootstrap.servers": url.removeprefix("kafka://").partition("?")[0],
            "group.id": secrets.token_hex(4),
            "auto.offset.reset": "earliest",
            "log_level": 2,
        }
    )
    consumer.subscribe([topic])
    found: list[bytes] = []

    def look() -> bool:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found.append(message.value() or b"")
        return bool(found)

    assert wait_for(look, 30)
    consumer.close()
    return Reference.decode(found[0])


def test_doubles_and_strangers_change_nothing_and_what_a_dead_worker_held_goes_to_another(open_queue, traffic):
    dying = open_queue(lease_s=2.0)
    traffic.put(dying, 30)
    while dying.relay():
        pass
    doubles = [Outgoing(Reference(e.id, MODEL, e.priority, e.created_at)) for e in dying.entries()]
    doubles.append(Outgoing(Reference("of-nothing", MODEL, Priority.MEDIUM, 0.0)))
    assert len(dying._transport.publish(doubles)) == 31
    assert wait_for(lambda: bool(dying.claim("dying", models=[MODEL], limit=4)))
    dying._transport.close()
    other = open_queue(lease_s=2.0)
    with traffic.flowing([other]):
        assert wait_for(lambda: traffic.done() == 30), traffic.done()
        assert wait_for(lambda: other._transport.waiting(MODEL, Priority.MEDIUM) == 0)
    assert all_once(traffic)


def test_a_retry_waits_in_its_topic_and_the_last_failure_is_a_dead_letter(open_queue, traffic, kafka_url, prefix):
    queue = open_queue(max_attempts=3, backoff_s=0.15)
    traffic.put(queue, 1)
    attempts: list[int] = []

    def fail() -> bool:
        queue.relay()
        for job in queue.claim("w", models=[MODEL], limit=1):
            attempts.append(job.attempts)
            assert queue.fail(job, "not yet")
        return len(attempts) == 3

    assert wait_for(fail)
    assert attempts == [1, 2, 3]
    while queue.relay():
        pass
    (entry,) = queue.entries(dead=True)
    wanted = Reference(entry.id, MODEL, Priority.MEDIUM, entry.created_at + 120.0)
    assert read_topic(kafka_url, f"{prefix}.retry.0.2s") == wanted
    assert read_topic(kafka_url, f"{prefix}.dead") == wanted


def test_without_a_cluster_jobs_are_put_and_nothing_is_claimed(open_queue, traffic, free_port):
    queue = open_queue(f"kafka://127.0.0.1:{free_port()}?create=no", there=False)
    traffic.put(queue, 3)
    assert not queue.relay()
    assert queue.claim("w", models=[MODEL], limit=1) == []
    assert not queue.reachable()
    assert queue.counts()["scheduled"] == 3


def test_an_offset_is_committed_when_all_before_it_are_settled():
    offsets = Offsets()
    for number in (5, 6, 7):
        offsets.receive(("t", 0, number))
    offsets.receive(("t", 1, 0))
    assert offsets.committable() == []
    offsets.settle([("t", 0, 6)])
    assert offsets.committable() == []
    offsets.settle([("t", 0, 5)])
    assert offsets.committable() == [("t", 0, 7)]
    assert offsets.committable() == []
    offsets.settle([("t", 0, 7), ("t", 1, 0)])
    assert offsets.committable() == [("t", 0, 8), ("t", 1, 1)]
    offsets.forget([("t", 0)])
    offsets.settle([("t", 0, 7)])
    assert offsets.committable() == []
