"""Browsers in which a person has signed in before: strangers' failures elsewhere keep nobody waiting there.

A cookie names the browser and holds a proof for each of the last people who signed in there; a ward's workstation has
many. It opens nothing: a password is asked for all the same.

References
----------
OWASP, Slow Down Online Guessing Attacks with Device Cookies
"""

import base64
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{22}(\.[A-Za-z0-9_-]{22}){0,12}")
_PEOPLE: Final = 12
_KEPT_S: Final = 180 * 86_400
_BYTES: Final = 16


class Browsers:
    """Knows browsers again.

    Parameters
    ----------
    index : callable
        ``index(purpose, *parts)``: a keyed hash.
    secure : bool
        Whether browsers reach us by https.
    """

    def __init__(self, index: Callable[..., bytes], *, secure: bool) -> None:
        self._index = index
        self._secure = secure
        self._cookie = "__Host-osler-browser" if secure else "osler-browser"

    def known(self, request: Request, name: str) -> str | None:
        """Return the browser, when a person of this name has signed in there before; else None."""
        browser, *proofs = self._kept(request)
        wanted = self._proof(name, browser)
        found = [hmac.compare_digest(proof, wanted) for proof in proofs]
        return browser if any(found) else None

    def remember(self, request: Request, response: Response, name: str) -> None:
        """Let the browser keep that a person has signed in."""
        browser, *proofs = self._kept(request)
        browser = browser or _text(secrets.token_bytes(_BYTES))
        proof = self._proof(name, browser)
        kept = [proof, *(p for p in proofs if p != proof)][:_PEOPLE]
        response.set_cookie(
            self._cookie,
            ".".join((browser, *kept)),
            max_age=_KEPT_S,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def _kept(self, request: Request) -> list[str]:
        value = request.cookies.get(self._cookie, "")
        return value.split(".") if _FORM.fullmatch(value) else [""]

    def _proof(self, name: str, browser: str) -> str:
        return _text(self._index("known-browser", name, browser)[:_BYTES])


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
