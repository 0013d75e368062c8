"""The core that documents encounters, over one database: no socket, no loop, and a clock that the test moves."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osler.audit import Agent, AuditLog
from osler.domain.encounter import Consent, ConsentMethod, Documented, EncounterState, Subject
from osler.domain.transcript import SpeakerRole, Transcript
from osler.draft.port import Writer
from osler.draft.templates import load_templates
from osler.queue.embedded import EmbeddedQueue
from osler.scribe.capture import Capture, Limits, Wanted
from osler.scribe.chart import Chart
from osler.scribe.delivering import NoteDeliveries, Outside
from osler.scribe.papers import Json, Paper
from osler.scribe.retention import delete_due_audio
from osler.scribe.review import Reviewing
from osler.scribe.signing import Signing
from osler.scribe.steps import Means, Steps
from osler.storage import Database, encounters, note_deliveries
from osler.storage.blobs import FolderBlobs
from osler.storage.note_deliveries import NoteDelivery
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.stores import Stores
from osler.vault import KeyRing, Vault
from scribe_site import Line, Said, ScriptedWriter, conversation

CLINICIAN, PATIENT = SpeakerRole.CLINICIAN, SpeakerRole.PATIENT
ANN = Agent("ann", "person")
LINES: tuple[Line, ...] = (
    (CLINICIAN, "Good morning, Ada. What brings you in?"),
    (PATIENT, "I have had a cough for three days, and no fever."),
    (PATIENT, "I take lisinopril 10 milligrams every morning."),
    (CLINICIAN, "This is acute bronchitis, I think."),
    (CLINICIAN, "Start azithromycin 250 milligrams daily."),
)
SAID: tuple[Said, ...] = (
    ("subjective", "The patient reports a cough for three days.", 2, "I have had a cough for three days"),
    ("subjective", "The patient takes lisinopril 20 mg every morning.", 3, "I take lisinopril 10 milligrams"),
    ("assessment", "Acute bronchitis.", 4, "This is acute bronchitis"),
    ("plan", "Start azithromycin 250 mg daily.", 5, "Start azithromycin 250 milligrams daily"),
)
REFUSED = "s2"
"""The dose is not what was said."""
RIFF = b"RIFF\x24\x00\x00\x00WAVEfmt "


class Killed(BaseException):
    """The process ended."""


class MortalBlobs(FolderBlobs):
    """Blobs of a process that may be killed before the next deletion."""

    mortal = False

    def delete(self, ref: str) -> None:
        """Delete, or die once."""
        if self.mortal:
            self.mortal = False
            raise Killed
        super().delete(ref)


class FakeEar:
    """Reads all audio, does what it was told to meanwhile, and says what it was told to."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self.meanwhile: Callable[[], None] = lambda: None
        self.heard: list[bytes] = []

    def hear(self, files: Sequence[BinaryIO], chart: Chart, *, progress: Callable[[float], None]) -> Transcript:
        """Return the transcript."""
        self.heard = [file.read() for file in files]
        self.meanwhile()
        progress(1.0)
        return self.transcript


