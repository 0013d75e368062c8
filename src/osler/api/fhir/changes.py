"""Create, update, patch and delete over HTTP, each durable and on record before it is answered.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.4 (update), 3.1.0.6 (patch), 3.1.0.7 (delete), 3.1.0.8 (create)
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.body import is_short, read_body
from osler.api.fhir.changing import Change, Changing, Done, refused, require_rights, require_valid
from osler.api.fhir.conditional import etag, last_modified
from osler.api.fhir.negotiation import JSON_PATCH, PRIVATE, answer, require_body_of
from osler.api.fhir.preferences import preferences
from osler.api.fhir.reading import READ_ONLY, enter
from osler.api.forms import parse_pairs
from osler.api.guard import Caller, write_down
from osler.api.services import Services
from osler.errors import Conflict, InvalidResource, NotFound
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.standards.json_patch import parse_patch

_FORM_ONLY: Final = frozenset({"_format", "_pretty"})


class Changes:
    """Endpoints that change what is kept."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def change(self, request: Request) -> Response:
        """Answer POST, PUT, PATCH and DELETE on ``/{type}`` and ``/{type}/{id}``."""
        content = b""
        if request.method != "DELETE":
            if not is_short(request):
                await run_in_threadpool(self._enter, request)  # a long body is read for those who may write alone
            content = await read_body(request, limit=self._services.max_resource_bytes)
        return await run_in_threadpool(self._change, request, content)

    def _enter(self, request: Request) -> tuple[Caller, Change]:
        caller, type_name = enter(request, self._services)
        if type_name in READ_ONLY:
            raise HTTPException(405, f"{type_name} is written by this server alone", {"allow": "GET, HEAD"})
        change = Change(
            request.method,
            type_name,
            request.path_params.get("id", ""),
            _criteria(request),
            if_match=request.headers.get("if-match", ""),
            if_none_match=request.headers.get("if-none-match", ""),
        )
        require_rights(caller, change)
        if request.method == "PATCH":
            require_body_of(request, JSON_PATCH)
        elif request.method != "DELETE":
            require_body_of(request)
        return caller, change

    def _change(self, request: Request, content: bytes) -> Response:
        caller, asked = self._enter(request)
        change = understood(asked, content)
        done = self.begin(caller, change)()
        return self._answer(request, change, done)

    def begin(self, caller: Caller, change: Change) -> Callable[[], Done]:
        """Begin one change; what is returned waits until it is durable and on record.

        Raises
        ------
        OslerError
            When it is waited for, as :meth:`Changing.apply` and :meth:`Changing.settle` do; nothing has changed then.
        """
        services = self._services

        def run(connection: Connection) -> Done:
            changing = Changing(services, caller, connection)
            done = changing.apply(change)
            changing.settle()
            return done

        begun = services.database.submit(run)

        def finish() -> Done:
            try:
                return begun.result()
            except (NotFound, Conflict, InvalidResource) as error:
                write_down(services.audit, refused(caller, change, error))
                raise

        return finish

    def _answer(self, request: Request, change: Change, done: Done) -> Response:
        returning = preferences(request).returning
        stored = done.stored
        headers = dict(PRIVATE)
        if stored is not None:
            headers |= {"etag": etag(stored), "last-modified": last_modified(stored)}
            if change.method != "DELETE":
                headers["location"] = f"{self._services.fhir_base}/{stored.reference}/_history/{stored.version}"
        if returning == "OperationOutcome":
            status = 200 if done.status == 204 else done.status
            return answer(request, fhir.dumps(fhir.operation_outcome(())), status=status, headers=headers)
        if change.method == "DELETE" or stored is None or returning == "minimal" or not done.shown:
            return Response(status_code=done.status, headers=headers)
        return answer(request, stored.text, status=done.status, headers=headers)


def understood(change: Change, content: bytes) -> Change:
    """Return a change with what its body says, checked as far as it can be without looking at what is kept.

    Raises
    ------
    Malformed
        If the body is not JSON.
    InvalidResource
        If the resource breaks the R4 definitions, or is not the one of the URL.
    """
    if change.method == "DELETE":
        return change
    if change.method == "PATCH":
        return replace(change, patch=tuple(parse_patch(content)))
    resource = fhir.loads(content)
    check_resource(resource, change)
    return replace(change, resource=resource)


def check_resource(resource: Resource, change: Change) -> None:
    """Let pass a valid resource that is the one of the URL.

    Raises
    ------
    InvalidResource
        If it breaks the R4 definitions, or its type or id is not that of the URL.
    """
    if resource.get("resourceType") != change.type:
        raise InvalidResource("the resource is not of the type that the URL names")
    require_valid(resource)
    if change.method == "PUT" and change.criteria is None and resource.get("id") != change.id:
        raise InvalidResource("the id in the resource is not the one in the URL")


def _criteria(request: Request) -> str | None:
    if request.method == "POST":
        return request.headers.get("if-none-exist")
    if "id" in request.path_params:
        return None
    pairs = parse_pairs(request.url.query)
    return urlencode([pair for pair in pairs if pair[0] not in _FORM_ONLY])
