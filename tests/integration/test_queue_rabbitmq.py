"""RabbitMQ that dies, forgets, doubles and is cut off: no job is lost, and no effect comes twice."""

import asyncio
import contextlib
import gc
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from osler.domain.states import Priority
from osler.queue.brokered import BrokeredQueue
from osler.queue.rabbitmq import RabbitTransport
from osler.queue.transport import Outgoing, Reference
from osler.storage.database import Database
from queue_site import SHORT_DELAYS_S
from queue_traffic import MODEL, Traffic, a_study, wait_for
from rabbitmq_server import RabbitServer
from tcp_proxy import TcpProxy

OpenQueue = Callable[..., BrokeredQueue]

# The client leaves a connection that ended before its handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def database(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[Database]:
    opened = Database(new_sqlite(tmp_path / "osler.db"))
    yield opened
    opened.close()


@pytest.fixture
def prefix() -> str:
    return f"osler-{secrets.token_hex(4)}"


@pytest.fixture
def open_queue(rabbitmq_server: RabbitServer, database: Database, prefix: str) -> Iterator[OpenQueue]:
    with contextlib.ExitStack() as stack:

        def make(url: str = rabbitmq_server.url, **terms: Any) -> BrokeredQueue:
            transport = RabbitTransport(url, prefix=prefix, wait_s=0.05, delays_s=SHORT_DELAYS_S)
            terms = {"lease_s": 5.0, "backoff_s": 0.1, "republish_s": 1.0, **terms}
            queue = BrokeredQueue(database, transport, **terms)
            stack.callback(queue.close)
            assert wait_for(queue.reachable)
            return queue

        yield make
    gc.collect()


@pytest.fixture
def traffic(database: Database) -> Traffic:
    return Traffic(database)


def at_broker(url: str, work: Callable[[aio_pika.abc.AbstractChannel], Any]) -> Any:
    """Do something on a channel of our own, as an operator would."""

    async def run() -> Any:
        async with await aio_pika.connect(url) as connection:
            return await work(await connection.channel())

    return asyncio.run(run())


def count(url: str, name: str) -> int:
    async def look(channel: aio_pika.abc.AbstractChannel) -> int:
        return (await channel.declare_queue(name, passive=True)).declaration_result.message_count or 0

    return int(at_broker(url, look))


def all_once(traffic: Traffic) -> bool:
    return traffic.done() == traffic.put_count and set(traffic.effects.values()) <= {1}


def test_the_broker_is_killed_while_jobs_flow(open_queue, rabbitmq_server, traffic):
    queues = [open_queue() for _ in range(2)]
    with traffic.flowing(queues):
        traffic.put(queues[0], 60)
        assert wait_for(lambda: traffic.done() >= 20)
        rabbitmq_server.kill()
        try:
            traffic.put(queues[0], 60)  # the door stays open
            assert wait_for(lambda: not queues[0].reachable())
            assert queues[0].claim("idle", models=[MODEL], limit=1) == []
        finally:
            rabbitmq_server.start()
        traffic.put(queues[0], 20)
        assert wait_for(lambda: traffic.done() == 140), traffic.done()
    assert all_once(traffic)
    assert queues[0].counts()["completed"] == 140


@pytest.mark.parametrize("fate", ["purged", "removed"])
def test_what_the_broker_lost_is_published_again(open_queue, rabbitmq_server, traffic, prefix, fate):
    queue = open_queue()
    traffic.put(queue, 40)
    while queue.relay():
        pass
    name = f"{prefix}.jobs.{MODEL}.MEDIUM"
    assert wait_for(lambda: count(rabbitmq_server.url, name) == 40)

    async def lose(channel: aio_pika.abc.AbstractChannel) -> None:
        found = await channel.get_queue(name)
        await (found.purge() if fate == "purged" else found.delete(if_unused=False, if_empty=False))

    at_broker(rabbitmq_server.url, lose)
    with traffic.flowing([queue]):
        assert wait_for(lambda: traffic.done() == 40), traffic.done()
    assert all_once(traffic)


def test_a_backlog_that_is_only_long_is_not_published_again(open_queue, rabbitmq_server, traffic, prefix, database):
    queue = open_queue(republish_s=0.05)
    traffic.put(queue, 30)
    while queue.relay():
        pass
    published = [entry.id for entry in queue.entries()]
    looked = iter(range(20))
    assert wait_for(lambda: (queue.relay(), next(looked, None) is None)[1], 20)
    assert len(published) == 30
    assert count(rabbitmq_server.url, f"{prefix}.jobs.{MODEL}.MEDIUM") == 30


