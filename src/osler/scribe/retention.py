"""Audio is deleted when it has been kept as long as the settings say, or at once when consent is withdrawn.

What was transcribed is kept for a while to be listened to. What nobody finished, or could not be transcribed, waits for
a person, and longer; whatever is done with it meanwhile begins that time anew.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from osler.audit import HUB, Agent
from osler.domain.encounter import Documented, EncounterState
from osler.scribe.own import OwnBlobs
from osler.scribe.record import record
from osler.storage import encounters
from osler.storage.encounters import AudioPart
from osler.stores import Stores

UNFINISHED: Final = (EncounterState.OPEN, EncounterState.FAILED)
"""States of which nothing comes unless a person goes on."""

_OURS: Final = (EncounterState.RECORDED, EncounterState.TRANSCRIBED)


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


def delete_at(held: Documented, keep_unfinished_s: float) -> float | None:
    """Return when the audio of an encounter is deleted if nobody goes on with it; None where there is none, or no time.

    Parameters
    ----------
    held : Documented
    keep_unfinished_s : float
        How long audio that nobody finished is kept after the last that was done with it, seconds.
    """
    if held.audio_until is not None or not held.audio_bytes or held.state in _OURS:
        return held.audio_until
    return held.touched_at + keep_unfinished_s


def delete_due_audio(stores: Stores, *, keep_unfinished_s: float, clock: Callable[[], float] = time.time) -> bool:
    """Delete the audio of one encounter whose time is over; False when there is none."""
    now = clock()
    with stores.database.read() as connection:
        encounter_id = encounters.audio_due(connection, now=now)
    if encounter_id is None:
        encounter_id = _given_up(stores, now=now, since=now - keep_unfinished_s)
    if encounter_id is None:
        return False
    with stores.database.read() as connection:
        held = encounters.find(connection, encounter_id)
        parts = encounters.audio(connection, encounter_id, unfinished=True)
    delete_audio(stores, HUB, held, parts, now=now, reason=_reason(held))
    return True


def _given_up(stores: Stores, *, now: float, since: float) -> str | None:
    """Set the end of the audio of one encounter that nobody went on with: from then on it takes nothing more."""

    def within(connection: Connection) -> str | None:
        for one in encounters.idle(connection, since=since, limit=1):
            held = encounters.find(connection, one.id, lock=True)
            if held.touched_at <= since and held.audio_until is None:
                encounters.change(connection, held.id, now=now, audio_until=now)
                return held.id
        return None

    with stores.database.read() as connection:
        if not encounters.idle(connection, since=since, limit=1):
            return None
    return stores.database.write(within)


def _reason(held: Documented) -> str:
    if held.consent is None:
        return "consent withdrawn"
    return "nobody finished it" if held.state in UNFINISHED else "kept long enough"
