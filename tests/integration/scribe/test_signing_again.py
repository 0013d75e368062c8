"""A person of the identity provider signs a note: signing in there again, for this very note, or not at all."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from oidc_answers import CLIENT, Provider
from osler.api.people.identity_provider import ProviderSettings
from osler.api.people.roles import Role
from osler.api.people.service import Policy
from osler.audit import HUB
from scribe_lab import LINES, SAID
from scribe_site import PASSWORD, ScribeSite

BACK = "/oauth/external/return"
FAILED, DONE = "#not-signed-in-again", "#signed-in-again"


class Hub:
    """A hub with notes, and a browser in which Grace of the provider is signed in."""

    def __init__(self, site: ScribeSite, provider: Provider) -> None:
        self.site = site
        self.provider = provider
        self.http = httpx.Client(base_url=site.url)
        self.come_back(self.leave("/oauth/external?return_to=/scribe/"))

    def leave(self, path: str) -> dict[str, list[str]]:
        """Open a path that leads to the provider and return what that is asked."""
        return parse_qs(urlsplit(self.http.get(path).headers["location"]).query)

    def come_back(self, asked: dict[str, list[str]], **claims: Any) -> str:
        """Come back from the provider and return where that leads."""
        self.provider.clock.now = time.time()
        self.provider.token = lambda: self.provider.signed(nonce=asked["nonce"][0], **claims)
        answer = self.http.get(BACK, params={"code": "c", "state": asked["state"][0]})
        return str(answer.headers.get("location", answer.status_code))

    def post(self, path: str, revision: int = 1, **body: Any) -> httpx.Response:
        """Send something in the name of a page."""
        page = self.http.get("/scribe/").text
        proof = re.search(r'name="csrf" content="([^"]+)"', page)
        headers = {"x-csrf": proof[1] if proof else "", "if-match": f'W/"{revision}"'}
        return self.http.post(f"/scribe/encounters/{path}", json=body, headers=headers)

    def begin(self, key: str, revision: int = 1) -> dict[str, list[str]]:
        """Leave to sign in again and return what the provider is asked."""
        answer = self.post(f"{key}/sign/again", revision)
        assert answer.status_code == 200, answer.text
        return parse_qs(urlsplit(answer.json()["location"]).query)

    def signed(self, key: str) -> bool:
        """Tell whether a note is signed."""
        return self.site.desk.find(key).state.value == "signed"


@pytest.fixture(scope="module")
def hub(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder, provider = tmp_path_factory.mktemp("again"), Provider()
    roles = {"doctors": Role.CLINICIAN, "rays": Role.RADIOLOGIST}
    policy = Policy(provider=ProviderSettings(provider.issuer, CLIENT, name="St Mary ID", roles=roles))
    site = ScribeSite(new_sqlite(folder / "osler.db"), folder, lines=LINES, said=SAID, policy=policy)
    made = Hub(site, provider)
    yield made
    made.http.close()
    site.stop()
    provider.server.stop()


@pytest.fixture
def draft(hub: Hub) -> str:
    return hub.site.drafted(LINES)


@pytest.fixture(scope="module")
def unsigned(hub: Hub) -> str:
    return hub.site.drafted(LINES)


def test_who_signs_in_again_signs_that_note_once(hub: Hub, draft: str) -> None:
    page = hub.http.get(f"/scribe/review/{draft}").text
    assert "You sign in again at St Mary ID" in page
    assert 'id="password"' not in page
    assert hub.post(f"{draft}/sign").status_code == 403

    asked = hub.begin(draft)
    assert (asked["prompt"], asked["max_age"], asked["code_challenge_method"]) == (["login"], ["0"], ["S256"])
    assert hub.come_back(asked, auth_time=time.time()) == f"/scribe/review/{draft}{DONE}"
    assert not hub.signed(draft)
    answer = hub.post(f"{draft}/sign")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["signed_by"], hub.signed(draft)) == ("grace", True)
    assert answer.json()["practitioner"].startswith("Practitioner/")
    assert {"signed-in-again", "note-signed"} <= set(hub.site.events())

    assert hub.post(f"{draft}/sign").status_code == 409
    assert hub.post(f"{draft}/sign/again").status_code == 409


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"auth_time": 0},
        {"auth_time": True},
        {"sub": "43", "auth_time": ...},
        {"sub": "43", "preferred_username": "ann"},
        {"roles": ["rays"]},
        {"roles": []},
        {"nonce": "another"},
    ],
)
def test_who_did_not_or_is_another_signs_nothing(hub: Hub, unsigned: str, claims: dict[str, Any]) -> None:
    asked = hub.begin(unsigned)
    given = {"auth_time": time.time()} | claims if claims else {}
    if "nonce" in given:
        asked["nonce"] = [given.pop("nonce")]
    assert hub.come_back(asked, **given) == f"/scribe/review/{unsigned}{FAILED}"
    assert hub.post(f"{unsigned}/sign").status_code == 403
    assert not hub.signed(unsigned)
    assert "sign-in-failed" in hub.site.events()


def test_who_gives_up_there_comes_back_to_their_note(hub: Hub, draft: str) -> None:
    hub.site.desk.reviewing.edit(HUB, draft, 1, "s1", "The patient reports a dry cough.")
    edited = hub.http.get(f"/scribe/encounters/{draft}/note")
    state = hub.begin(draft, 2)["state"][0]
    answer = hub.http.get(BACK, params={"error": "access_denied", "state": state})
    assert answer.headers["location"] == f"/scribe/review/{draft}{FAILED}"
    assert hub.http.get(f"/scribe/encounters/{draft}/note").json() == edited.json()
    assert not hub.signed(draft)


def test_a_proof_is_for_one_note_as_it_was(hub: Hub, draft: str) -> None:
    other = hub.site.drafted(LINES)
    assert hub.come_back(hub.begin(draft), auth_time=time.time()).endswith(DONE)
    assert hub.post(f"{other}/sign").status_code == 403
    hub.site.desk.reviewing.remove(HUB, draft, 1, "s1")
    assert hub.post(f"{draft}/sign").status_code == 412
    assert hub.post(f"{draft}/sign", 2).status_code == 403
    assert not hub.signed(draft)
    assert not hub.signed(other)
    assert hub.come_back(hub.begin(draft, 2), auth_time=time.time()).endswith(DONE)
    assert hub.post(f"{draft}/sign", 2).status_code == 200


def test_an_answer_to_another_question_and_a_sign_in_are_no_proof(hub: Hub, unsigned: str) -> None:
    first, _second = hub.begin(unsigned), hub.begin(unsigned)
    assert hub.come_back(first, auth_time=time.time()) == "401"
    assert hub.come_back(hub.leave("/oauth/external?return_to=/scribe/"), auth_time=time.time()) == "/scribe/"
    assert hub.post(f"{unsigned}/sign").status_code == 403
    assert not hub.signed(unsigned)


def test_our_own_accounts_keep_their_password(hub: Hub, draft: str) -> None:
    ours = Hub.__new__(Hub)
    ours.site, ours.http = hub.site, httpx.Client(base_url=hub.site.url, follow_redirects=True)
    with ours.http:
        form = ours.http.get("/scribe/")
        fields = dict(re.findall(r'name="(csrf|next)" value="([^"]*)"', form.text))
        ours.http.post(form.url, data={**fields, "username": "ann", "password": PASSWORD})
        assert 'id="password"' in ours.http.get(f"/scribe/review/{draft}").text
        assert ours.post(f"{draft}/sign").status_code == 400
        assert ours.post(f"{draft}/sign/again").status_code == 403
        assert ours.post(f"{draft}/sign", password=PASSWORD).status_code == 200
