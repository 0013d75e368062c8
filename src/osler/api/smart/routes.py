"""The routes of the authorization server."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.services import Services
from osler.api.smart import paths
from osler.api.smart.allowed_apps import AllowedApps
from osler.api.smart.authentication import Authenticator
from osler.api.smart.authorize import Authorize
from osler.api.smart.grants import ONLINE_S, GrantStore
from osler.api.smart.introspection import TokenQuestions
from osler.api.smart.key_sets import ClientKeys
from osler.api.smart.launching import Launching
from osler.api.smart.token_endpoint import TokenEndpoint
from osler.api.smart.userinfo import UserInfo
from osler.api.smart.wellknown import openid_configuration, smart_configuration


def routes(services: Services) -> list[Route]:
    """Return them; those of people's sign-in only where people have accounts."""
    session_s = ONLINE_S if services.people is None else services.people.policy.absolute_s
    grants = GrantStore(services.database, session_s=session_s)
    authenticator = Authenticator(services, ClientKeys(services.jwks_hosts, clock=services.tokens.clock))
    questions = TokenQuestions(services, authenticator, grants)
    found = [
        Route(paths.SMART_CONFIGURATION, _document(smart_configuration(services))),
        Route(paths.TOKEN, TokenEndpoint(services, authenticator, grants).__call__, methods=["POST"]),
        Route(paths.INTROSPECT, questions.introspect, methods=["POST"]),
        Route(paths.REVOKE, questions.revoke, methods=["POST"]),
    ]
    keys, people = services.signing_keys, services.people
    if keys is None or people is None:
        return found

    def jwks(_request: Request) -> Response:
        return Response(json.dumps(keys.published()), headers={"cache-control": "max-age=300"}, media_type=_JSON)

    return [
        *found,
        *Authorize(services, people, grants).routes(),
        *AllowedApps(services, people, grants).routes(),
        Route(paths.LAUNCH, Launching(services, authenticator).begin, methods=["POST"]),
        Route(paths.OPENID_CONFIGURATION, _document(openid_configuration(services))),
        Route(paths.JWKS, jwks),
        Route(paths.USERINFO, UserInfo(services).tell, methods=["GET", "POST"]),
    ]


_JSON = "application/json"


def _document(content: dict[str, Any]) -> Any:
    text = json.dumps(content)

    def endpoint(_request: Request) -> Response:
        return Response(text, media_type=_JSON)

    return endpoint
