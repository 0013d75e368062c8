"""Audio is deleted when it has been kept as long as the settings say, or at once when consent is withdrawn."""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from osler.audit import HUB, Agent
from osler.domain.encounter import Documented
from osler.scribe.own import OwnBlobs
from osler.scribe.record import record
from osler.storage import encounters
from osler.storage.encounters import AudioPart
from osler.stores import Stores


def delete_audio(
    stores: Stores, agent: Agent, held: Documented, parts: Sequence[AudioPart], *, now: float, reason: str
) -> None:
    """Delete parts of a recording, then put it on record; whoever is killed between does both again."""
    own = OwnBlobs(stores.identified)
    for part in parts:
        own.delete(part.blob)

    def within(connection: Connection) -> None:
        if encounters.forget_audio(connection, held.id, parts, now=now):
            size = sum(part.size for part in parts)
            stores.audit.append(connection, record("audio-deleted", agent, held, reason=reason, bytes=size))

    stores.database.write(within)


def delete_due_audio(stores: Stores, *, clock: Callable[[], float] = time.time) -> bool:
    """Delete the audio of one encounter whose time is over; False when there is none."""
    now = clock()
    with stores.database.read() as connection:
        encounter_id = encounters.audio_due(connection, now=now)
        if encounter_id is None:
            return False
        held = encounters.find(connection, encounter_id)
        parts = encounters.audio(connection, encounter_id, unfinished=True)
    reason = "kept long enough" if held.consent else "consent withdrawn"
    delete_audio(stores, HUB, held, parts, now=now, reason=reason)
    return True
