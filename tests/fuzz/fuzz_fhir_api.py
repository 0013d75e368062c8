"""Schemathesis against every endpoint of a hub with everything on: what fails, what hangs, what errors let out.

    PYTHONPATH=tests:tests/fuzz python tests/fuzz/fuzz_fhir_api.py --st PATH/TO/st --cases 10000

The description that it fuzzes is made from the CapabilityStatement. Each run takes some of the paths; two runs of three
come with a token of every scope and the session of a clinician, the other without either. A fault is a status of 500 or
above (503 too), an answer that took more than five seconds, anything that the server logs as an error, or a stored name
in a refusal that was not asked with it. The last line is one JSON document. ``sqlmap_api.py`` puts the same hub to
another use.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import structlog
from fhir_openapi import openapi
from joserfc import jwk, jwt
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conftest import find_program
from fhir_examples import examples
from osler.api.app import create_app
from osler.api.cds_hooks.endpoints import SERVICES
from osler.api.cds_hooks.feedback import CardStore
from osler.api.fhir.capability import capability_statement
from osler.api.smart.scopes import parse_scopes
from osler.hub.web import WebServer
from osler.publish.hosts import AllowedHosts
from osler.standards import fhir
from osler.storage import Database, migrate
from osler.storage.database import sqlite_url
from osler.storage.export_files import ExportFiles
from osler.storage.exports import ExportStore
from osler.storage.subscriptions import SubscriptionStore
from osler.vault import KeyRing
from postgresql_peer import PostgresqlServer
from smart_flow import REDIRECT, RESOURCES, SmartSite

DATABASES: Final = ("sqlite", "postgresql")
SLOW_S: Final = 5.0
SECRETS: Final = ("Quillfeather", "Larkspur", "Amber", "Birch", "M-P1", "M-P2")
"""What is stored and no refusal may say."""
SECRET: Final = "of the client alone"
_KEPT_FAULTS: Final = 200


class Watch:
    """Around the application: counts the cases, and notes each fault with the request that showed it."""

    def __init__(self, app: ASGIApp, hub: "Hub") -> None:
        self._app = app
        self._hub = hub
        self.cases = 0
        self.statuses: dict[int, int] = {}
        self.slowest = 0.0
        self.faults: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked, answered, status = b"", b"", 0
        scope = self._hub.completed(scope)

        async def hear() -> Message:
            nonlocal asked
            message = await receive()
            asked += message.get("body", b"")
            return message

        async def tell(message: Message) -> None:
            nonlocal answered, status
            status = message.get("status", status)
            answered += message.get("body", b"")
            await send(message)

        started = time.perf_counter()
        await self._app(scope, hear, tell)
        seconds = time.perf_counter() - started
        self.cases += 1
        if self.cases % 1000 == 0:
            sys.stderr.write(f"{self.cases} cases, {len(self.faults)} faults\n")
        self.slowest = max(self.slowest, seconds)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        target = scope.get("raw_path", b"") + b"?" + scope["query_string"]
        shown = {"method": scope["method"], "target": target.decode("latin-1"), "body": asked[:4000].decode("latin-1")}
        if status >= 500 or status == 0:
            self.note("status", shown | {"status": status, "answer": answered[:500].decode("latin-1")})
        if seconds > SLOW_S:
            self.note("slow", shown | {"seconds": round(seconds, 1)})
        if status >= 400 and (
            told := [s for s in SECRETS if s.encode() in answered and s.encode() not in target + asked]
        ):
            self.note("stored value in a refusal", shown | {"values": told, "answer": answered[:500].decode("latin-1")})

    def note(self, kind: str, detail: dict[str, Any]) -> None:
        """Keep a fault."""
        if len(self.faults) < _KEPT_FAULTS:
            self.faults.append({"kind": kind} | detail)
            sys.stderr.write(json.dumps(self.faults[-1]) + "\n")


class Hub:
    """A hub with everything on, with records of named patients; ``stop`` it in the end."""

    def __init__(self, folder: Path, url: str) -> None:
        with contextlib.closing(Database(url)) as database:
            migrate.upgrade(database)
        self._site = SmartSite(url, folder, resources=(*RESOURCES, *_records()))
        site = self._site
        sealer = KeyRing.open(site.database, master_key=bytes(32), tenant="default").sealer("record")
        self.services = dataclasses.replace(
            site.services,
            exports=ExportStore(sealer, ExportFiles(folder / "exports", sealer=sealer)),
            subscriptions=SubscriptionStore(sealer, base=site.services.fhir_base),
            subscription_hosts=AllowedHosts(("emr.example",), setting="subscription.hosts"),
            cards=CardStore(site.database, sealer),
            check_references=False,
            max_resource_bytes=1_000_000,
        )
        self._key = jwk.ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384", "use": "sig"})
        keys = json.dumps({"keys": [self._key.as_dict(private=False)]})
        self._cds_client = self.services.clients.add("ehr", "system/Patient.rs", jwks=keys)
        self._numbers = itertools.count()
        self.token = ""
        self.watch = Watch(create_app(self.services), self)
        self._server = WebServer(self.watch, "127.0.0.1:0")
        self._server.start()
        self.url = self._server.url
        scope = "system/*.cruds"
        self.client = self.services.clients.add("fuzzer", scope, secret=SECRET)
        issue = self.services.tokens.issue
        self.token = site.database.write(lambda c: issue(c, self.client, parse_scopes(scope)))
        self.app = site.app("launch/patient openid patient/*.rs", redirect_uris=(REDIRECT,)).client_id
        browser = site.browser("ann")
        browser.open("/account")
        self.csrf = browser.forms[0].fields["csrf"]
        jar = browser.client.cookies
        self.cookie = "; ".join(f"{name}={value}" for name, value in jar.items())

    def completed(self, scope: Scope) -> Scope:
        """Return a request as a client of that endpoint sends it, where a fuzzer cannot.

        A CDS client proves itself anew in each call: the token becomes such a proof. Instances come in several parts.
        """
        given = [(name, value) for name, value in scope["headers"] if name not in (b"authorization", b"content-type")]
        kind = b"application/json"
        proof = (b"authorization", f"Bearer {self.token}".encode())
        if proof not in scope["headers"]:
            return scope
        if scope["path"].startswith("/cds-services/"):
            proof = (b"authorization", f"Bearer {self._assertion(scope['path'])}".encode())
        elif scope["path"].startswith("/dicom-web/"):
            kind = b"multipart/related; type=application/dicom; boundary=b"
        else:
            return scope
        return dict(scope) | {"headers": [*given, proof, (b"content-type", kind)]}

    def _assertion(self, path: str) -> str:
        now = int(self.services.tokens.clock())
        claims = {"iss": self._cds_client, "aud": self.services.base_url + path, "iat": now, "exp": now + 200}
        claims["jti"] = f"fuzz-{next(self._numbers)}"
        return jwt.encode({"alg": "ES384", "kid": "k1", "typ": "JWT"}, claims, self._key, algorithms=["ES384"])

    def description(self) -> dict[str, Any]:
        """Return the OpenAPI description."""
        statement = capability_statement(self.services, now=self.services.tokens.clock())
        hooks = {service.id: service.hook for service in SERVICES.values()}
        return openapi(statement, hooks, app=self.app, csrf=self.csrf)

    def stop(self) -> None:
        """Stop serving."""
        self._server.stop()
        self._site.stop()


def _records() -> Iterator[dict[str, Any]]:
    for resource in examples():
        if resource["resourceType"] == "Patient":
            resource["name"] = [{"family": "Quillfeather", "given": ["Larkspur"]}]
        yield fhir.loads(json.dumps(resource))


class _Errors(logging.Handler):
    """Libraries that log an error: uvicorn's traceback is one."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.ERROR)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self._watch.note("log", {"logger": record.name, "message": record.getMessage()[:2000]})