class Lab:
    """Everything, on one database."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        writers: Sequence[Writer] = (),
        outside: dict[str, Any] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.database = database
        self.now = 1_790_000_000.0
        keys = KeyRing.open(database, master_key=bytes(range(32)), tenant="default")
        keyed: Any = {"sealer": keys.sealer("record"), "index": keys.index}
        self.audit = AuditLog(
            database,
            signing_key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))),
            checkpoints=folder / "checkpoints",
        )
        self.blobs = MortalBlobs(folder / "identified", sealer=keys.sealer("blob"), durable=False)
        self.stores = Stores(
            database=database,
            keyring=keys,
            identified=self.blobs,
            deidentified=FolderBlobs(folder / "deidentified", durable=False),
            vault=Vault(database, keys, self.audit),
            audit=self.audit,
            queue=EmbeddedQueue(database, lease_s=30, max_attempts=3, backoff_s=1, ageing_s=60),
            resources=ResourceStore(database, **keyed),
            search=ResourceSearch(database, **keyed),
        )
        self.writer = ScriptedWriter(SAID)
        self.ear = FakeEar(conversation(LINES))
        self.means = Means(self.ear, list(writers) or [self.writer], load_templates(), 3600.0)
        self.capture = Capture(self.stores, limits or Limits(), clock=self.clock)
        self.reviewing = Reviewing(self.stores, self.means, clock=self.clock)
        out: dict[str, Any] = {"receivers": {}, "ehrs": {}, **(outside or {})}
        names = ("", *out["receivers"], *out["ehrs"])
        self.signing = Signing(self.stores, names, clock=self.clock)
        self.outside = Outside(
            **({"max_attempts": 3} | out), base_url="http://hub.test", site="St Mary", issuer="", tls=lambda _: None
        )
        self.steps = self.steps_of("one")
        self.deliveries = self.deliveries_of("one")
        for key, family in (("P1", "Amber"), ("P2", "Birch")):
            person = {"resourceType": "Patient", "id": key, "name": [{"family": family, "given": ["Ada"]}]}
            self.put(person)

    def clock(self) -> float:
        """Return the time, which stands still."""
        return self.now

    def steps_of(self, owner: str) -> Steps:
        """Return the steps of another process."""
        return Steps(self.stores, self.means, owner=owner, clock=self.clock)

    def deliveries_of(self, owner: str) -> NoteDeliveries:
        """Return the deliveries of another process."""
        return NoteDeliveries(self.stores, self.outside, owner=owner, clock=self.clock)

    def put(self, resource: dict[str, Any]) -> None:
        """Put a resource into the chart."""
        self.database.write(lambda c: self.stores.resources.put(c, resource))

    def consent(self) -> Consent:
        """Return a consent."""
        return Consent(ConsentMethod.VERBAL, "2026-09-21T10:00:00Z", "ann")

    def open(self, *, consent: bool = True, patient: str = "P1", encounter: str = "", template: str = "soap") -> str:
        """Open an encounter."""
        wanted = Wanted(Subject(patient, "", encounter), template, consent=self.consent() if consent else None)
        return self.capture.create(ANN, wanted).id

    def drafted(self) -> str:
        """Return an encounter with a draft of what the ear heard."""
        key = self.open()
        self.capture.transcript(ANN, key, self.ear.transcript)
        assert self.steps.draft()
        assert self.held(key).state is EncounterState.DRAFTED
        return key

    def recorded(self) -> str:
        """Return an encounter whose recording is finished."""
        key = self.open()
        self.capture.add(ANN, key, [(0, 0, RIFF), (0, 1, b"more")])
        self.capture.finish(ANN, key)
        return key

    def delete_due_audio(self) -> bool:
        """Delete the audio of one encounter whose time is over."""
        keep_s = self.capture.limits.keep_unfinished_s
        return delete_due_audio(self.stores, keep_unfinished_s=keep_s, clock=self.clock)

    def held(self, key: str) -> Documented:
        """Return an encounter as the ledger has it."""
        with self.database.read() as connection:
            return encounters.find(connection, key)

    def note(self, key: str) -> Json:
        """Return the note under review."""
        return self.reviewing.read(ANN, key, Paper.NOTE)[1]

    def sign(self, key: str) -> Json:
        """Sign."""
        return self.signing.sign(ANN, key, self.held(key).revision, practitioner=None)

    def sent(self, key: str) -> list[NoteDelivery]:
        """Return the deliveries."""
        with self.database.read() as connection:
            return note_deliveries.of(connection, key)

    def events(self) -> list[str]:
        """Return what is on record, the earliest first."""
        return [entry.event for entry in reversed(self.audit.search(limit=500))]

    def kept(self) -> set[str]:
        """Return the references of all identified blobs."""
        return set(self.blobs.refs())
