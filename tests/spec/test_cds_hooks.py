"""CDS Hooks 2.0, rule by rule, on a real socket: discovery, trust, prefetch, cards and feedback."""

import datetime
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from osler.api.app import create_app
from osler.api.cds_hooks.feedback import CardStore
from osler.api.services import Services
from osler.api.smart.clients import ClientStore
from osler.api.smart.tokens import TokenStore
from osler.audit import AuditLog
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.storage import Database
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

BASE = "http://127.0.0.1:8080"
KEY = jwk.ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384", "use": "sig"})
OTHER = jwk.ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384"})
AIAST = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
LOINC = "http://loinc.org"
TODAY = datetime.datetime.now(datetime.UTC).date()


def days_ago(days: int) -> str:
    return (TODAY - datetime.timedelta(days=days)).isoformat()


PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:mrn", "value": "M,1"}],
    "gender": "female",
    "birthDate": "1955-06-15",
}
FINDING = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"security": [AIAST]},
    "status": "preliminary",
    "code": {"text": "pneumonia"},
    "subject": {"reference": "Patient/p1"},
    "device": {"reference": "Device/d1", "display": "cxr@1.0.0"},
}
REPORT = {
    "resourceType": "DiagnosticReport",
    "id": "r1",
    "meta": {"security": [AIAST]},
    "status": "preliminary",
    "code": {"text": "AI result: cxr@1.0.0"},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": days_ago(3),
    "result": [{"reference": "Observation/o1"}],
    "imagingStudy": [{"reference": "ImagingStudy/s1"}],
    "conclusion": "Made by artificial intelligence. pneumonia: suspected.",
}
ALERT = {
    "resourceType": "Communication",
    "id": "c1",
    "status": "completed",
    "subject": {"reference": "Patient/p1"},
    "about": [{"reference": "DiagnosticReport/r1"}, {"reference": "Observation/o1"}],
    "sent": f"{days_ago(3)}T10:00:00Z",
}
STUDY = {
    "resourceType": "ImagingStudy",
    "id": "s1",
    "status": "available",
    "subject": {"reference": "Patient/p1"},
    "started": days_ago(3),
    "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"}],
    "description": "CHEST PA",
}
TASK = {
    "resourceType": "Task",
    "id": "t1",
    "status": "requested",
    "intent": "order",
    "for": {"reference": "Patient/p1"},
    "focus": {"reference": "Observation/o1"},
    "code": {"text": "CT of the chest for the nodule"},
    "restriction": {"period": {"end": days_ago(10)}},
}


def creatinine(value: str, when: str, code: str = "2160-0", unit: str = "mg/dL") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "effectiveDateTime": when,
        "valueQuantity": {"value": float(value), "code": unit, "system": "http://unitsofmeasure.org"},
    }


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]}


def order(text: str, logical_id: str = "n1") -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": logical_id,
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": {"text": text},
    }


