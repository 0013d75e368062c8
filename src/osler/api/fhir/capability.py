"""What this server can do, read from the tables that do it: CapabilityStatement and SMART configuration."""

from typing import Any

import osler
from osler.api.oauth import TOKEN_PATH
from osler.api.services import Services
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.standards.fhir_search import SEARCHABLE, Searchable

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def capability_statement(services: Services, *, now: float) -> Resource:
    """Build the CapabilityStatement (R4) of this server; ``now`` in seconds since the epoch dates it."""
    token_url = services.base_url + TOKEN_PATH
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": fhir.instant(now),
        "kind": "instance",
        "software": {"name": "Osler", "version": osler.__version__},
        "implementation": {"description": "Results of medical AI on premise", "url": services.fhir_base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": "SMART-on-FHIR",
                                }
                            ]
                        }
                    ],
                    "extension": [{"url": _OAUTH_URIS, "extension": [{"url": "token", "valueUri": token_url}]}],
                },
                "resource": [_resource(searchable) for searchable in sorted(SEARCHABLE.values(), key=lambda s: s.type)],
            }
        ],
    }


def smart_configuration(services: Services) -> dict[str, Any]:
    """Build the SMART configuration: backend services alone, no sign-in of people."""
    return {
        "token_endpoint": services.base_url + TOKEN_PATH,
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": [
            "system/*.rs",
            *(f"system/{name}.rs" for name in sorted(SEARCHABLE)),
            "system/ImagingStudy.c",
        ],
        "capabilities": [
            "client-confidential-asymmetric",
            "client-confidential-symmetric",
            "permission-v1",
            "permission-v2",
        ],
    }


def _resource(searchable: Searchable) -> Resource:
    return {
        "type": searchable.type,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned",
        "readHistory": False,
        "searchParam": [{"name": p.name, "definition": p.url, "type": p.kind} for p in searchable.parameters.values()],
    }
