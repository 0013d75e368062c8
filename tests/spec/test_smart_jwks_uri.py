"""Keys of clients at an address: fetched from where the registration says, seldom, and from nowhere else."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jws

from osler.api.smart.assertion import ASSERTION_TYPE
from osler.api.smart.clients import Client, Registration
from osler.api.smart.key_sets import ClientKeys
from osler.errors import ConfigError
from osler.testing.clock import FakeClock
from smart_flow import BASE, SmartSite

FIRST = jwk.ECKey.generate_key("P-384", {"kid": "first"})
SECOND = jwk.ECKey.generate_key("P-384", {"kid": "second"})


class Keys(ThreadingHTTPServer):
    """Serves a JWK set, counts who asks, and can misbehave."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str] = []
        self.status, self.headers, self.body = 200, {}, key_set(FIRST)  # type: ignore[var-annotated]
        self.uri = f"http://127.0.0.1:{self.server_address[1]}/keys.json"

    def serve(self, *keys: jwk.ECKey) -> None:
        self.body = key_set(*keys)


class Answer(BaseHTTPRequestHandler):
    server: Keys

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.headers['host']}{self.path}")
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def key_set(*keys: jwk.ECKey) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


@pytest.fixture
def served() -> Iterator[Keys]:
    server = Keys()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def site(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmartSite]:
    folder = tmp_path_factory.mktemp("keys")
    site = SmartSite(new_sqlite(folder / "osler.db"), folder)
    yield site
    site.stop()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def client(uri: str) -> Client:
    return Client("id", "app", "system/*.rs", None, False, (), False, False, jwks_uri=uri)


def test_keys_are_fetched_once_and_kept(served: Keys, clock: FakeClock) -> None:
    keys = ClientKeys(["127.0.0.1"], clock=clock)

    assert [keys.find(client(served.uri), "first") is not None for _ in range(3)] == [True] * 3
    assert served.asked == [served.uri.removeprefix("http://")]
    clock.advance(3600)
    assert keys.find(client(served.uri), "first") is not None
    assert len(served.asked) == 2


def test_a_new_key_is_found_without_asking_each_time(served: Keys, clock: FakeClock) -> None:
    keys = ClientKeys(["127.0.0.1"], clock=clock)
    assert keys.find(client(served.uri), "first") is not None
    served.serve(SECOND)

    assert [keys.find(client(served.uri), "second") for _ in range(5)] == [None] * 5
    assert len(served.asked) == 1, "nobody makes us ask again and again"
    clock.advance(30)
    assert keys.find(client(served.uri), "second") is not None
    assert keys.find(client(served.uri), "first") is None, "a key that was taken away holds no more"
    assert len(served.asked) == 2


def test_a_server_that_is_away_shuts_nobody_out_at_once(served: Keys, clock: FakeClock) -> None:
    keys = ClientKeys(["127.0.0.1"], clock=clock)
    assert keys.find(client(served.uri), "first") is not None
    served.status = 503
    clock.advance(1800)

    assert keys.find(client(served.uri), "unknown") is None
    assert keys.find(client(served.uri), "first") is not None
    clock.advance(1800)
    assert keys.find(client(served.uri), "first") is None, "but not for ever"
    served.status = 200
    assert keys.find(client(served.uri), "first") is None, "nor asked without end"
    clock.advance(30)
    assert keys.find(client(served.uri), "first") is not None


BAD = [
    # what the server answers, status, headers, body
    ("a redirect", 302, {"location": "/other.json"}, b""),
    ("not found", 404, {}, key_set(FIRST)),
    ("no JSON", 200, {}, b"<html>"),
    ("no keys", 200, {}, b'{"keys": []}'),
    ("too much", 200, {}, b'{"keys": [' + b" " * 70_000 + b"]}"),
    ("no text", 200, {}, b"\xff\xfe"),
    ("compressed without end", 200, {"content-encoding": "gzip"}, b"\x1f\x8b\x08\0"),
    ("a private key", 200, {}, json.dumps({"keys": [FIRST.as_dict(private=True)]}).encode()),
    ("a symmetric key", 200, {}, b'{"keys": [{"kty": "oct", "kid": "first", "k": "AAAA"}]}'),
]


