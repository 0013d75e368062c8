"""SMART App Launch 2.2: launches over HTTP, as a person and an app go through them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwk, jwt

from osler.api.smart.context import LaunchContext
from osler.api.smart.grants import GrantStore
from smart_flow import BASE, FHIR, PASSWORD, REDIRECT, SmartSite, back, claims_of

STANDALONE = "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs offline_access"
EHR = "launch openid fhirUser patient/*.rs user/Observation.rs"


@pytest.fixture(scope="module")
def site(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmartSite]:
    folder = tmp_path_factory.mktemp("smart")
    site = SmartSite(new_sqlite(folder / "osler.db"), folder)
    yield site
    site.stop()


# ---------------------------------------------------------------------------------------------- the whole way


def test_standalone_launch_from_sign_in_to_refresh(site: SmartSite) -> None:
    app, browser = site.app(STANDALONE), site.browser(None)

    browser.open(app.path(nonce="n-1"))
    assert browser.forms[0].fields.keys() >= {"username", "password"}
    browser.submit(username="ann", password=PASSWORD)
    assert "Choose a patient" in browser.text
    assert set(browser.forms[0].choices["patient"]) == {"P1", "P2"}
    browser.submit(patient="P1")
    assert "Allow Growth chart?" in browser.text
    assert "Ada Amber" in browser.text
    browser.submit(decision="allow")
    answer = back(browser)
    tokens = site.token(app.exchange(answer["code"]))

    assert (answer["state"], answer["iss"]) == (app.state, BASE)
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope", "patient", "refresh_token", "id_token"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["patient"]) == ("Bearer", 3600, "P1")
    assert tokens["scope"] == STANDALONE
    claims = claims_of(tokens["id_token"])
    assert claims["nonce"] == "n-1"
    assert site.read(tokens["access_token"], "Patient/P1").status_code == 200
    assert site.read(tokens["access_token"], "Observation/o1").json()["id"] == "o1"

    again = site.token({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})

    assert (again["patient"], again["scope"]) == ("P1", STANDALONE)
    assert again["refresh_token"] != tokens["refresh_token"]
    assert site.read(again["access_token"], "Observation/o1").status_code == 200


def test_both_databases_keep_what_was_allowed(database_url: str, tmp_path: Path) -> None:
    site = SmartSite(database_url, tmp_path)
    try:
        app = site.app(STANDALONE)
        code = site.code(app)
        first = site.token(app.exchange(code))
        again = site.token({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})
        assert site.read(again["access_token"], "Observation/o1").status_code == 200
        assert [grant.client_id for grant in GrantStore(site.database).of("ann", now=site.clock())] == [app.client_id]
        assert site.token(app.exchange(code))["error"] == "invalid_grant"
        assert site.read(again["access_token"], "Observation/o1").status_code == 401
        site.clock.advance(91 * 86400)
        site.tokens(app)
        assert site.count("access_grant") == site.count("refresh_token") == 1, "what is over is cleared away"
    finally:
        site.stop()


def test_ehr_launch_brings_the_context_of_the_ehr(site: SmartSite) -> None:
    app = site.app(EHR)
    context = LaunchContext(
        patient="P2",
        encounter="E1",
        fhir_context=("ImagingStudy/i1", "DiagnosticReport/r1"),
        intent="review",
        need_patient_banner=False,
        smart_style_url="https://hospital.example/style.json",
    )
    browser = site.browser()

    browser.open(app.path(launch=site.launch(app, context, person="ann")))
    assert "Choose a patient" not in browser.text
    browser.submit(decision="allow")
    tokens = site.token(app.exchange(back(browser)["code"]))

    assert tokens["patient"] == "P2"
    assert tokens["encounter"] == "E1"
    assert tokens["fhirContext"] == [{"reference": "ImagingStudy/i1"}, {"reference": "DiagnosticReport/r1"}]
    assert (tokens["intent"], tokens["need_patient_banner"]) == ("review", False)
    assert tokens["smart_style_url"] == "https://hospital.example/style.json"
    assert "refresh_token" not in tokens


def test_the_request_may_be_posted(site: SmartSite) -> None:
    app, browser = site.app(STANDALONE), site.browser()

    posted = browser.client.post("/oauth/authorize", data=app.request())
    assert posted.status_code == 303
    browser.open(posted.headers["location"])
    browser.submit(patient="P1")
    browser.submit(decision="allow")

    assert site.token(app.exchange(back(browser)["code"]))["patient"] == "P1"


@pytest.mark.parametrize(
    ("untick", "left"),
    [
        ("patient/Observation.rs", "launch/patient openid fhirUser patient/Patient.rs offline_access"),
        ("offline_access", "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs"),
        ("openid", "launch/patient fhirUser patient/Patient.rs patient/Observation.rs offline_access"),
    ],
)
def test_a_person_may_allow_less(site: SmartSite, untick: str, left: str) -> None:
    app, browser = site.app(STANDALONE), site.browser()
    site.consent(app, browser)
    (name,) = [name for name, value in browser.forms[0].fields.items() if value == untick]

    browser.submit(decision="allow", **{name: None})
    tokens = site.token(app.exchange(back(browser)["code"]))

    assert tokens["scope"] == left
    assert ("refresh_token" in tokens) == ("offline_access" in left)
    assert ("id_token" in tokens) == ("openid" in left)
    status = site.read(tokens["access_token"], "Observation/o1").status_code
    assert status == (200 if "patient/Observation.rs" in left else 403)


def test_who_allows_nothing_or_says_no_is_sent_back_with_it(site: SmartSite) -> None:
    app, browser = site.app(STANDALONE), site.browser()

    site.consent(app, browser).submit(decision="deny")
    assert (back(browser)["error"], back(browser)["state"]) == ("access_denied", app.state)
    assert site.entry().event == "access-refused"
    site.consent(app, browser)
    ticked = {name: None for name in browser.forms[0].fields if name.startswith("allow_")}
    browser.submit(decision="allow", **ticked)
    assert back(browser)["error"] == "access_denied"


def test_nothing_is_asked_for_that_the_role_does_not_give(site: SmartSite) -> None:
    app = site.app("launch/patient patient/Observation.* patient/Subscription.rs user/AuditEvent.r")
    browser = site.browser()

    site.consent(app, browser)

    ticks = {value for name, value in browser.forms[0].fields.items() if name.startswith("allow_")}
    assert ticks == {"patient/Observation.*"}
    assert "See, add and change measurements" in browser.text
    assert "delete" not in browser.text


def test_a_box_that_was_not_there_gives_nothing(site: SmartSite) -> None:
    app, browser = site.app("patient/*.cruds launch/patient", asks="patient/Patient.r launch/patient"), site.browser()
    site.consent(app, browser)
    browser.forms[0].fields["allow_9"] = "patient/*.cruds"

    browser.submit(decision="allow")

    assert site.token(app.exchange(back(browser)["code"]))["scope"] == "patient/Patient.r launch/patient"


def test_a_person_sees_which_apps_may_act_and_ends_it(site: SmartSite) -> None:
    app, browser, other = site.app(STANDALONE), site.browser(), site.browser("max")
    site.clock.advance(1)
    tokens = site.tokens(app)

    browser.open("/account/apps")
    assert "Growth chart" in browser.text
    newest = browser.forms[0].fields["grant"]
    other.open("/account/apps")
    assert "None now" in other.text
    other.open("/account/password")
    other.client.post("/account/apps", data={"csrf": other.forms[0].fields["csrf"], "grant": newest})
    assert site.read(tokens["access_token"], "Patient/P1").status_code == 200, "nobody ends another's"

    browser.submit()

    assert site.read(tokens["access_token"], "Patient/P1").status_code == 401
    assert newest not in browser.response.text


# ---------------------------------------------------------------------------------------- choosing a patient


def test_patients_are_searched_by_number(site: SmartSite) -> None:
    app, browser = site.app(STANDALONE), site.browser()
    browser.open(app.path())

    browser.submit(identifier="M-P2", find="find")
    assert browser.forms[0].choices["patient"] == ["P2"]
    assert site.entry().patient == "P2", "who is shown is on record"
    browser.submit(identifier="M-none, or | else", find="find")
    assert "No patient" in browser.text


@pytest.mark.parametrize(
    ("typed", "found"),
    [("birch", ["P2"]), ("ada", ["P2", "P1"]), ("Ada  AMB", ["P1"]), ("none", None), ("a,b|c\\", None)],
)
def test_patients_are_searched_by_name(site: SmartSite, typed: str, found: list[str] | None) -> None:
    app, browser = site.app(STANDALONE), site.browser()
    browser.open(app.path())

    browser.submit(name=typed, find="find")

    assert browser.forms[0].choices.get("patient") == found
    assert browser.forms[0].fields["name"] == typed
    assert typed not in str(site.entry().resource), "nobody's name is on record"


@pytest.mark.parametrize("chosen", ["P9", "", "../P1", "P1,P2"])
def test_only_a_patient_who_is_there_can_be_chosen(site: SmartSite, chosen: str) -> None:
    app, browser = site.app(STANDALONE), site.browser()
    browser.open(app.path())

    browser.submit(patient=chosen)

    assert "Choose a patient" in browser.text
    assert browser.forms[0].action == "/oauth/patient"


def test_whose_role_sees_no_patient_cannot_start_such_an_app(site: SmartSite) -> None:
    app, browser = site.app(STANDALONE), site.browser("max")

    browser.open(app.path())

    assert "Your role gives nothing" in browser.text
    assert "error=access_denied" in browser.links[0]


# ----------------------------------------------------------------------------------------------- EHR launches


def _other_client(site: SmartSite, app: Any) -> str:
    return site.launch(site.app(EHR), LaunchContext(patient="P1"))


def _other_person(site: SmartSite, app: Any) -> str:
    return site.launch(app, LaunchContext(patient="P1"), person="max")


def _expired(site: SmartSite, app: Any) -> str:
    handle = site.launch(app, LaunchContext(patient="P1"))
    site.clock.advance(301)
    return handle


def _used(site: SmartSite, app: Any) -> str:
    handle = site.launch(app, LaunchContext(patient="P1"))
    site.code(app, launch=handle)
    return handle


def _of_nobody(site: SmartSite, app: Any) -> str:
    return site.launch(app, LaunchContext(patient="P9"))


@pytest.mark.parametrize(
    "make", [_other_client, _other_person, _expired, _used, _of_nobody, lambda site, app: "made-up"]
)
def test_a_launch_that_does_not_hold_ends_there(site: SmartSite, make: Callable[[SmartSite, Any], str]) -> None:
    app = site.app(EHR)
    browser = site.browser()

    answer = browser.open(app.path(launch=make(site, app)))

    assert answer.status_code == 400
    assert "That does not work" in browser.text
    assert not browser.forms
    assert site.entry().event == "access-refused"


def test_a_launch_is_used_up_once_even_by_two_pages(site: SmartSite) -> None:
    app = site.app(EHR)
    handle = site.launch(app, LaunchContext(patient="P1"))
    first, second = site.browser(), site.browser()
    for browser in (first, second):
        browser.open(app.path(launch=handle))

    first.submit(decision="allow")
    second.submit(decision="allow")

    assert "code" in back(first)
    assert "does not hold" in second.text


def test_an_app_that_nobody_launched_asks_for_the_patient_itself(site: SmartSite) -> None:
    app = site.app("launch launch/patient patient/Observation.rs")

    tokens = site.tokens(app)

    assert tokens["scope"] == "launch/patient patient/Observation.rs"
    assert tokens["patient"] == "P1"


# ------------------------------------------------------------------------------------------------- identity


def test_the_id_token_says_who_it_was_to_whom_and_by_whom(site: SmartSite) -> None:
    app = site.app("openid fhirUser user/Observation.rs")
    keys = jwk.KeySet.import_key_set(site.http.get("/oauth/jwks").json())
    tokens, later = site.tokens(app, nonce="once"), site.tokens(app)

    decoded = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])

    assert decoded.header["alg"] == "RS256"
    claims = decoded.claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (BASE, app.client_id, "once")
    assert claims["fhirUser"] == f"{FHIR}/Practitioner/ann"
    assert claims["exp"] > claims["iat"] >= claims["auth_time"]
    assert "ann" not in claims["sub"]
    assert claims_of(later["id_token"])["sub"] == claims["sub"]
    assert "nonce" not in claims_of(later["id_token"])
    assert all("d" not in key.as_dict(private=False) for key in keys.keys)


def test_userinfo_says_what_the_id_token_says_of_the_person(site: SmartSite) -> None:
    tokens = site.tokens(site.app("openid fhirUser user/Observation.rs"))
    address = site.http.get("/.well-known/openid-configuration").json()["userinfo_endpoint"]
    assert address == f"{BASE}/oauth/userinfo"

    def ask(token: str, method: str = "GET") -> httpx.Response:
        return site.http.request(method, "/oauth/userinfo", headers={"authorization": f"Bearer {token}"})

    said = ask(tokens["access_token"])
    assert (said.status_code, said.headers["content-type"]) == (200, "application/json")
    assert said.headers["cache-control"] == "no-store"
    claims = claims_of(tokens["id_token"])
    assert said.json() == {name: claims[name] for name in ("sub", "fhirUser", "profile")}
    assert (site.entry().event, site.entry().agent) == ("token-introspected", "ann")
    assert ask(tokens["access_token"], "POST").json() == said.json()

    bare = site.tokens(site.app("openid user/Observation.rs"))
    assert ask(bare["access_token"]).json() == {"sub": claims["sub"]}
    unasked = ask(site.tokens(site.app("user/Observation.rs"))["access_token"])
    assert (unasked.status_code, "insufficient_scope" in unasked.headers["www-authenticate"]) == (403, True)
    unknown = ask("x")
    assert (unknown.status_code, "invalid_token" in unknown.headers["www-authenticate"]) == (401, True)


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"prompt": "login consent"}, {"max_age": "60"}])
def test_an_app_may_ask_for_a_fresh_sign_in(site: SmartSite, asked: dict[str, str]) -> None:
    app, browser = site.app("openid user/Observation.rs"), site.browser()
    site.clock.advance(60)

    browser.open(app.path(**asked))
    assert "password" in browser.forms[0].fields
    browser.submit(username="ann", password=PASSWORD)
    browser.submit(decision="allow")

    assert claims_of(site.token(app.exchange(back(browser)["code"]))["id_token"])["auth_time"] == int(site.clock())


def test_a_sign_in_that_is_young_enough_is_not_asked_for_again(site: SmartSite) -> None:
    browser = site.browser()
    site.clock.advance(59)

    assert "Allow" in site.consent(site.app("openid user/Observation.rs"), browser, max_age="60").text


def test_keys_are_rotated_without_a_gap(site: SmartSite) -> None:
    app = site.app("openid fhirUser user/Observation.rs")
    before = site.tokens(app)["id_token"]

    site.services.signing_keys.rotate()  # type: ignore[union-attr]
    after = site.tokens(app)["id_token"]

    keys = jwk.KeySet.import_key_set(site.http.get("/oauth/jwks").json())
    kids = [jwt.decode(token, keys, algorithms=["RS256"]).header["kid"] for token in (before, after)]
    assert kids[0] != kids[1]
    assert kids[1] == site.http.get("/oauth/jwks").json()["keys"][0]["kid"]


def test_userless_claims_are_left_out(site: SmartSite) -> None:
    app = site.app("openid user/Device.r")
    site.people.users.add("nia", site.people.users.find("ann").role, PASSWORD)  # type: ignore[union-attr]

    code = site.code(app, site.browser("nia"))

    assert "fhirUser" not in claims_of(site.token(app.exchange(code))["id_token"])


# -------------------------------------------------------------------------------- clients that prove themselves


def test_an_app_with_a_secret_proves_itself(site: SmartSite) -> None:
    app = site.app(STANDALONE, public=False, secret="the app's secret")
    without = site.token(app.exchange(site.code(app)))
    wrong = site.token(app.exchange(site.code(app), client_secret="another"))
    by_form = site.token(app.exchange(site.code(app), client_secret="the app's secret"))
    by_header = site.token(
        app.exchange(site.code(app), client_id=None), auth=httpx.BasicAuth(app.client_id, "the app's secret")
    )
    refresh = {"grant_type": "refresh_token", "refresh_token": by_header["refresh_token"]}

    assert (without["error"], wrong["error"]) == ("invalid_client", "invalid_client")
    assert by_form["patient"] == by_header["patient"] == "P1"
    assert site.token(refresh)["error"] == "invalid_client", "a client that has a secret must use it"
    assert "access_token" in site.token(refresh, auth=httpx.BasicAuth(app.client_id, "the app's secret"))


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_an_app_with_keys_proves_itself(site: SmartSite, algorithm: str) -> None:
    make = {"RS384": lambda: jwk.RSAKey.generate_key(2048, {"kid": "k"}), "ES384": lambda: jwk.ECKey.generate_key("P-384", {"kid": "k"})}  # noqa: E501  # fmt: skip
    key = make[algorithm]()
    app = site.app(STANDALONE, public=False, jwks=json.dumps({"keys": [key.as_dict(private=False)]}))

    def assertion(jti: str) -> dict[str, str]:
        claims = {
            "iss": app.client_id,
            "sub": app.client_id,
            "aud": f"{BASE}/oauth/token",
            "exp": site.clock() + 60,
            "jti": jti,
        }
        text = jwt.encode({"alg": algorithm, "kid": "k"}, claims, key, algorithms=[algorithm])
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": text,
        }

    tokens = site.token(app.exchange(site.code(app), client_id=None) | assertion("a"))

    assert tokens["patient"] == "P1"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert "access_token" in site.token(form | assertion("b"))


# ---------------------------------------------------------------------------------- what the server says of itself


def test_the_smart_configuration_claims_what_works(site: SmartSite) -> None:
    document = site.http.get("/fhir/R4/.well-known/smart-configuration").json()
    openid = site.http.get("/.well-known/openid-configuration").json()

    required = {
        "issuer",
        "jwks_uri",
        "authorization_endpoint",
        "token_endpoint",
        "grant_types_supported",
        "capabilities",
        "code_challenge_methods_supported",
    }
    assert required <= document.keys()
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-ehr", "launch-standalone", "client-public", "sso-openid-connect", "authorize-post"} <= set(
        document["capabilities"]
    )
    assert openid["issuer"] == document["issuer"] == BASE
    for name in ("authorization_endpoint", "token_endpoint", "introspection_endpoint", "jwks_uri"):
        path = document[name].removeprefix(BASE)
        assert document[name] == f"{BASE}{path}"
        assert site.http.get(path).status_code != 404


def test_a_page_is_shut_to_frames_and_scripts(site: SmartSite) -> None:
    app, browser = site.app(STANDALONE), site.browser()

    page = browser.open(app.path())

    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:9;" in policy, "a browser lets the answer out to the app, and no other"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"
    assert "<script" not in page.text


def test_what_an_app_calls_itself_is_text(site: SmartSite) -> None:
    client_id = site.services.clients.add(
        "<script>alert(1)</script>", STANDALONE, public=True, redirect_uris=(REDIRECT,)
    )
    app, browser = site.app(STANDALONE), site.browser()
    app.client_id = client_id

    page = site.consent(app, browser, state='"><img src=x>').response

    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "&lt;script&gt;" in page.text
