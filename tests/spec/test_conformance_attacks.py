"""Every route of the server, walked by program, and what somebody without the right gets there: nothing."""

import base64
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import markupsafe
import pytest
from starlette.routing import Route

from osler.api.app import create_app
from osler.api.cds_hooks.feedback import CardStore
from osler.api.fhir.routes import BASE as FHIR_BASE
from osler.api.people.roles import Role
from osler.api.services import Services
from osler.api.smart.clients import Registration
from osler.api.smart.context import LaunchContext
from osler.api.smart.key_sets import ClientKeys
from osler.api.smart.scopes import parse_scopes
from osler.errors import ConfigError
from osler.hub.web import WebServer
from osler.publish.hosts import AllowedHosts
from osler.storage.export_files import ExportFiles
from osler.storage.exports import ExportStore
from osler.storage.subscriptions import SubscriptionStore
from osler.testing.browser import Browser
from osler.vault import KeyRing
from smart_flow import PASSWORD, RESOURCES, SmartSite, observation, patient

FHIR_JSON = "application/fhir+json"
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
KEPT = (
    *RESOURCES,
    patient("P3", MARKUP, birthDate="1980-01-01"),
    observation("o9", "P3"),
    {
        "resourceType": "Encounter",
        "id": "E3",
        "status": "finished",
        "class": {"code": MARKUP},
        "subject": {"reference": "Patient/P3"},
    },
    {
        "resourceType": "Group",
        "id": "G2",
        "active": True,
        "type": "person",
        "actual": True,
        "member": [{"entity": {"reference": "Patient/P2"}}],
    },
)
OTHERS = ("Birch", "M-P2")
"""What only a reader of P2's record can know."""

OPEN = {
    "/fhir/R4/.well-known/smart-configuration": "apps find the server by it",
    "/.well-known/openid-configuration": "the same",
    "/oauth/jwks": "public keys",
    "/fhir/R4/metadata": "R4 3.1.0.9",
    "/oauth/style.css": "the looks of the pages",
    "/cds-services": "CDS Hooks 2.0, Discovery",
    "/health/live": "for the supervisor",
    "/health/ready": "for the supervisor",
    "/metrics": "numbers alone",
}
CLIENTS = {"/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/launch"}
"""Where a client proves itself by other means than a token."""


class Site:
    """A hub with everything on."""

    def __init__(self, url: str, folder: Path) -> None:
        self.inner = SmartSite(url, folder, resources=KEPT)
        sealer = KeyRing.open(self.inner.database, master_key=bytes(32), tenant="default").sealer("record")
        self.services: Services = dataclasses.replace(
            self.inner.services,
            exports=ExportStore(sealer, ExportFiles(folder / "exports", sealer=sealer)),
            subscriptions=SubscriptionStore(sealer, base=self.inner.services.fhir_base),
            subscription_hosts=AllowedHosts(("emr.example",), setting="subscription.hosts"),
            cards=CardStore(self.inner.database, sealer),
        )
        app = create_app(self.services)
        self.routes = [route for route in app.routes if isinstance(route, Route)]
        self._server = WebServer(app, "127.0.0.1:0")
        self._server.start()
        self.http = httpx.Client(base_url=self._server.url, timeout=20)
        self._browsers: list[Browser] = []

    def stop(self) -> None:
        for browser in self._browsers:
            browser.client.close()
        self.http.close()
        self._server.stop()
        self.inner.stop()

    def browser(self, name: str) -> Browser:
        browser = Browser(self._server.url)
        self._browsers.append(browser)
        browser.open("/oauth/sign-in")
        browser.submit(username=name, password=PASSWORD)
        return browser

    def program(self, scope: str) -> str:
        client_id = self.services.clients.add("program", scope, secret="a secret of it")
        issue = self.services.tokens.issue
        return self.inner.database.write(lambda c: issue(c, client_id, parse_scopes(scope)))

    def person(self, scope: str, of: str) -> str:
        app = self.inner.app(f"launch {scope}")
        token: str = self.inner.tokens(app, launch=self.inner.launch(app, LaunchContext(patient=of)))["access_token"]
        return token

    def guarded(self) -> Iterator[tuple[str, str]]:
        """Yield method and path of each route that only a token opens."""
        for route in self.routes:
            if route.path in OPEN or route.path in CLIENTS or is_page(route.path):
                continue
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, route.path

    def ask(self, method: str, path: str, token: str | None, body: Any = None, **headers: str) -> httpx.Response:
        kind = "application/json-patch+json" if method == "PATCH" else FHIR_JSON
        if path.endswith("/_search"):
            kind, body = "application/x-www-form-urlencoded", None
        given = {"content-type": kind, "prefer": "respond-async"}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        content = json.dumps(body) if body is not None else None
        return self.http.request(method, path, content=content, headers=given | headers)


