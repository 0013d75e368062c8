"""Clients and their tokens."""

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk
from sqlalchemy import select

from osler.api.smart.authentication import Failures
from osler.api.smart.client_keys import usable_keys
from osler.api.smart.clients import ClientStore
from osler.api.smart.paths import TOKEN, names_of
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import TokenStore
from osler.errors import ConfigError, NotFound
from osler.storage import Database
from osler.storage.tables import access_token, client, used_assertion

RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"}).as_dict(private=False)
EC = jwk.ECKey.generate_key("P-384", {"kid": "ec"}).as_dict(private=False)


def jwks(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": list(keys)})


def test_a_client_is_added_found_listed_and_disabled(database: Database) -> None:
    clients = ClientStore(database)
    first = clients.add("EMR", "system/*.rs", jwks=jwks(RSA, EC), redirect_uris=("https://x/cb",))
    second = clients.add("RIS", "system/ImagingStudy.c", secret="correct horse battery")

    assert [c.id for c in clients.list()] == [first, second]
    found = clients.find(first)
    assert found is not None
    assert (found.name, found.scope, found.redirect_uris, found.has_secret) == (
        "EMR",
        "system/*.rs",
        ("https://x/cb",),
        False,
    )
    assert clients.secret_holds(second, "correct horse battery")
    assert not clients.secret_holds(second, "correct horse")
    assert not clients.secret_holds(first, "")
    with database.read() as connection:
        assert "horse" not in str(connection.execute(select(client)).all())

    clients.disable(second)

    assert clients.find(second) is None
    assert not clients.secret_holds(second, "correct horse battery")
    with pytest.raises(NotFound):
        clients.disable("nobody")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "needs public keys"),
        ({"secret": "x" * 12, "scope": "everything"}, "scopes must have the form"),
        ({"jwks": "{"}, "not a JWK set"),
        ({"jwks": '{"keys":[1]}'}, "not a JWK set"),
        ({"jwks": "[" * 50_000}, "not a JWK set"),
        ({"jwks": jwks()}, "no key with a kid"),
        ({"jwks": jwks({k: v for k, v in RSA.items() if k != "kid"})}, "no key with a kid"),
        ({"jwks": jwks(RSA | {"use": "enc"})}, "no key with a kid"),
        ({"jwks": jwks(RSA | {"alg": "RS256"})}, "no key with a kid"),
        ({"jwks": jwks(RSA, RSA)}, "same kid"),
        ({"jwks": jwks(RSA | {"n": 5})}, "cannot be read"),
        ({"jwks": jwks(RSA | {"d": "x"})}, "private"),
        ({"jwks": jwks({"kty": "oct", "kid": "k", "k": "AAAA"})}, "private or symmetric"),
        ({"jwks": jwks(RSA | {"n": "u" * 171})}, "2048"),
        ({"jwks": jwks(jwk.ECKey.generate_key("P-256", {"kid": "s"}).as_dict(private=False))}, "P-384"),
    ],
)
def test_a_client_that_could_not_prove_itself_is_not_added(
    tmp_path: Path, new_sqlite: Any, changes: dict[str, Any], words: str
) -> None:
    database = Database(new_sqlite(tmp_path / "osler.db"))
    clients = ClientStore(database)

    with pytest.raises(ConfigError, match=words):
        clients.add("x", **({"scope": "system/*.rs"} | changes))

    assert clients.list() == []
    database.close()


def test_keys_that_cannot_sign_are_left_aside_when_another_can() -> None:
    other = jwk.ECKey.generate_key("P-256", {"kid": "p256"}).as_dict(private=False)

    assert set(usable_keys(jwks(other, RSA, EC, {"kty": "OKP", "kid": "x"}))) == {"rsa", "ec"}


def test_a_token_holds_until_it_expires_or_its_client_is_disabled(database: Database) -> None:
    now = 1000.0
    clients, tokens = ClientStore(database), TokenStore(database, clock=lambda: now)
    client_id = clients.add("x", "system/*.rs", secret="x" * 12)
    scopes = parse_scopes("system/Observation.rs")
    token = database.write(lambda c: tokens.issue(c, client_id, scopes))

    grant = tokens.check(token)
    assert grant is not None
    assert (grant.client_id, grant.scopes) == (client_id, scopes)
    assert tokens.check(token[:-1]) is None
    assert tokens.check("") is None
    assert tokens.check("\ud800") is None
    with database.read() as connection:
        assert token not in str(connection.execute(select(access_token)).all())

    now += 299
    assert tokens.check(token) is not None
    now += 1
    assert tokens.check(token) is None

    fresh = database.write(lambda c: tokens.issue(c, client_id, scopes))
    clients.disable(client_id)
    assert tokens.check(fresh) is None


def test_tokens_and_assertions_that_are_over_are_cleared_away(database: Database) -> None:
    now = 1000.0
    clients, tokens = ClientStore(database), TokenStore(database, clock=lambda: now)
    client_id = clients.add("x", "system/*.rs", secret="x" * 12)

    def issue(jti: str) -> None:
        def change(connection: Any) -> None:
            assert tokens.use_assertion(connection, client_id, jti, expires_at=now + 300)
            assert not tokens.use_assertion(connection, client_id, jti, expires_at=now + 300)
            tokens.issue(connection, client_id, ())

        database.write(change)

    issue("a")
    now += 400
    issue("b")

    with database.read() as connection:
        assert connection.execute(select(used_assertion.c.jti)).scalars().all() == ["b"]
        assert len(connection.execute(select(access_token)).all()) == 1


@pytest.mark.parametrize("lifetime_s", [0, 299, 3601])
def test_a_token_lives_five_minutes_to_an_hour(lifetime_s: int) -> None:
    with pytest.raises(ValueError, match="300 to 3600"):
        TokenStore(None, lifetime_s=lifetime_s)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base", "audiences"),
    [
        ("https://osler.example", {"https://osler.example/oauth/token"}),
        ("https://example/osler", {"https://example/osler/oauth/token"}),
        ("http://10.0.0.1:80", {"http://10.0.0.1:80/oauth/token"}),
        ("http://localhost", {f"http://{h}/oauth/token" for h in ("127.0.0.1", "localhost", "[::1]")}),
        ("http://127.0.0.1:81", {f"http://{h}:81/oauth/token" for h in ("127.0.0.1", "localhost", "[::1]")}),
        ("http://[::1]:81", {f"http://{h}:81/oauth/token" for h in ("127.0.0.1", "localhost", "[::1]")}),
    ],
)
def test_the_token_endpoint_has_these_names(base: str, audiences: set[str]) -> None:
    assert names_of(base, TOKEN) == audiences


def test_failures_are_counted_for_a_minute_in_bounded_memory() -> None:
    failures, key = Failures(), ("10.0.0.1", "client")
    for _ in range(10):
        assert not failures.too_many(key, 0.0)
        failures.add(key, 0.0)

    assert failures.too_many(key, 59.0)
    assert not failures.too_many(("10.0.0.2", "client"), 59.0)
    assert not failures.too_many(key, 60.0)
    for number in range(10_001):
        failures.add((str(number), ""), 61.0)
    assert not failures.too_many(key, 1.0)