class Hub:
    """A hub, a CDS client that is registered with it, and that client's FHIR server."""

    def __init__(self, url: str, folder: Path) -> None:
        database = Database(url)
        keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
        sealer = keys.sealer("record")
        self.ehr_answers: dict[str, Response] = {}
        self.ehr_asked: list[Request] = []
        ehr = Starlette(routes=[Route("/fhir/{rest:path}", self._ehr)])
        self.ehr = WebServer(ehr, "127.0.0.1:0")
        self.ehr.start()
        self.audit = AuditLog(database, signing_key=Ed25519PrivateKey.generate(), checkpoints=folder / "checkpoints")
        self.services = Services(
            base_url=BASE,
            database=database,
            audit=self.audit,
            resources=ResourceStore(database, sealer=sealer, index=keys.index),
            search=ResourceSearch(database, sealer=sealer, index=keys.index),
            clients=ClientStore(database),
            tokens=TokenStore(database),
            accept=lambda received: None,
            metrics=Metrics(),
            cards=CardStore(database, sealer),
            cds_fhir_hosts=("127.0.0.1", "ehr.example"),
        )
        jwks = json.dumps({"keys": [KEY.as_dict(private=False)]})
        self.client_id = self.services.clients.add("ehr", "system/Patient.rs", jwks=jwks)
        self.server = WebServer(create_app(self.services), "127.0.0.1:0")
        self.server.start()
        self.http = httpx.Client(base_url=self.server.url)
        database.write(self._fill)

    def _fill(self, connection: Any) -> None:
        for resource in (PATIENT, FINDING, REPORT, ALERT, STUDY, TASK):
            self.services.resources.put(connection, json.loads(json.dumps(resource)))

    async def _ehr(self, request: Request) -> Response:
        self.ehr_asked.append(request)
        return self.ehr_answers.get(request.path_params["rest"], JSONResponse({}, 404))

    def proof(self, path: str, *, key: Any = KEY, header: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        said = {"iss": self.client_id, "aud": BASE + path, "iat": now, "exp": now + 200, "jti": str(uuid.uuid4())}
        head = {"alg": "ES384", "kid": "k1", "typ": "JWT"} | (header or {})
        kept = {name: value for name, value in (said | claims).items() if value is not None}
        return jwt.encode(head, kept, key, algorithms=["ES384", "RS384", "HS256"])

    def call(self, service: str, body: dict[str, Any], *, suffix: str = "") -> httpx.Response:
        path = f"/cds-services/{service}{suffix}"
        return self.http.post(path, json=body, headers={"authorization": f"Bearer {self.proof(path)}"})

    def close(self) -> None:
        self.http.close()
        self.server.stop()
        self.ehr.stop()
        self.services.database.close()


@pytest.fixture(scope="module")
def hub(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("cds")
    made = Hub(new_sqlite(folder / "osler.db"), folder)
    yield made
    made.close()


def view(**changes: Any) -> dict[str, Any]:
    return {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/u", "patientId": "p1"},
        "prefetch": {"patient": PATIENT},
    } | changes


def signing(*orders: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "hook": "order-sign",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/u", "patientId": "p1", "draftOrders": bundle(*orders)},
        "prefetch": {"patient": PATIENT, "kidney": None},
    } | changes


def cards(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return list(answer.json()["cards"])


def topics(answer: httpx.Response) -> list[str]:
    return [card["source"]["topic"]["code"] for card in cards(answer)]


def test_discovery_is_open_and_says_what_each_service_needs(hub: Hub) -> None:
    services = hub.http.get("/cds-services").json()["services"]

    assert [(s["id"], s["hook"]) for s in services] == [
        ("osler-patient-view", "patient-view"),
        ("osler-order-select", "order-select"),
        ("osler-order-sign", "order-sign"),
    ]
    for service in services:
        assert service["description"]
        assert service["title"]
        assert service["prefetch"]["patient"] == "Patient/{{context.patientId}}"


REFUSED = [
    ("no authorization", {"authorization": None}),
    ("another scheme", {"authorization": "Basic eDp5"}),
    ("no JWT", {"authorization": "Bearer x"}),
    ("another key under the same kid", {"key": OTHER}),
    ("a kid that is not registered", {"header": {"kid": "k2"}}),
    ("a path as kid", {"header": {"kid": "../k1"}}),
    ("a jku that is not registered", {"header": {"jku": "https://evil.example/jwks"}}),
    ("a key in the header", {"header": {"jwk": OTHER.as_dict(private=False)}}),
    ("another type", {"header": {"typ": "at+jwt"}}),
    ("an issuer that is not registered", {"iss": "nobody"}),
    ("another audience", {"aud": "https://elsewhere.example/cds-services/osler-patient-view"}),
    ("the audience of another endpoint", {"aud": f"{BASE}/cds-services/osler-order-sign"}),
    ("the audience of all", {"aud": f"{BASE}/cds-services"}),
    ("expired", {"exp": int(time.time()) - 60}),
    ("no end", {"exp": None}),
    ("a life of an hour", {"exp": int(time.time()) + 3600}),
    ("issued in the future", {"iat": int(time.time()) + 3600}),
    ("no time of issue", {"iat": None}),
    ("no id", {"jti": None}),
    ("not valid yet", {"nbf": int(time.time()) + 3600}),
]


@pytest.mark.parametrize(("why", "how"), REFUSED, ids=[why for why, _ in REFUSED])
def test_who_does_not_prove_itself_is_refused_and_on_record(hub: Hub, why: str, how: dict[str, Any]) -> None:
    path = "/cds-services/osler-patient-view"
    headers = {"authorization": how["authorization"]} if how.get("authorization") else {}
    if "authorization" not in how:
        headers = {"authorization": f"Bearer {hub.proof(path, **how)}"}

    answer = hub.http.post(path, json=view(), headers=headers)

    assert answer.status_code == 401
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert hub.audit.search(event="access-denied", limit=1)


def test_algorithms_that_prove_nothing_are_refused(hub: Hub) -> None:
    path = "/cds-services/osler-patient-view"
    public = json.dumps(KEY.as_dict(private=False))
    secret = jwk.OctKey.import_key(public)
    unsigned = hub.proof(path).split(".")
    none = "eyJhbGciOiJub25lIiwia2lkIjoiazEiLCJ0eXAiOiJKV1QifQ"

    for token in (hub.proof(path, key=secret, header={"alg": "HS256"}), f"{none}.{unsigned[1]}."):
        answer = hub.http.post(path, json=view(), headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401


def test_a_jwt_holds_once(hub: Hub) -> None:
    path = "/cds-services/osler-patient-view"
    headers = {"authorization": f"Bearer {hub.proof(path)}"}

    assert [hub.http.post(path, json=view(), headers=headers).status_code for _ in range(2)] == [200, 401]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (view(hook="order-sign"), 400, "hook"),
        (view(hookInstance="1"), 400, "hookInstance"),
        (view(context=None), 400, "context"),
        (view(context={"userId": "Practitioner/u"}), 400, "context.patientId"),
        (view(context={"patientId": "p1"}), 400, "context.userId"),
        (view(context={"userId": "Practitioner/u", "patientId": "a/b/c"}), 400, "context.patientId"),
        (view(prefetch=[1]), 400, "prefetch"),
        (view(fhirServer="ftp://x"), 400, "fhirServer"),
        (view(fhirServer="https://ehr.example@x.example/fhir"), 400, "fhirServer"),
        (view(fhirServer="http://["), 400, "fhirServer"),
        (view(fhirServer="http://x/fhir?to="), 400, "fhirServer"),
        (view(fhirAuthorization={"access_token": "t"}), 400, "fhirServer"),
        (view(fhirServer="http://x", fhirAuthorization={}), 400, "fhirAuthorization.access_token"),
    ],
)
def test_a_call_that_is_not_as_the_standard_says(hub: Hub, body: dict[str, Any], status: int, words: str) -> None:
    answer = hub.call("osler-patient-view", body)

    assert answer.status_code == status
    assert words in answer.json()["issue"][0]["diagnostics"]


def test_more_orders_than_anybody_drafts_are_refused(hub: Hub) -> None:
    answer = hub.call("osler-order-sign", signing(*[order("CT chest")] * 101))
    assert (answer.status_code, "draftOrders" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("patient", {"resourceType": "Patient", "id": "p1", "identifier": 5}),
        ("patient", PATIENT | {"identifier": [{"value": f"v{number}"} for number in range(500)]}),
        ("kidney", bundle(creatinine("1", TODAY.isoformat()) | {"code": {"coding": [5]}})),
        ("kidney", bundle(creatinine("1", TODAY.isoformat()) | {"code": 5, "status": []})),
    ],
)
def test_what_is_sent_along_and_is_no_fhir_shows_nothing(hub: Hub, name: str, resource: dict[str, Any]) -> None:
    sent = {"patient": PATIENT, "kidney": None} | {name: resource}
    body = signing(order("CT chest with contrast"), fhirServer="http://ehr.example/fhir", prefetch=sent)
    assert "contrast-kidney" not in topics(hub.call("osler-order-sign", body))


def test_a_service_that_is_not_there(hub: Hub) -> None:
    assert hub.call("osler-nothing", view()).status_code == 404


def test_a_body_of_another_type(hub: Hub) -> None:
    path = "/cds-services/osler-patient-view"
    headers = {"authorization": f"Bearer {hub.proof(path)}", "content-type": "text/plain"}

    assert hub.http.post(path, content="{}", headers=headers).status_code == 415


def test_patient_view_shows_what_waits(hub: Hub) -> None:
    finding, follow_up = cards(hub.call("osler-patient-view", view()))

    assert finding["indicator"] == "critical"
    assert finding["summary"] == "Critical AI finding not yet reviewed: pneumonia"
    assert "Made by artificial intelligence" in finding["detail"]
    assert follow_up["indicator"] == "warning"
    assert follow_up["summary"].startswith("Overdue follow-up: CT of the chest for the nodule (")
    for card in (finding, follow_up):
        assert len(card["summary"]) < 140
        assert card["source"]["label"]
        assert uuid.UUID(card["uuid"])
        assert card["overrideReasons"][0].keys() == {"code", "system", "display"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (REPORT | {"status": "final"}, ["overdue-follow-up"]),
        (ALERT | {"about": []}, ["overdue-follow-up"]),
        (TASK | {"status": "completed"}, ["unreviewed-ai-finding"]),
        (TASK | {"focus": {"reference": "Encounter/e"}}, ["unreviewed-ai-finding"]),
        (TASK | {"restriction": {"period": {"end": "2999"}}}, ["unreviewed-ai-finding"]),
        (REPORT | {"meta": {"security": [AIAST, RESTRICTED]}}, ["overdue-follow-up"]),
        (REPORT | {"subject": {"reference": "Patient/p2"}}, ["overdue-follow-up"]),
    ],
)
def test_what_does_not_wait_is_not_shown(hub: Hub, changed: dict[str, Any], expected: list[str]) -> None:
    before = next(r for r in (REPORT, ALERT, TASK) if r["id"] == changed["id"])
    hub.services.database.write(lambda c: hub.services.resources.put(c, dict(changed)))
    try:
        assert topics(hub.call("osler-patient-view", view())) == expected
    finally:
        hub.services.database.write(lambda c: hub.services.resources.put(c, dict(before)))