@pytest.mark.parametrize(("what", "status", "headers", "body"), BAD, ids=[row[0] for row in BAD])
def test_what_is_no_key_set_gives_no_key(
    served: Keys, clock: FakeClock, what: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    served.status, served.headers, served.body = status, headers, body

    assert ClientKeys(["127.0.0.1"], clock=clock).find(client(served.uri), "first") is None, what
    assert len(served.asked) == 1, "no redirect is followed"


def test_a_server_that_does_not_answer_is_not_waited_for(clock: FakeClock, free_port: object) -> None:
    port = free_port()  # type: ignore[operator]

    assert ClientKeys(["127.0.0.1"], clock=clock).find(client(f"http://127.0.0.1:{port}/"), "first") is None


REFUSED = [
    # rule, hosts that are listed
    ("nothing is listed", []),
    ("another host is listed", ["keys.example"]),
    ("another network is listed", ["10.0.0.0/8"]),
    ("another address is listed", ["127.0.0.2"]),
    ("a name is no address", ["localhost"]),
]


@pytest.mark.parametrize(("rule", "hosts"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_host_that_is_not_listed_is_not_asked(served: Keys, clock: FakeClock, rule: str, hosts: list[str]) -> None:
    assert ClientKeys(hosts, clock=clock).find(client(served.uri), "first") is None, rule
    assert served.asked == []


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("127.0.0.1", ["127.0.0.0/8"]),
        ("localhost", ["localhost"]),
        ("localhost", ["LOCALHOST"]),
    ],
)
def test_a_host_that_is_listed_is_asked(served: Keys, clock: FakeClock, host: str, hosts: list[str]) -> None:
    uri = served.uri.replace("127.0.0.1", host)

    assert ClientKeys([*hosts, "127.0.0.0/8"] if host == "localhost" else hosts, clock=clock).find(client(uri), "first")
    assert served.asked[0].startswith(host)


@pytest.mark.parametrize(
    "uri",
    [
        "https://localhost.localdomain.invalid/keys",  # a name that stands for nothing
        "http://keys.example/keys",  # not https
        "https://0x7f000001/keys",  # loopback, written otherwise
        "https://2130706433/keys",
        "https://127.1/keys",
        "https://[::ffff:127.0.0.1]/keys",
        "https://169.254.169.254/latest/meta-data",
    ],
)
def test_a_name_does_not_hide_a_private_address(clock: FakeClock, uri: str) -> None:
    names = ["localhost.localdomain.invalid", "keys.example", "0x7f000001", "2130706433", "127.1"]

    assert ClientKeys(names, clock=clock).find(client(uri), "first") is None


JKU = [
    # rule, what the assertion's header says besides, status
    ("no address", {}, 200),
    ("the one that is registered", {"jku": "registered"}, 200),
    ("another", {"jku": "http://127.0.0.1:1/keys.json"}, 401),
    ("the same, but for a query", {"jku": "registered?x"}, 401),
    ("a certificate's", {"x5u": "http://127.0.0.1:1/x.pem"}, 401),
]


@pytest.mark.parametrize(("rule", "header", "status"), JKU, ids=[row[0] for row in JKU])
def test_an_assertion_does_not_say_where_its_key_is(
    site: SmartSite, served: Keys, rule: str, header: dict[str, Any], status: int
) -> None:
    registration = Registration(jwks_uri=served.uri)
    client_id = site.services.clients.register("app", "system/*.rs", registration)
    jku = header.get("jku")
    said = {"alg": "ES384", "kid": "first"} | header | ({"jku": jku.replace("registered", served.uri)} if jku else {})
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": f"{BASE}/oauth/token",
        "exp": site.clock() + 60,
        "jti": rule,
    }
    registry = jws.JWSRegistry(algorithms=["ES384"], strict_check_header=False)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jws.serialize_compact(said, json.dumps(claims).encode(), FIRST, registry=registry),
    }

    assert site.http.post("/oauth/token", data=form).status_code == status, rule


@pytest.mark.parametrize("host", ["http://x", "a b", "*.example", "", "10.0.0.1/8"])
def test_a_setting_that_names_no_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="no host, address or network"):
        ClientKeys(["keys.example", "10.0.0.0/8", "::1", host])