def is_page(path: str) -> bool:
    return path.startswith(("/oauth/", "/account")) and path != "/oauth/userinfo"  # that is for tokens


def filled(path: str, kind: str, logical_id: str) -> str:
    parts = {"type": kind, "id": logical_id, "version": "1", "name": "1.ndjson", "study_instance_uid": "2.25.1"}
    if path.startswith("/cds-services/"):
        parts["id"] = "osler-patient-view"
    if path.startswith(f"{FHIR_BASE}/Group/"):
        parts["id"] = "G2"
    return re.sub(r"{(\w+)}", lambda match: parts[match[1]], path)


def body_of(method: str, path: str, kind: str, logical_id: str) -> Any:
    """Return a body that would be well received from somebody with the right."""
    resource = next(one for one in KEPT if one["resourceType"] == kind and one["id"] == logical_id)
    if method == "PATCH":
        return [{"op": "add", "path": "/language", "value": "en"}]
    if path.rstrip("/") == FHIR_BASE:
        reads = [f"{kind}/{logical_id}", f"{kind}/{logical_id}/_history", kind, f"Patient?_revinclude={kind}:patient"]
        entries = [{"request": {"method": "GET", "url": url}} for url in reads]
        return {"resourceType": "Bundle", "type": "batch", "entry": entries}
    if method == "PUT" or (method == "POST" and path == f"{FHIR_BASE}/{{type}}"):
        return resource if method == "PUT" else {k: v for k, v in resource.items() if k != "id"}
    return None