@pytest.mark.parametrize(
    ("words", "kidney", "expected"),
    [
        ("CT chest with contrast", creatinine("2.5", days_ago(5)), ["contrast-kidney"]),
        ("CT chest with contrast", creatinine("221", days_ago(5), "14682-9", "umol/L"), ["contrast-kidney"]),
        ("CT chest with contrast", creatinine("25", days_ago(5), "98979-8", "mL/min"), ["contrast-kidney"]),
        ("CT chest with contrast", creatinine("0.8", days_ago(5)), []),
        ("CT chest with contrast", creatinine("2.5", days_ago(120)), ["contrast-kidney-unknown"]),
        ("CT chest with contrast", None, ["contrast-kidney-unknown"]),
        ("CT chest without contrast", creatinine("2.5", days_ago(5)), []),
        ("MRI brain with contrast", creatinine("1.4", days_ago(5)), []),
        ("MRI brain with contrast", creatinine("2.5", days_ago(5)), ["contrast-kidney"]),
        ("Complete blood count", creatinine("2.5", days_ago(5)), []),
        ("XR chest 2 views", None, ["comparable-study"]),
        ("XR knee 2 views", None, []),
        ("CT chest without contrast", None, []),
    ],
)
def test_order_sign(hub: Hub, words: str, kidney: dict[str, Any] | None, expected: list[str]) -> None:
    prefetch = {"patient": PATIENT, "kidney": bundle(kidney) if kidney else None}

    assert topics(hub.call("osler-order-sign", signing(order(words), prefetch=prefetch))) == expected


