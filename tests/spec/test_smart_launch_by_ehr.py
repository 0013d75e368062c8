"""``/oauth/launch``: an EHR that is registered for it begins launches, and nobody else does."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt

from osler.api.smart.assertion import ASSERTION_TYPE
from osler.api.smart.clients import Registration
from smart_flow import BASE, FHIR, REDIRECT, RESOURCES, App, SmartSite, back, patient

SECRET = "a secret of the EHR"
LAUNCH_URI = "https://app.example/launch?from=ehr"
SCOPE = "launch patient/Patient.rs"
ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "E1",
    "status": "in-progress",
    "class": {"code": "IMP"},
    "subject": {"reference": "Patient/P1"},
}
KEY = jwk.ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384", "use": "sig"})


class Ehr:
    def __init__(self, site: SmartSite) -> None:
        self.site = site
        add = site.services.clients.add
        self.client_id = add("EHR", "osler/launch", secret=SECRET)
        self.other = add("archive", "osler/introspect system/*.rs", secret=SECRET)
        self.public = add("page", "osler/launch", public=True, redirect_uris=("https://app.example/x",))
        keys = json.dumps({"keys": [KEY.as_dict(private=False)]})
        self.by_key = add("EHR with keys", "osler/launch", jwks=keys)
        launched = Registration(public=True, redirect_uris=(REDIRECT,), launch_uri=LAUNCH_URI)
        self.app = App(site.services.clients.register("chart", SCOPE, launched), SCOPE)
        self.gone = App(site.services.clients.register("old chart", SCOPE, launched), SCOPE)
        site.services.clients.disable(self.gone.client_id)
        self.standalone = site.app("launch/patient patient/Patient.rs")

    def ask(self, by: str | None = None, secret: str = SECRET, **fields: str | None) -> httpx.Response:
        form: dict[str, str | None] = {"app": self.app.client_id, "patient": "P1"} | fields
        sent = {name: value for name, value in form.items() if value is not None}
        return self.site.http.post("/oauth/launch", data=sent, auth=httpx.BasicAuth(by or self.client_id, secret))


@pytest.fixture(scope="module")
def ehr(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    folder = tmp_path_factory.mktemp("launching")
    site = SmartSite(new_sqlite(folder / "osler.db"), folder, resources=(*RESOURCES, patient("P4", "Dale"), ENCOUNTER))
    yield Ehr(site)
    site.stop()


def test_the_app_that_an_ehr_starts_knows_where_it_is(ehr: Ehr) -> None:
    answer = ehr.ask(
        encounter="E1",
        fhirContext="ImagingStudy/i1 Task/t1",
        intent="review",
        need_patient_banner="false",
        person="ann",
        smart_style_url="https://ehr.example/style.json",
    )

    made = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert made.keys() == {"launch_url", "iss", "launch", "expires_in"}
    assert (made["iss"], made["expires_in"]) == (FHIR, 300)
    assert made["launch_url"].startswith("https://app.example/launch?")
    assert parse_qs(urlsplit(made["launch_url"]).query) == {"from": ["ehr"], "iss": [FHIR], "launch": [made["launch"]]}
    entry = ehr.site.entry()
    assert (entry.event, entry.patient, entry.agent) == ("launch-created", "P1", ehr.client_id)
    told = tokens(ehr.site, ehr.app, made["launch"])
    context = ("patient", "encounter", "intent", "need_patient_banner", "smart_style_url", "fhirContext")
    assert [told[name] for name in context] == [
        "P1",
        "E1",
        "review",
        False,
        "https://ehr.example/style.json",
        [{"reference": "ImagingStudy/i1"}, {"reference": "Task/t1"}],
    ]


def tokens(site: SmartSite, app: App, handle: str) -> dict[str, Any]:
    browser = site.consent(app, site.browser(), launch=handle)
    browser.submit(decision="allow")
    return site.token(app.exchange(back(browser)["code"]))


REFUSED: list[tuple[str, Callable[[Ehr], dict[str, Any]], int, str]] = [
    ("a secret that is wrong", lambda e: {"secret": "x" * 12}, 401, "invalid_client"),
    ("a client of other rights", lambda e: {"by": e.other}, 403, "unauthorized_client"),
    ("no app", lambda e: {"app": None}, 400, "invalid_request"),
    ("an app of nobody", lambda e: {"app": "nobody"}, 400, "invalid_request"),
    ("an app of NUL", lambda e: {"app": "a\0"}, 400, "invalid_request"),
    ("an app that is shut out", lambda e: {"app": e.gone.client_id}, 400, "invalid_request"),
    ("an app that cannot be launched", lambda e: {"app": e.standalone.client_id}, 400, "invalid_request"),
    ("no patient", lambda e: {"patient": None}, 400, "invalid_request"),
    ("a patient of no record", lambda e: {"patient": "P9"}, 400, "invalid_request"),
    ("a patient that is a path", lambda e: {"patient": "../P1"}, 400, "invalid_request"),
    ("an encounter of no record", lambda e: {"encounter": "E9"}, 400, "invalid_request"),
    ("an encounter of another", lambda e: {"patient": "P2", "encounter": "E1"}, 400, "invalid_request"),
    ("another patient in context", lambda e: {"fhirContext": "Patient/P2"}, 400, "invalid_request"),
    ("a context that is no reference", lambda e: {"fhirContext": "http://a.example/Task/1"}, 400, "invalid_request"),
    ("an intent of two lines", lambda e: {"intent": "a\nb"}, 400, "invalid_request"),
    ("a banner that is neither", lambda e: {"need_patient_banner": "maybe"}, 400, "invalid_request"),
    ("a person of NUL", lambda e: {"person": "ann\0"}, 400, "invalid_request"),
]


@pytest.mark.parametrize(("rule", "asked", "status", "error"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_could_not_be_a_launch_is_refused(
    ehr: Ehr, rule: str, asked: Callable[[Ehr], dict[str, Any]], status: int, error: str
) -> None:
    held = ehr.site.count("launch")

    answer = ehr.ask(**asked(ehr))

    assert (answer.status_code, answer.json()["error"]) == (status, error), (rule, answer.text)
    assert ehr.site.count("launch") == held
    assert ehr.site.entry().event == "access-denied"


def test_a_public_client_begins_nothing(ehr: Ehr) -> None:
    form = {"client_id": ehr.public, "app": ehr.app.client_id, "patient": "P1"}

    answer = ehr.site.http.post("/oauth/launch", data=form)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_no_token_gives_the_right(ehr: Ehr) -> None:
    auth = httpx.BasicAuth(ehr.client_id, SECRET)
    form = {"grant_type": "client_credentials", "scope": "osler/launch"}

    answer = ehr.site.http.post("/oauth/token", data=form, auth=auth)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_an_assertion_begins_one_launch(ehr: Ehr) -> None:
    now = int(ehr.site.clock())
    claims = {"iss": ehr.by_key, "sub": ehr.by_key, "aud": f"{BASE}/oauth/token", "exp": now + 200, "jti": "one"}
    proof = jwt.encode({"alg": "ES384", "kid": "k1", "typ": "JWT"}, claims, KEY, algorithms=["ES384"])
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": proof, "app": ehr.app.client_id}

    def ask(logical_id: str) -> tuple[int, str]:
        answer = ehr.site.http.post("/oauth/launch", data=form | {"patient": logical_id})
        return answer.status_code, answer.json().get("error", "")

    assert ask("P9") == (400, "invalid_request")
    assert ask("P1") == (200, "")
    assert ask("P1") == (401, "invalid_client")


def test_a_deleted_patient_is_none(ehr: Ehr) -> None:
    resources = ehr.site.services.resources

    def delete(connection: Any) -> None:
        held = resources.held(connection, "Patient", "P4")
        assert held is not None
        resources.delete(connection, held)

    assert ehr.ask(patient="P4").status_code == 200
    ehr.site.database.write(delete)
    assert ehr.ask(patient="P4").status_code == 400
