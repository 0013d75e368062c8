"""What browser apps need around the endpoints: compressed answers, and leave to call from another origin."""

from collections.abc import Callable
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from osler.api.smart import paths

_FHIR: Final = "/fhir/"
_OPEN: Final = frozenset(
    {"/fhir/R4/metadata", paths.SMART_CONFIGURATION, paths.OPENID_CONFIGURATION, paths.JWKS, "/cds-services"}
)
"""What anybody may read without a token: pages of any origin, too."""
_SMALLEST: Final = 1400  # bytes; a shorter answer fits one packet anyway
_SENT: Final = (
    "Accept",
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-Modified-Since",
    "If-None-Exist",
    "If-None-Match",
    "Prefer",
)
_SHOWN: Final = (
    "Content-Location",
    "ETag",
    "Expires",
    "Last-Modified",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Progress",
)


class Compression:
    """ASGI middleware that compresses FHIR answers alone: pages and tokens hold secrets beside what others choose."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._compressed = GZipMiddleware(app, minimum_size=_SMALLEST, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        fhir = scope["type"] == "http" and scope["path"].startswith(_FHIR)
        taken = fhir and any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
        await (self._compressed if taken else self._plain)(scope, receive, send)


class CrossOrigin(CORSMiddleware):
    """ASGI middleware that lets apps of some origins call, by token and never by cookie (Fetch, CORS).

    What is open to everybody may be read from any origin.

    Parameters
    ----------
    app : ASGI application
    origins : tuple of str
        Those of the settings; ``*`` is any.
    registered : callable
        Returns those of registered apps.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...], registered: Callable[[], frozenset[str]]) -> None:
        super().__init__(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=list(_SENT),
            expose_headers=list(_SHOWN),
        )
        self._registered = registered
        self._open = CORSMiddleware(
            app, allow_origins=["*"], allow_methods=["GET"], allow_headers=list(_SENT), expose_headers=list(_SHOWN)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"] in _OPEN:
            await self._open(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        """Tell whether apps of an origin may call."""
        return super().is_allowed_origin(origin) or origin in self._registered()
