"""Taking in an encounter: who it is about, that it may be recorded, the audio, or a transcript in its place.

No consent, no audio. What has been answered with success is on disk and in the ledger; a part that comes again changes
nothing.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from osler.audit import Agent
from osler.domain.encounter import Consent, Documented, EncounterState, Subject
from osler.domain.transcript import Transcript
from osler.draft.port import Style
from osler.errors import Conflict, Malformed, OslerError, TooLarge
from osler.scribe.chart import require_of_patient
from osler.scribe.intake import require_audio, require_kept, require_open
from osler.scribe.own import OwnBlobs
from osler.scribe.papers import Paper, Papers
from osler.scribe.record import record
from osler.scribe.retention import delete_audio
from osler.scribe.takes import require_whole
from osler.storage import encounters
from osler.storage.encounters import AudioPart
from osler.stores import Stores
from osler.transcribe.formats import to_json

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much audio an encounter may have.

    Parameters
    ----------
    audio_bytes : int
    part_bytes : int
    keep_unfinished_s : float
        How long audio that nobody finished is kept after the last that was done with it, seconds.
    """

    audio_bytes: int = 1024 * 1_000_000
    part_bytes: int = 16 * 1_000_000
    keep_unfinished_s: float = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a new encounter is to be."""

    subject: Subject
    template: str
    style: Style = field(default_factory=Style)
    consent: Consent | None = None


class Capture:
    """Takes in encounters.

    Parameters
    ----------
    stores : Stores
    limits : Limits
    clock : callable
        Seconds since the epoch, UTC.
    wake : callable
        Told that there is something to transcribe or to draft.
    """

    def __init__(
        self,
        stores: Stores,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.time,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._stores = stores
        self._papers = Papers(stores.identified)
        self._audio = OwnBlobs(stores.identified)
        self.clock = clock
        self._wake = wake
        self.limits = limits

    def create(self, agent: Agent, wanted: Wanted) -> Documented:
        """Open an encounter.

        Raises
        ------
        Malformed
            If the Encounter of the chart is of another patient.
        """
        now = self.clock()
        new = Documented(
            id=str(uuid.uuid4()),
            subject=wanted.subject,
            state=EncounterState.OPEN,
            template=wanted.template,
            detail=wanted.style.detail,
            consent=wanted.consent,
            paused=False,
            reason="",
            progress_s=0.0,
            revision=0,
            created_by=agent.name,
            created_at=now,
            updated_at=now,
            by_problem=wanted.style.by_problem,
            patient_called=wanted.style.patient_called,
        )

        def within(connection: Connection) -> None:
            require_of_patient(self._stores, connection, wanted.subject)
            encounters.create(connection, new)
            self._record(connection, "encounter-opened", agent, new)
            if new.consent is not None:
                self._record(connection, "consent-recorded", agent, new, method=new.consent.method.value)

        self._stores.database.write(within)
        return new

    def consent(self, agent: Agent, encounter_id: str, consent: Consent | None) -> Documented:
        """Note that the recording was agreed to; None takes it back, and the audio is deleted at once.

        A step that hears the audio then is stopped and leaves nothing. What was written down before stays: it is the
        record of what was done, and the clinician's.
        """
        with self._stores.database.read() as connection:
            before = encounters.find(connection, encounter_id)
            parts = encounters.audio(connection, encounter_id, unfinished=True)
        if consent is not None and before.consent is None and parts:
            delete_audio(self._stores, agent, before, parts, now=self.clock(), reason="consent withdrawn")
        now = self.clock()

        def within(connection: Connection) -> tuple[Documented, list[AudioPart]]:
            held = encounters.find(connection, encounter_id, lock=True)
            encounters.consented(connection, encounter_id, consent, now=now)
            event = "consent-recorded" if consent else "consent-withdrawn"
            self._record(connection, event, agent, held, **({"method": consent.method.value} if consent else {}))
            gone = [] if consent else encounters.audio(connection, encounter_id, unfinished=True)
            if gone:
                encounters.change(connection, encounter_id, now=now, audio_until=now)  # due, whatever happens to us
                if held.state is EncounterState.RECORDED:
                    encounters.move(connection, encounter_id, EncounterState.OPEN, now=now, progress_s=0.0)
            return encounters.find(connection, encounter_id), gone

        found, gone = self._stores.database.write(within)
        if not gone:
            return found
        delete_audio(self._stores, agent, found, gone, now=now, reason="consent withdrawn")
        with self._stores.database.read() as connection:
            return encounters.find(connection, encounter_id)

    def pause(self, agent: Agent, encounter_id: str, *, paused: bool) -> Documented:
        """Pause or go on; a paused encounter takes no audio."""

        def within(connection: Connection) -> Documented:
            held = encounters.find(connection, encounter_id, lock=True)
            require_open(held)
            encounters.change(connection, encounter_id, now=self.clock(), paused=paused)
            self._record(connection, "recording-paused" if paused else "recording-resumed", agent, held)
            return encounters.find(connection, encounter_id)

        return self._stores.database.write(within)

    def check(self, encounter_id: str) -> Documented:
        """Return an encounter that takes audio now.

        Raises
        ------
        NotFound
        AccessDenied
            If nobody has consented.
        Conflict
            If it is paused, or has gone on.
        """
        with self._stores.database.read() as connection:
            held = encounters.find(connection, encounter_id)
        require_audio(held)
        return held

    def add(self, agent: Agent, encounter_id: str, pieces: Sequence[tuple[int, int, bytes]]) -> Documented:
        """Keep parts of audio: each a take, a number in it from 0, and the bytes. All are durable on return.

        Raises
        ------
        NotFound, AccessDenied, Conflict
            As :meth:`check`; Conflict too when another content is here under a number.
        TooLarge
            If the audio grows over the limit.
        """
        self.check(encounter_id)
        new = []
        for take, number, content in pieces:
            if not content:
                raise Malformed("a part without content")
            if len(content) > self.limits.part_bytes:
                raise TooLarge("the part is larger than the settings allow (scribe.max_part_mb)")
            if not self._has(encounter_id, take, number, content):
                new.append((take, number, content))
        staged = [AudioPart(take, number, self._audio.put(content), len(content)) for take, number, content in new]

        def add(connection: Connection) -> list[AudioPart]:
            for part in staged:
                encounters.add_part(connection, encounter_id, part, now=self.clock())
            return staged

        try:
            return self._file(agent, encounter_id, add, [part.blob for part in staged])
        except Conflict:
            if new and all(self._has(encounter_id, *piece) for piece in new):  # it came twice at the same time
                return self.check(encounter_id)
            raise

    def stage(self, encounter_id: str, upload: int | None, number: int, content: bytes) -> int:
        """Keep a piece of a file that is on its way, durably and in the ledger; return the number of the upload.

        Parameters
        ----------
        encounter_id : str
        upload : int or None
            As it was returned for the first piece; None for that.
        number : int
            From 0.
        content : bytes

        Raises
        ------
        NotFound, AccessDenied, Conflict
            As :meth:`check`.
        """
        blob, now = self._audio.put(content), self.clock()

        def within(connection: Connection) -> int:
            held = encounters.find(connection, encounter_id, lock=True)
            require_audio(held)
            require_kept(held, now)
            mine = encounters.next_upload(connection, encounter_id) if upload is None else upload
            encounters.add_part(connection, encounter_id, AudioPart(mine, number, blob, len(content)), now=now)
            return mine

        return self._filed([blob], within)

    def abandon(self, encounter_id: str, upload: int) -> None:
        """Delete what is here of a file that does not come any more."""
        with self._stores.database.read() as connection:
            every = encounters.audio(connection, encounter_id, unfinished=True)
        gone = [part for part in every if part.take == upload]
        for part in gone:
            self._audio.delete(part.blob)
        self._stores.database.write(lambda c: encounters.forget_parts(c, encounter_id, gone))

    def add_take(self, agent: Agent, encounter_id: str, upload: int) -> Documented:
        """Make a file that is wholly here a take of its own, the next.

        Raises
        ------
        NotFound, AccessDenied, Conflict, TooLarge
            As :meth:`add`; the file is gone then.
        """
        try:
            return self._file(agent, encounter_id, lambda c: encounters.take_up(c, encounter_id, upload), ())
        except OslerError as error:
            if not error.retryable:
                self.abandon(encounter_id, upload)
            raise

    def _has(self, encounter_id: str, take: int, number: int, content: bytes) -> bool:
        """Tell whether a part came before; Conflict when it was another."""
        with self._stores.database.read() as connection:
            here = encounters.part_at(connection, encounter_id, take, number)
        if here is None:
            return False
        if here.size != len(content) or self._audio.get(here.blob) != content:
            raise Conflict("another content is here under that number")
        return True

    def _file(
        self, agent: Agent, encounter_id: str, parts_of: Callable[[Connection], list[AudioPart]], refs: Sequence[str]
    ) -> Documented:
        now = self.clock()

        def within(connection: Connection) -> Documented:
            held = encounters.find(connection, encounter_id, lock=True)
            require_audio(held)
            require_kept(held, now)
            parts = parts_of(connection)
            size = sum(part.size for part in parts)
            if held.audio_bytes + size > self.limits.audio_bytes:
                raise TooLarge("the audio is larger than the settings allow (scribe.max_audio_mb)")
            if parts:
                encounters.change(connection, encounter_id, now=now, audio_deleted_at=None)
                self._record(connection, "audio-received", agent, held, parts=len(parts), bytes=size)
            return encounters.find(connection, encounter_id)

        return self._filed(refs, within)

    def _filed(self, refs: Sequence[str], within: Callable[[Connection], _T]) -> _T:
        """File what was staged; it is deleted when that is refused, and kept when nobody knows whether it was done."""
        try:
            return self._stores.database.write(within)
        except OslerError as error:
            if not error.retryable:
                self._papers.discard(*refs)
            raise

    def parts(self, encounter_id: str) -> list[AudioPart]:
        """Return what is here of the audio."""
        with self._stores.database.read() as connection:
            encounters.find(connection, encounter_id)
            return encounters.audio(connection, encounter_id)

    def finish(self, agent: Agent, encounter_id: str, expected: Mapping[int, int] | None = None) -> Documented:
        """Say that all audio is here; from now on it waits to be transcribed.

        Parameters
        ----------
        expected : mapping of int to int, optional
            How many parts each take has.

        Raises
        ------
        Conflict
            If parts are missing; the message names the first.
        """
        now = self.clock()

        def within(connection: Connection) -> Documented:
            held = encounters.find(connection, encounter_id, lock=True)
            if held.state is not EncounterState.OPEN:
                return held  # said before
            require_kept(held, now)
            require_whole(encounters.audio(connection, encounter_id), expected or {})
            encounters.move(connection, encounter_id, EncounterState.RECORDED, now=now, paused=False)
            self._record(connection, "recording-finished", agent, held)
            return encounters.find(connection, encounter_id)

        found = self._stores.database.write(within)
        self._wake()
        return found

    def transcript(self, agent: Agent, encounter_id: str, transcript: Transcript) -> Documented:
        """Take a transcript in place of audio."""
        blob = self._papers.stage(to_json(transcript))
        now = self.clock()

        def within(connection: Connection) -> Documented:
            held = encounters.find(connection, encounter_id, lock=True)
            require_open(held)
            if held.audio_bytes:
                raise Conflict("the encounter has audio: finish it, or open another for the transcript")
            encounters.keep(connection, encounter_id, Paper.TRANSCRIPT, blob, by=agent.name, now=now)
            encounters.move(connection, encounter_id, EncounterState.TRANSCRIBED, now=now)
            self._record(connection, "transcript-received", agent, held, utterances=len(transcript.utterances))
            return encounters.find(connection, encounter_id)

        found = self._filed([blob], within)
        self._wake()
        return found

    def retry(self, agent: Agent, encounter_id: str) -> Documented:
        """Let the step that failed be tried again; where neither transcript nor audio is left, audio may come anew."""
        now = self.clock()

        def within(connection: Connection) -> Documented:
            held = encounters.find(connection, encounter_id, lock=True)
            if held.state is not EncounterState.FAILED:
                raise Conflict("the encounter has not failed")
            heard = encounters.document(connection, encounter_id, Paper.TRANSCRIPT) is not None
            if not heard:
                require_kept(held, now)
            waits = EncounterState.RECORDED if held.audio_bytes and held.consent else EncounterState.OPEN
            state = EncounterState.TRANSCRIBED if heard else waits
            encounters.move(connection, encounter_id, state, now=now)
            self._record(connection, "encounter-retried", agent, held)
            return encounters.find(connection, encounter_id)

        found = self._stores.database.write(within)
        self._wake()
        return found

    def _record(
        self, connection: Connection, event: str, agent: Agent, held: Documented, **detail: str | int | float
    ) -> None:
        self._stores.audit.append(connection, record(event, agent, held, **detail))
