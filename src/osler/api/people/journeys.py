"""The way of a person to the identity provider and back, while it is under way.

What it needs (state, nonce, PKCE verifier, where to go on) is sealed in a cookie of the browser that began it: an
answer that another browser began is worth nothing here. A browser is on one such way at a time.
"""

import base64
import hmac
import json
import secrets
from dataclasses import astuple, dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from osler.api.people.identity_provider import Asserted, IdentityProvider
from osler.api.people.service import People
from osler.errors import InputRejected, IntegrityError, Unauthenticated

UNDER_WAY_S: Final = 600
_LONGEST_COOKIE: Final = 3800
_AAD: Final = b"external-sign-in"


@dataclass(frozen=True, slots=True)
class Journey:
    """One way there and back.

    Parameters
    ----------
    state, nonce, verifier : str
    return_to : str
        Own path to go on to.
    begun_at : float
        Seconds since the epoch, UTC.
    again : bool
        Whether the person was to sign in there even if they were signed in.
    about : str
        What is confirmed by it; empty for a sign-in.
    """

    state: str
    nonce: str
    verifier: str
    return_to: str
    begun_at: float
    again: bool = False
    about: str = ""


class Journeys:
    """Sends people to the provider, and knows them when they come back."""

    def __init__(self, people: People, provider: IdentityProvider) -> None:
        self._people = people
        self._provider = provider
        self._cookie = f"{people.sessions.cookie}-external"

    def begin(self, return_to: str, *, again: bool = False, about: str = "") -> tuple[Journey, str]:
        """Return a new journey, and the provider's address for it.

        Raises
        ------
        PeerUnavailable
            If the provider does not answer.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        journey = Journey(state, nonce, verifier, return_to, self._people.clock(), again, about)
        return journey, self._provider.authorization_url(state=state, nonce=nonce, verifier=verifier, again=again)

    def keep(self, response: Response, journey: Journey) -> Response:
        """Seal a journey in the browser's cookie.

        Raises
        ------
        InputRejected
            If it leads on to an address that is too long for a cookie.
        """
        sealed = self._people.sealer.seal(json.dumps(astuple(journey)).encode(), _AAD)
        value = base64.urlsafe_b64encode(sealed).decode()
        if len(value) > _LONGEST_COOKIE:
            raise InputRejected("the app's request is too long for this way of signing in")
        secure = self._people.sessions.secure
        response.set_cookie(
            self._cookie, value, max_age=UNDER_WAY_S, path="/", secure=secure, httponly=True, samesite="lax"
        )
        return response

    def returned(self, request: Request) -> Journey:
        """Return the journey that this browser began and comes back from.

        Raises
        ------
        Unauthenticated
            If it began none, another one, or too long ago.
        """
        try:
            sealed = base64.urlsafe_b64decode(request.cookies.get(self._cookie, "").encode("ascii"))
            journey = Journey(*json.loads(self._people.sealer.open(sealed, _AAD)))
        except (ValueError, TypeError, IntegrityError):
            raise Unauthenticated("this browser has not begun to sign in there, or cookies are not allowed") from None
        if not hmac.compare_digest(journey.state.encode(), request.query_params.get("state", "").encode()):
            raise Unauthenticated("the answer is not for the sign-in that this browser began")
        if self._people.clock() > journey.begun_at + UNDER_WAY_S:
            raise Unauthenticated("signing in took too long; please begin again")
        return journey

    def asserted(self, request: Request, journey: Journey) -> Asserted:
        """Return what the provider says of who came back.

        Raises
        ------
        Unauthenticated
            If it did not let them in, or what it says does not hold.
        PeerUnavailable
            If it does not answer.
        """
        given = request.query_params
        if given.get("iss", self._provider.settings.issuer) != self._provider.settings.issuer:
            raise Unauthenticated("the answer is another identity provider's")
        if "error" in given or not given.get("code"):
            raise Unauthenticated("the identity provider did not sign you in")
        since = journey.begun_at if journey.again else None
        return self._provider.redeem(given["code"], verifier=journey.verifier, nonce=journey.nonce, since=since)

    def over(self, response: Response) -> Response:
        """Take the cookie back."""
        secure = self._people.sessions.secure
        response.delete_cookie(self._cookie, path="/", secure=secure, httponly=True, samesite="lax")
        return response