@contextlib.contextmanager
def watched_logs(watch: Watch) -> Iterator[None]:
    """Make a fault of each error that is logged, and of each exception that ends a thread."""

    def keep(_logger: Any, method: str, event: dict[str, Any]) -> Any:
        if method in ("error", "critical", "exception"):
            watch.note("log", {key: str(value) for key, value in event.items()})
        raise structlog.DropEvent

    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    handler = _Errors(watch)
    logging.getLogger().addHandler(handler)
    threading.excepthook = lambda args: watch.note("thread", {"error": str(args.exc_type)})
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        threading.excepthook = threading.__excepthook__


def fuzz(hub: Hub, st: str, *, cases: int, seed: int, folder: Path) -> int:
    """Run schemathesis until there were enough cases, each third time without token and session; return its runs.

    Each run takes some of the paths, drawn by the seed: the search parameters of one type alone are thousands of cases.
    """
    description = hub.description()
    settled = ["--url", hub.url, "--checks", "not_a_server_error", "--continue-on-failure", "--no-color", "--no-shrink"]
    settled += ["--suppress-health-check", "all", "--generation-database", "none", "--max-redirects", "0"]
    settled += ["--request-timeout", "30", "--warnings", "off", "--phases"]
    proof = ["-H", f"Authorization: Bearer {hub.token}", "-H", f"Cookie: {hub.cookie}"]
    draw = random.Random(seed)
    for run in itertools.count():
        if hub.watch.cases >= cases and run > 1:
            return run
        who, phases = ([], "fuzzing") if run % 3 == 1 else (proof, "coverage,fuzzing")
        examples_each = "40" if who else "5"  # a refusal takes its time
        described = folder / f"{run}.json"
        described.write_text(json.dumps(description | {"paths": _some(description["paths"], draw)}))
        command = [
            st,
            "run",
            str(described),
            *settled,
            phases,
            "--max-examples",
            examples_each,
            *who,
            "--seed",
            str(seed + run),
        ]
        command += ["--seed", str(seed + run)]
        subprocess.run(command, stdout=sys.stderr, stderr=sys.stderr, check=False, cwd=folder)
    return 0


