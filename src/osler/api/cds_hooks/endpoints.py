"""Discovery, the services and their feedback, over HTTP.

References
----------
CDS Hooks 2.0
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osler.api.cds_hooks.cards import Card, Link, ordered, to_json
from osler.api.cds_hooks.chart import Chart, Store
from osler.api.cds_hooks.feedback import CardStore, parse_feedback
from osler.api.cds_hooks.hook_request import HookRequest, parse
from osler.api.cds_hooks.imaging_orders import CREATININE, EGFR, LOINC, order_cards
from osler.api.cds_hooks.patient_view import patient_view
from osler.api.guard import CLIENT_KEY, address_of
from osler.api.services import Services
from osler.api.smart.assertion import Assertion, verify_assertion
from osler.api.smart.clients import Client
from osler.api.smart.key_sets import ClientKeys
from osler.api.smart.paths import names_of
from osler.audit import Agent, AuditRecord
from osler.errors import Malformed, NotFound, OslerError, StorageBusy, TooLarge, Unauthenticated, UnsupportedMediaType
from osler.publish.hosts import AllowedHosts
from osler.standards.fhir import dumps

CODES: Final = "urn:osler:cds"
"""Code system of topics and override reasons."""
_MAX_BODY: Final = 5_000_000
_NO_STORE: Final = {"cache-control": "no-store"}
_PATIENT: Final = "Patient/{{context.patientId}}"
_KIDNEY: Final = (
    "Observation?patient={{context.patientId}}&code="
    + ",".join(f"{LOINC}|{code}" for code in (*CREATININE, *EGFR))
    + "&_sort=-date&_count=20"
)


@dataclass(frozen=True, slots=True)
class Service:
    """One CDS service: a row of the discovery document, and what makes its cards."""

    id: str
    hook: str
    title: str
    description: str
    prefetch: Mapping[str, str]
    cards: Callable[[Chart, HookRequest, tuple[Link, ...]], Iterator[Card]]


def _selected(chart: Chart, request: HookRequest, _links: tuple[Link, ...]) -> Iterator[Card]:
    chosen = {s.split("/_history/")[0] for s in request.selections}
    return order_cards(chart, tuple(o for o in request.orders if f"{o['resourceType']}/{o.get('id')}" in chosen))


SERVICES: Final[Mapping[str, Service]] = {
    s.id: s
    for s in (
        Service(
            "osler-patient-view",
            "patient-view",
            "AI findings that wait for you",
            "Shows critical findings of artificial intelligence that nobody has reviewed, and overdue follow-up.",
            {"patient": _PATIENT},
            lambda chart, _, links: patient_view(chart, links),
        ),
        Service(
            "osler-order-select",
            "order-select",
            "Imaging that exists, and contrast",
            "When imaging is chosen: a recent comparable study that AI has read, and what kidneys say of contrast.",
            {"patient": _PATIENT, "kidney": _KIDNEY},
            _selected,
        ),
        Service(
            "osler-order-sign",
            "order-sign",
            "Imaging that exists, and contrast",
            "Before imaging is signed: a recent comparable study that AI has read, and what kidneys say of contrast.",
            {"patient": _PATIENT, "kidney": _KIDNEY},
            lambda chart, request, _: order_cards(chart, request.orders),
        ),
    )
}
"""All services; discovery reads this table."""


class CdsHooks:
    """Endpoints of CDS Hooks."""

    def __init__(self, services: Services, cards: CardStore) -> None:
        self._services = services
        self._cards = cards
        self._hosts = AllowedHosts(services.cds_fhir_hosts, setting="cds.fhir_hosts")
        self._keys = ClientKeys(services.jwks_hosts, clock=services.tokens.clock)
        self._discovery = json.dumps({"services": [_row(service) for service in SERVICES.values()]})

    def discover(self, _request: Request) -> Response:
        """Answer ``GET /cds-services``; open to everybody."""
        return Response(self._discovery, media_type="application/json")

    async def call(self, request: Request) -> Response:
        """Answer ``POST /cds-services/{id}``."""
        service, proof, body = await self._enter(request, "")
        return await run_in_threadpool(self._call, request, service, proof, body)

    async def feedback(self, request: Request) -> Response:
        """Answer ``POST /cds-services/{id}/feedback``."""
        service, proof, body = await self._enter(request, "/feedback")
        return await run_in_threadpool(self._feedback, request, service, proof, body)

    async def _enter(self, request: Request, suffix: str) -> tuple[Service, Assertion, bytes]:
        """Let pass a client that proves itself, once, for this endpoint; only then is the body read."""
        service = SERVICES.get(request.path_params["id"])
        if service is None:
            raise NotFound("there is no such CDS service")
        proof = await run_in_threadpool(self._prove, request, f"/cds-services/{service.id}{suffix}")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMediaType("the body must be application/json")
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _MAX_BODY:
                raise TooLarge("the body is longer than 5 MB")
        return service, proof, body

    def _prove(self, request: Request, path: str) -> Assertion:
        services = self._services
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("a JWT of the CDS client is needed")
        now = services.tokens.clock()
        proof = verify_assertion(
            token.strip(),
            find=services.clients.find,
            key_of=self._keys.find,
            audiences=names_of(services.base_url, path),
            now=now,
            also="iat",
        )
        use = services.database.write(
            lambda c: services.tokens.use_assertion(c, proof.client.id, proof.jti, expires_at=proof.expires_at)
        )
        if not use:
            raise Unauthenticated("the JWT was used before")
        request.scope[CLIENT_KEY] = proof.client.id
        return proof

    def _call(self, request: Request, service: Service, proof: Assertion, body: bytes) -> Response:
        services = self._services
        asked = parse(body, service.hook)
        store = Store(services.search, services.fhir_base, services.tokens.clock)
        chart = Chart(asked, service.prefetch, store=store, hosts=self._hosts)
        cards = ordered(list(service.cards(chart, asked, self._links(proof.client, chart))))
        detail: dict[str, str | int] = {"service": service.id, "cards": len(cards), "user": asked.user}
        record = AuditRecord(
            event="cds-called",
            agent=Agent(proof.client.id, "client", address_of(request)),
            patient=chart.local or None,
            entities=tuple(card.about for card in cards if card.about),
            detail=detail,
        )

        def note(connection: Connection) -> None:
            client_id = proof.client.id
            self._cards.shown(
                connection, cards, service=service.id, client_id=client_id, patient=chart.local, now=chart.now
            )
            services.audit.append(connection, record)

        self._write(note)
        return _json({"cards": [to_json(card, codes=CODES) for card in cards]})

    def _feedback(self, request: Request, service: Service, proof: Assertion, body: bytes) -> Response:
        services = self._services
        given = parse_feedback(body)
        counts = {outcome: sum(one.outcome == outcome for one in given) for outcome in ("accepted", "overridden")}
        record = AuditRecord(
            event="cds-feedback",
            agent=Agent(proof.client.id, "client", address_of(request)),
            detail={"service": service.id, **counts},
        )

        def note(connection: Connection) -> None:
            now = services.tokens.clock()
            self._cards.answered(connection, given, service=service.id, client_id=proof.client.id, now=now)
            services.audit.append(connection, record)

        self._write(note)
        return _json({})

    def _write(self, change: Callable[[Connection], None]) -> None:
        try:
            self._services.database.write(change)
        except (NotFound, Malformed):
            raise
        except (OslerError, OSError) as error:
            raise StorageBusy("it cannot be written down, so nothing is answered") from error

    def _links(self, client: Client, chart: Chart) -> tuple[Link, ...]:
        if not client.launch_uri:
            return ()
        context = json.dumps({"patient": chart.local}) if chart.local else ""
        return (Link("Open the result", client.launch_uri, "smart", context),)


def routes(services: Services) -> list[Route]:
    """Return the routes of CDS Hooks; none when nothing keeps the cards."""
    if services.cards is None:
        return []
    hooks = CdsHooks(services, services.cards)
    return [
        Route("/cds-services", hooks.discover),
        Route("/cds-services/{id}", hooks.call, methods=["POST"]),
        Route("/cds-services/{id}/feedback", hooks.feedback, methods=["POST"]),
    ]


def _row(service: Service) -> dict[str, Any]:
    return {
        "id": service.id,
        "hook": service.hook,
        "title": service.title,
        "description": service.description,
        "prefetch": dict(service.prefetch),
    }


def _json(document: Mapping[str, Any]) -> Response:

    return Response(dumps(dict(document)), headers=_NO_STORE, media_type="application/json")
