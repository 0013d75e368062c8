"""Jobs a second through each queue adapter, and through the bare client library on the same broker in the same run.

Each round puts the jobs (the bare client: publishes references of the same size, with confirmations), then takes them
off again in batches and ends each (the bare client: acknowledges or commits). An adapter also writes each job to the
ledger, leases it and completes it there, with every commit synced to disk; a bare client keeps no record of anything.
``with effect`` is a bare client that commits one row for each job to SQLite before it acknowledges, which is the least
that makes a doubled message harmless. ``embedded and bare in turn`` is the time of the ledger alone and of the broker
alone, added: what is lost against that is the adapter's own.

RabbitMQ is Debian's, on loopback, with quorum queues; Kafka is the broker that librdkafka brings for tests, which
keeps nothing on disk: its figures say what the adapter costs, not what Kafka can do.

    python bench/queues.py [--jobs 1000] [--rounds 3] [--batch 16] [--json]
"""

import argparse
import asyncio
import json
import secrets
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import aio_pika
from confluent_kafka import Consumer, Producer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, Priority
from osler.queue.brokered import BrokeredQueue
from osler.queue.embedded import EmbeddedQueue
from osler.queue.kafka import KafkaTransport
from osler.queue.port import Queue
from osler.queue.rabbitmq import RabbitTransport
from osler.queue.transport import Reference
from osler.storage import Database, migrate
from osler.storage.database import sqlite_url
from rabbitmq_server import RabbitServer

MODEL = "bench@1.0.0"
AT_A_TIME = 256


def references(count: int) -> list[bytes]:
    return [Reference(secrets.token_hex(16), MODEL, Priority.MEDIUM, float(n)).encode() for n in range(count)]


class Effects:
    """One row for each job, synced; nothing at all when there is no folder."""

    def __init__(self, folder: Path | None) -> None:
        self._rows = None
        if folder is not None:
            self._rows = sqlite3.connect(folder / f"effects-{secrets.token_hex(4)}.db", isolation_level=None)
            self._rows.execute("PRAGMA journal_mode=WAL")
            self._rows.execute("PRAGMA synchronous=FULL")
            self._rows.execute("CREATE TABLE effect (job TEXT PRIMARY KEY)")

    def take(self, bodies: list[bytes]) -> None:
        """Write them down, once each."""
        if self._rows is not None:
            self._rows.execute("BEGIN IMMEDIATE")
            self._rows.executemany(
                "INSERT OR IGNORE INTO effect VALUES (?)", [(Reference.decode(body).job_id,) for body in bodies]
            )
            self._rows.execute("COMMIT")


def adapter(queue: Queue, database: Database, count: int, batch: int) -> tuple[float, float]:
    """Return the seconds to put and publish all jobs, and to claim and complete them."""
    while not queue.reachable():
        time.sleep(0.01)
    instance = DeidentifiedInstance("2.25.3", "2.25.2", "1.2.840.10008.5.1.4.1.1.1", "ab" * 32)
    base = secrets.randbits(60)
    studies = [Deidentified(f"2.25.{base}.{n}", 1, (instance,), AgeBand.CHILD, Priority.MEDIUM) for n in range(count)]
    queue.claim("bench", models=[MODEL], limit=1)  # a consumer that has joined, as in a running hub
    warm_up(queue, database)
    putting = threading.Event()

    def relay() -> None:
        while not putting.is_set() or queue.relay():
            if not queue.relay():
                putting.wait(0.005)

    began = time.perf_counter()
    relaying = threading.Thread(target=relay)
    relaying.start()
    for at in range(0, count, AT_A_TIME):
        some = studies[at : at + AT_A_TIME]
        database.write(lambda c, some=some: [queue.put(c, study, MODEL) for study in some])
    putting.set()
    relaying.join()
    put = time.perf_counter()
    done = 0
    while done < count:
        jobs = queue.claim("bench", models=[MODEL], limit=batch)
        done += sum(database.write(lambda c, jobs=jobs: [queue.complete(c, job) for job in jobs]))
    return put - began, time.perf_counter() - put


def warm_up(queue: Queue, database: Database) -> None:
    study = Deidentified(f"2.25.{secrets.randbits(60)}", 1, (), AgeBand.CHILD, Priority.MEDIUM)
    database.write(lambda c: queue.put(c, study, MODEL))
    while True:
        queue.relay()
        for job in queue.claim("bench", models=[MODEL], limit=1):
            database.write(lambda c, job=job: queue.complete(c, job))
            return


