"""Questions to a long audit log: "who saw this patient", and AuditEvent searches, over a million entries.

    python bench/audit.py [--events 1000000] [--url postgresql://...] [--keep FOLDER]

The log is written as the hub writes it, chained and signed, in batches of a thousand. One patient in a thousand has
fifty times the entries of the others. Each line: a question, how much it found, and the seconds of the slowest of 3.
"""

import argparse
import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.audit import Agent, AuditLog, AuditRecord
from osler.audit.accounting import disclosures, who_saw
from osler.audit.search import AuditSearch
from osler.domain.reach import EVERYTHING
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.database import sqlite_url
from osler.storage.migrate import upgrade

BATCH = 1000
PATIENTS = 2000
PEOPLE, APPS, CLIENTS = 300, 12, 20
VIP, SOMEBODY = "OSL-P0", "OSL-P77"
KINDS = (
    "resource-read",
    "resource-searched",
    "resource-searched",
    "history-read",
    "resource-updated",
    "result-disclosed",
)
BEGIN = 1_735_689_600.0


def record(number: int, chance: random.Random) -> AuditRecord:
    patient = VIP if chance.random() < 0.025 else f"OSL-P{chance.randrange(PATIENTS)}"
    kind = chance.choice(KINDS)
    if chance.random() < 0.7:
        agent = Agent(f"user{chance.randrange(PEOPLE)}", "person", "192.0.2.1", via=f"app{chance.randrange(APPS)}")
    else:
        agent = Agent(f"client{chance.randrange(CLIENTS)}", "client", "192.0.2.2")
    if kind == "result-disclosed":
        recipient = Agent("pacs", "peer", "192.0.2.9:104")
        return AuditRecord(
            kind,
            agent=Agent("osler", "system"),
            patient=patient,
            entities=(f"study:2.25.{number}",),
            recipient=recipient,
        )
    detail: dict[str, str | int] = {}
    if kind == "resource-searched":
        detail = {"type": "Observation", "parameters": "patient,code,date", "matches": 3}
    entities = tuple(f"Observation/o{number}-{i}/_history/1" for i in range(3 if detail else 1))
    return AuditRecord(kind, agent=agent, patient=patient, entities=entities, detail=detail)


def fill(database: Database, folder: Path, events: int) -> float:
    chance, at = random.Random(1), [BEGIN]
    log = AuditLog(
        database,
        signing_key=Ed25519PrivateKey.generate(),
        checkpoints=folder / "checkpoints",
        address="https://hub.example",
        clock=lambda: at[0],
    )
    began = time.perf_counter()
    for start in range(0, events, BATCH):
        at[0] += 30.0
        log.record(*(record(number, chance) for number in range(start, min(start + BATCH, events))))
    return time.perf_counter() - began


def slowest(ask: Callable[[], int]) -> tuple[int, float]:
    times, found = [], 0
    for _ in range(3):
        began = time.perf_counter()
        found = ask()
        times.append(time.perf_counter() - began)
    return found, max(times)


def questions(database: Database) -> Iterator[tuple[str, Callable[[], int]]]:
    def asked(of: Callable[..., list[Any]], *patients: str) -> Callable[[], int]:
        def ask() -> int:
            with database.read() as connection:
                return len(of(connection, patients))

        return ask

    def searched(*pairs: tuple[str, str]) -> Callable[[], int]:
        query = parse_query("AuditEvent", [("_count", "20"), *pairs], now=BEGIN)
        return lambda: len(AuditSearch(database).search(query, lambda _type, _right: EVERYTHING).matches)

    yield "who saw somebody", asked(who_saw, SOMEBODY)
    yield "who saw the patient whom all look at", asked(who_saw, VIP)
    yield "disclosures of somebody", asked(disclosures, SOMEBODY)
    yield "disclosures of the patient whom all look at", asked(disclosures, VIP)
    yield "patient=", searched(("patient", SOMEBODY))
    yield "patient= of whom all look at, the latest", searched(("patient", VIP), ("_sort", "-date"))
    yield "patient= of whom all look at, counted", searched(("patient", VIP), ("_total", "accurate"))
    yield "the latest", searched()
    yield "the earliest", searched(("_sort", "date"))
    yield "date=, a day", searched(("date", "2025-01-01"))
    yield "patient=, date=, action=", searched(("patient", SOMEBODY), ("date", "ge2025-01-01"), ("action", "U"))
    yield "agent:identifier= of a person", searched(("agent:identifier", "urn:osler:person|user7"))
    yield "agent:identifier= of a client", searched(("agent:identifier", "urn:osler:client|app7"))
    yield "agent-name=", searched(("agent-name", "user7"))
    yield "agent-name= of nobody", searched(("agent-name", "nobody"))
    yield "entity=", searched(("entity", "Observation/o777000-0"))
    yield "outcome= of which there is none", searched(("outcome", "12"))
    yield "subtype= of which there is none", searched(("subtype", "key-rotated"))
    yield "address= of which there is none (one page of many)", searched(("address", "203.0.113.9"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--url", default="")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        there = (folder / "audit.db").exists()
        database = Database(given.url or sqlite_url(folder / "audit.db"))
        stack.callback(database.close)
        upgrade(database)
        if not there:
            print(f"{given.events} entries written in {fill(database, folder, given.events):.0f} s")
        for words, ask in questions(database):
            found, seconds = slowest(ask)
            print(f"{words:55} {found:8}  {seconds:8.3f} s", flush=True)


if __name__ == "__main__":
    main()
