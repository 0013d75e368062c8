"""``/oauth/launch``: an EHR begins the launch of an app for one of its patients.

SMART leaves to each EHR how a launch begins. Here a client that the operator has registered for it asks by a form, as
it asks for a token, and gets the handle and the address that starts the app.

References
----------
SMART App Launch 2.2, EHR launch flow; RFC 6749 5.2
"""

from typing import Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from osler.api.guard import address_of
from osler.api.services import Services
from osler.api.smart.authentication import Authenticator, Fields, Proven, fields_of
from osler.api.smart.context import LaunchContext
from osler.api.smart.launches import LAUNCH_S, Launch, launch_url, prepare
from osler.api.smart.refusal import OAuthRefused, answer, refuse
from osler.api.smart.scopes import PREPARE_LAUNCH
from osler.audit import Agent
from osler.errors import InputRejected, NotFound, OslerError, StorageBusy

_BANNER: Final = {"true": True, "false": False}


class Launching:
    """Begins launches for EHRs."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator

    async def begin(self, request: Request) -> Response:
        """Answer ``POST /oauth/launch``.

        The form names the ``app`` (its client_id) and the ``patient``, and perhaps the ``encounter``, further
        references in context (``fhirContext``, parted by blanks), ``intent``, ``need_patient_banner``,
        ``smart_style_url`` and the only ``person`` who may use the handle.
        """
        fields = await fields_of(request)

        def run() -> Response:
            try:
                if isinstance(fields, OAuthRefused):
                    raise fields
                return self._begin(request, self._entitled(request, fields), fields)
            except OAuthRefused as refused:
                return refuse(self._services, request, refused)

        return await run_in_threadpool(run)

    def _entitled(self, request: Request, fields: Fields) -> Proven:
        proven = self._authenticator.client(request, fields)
        if proven.method == "none":
            raise OAuthRefused("invalid_client", "the client must prove itself", 401)
        if PREPARE_LAUNCH not in proven.client.scope.split():
            raise OAuthRefused("unauthorized_client", f"the client is not registered with {PREPARE_LAUNCH}", 403)
        return proven

    def _begin(self, request: Request, proven: Proven, fields: Fields) -> Response:
        services = self._services
        app = services.clients.find(fields.get("app", ""))
        if app is None or not app.launch_uri:
            raise OAuthRefused("invalid_request", "app is not the client_id of an app with a launch URI")
        begun = Launch(app.id, fields.get("person") or None, _context(fields))
        handle = self._kept(proven, begun, Agent(proven.client.id, "client", address_of(request)))
        url = launch_url(app.launch_uri, fhir_base=services.fhir_base, handle=handle)
        return answer({"launch_url": url, "iss": services.fhir_base, "launch": handle, "expires_in": int(LAUNCH_S)})

    def _kept(self, proven: Proven, begun: Launch, agent: Agent) -> str:
        """Use up the assertion, begin the launch, and write it down: all or nothing."""
        services, used, now = self._services, proven.assertion, self._services.tokens.clock()

        def change(connection: Connection) -> str:
            if used is not None and not services.tokens.use_assertion(
                connection, proven.client.id, used.jti, expires_at=used.expires_at
            ):
                raise OAuthRefused("invalid_client", "the assertion was used before", 401)
            return prepare(connection, services, begun, agent=agent, now=now)

        try:
            return services.database.write(change)
        except OAuthRefused:
            raise
        except (InputRejected, NotFound) as error:
            raise OAuthRefused("invalid_request", str(error)) from None
        except (OslerError, OSError) as error:
            raise StorageBusy("it cannot be written down, so no launch was begun") from error


def _context(fields: Fields) -> LaunchContext:
    banner = fields.get("need_patient_banner")
    if "patient" not in fields:
        raise OAuthRefused("invalid_request", "patient is missing")
    if banner not in (None, *_BANNER):
        raise OAuthRefused("invalid_request", "need_patient_banner is true or false")
    return LaunchContext(
        patient=fields["patient"],
        encounter=fields.get("encounter"),
        fhir_context=tuple(fields.get("fhirContext", "").split()),
        intent=fields.get("intent"),
        need_patient_banner=None if banner is None else _BANNER[banner],
        smart_style_url=fields.get("smart_style_url"),
    )
