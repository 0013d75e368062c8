"""Pages for people: plain HTML forms that need no script, under a policy that lets nothing else in.

A form carries a token made from the cookie, so only a page of ours can have sent it. The cookie is there from the first
page on, before anybody has signed in.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from osler.api.people.sessions import Sessions
from osler.errors import AccessDenied

CSRF_FIELD: Final = "csrf"
STYLE_PATH: Final = "/oauth/style.css"
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}
_POLICY: Final = "default-src 'none'; style-src 'self'; form-action {targets}; frame-ancestors 'none'; base-uri 'none'"


class FormForged(AccessDenied):
    """A form that no page of ours has sent, or one that has grown old."""


class Pages:
    """Makes the pages.

    Parameters
    ----------
    sessions : Sessions
    base_url : str
        Address under which others reach us.
    site : str
        Name of the site.
    """

    def __init__(self, sessions: Sessions, *, base_url: str, site: str = "Osler") -> None:
        self._sessions = sessions
        self.site = site
        self.root = urlsplit(base_url).path.rstrip("/")
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("osler.api.people"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {"site": site, "root": self.root, "style": self.root + STYLE_PATH}

    def render(
        self,
        name: str,
        request: Request,
        /,
        *,
        status: int = 200,
        leads_to: Sequence[str] = (),
        cookie: str | None = None,
        **context: Any,
    ) -> Response:
        """Make a page.

        Parameters
        ----------
        name : str
            Of the template, without its ending.
        request : Request
        status : int
        leads_to : sequence of str
            Addresses that the page's forms lead on to by a redirect, such as an app's redirect URI: a browser would
            stop there, were they not in the policy.
        cookie : str, optional
            A new value of the session's cookie.
        context
            What the template shows; ``csrf`` is there for its forms.
        """
        held = cookie or self._sessions.token(request)
        token = held or secrets.token_urlsafe(32)
        text = self._environment.get_template(f"{name}.html.j2").render(csrf=_csrf(token), **context)
        targets = " ".join(dict.fromkeys(("'self'", *filter(None, map(_source, leads_to)))))
        headers = _NO_STORE | {"content-security-policy": _POLICY.format(targets=targets)}
        response = Response(text, status, headers, "text/html")
        if cookie is not None or held is None:
            self._keep(response, token)
        return response

    def redirect(self, path: str, *, cookie: str | None = None) -> Response:
        """Lead on to one of our own paths, by GET."""
        response = RedirectResponse(self.root + path, 303, _NO_STORE)
        if cookie is not None:
            self._keep(response, cookie)
        return response

    def forget(self, response: Response) -> Response:
        """Take the session's cookie away."""
        response.delete_cookie(self._sessions.cookie, secure=self._sessions.secure, httponly=True, samesite="lax")
        return response

    def csrf(self, request: Request) -> str:
        """Return what a script of a page of ours sends along, as a form would; empty where there is no cookie yet."""
        token = self._sessions.token(request)
        return _csrf(token) if token else ""

    def check_csrf(self, request: Request, form: Mapping[str, str]) -> None:
        """Let pass only a form that a page of ours has sent.

        Raises
        ------
        FormForged
            If its token is not the one of the cookie.
        """
        token = self._sessions.token(request)
        if token is None or not hmac.compare_digest(form.get(CSRF_FIELD, "").encode(), _csrf(token).encode()):
            raise FormForged("this page is out of date: go back, load it again, and make sure that cookies are allowed")

    def _keep(self, response: Response, token: str) -> None:
        response.set_cookie(
            self._sessions.cookie, token, path="/", secure=self._sessions.secure, httponly=True, samesite="lax"
        )


def style(_request: Request) -> Response:
    """Answer ``GET /oauth/style.css``."""
    text = resources.files(__package__).joinpath("static/style.css").read_text(encoding="utf-8")
    return Response(text, 200, {"cache-control": "max-age=3600"}, "text/css")


def _csrf(token: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(token.encode(), b"form", "sha256")).decode().rstrip("=")


def _source(address: str) -> str:
    """Return the origin (or a private scheme) of an address as a source of a policy; empty when it has none."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme in ("http", "https"):
        brackets = f"[{host}]" if ":" in host else host
        plain = host and all(c.isalnum() or c in "-._:" for c in host) and host.isascii()
        return f"{parts.scheme}://{brackets}{f':{port}' if port else ''}" if plain else ""
    private = parts.scheme and parts.scheme not in ("javascript", "data", "blob", "file")
    return f"{parts.scheme}:" if private else ""
