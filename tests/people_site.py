"""A hub's pages for people on a real socket, with a clock that tests move."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from osler.api.edge import Edge
from osler.api.people.accounts import Accounts
from osler.api.people.roles import Role
from osler.api.people.routes import routes
from osler.api.people.service import People, Policy
from osler.api.services import Services
from osler.api.smart.clients import ClientStore
from osler.api.smart.tokens import TokenStore
from osler.audit import HUB, AuditEntry, AuditLog
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.storage import Database
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.testing.browser import Browser
from osler.testing.clock import FakeClock
from osler.vault import KeyRing

PASSWORD = "three quiet green lamps"


class Site:
    """What a test works with."""

    def __init__(self, url: str, folder: Path, policy: Policy, **changes: Any) -> None:
        self.clock = FakeClock()
        self.database = Database(url)
        keys = KeyRing.open(self.database, master_key=bytes(32), tenant="default")
        self.audit = AuditLog(
            self.database,
            signing_key=Ed25519PrivateKey.generate(),
            checkpoints=folder / "checkpoints",
            clock=self.clock,
        )
        self.resources = ResourceStore(self.database, sealer=keys.sealer("record"), index=keys.index)
        base_url, address = changes.pop("base_url", "http://127.0.0.1"), changes.pop("address", "127.0.0.1:0")
        self.people = People.open(
            self.database, keys=keys, base_url=base_url, site="St Mary", policy=policy, clock=self.clock
        )
        self.people = dataclasses.replace(self.people, **changes)
        self.services = Services(
            base_url=base_url,
            database=self.database,
            audit=self.audit,
            resources=self.resources,
            search=ResourceSearch(self.database, sealer=keys.sealer("record"), index=keys.index),
            clients=ClientStore(self.database),
            tokens=TokenStore(self.database),
            accept=lambda received: None,
            metrics=Metrics(),
            people=self.people,
        )
        self.accounts = Accounts(self.people.users, self.resources.put, self.audit)
        app = Starlette(
            routes=[*routes(self.services), Route("/who", self._who)],
            middleware=[Middleware(Edge, metrics=self.services.metrics)],
        )
        self.server = WebServer(app, address)
        self.server.start()
        self._seen = 0

    def browser(self, *also: str) -> Browser:
        """Return a new browser."""
        return Browser(self.server.url, *also)

    def add(self, name: str = "ann", role: Role = Role.CLINICIAN, password: str | None = PASSWORD, **more: Any) -> None:
        """Add a person."""
        self.accounts.add(name, role, password, by=HUB, **more)

    def sign_in(self, browser: Browser, name: str = "ann", password: str = PASSWORD, to: str = "/who") -> Browser:
        """Open the sign-in page and send it."""
        browser.open(f"/oauth/sign-in?return_to={to}")
        browser.submit(username=name, password=password)
        return browser

    def events(self) -> list[str]:
        """Return the names of what went on record since the last call."""
        entries = self.entries()
        return [e.event for e in entries]

    def entries(self) -> Sequence[AuditEntry]:
        """Return what went on record since the last call, the earliest first."""
        found = [e for e in reversed(self.audit.search(limit=1000)) if e.seq > self._seen]
        self._seen = max((e.seq for e in found), default=self._seen)
        return found

    def _who(self, request: Request) -> Response:
        person = self.people.sessions.person(request)
        return JSONResponse(dataclasses.asdict(person) if person else None)

    def close(self) -> None:
        """Stop."""
        self.server.stop()
        self.database.close()


@contextlib.contextmanager
def site_on(url: str, folder: Path, policy: Policy | None = None, **changes: Any) -> Iterator[Site]:
    """Run a site on a fresh database."""
    site = Site(url, folder, policy or Policy(), **changes)
    try:
        yield site
    finally:
        site.close()


def code_of(typed_secret: str, now: float) -> str:
    """Return the code that an authenticator shows."""
    import base64

    secret = base64.b32decode(typed_secret.replace(" ", ""))
    return TOTP(secret, 6, SHA1(), 30).generate(int(now)).decode()
