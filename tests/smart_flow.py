"""A hub with people and apps on a real socket, and an app that launches: for tests of SMART App Launch."""

import base64
import dataclasses
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from osler.api.app import Services, create_app
from osler.api.people.roles import Role
from osler.api.people.service import People, Policy
from osler.api.smart.clients import ClientStore
from osler.api.smart.context import LaunchContext
from osler.api.smart.launches import Launch, LaunchStore
from osler.api.smart.signing import SigningKeys
from osler.api.smart.tokens import TokenStore
from osler.audit import AuditEntry, AuditLog
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.storage import Database
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.testing.browser import Browser
from osler.testing.clock import FakeClock
from osler.vault import KeyRing

BASE = "http://127.0.0.1:8080"
FHIR = f"{BASE}/fhir/R4"
PASSWORD = "plum trombone harbour"
REDIRECT = "http://127.0.0.1:9/app/callback"
LOINC = "http://loinc.org"


def patient(logical_id: str, family: str, **more: Any) -> dict[str, Any]:
    """Return a Patient."""
    number = {"system": "urn:mrn", "value": f"M-{logical_id}"}
    return {
        "resourceType": "Patient",
        "id": logical_id,
        "name": [{"family": family, "given": ["Ada"]}],
        "identifier": [number],
    } | more


def observation(logical_id: str, of: str, code: str = "718-7", **more: Any) -> dict[str, Any]:
    """Return an Observation of a patient."""
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{of}"},
    } | more


RESOURCES = (
    patient("P1", "Amber", birthDate="1970-01-02"),
    patient("P2", "Birch"),
    observation("o1", "P1"),
    observation("o2", "P2"),
    observation("o3", "P1", "2160-0"),
    {"resourceType": "Device", "id": "d0", "status": "active"},
    {"resourceType": "Device", "id": "d2", "status": "active", "patient": {"reference": "Patient/P2"}},
)


@dataclass
class App:
    """An app: its registration, and what it remembers of the launch that it began."""

    client_id: str
    scope: str
    redirect_uri: str = REDIRECT
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def request(self, **changes: str | None) -> dict[str, str]:
        """Return the parameters of an authorization request; None leaves one out."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        made: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": self.state,
            "aud": FHIR,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (made | changes).items() if value is not None}

    def path(self, **changes: str | None) -> str:
        """Return the path that asks for it."""
        return f"/oauth/authorize?{urlencode(self.request(**changes))}"

    def exchange(self, code: str, **changes: str | None) -> dict[str, str]:
        """Return the form that turns a code into tokens."""
        made: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            "client_id": self.client_id,
        }
        return {name: value for name, value in (made | changes).items() if value is not None}


class SmartSite:
    """The hub; ``stop`` it in the end. Ann is a clinician, Max an engineer."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        resources: Sequence[dict[str, Any]] = RESOURCES,
        base_url: str = BASE,
        address: str = "127.0.0.1:0",
        **changes: Any,
    ) -> None:
        self._browsers: list[Browser] = []
        self.clock = FakeClock()
        self.database = Database(url)
        keys = KeyRing.open(self.database, master_key=bytes(32), tenant="default")
        sealer = keys.sealer("record")
        self.audit = AuditLog(
            self.database,
            signing_key=Ed25519PrivateKey.generate(),
            checkpoints=folder / "checkpoints",
            address=base_url,
            clock=self.clock,
        )
        store = ResourceStore(self.database, sealer=sealer, index=keys.index, clock=self.clock)
        self.people = People.open(
            self.database, keys=keys, base_url=base_url, policy=Policy(idle_s=86400.0, absolute_s=1e7), clock=self.clock
        )
        services = Services(
            base_url=base_url,
            database=self.database,
            audit=self.audit,
            resources=store,
            search=ResourceSearch(self.database, sealer=sealer, index=keys.index),
            clients=ClientStore(self.database, clock=self.clock),
            tokens=TokenStore(self.database, clock=self.clock),
            accept=lambda received: None,
            metrics=Metrics(),
            people=self.people,
            signing_keys=SigningKeys(self.database, sealer=sealer, clock=self.clock),
            jwks_hosts=("127.0.0.1", "localhost"),
        )
        self.services = dataclasses.replace(services, **changes)
        for resource in resources:
            self.database.write(lambda c, resource=resource: store.put(c, resource))
        self.people.users.add("ann", Role.CLINICIAN, PASSWORD, fhir_user="Practitioner/ann")
        self.people.users.add("max", Role.ML_ENGINEER, PASSWORD)
        self._server = WebServer(create_app(self.services), address)
        self._server.start()
        self.http = httpx.Client(base_url=self._server.url, timeout=20)

    def stop(self) -> None:
        """Stop serving."""
        for browser in self._browsers:
            browser.client.close()
        self.http.close()
        self._server.stop()
        self.database.close()

    def app(self, scope: str, *, asks: str | None = None, **registration: Any) -> App:
        """Register a public app (or another) and return it."""
        held = {"public": True, "redirect_uris": (REDIRECT,)} | registration
        return App(self.services.clients.add("Growth chart", scope, **held), asks or scope)

    def launch(self, app: App, context: LaunchContext, person: str | None = None) -> str:
        """Begin an EHR launch and return its handle."""
        launches = LaunchStore(self.database)
        begun = Launch(app.client_id, person, context)
        return self.database.write(lambda c: launches.begin(c, begun, now=self.clock()))

    def browser(self, name: str | None = "ann") -> Browser:
        """Return a browser, in which somebody has signed in."""
        browser = Browser(self._server.url)
        self._browsers.append(browser)
        if name is not None:
            browser.open("/oauth/sign-in")
            browser.submit(username=name, password=PASSWORD)
        return browser

    def consent(self, app: App, browser: Browser, *, of: str | None = "P1", **changes: str | None) -> Browser:
        """Go to the consent page of an app, by way of a patient where one is asked for."""
        browser.open(app.path(**changes))
        if of is not None and any("patient" in form.choices for form in browser.forms):
            browser.submit(patient=of)
        return browser

    def code(self, app: App, browser: Browser | None = None, *, of: str | None = "P1", **changes: str | None) -> str:
        """Go the whole way and return the code."""
        browser = browser or self.browser()
        self.consent(app, browser, of=of, **changes).submit(decision="allow")
        answer = back(browser)
        assert answer.get("state") == app.state, answer
        return answer["code"]

    def tokens(self, app: App, *, of: str | None = "P1", **changes: str | None) -> dict[str, Any]:
        """Go the whole way and return the token response."""
        return self.token(app.exchange(self.code(app, of=of, **changes)))

    def token(self, form: dict[str, str], **kwargs: Any) -> dict[str, Any]:
        """Post to the token endpoint and return the answer."""
        answer: dict[str, Any] = self.http.post("/oauth/token", data=form, **kwargs).json()
        return answer

    def read(self, token: str, path: str) -> httpx.Response:
        """Read from the FHIR side."""
        return self.http.get(f"/fhir/R4/{path}", headers={"authorization": f"Bearer {token}"})

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        with self.database.read() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    def entry(self) -> AuditEntry:
        """Return the newest entry of the audit."""
        return self.audit.search(limit=1)[0]


def back(browser: Browser) -> dict[str, str]:
    """Return the parameters with which a browser is sent back to the app."""
    location = browser.response.headers.get("location", "")
    assert location.startswith(REDIRECT), (browser.response.status_code, location, browser.text)
    return dict(parse_qsl(urlsplit(location).query))


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, unchecked."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims
