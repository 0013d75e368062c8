"""Client authentication at ``/oauth/token``: one row a rule of RFC 6749, RFC 7523 and SMART Backend Services."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwk, jws, jwt

from osler.api.app import Services, create_app
from osler.api.smart.assertion import ASSERTION_TYPE
from osler.api.smart.clients import ClientStore
from osler.api.smart.tokens import TokenStore
from osler.audit import AuditLog
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.storage import Database
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

TOKEN_URL = "http://127.0.0.1:8080/oauth/token"
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = jwk.ECKey.generate_key("P-384", {"kid": "ec-1"})
STRANGER = jwk.RSAKey.generate_key(2048, {"kid": "rsa-1"})
NOW = 1_800_000_000


@pytest.fixture(scope="module")
def services(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("oauth")
    database = Database(new_sqlite(folder / "osler.db"))
    keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
    yield Services(
        base_url="http://127.0.0.1:8080",
        database=database,
        audit=AuditLog(database, signing_key=Ed25519PrivateKey.generate(), checkpoints=folder / "checkpoints"),
        resources=ResourceStore(database, sealer=keys.sealer("record"), index=keys.index),
        search=ResourceSearch(database, sealer=keys.sealer("record"), index=keys.index),
        clients=ClientStore(database),
        tokens=TokenStore(database, clock=lambda: NOW),
        accept=lambda received: None,
        metrics=Metrics(),
    )
    database.close()


@pytest.fixture(scope="module")
def http(services: Services) -> Iterator[httpx.Client]:
    server = WebServer(create_app(services), "127.0.0.1:0")
    server.start()
    with httpx.Client(base_url=server.url) as client:
        yield client
    server.stop()


@pytest.fixture
def client_id(services: Services) -> str:
    """Return a client of its own for each row, so that no row waits for the failures of another."""
    keys = json.dumps({"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]})
    return services.clients.add("spec", "system/Observation.rs system/ImagingStudy.c", jwks=keys)


def claims(client_id: str, **changes: Any) -> dict[str, Any]:
    made = {"iss": client_id, "sub": client_id, "aud": TOKEN_URL, "exp": NOW + 240, "jti": f"{time.monotonic_ns()}"}
    return {k: v for k, v in (made | changes).items() if v is not None}


def signed(content: dict[str, Any], *, key: Any = RSA, algorithm: str = "RS384", **header: Any) -> str:
    protected = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | header
    protected = {k: v for k, v in protected.items() if v is not None}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jwt.encode(protected, content, key, registry=registry)


def form(assertion: str, **changes: Any) -> dict[str, str]:
    made = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": "system/Observation.rs",
    }
    return {k: v for k, v in (made | changes).items() if v is not None}


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def with_public_key_as_secret(content: dict[str, Any]) -> str:
    text = f"{encoded({'alg': 'HS256', 'kid': 'rsa-1'})}.{encoded(content)}"
    signature = hmac.digest(RSA.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def escaped(content: dict[str, Any]) -> str:
    """Sign claims whose JSON is in ASCII, where a surrogate can stand by itself."""
    protected = {"alg": "RS384", "kid": RSA.kid}
    return jws.serialize_compact(protected, json.dumps(content).encode(), RSA, algorithms=["RS384"])


def tampered(text: str) -> str:
    head, body, signature = text.split(".")
    return ".".join((head, encoded(json.loads(base64.urlsafe_b64decode(body + "==")) | {"x": 1}), signature))


REFUSED: list[tuple[str, Callable[[str], str]]] = [
    ("alg none", lambda c: f"{encoded({'alg': 'none', 'kid': 'rsa-1'})}.{encoded(claims(c))}."),
    ("alg None with a signature", lambda c: f"{encoded({'alg': 'None', 'kid': 'rsa-1'})}.{encoded(claims(c))}.AAAA"),
    ("HS256 with the public key as secret", lambda c: with_public_key_as_secret(claims(c))),
    ("RS256 is not SMART", lambda c: signed(claims(c), algorithm="RS256")),
    ("RS512 is not SMART", lambda c: signed(claims(c), algorithm="RS512")),
    ("PS384 is not SMART", lambda c: signed(claims(c), algorithm="PS384")),
    ("another's key under our kid", lambda c: signed(claims(c), key=STRANGER)),
    ("the EC key under the RSA key's kid", lambda c: signed(claims(c), key=EC, algorithm="ES384", kid="rsa-1")),
    ("a kid that is not registered", lambda c: signed(claims(c), kid="other")),
    ("a kid that is a path", lambda c: signed(claims(c), kid="../../../dev/null")),
    ("no kid", lambda c: signed(claims(c), kid=None)),
    ("jku", lambda c: signed(claims(c), jku="http://127.0.0.1:1/jwks.json")),
    ("jwk in the header", lambda c: signed(claims(c), key=STRANGER, jwk=STRANGER.as_dict(private=False))),
    ("x5u", lambda c: signed(claims(c), x5u="http://127.0.0.1:1/x.pem")),
    ("crit", lambda c: signed(claims(c), crit=["kid"])),
    ("another typ", lambda c: signed(claims(c), typ="at+jwt")),
    ("changed after signing", lambda c: tampered(signed(claims(c)))),
    ("cut off", lambda c: signed(claims(c))[:-4]),
    ("not a JWT", lambda c: "abc"),
    ("empty", lambda c: " "),
    ("too long", lambda c: signed(claims(c, x="a" * 9000))),
    ("claims are no object", lambda c: f"{encoded({'alg': 'RS384', 'kid': 'rsa-1'})}.WzFd.AAAA"),
    ("aud of another server", lambda c: signed(claims(c, aud="http://other/oauth/token"))),
    ("aud is the FHIR base", lambda c: signed(claims(c, aud="http://127.0.0.1:8080/fhir/R4"))),
    ("aud with another port", lambda c: signed(claims(c, aud="http://127.0.0.1:8081/oauth/token"))),
    ("aud longer than ours", lambda c: signed(claims(c, aud=TOKEN_URL + "/x"))),
    ("aud missing", lambda c: signed(claims(c, aud=None))),
    ("aud empty", lambda c: signed(claims(c, aud=[]))),
    ("aud list without us", lambda c: signed(claims(c, aud=["http://a", "http://b"]))),
    ("iss of nobody", lambda c: signed(claims(c, iss="nobody", sub="nobody"))),
    ("iss is no string", lambda c: signed(claims(c, iss=[c]))),
    ("iss missing", lambda c: signed(claims(c, iss=None))),
    ("sub of another", lambda c: signed(claims(c, sub="other"))),
    ("sub missing", lambda c: signed(claims(c, sub=None))),
    ("expired", lambda c: signed(claims(c, exp=NOW - 1))),
    ("expires now", lambda c: signed(claims(c, exp=NOW))),
    ("lives longer than five minutes", lambda c: signed(claims(c, exp=NOW + 360))),
    ("lives for ever", lambda c: signed(claims(c, exp=float("inf")))),
    ("exp is not a number", lambda c: signed(claims(c, exp="tomorrow"))),
    ("exp is NaN", lambda c: signed(claims(c, exp=float("nan")))),
    ("exp missing", lambda c: signed(claims(c, exp=None))),
    ("nbf in the future", lambda c: signed(claims(c, nbf=NOW + 60))),
    ("iat in the future", lambda c: signed(claims(c, iat=NOW + 60))),
    ("jti missing", lambda c: signed(claims(c, jti=None))),
    ("jti is no string", lambda c: signed(claims(c, jti=["a"]))),
    ("jti empty", lambda c: signed(claims(c, jti=""))),
    ("iss with half a character", lambda c: escaped(claims(c, iss="\ud800", sub="\ud800"))),
    ("iss with NUL", lambda c: signed(claims(c, iss="a\0", sub="a\0"))),
    ("jti with half a character", lambda c: escaped(claims(c, jti="\ud800"))),
    ("jti with NUL", lambda c: signed(claims(c, jti="a\0b"))),
    ("jti too long", lambda c: signed(claims(c, jti="a" * 300))),
]


@pytest.mark.parametrize(("rule", "make"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(http: httpx.Client, services: Services, client_id: str, rule: str, make: Callable[[str], str]) -> None:
    answer = http.post("/oauth/token", data=form(make(client_id)))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), rule
    assert answer.headers["cache-control"] == "no-store"
    newest, *_ = services.audit.search(limit=1)  # type: ignore[attr-defined]
    assert (newest.event, newest.outcome) == ("access-denied", 8)
    after = http.post("/oauth/token", data=form(signed(claims(client_id))))
    assert after.status_code == 200, "the client itself is not shut out by one forgery"


ACCEPTED: list[tuple[str, Callable[[str], str]]] = [
    ("RS384", lambda c: signed(claims(c))),
    ("ES384", lambda c: signed(claims(c), key=EC, algorithm="ES384")),
    ("aud as a list", lambda c: signed(claims(c, aud=["http://x", TOKEN_URL]))),
    ("aud by loopback's other name", lambda c: signed(claims(c, aud="http://localhost:8080/oauth/token"))),
    ("five minutes", lambda c: signed(claims(c, exp=NOW + 300))),
    ("a clock five seconds ahead", lambda c: signed(claims(c, iat=NOW + 5, nbf=NOW + 5))),
    ("no typ", lambda c: signed(claims(c), typ=None)),
    ("further claims", lambda c: signed(claims(c, extensions={"a": 1}))),
]


@pytest.mark.parametrize(("rule", "make"), ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_accepted(
    http: httpx.Client, services: Services, client_id: str, rule: str, make: Callable[[str], str]
) -> None:
    answer = http.post("/oauth/token", data=form(make(client_id)))

    assert answer.status_code == 200, rule
    document = answer.json()
    assert document.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (document["token_type"], document["expires_in"]) == ("bearer", 300)
    assert document["scope"] == "system/Observation.rs"
    assert len(document["access_token"]) >= 43, "256 bits"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    newest, *_ = services.audit.search(limit=1)  # type: ignore[attr-defined]
    assert (newest.event, newest.agent) == ("token-issued", client_id)
    assert document["access_token"] not in json.dumps(newest.resource)


def test_an_assertion_holds_once(http: httpx.Client, client_id: str) -> None:
    assertion = signed(claims(client_id, jti="once"))
    again = signed(claims(client_id, jti="once", exp=NOW + 200), key=EC, algorithm="ES384")

    statuses = [http.post("/oauth/token", data=form(text)).status_code for text in (assertion, assertion, again)]

    assert statuses == [200, 401, 401]


def test_two_clients_may_use_the_same_jti(http: httpx.Client, services: Services, client_id: str) -> None:
    keys = json.dumps({"keys": [RSA.as_dict(private=False)]})
    other = services.clients.add("other", "system/Observation.rs", jwks=keys)

    statuses = [
        http.post("/oauth/token", data=form(signed(claims(who, jti="shared")))).status_code
        for who in (client_id, other)
    ]

    assert statuses == [200, 200]


FORMS: list[tuple[str, dict[str, Any], int, str]] = [
    # rule, what is changed in a good form, status, error
    ("RFC 6749 5.2 grant type missing", {"grant_type": None}, 400, "unsupported_grant_type"),
    ("RFC 6749 5.2 password grant", {"grant_type": "password"}, 400, "unsupported_grant_type"),
    ("RFC 6749 4.1.3 code missing", {"grant_type": "authorization_code"}, 400, "invalid_request"),
    ("RFC 6749 6 refresh token missing", {"grant_type": "refresh_token"}, 400, "invalid_request"),
    ("RFC 6749 5.2 a scope that is not registered", {"scope": "system/Patient.rs"}, 400, "invalid_scope"),
    ("RFC 6749 5.2 a scope that is none", {"scope": "everything"}, 400, "invalid_scope"),
    ("RFC 6749 2.3 two ways at once", {"client_secret": "x"}, 401, "invalid_client"),
    ("RFC 6749 2.3 no way", {"client_assertion": None}, 401, "invalid_client"),
    ("RFC 7521 4.2 assertion type missing", {"client_assertion_type": None}, 401, "invalid_client"),
    ("RFC 7521 4.2 assertion type SAML", {"client_assertion_type": "urn:saml"}, 401, "invalid_client"),
    ("RFC 7521 4.2 another client_id", {"client_id": "other"}, 401, "invalid_client"),
]


@pytest.mark.parametrize(("rule", "changes", "status", "error"), FORMS, ids=[row[0] for row in FORMS])
def test_form(http: httpx.Client, client_id: str, rule: str, changes: Any, status: int, error: str) -> None:
    answer = http.post("/oauth/token", data=form(signed(claims(client_id)), **changes))

    assert (answer.status_code, answer.json()["error"]) == (status, error), rule


def test_a_refused_scope_uses_up_no_assertion(http: httpx.Client, client_id: str) -> None:
    assertion = signed(claims(client_id))

    assert http.post("/oauth/token", data=form(assertion, scope="system/Patient.rs")).status_code == 400
    assert http.post("/oauth/token", data=form(assertion)).status_code == 200


def test_without_a_scope_all_that_is_registered_is_granted(http: httpx.Client, client_id: str) -> None:
    answer = http.post("/oauth/token", data=form(signed(claims(client_id)), scope=None))

    assert answer.json()["scope"] == "system/Observation.rs system/ImagingStudy.c"


def test_a_parameter_twice_is_refused(http: httpx.Client, client_id: str) -> None:
    fields = httpx.QueryParams(form(signed(claims(client_id)))).add("grant_type", "client_credentials")
    headers = {"content-type": "application/x-www-form-urlencoded"}

    answer = http.post("/oauth/token", content=str(fields), headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 415),
        ({}, b"", 415),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=" + b"b" * 70_000, 413),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=%ff", 400),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=\xff", 400),
    ],
)
def test_a_body_that_is_no_form_of_ours(http: httpx.Client, headers: Any, content: bytes, status: int) -> None:
    answer = http.post("/oauth/token", content=content, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"


def test_the_endpoint_takes_post_alone(http: httpx.Client) -> None:
    assert http.get("/oauth/token").status_code == 405


def test_a_client_with_a_secret_may_send_it_in_the_header_or_the_form(http: httpx.Client, services: Services) -> None:
    secret = "p%:ss word+"
    client_id = services.clients.add("secretive", "system/*.rs", secret=secret)
    fields = {"grant_type": "client_credentials", "scope": "system/*.rs"}
    basic = base64.b64encode(f"{client_id}:p%25%3Ass+word%2B".encode()).decode()  # form-encoded: RFC 6749 2.3.1

    by_header = http.post("/oauth/token", data=fields, headers={"authorization": f"Basic {basic}"})
    by_form = http.post("/oauth/token", data=fields | {"client_id": client_id, "client_secret": secret})
    wrong = http.post("/oauth/token", data=fields | {"client_id": client_id, "client_secret": "other"})
    garbage = http.post("/oauth/token", data=fields, headers={"authorization": "Basic !"})
    assertion = http.post("/oauth/token", data=form(signed(claims(client_id))))

    assert [by_header.status_code, by_form.status_code] == [200, 200]
    assert [wrong.status_code, garbage.status_code, assertion.status_code] == [401, 401, 401]
    assert wrong.headers["www-authenticate"].startswith("Basic")


def test_who_guesses_must_wait(http: httpx.Client, services: Services) -> None:
    client_id = services.clients.add("guessed", "system/*.rs", secret="the right secret")
    fields = {"grant_type": "client_credentials", "client_id": client_id}

    wrong = [http.post("/oauth/token", data=fields | {"client_secret": "x"}).status_code for _ in range(11)]
    right = http.post("/oauth/token", data=fields | {"client_secret": "the right secret"})

    assert wrong == [401] * 10 + [429]
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) == 60


def test_a_disabled_client_gets_nothing(http: httpx.Client, services: Services, client_id: str) -> None:
    services.clients.disable(client_id)

    assert http.post("/oauth/token", data=form(signed(claims(client_id)))).status_code == 401
