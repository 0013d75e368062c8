"""``osler user`` as an operator uses it."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from acceptance.running import RunningHub, environment
from osler.testing.browser import Browser

MakeHub = Callable[..., RunningHub]
PASSWORD = "three quiet green lamps\n"


def test_people_are_added_listed_given_a_password_and_disabled(make_hub: MakeHub) -> None:
    hub = make_hub()

    def told(*args: str, stdin: str = PASSWORD) -> Any:
        return json.loads(hub.osler(*args, "--json", stdin=stdin))

    added = told("user", "add", "ann", "--role", "clinician", "--password-stdin")
    assert (added["name"], added["role"]) == ("ann", "clinician")
    assert added["fhir_user"].startswith("Practitioner/")
    bob = told("user", "add", "bob", "--role", "radiologist", "--fhir-user", "Practitioner/77", "--password-stdin")
    assert bob["fhir_user"] == "Practitioner/77"

    hub.osler("user", "password", "ann", "--password-stdin", stdin="four other quiet lamps\n")
    hub.osler("user", "disable", "bob")

    people = {p["name"]: p for p in told("user", "list")}
    assert set(people) == {"admin", "ann", "bob"}
    assert people["bob"]["disabled"] is True
    assert people["ann"]["second_factor"] is False
    assert told("user", "mfa", "ann", "--reset") == {"name": "ann", "second_factor": False, "recovery_codes": 0}
    assert told("access", "reviews") == []
    events = hub.osler("audit", "search", "--json")
    for event in ("user-added", "password-changed", "user-disabled", "second-factor-reset", "glass-listed"):
        assert event in events


def test_what_cannot_be_used_ends_with_2_and_says_why(make_hub: MakeHub) -> None:
    hub = make_hub()
    for args, password, words in (
        (("add", "eve", "--role", "clinician"), "short", "8 characters or more"),
        (("add", "eve", "--role", "clinician"), "eve20261234", "must not be your user name"),
        (("add", "admin", "--role", "clinician"), "three quiet green lamps", "already"),
        (("add", "eve", "--role", "clinician", "--fhir-user", "Patient/1"), "three quiet green lamps", "--fhir-user"),
        (("add", "eve", "--role", "surgeon"), "three quiet green lamps", "surgeon"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "osler", "user", *args, "--password-stdin", "--data-dir", str(hub.data_dir)],
            input=f"{password}\n",
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert "eve" not in hub.osler("user", "list")


def test_a_person_signs_in_at_a_running_hub_until_they_are_disabled(make_hub: MakeHub) -> None:
    hub = make_hub('[site]\nname = "St Mary"\n[session]\nrequire_mfa = ["administrator"]\n')
    hub.osler("user", "add", "ann", "--role", "clinician", "--password-stdin", stdin=PASSWORD)
    hub.start()
    with Browser(hub.url) as browser:
        browser.open("/oauth/sign-in")
        assert "St Mary" in browser.text
        browser.submit(username="admin", password="correct horse battery")
        assert browser.path.startswith("/account/second-factor")
        browser.open("/oauth/sign-in?again=1")
        browser.submit(username="ann", password=PASSWORD.strip())
        assert browser.path == "/account"
        hub.osler("user", "disable", "ann")
        browser.open("/account")
        assert browser.path.startswith("/oauth/sign-in")
    assert PASSWORD.strip() not in hub.log
    assert "Traceback" not in hub.log


def test_settings_that_cannot_be_meant_stop_the_start(make_hub: MakeHub) -> None:
    for settings, words in (
        ('[session]\nrequire_mfa = ["surgeon"]\n', "surgeon"),
        ("[session]\nidle_minutes = 0\n", "session.idle_minutes"),
        ('[oidc]\nissuer = "https://idp.example"\n', "oidc.client_id"),
        ('[oidc]\nissuer = "http://idp.example"\nclient_id = "x"\n', "https"),
        ('[oidc]\nissuer = "https://idp.example"\nclient_id = "x"\nroles = ["doctors"]\n', "doctors"),
    ):
        hub = make_hub(settings)
        done = subprocess.run(
            [sys.executable, "-m", "osler", "serve", "--data-dir", str(hub.data_dir), "--http", "127.0.0.1:0"],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            timeout=60,
        )
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
