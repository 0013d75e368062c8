"""What an encounter must be to take something in."""

from osler.domain.encounter import Documented, EncounterState
from osler.errors import AccessDenied, Conflict


def require_open(held: Documented) -> None:
    """Let pass only an encounter that audio or a transcript may come for.

    Raises
    ------
    Conflict
    """
    if held.state is not EncounterState.OPEN:
        raise Conflict(f"the encounter takes nothing more: it is {held.state.value}")


def require_kept(held: Documented, now: float) -> None:
    """Let pass only an encounter whose audio is not being deleted.

    Raises
    ------
    Conflict
    """
    if held.audio_until is not None and held.audio_until <= now:
        raise Conflict("the audio has been kept as long as the settings say, and is being deleted: try again then")


def require_audio(held: Documented) -> None:
    """Let pass only an encounter that takes audio now.

    Raises
    ------
    AccessDenied
        If nobody has consented.
    Conflict
        If it is paused, or has gone on.
    """
    if held.consent is None:
        raise AccessDenied("no consent to a recording is on record: record it first")
    require_open(held)
    if held.paused:
        raise Conflict("the recording is paused: resume it first")
