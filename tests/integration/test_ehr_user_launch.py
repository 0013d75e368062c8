"""A launch in a person's name at an EHR that does not keep to the rules of SMART App Launch 2.2 and OpenID Connect.

Each row changes one thing about an EHR that is well.
"""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwk, jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fake_ehr import FakeEhr, patient
from osler.ehr_settings import Ehr
from osler.errors import AccessDenied, ConfigError, InputRejected, OslerError, PeerUnavailable, Unauthenticated
from osler.ingest.ehr.access import Credentials, discover
from osler.ingest.ehr.fhir_client import FhirClient, Received
from osler.ingest.ehr.hosts import Hosts
from osler.ingest.ehr.user_launch import Launch, UserAccess
from osler.ingest.ehr.wire import Wire

SCOPE = "launch/patient openid fhirUser patient/Patient.rs"
NOW = 1_700_000_000.0
RSA = jwk.RSAKey.generate_key(2048, {"kid": "k1"})
OTHER = jwk.RSAKey.generate_key(2048, {"kid": "k1"})
EC = jwk.ECKey.generate_key("P-256", {"kid": "k2"})


@pytest.fixture(scope="module")
def server() -> Iterator[FakeEhr]:
    server = FakeEhr()
    yield server
    server.stop()


class Visit:
    """A launch at the EHR, and what the person's browser does."""

    def __init__(self, ehr: FakeEhr) -> None:
        self.ehr = ehr
        ehr.reset()
        ehr.resources = [patient()]
        ehr.keys = [RSA.as_dict(private=False), EC.as_dict(private=False)]
        ehr.instead["configuration"] = lambda request, n: JSONResponse(self.configuration)
        ehr.instead["token"] = self._tokens
        self.configuration: dict[str, Any] = {
            "issuer": ehr.url,
            "token_endpoint": f"{ehr.url}/token",
            "authorization_endpoint": f"{ehr.url}/authorize",
            "jwks_uri": f"{ehr.url}/jwks",
            "code_challenge_methods_supported": ["S256"],
        }
        self.claims: dict[str, Any] = {
            "iss": ehr.url, "sub": "ann", "aud": "us", "exp": NOW + 60, "fhirUser": f"{ehr.base}/Practitioner/ann",
        }  # fmt: skip
        self.key: Any = RSA
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "k1"}
        self.id_token: Callable[[dict[str, Any]], str | None] = self._signed
        self.answer: dict[str, str] = {"code": "c0de"}
        self.more: dict[str, Any] = {"refresh_token": "r1"}
        self.asked: dict[str, str] = {}
        self.now = NOW
        self.wire = Wire(Hosts(ehr.base), sleep=lambda s: None)
        self._sockets: list[socket.socket] = []

    def go(self, wait_s: float = 10.0) -> UserAccess:
        """Launch; the browser comes back at once."""
        endpoints = discover(self.wire, Ehr("main", self.ehr.base, "us"))
        launch = Launch(self.wire, endpoints, Credentials("us"), self.ehr.base, SCOPE, clock=lambda: self.now)
        return launch.sign_in(self._browse, wait_s=wait_s)

    def close(self) -> None:
        self.wire.close()
        for each in self._sockets:
            each.close()

    def _browse(self, url: str) -> None:
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        port = urlsplit(self.asked["redirect_uri"]).port or 0
        host = self.answer.pop("host", f"127.0.0.1:{port}")
        query = urlencode({"state": self.asked["state"]} | self.answer)
        browser = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._sockets.append(browser)
        browser.sendall(f"GET /callback?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    def _tokens(self, request: Request, n: int) -> Response:
        self.ehr.accepted = [f"t{n}"]
        made = {"access_token": f"t{n}", "token_type": "Bearer", "expires_in": 600, "scope": SCOPE, "patient": "p1"}
        if n == 1:
            made["id_token"] = self.id_token(self.claims | {"nonce": self.claims.get("nonce", self.asked["nonce"])})
        return JSONResponse({k: v for k, v in (made | self.more).items() if v is not None})

    def _signed(self, claims: dict[str, Any]) -> str:
        held = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(self.header, held, self.key, algorithms=["RS256", "ES256", "HS256"])


@pytest.fixture
def visit(server: FakeEhr) -> Iterator[Visit]:
    visit = Visit(server)
    yield visit
    visit.close()


def test_the_good_way(visit: Visit) -> None:
    access = visit.go()

    assert (access.patient, access.user) == ("p1", f"{visit.ehr.base}/Practitioner/ann")
    assert visit.asked["aud"] == visit.ehr.base
    assert visit.asked["code_challenge_method"] == "S256"
    assert len(base64.urlsafe_b64decode(visit.asked["code_challenge"] + "=")) == 32
    assert len(visit.asked["state"]) >= 43
    assert visit.asked["redirect_uri"].startswith("http://127.0.0.1:")
    client = FhirClient(visit.wire, access, visit.ehr.base)
    assert client.read("Patient", "p1", Received())["id"] == "p1"


def test_es256_and_keys_by_way_of_openid_configuration(visit: Visit) -> None:
    visit.key, visit.header = EC, {"alg": "ES256", "kid": "k2"}
    del visit.configuration["jwks_uri"]
    found = {"issuer": visit.ehr.url, "jwks_uri": f"{visit.ehr.url}/jwks"}
    visit.ehr.instead["openid"] = lambda request, n: JSONResponse(found)
    assert visit.go().patient == "p1"


def test_a_token_that_is_refused_or_ends_is_refreshed(visit: Visit) -> None:
    access = visit.go()
    client = FhirClient(visit.wire, access, visit.ehr.base)

    visit.ehr.accepted = []
    assert client.read("Patient", "p1", Received())["id"] == "p1"
    visit.now += 3600
    assert client.read("Patient", "p1", Received())["id"] == "p1"

    assert visit.ehr.calls["token"] == 3


def test_without_a_refresh_token_the_person_signs_in_again(visit: Visit) -> None:
    visit.more = {}
    access = visit.go()
    visit.ehr.accepted = []
    with pytest.raises(Unauthenticated, match="sign in again"):
        FhirClient(visit.wire, access, visit.ehr.base).read("Patient", "p1", Received())


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none', 'kid': 'k1'})}.{part(claims)}."


def by_public_key(visit: Visit) -> None:
    def signed(claims: dict[str, Any]) -> str:
        text = part({"alg": "HS256", "kid": "k1"}) + "." + part(claims)
        digest = hmac.new(RSA.as_pem(private=False), text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    visit.id_token = signed


def by_another(visit: Visit) -> None:
    del visit.configuration["jwks_uri"]
    found = {"issuer": "https://evil.example", "jwks_uri": f"{visit.ehr.url}/jwks"}
    visit.ehr.instead["openid"] = lambda request, n: JSONResponse(found)


CHANGES: list[tuple[str, Callable[[Visit], None], type[OslerError], str]] = [
    ("no id_token", lambda v: setattr(v, "id_token", lambda claims: None), Unauthenticated, "no id_token"),
    ("id_token is no JWT", lambda v: setattr(v, "id_token", lambda claims: "a.b"), Unauthenticated, "no JWT"),
    ("alg none", lambda v: setattr(v, "id_token", unsigned), Unauthenticated, "not taken"),
    ("another's signature", lambda v: setattr(v, "key", OTHER), Unauthenticated, "does not hold"),
    ("an unknown key", lambda v: v.header.update(kid="k9"), Unauthenticated, "does not show"),
    ("another issuer", lambda v: v.claims.update(iss="https://evil.example"), Unauthenticated, "does not hold"),
    ("another audience", lambda v: v.claims.update(aud="them"), Unauthenticated, "does not hold"),
    ("another nonce", lambda v: v.claims.update(nonce="old"), Unauthenticated, "does not hold"),
    ("expired", lambda v: v.claims.update(exp=NOW - 60), Unauthenticated, "does not hold"),
    ("no exp", lambda v: v.claims.update(exp=None), Unauthenticated, "does not hold"),
    ("no subject", lambda v: v.claims.update(sub=None), Unauthenticated, "does not hold"),
    ("HS256 with the public key", by_public_key, Unauthenticated, "not taken"),
    ("keys at another host", lambda v: v.configuration.update(jwks_uri="https://x.example/"), AccessDenied, "not have"),
    ("no keys named", lambda v: v.configuration.pop("jwks_uri"), InputRejected, "HTTP 404"),
    ("keys named by another", by_another, InputRejected, "another issuer"),
    ("keys that are none", lambda v: v.ehr.instead.update(jwks=lambda r, n: Response("x")), InputRejected, "media"),
    ("authorize elsewhere", lambda v: v.configuration.update(authorization_endpoint="https://x.example/"),
     AccessDenied, "not have"),
    ("authorize by script", lambda v: v.configuration.update(authorization_endpoint="javascript:1"),
     AccessDenied, "not https"),
    ("no authorize", lambda v: v.configuration.pop("authorization_endpoint"), ConfigError, "only backend services"),
    ("PKCE plain", lambda v: v.configuration.update(code_challenge_methods_supported=["plain"]), ConfigError, "S256"),
    ("another issuer's answer", lambda v: v.answer.update(iss="https://evil.example"), AccessDenied, "another issuer"),
    ("a refusal", lambda v: setattr(v, "answer", {"error": "access_denied"}), AccessDenied, r"\(access_denied\)"),
    ("a refusal in words", lambda v: setattr(v, "answer", {"error": "Jane Roe"}), AccessDenied, r"\(an error\)"),
    ("no code", lambda v: setattr(v, "answer", {}), AccessDenied, "no code"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change", "error", "words"), CHANGES, ids=[row[0] for row in CHANGES])
def test_what_is_not_taken(
    visit: Visit, what: str, change: Callable[[Visit], None], error: type[OslerError], words: str
) -> None:
    change(visit)
    with pytest.raises(error, match=words) as raised:
        visit.go()
    assert "Jane" not in str(raised.value)


@pytest.mark.parametrize("answer", [{"state": "another"}, {"state": ""}, {"host": "evil.example"}])
def test_an_answer_that_is_not_ours_is_not_heard(visit: Visit, answer: dict[str, str]) -> None:
    visit.answer |= answer
    with pytest.raises(PeerUnavailable, match="in time"):
        visit.go(wait_s=0.1)
    assert visit.ehr.calls["token"] == 0


def test_a_port_that_is_taken_is_told(visit: Visit) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoints = discover(visit.wire, Ehr("main", visit.ehr.base, "us"))
        launch = Launch(visit.wire, endpoints, Credentials("us"), visit.ehr.base, SCOPE)
        with pytest.raises(ConfigError, match="redirect_port"):
            launch.sign_in(lambda url: None, port=taken.getsockname()[1])
