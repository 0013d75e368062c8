"""``/oauth/userinfo``: who the person is in whose name a client acts, by its access token.

References
----------
OpenID Connect Core 1.0, 5.3
"""

from starlette.requests import Request
from starlette.responses import Response

from osler.api.guard import admit, write_down
from osler.api.services import Services
from osler.api.smart.id_token import claims_of
from osler.api.smart.refusal import answer
from osler.audit import AuditRecord
from osler.errors import AccessDenied


class UserInfo:
    """Answers ``GET`` and ``POST /oauth/userinfo``."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def tell(self, request: Request) -> Response:
        """Answer with the claims that the token's scopes give; the token comes in the header alone.

        Raises
        ------
        Unauthenticated
            If there is no token that holds.
        AccessDenied
            If the token is not of a person, or the person's identity was not asked for (``openid``).
        """
        caller = admit(request, self._services)
        claims = claims_of(caller.grant, self._services)
        if claims is None:
            raise AccessDenied("the access token does not tell who the person is")
        record = AuditRecord(event="token-introspected", agent=caller.agent, detail={"method": "userinfo"})
        write_down(self._services.audit, record)
        return answer(claims)