def test_a_comparable_study_offers_to_remove_the_order(hub: Hub) -> None:
    (card,) = cards(hub.call("osler-order-sign", signing(order("XR chest 2 views"))))
    (suggestion,) = card["suggestions"]

    assert suggestion["actions"] == [
        {"type": "delete", "description": "Remove the order", "resourceId": "ServiceRequest/n1"}
    ]
    assert card["selectionBehavior"] == "at-most-one"
    assert [r["code"] for r in card["overrideReasons"]] == ["clinical-change", "other-question", "insufficient-quality"]


def test_contrast_names_the_guideline_and_the_value(hub: Hub) -> None:
    prefetch = {"patient": PATIENT, "kidney": bundle(creatinine("2.5", days_ago(5)), creatinine("0.8", days_ago(60)))}
    (card,) = cards(hub.call("osler-order-sign", signing(order("CT chest with contrast"), prefetch=prefetch)))

    assert card["indicator"] == "critical"
    assert card["summary"].startswith("eGFR 20 ")
    assert "CKD-EPI 2021 from a creatinine of 2.50 mg/dL" in card["detail"]
    assert card["source"]["url"].startswith("https://doi.org/")


def test_order_select_looks_at_what_was_selected_alone(hub: Hub) -> None:
    drafts = bundle(order("XR chest 2 views", "n1"), order("CT chest with contrast", "n2"))
    context = {"userId": "Practitioner/u", "patientId": "p1", "draftOrders": drafts}

    def select(*chosen: str) -> list[str]:
        body = signing(hook="order-select", context=context | {"selections": list(chosen)})
        return topics(hub.call("osler-order-select", body))

    assert select("ServiceRequest/n1") == ["comparable-study"]
    assert select("ServiceRequest/n2") == ["contrast-kidney-unknown"]
    assert select() == []


