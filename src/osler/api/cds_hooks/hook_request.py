"""A call of a CDS service, understood.

References
----------
CDS Hooks 2.0, HTTP request; hook definitions patient-view 1.0, order-select 1.0, order-sign 1.0
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from osler.errors import Malformed
from osler.standards import fhir
from osler.standards.fhir import Resource

_CONTEXT: Final[Mapping[str, Mapping[str, type]]] = {
    "patient-view": {"userId": str, "patientId": str},
    "order-select": {"userId": str, "patientId": str, "selections": list, "draftOrders": dict},
    "order-sign": {"userId": str, "patientId": str, "draftOrders": dict},
}
"""What the context of each hook must have."""
_MAX_ID: Final = 255
_MAX_ORDERS: Final = 100


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call.

    Parameters
    ----------
    hook, instance : str
        Name of the hook; UUID of this call.
    user, patient : str
        ``Practitioner/x`` or its like; logical id of the Patient, as the caller names them.
    fhir_server : str
        Base URL of the caller's FHIR server without a slash at the end, or empty.
    access_token : str
        Bearer token for it, or empty.
    selections : tuple of str
        References of the orders that were chosen just now; empty for hooks that have none.
    orders : tuple of dict
        Draft orders.
    prefetch : mapping of str to dict or None
        None says that the caller looked and found nothing; a key that is absent, that it did not look.
    """

    hook: str
    instance: str
    user: str
    patient: str
    fhir_server: str
    access_token: str
    selections: tuple[str, ...]
    orders: tuple[Resource, ...]
    prefetch: Mapping[str, Resource | None]


def parse(body: bytes, hook: str) -> HookRequest:
    """Read the body of a call.

    Raises
    ------
    Malformed
        If it is not a call of this hook as the standard says. The message names the field and quotes nothing.
    """
    document = fhir.loads(body)
    if document.get("hook") != hook:
        raise Malformed(f"hook: this service is for {hook}")
    context = _object(document, "context")
    for name, kind in _CONTEXT[hook].items():
        if not isinstance(context.get(name), kind) or (kind is str and not context[name]):
            raise Malformed(f"context.{name}: is needed, as a {_JSON_NAMES[kind]}")
    server, token = _authorization(document)
    patient, prefetch = _patient(context["patientId"]), _prefetch(document)
    check_whose(prefetch, patient)
    return HookRequest(
        hook=hook,
        instance=_instance(document),
        user=context["userId"][:_MAX_ID],
        patient=patient,
        fhir_server=server,
        access_token=token,
        selections=tuple(s for s in context.get("selections", []) if isinstance(s, str)),
        orders=_orders(context.get("draftOrders", {})),
        prefetch=prefetch,
    )


_JSON_NAMES: Final[Mapping[type, str]] = {str: "string", list: "list", dict: "Bundle"}


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name}: an object is needed")
    return value


def _instance(document: Mapping[str, Any]) -> str:
    try:
        return str(uuid.UUID(document["hookInstance"]))
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Malformed("hookInstance: a UUID is needed") from None


def _patient(value: str) -> str:
    logical_id = value.removeprefix("Patient/")
    if not logical_id or len(logical_id) > _MAX_ID or not logical_id.isprintable() or "/" in logical_id:
        raise Malformed("context.patientId: not a logical id")
    return logical_id


def _authorization(document: Mapping[str, Any]) -> tuple[str, str]:
    server = document.get("fhirServer", "")
    if not isinstance(server, str) or (server and not _is_web_address(server)):
        raise Malformed("fhirServer: not a URL")
    authorization = document.get("fhirAuthorization")
    if authorization is None:
        return server.rstrip("/"), ""
    if not isinstance(authorization, dict) or not isinstance(authorization.get("access_token"), str):
        raise Malformed("fhirAuthorization.access_token: is needed, as a string")
    if not server:
        raise Malformed("fhirServer: is needed when there is a fhirAuthorization")
    token: str = authorization["access_token"]
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Malformed("fhirAuthorization.access_token: not a bearer token")
    return server.rstrip("/"), token


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and not parts.query and not parts.fragment and "@" not in parts.netloc
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname)


def _orders(bundle: Any) -> tuple[Resource, ...]:
    entries = bundle.get("entry", []) if isinstance(bundle, dict) else None
    if not isinstance(entries, list) or (bundle and bundle.get("resourceType") != "Bundle"):
        raise Malformed("context.draftOrders: a Bundle is needed")
    if len(entries) > _MAX_ORDERS:
        raise Malformed(f"context.draftOrders: more than {_MAX_ORDERS} entries")
    found = [entry.get("resource") for entry in entries if isinstance(entry, dict)]
    return tuple(r for r in found if isinstance(r, dict) and isinstance(r.get("resourceType"), str))


def _prefetch(document: Mapping[str, Any]) -> dict[str, Resource | None]:
    given = document.get("prefetch", {})
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(value is None or isinstance(value, dict) for value in given.values()):
        raise Malformed("prefetch: an object of resources is needed")
    return given


def check_whose(prefetch: Mapping[str, Resource | None], patient: str) -> None:
    """Refuse what is of somebody else: two charts must not meet in one card.

    Raises
    ------
    Malformed
        If the Patient is another one than ``patient``, or a resource says that it is of another.
    """
    for key, sent in prefetch.items():
        if sent is None:
            continue
        if key == "patient" and (sent.get("resourceType") != "Patient" or sent.get("id") != patient):
            raise Malformed("prefetch.patient: must be the Patient whom context.patientId names")
        if any(told not in ("", patient) for told in map(_whose, _resources(sent))):
            raise Malformed(f"prefetch.{key}: has a resource of another patient than context.patientId")


def _resources(sent: Resource) -> Iterator[Any]:
    yield sent
    entries = sent.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        yield entry.get("resource") if isinstance(entry, dict) else None


def _whose(resource: Any) -> str:
    """Return the logical id of the patient that a resource names; empty when it names none."""
    for name in ("subject", "patient"):
        pointer = resource.get(name) if isinstance(resource, dict) else None
        reference = pointer.get("reference") if isinstance(pointer, dict) else None
        if isinstance(reference, str):
            path = f"/{reference.partition('/_history/')[0]}"
            _, found, logical_id = path.rpartition("/Patient/")
            if found:
                return logical_id
    return ""