def bare_rabbitmq(url: str, count: int, batch: int, effects: Effects) -> tuple[float, float]:
    async def run() -> tuple[float, float]:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel(publisher_confirms=True)
            name = f"bare-{secrets.token_hex(4)}"
            queue = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
            bodies = references(count)
            began = time.perf_counter()
            for at in range(0, count, AT_A_TIME):
                await asyncio.gather(
                    *(
                        channel.default_exchange.publish(
                            aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT), name
                        )
                        for body in bodies[at : at + AT_A_TIME]
                    )
                )
            put = time.perf_counter()
            await channel.set_qos(prefetch_count=batch)
            arrived: asyncio.Queue[aio_pika.abc.AbstractIncomingMessage] = asyncio.Queue()
            await queue.consume(arrived.put)
            done = 0
            while done < count:
                some = [await arrived.get()]
                while not arrived.empty() and len(some) < batch:
                    some.append(arrived.get_nowait())
                effects.take([message.body for message in some])
                for message in some:
                    await message.ack()
                done += len(some)
            return put - began, time.perf_counter() - put

    return asyncio.run(run())


def bare_kafka(servers: str, count: int, batch: int, effects: Effects) -> tuple[float, float]:
    topic = f"bare-{secrets.token_hex(4)}"
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 2, "log_level": 2})
    producer.list_topics(topic, timeout=10)
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": topic,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "log_level": 2,
        }
    )
    consumer.subscribe([topic])
    producer.produce(topic, b"first")
    producer.flush(10)
    while not any(message.error() is None for message in consumer.consume(1, 0.1)):
        pass
    began = time.perf_counter()
    for body in references(count):
        producer.produce(topic, body)
    producer.flush(30)
    put = time.perf_counter()
    done = 0
    while done < count:
        some = [message for message in consumer.consume(batch, 0.05) if message.error() is None]
        if some:
            effects.take([message.value() or b"" for message in some])
            consumer.commit(asynchronous=False)
            done += len(some)
    ended = time.perf_counter() - put
    consumer.close()
    return put - began, ended


def rates(times: list[tuple[float, float]], count: int) -> dict[str, float]:
    put, end = (statistics.median(column) for column in zip(*times, strict=True))
    whole = statistics.median(sum(pair) for pair in times)
    return {"put": round(count / put), "ended": round(count / end), "whole": round(count / whole)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--json", action="store_true")
    args = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="osler-bench-"))
    database = Database(sqlite_url(folder / "osler.db"))
    migrate.upgrade(database)
    rabbit = RabbitServer("/usr/lib/rabbitmq/bin/rabbitmq-server", "epmd")
    mock = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 1, "log_level": 2})
    (broker,) = mock.list_topics(timeout=10).brokers.values()
    servers = f"{broker.host}:{broker.port}"
    queues: list[Queue] = [
        EmbeddedQueue(database),
        BrokeredQueue(database, RabbitTransport(rabbit.url)),
        BrokeredQueue(database, KafkaTransport(f"kafka://{servers}?create=no")),
    ]
    jobs, batch = args.jobs, args.batch
    runs: dict[str, Callable[[], tuple[float, float]]] = {
        "embedded": lambda: adapter(queues[0], database, jobs, batch),
        "rabbitmq bare": lambda: bare_rabbitmq(rabbit.url, jobs, batch, Effects(None)),
        "rabbitmq bare with effect": lambda: bare_rabbitmq(rabbit.url, jobs, batch, Effects(folder)),
        "rabbitmq": lambda: adapter(queues[1], database, jobs, batch),
        "kafka bare": lambda: bare_kafka(servers, jobs, batch, Effects(None)),
        "kafka bare with effect": lambda: bare_kafka(servers, jobs, batch, Effects(folder)),
        "kafka": lambda: adapter(queues[2], database, jobs, batch),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    try:
        rabbit.start()
        for _ in range(args.rounds):
            for name, run in runs.items():  # in turn: what else the machine does falls on all of them
                times[name].append(run())
    finally:
        for queue in queues:
            queue.close()
        rabbit.close()
        database.close()
        mock.flush(1)
    found = {name: rates(measured, jobs) for name, measured in times.items()}
    ratios = {
        f"{name} / {peer}": round(found[name]["whole"] / found[peer]["whole"], 2)
        for name in ("rabbitmq", "kafka")
        for peer in (f"{name} bare", f"{name} bare with effect")
    }
    for name in ("rabbitmq", "kafka"):  # an adapter does the work of both
        both = 1 / (1 / found["embedded"]["whole"] + 1 / found[f"{name} bare"]["whole"])
        ratios[f"{name} / embedded and {name} bare in turn"] = round(found[name]["whole"] / both, 2)
    if args.json:
        print(json.dumps({"jobs_per_second": found, "ratios": ratios}))
        return
    print(f"{'jobs/s':<28}{'put':>8}{'ended':>8}{'whole':>8}")
    for name, row in found.items():
        print(f"{name:<28}{row['put']:>8.0f}{row['ended']:>8.0f}{row['whole']:>8.0f}")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio}")


if __name__ == "__main__":
    main()
