"""Encounters over HTTP: who is let in, what is answered to what, and what is left of what was not wanted."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, update

from osler.api.people.roles import Role
from osler.api.smart.context import LaunchContext
from osler.api.smart.scopes import parse_scopes
from osler.api.smart.tokens import ActingFor, Grant
from osler.audit import Agent
from osler.draft.port import Style
from osler.scribe import evaluations
from osler.scribe.retention import delete_due_audio
from osler.standards.fhir import instant
from osler.storage.tables import access_grant, scribe_encounter, scribe_part
from scribe_lab import LINES, SAID
from scribe_site import PASSWORD, ScribeSite, tone

ROOT = "/scribe/encounters"
_PAUSE = threading.Event()
ALL = "system/Patient.r system/DocumentReference.cruds"


class Door:
    """The site, with clients of all kinds of tokens."""

    def __init__(self, site: ScribeSite) -> None:
        self.site = site
        self.client = site.services.clients.add("app", "system/*.cruds user/*.cruds patient/*.cruds", secret="x" * 12)
        self.made: list[httpx.Client] = []
        self.http = self.system(ALL)
        self.none = httpx.Client(base_url=site.url)
        self.made.append(self.none)
        self.other = self.person("patient/Patient.r patient/DocumentReference.cruds")
        self.granular = self.system("system/Patient.r system/DocumentReference.cruds?category=clinical-note")
        self.mixed = self.person("user/Patient.r patient/DocumentReference.cruds")
        self.patients = self.system("system/Patient.r")
        self.reader = self.system("system/Patient.r system/DocumentReference.rs")
        self.ann = self.person("user/Patient.r user/DocumentReference.cruds")

    def system(self, scope: str) -> httpx.Client:
        """Return a client that acts for itself."""
        issue = self.site.services.tokens.issue
        return self._client(self.site.database.write(lambda c: issue(c, self.client, parse_scopes(scope))))

    def person(self, scope: str) -> httpx.Client:
        """Return a client that acts for Ann, started for P2."""
        tokens, now, name = self.site.services.tokens, time.time(), f"grant {scope}"
        scopes, context, until = parse_scopes(scope), LaunchContext(patient="P2"), now + 900
        grant = Grant(
            self.client, scopes, ActingFor("ann", Role.CLINICIAN, "Practitioner/ann"), context, now, until, name
        )
        row = {"id": name, "client_id": self.client, "person": "ann", "scope": scope, "context": context.dumps()}
        row |= {"auth_time": now, "methods": "pwd", "created_at": now, "expires_at": until, "revoked": False}

        def issue(connection: Connection) -> str:
            connection.execute(access_grant.insert(), row)
            return tokens.issue_for(connection, grant, scopes)[0]

        return self._client(self.site.database.write(issue))

    def opened(self, **more: Any) -> str:
        """Open an encounter and return its path."""
        answer = self.http.post(ROOT, json={"patient": "Patient/P1", "consent": {"method": "verbal"}, **more})
        assert answer.status_code == 201, answer.text
        return f"{ROOT}/{answer.json()['id']}"

    def drafted(self, **more: Any) -> str:
        """Return the path of an encounter with a draft."""
        path = self.opened(**more)
        lines = "\n".join(f"{'Doctor' if role == 'clinician' else 'Patient'}: {text}" for role, text in LINES)
        assert self.http.post(f"{path}/transcript", content=lines).status_code == 202
        deadline = time.monotonic() + 20
        while self.http.get(path).json()["status"] != "drafted":
            assert time.monotonic() < deadline
            _PAUSE.wait(0.02)
        return path

    def browser(self) -> httpx.Client:
        """Return a client with the session of Ann, who signed in by the form."""
        made = httpx.Client(base_url=self.site.url, follow_redirects=True)
        self.made.append(made)
        form = made.get("/scribe/")
        fields = dict(re.findall(r'name="(csrf|next)" value="([^"]*)"', form.text))
        made.post(form.url, data={**fields, "username": "ann", "password": PASSWORD})
        return made

    def blobs(self) -> set[str]:
        """Return the references of all identified blobs."""
        return set(self.site.stores.identified.refs())

    def _client(self, token: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {token}"}
        self.made.append(httpx.Client(base_url=self.site.url, headers=headers, timeout=20))
        return self.made[-1]


@pytest.fixture(scope="module")
def door(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("scribe")
    site = ScribeSite(new_sqlite(folder / "osler.db"), folder, lines=LINES, said=SAID)
    made = Door(site)
    yield made
    for client in made.made:
        client.close()
    site.stop()


# ----------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "patient"),
        ({"patient": 7}, "patient"),
        ({"patient": "Practitioner/P1"}, "patient"),
        ({"patient": "../P1"}, "patient"),
        ({"patient": {"reference": ["Patient/P1"]}}, "patient"),
        ({"patient": "P1", "template": "sonnet"}, "template"),
        ({"patient": "P1", "template": ["soap"]}, "template"),
        ({"patient": "P1", "detail": "endless"}, "detail"),
        ({"patient": "P1", "detail": {}, "template": "soap"}, ""),
        ({"patient": "P1", "encounter": "Encounter/a b"}, "encounter"),
        ({"patient": "P1", "consent": True}, "consent"),
        ({"patient": "P1", "consent": {"method": "telepathy"}}, "consent.method"),
        ({"patient": "P1", "consent": {"method": "verbal", "time": "yesterday"}}, "consent.time"),
        ({"patient": "P1", "consent": {"method": "verbal", "time": "2026-01-01T00:00:00"}}, "consent.time"),
        ({"patient": "P1", "consent": {"method": "verbal", "time": "2999-01-01T00:00:00Z"}}, "consent.time"),
        ({"patient": "P1", "consent": {"method": "verbal", "time": "0001-01-01T00:00:00+23:59"}}, "consent.time"),
    ],
)
def test_a_new_encounter_is_refused_in_words_that_name_the_member(door: Door, body: Any, words: str) -> None:
    answer = door.http.post(ROOT, json=body)
    if words:
        assert answer.status_code == 400, answer.text
        assert words in answer.text
    else:
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b'{"patient": "' + b"x" * 1_000_000 + b'"}', "application/json", 413),
    ],
)
def test_what_is_no_json_object_is_refused(door: Door, content: bytes, kind: str, status: int) -> None:
    assert door.http.post(ROOT, content=content, headers={"content-type": kind}).status_code == status


def test_staged_orders_are_shown_with_the_encounter(door: Door, drafted: str) -> None:
    (first, *_) = orders = door.http.get(drafted).json()["orders"]

    assert (first["id"], first["state"], first["by"]) == ("o1", "staged", "")
    assert first["evidence"][0]["utterance"]
    assert door.http.get(f"{drafted}/note").json()["orders"] == orders


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/note/statements/s1", {}, 400),
        ("PATCH", "/note/statements/s1", {"text": 7}, 400),
        ("PATCH", "/note/statements/s1", {"text": " "}, 400),
        ("PATCH", "/note/statements/s1", {"text": "x" * 5000}, 400),
        ("PATCH", "/note/statements/nobody", {"text": "x"}, 404),
        ("POST", "/note/sections/plan/statements", {"text": "x", "utterances": "1"}, 400),
        ("POST", "/note/sections/plan/statements", {"text": "x", "utterances": [True]}, 400),
        ("POST", "/note/sections/plan/statements", {"text": "x", "utterances": [1] * 51}, 400),
        ("POST", "/note/sections/plan/statements", {"text": "x", "utterances": [99]}, 400),
        ("POST", "/note/sections/poem/statements", {"text": "x"}, 404),
        ("POST", "/note/sections/plan/regenerate", {"detail": "endless"}, 400),
        ("POST", "/note/sections/plan/regenerate", {"by_problem": "yes"}, 400),
        ("POST", "/note/sections/plan/regenerate", {"patient_called": "the king"}, 400),
        ("PUT", "/note/codes/Z99", {"accepted": "yes"}, 400),
        ("PUT", "/note/codes/Z99", {"accepted": True}, 404),
        ("PUT", "/note/orders/o1", {"state": "placed"}, 400),
        ("PUT", "/note/orders/o99", {"state": "kept"}, 404),
        ("PUT", "/roles", {"S1": "king"}, 400),
        ("PUT", "/roles", {"S1": ["patient"]}, 400),
        ("PUT", "/roles", {"S9": "patient"}, 404),
        ("PUT", "/roles", {}, 400),
        ("POST", "/sign", {"password": PASSWORD}, 403),
        ("POST", "/retry", None, 409),
        ("POST", "/pause", None, 409),
        ("POST", "/finish", {"takes": {"x": 1}}, 400),
        ("POST", "/finish", {"takes": [1]}, 400),
        ("POST", "/deliveries/nothing/retry", None, 404),
        ("GET", "/signed", None, 404),
        ("GET", "/document", None, 404),
        ("GET", "/audio?start=1&end=2", None, 404),
        ("GET", "/audio?start=2&end=1", None, 400),
        ("GET", "/audio?start=0&end=1000", None, 400),
        ("GET", "/audio?start=nan&end=inf", None, 400),
        ("GET", "/audio?start=1", None, 400),
        ("PUT", "/audio/0/0", None, 409),
        ("POST", "/transcript", None, 400),
    ],
)
def test_changes_that_make_no_sense(door: Door, drafted: str, method: str, path: str, body: Any, status: int) -> None:
    answer = door.http.request(method, drafted + path, json=body, headers={"if-match": 'W/"1"'})
    assert answer.status_code == status, answer.text
    assert door.http.get(drafted).json()["revision"] == 1


def test_how_a_note_is_written_is_chosen_when_it_is_opened_and_when_a_section_is_written_anew(door: Door) -> None:
    chosen = {"detail": "full", "by_problem": True, "patient_called": "the client"}
    path, asked = door.drafted(**chosen), door.site.writer.asked
    held = door.http.get(path).json()
    assert {name: held[name] for name in chosen} == chosen
    assert asked[-1] == Style("full", True, "the client")
    answer = door.http.post(
        f"{path}/note/sections/plan/regenerate",
        json={"detail": "brief", "by_problem": False},
        headers={"if-match": 'W/"1"'},
    )
    assert answer.status_code == 200
    assert asked[-1] == Style("brief", False, "the client")
    for wrong in ({"by_problem": 1}, {"patient_called": "x"}, {"detail": ["brief"]}):
        assert door.http.post(ROOT, json={"patient": "Patient/P1", **wrong}).status_code == 400


def test_what_was_measured_is_shown_to_whom_notes_may_be_shown(door: Door) -> None:
    control = {"others_refused": 1.0, "pairs": 2, "own_taken": 1.0, "own": 2}
    report = {
        "software": "1",
        "kind": "drafts",
        "corpus": {"name": "<b>ours</b>", "sha256": "a" * 64},
        "template": "soap",
        "cases": 2,
        "writer": "scripted 1",
        "figures": {"rouge1": 0.5, "evidence": 0.9},
        "disturbed": {},
        "another_patient": {"drafts": control, "references": control},
        "seconds": {"mean": 0.1, "slowest": 0.2, "per_minute": 0.01},
    }
    for _ in range(2):
        evaluations.keep(door.site.stores, Agent("max", "person"), report)
    found = door.http.get("/scribe/quality.json").json()["evaluations"]
    assert [one["made_by"] for one in found] == ["max", "max"]
    assert report.items() <= found[0].items()
    assert door.none.get("/scribe/quality.json").status_code == 401
    assert door.patients.get("/scribe/quality.json").status_code == 403
    assert door.none.get("/scribe/quality").status_code == 303
    page = door.browser().get("/scribe/quality").text
    assert "reported, not a pass mark" in page
    assert page.count("<polyline") >= 4
    assert "&lt;b&gt;ours" in page
    assert "<b>ours" not in page
    assert 'class="short"' in page  # evidence of less than all


def test_people_are_told_before_a_recording_that_nobody_finished_is_deleted_and_after(door: Door) -> None:
    path = door.opened()
    key, now = path.rpartition("/")[2], time.time()
    assert door.http.put(f"{path}/audio/0/0", content=tone(0.1)).status_code == 201
    browser = door.browser()
    assert "recording is deleted on" not in browser.get(f"/scribe/record/{key}").text
    days = 86400.0
    aged(door, key, now - 25 * days)
    ends = door.http.get(path).json()["audio"]["delete_at"]
    assert ends[:16] == instant(now + 5 * days)[:16]
    assert "recording is deleted on" in browser.get(f"/scribe/record/{key}").text
    listed = browser.get("/scribe/").text
    assert "The recording of 1 encounter is soon deleted" in listed
    assert listed.index(key) == min(listed.index(one) for one in re.findall(r'data-encounter="([^"]+)', listed))
    aged(door, key, now - 31 * days)
    limits = door.site.desk.capture.limits
    assert delete_due_audio(door.site.stores, keep_unfinished_s=limits.keep_unfinished_s)
    held = door.http.get(path).json()
    assert (held["status"], held["audio"]["bytes"]) == ("open", 0)
    assert held["audio"]["deleted_at"]
    assert "nobody had finished it" in browser.get(f"/scribe/record/{key}").text


def aged(door: Door, key: str, at: float) -> None:
    """Let an encounter be one that nobody has touched since then."""

    def within(connection: Connection) -> None:
        connection.execute(update(scribe_encounter).where(scribe_encounter.c.id == key).values(updated_at=at))
        connection.execute(update(scribe_part).where(scribe_part.c.encounter_id == key).values(received_at=at))

    door.site.database.write(within)


@pytest.fixture(scope="module")
def drafted(door: Door) -> str:
    return door.drafted()


@pytest.mark.parametrize("tag", ["", "*", "1x", 'W/"2"', 'W/"99999999999999999999"', 'W/"٣"'])
def test_a_change_says_which_revision_it_is_about(door: Door, drafted: str, tag: str) -> None:
    headers = {"if-match": tag.encode()} if tag else {}
    for method, path in (("PATCH", "/note/statements/s1"), ("POST", "/note/sections/plan/statements")):
        answer = door.http.request(method, drafted + path, json={"text": "Words."}, headers=headers)
        assert answer.status_code == 412, answer.text


# ------------------------------------------------------------------------------------------------------ reach

ROUTES = [
    ("GET", ""), ("PUT", "/consent"), ("DELETE", "/consent"), ("POST", "/pause"), ("POST", "/resume"),
    ("POST", "/finish"), ("POST", "/retry"), ("GET", "/transcript"), ("GET", "/transcript.vtt"), ("GET", "/note"),
    ("GET", "/note.txt"), ("GET", "/signed"), ("GET", "/summary"), ("GET", "/letter"),
    ("GET", "/document"), ("PATCH", "/note/statements/s1"),
    ("DELETE", "/note/statements/s1"), ("POST", "/note/statements/s1/restore"),
    ("POST", "/note/sections/plan/statements"), ("POST", "/note/sections/plan/regenerate"),
    ("PUT", "/note/codes/R05.9"), ("PUT", "/note/orders/o1"), ("PUT", "/roles"), ("POST", "/sign"),
    ("POST", "/sign/again"), ("GET", "/note/document"),
    ("POST", "/deliveries/x/retry"),
    ("POST", "/audio"), ("GET", "/audio"), ("PUT", "/audio/0/0"), ("POST", "/transcript"),
]  # fmt: skip
BODIES: dict[str, Any] = {
    "/consent": {"method": "verbal"}, "/note/statements/s1": {"text": "x"},
    "/note/sections/plan/statements": {"text": "x"}, "/note/codes/R05.9": {"accepted": True},
    "/note/orders/o1": {"state": "kept"},
    "/roles": {"S1": "patient"}, "/sign": {"password": PASSWORD},
}  # fmt: skip


def asked(client: httpx.Client, method: str, path: str, rest: str) -> int:
    content = json.dumps(BODIES.get(rest, {})) if method in ("PUT", "PATCH", "POST") else None
    headers = {"if-match": 'W/"1"', "content-type": "application/json"}
    return client.request(method, path + rest, content=content, headers=headers).status_code


def test_the_table_has_every_route(door: Door) -> None:
    from osler.api.scribe.endpoints import routes

    known = {
        (method, route.path.removeprefix(ROOT + "/{id}"))  # type: ignore[attr-defined]
        for route in routes(door.site.services, door.site.desk)
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
        if "{id}" in route.path  # type: ignore[attr-defined]
    }
    names = {"s1": "{statement}", "plan": "{key}", "R05.9": "{code}", "o1": "{order}", "x": "{delivery}"}
    here = {
        (method, "/".join(names.get(word, word) for word in rest.split("/")).replace("/0/0", "/{take}/{number}"))
        for method, rest in ROUTES
    }
    assert here == known


@pytest.mark.parametrize(("method", "rest"), ROUTES)
def test_every_route_is_closed_to_who_may_not(door: Door, drafted: str, method: str, rest: str) -> None:
    before = door.http.get(drafted).json()
    assert asked(door.none, method, drafted, rest) == 401
    assert asked(door.other, method, drafted, rest) == 404, "another patient's"
    assert asked(door.granular, method, drafted, rest) == 403, "some notes alone"
    assert asked(door.mixed, method, drafted, rest) == 404, "all patients, notes of one"
    assert asked(door.patients, method, drafted, rest) == 403, "no notes"
    if method != "GET":
        assert asked(door.reader, method, drafted, rest) == 403, "who only reads"
    after = door.http.get(drafted).json()
    assert (after["revision"], after["consent"], after["status"]) == (1, before["consent"], "drafted")


def test_an_encounter_that_is_out_of_reach_is_told_from_none_by_nothing(door: Door, drafted: str) -> None:
    one, none = (door.other.get(path) for path in (drafted, f"{ROOT}/00000000-0000-0000-0000-000000000000"))
    assert (one.status_code, one.json()) == (none.status_code, none.json())


def test_encounters_of_a_restricted_patient_are_hidden_from_people(door: Door) -> None:
    restricted = {
        "resourceType": "Patient", "id": "P3", "name": [{"family": "Crane"}],
        "meta": {"security": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
        ]},
    }  # fmt: skip
    door.site.database.write(partial(door.site.stores.resources.put, resource=restricted))
    path = door.opened(patient="Patient/P3")
    assert door.http.get(path).status_code == 200
    assert door.ann.get(path).status_code == 404
    assert path.rpartition("/")[2] not in door.ann.get(ROOT).text
    assert path.rpartition("/")[2] in door.http.get(ROOT).text
    assert door.ann.post(ROOT, json={"patient": "Patient/P3"}).status_code == 404


def test_who_is_bound_to_a_patient_lists_and_opens_those_of_that_one(door: Door, drafted: str) -> None:
    listed = door.other.get(ROOT).json()["encounters"]
    assert {one["patient"] for one in listed} <= {"Patient/P2"}
    assert door.other.post(ROOT, json={"patient": "Patient/P1"}).status_code == 404
    mine = door.other.post(ROOT, json={"patient": "Patient/P2"})
    assert mine.status_code == 201
    assert door.other.get(ROOT).json()["encounters"][0]["id"] == mine.json()["id"]
    assert door.http.get(ROOT, params={"patient": "Patient/P2"}).json()["encounters"][0]["id"] == mine.json()["id"]
    assert door.http.get(ROOT, params={"status": "sleeping"}).status_code == 400


# ------------------------------------------------------------------------------------------------------ audio


def test_an_upload_that_breaks_off_leaves_nothing(door: Door) -> None:
    path, before = door.opened(), door.blobs()
    host, _, port = door.site.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {path}/audio HTTP/1.1\r\nhost: x\r\nauthorization: {door.http.headers['authorization']}\r\n"
        connection.sendall(f"{head}content-length: 99000000\r\n\r\n".encode() + tone(1))
        for _ in range(5):
            connection.sendall(bytes(2_000_000))
        deadline = time.monotonic() + 10
        while door.blobs() == before:
            assert time.monotonic() < deadline
            _PAUSE.wait(0.01)
    while door.blobs() != before:
        assert time.monotonic() < deadline
        _PAUSE.wait(0.01)
    assert door.http.get(f"{path}/audio").json() == {"bytes": 0, "takes": []}
    assert door.http.post(f"{path}/audio", content=tone(1)).status_code == 202


def test_files_and_parts_become_takes(door: Door) -> None:
    path = door.opened()
    for _ in range(2):
        assert door.http.post(f"{path}/audio?finish=no", content=tone(1)).status_code == 202
    assert door.http.put(f"{path}/audio/5/2", content=b"x").status_code == 201
    shown = door.http.get(f"{path}/audio").json()
    assert [(one["take"], one["parts"], one["next"]) for one in shown["takes"]] == [(0, 1, 1), (1, 1, 1), (5, 1, 0)]
    assert door.http.put(f"{path}/audio/x/2", content=b"x").status_code == 404
    assert door.http.put(f"{path}/audio/0/123456", content=b"x").status_code == 404
    assert door.http.put(f"{path}/audio/6/0", content=b"no audio").status_code == 415
    assert door.http.post(f"{path}/audio", content=b"").status_code == 400
    clip = door.http.get(f"{path}/audio", params={"start": 0.5, "end": 1.5})
    assert (clip.status_code, len(clip.content)) == (200, 44 + 2 * 16000)
    assert clip.headers["cache-control"] == "no-store"


def test_consent_taken_back_over_http_deletes_the_audio(door: Door) -> None:
    path, before = door.opened(), door.blobs()
    assert door.http.put(f"{path}/audio/0/0", content=tone(1)).status_code == 201
    gone = door.http.delete(f"{path}/consent").json()
    assert (gone["consent"], gone["audio"]["bytes"]) == (None, 0)
    assert door.blobs() == before
    assert door.http.put(f"{path}/audio/0/0", content=tone(1)).status_code == 403
