"""An EHR on a real socket that behaves as a test tells it to."""

import base64
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from osler.hub.web import WebServer

MRN = "http://hospital.example/mrn"
Answering = Callable[[Request, int], Response | None]


def patient(logical_id: str = "p1", **more: Any) -> dict[str, Any]:
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    return {
        "resourceType": "Patient",
        "id": logical_id,
        "identifier": [{"type": kind, "system": MRN, "value": f"MRN-{logical_id}"}],
    } | more


def observation(logical_id: str, of: str = "p1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin"}]},
        "subject": {"reference": f"Patient/{of}"},
    } | more


class FakeEhr:
    """The EHR: what it holds in ``resources``, how it misbehaves in ``instead``; ``stop`` it in the end.

    ``instead`` has a path (or "token") and what answers there in place of the EHR: it is given the request and how
    often it came, from 1; None lets the EHR answer.
    """

    def __init__(self) -> None:
        self.reset()
        app = Starlette(
            routes=[
                Route("/fhir/.well-known/smart-configuration", self._configuration),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
                Route("/.well-known/openid-configuration", self._openid),
                Route("/fhir/{type}", self._search),
                Route("/fhir/{type}/{id}", self._read),
            ]
        )
        self._server = WebServer(app, "127.0.0.1:0")
        self._server.start()
        self.url = self._server.url
        self.base = f"{self.url}/fhir"

    def reset(self) -> None:
        self.resources: list[dict[str, Any]] = []
        self.instead: dict[str, Answering] = {}
        self.calls = Counter[str]()
        self.assertions: list[dict[str, Any]] = []
        self.accepted: list[str] = []
        self.keys: list[dict[str, Any]] = []
        self.public: jwk.ECKey | jwk.RSAKey | None = None
        self.page = 2
        self.life_s = 3600
        self.scope: str | None = None

    def stop(self) -> None:
        self._server.stop()

    def _instead(self, name: str, request: Request) -> Response | None:
        self.calls[name] += 1
        answering = self.instead.get(name)
        return answering(request, self.calls[name]) if answering else None

    async def _configuration(self, request: Request) -> Response:
        default = JSONResponse({"token_endpoint": f"{self.url}/token", "capabilities": ["permission-v2"]})
        return self._instead("configuration", request) or default

    async def _token(self, request: Request) -> Response:
        form = dict(await request.form())
        changed = self._instead("token", request)
        if changed is not None:
            return changed
        if self.public is not None:
            claims = jwt.decode(str(form["client_assertion"]), self.public, algorithms=["ES384", "RS384"]).claims
            self.assertions.append(claims)
        token = f"token-{self.calls['token']}"
        self.accepted = [token]
        given = {"scope": self.scope} if self.scope is not None else {"scope": form.get("scope")}
        return JSONResponse(
            {"access_token": token, "token_type": "bearer", "expires_in": self.life_s} | given,
            headers={"cache-control": "no-store"},
        )

    async def _openid(self, request: Request) -> Response:
        return self._instead("openid", request) or Response(status_code=404)

    async def _jwks(self, request: Request) -> Response:
        return self._instead("jwks", request) or JSONResponse({"keys": self.keys})

    def _denied(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return None if token in self.accepted else Response(status_code=401)

    async def _search(self, request: Request) -> Response:
        name = request.path_params["type"]
        changed = self._instead(name, request) or self._denied(request)
        if changed is not None:
            return changed
        start = int(request.query_params.get("start", "0"))
        found = [r for r in self.resources if r["resourceType"] == name and self._fits(r, request)]
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": r, "search": {"mode": "match"}} for r in found[start : start + self.page]],
        }
        if start + self.page < len(found):
            query = {**dict(request.query_params), "start": str(start + self.page)}
            words = "&".join(f"{key}={value}" for key, value in query.items())
            bundle["link"] = [{"relation": "next", "url": f"{self.base}/{name}?{words}"}]
        return fhir_answer(bundle)

    def _fits(self, resource: dict[str, Any], request: Request) -> bool:
        wanted = request.query_params.get("identifier")
        if wanted:
            return any(f"{i['system']}|{i['value']}" == wanted for i in resource.get("identifier", []))
        category = request.query_params.get("category")
        return category in (None, resource.get("_category", "laboratory"))

    async def _read(self, request: Request) -> Response:
        name, logical_id = request.path_params["type"], request.path_params["id"]
        changed = self._instead(f"{name}/{logical_id}", request) or self._denied(request)
        if changed is not None:
            return changed
        for resource in self.resources:
            if (resource["resourceType"], resource["id"]) == (name, logical_id):
                return fhir_answer(resource)
        return Response(status_code=404)


def fhir_answer(resource: dict[str, Any], status: int = 200, **headers: str) -> Response:
    """Return a resource as FHIR JSON."""
    return Response(json.dumps(resource), status, headers, "application/fhir+json; charset=utf-8")


def binary(logical_id: str, content: bytes, content_type: str) -> dict[str, Any]:
    """Return a Binary."""
    return {
        "resourceType": "Binary",
        "id": logical_id,
        "contentType": content_type,
        "data": base64.b64encode(content).decode(),
    }


def document(logical_id: str, url: str, content_type: str, of: str = "p1") -> dict[str, Any]:
    """Return a DocumentReference whose content is elsewhere."""
    return {
        "resourceType": "DocumentReference",
        "id": logical_id,
        "status": "current",
        "subject": {"reference": f"Patient/{of}"},
        "content": [{"attachment": {"contentType": content_type, "url": url, "title": "Note"}}],
    }
