"""SMART App Launch 2.2 as a certifier asks it: each row one assertion on what a launch brought to light."""

import functools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt

from osler.api.smart.context import LaunchContext
from smart_flow import BASE, FHIR, REDIRECT, RESOURCES, App, SmartSite, back, observation

LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
SECRET = "a secret of the app"
IDENTITY = "openid fhirUser offline_access"
STANDALONE = f"launch/patient {IDENTITY} patient/Patient.rs patient/Observation.rs user/Practitioner.rs"
EHR = f"launch {IDENTITY} patient/*.rs"
VERSION_1 = "launch/patient patient/Patient.read patient/Observation.read"
GRANULAR = f"launch/patient patient/Patient.rs patient/Observation.rs?category={LABORATORY}"
ORIGIN = "https://app.example"
KEPT = (
    *RESOURCES,
    observation("lab", "P1", category=[{"coding": [{"system": LABORATORY.partition("|")[0], "code": "laboratory"}]}]),
    {"resourceType": "Practitioner", "id": "ann", "name": [{"family": "Ash"}]},
    {
        "resourceType": "Encounter",
        "id": "E1",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/P1"},
    },
)


@dataclass
class Launched:
    """An app that was launched: the request, the way back, and the token response."""

    app: App
    address: dict[str, str]
    response: httpx.Response

    @property
    def tokens(self) -> dict[str, Any]:
        document: dict[str, Any] = self.response.json()
        return document

    @property
    def access(self) -> str:
        token: str = self.tokens["access_token"]
        return token


