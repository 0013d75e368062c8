"""People sign in at npm's ``oidc-provider`` on loopback, and are signed in here."""

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from osler.api.people.identity_provider import ProviderSettings
from osler.api.people.roles import Role
from osler.api.people.service import Policy
from osler.audit import HUB
from osler.testing.browser import Browser
from osler.testing.peers import free_ports
from people_site import PASSWORD, Site, code_of, site_on
from scribe_lab import LINES, SAID
from scribe_site import ScribeSite

PEERS = Path(__file__).parents[1] / "peers"
SECRETS = {"confidential": "a secret: of/the client", "posting": "another secret", "public": ""}
MakeSite = Callable[..., "contextlib.AbstractContextManager[Site]"]


@pytest.fixture(scope="module")
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture(scope="module")
def issuer(need: Callable[..., str], need_peer: Callable[[str], Path], ports: list[int]) -> Iterator[str]:
    node, folder = need("node"), need_peer("oidc-provider")
    hub, port = ports
    options = {"port": port, "redirectUri": f"http://127.0.0.1:{hub}/oauth/external/return"}
    provider = subprocess.Popen(
        [node, "oidc_provider.mjs", json.dumps(options)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert provider.stdout is not None
    try:
        assert "ready\n" in iter(provider.stdout.readline, ""), "the provider did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        provider.kill()
        provider.wait()
        provider.stdout.close()


@pytest.fixture
def make_site(issuer: str, ports: list[int], new_sqlite: Callable[[Path], str], tmp_path: Path) -> MakeSite:
    @contextlib.contextmanager
    def make(client_id: str = "confidential", **more: Any) -> Iterator[Site]:
        roles = {"doctors": Role.CLINICIAN, "ml": Role.ML_ENGINEER}
        provider = ProviderSettings(issuer, client_id, SECRETS[client_id], name="St Mary ID", roles=roles)
        address = f"127.0.0.1:{ports[0]}"
        url = new_sqlite(tmp_path / f"{client_id}.db")
        policy = Policy(provider=provider, **more)
        with site_on(url, tmp_path, policy, base_url=f"http://{address}", address=address) as site:
            site.clock.now = time.time()
            yield site

    return make


@contextlib.contextmanager
def browser_of(site: Site, ports: list[int]) -> Iterator[Browser]:
    with site.browser(f"127.0.0.1:{ports[1]}") as browser:
        yield browser


def go_in(browser: Browser, name: str, to: str = "/who%3Fa%3Db") -> None:
    """Go from our sign-in page to the provider's, sign in there, consent, and come back."""
    browser.open(f"/oauth/sign-in?return_to={to}")
    assert "Sign in with St Mary ID" in browser.text
    (link,) = [one for one in browser.links if "external" in one]
    browser.open(link)
    browser.submit(login=name, password="anything")
    browser.submit()


@pytest.mark.parametrize("client_id", list(SECRETS))
def test_a_person_of_the_provider_is_in_with_their_role(make_site: MakeSite, ports: list[int], client_id: str) -> None:
    with make_site(client_id) as site, browser_of(site, ports) as browser:
        go_in(browser, "grace")
        assert browser.path == "/who?a=b"
        person = browser.response.json()
        assert (person["name"], person["role"], person["methods"]) == ("grace", "clinician", ["ext"])
        assert person["fhir_user"].startswith("Practitioner/")
        assert site.events() == ["user-added", "signed-in"]

        browser.client.cookies.clear()
        go_in(browser, "grace")
        assert browser.response.json()["fhir_user"] == person["fhir_user"]
        assert site.events() == ["signed-in"]
        assert site.people.users.verify("grace", "anything") is None


def test_who_has_no_role_or_is_disabled_stays_out(make_site: MakeSite, ports: list[int]) -> None:
    with make_site() as site, browser_of(site, ports) as browser:
        go_in(browser, "mallory")
        assert browser.response.status_code == 403
        assert "no role that counts here" in browser.text
        browser.client.cookies.clear()
        go_in(browser, "linus")
        assert browser.response.json()["role"] == "ml-engineer"
        site.people.users.disable("linus")
        browser.client.cookies.clear()
        go_in(browser, "linus")
        assert browser.response.status_code == 403
        assert "disabled" in browser.text
        assert site.events() == ["access-denied", "user-added", "signed-in", "access-denied"]


def test_a_name_of_ours_is_not_taken_over(make_site: MakeSite, ports: list[int]) -> None:
    with make_site() as site, browser_of(site, ports) as browser:
        site.add("grace", Role.ADMINISTRATOR)
        go_in(browser, "grace")
        assert browser.response.status_code == 403
        assert "somebody else's" in browser.text
        assert browser.client.get("/who").json() is None


def test_another_role_there_is_another_role_here_and_ends_what_was(make_site: MakeSite, ports: list[int]) -> None:
    with make_site() as site, browser_of(site, ports) as browser, browser_of(site, ports) as earlier:
        go_in(earlier, "grace")
        site.people.users.set_role("grace", Role.RADIOLOGIST)
        site.events()
        go_in(browser, "grace")
        assert browser.response.json()["role"] == "clinician"
        assert earlier.client.get("/who").json() is None
        assert site.events() == ["role-changed", "signed-in"]


def test_a_role_that_needs_a_second_factor_needs_ours_when_the_provider_saw_none(
    make_site: MakeSite, ports: list[int]
) -> None:
    with make_site(require_mfa=frozenset({Role.CLINICIAN})) as site, browser_of(site, ports) as browser:
        go_in(browser, "grace")
        assert browser.path.startswith("/account/second-factor")
        assert browser.client.get("/who").json() is None
        secret = re.search(r"<code>([A-Z2-7 ]+)</code>", browser.response.text)
        assert secret is not None
        browser.submit(code=code_of(secret[1], site.clock()))
        assert browser.client.get("/who").json()["methods"] == ["ext", "otp", "mfa"]
        site.clock.advance(60)
        browser.client.cookies.clear()
        go_in(browser, "grace")
        browser.submit(code=code_of(secret[1], site.clock()))
        assert browser.response.json()["methods"] == ["ext", "otp", "mfa"]


def test_our_own_accounts_stay_beside(make_site: MakeSite, ports: list[int]) -> None:
    with make_site() as site, browser_of(site, ports) as browser:
        site.add("ann")
        site.sign_in(browser, "ann", PASSWORD)
        assert browser.response.json()["name"] == "ann"
        browser.open("/oauth/sign-in?return_to=/who&again=1")
        (link,) = [one for one in browser.links if "external" in one]
        assert "prompt=login" in browser.client.get(link).headers["location"]


def test_a_note_is_signed_by_signing_in_there_again(
    issuer: str, ports: list[int], new_sqlite: Callable[[Path], str], tmp_path: Path
) -> None:
    secret, roles = SECRETS["confidential"], {"doctors": Role.CLINICIAN}
    policy = Policy(provider=ProviderSettings(issuer, "confidential", secret, name="St Mary ID", roles=roles))
    url, address = new_sqlite(tmp_path / "signing.db"), f"127.0.0.1:{ports[0]}"
    site = ScribeSite(url, tmp_path, lines=LINES, said=SAID, address=address, policy=policy)
    try:
        with Browser(site.url, f"127.0.0.1:{ports[1]}") as browser:
            go_in(browser, "grace", "/scribe/")
            key = site.drafted(LINES)
            path, page = f"/scribe/encounters/{key}/sign", f"/scribe/review/{key}"

            def post(path: str, revision: int = 1) -> httpx.Response:
                proof = re.search(r'name="csrf" content="([^"]+)"', browser.open(page).text)
                assert proof is not None
                return browser.client.post(path, headers={"x-csrf": proof[1], "if-match": f'W/"{revision}"'})

            browser.open(post(f"{path}/again").json()["location"])
            browser.submit(login="grace", password="x")  # though she is signed in there
            browser.submit()
            assert browser.path == page
            assert post(path).json()["signed_by"] == "grace"

            site.desk.reviewing.remove(HUB, key, 1, "s1")
            there = post(f"{path}/again", 2).json()["location"]
            for cookie in [one for one in browser.client.cookies.jar if one.name.startswith("_")]:
                browser.client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
            browser.open(there)
            browser.submit(login="linus", password="x")
            browser.submit()
            assert browser.path == page
            assert post(path, 2).status_code == 403
    finally:
        site.stop()


def test_an_answer_that_this_browser_did_not_ask_for_is_worth_nothing(make_site: MakeSite, ports: list[int]) -> None:
    with make_site() as site, browser_of(site, ports) as browser, browser_of(site, ports) as victim:
        browser.open("/oauth/sign-in?return_to=/who")
        (link,) = [one for one in browser.links if "external" in one]
        browser.open(link)
        browser.submit(login="grace", password="x")
        form = browser.forms[0]
        stolen = browser.client.post(form.action, data=form.fields)
        while "/oauth/external/return" not in stolen.headers["location"]:
            stolen = browser.client.get(stolen.headers["location"])
        victim.open(stolen.headers["location"])
        assert victim.response.status_code == 401
        victim.open("/oauth/external?return_to=/who")
        victim.open(stolen.headers["location"])
        assert victim.response.status_code == 401
        assert victim.client.get("/who").json() is None
        browser.open(stolen.headers["location"])
        assert browser.client.get("/who").json()["name"] == "grace"
        browser.open(stolen.headers["location"])
        assert browser.response.status_code == 401
