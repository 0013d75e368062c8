"""What this server can do, read from the tables that do it: the CapabilityStatement.

References
----------
HL7 FHIR R4 4.0.1, CapabilityStatement; SMART App Launch 2.2, Conformance
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

import osler
from osler.api.fhir.negotiation import JSON_PATCH, answer, require_json
from osler.api.fhir.reading import READ_ONLY
from osler.api.services import Services
from osler.api.smart import paths
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.standards.fhir_search import SEARCHABLE, Searchable

_OAUTH_URIS: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_LOOKING: Final = ("read", "search-type")
_CHANGING: Final = ("vread", "history-instance", "history-type", "create", "update", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that the server offers.

    Parameters
    ----------
    name : str
        Without ``$``.
    definition : str
        Canonical URL of its OperationDefinition.
    types : frozenset of str
        Resource types that it is called on, :data:`EVERY_TYPE` for all; empty for the system.
    needs : str
        Which of the services it cannot do without; empty for none.
    """

    name: str
    definition: str
    types: frozenset[str] = frozenset()
    needs: str = ""

    def offered(self, services: Services) -> bool:
        """Tell whether the server as it is set up has what the operation needs."""
        return not self.needs or getattr(services, self.needs) is not None


EVERY_TYPE: Final = frozenset({"*"})
_OF_BULK_DATA: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_OF_FHIR: Final = "http://hl7.org/fhir/OperationDefinition/"
OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("validate", f"{_OF_FHIR}Resource-validate", EVERY_TYPE),
    Operation("everything", f"{_OF_FHIR}Patient-everything", frozenset({"Patient"})),
    Operation("export", f"{_OF_BULK_DATA}export", needs="exports"),
    Operation("export", f"{_OF_BULK_DATA}patient-export", frozenset({"Patient"}), needs="exports"),
    Operation("export", f"{_OF_BULK_DATA}group-export", frozenset({"Group"}), needs="exports"),
)
"""All of them: who offers one puts it here."""


def metadata(services: Services) -> Callable[[Request], Response]:
    """Return the endpoint of ``GET /metadata``; open to everybody (R4 3.1.0.9)."""
    text = fhir.dumps(capability_statement(services, now=services.tokens.clock()))

    def endpoint(request: Request) -> Response:
        require_json(request)
        return answer(request, text, headers={})

    return endpoint


def capability_statement(services: Services, *, now: float) -> Resource:
    """Build the CapabilityStatement (R4) of this server; ``now`` in seconds since the epoch dates it."""
    rest: Resource = {
        "mode": "server",
        "documentation": "Each access needs a token, is decided by its scopes inside the query, and is on record.",
        "security": _security(services),
        "resource": [_resource(SEARCHABLE[name], services) for name in sorted(SEARCHABLE)],
        "interaction": [{"code": "transaction"}, {"code": "batch"}],
    }
    system = [_operation(operation) for operation in _offered(services) if not operation.types]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": fhir.instant(now),
        "kind": "instance",
        "software": {"name": "Osler", "version": osler.__version__},
        "implementation": {"description": "Results of medical AI on premise", "url": services.fhir_base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "patchFormat": [JSON_PATCH],
        "rest": [rest | ({"operation": system} if system else {})],
    }


def _security(services: Services) -> Resource:
    urls = {"token": paths.TOKEN, "introspect": paths.INTROSPECT, "revoke": paths.REVOKE}
    if services.people is not None and services.signing_keys is not None:
        urls = {"authorize": paths.AUTHORIZE} | urls
    return {
        "extension": [
            {
                "url": _OAUTH_URIS,
                "extension": [{"url": name, "valueUri": services.base_url + path} for name, path in urls.items()],
            }
        ],
        "cors": True,
        "service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}],
    }


def _resource(searchable: Searchable, services: Services) -> Resource:
    writable = searchable.type not in READ_ONLY
    made: Resource = {
        "type": searchable.type,
        "interaction": [{"code": code} for code in (*_LOOKING, *(_CHANGING if writable else ()))],
        "versioning": "versioned-update" if writable else "no-version",
        "readHistory": writable,
        "updateCreate": writable,
        "conditionalCreate": writable,
        "conditionalRead": "full-support",
        "conditionalUpdate": writable,
        "conditionalDelete": "single" if writable else "not-supported",
        "referencePolicy": ["literal", "local", *(["enforced"] if services.check_references else [])],
    }
    lists = {
        "searchInclude": _includes(searchable),
        "searchRevInclude": [i for s in SEARCHABLE.values() for i in _includes(s, searchable.type)],
        "searchParam": [{"name": p.name, "definition": p.url, "type": p.kind} for p in searchable.parameters.values()],
        "operation": [_operation(o) for o in _offered(services) if o.types & {searchable.type, "*"}],
    }
    return made | {name: values for name, values in lists.items() if values}


def _includes(searchable: Searchable, target: str = "") -> list[str]:
    """Return ``Type:parameter`` of the references of a type, to another type alone when one is named."""
    if searchable.type in READ_ONLY:  # it is not in the store whose resources come along
        return []
    return [
        f"{searchable.type}:{p.name}"
        for p in searchable.parameters.values()
        if p.kind == "reference" and (not target or not p.targets or target in p.targets)
    ]


def _offered(services: Services) -> list[Operation]:
    return [operation for operation in OPERATIONS if operation.offered(services)]


def _operation(operation: Operation) -> Mapping[str, str]:
    return {"name": operation.name, "definition": operation.definition}
