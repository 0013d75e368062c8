"""An identity provider on loopback that says what a test wants."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from osler.api.people.identity_provider import IdentityProvider, ProviderSettings
from osler.api.people.roles import Role
from osler.hub.web import WebServer
from osler.testing.clock import FakeClock

RSA = RSAKey.generate_key(2048, {"kid": "r1", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-256", {"kid": "e1"})
SHOWN = [RSA.as_dict(private=False), EC.as_dict(private=False)]
CLIENT = "osler"


class Provider:
    """A provider that says what a test wants."""

    def __init__(self) -> None:
        self.reset()
        self.server = WebServer(
            Starlette(
                routes=[
                    Route("/.well-known/openid-configuration", self._discovery),
                    Route("/jwks", self._jwks),
                    Route("/authorize", self._authorize),
                    Route("/token", self._token, methods=["POST"]),
                ]
            ),
            "127.0.0.1:0",
        )
        self.server.start()
        self.issuer = self.server.url

    def reset(self) -> None:
        self.clock = FakeClock()
        self.metadata: dict[str, Any] = {}
        self.keys: Any = SHOWN
        self.token: Callable[[], Any] = self.signed
        self.status = 200
        self.nonce = ""
        self.gives = {"code": "c"}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.authorization = ""

    def client(self, **changes: Any) -> IdentityProvider:
        given = {"roles": {"doctors": Role.CLINICIAN, "ml": Role.ML_ENGINEER}} | changes
        settings = ProviderSettings(given.pop("issuer", self.issuer), CLIENT, **given)
        return IdentityProvider(settings, redirect_uri="http://hub/back", clock=self.clock)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "42",
            "iat": now,
            "exp": now + 300,
            "nonce": "n",
            "preferred_username": "grace",
            "roles": ["staff", "doctors"],
        } | changes
        return {name: value for name, value in claims.items() if value is not ...}

    def signed(self, key: Any = RSA, alg: str = "RS256", kid: str | None = "r1", **changes: Any) -> str:
        header = {"alg": alg} | ({"kid": kid} if kid else {})
        return jwt.encode(header, self.claims(**changes), key, algorithms=[alg])

    async def _discovery(self, request: Request) -> Response:
        self.asked.append("discovery")
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        }
        return JSONResponse(document | self.metadata)

    async def _jwks(self, request: Request) -> Response:
        self.asked.append("jwks")
        return self.keys if isinstance(self.keys, Response) else JSONResponse({"keys": self.keys})

    async def _authorize(self, request: Request) -> Response:
        """Send whoever comes straight back, signed in or with what the test wants instead."""
        asked = request.query_params
        self.nonce = asked["nonce"]
        answer = urlencode({"state": asked["state"], **self.gives})
        return RedirectResponse(f"{asked['redirect_uri']}?{answer}", 303)

    async def _token(self, request: Request) -> Response:
        self.asked.append("token")
        self.forms.append(dict(parse_qsl((await request.body()).decode())))
        self.authorization = request.headers.get("authorization", "")
        answer = self.token()
        return answer if isinstance(answer, Response) else JSONResponse({"id_token": answer}, self.status)
