"""``osler edge``: the same program at a small site or beside a workstation, with a hub behind it."""

import time
from typing import Annotated

import typer
from sqlalchemy import Connection

from osler.audit import AuditRecord
from osler.cli.caller import Caller, ConfigFile, DataDir, Json, emit_table
from osler.cli.serve import run_hub
from osler.config import Value
from osler.errors import ConfigError, NotFound
from osler.hub.opening import ROLES
from osler.storage import edge_outbox as outbox
from osler.storage.edge_outbox import State


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    edge = typer.Typer(help="Read studies here at once, and forward them, de-identified, to a hub.")
    edge.callback(invoke_without_command=True)(run)
    edge.command("list")(list_studies)
    edge.command()(retry)
    app.add_typer(edge, name="edge")


def run(
    ctx: typer.Context,
    data_dir: DataDir = None,
    hub: Annotated[str | None, typer.Option("--hub", help="https address of the hub; else edge.hub.")] = None,
    http: Annotated[str | None, typer.Option("--http", help="HOST:PORT of the HTTP side.")] = None,
    dimse: Annotated[str | None, typer.Option("--dimse", help="HOST:PORT of the DICOM side.")] = None,
    config: ConfigFile = None,
) -> None:
    """Run an edge until it is told to stop (SIGTERM, Ctrl-C)."""
    if ctx.invoked_subcommand is not None:
        return
    named = {"edge.hub": hub, "http.address": http, "dimse.address": dimse}
    given: dict[str, Value] = {name: value for name, value in named.items() if value}
    caller: Caller = ctx.obj
    settings = caller.config(data_dir, config, given)
    if not settings.text("edge.hub"):
        raise ConfigError("an edge needs a hub: --hub https://HOST:PORT, or edge.hub; without one it is osler serve")
    run_hub(caller, settings, ROLES)


def list_studies(
    ctx: typer.Context,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to list.")] = 1000,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List studies with how far they have come on their way to the hub."""
    caller: Caller = ctx.obj
    states = tuple(State) if state is None else (state,)
    with caller.stores(data_dir) as stores, stores.database.read() as connection:
        emit_table(outbox.listed(outbox.first(connection, *states, limit=limit)), as_json)


def retry(
    ctx: typer.Context,
    study: Annotated[str, typer.Argument(help="Pseudonymous UID of a study, as osler edge list shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Forward a study that was skipped or refused; files that are gone are made anew, and the study is read again."""
    caller: Caller = ctx.obj

    def change(connection: Connection) -> None:
        if not outbox.again(connection, study, now=time.time()):
            raise NotFound("there is no such study that was skipped or refused, or it is on its way already")
        entities = (f"study:{study}",)
        stores.audit.append(connection, AuditRecord("forwarding-retried", agent=caller.agent, entities=entities))

    with caller.stores(data_dir) as stores:
        stores.database.write(change)