class Inspector:
    """Launches each kind of app once, when a row first asks for it."""

    def __init__(self, site: SmartSite) -> None:
        self.site = site
        self.http = site.http

    def launch(self, scope: str, *, context: LaunchContext | None = None, secret: str | None = None) -> Launched:
        site = self.site
        app = site.app(scope, **({"public": False, "secret": secret} if secret else {}))
        handle = None if context is None else site.launch(app, context)
        browser = site.browser()
        site.consent(app, browser, launch=handle).submit(decision="allow")
        address = back(browser)
        sent = app.exchange(address["code"], client_id=None if secret else app.client_id)
        auth = httpx.BasicAuth(app.client_id, secret) if secret else None
        return Launched(app, address, self.http.post("/oauth/token", data=sent, auth=auth))

    @functools.cached_property
    def configuration(self) -> httpx.Response:
        return self.http.get("/fhir/R4/.well-known/smart-configuration", headers={"origin": ORIGIN})

    @functools.cached_property
    def smart(self) -> dict[str, Any]:
        document: dict[str, Any] = self.configuration.json()
        return document

    @functools.cached_property
    def openid(self) -> dict[str, Any]:
        document: dict[str, Any] = self.http.get("/.well-known/openid-configuration").json()
        return document

    @functools.cached_property
    def standalone(self) -> Launched:
        return self.launch(STANDALONE)

    @functools.cached_property
    def symmetric(self) -> Launched:
        return self.launch(STANDALONE, secret=SECRET)

    @functools.cached_property
    def ehr(self) -> Launched:
        context = LaunchContext(
            patient="P1", encounter="E1", need_patient_banner=True, smart_style_url="https://ehr.example/style.json"
        )
        return self.launch(EHR, context=context)

    @functools.cached_property
    def version_1(self) -> Launched:
        return self.launch(VERSION_1)

    @functools.cached_property
    def granular(self) -> Launched:
        return self.launch(GRANULAR)

    @functools.cached_property
    def claims(self) -> Any:
        keys = jwk.KeySet.import_key_set(self.http.get(self.path(self.openid["jwks_uri"])).json())
        return jwt.decode(self.standalone.tokens["id_token"], keys, algorithms=["RS256"]).claims

    @functools.cached_property
    def refreshed(self) -> httpx.Response:
        launched = self.launch(STANDALONE)
        form = {"grant_type": "refresh_token", "refresh_token": launched.tokens["refresh_token"]}
        return self.http.post("/oauth/token", data=form)

    @functools.cached_property
    def narrowed(self) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": self.launch(STANDALONE).tokens["refresh_token"]}
        return self.http.post("/oauth/token", data=form | {"scope": "patient/Patient.rs"})

    @functools.cached_property
    def revoked(self) -> tuple[int, int, int, int]:
        """Statuses of a read before, of the revocation, of a read after, and of a refresh after."""
        launched = self.launch(STANDALONE)
        refresh, client = launched.tokens["refresh_token"], {"client_id": launched.app.client_id}
        before = self.read(launched, "Patient/P1")
        ended = self.http.post("/oauth/revoke", data={"token": refresh} | client).status_code
        after = self.read(launched, "Patient/P1")
        again = {"grant_type": "refresh_token", "refresh_token": refresh}
        return before, ended, after, self.http.post("/oauth/token", data=again | client).status_code

    @functools.cached_property
    def program(self) -> httpx.Response:
        client_id = self.site.services.clients.add("bulk", "system/*.rs", secret=SECRET)
        form = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
        return self.http.post("/oauth/token", data=form, auth=httpx.BasicAuth(client_id, SECRET))

    @functools.cached_property
    def resource_server(self) -> str:
        return self.site.services.clients.add("archive", "osler/introspect", secret=SECRET)

    def introspected(self, token: str, by: str = "") -> dict[str, Any]:
        auth = httpx.BasicAuth(by or self.resource_server, SECRET)
        document: dict[str, Any] = self.http.post("/oauth/introspect", data={"token": token}, auth=auth).json()
        return document

    def read(self, launched: Launched, path: str) -> int:
        return self.site.read(launched.access, path).status_code

    def found(self, launched: Launched, path: str) -> set[str]:
        entries = self.site.read(launched.access, path).json().get("entry", ())
        return {one["resource"]["id"] for one in entries if one["search"]["mode"] == "match"}

    def exchange(self, **changes: str | None) -> int:
        """Return the status of a code's exchange with something wrong about it."""
        app = self.site.app(STANDALONE)
        form = {**app.exchange(self.site.code(app)), **changes}
        sent = {name: value for name, value in form.items() if value is not None}
        return self.http.post("/oauth/token", data=sent).status_code

    def again(self, launched: Launched) -> tuple[int, int]:
        """Return the status of a code's first and second exchange."""
        form = launched.app.exchange(launched.address["code"])
        return launched.response.status_code, self.http.post("/oauth/token", data=form).status_code

    def sent_back(self, scope: str, **changes: str | None) -> dict[str, str]:
        """Return what an authorization request that is wrong sends back to the app at once, if anything."""
        app = self.site.app(scope)
        location = self.site.browser().client.get(app.path(**changes)).headers.get("location", "")
        return dict(parse_qsl(urlsplit(location).query)) if location.startswith(REDIRECT) else {}

    def path(self, address: str) -> str:
        assert address.startswith(BASE)
        return address.removeprefix(BASE)

    def allows(self, path: str) -> str | None:
        return self.http.get(path, headers={"origin": ORIGIN}).headers.get("access-control-allow-origin")

    def preflight(self, path: str, method: str) -> int:
        asked = {"origin": ORIGIN, "access-control-request-method": method}
        return self.http.options(path, headers=asked | {"access-control-request-headers": "authorization"}).status_code


