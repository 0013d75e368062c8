"""How people sign in: one row a rule, over real sockets."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from osler.api.people.roles import Role
from osler.api.people.service import Policy
from osler.api.people.sessions import own_path, sign_in_url
from osler.storage.tables import recovery_code, session, sign_in_failure, user
from osler.testing.browser import Browser
from people_site import PASSWORD, Site, code_of, site_on


@pytest.fixture
def site(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[Site]:
    with site_on(new_sqlite(tmp_path / "osler.db"), tmp_path) as site:
        site.add()
        site.events()
        yield site


def who(browser: Browser) -> Any:
    return browser.client.get("/who").json()


def test_a_person_signs_in_with_a_plain_form_and_out_again(site: Site) -> None:
    with site.browser() as browser:
        browser.open("/oauth/sign-in?return_to=%2Fwho%3Fa%3Db")
        (form,) = browser.forms
        assert {"username", "password"} < form.fields.keys()
        browser.submit(username="ann", password=PASSWORD)

        assert browser.path == "/who?a=b"
        person = browser.response.json()
        assert (person["name"], person["role"], person["methods"]) == ("ann", "clinician", ["pwd"])
        assert re.fullmatch(r"Practitioner/[0-9a-f-]{36}", person["fhir_user"])
        assert person["auth_time"] == site.clock()
        assert browser.open("/oauth/sign-in?return_to=/who").json() == person
        assert browser.open("/oauth/sign-in?return_to=/who&again=1").headers["content-type"].startswith("text/html")

        browser.open("/account")
        browser.submit()
        assert "signed out" in browser.text
        assert who(browser) is None
    assert site.events() == ["signed-in", "signed-out"]


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", "wrong wrong wrong"),
        ("ann", ""),
        ("ann", "x" * 60_000),
        ("Ann", PASSWORD),
        ("nobody", PASSWORD),
        ("", ""),
        ("ann' OR '1'='1", PASSWORD),
        ("<script>alert(1)</script>", PASSWORD),
        ("off", PASSWORD),
        ("ext", ""),
    ],
)
def test_what_does_not_fit_gets_the_same_words(site: Site, name: str, password: str) -> None:
    site.add("off")
    site.people.users.disable("off")
    site.add("ext", password=None)
    site.events()
    with site.browser() as browser:
        site.sign_in(browser, name, password)
        assert browser.response.status_code == 403
        assert "The name or the password is not right." in browser.text
        assert "<script>" not in browser.response.text
        assert who(browser) is None
    (entry,) = site.entries()
    assert (entry.event, entry.outcome) == ("sign-in-failed", 8)
    assert PASSWORD not in str(entry.resource)
    assert ("nobody" in str(entry.resource)) is False


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/oauth/authorize?client_id=a&scope=b%20c", "/oauth/authorize?client_id=a&scope=b%20c"),
        ("/account", "/account"),
        ("", "/account"),
        ("account", "/account"),
        ("https://evil.example/", "/account"),
        ("//evil.example/", "/account"),
        ("///evil.example/", "/account"),
        ("/\\evil.example/", "/account"),
        ("\\\\evil.example", "/account"),
        ("/\tevil", "/account"),
        ("/\r\nset-cookie: a=b", "/account"),
        ("javascript:alert(1)", "/account"),
        ("/é", "/account"),
        ("/" + "a" * 9000, "/account"),
    ],
)
def test_the_sign_in_leads_to_paths_of_ours_only(path: str, to: str) -> None:
    assert own_path(path) == to
    assert sign_in_url(path).startswith("/oauth/sign-in?return_to=%2F")


def test_the_cookie_is_for_the_browser_alone_and_new_at_each_step(site: Site) -> None:
    with site.browser() as browser:
        browser.open("/oauth/sign-in")
        before = browser.client.cookies["osler"]
        first = browser.response.headers["set-cookie"]
        assert "HttpOnly" in first
        assert "SameSite=lax" in first
        browser.submit(username="ann", password=PASSWORD)
        after = browser.client.cookies["osler"]

    assert before != after
    assert len(after) == 43
    with site.database.read() as connection:
        assert after not in str(connection.execute(select(session)).all())
    planted = httpx.get(f"{site.server.url}/who", cookies={"osler": before})
    assert planted.json() is None


def test_over_https_the_cookie_is_bound_to_the_host(new_sqlite: Callable[[Path], str], tmp_path: Path) -> None:
    with site_on(new_sqlite(tmp_path / "o.db"), tmp_path, base_url="https://hub.example") as site:
        cookie = httpx.get(f"{site.server.url}/oauth/sign-in").headers["set-cookie"]
    assert cookie.startswith("__Host-osler=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "changes", [{"csrf": None}, {"csrf": ""}, {"csrf": "A" * 43}, {"csrf": "é"}], ids=["none", "empty", "other", "odd"]
)
def test_a_form_that_no_page_of_ours_sent_is_refused_and_on_record(site: Site, changes: dict[str, Any]) -> None:
    with site.browser() as browser:
        browser.open("/oauth/sign-in?return_to=/who")
        browser.submit(username="ann", password=PASSWORD, **changes)
        assert browser.response.status_code == 403
        assert "out of date" in browser.text
        assert who(browser) is None
        assert site.events() == ["access-denied"]
        browser.submit(username="ann", password=PASSWORD)
        assert who(browser)["name"] == "ann"


def test_a_form_without_the_cookie_is_refused(site: Site) -> None:
    with site.browser() as browser:
        browser.open("/oauth/sign-in?return_to=/who")
        browser.client.cookies.clear()
        browser.submit(username="ann", password=PASSWORD)
        assert browser.response.status_code == 403
    with site.browser() as signed_in, site.browser() as other:
        site.sign_in(signed_in)
        other.open("/oauth/sign-in")
        signed_in.open("/account")
        token = other.forms[0].fields["csrf"]
        assert signed_in.submit(csrf=token).status_code == 403
        assert who(signed_in)["name"] == "ann"


PAGES = ["/oauth/sign-in", "/account", "/account/password", "/account/second-factor", "/account/break-glass"]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_a_form_that_lets_nothing_else_in(site: Site, path: str) -> None:
    with site.browser() as browser:
        if path != "/oauth/sign-in":
            site.sign_in(browser)
        response = browser.open(path)
        policy = response.headers["content-security-policy"]
    assert response.status_code == 200
    assert policy == (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", response.text)
    for field in re.findall(r"<(?:input|textarea)[^>]*>", response.text):
        if 'type="hidden"' not in field:
            (identifier,) = re.findall(r' id="([^"]+)"', field)
            assert f'<label for="{identifier}">' in response.text


def test_no_page_writes_what_people_typed_as_markup(site: Site) -> None:
    name = '"><script>alert(1)</script>{{ 7*7 }}'
    site.add(name)
    with site.browser() as browser:
        site.sign_in(browser, name)
        for path in PAGES:
            browser.open(f"{path}?again=1&return_to=/%22%3E%3Cscript%3E&patient=%22%3E%3Cscript%3E")
            assert browser.response.status_code == 200
            assert "<script" not in browser.response.text
            assert "49" not in browser.text
        browser.open("/account/break-glass")
        browser.submit(patient=name, reason=f"</textarea>{name}")
        assert "<script" not in browser.response.text
        assert browser.forms[0].fields["reason"] == f"</textarea>{name}"
        site.events()
        browser.open("/account")
        browser.submit()
    assert site.events() == ["signed-out"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_their_ground(site: Site, scheme: str) -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11."""
    text = httpx.get(f"{site.server.url}/oauth/style.css").text
    blocks = re.findall(r":root \{([^}]*)\}", text)
    colours: dict[str, str] = {}
    for block in blocks[: 1 if scheme == "light" else 2]:
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for front, ground, least in (
        ("ink", "sheet", 7.0),
        ("soft", "sheet", 4.5),
        ("soft", "ground", 4.5),
        ("accent", "sheet", 4.5),
        ("accent-ink", "accent", 4.5),
        ("ink", "accent-soft", 4.5),
        ("warn", "warn-ground", 4.5),
        ("wrong", "sheet", 4.5),
        ("wrong", "wrong-ground", 4.5),
        ("edge", "sheet", 3.0),
    ):
        light, dark = sorted((luminance(colours[front]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= least, (front, ground)


def test_a_form_that_ends_at_an_app_names_it_in_the_policy(site: Site) -> None:
    rows = {
        "https://app.example/cb?a=b": "https://app.example",
        "http://127.0.0.1:5000/cb": "http://127.0.0.1:5000",
        "http://[::1]:5000/cb": "http://[::1]:5000",
        "com.example.app:/cb": "com.example.app:",
        "javascript:alert(1)": "",
        "https://a;script-src *": "",
        "https://app.example:x/": "",
    }
    for redirect_uri, source in rows.items():
        query = httpx.QueryParams({"redirect_uri": redirect_uri})
        page = httpx.get(f"{site.server.url}{sign_in_url(f'/oauth/authorize?{query}')}")
        targets = re.search(r"form-action ([^;]*);", page.headers["content-security-policy"])
        assert targets is not None
        assert targets[1] == f"'self' {source}".strip()


def test_the_style_sheet_is_a_file_of_ours(site: Site) -> None:
    response = httpx.get(f"{site.server.url}/oauth/style.css")
    assert response.headers["content-type"] == "text/css; charset=utf-8"
    assert "url(" not in response.text
    assert "@import" not in response.text


# ------------------------------------------------------------------------------------------------ the end of sessions


def test_a_session_ends_when_it_idles(site: Site) -> None:
    with site.browser() as browser:
        site.sign_in(browser)
        for _ in range(4):
            site.clock.advance(14 * 60)
            assert who(browser) is not None
        site.clock.advance(16 * 60)
        assert who(browser) is None


def test_a_session_ends_in_any_case_after_eight_hours(site: Site) -> None:
    with site.browser() as browser:
        site.sign_in(browser)
        for _ in range(8 * 6 - 1):
            site.clock.advance(10 * 60)
            assert who(browser) is not None
        site.clock.advance(10 * 60 + 1)
        assert who(browser) is None


@pytest.mark.parametrize("how", ["disabled", "new password", "new role"])
def test_a_session_ends_with_what_it_was_given_for(site: Site, how: str) -> None:
    users = site.people.users
    with site.browser() as browser:
        site.sign_in(browser)
        assert who(browser) is not None
        if how == "disabled":
            users.disable("ann")
        elif how == "new password":
            users.set_password("ann", "four other quiet lamps")
        else:
            users.set_role("ann", Role.ADMINISTRATOR)
        assert who(browser) is None


@pytest.mark.parametrize("value", ["", "x", "A" * 43, "A" * 44, '"' * 43, "é"])
def test_a_cookie_that_is_not_ours_is_nobodys(site: Site, value: str) -> None:
    headers = {"cookie": f"osler={value}".encode()}
    assert httpx.get(f"{site.server.url}/who", headers=headers).json() is None


# ------------------------------------------------------------------------------------------------ waiting


def fail(site: Site, browser: Browser, times: int, name: str = "ann") -> int:
    for _ in range(times):
        site.sign_in(browser, name, "wrong wrong wrong")
    return browser.response.status_code


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_after_some_failures_one_must_wait_longer_each_time(site: Site, name: str) -> None:
    with site.browser() as browser:
        assert fail(site, browser, 5, name) == 403
        waits = []
        for _ in range(8):
            assert fail(site, browser, 1, name) == 429
            wait = int(browser.response.headers["retry-after"])
            assert "too many attempts" in browser.text
            waits.append(wait)
            site.clock.advance(wait)
            assert fail(site, browser, 1, name) == 403
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900]


def test_the_right_password_waits_too_and_is_not_counted_meanwhile(site: Site) -> None:
    with site.browser() as browser:
        fail(site, browser, 5)
        site.events()
        for _ in range(3):
            site.sign_in(browser)
            assert browser.response.status_code == 429
        assert site.events() == ["sign-in-delayed"] * 3
        site.clock.advance(15)
        site.sign_in(browser)
        assert who(browser)["name"] == "ann"
        browser.client.cookies.clear()
        assert fail(site, browser, 5) == 403


def test_strangers_keep_nobody_out_of_their_own_browser(site: Site) -> None:
    with site.browser() as own, site.browser() as stranger, site.browser() as other:
        site.sign_in(own)
        own.open("/account")
        own.submit()
        fail(site, stranger, 5)
        assert fail(site, stranger, 1) == 429
        site.sign_in(own)
        assert who(own)["name"] == "ann"
        site.sign_in(other)
        assert other.response.status_code == 429
        own.client.cookies.delete("osler")
        assert fail(site, own, 5) == 403
        assert fail(site, own, 1) == 429


def test_the_proof_of_a_browser_holds_for_its_person_alone(site: Site) -> None:
    site.add("bob")
    with site.browser() as browser:
        site.sign_in(browser)
        assert fail(site, browser, 0) == 200
        kept = browser.client.cookies["osler-browser"]
        browser.client.cookies.clear()
        with site.browser() as forger:
            forger.client.cookies.set("osler-browser", kept)
            fail(site, forger, 5, "bob")
            assert fail(site, forger, 1, "bob") == 429
            forger.client.cookies.set("osler-browser", kept[:-1] + ("A" if kept[-1] != "A" else "B"))
            assert fail(site, forger, 5, "ann") == 403
    with site.browser() as ward:
        site.clock.advance(900)
        site.sign_in(ward, "ann")
        ward.client.cookies.delete("osler")
        site.sign_in(ward, "bob")
        assert ward.client.cookies["osler-browser"].count(".") == 2


def test_one_network_does_not_try_many_names_without_waiting(new_sqlite: Callable[[Path], str], tmp_path: Path) -> None:
    with site_on(new_sqlite(tmp_path / "o.db"), tmp_path, Policy(max_failures=1)) as site, site.browser() as browser:
        site.add()
        for number in range(10):
            assert fail(site, browser, 1, f"name{number}") == 403
        assert fail(site, browser, 1, "another") == 429
        site.sign_in(browser)
        assert browser.response.status_code == 429
        with site.database.read() as connection:
            assert "name1" not in str(connection.execute(select(sign_in_failure)).all())


def test_guesses_at_once_are_no_better_than_one_after_the_other(site: Site) -> None:
    statuses: list[int] = []

    def guess() -> None:
        with site.browser() as browser:
            statuses.append(fail(site, browser, 1))

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [403] * 5 + [429] * 7


# ------------------------------------------------------------------------------------------------ the second factor


def enrol(site: Site, browser: Browser, **more: str) -> tuple[str, list[str]]:
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", browser.response.text)
    assert found is not None
    browser.submit(code=code_of(found[1], site.clock()), **more)
    return found[1], re.findall(r"<li>([a-z0-9-]{19})</li>", browser.response.text)


@pytest.fixture
def enrolled(site: Site) -> tuple[str, list[str]]:
    with site.browser() as browser:
        site.sign_in(browser)
        browser.open("/account/second-factor")
        assert "<svg" in browser.response.text
        secret, codes = enrol(site, browser, password=PASSWORD)
    assert len(set(codes)) == 10
    assert site.events() == ["signed-in", "second-factor-enrolled"]
    return secret, codes


def test_with_a_second_factor_the_password_is_half_the_way(site: Site, enrolled: tuple[str, list[str]]) -> None:
    secret, _ = enrolled
    site.clock.advance(60)
    with site.browser() as browser:
        site.sign_in(browser)
        assert browser.path == "/oauth/sign-in/code?return_to=%2Fwho"
        assert who(browser) is None
        assert browser.open("/account").url.path == "/oauth/sign-in"
        browser.open("/oauth/sign-in/code?return_to=/who")
        half = browser.client.cookies["osler"]
        browser.submit(code=code_of(secret, site.clock()))
        assert browser.response.json()["methods"] == ["pwd", "otp", "mfa"]
        assert browser.client.cookies["osler"] != half
    assert httpx.get(f"{site.server.url}/who", cookies={"osler": half}).json() is None
    assert site.events() == ["signed-in"]
    with site.database.read() as connection:
        held = connection.execute(select(user.c.totp_sealed)).scalar_one()
        codes = connection.execute(select(recovery_code)).all()
    import base64

    assert base64.b32decode(secret.replace(" ", "")) not in held
    assert enrolled[1][0].replace("-", "") not in str(codes)


@pytest.mark.parametrize(
    ("at", "holds"),
    [(-60, False), (-30, True), (0, True), (30, True), (60, False)],
)
def test_a_code_holds_for_its_step_and_the_two_beside_it(
    site: Site, enrolled: tuple[str, list[str]], at: int, holds: bool
) -> None:
    site.clock.advance(300)
    with site.browser() as browser:
        site.sign_in(browser)
        browser.submit(code=code_of(enrolled[0], site.clock() + at))
        assert (who(browser) is not None) is holds


def test_a_code_holds_once(site: Site, enrolled: tuple[str, list[str]]) -> None:
    site.clock.advance(300)
    code = code_of(enrolled[0], site.clock())
    with site.browser() as browser, site.browser() as eavesdropper:
        site.sign_in(browser)
        browser.submit(code=f"{code[:3]} {code[3:]}")
        assert who(browser) is not None
        site.sign_in(eavesdropper)
        eavesdropper.submit(code=code)
        assert eavesdropper.response.status_code == 403
        assert who(eavesdropper) is None


def test_the_code_of_the_enrolment_does_not_hold_again(site: Site, enrolled: tuple[str, list[str]]) -> None:
    with site.browser() as browser:
        site.sign_in(browser)
        browser.submit(code=code_of(enrolled[0], site.clock()))
        assert who(browser) is None


def test_a_recovery_code_holds_once(site: Site, enrolled: tuple[str, list[str]]) -> None:
    code = enrolled[1][3]
    with site.browser() as browser:
        site.sign_in(browser)
        browser.submit(code=code.upper().replace("-", " "))
        assert who(browser)["methods"] == ["pwd", "mfa"]
        assert site.events() == ["recovery-code-used", "signed-in"]
        browser.client.cookies.clear()
        site.sign_in(browser)
        browser.submit(code=code)
        assert who(browser) is None
    assert site.people.factors.state("ann").recovery_codes == 9


def test_codes_cannot_be_guessed_in_numbers(site: Site, enrolled: tuple[str, list[str]]) -> None:
    with site.browser() as browser:
        site.sign_in(browser)
        for _ in range(5):
            assert browser.submit(code="000000").status_code == 403
        assert browser.submit(code="000000").status_code == 429
        site.sign_in(browser)
        assert browser.submit(code="000000").status_code == 429
        assert set(site.events()) == {"sign-in-failed", "sign-in-delayed"}


def test_half_a_sign_in_does_not_wait_for_ever(site: Site, enrolled: tuple[str, list[str]]) -> None:
    with site.browser() as browser:
        site.sign_in(browser)
        site.clock.advance(601)
        browser.submit(code=code_of(enrolled[0], site.clock()))
        assert browser.path.startswith("/oauth/sign-in?")
        assert who(browser) is None


def test_enrolment_needs_the_password_and_a_code_of_this_secret(site: Site) -> None:
    with site.browser() as browser:
        site.sign_in(browser)
        browser.open("/account/second-factor")
        secret = re.search(r"<code>([A-Z2-7 ]+)</code>", browser.response.text)
        assert secret is not None
        browser.submit(code=code_of(secret[1], site.clock()), password="wrong wrong wrong")
        assert "That is not your password." in browser.text
        assert secret[1] in browser.text
        browser.submit(code="000000", password=PASSWORD)
        assert "not the code of now" in browser.text
        assert (
            browser.submit(code=code_of(secret[1], site.clock()), password=PASSWORD, ticket="AAAA").status_code == 422
        )
        assert not site.people.factors.state("ann").enrolled
        assert browser.submit(password=PASSWORD, code=code_of(secret[1], site.clock()), ticket=None).status_code == 422


def test_a_role_that_needs_a_second_factor_enrols_before_it_is_in(
    new_sqlite: Callable[[Path], str], tmp_path: Path
) -> None:
    policy = Policy(require_mfa=frozenset({Role.ADMINISTRATOR}))
    with site_on(new_sqlite(tmp_path / "o.db"), tmp_path, policy) as site, site.browser() as browser:
        site.add("adm", Role.ADMINISTRATOR)
        site.sign_in(browser, "adm")
        assert browser.path == "/account/second-factor?return_to=%2Fwho"
        assert who(browser) is None
        assert "Your role needs one." in browser.text
        _, codes = enrol(site, browser)
        assert len(codes) == 10
        assert browser.links == ["/who"]
        assert who(browser)["methods"] == ["pwd", "otp", "mfa"]


def test_a_second_factor_that_is_lost_is_taken_away_with_the_sessions(
    site: Site, enrolled: tuple[str, list[str]]
) -> None:
    site.clock.advance(60)
    with site.browser() as browser:
        site.sign_in(browser)
        browser.submit(code=code_of(enrolled[0], site.clock()))
        assert who(browser) is not None
        site.people.factors.reset("ann", within=lambda c: None)
        assert who(browser) is None
        browser.client.cookies.clear()
        site.sign_in(browser)
        assert who(browser)["methods"] == ["pwd"]


# ------------------------------------------------------------------------------------------------ the password


@pytest.mark.parametrize(
    ("new", "again", "words"),
    [
        ("short", None, "8 characters or more"),
        ("ann20262026", None, "must not be your user name"),
        ("aaaaaaaaaaaaaaaa", None, "one of the first"),
        ("Hospital2026", None, "one of the first"),
        ("x" * 2000, None, "8 characters or more"),
        ("quiet lamps\u0007\u0007", None, "no keyboard"),
        ("four other quiet lamps", "four other quiet lamp", "not the same"),
    ],
)
def test_a_password_that_will_not_do_is_refused_beside_its_field(
    site: Site, new: str, again: str | None, words: str
) -> None:
    with site.browser() as browser:
        site.sign_in(browser)
        browser.open("/account/password")
        browser.submit(current_password=PASSWORD, new_password=new, again=again or new)
        assert browser.response.status_code == 422
        assert words in browser.text
        assert 'aria-invalid="true"' in browser.response.text
    assert site.people.users.verify("ann", PASSWORD)


def test_a_new_password_ends_every_other_session(site: Site) -> None:
    new = "four other quiet lamps"
    with site.browser() as browser, site.browser() as other:
        site.sign_in(browser)
        site.sign_in(other)
        browser.open("/account/password")
        browser.submit(current_password="wrong wrong wrong", new_password=new, again=new)
        assert "That is not your password." in browser.text
        browser.submit(current_password=PASSWORD, new_password=new, again=new)
        assert browser.path == "/account?done=password"
        assert who(browser)["name"] == "ann"
        assert who(other) is None
        site.sign_in(other)
        assert other.response.status_code == 403
        site.sign_in(other, password=new)
        assert who(other)["name"] == "ann"
    assert site.events().count("password-changed") == 1
