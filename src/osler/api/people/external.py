"""``/oauth/external``: to the identity provider and back.

What a sign-in under way needs (state, nonce, PKCE verifier, where to go on) is sealed in a cookie of the browser that
began it: an answer that another browser began is worth nothing here.
"""

import base64
import hmac
import json
import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from osler.api.people.accounts import Accounts
from osler.api.people.door import Door, agent_of
from osler.api.people.identity_provider import Asserted, IdentityProvider
from osler.api.people.service import People
from osler.api.people.sessions import own_path
from osler.api.people.steps import Steps
from osler.api.people.store import Person
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import AccessDenied, ConfigError, InputRejected, IntegrityError, Unauthenticated

EXTERNAL_PATH: Final = "/oauth/external"
RETURN_PATH: Final = "/oauth/external/return"
_UNDER_WAY_S: Final = 600
_LONGEST_COOKIE: Final = 3800
_AAD: Final = b"external-sign-in"


class External:
    """The way to the identity provider and back."""

    def __init__(self, services: Services, people: People, provider: IdentityProvider) -> None:
        self._services = services
        self._people = people
        self._provider = provider
        self._steps = Steps(services, people)
        self._accounts = Accounts(people.users, services.resources.put, services.audit)
        self._cookie = f"{people.sessions.cookie}-external"

    def routes(self) -> list[Route]:
        """Return the routes."""
        door = Door(self._services, self._people)
        return [
            Route(EXTERNAL_PATH, door.get(self.start), methods=["GET"]),
            Route(RETURN_PATH, door.get(self.back), methods=["GET"]),
        ]

    def start(self, request: Request) -> Response:
        """Answer GET: on to the provider."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return_to = own_path(request.query_params.get("return_to", ""))
        again = bool(request.query_params.get("again"))
        url = self._provider.authorization_url(state=state, nonce=nonce, verifier=verifier, again=again)
        kept = json.dumps([state, nonce, verifier, return_to, self._people.clock() + _UNDER_WAY_S])
        sealed = base64.urlsafe_b64encode(self._people.sealer.seal(kept.encode(), _AAD)).decode()
        if len(sealed) > _LONGEST_COOKIE:
            raise InputRejected("the app's request is too long for this way of signing in")
        response = RedirectResponse(url, 303, {"cache-control": "no-store"})
        secure = self._people.sessions.secure
        response.set_cookie(
            self._cookie, sealed, max_age=_UNDER_WAY_S, path="/", secure=secure, httponly=True, samesite="lax"
        )
        return response

    def back(self, request: Request) -> Response:
        """Answer GET: the provider sent the person back, with a code or with what went wrong."""
        nonce, verifier, return_to = self._under_way(request)
        given = request.query_params
        if given.get("iss", self._provider.settings.issuer) != self._provider.settings.issuer:
            raise Unauthenticated("the answer is another identity provider's")
        if "error" in given or not given.get("code"):
            raise Unauthenticated("the identity provider did not sign you in")
        asserted = self._provider.redeem(given["code"], verifier=verifier, nonce=nonce)
        person = self._person(request, asserted)
        step = self._steps.after(person, ("ext", "mfa") if asserted.second_factor else ("ext",))
        token = self._services.database.write(lambda c: self._steps.take(c, request, step))
        response = self._steps.onward(request, step, token, return_to)
        response.delete_cookie(
            self._cookie, path="/", secure=self._people.sessions.secure, httponly=True, samesite="lax"
        )
        return response

    def _under_way(self, request: Request) -> tuple[str, str, str]:
        """Return nonce, verifier and where to go on, of the sign-in that this browser began."""
        try:
            sealed = base64.urlsafe_b64decode(request.cookies.get(self._cookie, "").encode("ascii"))
            state, nonce, verifier, return_to, until = json.loads(self._people.sealer.open(sealed, _AAD))
        except (ValueError, IntegrityError):
            raise Unauthenticated("this browser has not begun to sign in there, or cookies are not allowed") from None
        if not hmac.compare_digest(state.encode(), request.query_params.get("state", "").encode()):
            raise Unauthenticated("the answer is not for the sign-in that this browser began")
        if self._people.clock() > until:
            raise Unauthenticated("signing in took too long; please begin again")
        return nonce, verifier, return_to

    def _person(self, request: Request, asserted: Asserted) -> Person:
        """Return the account of who signed in there; a new one, or with another role, as the provider says."""
        if asserted.role is None:
            raise AccessDenied("your account there has no role that counts here; ask an administrator")
        users = self._people.users
        person = users.find_subject(asserted.subject)
        agent = agent_of(request, asserted.name or "unknown")
        if person is None:
            try:
                return self._accounts.add(asserted.name, asserted.role, None, by=agent, subject=asserted.subject)
            except ConfigError:
                raise AccessDenied(
                    "your user name there cannot be used here, or is somebody else's; ask an administrator"
                ) from None
        if person.disabled:
            raise AccessDenied("your account here is disabled")
        if person.role is not asserted.role:
            record = AuditRecord(
                "role-changed",
                agent=agent_of(request, person.name),
                entities=(f"user:{person.name}",),
                detail={"role": asserted.role.value, "before": person.role.value},
            )
            users.set_role(person.name, asserted.role, within=lambda c: self._services.audit.append(c, record))
            return users.find(person.name) or person
        return person
