"""The authorization server against those who want what is not theirs: one row an attack."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from osler.api.people.roles import Role
from smart_flow import BASE, FHIR, PASSWORD, REDIRECT, App, SmartSite, back

SCOPE = "launch/patient openid patient/Patient.rs patient/Observation.rs offline_access"


@pytest.fixture(scope="module")
def site(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmartSite]:
    folder = tmp_path_factory.mktemp("attacks")
    site = SmartSite(new_sqlite(folder / "osler.db"), folder)
    yield site
    site.stop()


@pytest.fixture(scope="module")
def app(site: SmartSite) -> App:
    return site.app(SCOPE)


# ------------------------------------------------------------------------ the request: nobody is sent astray

ON_A_PAGE = [
    # attack, what is changed in a good request
    ("no client", {"client_id": None}),
    ("a client of nobody", {"client_id": "nobody"}),
    ("a client id with NUL", {"client_id": "a\0b"}),
    ("no redirect_uri", {"redirect_uri": None}),
    ("another host", {"redirect_uri": "https://evil.example/app/callback"}),
    ("the host as a subdomain", {"redirect_uri": "http://127.0.0.1.evil.example:9/app/callback"}),
    ("another port", {"redirect_uri": "http://127.0.0.1:10/app/callback"}),
    ("another scheme", {"redirect_uri": "https://127.0.0.1:9/app/callback"}),
    ("a longer path", {"redirect_uri": REDIRECT + "/x"}),
    ("a slash at the end", {"redirect_uri": REDIRECT + "/"}),
    ("a way up", {"redirect_uri": "http://127.0.0.1:9/app/callback/../x"}),
    ("a query", {"redirect_uri": REDIRECT + "?x=1"}),
    ("a fragment", {"redirect_uri": REDIRECT + "#x"}),
    ("user info", {"redirect_uri": "http://127.0.0.1:9@evil.example/app/callback"}),
    ("a backslash", {"redirect_uri": "http://127.0.0.1:9\\@evil.example/app/callback"}),
    ("upper case", {"redirect_uri": REDIRECT.upper()}),
    ("a blank before", {"redirect_uri": " " + REDIRECT}),
    ("javascript", {"redirect_uri": "javascript:alert(1)//" + REDIRECT}),
    ("a state with a line break", {"state": "x\r\nSet-Cookie: a=b"}),
    ("a state without end", {"state": "x" * 5000}),
    ("much of everything", {"state": "x" * 4000, "nonce": "x" * 4000}),
]


@pytest.mark.parametrize(("attack", "changes"), ON_A_PAGE, ids=[row[0] for row in ON_A_PAGE])
def test_a_fault_about_who_and_where_stays_on_a_page(
    site: SmartSite, app: App, attack: str, changes: dict[str, str | None]
) -> None:
    browser = site.browser(None)

    answer = browser.open(app.path(**changes))

    assert answer.status_code == 400, attack
    assert "location" not in answer.headers
    assert site.entry().event == "access-denied"


def test_a_parameter_twice_is_refused_on_a_page(site: SmartSite, app: App) -> None:
    for twice in ("redirect_uri=https://evil.example/", "client_id=x", "scope=x"):
        assert site.browser(None).open(f"{app.path()}&{twice}").status_code == 400


SENT_BACK = [
    # attack or fault, what is changed in a good request, error
    ("implicit grant", {"response_type": "token"}, "unsupported_response_type"),
    ("hybrid flow", {"response_type": "code id_token"}, "unsupported_response_type"),
    ("no response type", {"response_type": None}, "unsupported_response_type"),
    ("answer in a fragment", {"response_mode": "fragment"}, "invalid_request"),
    ("no state", {"state": None}, "invalid_request"),
    ("no aud", {"aud": None}, "invalid_request"),
    ("aud of another server", {"aud": "https://evil.example/fhir/R4"}, "invalid_request"),
    ("aud that begins as ours", {"aud": FHIR + ".evil.example"}, "invalid_request"),
    ("PKCE left out", {"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ("PKCE plain", {"code_challenge_method": "plain"}, "invalid_request"),
    ("PKCE plain by default", {"code_challenge_method": None}, "invalid_request"),
    ("PKCE method in small letters", {"code_challenge_method": "s256"}, "invalid_request"),
    ("PKCE challenge too short", {"code_challenge": "x"}, "invalid_request"),
    ("PKCE challenge that is no hash", {"code_challenge": "x" * 44}, "invalid_request"),
    ("request object", {"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ("request object elsewhere", {"request_uri": "http://127.0.0.1:1/x"}, "request_uri_not_supported"),
    ("no scope", {"scope": None}, "invalid_scope"),
    ("a scope that is not registered", {"scope": "user/*.cruds"}, "invalid_scope"),
    ("a scope of programs", {"scope": "system/*.rs"}, "invalid_scope"),
    ("a launch without its scope", {"launch": "x"}, "invalid_scope"),
    ("nothing to see", {"prompt": "none"}, "interaction_required"),
    ("an age that is none", {"max_age": "-1"}, "invalid_request"),
]


@pytest.mark.parametrize(("fault", "changes", "error"), SENT_BACK, ids=[row[0] for row in SENT_BACK])
def test_another_fault_is_told_to_the_app_before_anybody_signs_in(
    site: SmartSite, app: App, fault: str, changes: dict[str, str | None], error: str
) -> None:
    browser = site.browser(None)

    browser.open(app.path(**changes))

    answer = back(browser)
    assert answer["error"] == error, fault
    assert answer.get("state") == (None if "state" in changes else app.state)
    assert (answer["iss"], "code" in answer) == (BASE, False)
    assert site.entry().event == "access-denied"


def test_aud_may_end_in_a_slash_and_name_loopback_otherwise(site: SmartSite, app: App) -> None:
    for aud in (FHIR + "/", FHIR.replace("127.0.0.1", "localhost")):
        assert "Choose a patient" in site.consent(app, site.browser(), of=None, aud=aud).text


def test_registered_system_scopes_are_not_given_to_people(site: SmartSite) -> None:
    mixed = site.app("launch/patient patient/Patient.rs system/*.cruds")

    assert site.tokens(mixed)["scope"] == "launch/patient patient/Patient.rs"


# ------------------------------------------------------------------------------------------------ forged forms


def test_a_consent_that_our_page_did_not_send_allows_nothing(site: SmartSite, app: App) -> None:
    browser = site.consent(app, site.browser())
    fields = browser.forms[0].fields | {"decision": "allow"}

    for csrf in ("", "x", "A" * 43, None):
        forged = {k: v for k, v in (fields | {"csrf": csrf}).items() if v is not None}
        answer = browser.client.post("/oauth/consent", data=forged)
        assert "location" not in answer.headers
        assert "code=" not in answer.text
    before = site.entry()
    assert browser.client.post("/oauth/consent", data=fields).headers["location"].startswith(REDIRECT)
    assert before.event != "access-granted"


def test_a_form_of_another_session_is_worth_nothing(site: SmartSite, app: App) -> None:
    mine, theirs = site.consent(app, site.browser()), site.browser()
    fields = mine.forms[0].fields | {"decision": "allow"}

    assert "location" not in theirs.client.post("/oauth/consent", data=fields).headers


def test_without_a_session_nothing_is_allowed(site: SmartSite, app: App) -> None:
    browser = site.consent(app, site.browser())
    fields = browser.forms[0].fields | {"decision": "allow"}
    nobody = site.browser(None)
    nobody.open("/oauth/sign-in")
    fields["csrf"] = nobody.forms[0].fields["csrf"]

    answer = nobody.client.post("/oauth/consent", data=fields)

    assert answer.headers["location"].startswith("/oauth/sign-in?return_to=")


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/"},
        {"scope": "user/*.cruds"},
        {"code_challenge_method": "plain"},
        {"client_id": "nobody"},
        {"patient": "P9"},
    ],
)
def test_what_was_asked_for_cannot_be_changed_on_the_way(site: SmartSite, app: App, changes: dict[str, str]) -> None:
    browser = site.consent(app, site.browser())

    browser.submit(decision="allow", **changes)

    assert "code=" not in browser.response.headers.get("location", "")


# ----------------------------------------------------------------------------------------------------- codes


CODES = [
    # attack, what is changed in a good exchange
    ("made up", {"code": "x" * 43}),
    ("no verifier", {"code_verifier": None}),
    ("another's verifier", {"code_verifier": "y" * 64}),
    ("the challenge as verifier", {"code_verifier": "challenge"}),
    ("a verifier that is too short", {"code_verifier": "y" * 42}),
    ("another redirect_uri", {"redirect_uri": REDIRECT + "/x"}),
    ("no redirect_uri", {"redirect_uri": None}),
    ("another app", {"client_id": "other"}),
    ("no app", {"client_id": None}),
    ("an app of nobody", {"client_id": "nobody"}),
]


@pytest.mark.parametrize(("attack", "changes"), CODES, ids=[row[0] for row in CODES])
def test_a_code_is_bound(site: SmartSite, app: App, attack: str, changes: dict[str, str | None]) -> None:
    changes = dict(changes)
    if changes.get("client_id") == "other":
        changes["client_id"] = site.app(SCOPE).client_id
    if changes.get("code_verifier") == "challenge":
        changes["code_verifier"] = app.request()["code_challenge"]
    form = app.exchange(changes.pop("code", None) or site.code(app), **changes)

    refused = site.token(form)

    assert refused["error"] in ("invalid_grant", "invalid_request", "invalid_client"), attack
    assert "access_token" not in refused
    assert site.entry().event == "access-denied"


def test_a_failed_guess_uses_the_code_up(site: SmartSite, app: App) -> None:
    code = site.code(app)

    assert site.token(app.exchange(code, code_verifier="y" * 64))["error"] == "invalid_grant"
    assert site.token(app.exchange(code))["error"] == "invalid_grant"


def test_a_code_holds_for_a_minute(site: SmartSite, app: App) -> None:
    code = site.code(app)
    site.clock.advance(60)

    assert site.token(app.exchange(code))["error"] == "invalid_grant"


def test_a_code_used_twice_ends_all_that_came_of_it(site: SmartSite, app: App) -> None:
    code = site.code(app)
    tokens = site.token(app.exchange(code))
    assert site.read(tokens["access_token"], "Patient/P1").status_code == 200

    assert site.token(app.exchange(code))["error"] == "invalid_grant"

    assert [entry.event for entry in site.audit.search(limit=2)] == ["access-denied", "token-revoked"]
    assert site.read(tokens["access_token"], "Patient/P1").status_code == 401
    assert site.token({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})["error"] == (
        "invalid_grant"
    )


def test_of_many_who_use_a_code_at_once_one_gets_tokens_and_keeps_none(site: SmartSite, app: App) -> None:
    code = site.code(app)
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(site.token(app.exchange(code)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    issued = [answer for answer in answers if "access_token" in answer]
    assert len(issued) == 1
    assert site.read(issued[0]["access_token"], "Patient/P1").status_code == 401


def test_nothing_secret_is_kept_in_clear_or_on_record(site: SmartSite, app: App) -> None:
    code = site.code(app)
    tokens = site.token(app.exchange(code))
    secrets = (code, tokens["access_token"], tokens["refresh_token"], app.verifier)
    content = Path(site.database.url.removeprefix("sqlite:///")).read_bytes()
    record = str([entry.resource for entry in site.audit.search(limit=50)])

    assert not [secret for secret in secrets if secret.encode() in content or secret in record]


# --------------------------------------------------------------------------------------------------- refreshing


def refresh(site: SmartSite, token: str, **more: str) -> dict[str, Any]:
    return site.token({"grant_type": "refresh_token", "refresh_token": token} | more)


def test_a_refresh_token_used_twice_ends_the_family(site: SmartSite, app: App) -> None:
    first = site.tokens(app)
    second = refresh(site, first["refresh_token"])
    third = refresh(site, second["refresh_token"])
    assert site.read(third["access_token"], "Patient/P1").status_code == 200

    assert refresh(site, first["refresh_token"])["error"] == "invalid_grant"

    assert refresh(site, third["refresh_token"])["error"] == "invalid_grant"
    assert {site.read(t["access_token"], "Patient/P1").status_code for t in (first, second, third)} == {401}


def test_a_refresh_only_narrows(site: SmartSite, app: App) -> None:
    first = site.tokens(app)

    narrow = refresh(site, first["refresh_token"], scope="patient/Patient.rs")
    wide = refresh(site, narrow["refresh_token"], scope="patient/Patient.rs user/*.rs system/*.rs")
    none = refresh(site, narrow["refresh_token"], scope="user/*.rs")
    whole = refresh(site, narrow["refresh_token"])

    assert narrow["scope"] == "patient/Patient.rs"
    assert site.read(narrow["access_token"], "Observation/o1").status_code == 403
    assert wide["error"] == "invalid_scope"
    assert none["error"] == "invalid_scope"
    assert whole["scope"] == SCOPE, "a refusal of a scope does not use the token up, nor narrow the grant"


@pytest.mark.parametrize("whose", ["another app", "a made-up one"])
def test_a_refresh_token_is_bound_to_its_app(site: SmartSite, app: App, whose: str) -> None:
    tokens = site.tokens(app)
    other = site.app(SCOPE).client_id if whose == "another app" else "nobody"

    assert refresh(site, tokens["refresh_token"], client_id=other)["error"] in ("invalid_grant", "invalid_client")
    assert "access_token" in refresh(site, tokens["refresh_token"])


def test_access_ends_by_time_and_with_the_person(site: SmartSite) -> None:
    site.people.users.add("eve", Role.CLINICIAN, PASSWORD)
    offline, online = site.app(SCOPE), site.app(SCOPE.replace("offline", "online"))
    browser = site.browser("eve")
    away = site.token(offline.exchange(site.code(offline, browser)))
    here = site.token(online.exchange(site.code(online, browser)))

    site.clock.advance(3600)
    assert site.read(away["access_token"], "Patient/P1").status_code == 401
    site.clock.advance(12 * 3600)
    assert refresh(site, here["refresh_token"])["error"] == "invalid_grant"
    renewed = refresh(site, away["refresh_token"])
    assert site.read(renewed["access_token"], "Patient/P1").status_code == 200
    site.people.users.disable("eve")
    assert site.read(renewed["access_token"], "Patient/P1").status_code == 401
    assert refresh(site, renewed["refresh_token"])["error"] == "invalid_grant"


def test_access_ends_with_the_app(site: SmartSite) -> None:
    mine = site.app(SCOPE)
    tokens, code = site.tokens(mine), site.code(mine)

    site.services.clients.disable(mine.client_id)

    assert site.read(tokens["access_token"], "Patient/P1").status_code == 401
    assert refresh(site, tokens["refresh_token"])["error"] == "invalid_client"
    assert site.token(mine.exchange(code))["error"] == "invalid_client"
    assert site.browser(None).open(mine.path()).status_code == 400


# -------------------------------------------------------------------------------- introspection and revocation


def test_introspection_tells_a_client_that_proves_itself(site: SmartSite, app: App) -> None:
    tokens = site.tokens(app)
    server = site.services.clients.add("EMR", "osler/introspect", secret="a resource server")

    def ask(token: str, **form: str) -> tuple[int, dict[str, Any]]:
        answer = site.http.post("/oauth/introspect", data={"token": token} | form)
        return answer.status_code, answer.json()

    proof = {"client_id": server, "client_secret": "a resource server"}
    status, found = ask(tokens["access_token"], **proof)
    assert status == 200
    assert (found["active"], found["client_id"], found["patient"], found["scope"]) == (True, app.client_id, "P1", SCOPE)
    assert found["exp"] > site.clock()
    assert {"iss", "sub", "iat"} <= found.keys()
    assert ask(tokens["refresh_token"], **proof)[1]["active"] is True
    assert ask("x" * 43, **proof) == (200, {"active": False})
    assert ask("x", **proof | {"client_secret": "wrong"})[0] == 401
    assert ask(tokens["access_token"])[0] == 401
    assert ask(tokens["access_token"], client_id=app.client_id)[0] == 401, "who says who they are has proven nothing"
    assert ask("", **proof)[0] == 400
    site.clock.advance(3600)
    assert ask(tokens["access_token"], **proof)[1] == {"active": False}


def test_revocation_bites_within_one_request(site: SmartSite, app: App) -> None:
    tokens = site.tokens(app)
    again = refresh(site, tokens["refresh_token"])

    def revoke(token: str, client_id: str = app.client_id) -> int:
        return site.http.post("/oauth/revoke", data={"token": token, "client_id": client_id}).status_code

    other = site.app(SCOPE)
    assert revoke(again["access_token"], other.client_id) == 200
    assert revoke(again["refresh_token"], other.client_id) == 200
    assert site.read(again["access_token"], "Patient/P1").status_code == 200, "another app ends nothing of ours"
    assert revoke(tokens["access_token"]) == 200
    assert site.read(tokens["access_token"], "Patient/P1").status_code == 401
    assert site.read(again["access_token"], "Patient/P1").status_code == 200
    assert revoke(again["refresh_token"]) == 200
    assert site.read(again["access_token"], "Patient/P1").status_code == 401
    assert refresh(site, again["refresh_token"])["error"] == "invalid_grant"
    assert revoke("unknown") == 200
    assert site.http.post("/oauth/revoke", data={"token": "x"}).status_code == 401


# --------------------------------------------------------------------------------------------- other clients


def test_an_app_that_only_says_who_it_is_gets_nothing_for_itself(site: SmartSite) -> None:
    public = site.app("system/*.rs patient/*.rs")

    refused = site.token({"grant_type": "client_credentials", "client_id": public.client_id})

    assert refused["error"] == "unauthorized_client"


def test_a_program_gets_only_the_scopes_of_programs(site: SmartSite) -> None:
    program = site.services.clients.add("mixed", "system/Observation.rs patient/*.rs user/*.rs openid", secret="x" * 12)
    form = {"grant_type": "client_credentials", "client_id": program, "client_secret": "x" * 12}

    assert site.token(form)["scope"] == "system/Observation.rs"
    assert site.token(form | {"scope": "patient/*.rs"})["error"] == "invalid_scope"