@pytest.fixture(scope="module")
def site(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("attacks")
    made = Site(new_sqlite(folder / "osler.db"), folder)
    yield made
    made.stop()


# -------------------------------------------------------------------------------------------------- without a token


@pytest.mark.parametrize("token", [None, "made-up", "x" * 600, "a b", "\x7f"])
def test_no_route_opens_without_a_token(site: Site, token: str | None) -> None:
    asked = list(site.guarded())
    assert len(asked) > 25
    for method, path in asked:
        answer = site.ask(method, filled(path, "Patient", "P2"), token, body_of(method, path, "Patient", "P2"))
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer"), (method, path)
        assert not any(secret in answer.text for secret in OTHERS)
        assert site.inner.entry().event == "access-denied", (method, path)


@pytest.mark.parametrize("path", sorted(CLIENTS))
def test_clients_must_prove_themselves(site: Site, path: str) -> None:
    answer = site.http.post(path, data={"grant_type": "client_credentials", "token": "x"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_is_open_tells_nothing_of_anybody(site: Site, path: str) -> None:
    answer = site.http.get(path)
    assert answer.status_code == 200
    assert not any(secret in answer.text for secret in (*OTHERS, "Amber"))
    assert not re.search(r"\bP2\b", answer.text)  # as a word: a key's base64 may have the letters by chance


def test_no_page_opens_without_a_session(site: Site) -> None:
    for route in site.routes:
        if not is_page(route.path) or route.path in OPEN or route.path in CLIENTS:
            continue
        for method in sorted((route.methods or set()) - {"HEAD"}):
            answer = site.http.request(method, route.path, data={"patient": "P2"} if method == "POST" else None)
            assert answer.status_code in ({200, 303, 400} if method == "GET" else {303, 400, 403}), (method, route.path)
            assert not any(secret in answer.text for secret in OTHERS)


# ----------------------------------------------------------------------------- with a token, of somebody else's patient


@pytest.mark.parametrize(("kind", "logical_id"), [("Patient", "P2"), ("Observation", "o2"), ("Device", "d2")])
def test_a_token_of_one_patient_gives_nothing_of_another(site: Site, kind: str, logical_id: str) -> None:
    token = site.person("patient/*.cruds", "P1")
    reads = {"GET", "DELETE", "PUT", "PATCH"}
    for method, path in site.guarded():
        answer = site.ask(method, filled(path, kind, logical_id), token, body_of(method, path, kind, logical_id))
        assert answer.status_code < 500, (method, path, answer.text)
        assert not any(secret in answer.text for secret in OTHERS), (method, path)
        assert f"/{logical_id}/_history/" not in answer.text, (method, path)
        if "{id}" in path and method in reads:
            assert answer.status_code in (401, 403, 404, 405), (method, path, answer.status_code)
    with site.inner.database.read() as connection:
        held = site.services.resources.current(connection, kind, logical_id)
    assert held is not None
    assert (held.version, held.deleted) == (1, False)


def test_a_token_of_other_scopes_gives_nothing(site: Site) -> None:
    token = site.program("system/Flag.r")
    for method, path in site.guarded():
        if path.startswith("/cds-services"):
            continue  # there a JWT opens
        answer = site.ask(method, filled(path, "Observation", "o2"), token, body_of(method, path, "Observation", "o2"))
        assert not any(secret in answer.text for secret in OTHERS), (method, path)
        if path.rstrip("/") == FHIR_BASE:
            statuses = {entry["response"]["status"][:3] for entry in answer.json()["entry"]}
            assert statuses == {"403"}
        else:
            assert answer.status_code in (403, 404, 405, 415), (method, path, answer.text)


# ------------------------------------------------------------------------------------------------------ bearer tokens


def jose(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in (header, claims))
    return f"{'.'.join(parts)}.{signature}"


CLAIMS = {"sub": "ann", "iss": "http://127.0.0.1:8080", "scope": "system/*.cruds", "exp": 4_000_000_000}
BEARERS: list[tuple[str, Callable[[Site], dict[str, str]]]] = [
    ("a JWT of alg none", lambda s: {"authorization": f"Bearer {jose({'alg': 'none'}, CLAIMS)}"}),
    ("a JWT of HS256", lambda s: {"authorization": f"Bearer {jose({'alg': 'HS256'}, CLAIMS, 'AAAA')}"}),
    (
        "a JWT that brings its key",
        lambda s: {"authorization": f"Bearer {jose({'alg': 'RS256', 'jku': 'http://evil.example/k'}, CLAIMS, 'AA')}"},
    ),
    ("an id_token", lambda s: {"authorization": f"Bearer {id_token(s)}"}),
    (
        "a launch handle",
        lambda s: {
            "authorization": f"Bearer {s.inner.launch(s.inner.app('launch patient/*.rs'), LaunchContext(patient='P1'))}"
        },
    ),
    (
        "an authorization code",
        lambda s: {"authorization": f"Bearer {s.inner.code(s.inner.app('launch/patient patient/*.rs'))}"},
    ),
    ("another scheme", lambda s: {"authorization": f"Basic {s.program('system/*.rs')}"}),
    ("no scheme", lambda s: {"authorization": s.program("system/*.rs")}),
    (
        "the session of a browser",
        lambda s: {"cookie": "; ".join(f"{k}={v}" for k, v in s.browser("ann").client.cookies.items())},
    ),
    ("another header", lambda s: {"x-forwarded-authorization": f"Bearer {s.program('system/*.rs')}"}),
    ("a token in another case", lambda s: {"authorization": f"Bearer {s.program('system/*.rs').swapcase()}"}),
    ("two tokens", lambda s: {"authorization": f"Bearer {s.program('system/*.rs')}, Bearer x"}),
]


def id_token(site: Site) -> str:
    token: str = site.inner.tokens(site.inner.app("openid fhirUser user/Patient.rs"))["id_token"]
    return token


@pytest.mark.parametrize(("rule", "make"), BEARERS, ids=[row[0] for row in BEARERS])
def test_only_an_access_token_is_one(site: Site, rule: str, make: Callable[[Site], dict[str, str]]) -> None:
    answer = site.http.get(f"{FHIR_BASE}/Patient/P1", headers=make(site))
    assert answer.status_code == 401, rule
    assert site.inner.entry().event == "access-denied"


def test_an_id_token_is_no_proof_of_a_client(site: Site) -> None:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": id_token(site)}
    assert site.http.post("/oauth/token", data=form).json()["error"] == "invalid_client"


def test_a_token_does_not_outlive_its_time(site: Site) -> None:
    token = site.program("system/Patient.rs")
    assert site.ask("GET", f"{FHIR_BASE}/Patient/P1", token).status_code == 200
    site.inner.clock.advance(301)
    assert site.ask("GET", f"{FHIR_BASE}/Patient/P1", token).status_code == 401


# ------------------------------------------------------------------------------------------ paths that are no paths

PATHS = [
    "/fhir/R4/Patient/../Patient/P2",
    "/fhir/R4/Patient/P2%2f",
    "/fhir/R4/Patient/%50%32",
    "/fhir/R4//Patient/P2",
    "/fhir/R4/patient/P2",
    "/fhir/R4/Patient/P2;x=1",
    "/fhir/R4/Patient/P1%00P2",
    "/fhir/R4/Patient/P2/_history/1?x=%ff",
    "/fhir/R4/Patient/P2/_history/-1",
    "/fhir/R4/Patient/P2/_history/1e3",
    "/fhir/R4/./Patient/P2",
    "/FHIR/R4/Patient/P2",
    "/fhir/R4/Patient/P2/",
    "/fhir/R4/Observation?patient=P1&patient=P2",
    "/fhir/R4/Observation?patient=P1,P2",
    "/fhir/R4/Observation?patient:Patient._id=P2",
    "/fhir/R4/Observation?_include=*&_id=o2",
    "/fhir/R4/Patient?_has:Observation:patient:_id=o2",
    "/fhir/R4/Observation?_filter=patient eq P2",
    "/fhir/R4/Observation?_query=all",
    "/fhir/R4/Observation?_contained=true&_id=o2",
    "/fhir/R4/Patient?_id=P1' OR '1'='1",
    "/fhir/R4/Patient?_sort=name);DROP TABLE resource;--",
    "/fhir/R4/Patient?_cursor=AAAA",
    "/fhir/R4/Patient?_elements=name&_id=P2",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_disguise_leads_nowhere_else(site: Site, path: str) -> None:
    token = site.person("patient/*.rs", "P1")
    answer = site.ask("GET", path, token)
    assert answer.status_code < 500
    assert not any(secret in answer.text for secret in OTHERS)
    assert '"id":"o2"' not in answer.text


@pytest.mark.parametrize("query", ["", "&_sort=-date", "&code=718-7", "&_include=Observation:subject"])
def test_a_cursor_of_another_token_leads_nowhere_else(site: Site, query: str) -> None:
    first = site.ask("GET", f"{FHIR_BASE}/Observation?_count=1{query}", site.program("system/*.rs")).json()
    (following,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    path = following.partition("/fhir/R4/")[2]
    for token in (site.person("patient/*.rs", "P1"), site.person("patient/Observation.s", "P1")):
        answer = site.ask("GET", f"{FHIR_BASE}/{path}", token)
        assert answer.status_code == 400, answer.text
        assert answer.json()["resourceType"] == "OperationOutcome"


# --------------------------------------------------------------------------------------------------- pages and markup


def clean(answer: httpx.Response) -> None:
    assert answer.status_code < 500
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert not re.search(r"<script|<img|onerror=[^&]*[>'\"]", answer.text.replace(html(MARKUP), "")), answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert "\n" not in policy


def html(text: str) -> str:
    return str(markupsafe.escape(text))


QUERIES = (
    "return_to",
    "error",
    "error_description",
    "state",
    "client_id",
    "redirect_uri",
    "scope",
    "launch",
    "username",
    "iss",
    "aud",
    "name",
    "again",
)


@pytest.mark.parametrize("name", ["ann", None])
def test_no_page_repeats_markup_of_its_address(site: Site, name: str | None) -> None:
    browser = site.browser(name) if name else None
    client = browser.client if browser else site.http
    for route in site.routes:
        if is_page(route.path) and "GET" in (route.methods or ()):
            clean(client.get(route.path, params=dict.fromkeys(QUERIES, MARKUP)))


@pytest.mark.parametrize("name", ["ann", "pia", "max"])
def test_no_page_repeats_markup_of_its_form(site: Site, name: str) -> None:
    users = site.inner.people.users
    if users.find("pia") is None:
        users.add("pia", Role.PRIVACY_OFFICER, PASSWORD)
    browser = site.browser(name)
    for path in ("/account", "/account/password", "/account/second-factor", "/account/break-glass", "/account/apps"):
        clean(browser.open(path))
        for number, form in enumerate(browser.forms):
            if form.action.endswith("/sign-out"):
                continue
            browser.open(path)
            fields = {key: MARKUP for key in form.fields if key != "csrf"} | dict.fromkeys(form.choices, MARKUP)
            clean(browser.submit(number, **fields))
            browser.open("/oauth/sign-in")
            if browser.forms and "username" in browser.forms[0].fields:
                browser.submit(username=name, password=PASSWORD)


def test_no_page_repeats_markup_of_an_app_or_a_record(site: Site) -> None:
    client_id = site.services.clients.add(
        MARKUP,
        "launch/patient launch/encounter patient/*.rs",
        public=True,
        redirect_uris=("http://127.0.0.1:9/app/callback",),
    )
    app = site.inner.app("launch/patient launch/encounter patient/*.rs")
    app.client_id = client_id
    browser = site.browser("ann")
    clean(browser.open(app.path(state="x")))
    clean(browser.submit(name=MARKUP, identifier=MARKUP, find="find"))
    clean(browser.submit(name="", identifier="", find="find"))
    assert html(MARKUP) in browser.response.text, "the name is there, as text"
    clean(browser.submit(patient="P3"))
    assert "encounter" in browser.forms[0].choices
    clean(browser.submit(encounter="E3"))
    clean(browser.submit(decision="allow"))
    clean(browser.open("/account/apps"))
    assert html(MARKUP) in browser.response.text


def test_a_review_shows_a_reason_as_text(site: Site) -> None:
    users = site.inner.people.users
    if users.find("pia") is None:
        users.add("pia", Role.PRIVACY_OFFICER, PASSWORD)
    asking = site.browser("ann")
    asking.open("/account/break-glass")
    clean(asking.submit(patient="P3", reason=MARKUP))
    officer = site.browser("pia")
    clean(officer.open("/account/reviews"))
    assert html(MARKUP) in officer.response.text
    clean(officer.submit(words=MARKUP))
    clean(officer.open("/account/reviews"))
    assert officer.response.text.count(html(MARKUP)) >= 2, "the reason, and what was found"


def test_a_refusal_repeats_nothing(site: Site) -> None:
    token = site.program("system/*.cruds")
    for path in (
        "/fhir/R4/<script>",
        f"/fhir/R4/Patient/{MARKUP}",
        f"/fhir/R4/Patient?_id=P1&{MARKUP}={MARKUP}",
        f"/{MARKUP}",
    ):
        answer = site.ask("GET", path, token)
        assert "<script" not in answer.text
        assert not answer.headers["content-type"].startswith("text/html")
        assert answer.headers["x-content-type-options"] == "nosniff"


# ------------------------------------------------------------------------------------- addresses that the server calls

ADDRESSES = [
    "http://127.0.0.1:1/x",
    "http://localhost/x",
    "http://[::1]/x",
    "http://0/x",
    "http://2130706433/x",
    "http://0x7f.1/x",
    "http://169.254.169.254/latest/meta-data",
    "https://emr.example.evil.example/x",
    "https://evil.example/?emr.example",
    "https://emr.example@evil.example/x",
    "https://evil.example#@emr.example/",
    "https://evil.example\\@emr.example/x",
    "https://emr.example%2eevil.example/x",
    "https://emr.example\t.evil.example/x",
    "file:///etc/passwd",
    "gopher://emr.example/x",
    "ftp://emr.example/x",
    "//emr.example/x",
    "https:/emr.example",
    "javascript:alert(1)",
    "https://\u24d4mr.example.evil/x",
    "https://user:pw@emr.example/x",
    "",
    "https://",
    "https://emr.example:99999/x",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_subscriber_elsewhere(site: Site, address: str) -> None:
    token = site.program("system/*.cruds")
    channel = {"type": "rest-hook", "endpoint": address, "payload": FHIR_JSON}
    body = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "x",
        "criteria": "Observation?status=final",
        "channel": channel,
    }
    answer = site.ask("POST", f"{FHIR_BASE}/Subscription", token, body)
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_keys_from_elsewhere(site: Site, address: str) -> None:
    keys = ClientKeys(("emr.example",), clock=site.services.tokens.clock)
    try:
        client_id = site.services.clients.register("keys", "system/*.rs", Registration(jwks_uri=address))
    except ConfigError:
        return
    client = site.services.clients.find(client_id)
    assert client is not None
    assert keys.find(client, "kid") is None
