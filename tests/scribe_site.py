"""A hub that documents encounters, on a real socket, with an ear and a writer that say what the test wants."""

import io
import math
import struct
import threading
import time
import wave
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.api.app import create_app
from osler.api.people.roles import Role
from osler.api.people.service import People, Policy
from osler.api.services import Services
from osler.api.smart.clients import ClientStore
from osler.api.smart.tokens import TokenStore
from osler.audit import HUB, AuditLog
from osler.domain.encounter import EncounterState, Subject
from osler.domain.note import Draft, DraftAuthor, Evidence, Section, Statement, Template, Topic
from osler.domain.transcript import DeidentifiedTranscript, SpeakerRole, Transcript, Utterance
from osler.draft.port import Style
from osler.draft.templates import load_templates
from osler.errors import InputRejected
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.queue.embedded import EmbeddedQueue
from osler.scribe.capture import Capture, Limits, Wanted
from osler.scribe.chart import Chart
from osler.scribe.delivering import NoteDeliveries, Outside
from osler.scribe.desk import ScribeDesk
from osler.scribe.hearing import SpeechEar
from osler.scribe.review import Reviewing
from osler.scribe.signing import Signing
from osler.scribe.steps import Means, Steps
from osler.storage import Database
from osler.storage.blobs import FolderBlobs
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.stores import Stores
from osler.testing.peers import free_ports
from osler.transcribe.recognise import Recogniser
from osler.transcribe.transcriber import Options
from osler.vault import KeyRing, Vault

PASSWORD = "three quiet green lamps"

_TOPICS = {"assessment": Topic.ASSESSMENT, "plan": Topic.PLAN}

Line = tuple[SpeakerRole, str]
Said = tuple[str, str, int, str]
"""Section, sentence, utterance, and the words of it that are quoted."""


def conversation(lines: Sequence[Line], seconds: float = 1.0) -> Transcript:
    """Return a transcript in which each line takes so many seconds."""
    voices = {SpeakerRole.CLINICIAN: "S1", SpeakerRole.PATIENT: "S2", SpeakerRole.OTHER: "S3"}
    return Transcript(
        tuple(
            Utterance(n, voices[role], role, text, (n - 1) * seconds, n * seconds)
            for n, (role, text) in enumerate(lines, start=1)
        ),
        duration_s=len(lines) * seconds,
    )