class TestPrefetch:
    """What is null was looked for and is not there; what is absent may be asked for."""

    def ask(self, hub: Hub, **changes: Any) -> httpx.Response:
        body = signing(order("CT chest with contrast"), **changes)
        return hub.call("osler-order-sign", body)

    def server(self, hub: Hub) -> dict[str, Any]:
        hub.ehr_asked.clear()
        return {
            "fhirServer": f"{hub.ehr.url}/fhir",
            "fhirAuthorization": {
                "access_token": "t0ken", "token_type": "Bearer", "expires_in": 300, "scope": "x", "subject": "s",
            },
        }  # fmt: skip

    def test_what_is_null_is_not_asked_for(self, hub: Hub) -> None:
        assert topics(self.ask(hub, **self.server(hub))) == ["contrast-kidney-unknown"]
        assert hub.ehr_asked == []

    def test_what_is_absent_is_fetched_with_the_token(self, hub: Hub) -> None:
        hub.ehr_answers = {"Observation": JSONResponse(bundle(creatinine("2.5", days_ago(5))))}

        assert topics(self.ask(hub, prefetch={"patient": PATIENT}, **self.server(hub))) == ["contrast-kidney"]
        (asked,) = hub.ehr_asked
        assert asked.headers["authorization"] == "Bearer t0ken"
        assert asked.query_params["patient"] == "p1"

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (JSONResponse({}, 500), "status 500"),
            (JSONResponse({}, 401), "status 401"),
            (Response("x"), "not FHIR JSON"),
            (
                JSONResponse(bundle({**creatinine("2.5", days_ago(5)), "subject": {"reference": "Patient/p2"}})),
                "of another patient",
            ),
            (Response(status_code=302, headers={"location": "http://169.254.169.254/"}), "status 302"),
        ],
    )
    def test_what_cannot_be_fetched_is_a_failed_precondition(self, hub: Hub, answer: Response, words: str) -> None:
        hub.ehr_answers = {"Observation": answer}

        refused = self.ask(hub, prefetch={"patient": PATIENT}, **self.server(hub))

        assert refused.status_code == 412
        assert words in refused.json()["issue"][0]["diagnostics"]

    @pytest.mark.parametrize(
        "url", ["https://169.254.169.254/fhir", "https://10.0.0.1/fhir", "https://other.example/fhir"]
    )
    def test_a_server_that_is_not_listed_is_not_asked(self, hub: Hub, url: str) -> None:
        refused = self.ask(hub, prefetch={"patient": PATIENT}, fhirServer=url)

        assert refused.status_code == 412
        assert "cds.fhir_hosts" in refused.json()["issue"][0]["diagnostics"]

    @pytest.mark.parametrize(
        "url",
        [
            "http://169.254.169.254/fhir",
            "http://10.0.0.1/fhir",
            "http://ehr.example/fhir",
            "https://ehr.example:port/fhir",
        ],
    )
    def test_no_token_goes_out_in_clear_or_to_what_only_looks_listed(self, hub: Hub, url: str) -> None:
        refused = self.ask(hub, prefetch={"patient": PATIENT}, fhirServer=url)

        assert refused.status_code == 412
        assert "fhirServer: the address is not" in refused.json()["issue"][0]["diagnostics"]

    def test_nothing_sent_and_nobody_to_ask(self, hub: Hub) -> None:
        for known in ("p1", "unknown"):
            body = view(prefetch={}, context={"userId": "Practitioner/u", "patientId": known})
            refused = hub.call("osler-patient-view", body)

            assert refused.status_code == 412
            assert "prefetch.patient was not sent" in refused.json()["issue"][0]["diagnostics"]

    def test_the_hub_itself_may_be_the_server(self, hub: Hub) -> None:
        body = view(prefetch={}, fhirServer=f"{BASE}/fhir/R4")
        assert topics(hub.call("osler-patient-view", body)) == ["unreviewed-ai-finding", "overdue-follow-up"]

    @pytest.mark.parametrize(
        "prefetch",
        [
            {"patient": PATIENT | {"id": "p2"}, "kidney": None},
            {"patient": {"resourceType": "Observation", "id": "p1"}, "kidney": None},
            *(
                {"patient": PATIENT, "kidney": bundle(creatinine("2.5", days_ago(5)) | {"subject": {"reference": ref}})}
                for ref in ("Patient/p2", "https://ehr.example/fhir/Patient/p2", "Patient/p2/_history/1")
            ),
        ],
    )
    def test_what_is_somebody_elses_is_refused(self, hub: Hub, prefetch: dict[str, Any]) -> None:
        assert self.ask(hub, prefetch=prefetch).status_code == 400

    @pytest.mark.parametrize("ref", ["Patient/p1", "https://ehr.example/fhir/Patient/p1", "#p", "Group/p2"])
    def test_what_is_the_patients_or_nobodys_is_taken(self, hub: Hub, ref: str) -> None:
        kidney = bundle(creatinine("2.5", days_ago(5)) | {"subject": {"reference": ref}})
        assert topics(self.ask(hub, prefetch={"patient": PATIENT, "kidney": kidney})) == ["contrast-kidney"]


