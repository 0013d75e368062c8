"""The two long steps: audio becomes a transcript, a transcript becomes a draft that has been through the gate.

Each is claimed, done, and filed in one transaction with its audit entry; a step that is killed is done again. What
cannot be done waits for a person with its reason, and nothing that came is lost.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Final, Protocol

import structlog
from sqlalchemy import Connection

from osler.audit import HUB
from osler.deidentify.transcript import deidentify_transcript
from osler.domain.encounter import Documented, EncounterState
from osler.domain.note import Checked, Template
from osler.domain.note_json import checked_to_json, transcript_to_json
from osler.domain.transcript import DeidentifiedTranscript, Transcript
from osler.draft.coding import suggest_codes
from osler.draft.gate import check
from osler.draft.port import Style, Writer
from osler.errors import Conflict, InputRejected, OslerError, PluginError, Unprocessable, UnsupportedKind
from osler.registry.boundary import call
from osler.scribe.chart import Chart, read_chart
from osler.scribe.note import new_note
from osler.scribe.own import OwnBlobs
from osler.scribe.papers import Json, Paper, Papers
from osler.scribe.record import record
from osler.scribe.revealing import Revealing
from osler.scribe.staging import with_orders
from osler.scribe.takes import takes
from osler.storage import encounters
from osler.stores import Stores
from osler.transcribe.english import look
from osler.transcribe.formats import from_json, to_json
from osler.vault.documents import Documents

LEASE_S: Final = 120.0
DRAFT_LEASE_S: Final = 900.0
"""A language model says nothing meanwhile; its client gives up earlier."""
_MOST_ATTEMPTS: Final = 4
_BACKOFF_S: Final = 2.0
_RENEW_S: Final = 5.0

log = structlog.get_logger(__name__)


class Ear(Protocol):
    """Hears what is said in the takes of a recording."""

    def hear(self, files: Sequence[BinaryIO], chart: Chart, *, progress: Callable[[float], None]) -> Transcript:
        """Return the transcript; ``progress`` is told how much has been heard, seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What the steps work with.

    Parameters
    ----------
    ear : Ear
    writers : sequence of Writer
        The first writes; each of the others when the one before it has failed for good.
    templates : mapping of str to Template
    keep_audio_s : float
        How long audio is kept after it has been transcribed, seconds.
    """

    ear: Ear
    writers: Sequence[Writer]
    templates: Mapping[str, Template]
    keep_audio_s: float


@dataclass(frozen=True, slots=True)
class Drafted:
    """What comes of a transcript."""

    transcript: DeidentifiedTranscript
    checked: Checked
    note: Json
    originals: Mapping[str, Sequence[str]]


def template_of(means: Means, held: Documented) -> Template:
    """Return the kind of note that an encounter is to become.

    Raises
    ------
    Unprocessable
        If the settings have none of that name any more.
    """
    if held.template not in means.templates:
        raise Unprocessable("the settings have no template of that name any more: bring it back, then retry")
    return means.templates[held.template]


def style_of(held: Documented) -> Style:
    """Return how the note of an encounter is to be written."""
    return Style(held.detail, held.by_problem, held.patient_called)


def draft_note(transcript: Transcript, chart: Chart, *, writer: Writer, template: Template, style: Style) -> Drafted:
    """Turn a transcript into a note: de-identify, write, check, suggest codes, and put the identities back.

    The writer sees the de-identified transcript and nothing else.

    Raises
    ------
    UnsupportedKind
        If most of it is not in English.
    """
    spoken = look(transcript.utterances)
    if not spoken.english:
        raise UnsupportedKind("most of what is said is not in English: such a transcript cannot be de-identified here")
    deidentified, originals = deidentify_transcript(transcript, chart.known)
    checked = check(writer.write(deidentified, template, style), deidentified)
    note = new_note(
        checked,
        tuple(suggest_codes(checked)),
        template=template,
        transcript=transcript,
        reveal=Revealing(deidentified, originals),
    )
    note["patient_called"] = style.patient_called
    if spoken.others:
        words = f"{len(spoken.others)} utterances are not in English: who signs must read them"
        note["warnings"] = [*note["warnings"], words]
    return Drafted(deidentified, checked, with_orders(note), originals)


class Steps:
    """Does the steps, one encounter at a time.

    Parameters
    ----------
    stores : Stores
    means : Means
    owner : str
        Of claims; different for each start.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, stores: Stores, means: Means, *, owner: str, clock: Callable[[], float] = time.time) -> None:
        self._stores = stores
        self._means = means
        self._papers = Papers(stores.identified)
        self._audio = OwnBlobs(stores.identified)
        self._vault = Documents(stores.database, stores.keyring, stores.audit)
        self._owner = owner
        self._clock = clock

    def transcribe(self) -> bool:
        """Transcribe the recording that has waited longest; False when none waits."""
        return self._one(EncounterState.RECORDED, self._transcribe, LEASE_S)

    def draft(self) -> bool:
        """Draft the note of the transcript that has waited longest; False when none waits."""
        return self._one(EncounterState.TRANSCRIBED, self._draft, DRAFT_LEASE_S)

    def _one(self, state: EncounterState, step: Callable[[Documented, int], None], lease_s: float) -> bool:
        def within(connection: Connection) -> tuple[Documented, int] | None:
            claimed = encounters.claim(connection, [state], self._owner, now=self._clock(), lease_s=lease_s)
            return None if claimed is None else (claimed, encounters.attempts(connection, claimed.id))

        found = self._stores.database.write(within)
        if found is None:
            return False
        held, tried = found
        try:
            if tried > _MOST_ATTEMPTS:
                raise PluginError("the hub was ended each time that it worked on this")
            # One bad encounter must not stop the hub.
            call(f"the work on what was {state.value}", lambda: step(held, tried))
        except OslerError as error:
            self._failed(held, error)
        return True

    def _failed(self, held: Documented, error: OslerError) -> None:
        now = self._clock()

        def within(connection: Connection) -> None:
            if not encounters.holds(connection, held.id, self._owner):
                return
            tried = encounters.attempts(connection, held.id)
            writers_left = held.state is EncounterState.TRANSCRIBED and len(self._means.writers) > 1
            if tried >= _MOST_ATTEMPTS or (isinstance(error, InputRejected) and not writers_left):
                encounters.change(
                    connection,
                    held.id,
                    now=now,
                    state=EncounterState.FAILED.value,
                    reason=str(error),
                    lease_owner=None,
                    lease_until=None,
                )
                entry = replace(record("encounter-failed", HUB, held, error=type(error).__name__), outcome=8)
                self._stores.audit.append(connection, entry)
            else:
                later = now + _BACKOFF_S * 2 ** (tried - 1)
                encounters.change(connection, held.id, now=now, available_at=later, lease_owner=None, lease_until=None)

        self._stores.database.write(within)
        log.warning("encounter step failed", encounter=held.id, state=held.state.value, error=type(error).__name__)

    def _transcribe(self, held: Documented, _tried: int) -> None:
        with self._stores.database.read() as connection:
            parts = encounters.audio(connection, held.id)
        told = 0.0

        def progress(seconds: float) -> None:
            nonlocal told
            if time.monotonic() - told < _RENEW_S:
                return
            told, until = time.monotonic(), self._clock() + LEASE_S
            if not self._stores.database.write(
                lambda c: encounters.renew(c, held.id, self._owner, until=until, progress_s=seconds)
            ):
                raise Conflict("the recording was taken back, or another works on it")

        chart = read_chart(self._stores, held.subject)
        transcript = self._means.ear.hear(list(takes(parts, self._audio.get)), chart, progress=progress)
        blob, now = self._papers.stage(to_json(transcript)), self._clock()

        def within(connection: Connection) -> bool:
            if not encounters.holds(connection, held.id, self._owner):
                return False
            encounters.keep(connection, held.id, Paper.TRANSCRIPT, blob, by=HUB.name, now=now)
            until = now + self._means.keep_audio_s
            encounters.move(connection, held.id, EncounterState.TRANSCRIBED, now=now, audio_until=until)
            count, model = len(transcript.utterances), transcript.model
            heard = {"model": f"{model.name}@{model.version}"} if model else {}
            self._stores.audit.append(connection, record("encounter-transcribed", HUB, held, utterances=count, **heard))
            return True

        if not self._stores.database.write(within):
            self._papers.discard(blob)  # consent was taken back meanwhile: nothing may stay

    def _draft(self, held: Documented, tried: int) -> None:
        with self._stores.database.read() as connection:
            transcript = from_json(self._papers.text(connection, held.id, Paper.TRANSCRIPT))
        template = template_of(self._means, held)
        last = tried >= _MOST_ATTEMPTS
        writer = self._means.writers[-1 if last else 0]
        chart = read_chart(self._stores, held.subject)
        drafted = draft_note(transcript, chart, writer=writer, template=template, style=style_of(held))
        if last and len(self._means.writers) > 1:
            drafted = _with_warning(drafted, "the language model did not answer; the extractive writer wrote this")
        self._file(held, drafted)

    def _file(self, held: Documented, drafted: Drafted) -> None:
        token = self._vault.keep(drafted.originals, agent=HUB)
        papers = {
            Paper.DEIDENTIFIED: {"token": token, **transcript_to_json(drafted.transcript)},
            Paper.DRAFT: checked_to_json(drafted.checked),
            Paper.NOTE: drafted.note,
        }
        blobs = {kind: self._papers.stage(content) for kind, content in papers.items()}
        now, author = self._clock(), drafted.checked.draft.author

        def within(connection: Connection) -> bool:
            if not encounters.holds(connection, held.id, self._owner):
                return False
            for kind, blob in blobs.items():
                encounters.keep(connection, held.id, kind.value, blob, by=HUB.name, now=now)
            revision = held.revision + 1
            encounters.move(connection, held.id, EncounterState.DRAFTED, now=now, revision=revision)
            placeholders = sum(drafted.transcript.placeholders.values())
            self._stores.audit.append(
                connection,
                record("transcript-deidentified", HUB, held, placeholders=placeholders),
                record("note-drafted", HUB, held, writer=f"{author.name}@{author.version}"),
            )
            return True

        if not self._stores.database.write(within):
            self._papers.discard(*blobs.values())


def _with_warning(drafted: Drafted, words: str) -> Drafted:
    return replace(drafted, note=drafted.note | {"warnings": [*drafted.note["warnings"], words]})
