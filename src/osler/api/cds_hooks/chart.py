"""What a service may look at: what the caller sent, what its FHIR server has, and what the hub itself keeps."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from osler.api.cds_hooks.hook_request import HookRequest, check_whose
from osler.domain.reach import Part, Reach
from osler.errors import DeliveryRefused, Malformed, PeerUnavailable, PreconditionFailed
from osler.publish.hosts import AllowedHosts, get
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.standards.fhir_query import parse_query
from osler.storage.resource_search import ResourceSearch

_FETCH_S: Final = 3.0
_MAX_ANSWER: Final = 5_000_000
_MAX_FOUND: Final = 100
_OPEN: Final[Reach] = (Part(),)  # no restricted ones: in a call like this nobody breaks the glass

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Store:
    """The hub's own resources, as far as a service looks into them.

    Parameters
    ----------
    search : ResourceSearch
    base : str
        Our FHIR base URL.
    clock : callable
        Seconds since the epoch, UTC.
    """

    search: ResourceSearch
    base: str
    clock: Callable[[], float]

    def find(self, type_name: str, *pairs: tuple[str, str]) -> list[Resource]:
        """Return the resources that a search finds, at most a hundred."""
        asked = [*pairs, ("_count", str(_MAX_FOUND)), ("_total", "none")]
        query = parse_query(type_name, asked, now=self.clock(), base=self.base, strict=True)
        page = self.search.search(query, lambda *_: _OPEN)
        return [fhir.loads(match.text) for match in page.matches]


class Chart:
    """One patient's chart during one call.

    Parameters
    ----------
    request : HookRequest
    templates : mapping of str to str
        Prefetch templates of the service.
    store : Store
    hosts : AllowedHosts
        FHIR servers that may be asked.
    """

    def __init__(
        self, request: HookRequest, templates: Mapping[str, str], *, store: Store, hosts: AllowedHosts
    ) -> None:
        self._request = request
        self._templates = templates
        self._store = store
        self._hosts = hosts
        self.now = store.clock()
        self.patient = self.prefetched("patient")
        self.local = self._local()

    @property
    def today(self) -> datetime.date:
        """The day in UTC."""
        return datetime.datetime.fromtimestamp(self.now, tz=datetime.UTC).date()

    def own(self, type_name: str, *pairs: tuple[str, str]) -> list[Resource]:
        """Return what the hub keeps of the patient; nothing when it does not know the patient."""
        if not self.local:
            return []
        return self._store.find(type_name, ("patient", f"Patient/{self.local}"), *pairs)

    def by_reference(self, references: Sequence[str], type_name: str) -> list[Resource]:
        """Return the patient's own resources of a type that references name."""
        ids = dict.fromkeys(r.split("/")[1] for r in references if r.startswith(f"{type_name}/"))
        return self.own(type_name, ("_id", ",".join(ids))) if ids else []

    def prefetched(self, key: str) -> Resource | None:
        """Return what a prefetch template asks for; None when the caller says that there is none.

        Raises
        ------
        PreconditionFailed
            If the caller did not send it, and it cannot be had from its FHIR server.
        """
        if key in self._request.prefetch:
            return self._request.prefetch[key]
        if not self._request.fhir_server:
            raise PreconditionFailed(f"prefetch.{key} was not sent, and there is no fhirServer to ask: send either")
        address = self._templates[key].replace("{{context.patientId}}", quote(self._request.patient, safe=""))
        if self._request.fhir_server == self._store.base:
            return self._own(address)
        return self._fetch(address, key)

    def _own(self, address: str) -> Resource | None:
        """Answer a template from the hub's own resources, when the server that the caller names is the hub."""
        path, _, query = address.partition("?")
        type_name, _, logical_id = path.partition("/")
        pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if "=" in pair]
        if logical_id:
            pairs.append(("_id", logical_id))
        found = self._store.find(type_name, *((name, value) for name, value in pairs if name != "_count"))
        if not logical_id:
            return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in found]}
        return found[0] if found else None

    def _fetch(self, address: str, key: str) -> Resource | None:
        headers = {"accept": "application/fhir+json"}
        if self._request.access_token:
            headers["authorization"] = f"Bearer {self._request.access_token}"
        url = f"{self._request.fhir_server}/{address}"
        try:
            status, body = get(url, self._hosts, headers=headers, most=_MAX_ANSWER, whole_s=_FETCH_S)
        except (DeliveryRefused, PeerUnavailable) as error:
            raise PreconditionFailed(f"prefetch.{key} was not sent, and fhirServer: {error}") from None
        if status in (404, 410):
            return None
        if status != 200:
            raise PreconditionFailed(f"prefetch.{key} was not sent, and fhirServer answered with status {status}")
        try:
            answer = fhir.loads(body)
        except Malformed:
            raise PreconditionFailed(f"prefetch.{key}: the answer of fhirServer is not FHIR JSON") from None
        try:
            check_whose({key: answer}, self._request.patient)
        except Malformed:
            raise PreconditionFailed(f"prefetch.{key}: fhirServer answered of another patient") from None
        return answer

    def _local(self) -> str:
        """Return the logical id that the patient has here; empty when it is not known, or not beyond doubt."""
        if self._request.fhir_server in ("", self._store.base):
            found = self._store.find("Patient", ("_id", self._request.patient))
        else:
            tokens = [escaped(f"{system}|{value}") for system, value in _identifiers(self.patient or {})]
            found = self._store.find("Patient", ("identifier", ",".join(tokens))) if tokens else []
            found = [one for one in found if _may_be(one, self.patient or {})]
        return str(found[0]["id"]) if len(found) == 1 else ""


def _may_be(one: Resource, other: Resource) -> bool:
    """Tell whether nothing is against two Patients with the same identifier being one: numbers are typed wrongly."""
    born, told = one.get("birthDate"), other.get("birthDate")
    if not isinstance(born, str) or not isinstance(told, str):
        return True
    return born.startswith(told) or told.startswith(born)


def escaped(text: str) -> str:
    """Write a token so that a comma in it is no alternative (R4 3.1.1.4.0)."""
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$")


def resources_of(bundle: Resource | None, type_name: str) -> Iterator[Resource]:
    """Yield the resources of a type in a Bundle, or the resource itself."""
    if bundle is None:
        return
    if bundle.get("resourceType") == type_name:
        yield bundle
    entries: Any = bundle.get("entry", [])
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == type_name:
            yield resource


def _identifiers(patient: Resource) -> Iterator[tuple[str, str]]:
    identifiers = patient.get("identifier")
    for identifier in identifiers[:_MAX_FOUND] if isinstance(identifiers, list) else []:
        if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
            system = identifier.get("system", "")
            if isinstance(system, str) and identifier["value"]:
                yield system, identifier["value"]