def tone(seconds: float) -> bytes:
    """Return a WAV file with a tone."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(
            b"".join(struct.pack("<h", round(9000 * math.sin(n * 0.17))) for n in range(round(seconds * 16000)))
        )
    return stream.getvalue()


class ScriptedEar(SpeechEar):
    """Hears what it was told to, without a model."""

    def __init__(self, transcript: Transcript) -> None:
        super().__init__(_no_model, Options())
        self.transcript = transcript
        self.refuses = False

    def hear(self, files: Sequence[BinaryIO], chart: Chart, *, progress: Callable[[float], None]) -> Transcript:
        """Return the transcript, when there is any audio."""
        if self.refuses:
            raise InputRejected("there is no speech in the recording")
        progress(sum(len(file.read()) > 0 for file in files))
        return self.transcript


class ScriptedWriter:
    """Writes what it was told to; a brief note has the first statement of each section alone."""

    def __init__(self, said: Sequence[Said]) -> None:
        self.said = said
        self.asked: list[Style] = []

    def write(self, transcript: DeidentifiedTranscript, template: Template, style: Style) -> Draft:
        """Return the draft."""
        self.asked.append(style)
        sections = []
        for section in template.sections:
            found = [
                Statement(f"s{n}", text, (Evidence(utterance, quote),), _TOPICS.get(key, Topic.HISTORY))
                for n, (key, text, utterance, quote) in enumerate(self.said, start=1)
                if key == section.key
            ]
            kept = tuple(found[:1] if style.detail == "brief" else found)
            sections.append(Section(section.key, section.title, section.code, kept))
        return Draft(template.name, tuple(sections), DraftAuthor("extractive", "scripted", "1"))


class ScribeSite:
    """The hub; ``stop`` it in the end. Ann is a clinician, Max an engineer, and P1 is Ada Amber."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        lines: Sequence[Line],
        said: Sequence[Said],
        destinations: tuple[str, ...] = ("",),
        address: str = "",
        policy: Policy | None = None,
    ) -> None:
        address = address or f"127.0.0.1:{free_ports(1)[0]}"
        self.url = f"http://{address}"
        self.database = Database(url)
        keys = KeyRing.open(self.database, master_key=bytes(32), tenant="default")
        keyed: Any = {"sealer": keys.sealer("record"), "index": keys.index}
        self.audit = AuditLog(
            self.database, signing_key=Ed25519PrivateKey.generate(), checkpoints=folder / "checkpoints"
        )
        self.stores = Stores(
            database=self.database,
            keyring=keys,
            identified=FolderBlobs(folder / "identified", sealer=keys.sealer("blob")),
            deidentified=FolderBlobs(folder / "deidentified"),
            vault=Vault(self.database, keys, self.audit),
            audit=self.audit,
            queue=EmbeddedQueue(self.database, lease_s=30, max_attempts=3, backoff_s=1, ageing_s=60),
            resources=ResourceStore(self.database, **keyed),
            search=ResourceSearch(self.database, **keyed),
        )
        self._due, self._ended = threading.Event(), threading.Event()
        templates = load_templates()
        self.writer = ScriptedWriter(said)
        self.ear = ScriptedEar(conversation(lines))
        means = Means(self.ear, [self.writer], templates, 3600.0)
        self._steps = Steps(self.stores, means, owner="test")
        self._deliveries = NoteDeliveries(self.stores, _nowhere(self.url), owner="test")
        wake = self._due.set
        self.desk = ScribeDesk(
            self.stores,
            Capture(self.stores, Limits(), wake=wake),
            Reviewing(self.stores, means, wake=wake),
            Signing(self.stores, destinations, wake=wake),
            templates,
            "soap",
            self.ear,
        )
        people = People.open(self.database, keys=keys, base_url=self.url, site="St Mary", policy=policy)
        self.services = Services(
            base_url=self.url,
            database=self.database,
            audit=self.audit,
            resources=self.stores.resources,
            search=self.stores.search,
            clients=ClientStore(self.database),
            tokens=TokenStore(self.database),
            accept=lambda received: None,
            metrics=Metrics(),
            people=people,
            scribe=self.desk,
        )
        self.people = people
        for one in (_patient("P1", "Ada", "Amber"), _patient("P2", "Bert", "Birch")):
            self.database.write(partial(self.stores.resources.put, resource=one))
        people.users.add("ann", Role.CLINICIAN, PASSWORD, fhir_user="Practitioner/ann")
        people.users.add("max", Role.ML_ENGINEER, PASSWORD)
        self._server = WebServer(create_app(self.services), address)
        self._server.start()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._ended.set()
        self._due.set()
        self._thread.join()
        self._server.stop()
        self.database.close()

    def events(self) -> list[str]:
        """Return the names of all that is on record, the earliest first."""
        return [entry.event for entry in reversed(self.audit.search(limit=1000))]

    def drafted(self, lines: Sequence[Line]) -> str:
        """Return the id of an encounter with a draft, which is revision 1."""
        capture, deadline = self.desk.capture, time.monotonic() + 60
        key = capture.create(HUB, Wanted(Subject("P1"), self.desk.template)).id
        capture.transcript(HUB, key, conversation(lines))
        while self.desk.find(key).state is not EncounterState.DRAFTED:
            assert time.monotonic() < deadline
            self._ended.wait(0.02)
        return key

    def _work(self) -> None:
        while not self._ended.is_set():
            self._due.wait()
            self._due.clear()
            while self._steps.transcribe() or self._steps.draft() or self._deliveries.step():
                pass


def _no_model() -> Recogniser:
    raise InputRejected("there is no speech model here")


def _nowhere(base_url: str) -> Outside:
    return Outside(receivers={}, ehrs={}, base_url=base_url, site="St Mary", issuer="", tls=lambda destination: None)


def _patient(logical_id: str, given: str, family: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": logical_id,
        "identifier": [{"system": "urn:mrn", "value": f"M-{logical_id}"}],
        "name": [{"family": family, "given": [given]}],
        "birthDate": "1961-04-02",
        "gender": "female",
    }


__all__ = ["PASSWORD", "ScribeSite", "conversation", "tone"]
