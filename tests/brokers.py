"""Fixtures of the brokers that the queue is tested over: import them where they are used."""

import time
from collections.abc import Callable, Iterator

import pytest

from osler.queue.kafka import KafkaTransport
from osler.queue.rabbitmq import RabbitTransport
from queue_site import SHORT_DELAYS_S, SharedTransport
from rabbitmq_server import RabbitServer


@pytest.fixture(scope="session")
def rabbitmq_server(need: Callable[..., str]) -> Iterator[RabbitServer]:
    """Start a RabbitMQ of our own on loopback."""
    # Debian's command of that name runs as the user rabbitmq alone; this is what it runs.
    server = RabbitServer(need("/usr/lib/rabbitmq/bin/rabbitmq-server"), need("epmd"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def rabbitmq(rabbitmq_server: RabbitServer) -> Callable[[str], RabbitTransport]:
    """Return a function that opens a transport on our RabbitMQ, with delays that a test can wait for."""
    return lambda prefix: RabbitTransport(rabbitmq_server.url, prefix=prefix, wait_s=0.02, delays_s=SHORT_DELAYS_S)


@pytest.fixture(scope="session")
def kafka_url() -> Iterator[str]:
    """Start the broker that librdkafka brings for tests; it speaks Kafka's protocol and keeps nothing on disk."""
    producer = pytest.importorskip("confluent_kafka").Producer(
        {"bootstrap.servers": "none:1", "test.mock.num.brokers": 1, "log_level": 2}
    )
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    yield f"kafka://{broker.host}:{broker.port}?create=no&fetch.wait.max.ms=20"  # its fetch sleeps out the wait
    producer.flush(1)  # the broker lives as long as this client


@pytest.fixture(scope="session")
def kafka(kafka_url: str) -> Iterator[Callable[[str], SharedTransport]]:
    """Return a function that gives the session's one transport on the broker."""
    transport = KafkaTransport(kafka_url, wait_s=0.02, delays_s=SHORT_DELAYS_S)
    while not transport.reachable():
        time.sleep(0.01)
    transport.receive(["fake@1.0.0", "other@1.0.0", "a@1", "b@1"], 0)  # a group takes long to let more topics in
    yield lambda _prefix: SharedTransport(transport)
    transport.close()