class TestIdentity:
    """Another server's ids mean nothing here: the patient is found by identifier, or not at all."""

    def shown(self, hub: Hub, patient: dict[str, Any]) -> list[str]:
        context = {"userId": "Practitioner/u", "patientId": patient["id"]}
        body = view(fhirServer="http://ehr.example/fhir", prefetch={"patient": patient}, context=context)
        return topics(hub.call("osler-patient-view", body))

    def test_the_same_identifier_is_the_same_patient(self, hub: Hub) -> None:
        assert self.shown(hub, PATIENT | {"id": "other"}) == ["unreviewed-ai-finding", "overdue-follow-up"]

    @pytest.mark.parametrize(("born", "shown"), [("1955", 2), ("1955-06-15", 2), ("1956-06-15", 0), (None, 2)])
    def test_another_birth_date_is_another_patient(self, hub: Hub, born: str | None, shown: int) -> None:
        told = PATIENT | {"id": "other", "birthDate": born}
        assert len(self.shown(hub, {name: value for name, value in told.items() if value})) == shown

    @pytest.mark.parametrize(
        "identifier",
        [
            [],
            [{"system": "urn:other", "value": "M,1"}],
            [{"value": "M,1"}],
            [{"system": "urn:mrn", "value": "M"}],
            [{"system": "urn:mrn", "value": "1"}],
        ],
    )
    def test_the_same_id_on_another_server_is_not(self, hub: Hub, identifier: list[dict[str, str]]) -> None:
        assert self.shown(hub, PATIENT | {"identifier": identifier}) == []


