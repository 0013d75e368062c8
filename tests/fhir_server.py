"""A FHIR server on a real socket, for tests that speak HTTP with it."""

import dataclasses
import itertools
import time
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.api.app import Services, create_app
from osler.api.people.roles import Role
from osler.api.smart.clients import ClientStore
from osler.api.smart.context import LaunchContext
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import ActingFor, Grant, TokenStore
from osler.audit import AuditLog
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.standards import fhir
from osler.storage import Database
from osler.storage.export_files import ExportFiles
from osler.storage.exports import ExportStore
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.subscriptions import SubscriptionStore
from osler.storage.tables import access_grant, user
from osler.vault import KeyRing

BASE = "/fhir/R4"
HUB = "http://hub.example"
FHIR_JSON = "application/fhir+json"


class FhirServer:
    """The HTTP side over a database, with a client of every scope; ``stop`` it in the end."""

    def __init__(self, url: str, folder: Path, **changes: Any) -> None:
        self.database = Database(url)
        keys = KeyRing.open(self.database, master_key=bytes(32), tenant="default")
        keyed: Any = {"sealer": keys.sealer("record"), "index": keys.index}
        self.audit = AuditLog(
            self.database, signing_key=Ed25519PrivateKey.generate(), checkpoints=folder / "checkpoints", address=HUB
        )
        subscriptions = SubscriptionStore(keyed["sealer"], base=f"{HUB}{BASE}")
        services = Services(
            base_url=HUB,
            database=self.database,
            audit=self.audit,
            resources=ResourceStore(self.database, **keyed, on_saved=subscriptions.saved),
            search=ResourceSearch(self.database, **keyed),
            clients=ClientStore(self.database),
            tokens=TokenStore(self.database),
            accept=lambda received: None,
            metrics=Metrics(),
            subscriptions=subscriptions,
            exports=ExportStore(keyed["sealer"], ExportFiles(folder / "exports", sealer=keyed["sealer"])),
        )
        self.services = dataclasses.replace(services, **changes)
        scopes = "system/*.cruds user/*.cruds patient/*.cruds"
        self.client_id = self.services.clients.add("test", scopes, secret="x" * 12)
        self.app = create_app(self.services)
        self._server = WebServer(self.app, "127.0.0.1:0")
        self._server.start()
        self.http = httpx.Client(base_url=self._server.url, timeout=20)
        self._tokens: dict[str, str] = {}
        self._names = itertools.count(1)

    def stop(self) -> None:
        """Stop serving."""
        self.http.close()
        self._server.stop()
        self.database.close()

    def bearer(self, scope: str = "system/*.cruds") -> dict[str, str]:
        """Return the header of a token with these scopes."""
        if scope not in self._tokens:
            issue = self.services.tokens.issue
            self._tokens[scope] = self.database.write(lambda c: issue(c, self.client_id, parse_scopes(scope)))
        return {"authorization": f"Bearer {self._tokens[scope]}"}

    def person(self, name: str, role: Role, scope: str, *, patient: str | None = None) -> dict[str, str]:
        """Add a person who lets the client act for them; return the header of the token. The grant has their name."""
        now, context = time.time(), LaunchContext(patient=patient)
        scopes, until = parse_scopes(scope), time.time() + 900
        grant = Grant(self.client_id, scopes, ActingFor(name, role, None), context, now, until, name)
        account = {"name": name, "role": role, "password_hash": "", "disabled": False, "created_at": now}
        row = {"id": name, "client_id": self.client_id, "person": name, "scope": scope, "context": context.dumps()}
        row |= {"auth_time": now, "methods": "pwd", "created_at": now, "expires_at": until, "revoked": False}

        def issue(connection: Any) -> str:
            connection.execute(user.insert(), account)
            connection.execute(access_grant.insert(), row)
            return self.services.tokens.issue_for(connection, grant, scopes)[0]

        return {"authorization": f"Bearer {self.database.write(issue)}"}

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        scope: str = "system/*.cruds",
    ) -> httpx.Response:
        """Send a request; a body that is no text goes as FHIR JSON with exact decimals."""
        given = self.bearer(scope) | ({"content-type": FHIR_JSON} if body is not None else {}) | (headers or {})
        content = body if body is None or isinstance(body, str | bytes) else fhir.dumps(body)
        return self.http.request(method, BASE + path, content=content, headers=given)

    def create(self, resource: dict[str, Any]) -> str:
        """Create a resource and return its reference."""
        made = self.call("POST", f"/{resource['resourceType']}", resource)
        assert made.status_code == 201, made.text
        return f"{resource['resourceType']}/{made.json()['id']}"

    def new_id(self, prefix: str) -> str:
        """Return an id that no other has."""
        return f"{prefix}{next(self._names)}"