def test_messages_that_come_twice_or_too_late_change_nothing(open_queue, rabbitmq_server, traffic, prefix):
    queue, other = open_queue(), open_queue()
    traffic.put(queue, 30)
    while queue.relay():
        pass
    doubles = [Outgoing(Reference(entry.id, MODEL, entry.priority, entry.created_at)) for entry in queue.entries()] + [
        Outgoing(Reference("of-nothing", MODEL, Priority.MEDIUM, 0.0))
    ]
    sender = queue._transport
    assert len(sender.publish(doubles)) == len(sender.publish(doubles)) == 31
    with traffic.flowing([queue, other]):
        assert wait_for(lambda: traffic.done() == 30)
        sender.publish(doubles)  # now each is about a completed job
    assert all_once(traffic)
    queue.close()
    other.close()

    def left() -> int:
        last = open_queue()
        assert last.claim("last", models=[MODEL], limit=50) == []
        last.close()
        return count(rabbitmq_server.url, f"{prefix}.jobs.{MODEL}.MEDIUM")

    assert wait_for(lambda: left() == 0)


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_the_link_fails_while_jobs_flow(open_queue, rabbitmq_server, traffic, fault):
    proxy = TcpProxy(("127.0.0.1", rabbitmq_server.port))
    queue = open_queue(f"amqp://guest:guest@127.0.0.1:{proxy.port}/?heartbeat=1")
    with traffic.flowing([queue]):
        traffic.put(queue, 40)
        assert wait_for(lambda: traffic.done() >= 10)
        getattr(proxy, fault)()
        traffic.put(queue, 20)
        assert wait_for(lambda: not queue.reachable())
        proxy.restore()
        assert wait_for(lambda: traffic.done() == 60), traffic.done()
    proxy.close()
    assert all_once(traffic)


def test_what_a_dead_worker_held_goes_to_another(open_queue, traffic):
    dying, other = open_queue(lease_s=1.0), open_queue(lease_s=1.0)
    traffic.put(other, 4)
    while other.relay():
        pass
    assert wait_for(lambda: bool(dying.claim("dying", models=[MODEL], limit=2)))
    dying._transport.close()  # its process ends: the broker has the references back while the leases still hold
    with traffic.flowing([other]):
        assert wait_for(lambda: traffic.done() == 4)
    assert all_once(traffic)


def test_no_job_waits_behind_a_worker_that_is_busy(open_queue, traffic):
    busy, idle = open_queue(lease_s=60.0), open_queue(lease_s=60.0)
    traffic.put(idle, 6)
    while idle.relay():
        pass
    assert wait_for(lambda: len(busy.claim("busy", models=[MODEL], limit=1)) == 1)
    taken: list[str] = []
    assert wait_for(
        lambda: (taken.extend(j.id for j in idle.claim("idle", models=[MODEL], limit=8)), len(taken) == 5)[1], 10
    )


def test_a_dead_job_is_a_dead_letter(open_queue, rabbitmq_server, traffic, prefix):
    queue = open_queue()
    traffic.put(queue, 1)
    queue.relay()
    jobs: list[Any] = []
    assert wait_for(lambda: (jobs.extend(queue.claim("w", models=[MODEL], limit=1)), bool(jobs))[1])
    assert queue.fail(jobs[0], "the model broke its contract", retryable=False)
    while queue.relay():
        pass

    async def read(channel: aio_pika.abc.AbstractChannel) -> bytes:
        message = await (await channel.get_queue(f"{prefix}.dead")).get(timeout=5)
        assert message is not None
        return message.body

    assert Reference.decode(at_broker(rabbitmq_server.url, read)).job_id == jobs[0].id


def test_a_retry_waits_at_the_broker(open_queue, rabbitmq_server, traffic, prefix, database):
    queue = open_queue(backoff_s=0.15)
    traffic.put(queue, 1)
    queue.relay()
    attempts: list[int] = []

    def fail_once_more() -> bool:
        queue.relay()
        for job in queue.claim("w", models=[MODEL], limit=1):
            attempts.append(job.attempts)
            if len(attempts) < 3:
                assert queue.fail(job, "not yet")
            else:
                assert database.write(lambda connection, done=job: queue.complete(connection, done))
        return len(attempts) == 3

    assert wait_for(fail_once_more)
    assert attempts == [1, 2, 3]
    assert count(rabbitmq_server.url, f"{prefix}.retry.0.2s") == 0


def test_a_message_of_somebody_else_is_refused(open_queue, rabbitmq_server, traffic, prefix):
    queue = open_queue()
    traffic.put(queue, 1)
    queue.relay()

    async def intrude(channel: aio_pika.abc.AbstractChannel) -> None:
        exchange = await channel.get_exchange(f"{prefix}.jobs")
        for body in (b"{}", b"[" * 10_000, b"\xff", b'{"job_id":1,"model":"m","priority":"NONE","urgent_at":0}'):
            await exchange.publish(aio_pika.Message(body), f"{MODEL}.MEDIUM")

    at_broker(rabbitmq_server.url, intrude)
    with traffic.flowing([queue]):
        assert wait_for(lambda: traffic.done() == 1)
        assert wait_for(lambda: count(rabbitmq_server.url, f"{prefix}.dead") == 4)
    assert all_once(traffic)


def test_nothing_but_references_is_at_the_broker(open_queue, rabbitmq_server, database, prefix):
    queue = open_queue()
    study = a_study(77, priority=Priority.HIGH)
    assert database.write(lambda connection: queue.put(connection, study, MODEL))
    queue.relay()

    async def read(channel: aio_pika.abc.AbstractChannel) -> bytes:
        message = await (await channel.get_queue(f"{prefix}.jobs.{MODEL}.HIGH")).get(timeout=5)
        assert message is not None
        return message.body

    body = at_broker(rabbitmq_server.url, read)
    (entry,) = queue.entries()
    assert Reference.decode(body) == Reference(entry.id, MODEL, Priority.HIGH, entry.created_at)
    assert study.study_instance_uid.encode() not in body
