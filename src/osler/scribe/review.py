"""A person reviews a note: edits, removes, adds, swaps roles, has a section written anew. Each change is a version.

A change says which revision it is about; when somebody else has changed the note meanwhile, it is refused.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from osler.audit import Agent
from osler.deidentify.reversible import PLACEHOLDER
from osler.domain.encounter import Documented, EncounterState
from osler.domain.note_json import transcript_from_json
from osler.domain.transcript import SpeakerRole, Transcript
from osler.draft.port import Style
from osler.errors import Conflict, Malformed, NotFound, PreconditionFailed
from osler.scribe import note as notes
from osler.scribe.chart import read_chart
from osler.scribe.gatekeeping import Encountered, Gatekeeper
from osler.scribe.papers import Json, Paper, Papers
from osler.scribe.record import record
from osler.scribe.staging import OrderState, decided, with_orders
from osler.scribe.steps import Means, draft_note, template_of
from osler.storage import encounters
from osler.stores import Stores
from osler.transcribe.formats import from_json, to_json
from osler.vault.documents import Documents

Change = Callable[[Json], Json]


class Reviewing:
    """What people do with drafts.

    Parameters
    ----------
    stores : Stores
    means : Means
    clock : callable
        Seconds since the epoch, UTC.
    wake : callable
        Told that there is something to draft.
    """

    def __init__(
        self,
        stores: Stores,
        means: Means,
        *,
        clock: Callable[[], float] = time.time,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._stores = stores
        self._means = means
        self._papers = Papers(stores.identified)
        self._vault = Documents(stores.database, stores.keyring, stores.audit)
        self._clock = clock
        self._wake = wake

    def read(self, agent: Agent, encounter_id: str, kind: Paper) -> tuple[Documented, Json]:
        """Return a document of an encounter; the audit has it before."""
        held, text = self.text(agent, encounter_id, kind)
        return held, json.loads(text)

    def text(self, agent: Agent, encounter_id: str, kind: Paper) -> tuple[Documented, str]:
        """Return a document of an encounter as it was written; the audit has it before."""
        with self._stores.database.read() as connection:
            held = encounters.find(connection, encounter_id)
            content = self._papers.text(connection, encounter_id, kind)
        self._stores.audit.record(record(f"{kind.value}-read", agent, held))
        return held, content

    def edit(self, agent: Agent, encounter_id: str, revision: int, statement_id: str, text: str) -> Json:
        """Give a statement another text."""
        text, gate = notes.words_of(text), self._gatekeeper(agent, encounter_id)
        return self._reword(
            agent,
            encounter_id,
            revision,
            lambda note: notes.edited(
                note,
                statement_id,
                text,
                verdict=gate.judge(text, notes.find(note, statement_id)["evidence"]),
                by=agent.name,
            ),
            gate=gate,
        )

    def remove(self, agent: Agent, encounter_id: str, revision: int, statement_id: str) -> Json:
        """Take a statement out."""
        return self._reword(
            agent, encounter_id, revision, lambda note: notes.removed(note, statement_id, by=agent.name)
        )

    def restore(self, agent: Agent, encounter_id: str, revision: int, statement_id: str) -> Json:
        """Bring a statement back as it was drafted."""
        return self._reword(
            agent, encounter_id, revision, lambda note: notes.restored(note, statement_id, by=agent.name)
        )

    def add(
        self, agent: Agent, encounter_id: str, revision: int, key: str, text: str, *, utterances: Sequence[int] = ()
    ) -> Json:
        """Add a statement of one's own to a section, with the utterances that carry it where there are any."""
        text = notes.words_of(text)
        with self._stores.database.read() as connection:
            self._check(encounters.find(connection, encounter_id), revision)
            transcript = self._transcript(connection, encounter_id)
        said = {u.number: u for u in transcript.utterances}
        unknown = [number for number in utterances if number not in said]
        if unknown:
            raise Malformed("the transcript has no utterance of that number")
        evidence = [
            {"utterance": n, "quote": said[n].text, "start": said[n].start_s, "end": said[n].end_s} for n in utterances
        ]
        gate = self._gatekeeper(agent, encounter_id)
        verdict = gate.judge(text, evidence)
        return self._reword(
            agent,
            encounter_id,
            revision,
            lambda note: notes.added(note, key, text, verdict=verdict, by=agent.name, evidence=evidence),
            gate=gate,
        )

    def code(self, agent: Agent, encounter_id: str, revision: int, code: str, *, accepted: bool) -> Json:
        """Take or leave a suggested code."""
        return self._change(agent, encounter_id, revision, lambda note: notes.with_code(note, code, accepted=accepted))

    def order(self, agent: Agent, encounter_id: str, revision: int, order: str, *, state: OrderState) -> Json:
        """Keep or drop a staged order, or leave it open again."""
        return self._change(agent, encounter_id, revision, lambda note: decided(note, order, state, by=agent.name))

    def regenerate(self, agent: Agent, encounter_id: str, revision: int, key: str, style: Style) -> Json:
        """Have a section written anew, in another style or the same."""
        with self._stores.database.read() as connection:
            held = encounters.find(connection, encounter_id)
            self._check(held, revision)
            transcript = self._transcript(connection, encounter_id)
        template = template_of(self._means, held)
        chart = read_chart(self._stores, held.subject)
        fresh = draft_note(transcript, chart, writer=self._means.writers[0], template=template, style=style)
        return self._reword(agent, encounter_id, revision, lambda note: notes.with_section(note, key, fresh.note))

    def roles(self, agent: Agent, encounter_id: str, revision: int, roles: Mapping[str, SpeakerRole]) -> Documented:
        """Say what each voice is; the note is drafted anew."""
        with self._stores.database.read() as connection:
            self._check(encounters.find(connection, encounter_id), revision)
            before = self._transcript(connection, encounter_id)
        if not roles:
            raise Malformed("say at least of one speaker who it is")
        if set(roles) - {u.speaker for u in before.utterances}:
            raise NotFound("there is no speaker of that label")
        after = replace(
            before, utterances=tuple(replace(u, role=roles.get(u.speaker, u.role)) for u in before.utterances)
        )
        blob, now = self._papers.stage(to_json(after)), self._clock()

        def within(connection: Connection) -> Documented:
            held = self._locked(connection, encounter_id, revision)
            encounters.keep(connection, encounter_id, Paper.TRANSCRIPT, blob, by=agent.name, now=now)
            encounters.move(connection, encounter_id, EncounterState.TRANSCRIBED, now=now)
            self._stores.audit.append(connection, record("roles-changed", agent, held))
            return encounters.find(connection, encounter_id)

        found = self._stores.database.write(within)
        self._wake()
        return found

    def _reword(
        self, agent: Agent, encounter_id: str, revision: int, change: Change, *, gate: Gatekeeper | None = None
    ) -> Json:
        """Change statements of a note, and look again for what it leaves out."""
        keeper = gate or self._gatekeeper(agent, encounter_id)

        def reworded(note: Json) -> Json:
            changed = change(note)
            notes.require_room(note, changed)
            return changed | {"omissions": keeper.omissions(changed)}

        return self._change(agent, encounter_id, revision, reworded)

    def _change(self, agent: Agent, encounter_id: str, revision: int, change: Change) -> Json:
        with self._stores.database.read() as connection:
            self._check(encounters.find(connection, encounter_id), revision)
            note = self._papers.load(connection, encounter_id, Paper.NOTE)
        note = with_orders(change(note))
        blob, now = self._papers.stage(note), self._clock()

        def within(connection: Connection) -> Json:
            held = self._locked(connection, encounter_id, revision)
            encounters.keep(connection, encounter_id, Paper.NOTE, blob, by=agent.name, now=now)
            encounters.change(connection, encounter_id, now=now, revision=held.revision + 1)
            self._stores.audit.append(connection, record("note-edited", agent, held))
            return note

        return self._stores.database.write(within)

    def _locked(self, connection: Connection, encounter_id: str, revision: int) -> Documented:
        held = encounters.find(connection, encounter_id, lock=True)
        self._check(held, revision)
        return held

    @staticmethod
    def _check(held: Documented, revision: int) -> None:
        if held.state not in (EncounterState.DRAFTED, EncounterState.SIGNED):
            raise Conflict(f"there is no draft to change: the encounter is {held.state.value}")
        if held.revision != revision:
            raise PreconditionFailed("the note was changed meanwhile: read it again")

    def _transcript(self, connection: Connection, encounter_id: str) -> Transcript:
        return from_json(self._papers.text(connection, encounter_id, Paper.TRANSCRIPT))

    def _gatekeeper(self, agent: Agent, encounter_id: str) -> Gatekeeper:
        return Gatekeeper(lambda: self._encountered(agent, encounter_id))

    def _encountered(self, agent: Agent, encounter_id: str) -> Encountered:
        with self._stores.database.read() as connection:
            paper = self._papers.load(connection, encounter_id, Paper.DEIDENTIFIED)
            heard = self._transcript(connection, encounter_id)
        transcript = transcript_from_json(paper)
        names = sorted({name for u in transcript.utterances for name in PLACEHOLDER.findall(u.text)})
        originals = self._vault.reveal(paper["token"], names, agent=agent, reason="review") if names else {}
        return Encountered(heard, transcript, originals)
