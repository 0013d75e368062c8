"""The operation ``$validate``: what would be wrong with a resource if it were written.

References
----------
HL7 FHIR R4 4.0.1, Resource-operation-validate
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from osler.api.fhir.body import is_short, read_body
from osler.api.fhir.negotiation import answer, require_body_of
from osler.api.fhir.parameters import parameters_of
from osler.api.fhir.reading import enter
from osler.api.fhir.references import local_references, relative
from osler.api.forms import parse_pairs
from osler.api.guard import Caller, write_down
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.domain.reach import EVERYTHING
from osler.errors import AccessDenied, InvalidResource, Malformed, NotFound
from osler.standards import fhir
from osler.standards.fhir import Issue, Resource
from osler.storage.stored import Stored, within

_MODES: Final = frozenset({"", "create", "update", "delete", "profile"})
_BASE: Final = "http://hl7.org/fhir/StructureDefinition/"
_EVENT: Final = "resource-validated"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be checked; without a resource, the one that is stored."""

    type: str
    id: str
    resource: Resource | None = field(repr=False)
    mode: str = ""
    profiles: tuple[str, ...] = ()


class Validating:
    """The endpoint of ``$validate``."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def validate(self, request: Request) -> Response:
        """Answer ``POST /{type}/$validate`` and GET or POST ``/{type}/{id}/$validate``."""
        content = b""
        if request.method == "POST":
            if not is_short(request):
                await run_in_threadpool(self._enter, request)  # a long body is read for those who may ask alone
            content = await read_body(request, limit=self._services.max_resource_bytes)
        return await run_in_threadpool(self._validate, request, content)

    def _enter(self, request: Request) -> Caller:
        caller, type_name = enter(request, self._services)
        if not any(caller.reach(type_name, right) for right in "cruds"):
            raise AccessDenied("the scope of the access token does not allow this")
        return caller

    def _validate(self, request: Request, content: bytes) -> Response:
        caller = self._enter(request)
        if content:
            require_body_of(request)
        asked = _understood(request, content)
        with self._services.database.read() as connection:
            issues, record = self._checked(caller, asked, connection)
        write_down(self._services.audit, record)
        return answer(request, fhir.dumps(fhir.operation_outcome(issues)))

    def _checked(self, caller: Caller, asked: _Asked, connection: Connection) -> tuple[list[Issue], AuditRecord]:
        detail: dict[str, str | int] = {"type": asked.type, "mode": asked.mode or "none"}
        try:
            stored = self._stored(caller, asked, connection)
        except NotFound as error:
            detail["reason"] = type(error).__name__
            write_down(self._services.audit, AuditRecord(_EVENT, agent=caller.agent, outcome=4, detail=detail))
            raise
        resource = asked.resource if asked.resource is not None else fhir.loads(stored.text) if stored else None
        issues = [] if resource is None else list(self._faults(caller, asked, resource, connection))
        if asked.mode == "delete" and stored is not None:
            issues += self._referring(stored, connection)
        issues += _profiles(asked)
        record = AuditRecord(
            _EVENT,
            agent=caller.agent,
            patient=stored.patient if stored else None,
            entities=(f"{stored.reference}/_history/{stored.version}",) if stored else (),
            detail=detail,
        )
        return issues, record

    def _stored(self, caller: Caller, asked: _Asked, connection: Connection) -> Stored | None:
        """Return the stored resource when something of it is told: a body is checked without it."""
        if asked.resource is not None and asked.mode != "delete":
            return None
        if not asked.id:
            raise InvalidResource("there is no resource to validate")
        return self._services.resources.find(connection, asked.type, asked.id, caller.require(asked.type, "r"))

    def _faults(self, caller: Caller, asked: _Asked, resource: Resource, connection: Connection) -> Iterator[Issue]:
        yield from fhir.validate(resource)
        if resource["resourceType"] != asked.type:
            yield Issue("invalid", "", "the resource is not of the type that the URL names")
        elif asked.id and resource.get("id", asked.id) != asked.id:
            yield Issue("invalid", f"{asked.type}.id", "the id in the resource is not the one in the URL")
        elif asked.mode == "update" and "id" not in resource:
            yield Issue("required", asked.type, "an update needs an id in the resource")
        if self._services.check_references and resource["resourceType"] == asked.type:
            yield from self._dangling(caller, resource, connection)

    def _dangling(self, caller: Caller, resource: Resource, connection: Connection) -> Iterator[Issue]:
        """Yield references that lead nowhere, as far as the caller may know."""
        for expression, type_name, logical_id in local_references(relative(resource, self._services.fhir_base)):
            reach = caller.reach(type_name, "r")
            held = self._services.resources.current(connection, type_name, logical_id) if reach else None
            if not reach or (held is not None and within(reach, held)):
                continue
            place = f"{resource['resourceType']}{expression}"
            if set(EVERYTHING) <= set(reach):
                yield Issue("not-found", place, "there is no such resource here")
            else:
                yield Issue("not-found", place, "there is no such resource that you may read", severity="warning")

    def _referring(self, stored: Stored, connection: Connection) -> Iterator[Issue]:
        if self._services.check_references and self._services.resources.referring(connection, stored.type, stored.id):
            yield Issue("conflict", "", "another resource refers to the one that is to be deleted")


def _understood(request: Request, content: bytes) -> _Asked:
    """Read what is asked for, from the URL and the body.

    Raises
    ------
    Malformed
        If the body is not JSON, or there is no such mode.
    InvalidResource
        If the body is no resource, or is a Parameters resource without one.
    """
    given = [(name, value) for name, value in parse_pairs(request.url.query) if value]
    resource: Any = fhir.loads(content) if content else None
    if resource is not None and resource.get("resourceType") == "Parameters":
        parameters = parameters_of(resource)
        given += [(p["name"], str(v)) for p in parameters for name, v in p.items() if name.startswith("value")]
        resource = next((p.get("resource") for p in parameters if p["name"] == "resource"), None)
    if resource is not None and not (isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)):
        raise InvalidResource("what is sent is no resource")
    mode = next((value for name, value in given if name == "mode"), "")
    if mode not in _MODES:
        raise Malformed("the mode is one of create, update, delete and profile")
    place = request.path_params
    profiles = tuple(dict.fromkeys(value for name, value in given if name == "profile"))
    return _Asked(place["type"], place.get("id", ""), resource, mode, profiles)


def _profiles(asked: _Asked) -> Iterator[Issue]:
    for profile in asked.profiles:
        if profile.partition("|")[0] != f"{_BASE}{asked.type}":
            words = "the resource is checked against the base definition alone; this server does not have the profile"
            yield Issue("not-supported", "", words, severity="information")
