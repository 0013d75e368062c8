"""``osler workers``: who works, where, and with what."""

import time

import typer

from osler.cli.caller import Caller, DataDir, Json, emit_table
from osler.hub.opening import open_worker_stores
from osler.storage.workers import LOST_S, WorkerSign, listing


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    workers = typer.Typer(help="The workers of a hub, on all hosts.", no_args_is_help=True)
    workers.callback()(lambda: None)
    workers.command("list")(list_workers)
    app.add_typer(workers, name="workers")


def list_workers(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the workers with their models, their device and what they do."""
    caller: Caller = ctx.obj
    with open_worker_stores(caller.config(data_dir)) as stores, stores.database.read() as connection:
        found = listing(connection)
    now = time.time()
    rows = [
        {
            "id": one.id,
            "host": one.host,
            "state": _state(one, now),
            "models": ",".join(one.models),
            "tags": ",".join(one.tags),
            "device": one.device,
            "gpu_memory_mb": one.gpu_memory_mb,
            "jobs": one.busy,
            "up_s": round(now - one.started_at),
            "seen_s": round(now - one.heartbeat_at),
        }
        for one in found
    ]
    emit_table(rows, as_json)


def _state(one: WorkerSign, now: float) -> str:
    if one.heartbeat_at < now - LOST_S:
        return "lost"
    return "draining" if one.draining else "busy" if one.busy else "idle"
