"""What an identity provider's answer must be like: OpenID Connect Core 3.1.3.7, one row a rule."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey
from starlette.responses import RedirectResponse, Response

from oidc_answers import CLIENT, EC, OTHER, RSA, SHOWN, Provider
from osler.api.people.roles import Role
from osler.errors import ConfigError, OslerError, PeerUnavailable, Unauthenticated


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.server.stop()


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.reset()
    return running


def redeem(provider: Provider, **changes: Any) -> Any:
    return provider.client(**changes).redeem("c", verifier="v", nonce="n")


def test_what_is_right_is_taken(provider: Provider) -> None:
    asserted = redeem(provider)
    assert (asserted.subject, asserted.name, asserted.role) == (f"{provider.issuer} 42", "grace", Role.CLINICIAN)
    assert asserted.second_factor is False
    assert provider.forms == [
        {
            "grant_type": "authorization_code",
            "code": "c",
            "redirect_uri": "http://hub/back",
            "code_verifier": "v",
            "client_id": CLIENT,
        }
    ]


def test_the_way_there_has_pkce_state_and_nonce(provider: Provider) -> None:
    provider.metadata = {"authorization_endpoint": f"{provider.issuer}/authorize?tenant=1"}
    url = provider.client().authorization_url(
        state="s", nonce="n", verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    query = parse_qs(urlsplit(url).query)
    assert query["tenant"] == ["1"]
    assert query["code_challenge"] == ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]  # RFC 7636 appendix B
    assert query["code_challenge_method"] == ["S256"]
    assert (query["state"], query["nonce"], query["response_type"]) == (["s"], ["n"], ["code"])
    assert query["redirect_uri"] == ["http://hub/back"]
    assert "prompt" not in query
    again = provider.client().authorization_url(state="s", nonce="n", verifier="v", again=True)
    asked = parse_qs(urlsplit(again).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ({"roles": "staff doctors"}, Role.CLINICIAN),
        ({"roles": ["ml", "doctors"]}, Role.CLINICIAN),
        ({"roles": ["ml"]}, Role.ML_ENGINEER),
        ({"roles": ["Doctors"]}, None),
        ({"roles": {"doctors": True}}, None),
        ({"roles": None}, None),
        ({"roles": ...}, None),
    ],
)
def test_the_first_role_of_the_settings_counts(provider: Provider, said: dict[str, Any], role: Role | None) -> None:
    provider.token = lambda: provider.signed(**said)
    assert redeem(provider).role is role


def test_a_claim_may_lie_deeper(provider: Provider) -> None:
    provider.token = lambda: provider.signed(realm_access={"roles": ["doctors"]}, roles=...)
    assert redeem(provider, role_claim="realm_access.roles").role is Role.CLINICIAN
    provider.token = lambda: provider.signed(**{"https://a.example/roles": ["ml"]})
    assert redeem(provider, role_claim="https://a.example/roles").role is Role.ML_ENGINEER


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"iss": "https://evil.example"}, "does not hold"),
        ({"iss": ...}, "does not hold"),
        ({"aud": "another"}, "does not hold"),
        ({"aud": ["another"]}, "does not hold"),
        ({"aud": ...}, "does not hold"),
        ({"aud": [CLIENT, "another"]}, "another client"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "another client"),
        ({"azp": "another"}, "another client"),
        ({"exp": 1}, "does not hold"),
        ({"exp": ...}, "does not hold"),
        ({"exp": "soon"}, "does not hold"),
        ({"iat": ...}, "does not hold"),
        ({"iat": 4_000_000_000}, "does not hold"),
        ({"nbf": 4_000_000_000}, "does not hold"),
        ({"nonce": "m"}, "does not hold"),
        ({"nonce": ...}, "does not hold"),
        ({"sub": ...}, "does not hold"),
        ({"sub": ""}, "hold"),
        ({"sub": "a\nb"}, "names nobody"),
        ({"sub": "x" * 256}, "names nobody"),
    ],
)
def test_a_claim_that_does_not_hold(provider: Provider, changes: dict[str, Any], words: str) -> None:
    provider.token = lambda: provider.signed(**changes)
    with pytest.raises(Unauthenticated) as refused:
        redeem(provider)
    assert words in str(refused.value) or "names nobody" in str(refused.value)


@pytest.mark.parametrize(
    ("later_s", "words"),
    [
        (0, ""),
        (-29, ""),  # clocks that differ
        (29, ""),
        (-31, "anew"),
        (-86400, "anew"),
        (31, "anew"),
        (float("nan"), "anew"),
        (..., "does not say when"),
        (None, "does not say when"),
        ("0", "does not say when"),
        (True, "does not say when"),
    ],
)
def test_who_was_to_sign_in_anew_did(provider: Provider, later_s: Any, words: str) -> None:
    now, number = provider.clock(), isinstance(later_s, float) or type(later_s) is int
    provider.token = lambda: provider.signed(auth_time=now + later_s if number else later_s)
    client = provider.client()
    assert client.redeem("c", verifier="v", nonce="n").name == "grace"
    if not words:
        assert client.redeem("c", verifier="v", nonce="n", since=now).name == "grace"
        return
    with pytest.raises(Unauthenticated, match=words):
        client.redeem("c", verifier="v", nonce="n", since=now)


def test_one_audience_of_several_with_azp_is_right(provider: Provider) -> None:
    provider.token = lambda: provider.signed(aud=[CLIENT, "another"], azp=CLIENT)
    assert redeem(provider).name == "grace"


def unsigned(provider: Provider, header: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part(header)}.{part(provider.claims())}."


def with_public_key_as_secret(provider: Provider) -> str:
    text = unsigned(provider, {"alg": "HS256", "kid": "r1"})
    digest = hmac.digest(RSA.as_pem(private=False), text[:-1].encode(), "sha256")
    return text + base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: unsigned(p, {"alg": "none"}), "RS256"),
        (lambda p: unsigned(p, {"alg": "RS256", "kid": "r1"}), "hold"),
        (lambda p: with_public_key_as_secret(p), "RS256"),
        (lambda p: p.signed(RSA, "RS512"), "RS256"),
        (lambda p: p.signed(OTHER), "does not hold"),
        (lambda p: p.signed(RSA, kid="e1"), "does not show"),
        (lambda p: p.signed(RSA, kid="../../etc/passwd"), "does not show"),
        (lambda p: p.signed()[:-4] + "AAAA", "does not hold"),
        (lambda p: "a.b.c", "does not hold"),
        (lambda p: "", "hold"),
        (lambda p: 5, "own code"),
        (lambda p: None, "own code"),
    ],
)
def test_a_signature_that_does_not_hold(provider: Provider, make: Callable[[Provider], Any], words: str) -> None:
    provider.token = lambda: make(provider)
    with pytest.raises(Unauthenticated, match=words):
        redeem(provider)


def test_es256_and_a_key_without_a_name(provider: Provider) -> None:
    provider.token = lambda: provider.signed(EC, "ES256", "e1")
    assert redeem(provider).name == "grace"
    provider.token = lambda: provider.signed(kid=None)
    assert redeem(provider).name == "grace"
    provider.keys = [*SHOWN, OTHER.as_dict(private=False)]
    with pytest.raises(Unauthenticated, match="does not show"):
        redeem(provider)


def test_short_keys_and_keys_for_other_uses_do_not_count(provider: Provider) -> None:
    public = RSA.as_dict(private=False)
    for key in (public | {"use": "enc"}, public | {"alg": "RS512"}, public | {"n": "u" * 171}, {"kty": "RSA"}, 5):
        provider.keys = [key]
        with pytest.raises(Unauthenticated):
            redeem(provider)


def test_new_keys_are_read_when_they_are_needed_but_not_without_end(provider: Provider) -> None:
    client = provider.client()
    client.redeem("c", verifier="v", nonce="n")
    fresh = RSAKey.generate_key(2048, {"kid": "r2"})
    provider.keys = [fresh.as_dict(private=False)]
    provider.token = lambda: provider.signed(fresh, kid="r2")
    provider.clock.advance(31)
    client.redeem("c", verifier="v", nonce="n")
    provider.token = lambda: provider.signed(fresh, kid="r3")
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            client.redeem("c", verifier="v", nonce="n")
    assert provider.asked.count("jwks") == 2
    assert provider.asked.count("discovery") == 1


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:1/x",
        "file:///etc/passwd",
        "http://127.0.0.1@evil.example/",
        "http://user:pw@127.0.0.1/",
        "//127.0.0.1/x",
        "http://[::1",
        "",
        5,
        None,
    ],
)
def test_its_endpoints_are_on_hosts_of_the_settings(provider: Provider, name: str, url: Any) -> None:
    provider.metadata = {name: url}
    client = provider.client()

    def whole() -> None:
        client.authorization_url(state="s", nonce="n", verifier="v")
        client.redeem("c", verifier="v", nonce="n")

    with pytest.raises(PeerUnavailable, match=name):
        whole()


def test_another_host_may_be_named(provider: Provider) -> None:
    provider.metadata = {"authorization_endpoint": "https://login.example/x"}
    url = provider.client(hosts=frozenset({"login.example"})).authorization_url(state="s", nonce="n", verifier="v")
    assert url.startswith("https://login.example/x?")


@pytest.mark.parametrize(
    "answer",
    [
        lambda: RedirectResponse("http://127.0.0.1:1/"),
        lambda: Response("<html>", media_type="text/html"),
        lambda: Response("[]", media_type="application/json"),
        lambda: Response("[" * 200_000, media_type="application/json"),
        lambda: Response("x" * 300_000),
        lambda: Response("", 500),
    ],
)
@pytest.mark.parametrize("where", ["keys", "token"])
def test_an_answer_of_another_kind_is_no_answer(provider: Provider, where: str, answer: Callable[[], Response]) -> None:
    if where == "keys":
        provider.keys = answer()
    else:
        provider.token = answer
    with pytest.raises(OslerError) as refused:
        redeem(provider)
    assert isinstance(refused.value, PeerUnavailable | Unauthenticated)


def test_an_issuer_that_calls_itself_otherwise_is_not_it(provider: Provider) -> None:
    provider.metadata = {"issuer": f"{provider.issuer}/"}
    with pytest.raises(PeerUnavailable, match="another issuer"):
        redeem(provider)
    for issuer in ("http://idp.example", "ftp://127.0.0.1", "idp.example", "https://a:b@idp.example", ""):
        with pytest.raises(ConfigError, match="https"):
            provider.client(issuer=issuer)


@pytest.mark.parametrize(
    ("methods", "basic"),
    [(None, True), (["client_secret_post"], False), (["client_secret_post", "client_secret_basic"], True)],
)
def test_the_secret_goes_as_the_provider_takes_it(provider: Provider, methods: Any, basic: bool) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": methods}
    redeem(provider, client_secret="a:b c")
    (form,) = provider.forms
    if basic:
        assert base64.b64decode(provider.authorization.removeprefix("Basic ")).decode() == "osler:a%3Ab+c"
        assert "client_secret" not in form
    else:
        assert (form["client_id"], form["client_secret"]) == (CLIENT, "a:b c")
        assert not provider.authorization


@pytest.mark.parametrize(("amr", "seen"), [(["pwd", "mfa"], True), (["otp"], True), (["pwd"], False), ("mfa", False)])
def test_a_second_factor_there_is_seen(provider: Provider, amr: Any, seen: bool) -> None:
    provider.token = lambda: provider.signed(amr=amr)
    assert redeem(provider).second_factor is seen


def test_a_refused_code_is_said_without_the_providers_words(provider: Provider) -> None:
    provider.status = 400
    with pytest.raises(Unauthenticated, match="did not take its own code"):
        redeem(provider)