@pytest.fixture(scope="module")
def seen(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    folder = tmp_path_factory.mktemp("smart")
    site = SmartSite(new_sqlite(folder / "osler.db"), folder, resources=KEPT, cors_origins=(ORIGIN,))
    yield Inspector(site)
    site.stop()


Check = Callable[[Inspector], object]
Row = tuple[str, Check]


def _holds(document: Any, name: str, kind: type = str) -> bool:
    value = document.get(name)
    return isinstance(value, kind) and bool(value) and (kind is not list or all(isinstance(v, str) for v in value))


DISCOVERY: list[Row] = [
    ("the well-known document is there", lambda i: i.configuration.status_code == 200),
    ("it is JSON", lambda i: i.configuration.headers["content-type"].startswith("application/json")),
    ("without a token", lambda i: "authorization" not in i.configuration.request.headers),
    ("browser apps may read it", lambda i: i.configuration.headers["access-control-allow-origin"] == "*"),
    ("authorization_endpoint", lambda i: _holds(i.smart, "authorization_endpoint")),
    ("token_endpoint", lambda i: _holds(i.smart, "token_endpoint")),
    ("capabilities", lambda i: _holds(i.smart, "capabilities", list)),
    ("grant_types_supported", lambda i: _holds(i.smart, "grant_types_supported", list)),
    ("authorization_code", lambda i: "authorization_code" in i.smart["grant_types_supported"]),
    ("client_credentials", lambda i: "client_credentials" in i.smart["grant_types_supported"]),
    ("refresh_token", lambda i: "refresh_token" in i.smart["grant_types_supported"]),
    ("PKCE by S256", lambda i: "S256" in i.smart["code_challenge_methods_supported"]),
    ("never plain", lambda i: "plain" not in i.smart["code_challenge_methods_supported"]),
    ("issuer, with sso-openid-connect", lambda i: _holds(i.smart, "issuer")),
    ("jwks_uri, with sso-openid-connect", lambda i: _holds(i.smart, "jwks_uri")),
    ("scopes_supported", lambda i: _holds(i.smart, "scopes_supported", list)),
    (
        "scopes_supported claims of AuditEvent what works, reading and searching",
        lambda i: (
            {s for s in i.smart["scopes_supported"] if "/AuditEvent." in s}
            == {f"{context}/AuditEvent.rs" for context in ("patient", "user", "system")}
        ),
    ),
    ("response_types_supported", lambda i: "code" in i.smart["response_types_supported"]),
    ("introspection_endpoint", lambda i: _holds(i.smart, "introspection_endpoint")),
    ("revocation_endpoint", lambda i: _holds(i.smart, "revocation_endpoint")),
    ("private_key_jwt", lambda i: "private_key_jwt" in i.smart["token_endpoint_auth_methods_supported"]),
    ("client_secret_basic", lambda i: "client_secret_basic" in i.smart["token_endpoint_auth_methods_supported"]),
    (
        "RS384 and ES384",
        lambda i: {"RS384", "ES384"} <= set(i.smart["token_endpoint_auth_signing_alg_values_supported"]),
    ),
    *(
        (f"capability {name}", lambda i, name=name: name in i.smart["capabilities"])
        for name in (
            "launch-ehr",
            "launch-standalone",
            "authorize-post",
            "client-public",
            "client-confidential-symmetric",
            "client-confidential-asymmetric",
            "sso-openid-connect",
            "context-banner",
            "context-style",
            "context-ehr-patient",
            "context-ehr-encounter",
            "context-standalone-patient",
            "permission-offline",
            "permission-online",
            "permission-patient",
            "permission-user",
            "permission-v1",
            "permission-v2",
        )
    ),
    (
        "the endpoints of the CapabilityStatement are the same",
        lambda i: (
            {
                one["url"]: one["valueUri"]
                for one in i.http.get("/fhir/R4/metadata").json()["rest"][0]["security"]["extension"][0]["extension"]
            }.items()
            >= {("authorize", i.smart["authorization_endpoint"]), ("token", i.smart["token_endpoint"])}
        ),
    ),
    (
        "the service of the CapabilityStatement is SMART",
        lambda i: (
            "SMART-on-FHIR" in json.dumps(i.http.get("/fhir/R4/metadata").json()["rest"][0]["security"]["service"])
        ),
    ),
    ("browser apps may read the CapabilityStatement", lambda i: i.allows("/fhir/R4/metadata") == "*"),
    ("browser apps may read the keys", lambda i: i.allows("/oauth/jwks") == "*"),
    ("browser apps may ask for tokens", lambda i: i.preflight("/oauth/token", "POST") == 200),
    ("browser apps may read resources", lambda i: i.preflight("/fhir/R4/Patient/P1", "GET") == 200),
]

STANDALONE_LAUNCH: list[Row] = [
    ("the code comes back", lambda i: bool(i.standalone.address["code"])),
    ("with the state", lambda i: i.standalone.address["state"] == i.standalone.app.state),
    ("and the issuer (RFC 9207)", lambda i: i.standalone.address["iss"] == i.smart["issuer"]),
    ("the exchange succeeds", lambda i: i.standalone.response.status_code == 200),
    ("it is JSON", lambda i: i.standalone.response.headers["content-type"].startswith("application/json")),
    ("Cache-Control: no-store", lambda i: "no-store" in i.standalone.response.headers["cache-control"]),
    ("Pragma: no-cache", lambda i: i.standalone.response.headers["pragma"] == "no-cache"),
    ("access_token", lambda i: _holds(i.standalone.tokens, "access_token")),
    ("the token is a bearer's", lambda i: i.standalone.tokens["token_type"].lower() == "bearer"),
    ("expires_in is a whole number", lambda i: type(i.standalone.tokens["expires_in"]) is int),
    ("of an hour or less", lambda i: 0 < i.standalone.tokens["expires_in"] <= 3600),
    ("scope", lambda i: _holds(i.standalone.tokens, "scope")),
    ("is what was asked for", lambda i: set(i.standalone.tokens["scope"].split()) == set(STANDALONE.split())),
    ("patient is a logical id", lambda i: i.standalone.tokens["patient"] == "P1"),
    ("refresh_token, with offline_access", lambda i: _holds(i.standalone.tokens, "refresh_token")),
    ("id_token, with openid", lambda i: _holds(i.standalone.tokens, "id_token")),
    (
        "tokens are of letters that a header can carry",
        lambda i: bool(re.fullmatch(r"[\w.~+/-]+=*", i.standalone.access, re.A)),
    ),
    ("the patient can be read", lambda i: i.read(i.standalone, "Patient/P1") == 200),
    ("and no other", lambda i: i.read(i.standalone, "Patient/P2") == 404),
    ("an app with a secret gets tokens", lambda i: i.symmetric.response.status_code == 200),
    (
        "an app with a secret must use it",
        lambda i: (
            i.http.post(
                "/oauth/token",
                data={
                    "grant_type": "refresh_token",
                    "refresh_token": i.symmetric.tokens["refresh_token"],
                    "client_id": i.symmetric.app.client_id,
                },
            ).status_code
            == 401
        ),
    ),
]

EHR_LAUNCH: list[Row] = [
    ("the exchange succeeds", lambda i: i.ehr.response.status_code == 200),
    ("patient", lambda i: i.ehr.tokens["patient"] == "P1"),
    ("encounter", lambda i: i.ehr.tokens["encounter"] == "E1"),
    ("need_patient_banner is a boolean", lambda i: i.ehr.tokens["need_patient_banner"] is True),
    ("smart_style_url is an address", lambda i: urlsplit(i.ehr.tokens["smart_style_url"]).scheme == "https"),
    ("the encounter can be read", lambda i: i.read(i.ehr, "Encounter/E1") == 200),
    ("scope", lambda i: set(i.ehr.tokens["scope"].split()) == set(EHR.split())),
    ("Cache-Control: no-store", lambda i: "no-store" in i.ehr.response.headers["cache-control"]),
    ("Pragma: no-cache", lambda i: i.ehr.response.headers["pragma"] == "no-cache"),
    ("a launch that nobody began gives no code", lambda i: "code" not in i.sent_back(EHR, launch="made-up")),
    (
        "a launch of another app gives no code",
        lambda i: "code" not in i.sent_back(EHR, launch=i.site.launch(i.site.app(EHR), LaunchContext(patient="P1"))),
    ),
]

FAULTS: list[Row] = [
    ("an unknown redirect_uri is not followed", lambda i: i.sent_back(STANDALONE, redirect_uri=f"{REDIRECT}/x") == {}),
    (
        "nor answered by a redirect at all",
        lambda i: not i.http.get(i.site.app(STANDALONE).path(redirect_uri="https://evil.example")).is_redirect,
    ),
    ("an unknown client is not sent back", lambda i: i.sent_back(STANDALONE, client_id="nobody") == {}),
    (
        "aud of another server",
        lambda i: i.sent_back(STANDALONE, aud="https://evil.example/fhir")["error"] == "invalid_request",
    ),
    ("aud missing", lambda i: i.sent_back(STANDALONE, aud=None)["error"] == "invalid_request"),
    ("PKCE missing", lambda i: i.sent_back(STANDALONE, code_challenge=None)["error"] == "invalid_request"),
    ("PKCE plain", lambda i: i.sent_back(STANDALONE, code_challenge_method="plain")["error"] == "invalid_request"),
    (
        "the implicit grant",
        lambda i: i.sent_back(STANDALONE, response_type="token")["error"] == "unsupported_response_type",
    ),
    ("the state comes back with the fault", lambda i: bool(i.sent_back(STANDALONE, aud=None)["state"])),
    ("the code is wrong", lambda i: i.exchange(code="made-up") == 400),
    ("the client is wrong", lambda i: i.exchange(client_id="nobody") in (400, 401)),
    ("the verifier is wrong", lambda i: i.exchange(code_verifier="x" * 43) == 400),
    ("the verifier is missing", lambda i: i.exchange(code_verifier=None) == 400),
    ("the redirect_uri is another", lambda i: i.exchange(redirect_uri=f"{REDIRECT}/x") == 400),
    ("the grant type is missing", lambda i: i.exchange(grant_type=None) == 400),
    (
        "the code is used twice",
        lambda i: i.again(i.launch("launch/patient patient/Patient.rs")) == (200, 400),
    ),
    (
        "a fault is JSON with error",
        lambda i: i.http.post("/oauth/token", data={"a": "b"}).json()["error"] == "unsupported_grant_type",
    ),
    (
        "a fault is not kept",
        lambda i: i.http.post("/oauth/token", data={"a": "b"}).headers["cache-control"] == "no-store",
    ),
]

OPENID: list[Row] = [
    *(
        (f"the configuration has {name}", lambda i, name=name: bool(i.openid.get(name)))
        for name in (
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
            "scopes_supported",
            "claims_supported",
        )
    ),
    ("its issuer is SMART's", lambda i: i.openid["issuer"] == i.smart["issuer"]),
    ("it stands under the issuer", lambda i: i.openid["issuer"] == BASE),
    ("RS256", lambda i: "RS256" in i.openid["id_token_signing_alg_values_supported"]),
    ("openid and fhirUser", lambda i: {"openid", "fhirUser"} <= set(i.openid["scopes_supported"])),
    (
        "the keys are public",
        lambda i: all(
            {"kty", "kid", "n", "e"} <= key.keys() and "d" not in key
            for key in i.http.get("/oauth/jwks").json()["keys"]
        ),
    ),
    ("the token is signed by one of them", lambda i: bool(i.claims)),
    ("iss", lambda i: i.claims["iss"] == i.openid["issuer"]),
    ("aud", lambda i: i.claims["aud"] in (i.standalone.app.client_id, [i.standalone.app.client_id])),
    ("exp is to come", lambda i: i.claims["exp"] > i.site.clock()),
    ("iat", lambda i: i.claims["iat"] <= i.claims["exp"]),
    ("sub is of 255 characters or less", lambda i: 0 < len(i.claims["sub"]) <= 255),
    (
        "fhirUser is a person's resource here",
        lambda i: bool(
            re.fullmatch(
                re.escape(FHIR) + "/(Patient|Practitioner|PractitionerRole|RelatedPerson|Person)/[A-Za-z0-9.-]+",
                i.claims["fhirUser"],
            )
        ),
    ),
    ("fhirUser can be read", lambda i: i.read(i.standalone, i.claims["fhirUser"].removeprefix(f"{FHIR}/")) == 200),
]

REFRESH: list[Row] = [
    ("it succeeds", lambda i: i.refreshed.status_code == 200),
    *(
        (f"it has {name}", lambda i, name=name: name in i.refreshed.json())
        for name in ("access_token", "token_type", "expires_in", "scope", "refresh_token", "patient")
    ),
    ("Cache-Control: no-store", lambda i: "no-store" in i.refreshed.headers["cache-control"]),
    ("Pragma: no-cache", lambda i: i.refreshed.headers["pragma"] == "no-cache"),
    ("the patient is the same", lambda i: i.refreshed.json()["patient"] == "P1"),
    ("the new token holds", lambda i: i.site.read(i.refreshed.json()["access_token"], "Patient/P1").status_code == 200),
    ("fewer scopes may be asked for", lambda i: i.narrowed.json()["scope"] == "patient/Patient.rs"),
    ("and hold", lambda i: i.site.read(i.narrowed.json()["access_token"], "Observation/o1").status_code == 403),
    (
        "a made-up one is refused",
        lambda i: (
            i.http.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": "made-up"}).status_code
            in (400, 401)
        ),
    ),
]

INTROSPECTION: list[Row] = [
    ("an access token is active", lambda i: i.introspected(i.standalone.access)["active"] is True),
    ("scope", lambda i: set(i.introspected(i.standalone.access)["scope"].split()) == set(STANDALONE.split())),
    ("client_id", lambda i: i.introspected(i.standalone.access)["client_id"] == i.standalone.app.client_id),
    ("exp is to come", lambda i: i.introspected(i.standalone.access)["exp"] > i.site.clock()),
    ("patient", lambda i: i.introspected(i.standalone.access)["patient"] == "P1"),
    ("encounter", lambda i: i.introspected(i.ehr.access)["encounter"] == "E1"),
    ("iss is the id_token's", lambda i: i.introspected(i.standalone.access)["iss"] == i.claims["iss"]),
    ("sub is the id_token's", lambda i: i.introspected(i.standalone.access)["sub"] == i.claims["sub"]),
    ("fhirUser is the id_token's", lambda i: i.introspected(i.standalone.access)["fhirUser"] == i.claims["fhirUser"]),
    (
        "a client hears of its own token",
        lambda i: i.introspected(i.symmetric.access, by=i.symmetric.app.client_id)["active"] is True,
    ),
    (
        "of another's no more than of none",
        lambda i: i.introspected(i.standalone.access, by=i.symmetric.app.client_id) == {"active": False},
    ),
    (
        "nor of another's refresh token",
        lambda i: (
            i.introspected(i.standalone.tokens["refresh_token"], by=i.symmetric.app.client_id) == {"active": False}
        ),
    ),
    (
        "no token holds the right to ask",
        lambda i: (
            i.http.post(
                "/oauth/token",
                data={"grant_type": "client_credentials", "scope": "osler/introspect"},
                auth=httpx.BasicAuth(i.resource_server, SECRET),
            ).status_code
            == 400
        ),
    ),
    ("of a token that is none it says no more than that", lambda i: i.introspected("made-up") == {"active": False}),
    (
        "nobody is told who does not prove who it is",
        lambda i: i.http.post("/oauth/introspect", data={"token": i.standalone.access}).status_code == 401,
    ),
]

LIMITS: list[Row] = [
    ("what was granted can be read", lambda i: i.read(i.version_1, "Observation/o1") == 200),
    ("version 1 of scopes searches too", lambda i: i.found(i.version_1, "Observation") == {"o1", "o3", "lab"}),
    (
        "version 1 of scopes is answered as asked",
        lambda i: set(i.version_1.tokens["scope"].split()) == set(VERSION_1.split()),
    ),
    ("what was not granted cannot be read", lambda i: i.read(i.version_1, "Encounter/E1") == 403),
    ("nor searched", lambda i: i.read(i.version_1, "Encounter?patient=P1") == 403),
    ("granular scopes let through what they name", lambda i: i.read(i.granular, "Observation/lab") == 200),
    ("and nothing else", lambda i: i.read(i.granular, "Observation/o1") == 404),
    ("nor in a search", lambda i: i.found(i.granular, "Observation") == {"lab"}),
    ("nor in a search for another category", lambda i: i.found(i.granular, "Observation?code=2160-0") == set()),
    ("the granular scope is answered as asked", lambda i: GRANULAR.split()[-1] in i.granular.tokens["scope"].split()),
    ("a token is needed", lambda i: i.http.get("/fhir/R4/Patient/P1").status_code == 401),
    ("and asked for", lambda i: i.http.get("/fhir/R4/Patient/P1").headers["www-authenticate"].startswith("Bearer")),
    ("a made-up one is refused", lambda i: i.site.read("made-up", "Patient/P1").status_code == 401),
    ("an id_token is none", lambda i: i.site.read(i.standalone.tokens["id_token"], "Patient/P1").status_code == 401),
    (
        "a refresh token is none",
        lambda i: i.site.read(i.standalone.tokens["refresh_token"], "Patient/P1").status_code == 401,
    ),
    (
        "a token in the address is none (RFC 6750 2.3)",
        lambda i: i.http.get("/fhir/R4/Patient/P1", params={"access_token": i.standalone.access}).status_code == 401,
    ),
    ("a token held before it was revoked", lambda i: i.revoked[0] == 200),
    ("revocation succeeds", lambda i: i.revoked[1] == 200),
    ("a revoked token is refused", lambda i: i.revoked[2] == 401),
    ("a revoked refresh token is refused", lambda i: i.revoked[3] == 400),
]

BACKEND: list[Row] = [
    ("it succeeds", lambda i: i.program.status_code == 200),
    *(
        (f"it has {name}", lambda i, name=name: name in i.program.json())
        for name in ("access_token", "token_type", "expires_in", "scope")
    ),
    ("the token is a bearer's", lambda i: i.program.json()["token_type"].lower() == "bearer"),
    ("scope is what was asked for", lambda i: i.program.json()["scope"] == "system/Patient.rs"),
    ("no refresh token", lambda i: "refresh_token" not in i.program.json()),
    (
        "the token reads any patient",
        lambda i: i.site.read(i.program.json()["access_token"], "Patient/P2").status_code == 200,
    ),
    ("and no other type", lambda i: i.site.read(i.program.json()["access_token"], "Observation/o1").status_code == 403),
    ("no id token", lambda i: "id_token" not in i.program.json()),
]

ROWS = [
    pytest.param(check, id=f"{part}: {rule}")
    for part, rows in {
        "discovery": DISCOVERY,
        "standalone launch": STANDALONE_LAUNCH,
        "EHR launch": EHR_LAUNCH,
        "faults": FAULTS,
        "OpenID Connect": OPENID,
        "refresh": REFRESH,
        "introspection": INTROSPECTION,
        "limits": LIMITS,
        "backend services": BACKEND,
    }.items()
    for rule, check in rows
]


@pytest.mark.parametrize("check", ROWS)
def test_smart_app_launch(seen: Inspector, check: Check) -> None:
    assert check(seen)
