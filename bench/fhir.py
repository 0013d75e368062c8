"""CPU per request of a FHIR server over HTTP: read, create, and a search for 20 of 60,000 Observations.

    python bench/fhir.py [--observations 60000] [--url postgresql://...]

Ours checks the token, decides access inside the query, and writes to the audit log before it answers. The peer is
Medplum's FHIR router with its in-memory store (npm ci in tests/peers), which does none of these, in the same run. Both
run in a process of their own, whose CPU time, all threads together, is read before and after.
"""

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from search import CODES, LOINC, content, fill

from osler.api.app import Services, create_app
from osler.api.smart.clients import ClientStore
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import TokenStore
from osler.audit import AuditLog
from osler.hub.logs import set_up_logs
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.standards import fhir
from osler.storage import Database
from osler.storage.database import sqlite_url
from osler.storage.migrate import upgrade
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

PEERS = Path(__file__).parents[1] / "tests" / "peers"
FHIR_JSON = "application/fhir+json"
ROUNDS = 3


# ------------------------------------------------------------------------------------------------------ the servers


def serve(url: str, folder: Path, observations: int) -> None:
    """Fill a database, serve it, and say where; ends with standard input."""
    set_up_logs((folder / "log").open("w", encoding="utf-8"), level="info", form="json")
    database = Database(url)
    upgrade(database)
    keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
    keyed: Any = {"sealer": keys.sealer("record"), "index": keys.index}
    audit = AuditLog(database, signing_key=Ed25519PrivateKey.generate(), checkpoints=folder / "checkpoints")
    services = Services(
        base_url="http://127.0.0.1",
        database=database,
        audit=audit,
        resources=ResourceStore(database, **keyed),
        search=ResourceSearch(database, **keyed),
        clients=ClientStore(database),
        tokens=TokenStore(database, lifetime_s=3600),
        accept=lambda received: None,
        metrics=Metrics(),
    )
    fill(database, services.resources, observations)
    client_id = services.clients.add("bench", "system/*.cruds", secret="bench-bench-bench")
    token = database.write(lambda c: services.tokens.issue(c, client_id, parse_scopes("system/*.cruds")))
    server = WebServer(create_app(services), "127.0.0.1:0")
    server.start()
    print(json.dumps({"port": int(server.url.rpartition(":")[2]), "token": token}), flush=True)
    sys.stdin.read()
    server.stop()
    database.close()


@dataclass
class Server:
    """A server in a process of its own."""

    process: "subprocess.Popen[str]"
    port: int
    base: str
    headers: dict[str, str]

    def cpu_s(self) -> float:
        """Return the CPU time that its process has used, seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def ours(url: str, folder: Path, observations: int) -> Server:
    command = [sys.executable, __file__, "--serve", str(folder), "--observations", str(observations), "--url", url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    return Server(process, said["port"], "/fhir/R4", {"authorization": f"Bearer {said['token']}"})


def theirs(folder: Path, observations: int) -> Server:
    node = shutil.which("node")
    if node is None or not (PEERS / "node_modules/@medplum/fhir-router").is_dir():
        raise SystemExit("needs node, and npm ci in tests/peers")
    lines = folder / "resources.ndjson"
    with lines.open("w", encoding="utf-8") as file:
        file.writelines(fhir.dumps(each) + "\n" for each in content(observations))
    process = subprocess.Popen([node, "medplum_server.mjs", str(lines)], cwd=PEERS, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return Server(process, int(process.stdout.readline()), "", {})


# --------------------------------------------------------------------------------------------------------- the asking

Ask = tuple[str, str, str | None]


def reads(patients: int) -> Iterator[Ask]:
    yield from (("GET", f"/Patient/p{number % patients}", None) for number in range(10**9))


def creates(patients: int) -> Iterator[Ask]:
    for number in range(10**9):
        body = {
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [{"system": "urn:category", "code": "laboratory"}]}],
            "code": {"coding": [{"system": LOINC, "code": "code-new"}], "text": "a measurement"},
            "subject": {"reference": f"Patient/p{number % patients}"},
            "effectiveDateTime": "2026-01-01T00:00:00Z",
            "valueQuantity": {"value": number, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
        }
        yield "POST", "/Observation", json.dumps(body)


def searches(patients: int) -> Iterator[Ask]:
    for number in range(10**9):
        yield "GET", f"/Observation?code={LOINC}%7Ccode-{number % CODES}&_sort=-date&_count=20", None


def run(server: Server, asking: Iterator[Ask], times: int, check: Callable[[dict[str, Any]], bool]) -> float:
    """Send so many requests over one connection; return the server's CPU milliseconds for each."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    before = server.cpu_s()
    for _ in range(times):
        method, path, body = next(asking)
        headers = server.headers | ({"content-type": FHIR_JSON} if body else {})
        connection.request(method, server.base + path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400 or not check(json.loads(text)):
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
    connection.close()
    return (server.cpu_s() - before) / times * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=int, default=60_000)
    parser.add_argument("--url", default="")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.serve is not None:
        serve(wanted.url, wanted.serve, wanted.observations)
        return
    patients = max(1, wanted.observations // 100)
    kinds: tuple[tuple[str, Callable[[int], Iterator[Ask]], int, int, Callable[[dict[str, Any]], bool]], ...] = (
        ("read", reads, 200, 200, lambda r: r["resourceType"] == "Patient"),
        ("create", creates, 200, 200, lambda r: bool(r["id"])),
        ("search", searches, 100, 1, lambda r: len(r["entry"]) == 20),
    )
    with tempfile.TemporaryDirectory(prefix="osler-bench-") as name:
        folder = Path(name)
        started = time.monotonic()
        servers = [
            ours(wanted.url or sqlite_url(folder / "osler.db"), folder, wanted.observations),
            theirs(folder, wanted.observations),
        ]
        print(f"{wanted.observations:,} Observations in both after {time.monotonic() - started:.0f} s")
        print(f"{'CPU ms a request':18}{'ours':>10}{'Medplum':>10}{'ratio':>8}")
        try:
            for kind, make, *counts, check in kinds:
                figures: list[list[float]] = [[], []]
                asking = [make(patients), make(patients)]
                for _ in range(ROUNDS + 1):
                    for number, server in enumerate(servers):
                        figures[number].append(run(server, asking[number], int(counts[number]), check))
                mine, other = (statistics.median(each[1:]) for each in figures)
                print(f"{kind:18}{mine:10.2f}{other:10.2f}{mine / other:8.2f}", flush=True)
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