def _some(paths: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    return {path: paths[path] for path in draw.sample(sorted(paths), k=len(paths) // 20)}


def _unsaid(_logger: Any, _method: str, _event: Any) -> Any:
    raise structlog.DropEvent


def report(watch: Watch, found: dict[str, Any]) -> bool:
    """Write what was found, and tell whether that is a fault."""
    found = {"cases": watch.cases, "statuses": dict(sorted(watch.statuses.items()))} | found
    found |= {"slowest_s": round(watch.slowest, 2), "faults": watch.faults}
    sys.stdout.write(json.dumps(found) + "\n")
    return bool(watch.faults)


@contextlib.contextmanager
def running(database: str) -> Iterator[tuple[Hub, Path]]:
    """Run a hub on one of :data:`DATABASES` whose logs are watched, in a folder of its own."""
    structlog.configure(processors=[_unsaid], cache_logger_on_first_use=False)  # standard output is for the result
    with tempfile.TemporaryDirectory() as place, _url(database, Path(place)) as url:
        hub = Hub(Path(place), url)
        try:
            with watched_logs(hub.watch):
                yield hub, Path(place)
        finally:
            hub.stop()


@contextlib.contextmanager
def _url(database: str, folder: Path) -> Iterator[str]:
    if database == "sqlite":
        yield sqlite_url(folder / "osler.db")
        return
    server = PostgresqlServer(find_program("initdb") or "initdb", find_program("postgres") or "postgres")
    try:
        yield server.start().url("postgres")
    finally:
        server.remove()


def main() -> int:
    """Run, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--st", default="st", help="schemathesis 4")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    given = parser.parse_args()
    with running(given.database) as (hub, folder):
        runs = fuzz(hub, given.st, cases=given.cases, seed=given.seed, folder=folder)
    return report(hub.watch, {"runs": runs, "seed": given.seed, "database": given.database})


if __name__ == "__main__":
    sys.exit(main())
