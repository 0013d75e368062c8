"""Which queue the settings name."""

from pathlib import Path

import pytest

from osler.config import load
from osler.errors import ConfigError
from osler.queue.brokered import BrokeredQueue
from osler.queue.embedded import EmbeddedQueue
from osler.queue.kafka import KafkaTransport
from osler.queue.opening import open_queue
from osler.queue.rabbitmq import RabbitTransport
from osler.storage.database import Database


@pytest.fixture
def ledger(new_sqlite, tmp_path: Path):
    opened = Database(new_sqlite(tmp_path / "osler.db"))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("amqp://osler@rabbit.example.org/osler", RabbitTransport),
        ("amqps://osler@rabbit.example.org/osler", RabbitTransport),
        ("kafka://k1.example.org:9092,k2.example.org:9092?security.protocol=ssl", KafkaTransport),
    ],
)
def test_the_scheme_names_the_broker_and_nobody_is_called_yet(ledger, url, transport):
    queue = open_queue(load({}, given={"queue.url": url}), ledger)
    assert isinstance(queue, BrokeredQueue)
    assert type(queue._transport) is transport
    queue.close()


def test_the_ledger_is_the_queue_when_nothing_is_said(ledger):
    assert type(open_queue(load({}), ledger)) is EmbeddedQueue


@pytest.mark.parametrize("url", ["redis://localhost", "amqp", "http://localhost", ""])
def test_an_unknown_broker_stops_the_start(ledger, url):
    with pytest.raises(ConfigError, match=r"queue\.url must be"):
        open_queue(load({}, given={"queue.url": url}), ledger)


def test_the_password_comes_from_its_file_and_may_hold_anything(ledger, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("a/b@c:d e\n")
    given = {"queue.url": "amqp://osler@rabbit.example.org/v", "queue.password_file": str(secret)}
    queue = open_queue(load({}, given=given), ledger)
    assert queue._transport._url == "amqp://osler:a%2Fb%40c%3Ad%20e@rabbit.example.org/v"


def test_a_password_file_that_is_not_there_stops_the_start(ledger, tmp_path):
    given = {"queue.url": "amqp://osler@rabbit.example.org/v", "queue.password_file": str(tmp_path / "none")}
    with pytest.raises(ConfigError, match=r"queue\.password_file cannot be read"):
        open_queue(load({}, given=given), ledger)
