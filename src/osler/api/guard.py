"""Nobody passes without a token that holds, and nothing is answered that is not on record."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.types import Scope

from osler.api.services import Audit, Services
from osler.api.smart.reach import reach_of
from osler.api.smart.tokens import Grant
from osler.audit import Agent, AuditRecord
from osler.domain.reach import Reach
from osler.errors import AccessDenied, OslerError, StorageBusy, Unauthenticated

CLIENT_KEY: Final = "osler.client"
"""Key of the request's scope under which the client's id stands once it is known."""
_MAX_TOKEN: Final = 512


@dataclass(frozen=True, slots=True)
class Caller:
    """A client whose token holds, and the person in whose name it acts, if any.

    Parameters
    ----------
    grant : Grant
        What the token stands for.
    address : str
        Network address of the client.
    broken : frozenset of str
        Patients (logical ids) for whom the person has broken the glass.
    """

    grant: Grant
    address: str
    broken: frozenset[str] = frozenset()

    @property
    def client_id(self) -> str:
        """Id of the client."""
        return self.grant.client_id

    @property
    def agent(self) -> Agent:
        """As the audit names it: the person where there is one, and by which client."""
        if self.grant.person is None:
            return Agent(self.client_id, "client", self.address)
        return Agent(self.grant.person.name, "person", self.address, via=self.client_id)

    def reach(self, type_name: str, right: str) -> Reach:
        """Return which resources of a type the caller has this right (a letter of ``cruds``) to."""
        return reach_of(self.grant, type_name, right, broken=self.broken)

    def require(self, type_name: str, right: str) -> Reach:
        """Let pass what the token's scopes give, and return how far it reaches.

        Raises
        ------
        AccessDenied
            If they do not give this right (a letter of ``cruds``) to this type of resource.
        """
        reach = self.reach(type_name, right)
        if not reach:
            raise AccessDenied("the scope of the access token does not allow this")
        return reach


def admit(request: Request, services: Services) -> Caller:
    """Return who calls, by the bearer token (RFC 6750 2.1).

    Raises
    ------
    Unauthenticated
        If there is no token, or one that does not hold.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("an access token is needed")
    grant = services.tokens.check(token.strip()) if len(token) <= _MAX_TOKEN else None
    if grant is None:
        raise Unauthenticated("the access token does not hold")
    request.scope[CLIENT_KEY] = grant.client_id
    broken: frozenset[str] = frozenset()
    if grant.person is not None and services.people is not None:
        broken = services.people.glass.open_for(grant.person.name, services.tokens.clock())
    return Caller(grant, address_of(request), broken)


def address_of(request: Request) -> str:
    """Return the network address of the peer."""
    return request.client.host if request.client else ""


def write_down(audit: Audit, *records: AuditRecord) -> None:
    """Write to the audit log before the answer.

    Raises
    ------
    StorageBusy
        If it cannot be written: then there is no answer either.
    """
    try:
        audit.record(*records)
    except (OslerError, OSError) as error:
        raise StorageBusy("the audit log cannot be written, so nothing is answered") from error


def denied(request: Request, reason: str) -> AuditRecord:
    """Return the record of a refusal. Names the client only when its token or its proof held."""
    client_id = request.scope.get(CLIENT_KEY)
    agent = Agent(client_id or "unknown", "client" if client_id else "peer", address_of(request))
    detail = {"reason": reason, "method": request.method, "route": route_of(request.scope)}
    return AuditRecord(event="access-denied", agent=agent, outcome=8, detail=detail)


def route_of(scope: Scope) -> str:
    """Return the template of the route that a request took, never its path."""
    return str(getattr(scope.get("route"), "path", "none"))
