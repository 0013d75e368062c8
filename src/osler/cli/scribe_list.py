"""``osler scribe list``: encounters, how far they have come, and when their audio is deleted."""

import time
from typing import Annotated, Final

import typer

from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit_table, progress_console
from osler.domain.encounter import Documented
from osler.hub.scribe import keep_unfinished_s
from osler.scribe.desk import SOON_S
from osler.scribe.retention import delete_at
from osler.standards.fhir import instant
from osler.storage import encounters

_MB: Final = 1_000_000


def add_commands(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(listing)


def listing(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most encounters.")] = 50,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the encounters that changed last, those first whose audio is soon deleted because nobody went on."""
    caller: Caller = ctx.obj
    keep_s = keep_unfinished_s(caller.config(data_dir))
    with caller.stores(data_dir) as stores:
        with stores.database.read() as connection:
            since = time.time() - keep_s + SOON_S
            ending = encounters.idle(connection, since=since, limit=limit)
            newest = encounters.newest(connection, state=None, patient="", before=float("inf"), limit=limit)
        first = {one.id for one in ending}
        found = [*ending, *(one for one in newest if one.id not in first)][:limit]
        stores.audit.record(AuditRecord("encounters-listed", agent=caller.agent, detail={"count": len(found)}))
    if ending and not as_json:
        progress_console().print(f"{len(ending)} first: nobody went on with them, and their audio is soon deleted")
    emit_table([_row(one, keep_s) for one in found], as_json)


def _row(held: Documented, keep_s: float) -> dict[str, object]:
    ends = delete_at(held, keep_s)
    return {
        "id": held.id,
        "status": held.state.value,
        "changed": instant(held.updated_at),
        "audio_mb": round(held.audio_bytes / _MB, 1),
        "audio_delete_at": instant(ends) if ends else None,
        "audio_deleted_at": instant(held.audio_deleted_at) if held.audio_deleted_at else None,
    }
