"""``osler client`` as an operator calls it."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwk

from osler.api.smart.clients import ClientStore
from osler.api.smart.launches import LaunchStore
from osler.api.smart.signing import SigningKeys
from osler.cli import main
from osler.config import load
from osler.hub.opening import create_data_dir, open_stores

Osler = Callable[..., Any]
REDIRECT = "https://app.example/callback"
LAUNCH = "https://app.example/launch?from=ehr"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client") / "data"
    create_data_dir(load({}, data_dir=folder), {})
    with open_stores(load({}, data_dir=folder), {}) as stores:
        resources = (
            {"resourceType": "Patient", "id": "P1"},
            {"resourceType": "Patient", "id": "P2"},
        )
        for resource in resources:
            stores.database.write(lambda c, resource=resource: stores.resources.put(c, resource))
    return folder


@pytest.fixture
def osler(data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Osler:
    """Run a command; return its exit code and what it printed, JSON when there is any."""

    def run(*args: str, stdin: str = "") -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(["client", *args, "--data-dir", str(data_dir)], {})
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.startswith(("{", "[")) else out, err

    return run


def test_an_app_is_added_listed_and_disabled(osler: Osler) -> None:
    code, added, _ = osler("add", "Chart", "--scope", "patient/*.rs", "--public", "--redirect-uri", REDIRECT, "--json")
    assert code == 0
    _, listed, _ = osler("list", "--json")
    (row,) = [row for row in listed if row["client_id"] == added["client_id"]]
    assert (row["name"], row["scope"], row["proof"], row["disabled"]) == ("Chart", "patient/*.rs", "public", False)

    assert osler("disable", added["client_id"])[0] == 0
    _, listed, _ = osler("list", "--json")
    assert [row["disabled"] for row in listed if row["client_id"] == added["client_id"]] == [True]


def test_each_way_to_prove_oneself(osler: Osler, tmp_path: Path) -> None:
    key = jwk.ECKey.generate_key("P-384", {"kid": "k"})
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    scope = ("--scope", "system/*.rs", "--json")

    by_secret = osler("add", "a", *scope, "--secret-stdin", stdin="a long secret\n")
    by_keys = osler("add", "b", *scope, "--jwks", str(tmp_path / "keys.json"))
    by_address = osler("add", "c", *scope, "--jwks-uri", "https://keys.example/jwks.json")

    assert [by_secret[0], by_keys[0], by_address[0]] == [0, 0, 0]


REFUSED = [
    # what is wrong, options, words
    ("nothing to prove", ["--scope", "system/*.rs"], "needs public keys"),
    ("no scope of ours", ["--scope", "everything", "--public"], "scopes must have the form"),
    ("public with keys", ["--scope", "patient/*.rs", "--public", "--jwks-uri", "https://x/y"], "neither keys"),
    ("keys over the open net", ["--scope", "system/*.rs", "--jwks-uri", "http://x.example/y"], "--jwks-uri must be"),
    ("a redirect over the open net", ["--scope", "patient/*.rs", "--public", "--redirect-uri", "http://x.example/"], "--redirect-uri must be"),  # noqa: E501
    ("a redirect to a script", ["--scope", "patient/*.rs", "--public", "--redirect-uri", "javascript:alert(1)"], "--redirect-uri must be"),  # noqa: E501
    ("a redirect with a fragment", ["--scope", "patient/*.rs", "--public", "--redirect-uri", REDIRECT + "#x"], "--redirect-uri must be"),  # noqa: E501
    ("a redirect with a user", ["--scope", "patient/*.rs", "--public", "--redirect-uri", "https://a@b.example/"], "--redirect-uri must be"),  # noqa: E501
    ("a redirect to anywhere", ["--scope", "patient/*.rs", "--public", "--redirect-uri", "app:*"], "--redirect-uri must be"),  # noqa: E501
    ("a redirect with a backslash", ["--scope", "patient/*.rs", "--public", "--redirect-uri", "https://a\\b"], "characters"),  # noqa: E501
    ("a redirect with a port that is none", ["--scope", "patient/*.rs", "--public", "--redirect-uri", "https://a:x/"], "not an address"),  # noqa: E501
    ("a launch over the open net", ["--scope", "patient/*.rs", "--public", "--launch-uri", "http://x.example/"], "--launch-uri must be"),  # noqa: E501
    ("a secret that is too short", ["--scope", "system/*.rs", "--secret-stdin"], "8 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "options", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_could_not_work_or_be_kept_safe_is_not_added(
    osler: Osler, what: str, options: list[str], words: str
) -> None:
    code, _, err = osler("add", "x", *options, stdin="short\n")

    assert code == 2, what
    assert words in err


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:80/", "org.example.app:/cb"]
)
def test_an_app_on_this_machine_or_with_a_scheme_of_its_own_is_taken(osler: Osler, uri: str) -> None:
    assert osler("add", "x", "--scope", "patient/*.rs", "--public", "--redirect-uri", uri)[0] == 0


def test_a_launch_is_prepared(osler: Osler, data_dir: Path) -> None:
    _, app, _ = osler(
        "add", "x", "--scope", "launch patient/*.rs", "--public", "--redirect-uri", REDIRECT, "--launch-uri", LAUNCH,
        "--json",
    )  # fmt: skip

    code, made, _ = osler(
        "launch", app["client_id"], "--patient", "P1", "--context", "ImagingStudy/i1", "--intent", "review",
        "--no-banner", "--base-url", "https://hub.example/", "--json",
    )  # fmt: skip

    assert code == 0
    assert made["launch_url"].startswith("https://app.example/launch?")
    query = parse_qs(urlsplit(made["launch_url"]).query)
    assert query == {"from": ["ehr"], "iss": ["https://hub.example/fhir/R4"], "launch": [made["launch"]]}
    with open_stores(load({}, data_dir=data_dir), {}) as stores:
        launches = LaunchStore(stores.database)
        newest, *_ = stores.audit.search(limit=1)
        assert launches.find(made["launch"], client_id=app["client_id"], person="ann", now=0.0) is not None
        assert ClientStore(stores.database).find(app["client_id"]) is not None
        found = launches.find(made["launch"], client_id=app["client_id"], person="ann", now=0.0)
    assert found is not None
    assert (found.patient, found.fhir_context, found.intent) == ("P1", ("ImagingStudy/i1",), "review")
    assert found.need_patient_banner is False
    assert (newest.event, newest.patient) == ("launch-created", "P1")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (["--patient", "P9"], 1, "no Patient of that id"),
        (["--patient", "../P1"], 2, "not a logical id"),
        (["--patient", "P1", "--encounter", "E9"], 1, "no Encounter of that id"),
        (["--patient", "P1", "--context", "Patient/P2"], 2, "other than Patient"),
        (["--patient", "P1", "--intent", "two\nlines"], 2, "intent"),
    ],
)
def test_a_launch_that_means_nothing_is_not_prepared(osler: Osler, changes: list[str], code: int, words: str) -> None:
    _, app, _ = osler("add", "x", "--scope", "launch patient/*.rs", "--public", "--launch-uri", LAUNCH, "--json")

    ended, _, err = osler("launch", app["client_id"], *changes)

    assert ended == code
    assert words in err


def test_a_launch_needs_an_app_that_can_be_launched(osler: Osler) -> None:
    _, app, _ = osler("add", "x", "--scope", "launch patient/*.rs", "--public", "--json")

    assert osler("launch", app["client_id"], "--patient", "P1")[0] == 2
    assert osler("launch", "nobody", "--patient", "P1")[0] == 1


def test_keys_rotate_gives_a_new_key_to_sign_with(data_dir: Path) -> None:
    def newest() -> list[str]:
        with open_stores(load({}, data_dir=data_dir), {}) as stores:
            keys = SigningKeys(stores.database, sealer=stores.keyring.sealer("record"))
            return [key["kid"] for key in keys.published()["keys"]]

    before = newest()
    assert main(["keys", "rotate", "--data-dir", str(data_dir)], {}) == 0
    after = newest()

    assert after[1:] == before
    assert after[0] not in before
