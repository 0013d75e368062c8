"""Whether partitions help: the audit log and the queue, as they are and partitioned, with years of rows before.

Two copies of the table ``audit_event``, one of them partitioned by number (a million rows each), are filled alike. Then
the same is asked of both: to append (as the hub does, five entries a commit), the latest entries of a patient, those
of an hour, and a page of the verification. The queue is measured as it is, with few and with many jobs that are done:
its claim looks at those that wait.

    python bench/partitions.py [--rows 3000000] [--rounds 200] [--json]
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import find_program
from osler.queue.embedded import EmbeddedQueue
from osler.storage import Database, migrate
from postgresql_peer import PostgresqlServer

PART = 1_000_000
FILL = """
    INSERT INTO {table} (seq, recorded_at, kind, action, outcome, agent, patient, body, previous, hash)
    SELECT n, 1.7e9 + n * 0.5, 'resource-read', 'R', '0', 'agent' || n % 300, 'P' || n::bigint * 7919 % 100000,
           repeat('x', 900), decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex')
    FROM generate_series({start}, {end}) AS n
"""
JOBS = """
    INSERT INTO job (id, idempotency_key, study_uid, revision, model, priority, state, body, attempts, available_at,
                     dead, created_at, finished_at)
    SELECT md5(n::text), 'k' || n, '2.25.' || n, 1, 'bench@1.0.0', 'MEDIUM', 'completed', '{}', 1, 1.7e9 + n, false,
           1.7e9 + n, 1.7e9 + n
    FROM generate_series(1, %s) AS n
"""


def times(rounds: int, do: Callable[[int], Any]) -> dict[str, float]:
    """Return the median and the 95th percentile, milliseconds."""
    taken = []
    for number in range(rounds):
        began = time.perf_counter()
        do(number)
        taken.append((time.perf_counter() - began) * 1000)
    return {"p50_ms": round(statistics.median(taken), 3), "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 3)}


def measure_audit(connection: psycopg.Connection[Any], table: str, rows: int, rounds: int) -> dict[str, Any]:
    def append(number: int) -> None:
        start = rows + 1 + number * 5
        connection.execute(FILL.format(table=table, start=start, end=start + 4))

    def ask(query: str, *values: Callable[[int], Any]) -> Callable[[int], Any]:
        return lambda number: connection.execute(query, [value(number) for value in values]).fetchall()

    began = time.perf_counter()
    connection.execute(FILL.format(table=table, start=1, end=rows))
    filled = time.perf_counter() - began
    connection.execute(f"VACUUM ANALYZE {table}")
    at, newest = 1.7e9 + rows * 0.25, "ORDER BY recorded_at DESC LIMIT 50"
    return {
        "fill_s": round(filled, 1),
        "append": times(rounds, append),
        "patient": times(rounds, ask(f"SELECT * FROM {table} WHERE patient = %s {newest}", lambda n: f"P{n * 37}")),
        "hour": times(
            rounds,
            ask(
                f"SELECT seq FROM {table} WHERE recorded_at >= %s AND recorded_at < %s {newest}",
                lambda n: at + n * 100,
                lambda n: at + n * 100 + 3600,
            ),
        ),
        "page": times(
            rounds, ask(f"SELECT * FROM {table} WHERE seq > %s ORDER BY seq LIMIT 500", lambda n: n * rows // rounds)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    server = PostgresqlServer(str(find_program("initdb")), str(find_program("postgres"))).start()
    found: dict[str, Any] = {"rows": asked.rows}
    try:
        database = Database(server.url())
        migrate.upgrade(database)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE whole (LIKE audit_event INCLUDING ALL)")
            connection.execute("CREATE TABLE parted (LIKE audit_event INCLUDING ALL) PARTITION BY RANGE (seq)")
            for number in range(asked.rows // PART + 2):
                limits = f"FROM ({number * PART}) TO ({(number + 1) * PART})"
                connection.execute(f"CREATE TABLE parted_{number} PARTITION OF parted FOR VALUES {limits}")
            for table in ("whole", "parted"):
                found[table] = measure_audit(connection, table, asked.rows, asked.rounds)
            queue = EmbeddedQueue(database)
            for done in (1000, asked.rows // 6):
                connection.execute("DELETE FROM job")
                connection.execute(JOBS.replace("%s", str(done)))
                connection.execute("VACUUM ANALYZE job")
                claim = times(asked.rounds, lambda _: queue.claim("bench", models=["bench@1.0.0"], limit=1))
                found[f"claim, {done} jobs done"] = claim
        database.close()
    finally:
        server.remove()
    print(json.dumps(found) if asked.json else json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