class TestFeedback:
    """What became of the cards."""

    def card(self, hub: Hub) -> str:
        return str(cards(hub.call("osler-patient-view", view()))[0]["uuid"])

    def tell(self, hub: Hub, **entry: Any) -> httpx.Response:
        said = {"outcome": "overridden", "outcomeTimestamp": "2026-01-02T10:00:00Z"} | entry
        return hub.call("osler-patient-view", {"feedback": [said]}, suffix="/feedback")

    def test_an_override_is_kept_with_its_reason_and_model(self, hub: Hub) -> None:
        reason = {"reason": {"code": "not-relevant", "system": "urn:osler:cds"}, "userComment": "CANARY SMITH"}

        assert self.tell(hub, card=self.card(hub), overrideReason=reason).status_code == 200
        assert hub.services.cards is not None
        found = [t for t in hub.services.cards.tally("cxr") if t.reason == "not-relevant"]
        assert [(t.model, t.topic, t.outcome) for t in found] == [("cxr@1.0.0", "unreviewed-ai-finding", "overridden")]

    def test_what_a_person_wrote_is_sealed(self, hub: Hub) -> None:
        self.tell(hub, card=self.card(hub), overrideReason={"userComment": "CANARY SMITH"})
        files = [p for p in Path(str(hub.services.database.engine.url.database)).parent.iterdir() if p.is_file()]

        assert not [p for p in files if b"CANARY" in p.read_bytes()]

    def test_an_acceptance_is_kept(self, hub: Hub) -> None:
        card = self.card(hub)

        answer = self.tell(hub, card=card, outcome="accepted", acceptedSuggestions=[{"id": str(uuid.uuid4())}])
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("entry", "status"),
        [
            ({"card": "not-a-card"}, 404),
            ({"outcome": "ignored"}, 400),
            ({"outcome": "accepted"}, 400),
            ({"outcomeTimestamp": "yesterday"}, 400),
            ({"overrideReason": "because"}, 400),
            ({"card": None}, 400),
            ({"card": "\0"}, 400),
            ({"overrideReason": {"reason": {"code": "\0"}}}, 400),
        ],
    )
    def test_what_cannot_be_taken(self, hub: Hub, entry: dict[str, Any], status: int) -> None:
        assert self.tell(hub, **{"card": self.card(hub)} | entry).status_code == status


def test_each_call_is_on_record_with_its_patient(hub: Hub) -> None:
    hub.call("osler-patient-view", view())
    (entry,) = hub.audit.search(event="cds-called", limit=1)

    assert entry.patient == "p1"
    assert "DiagnosticReport/r1" in json.dumps(entry.resource)
