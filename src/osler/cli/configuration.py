"""``osler config show|check``."""

import re
from typing import Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from osler.cli.caller import Caller, ConfigFile, DataDir, Json, emit
from osler.config import SETTINGS
from osler.hub.people import policy_of
from osler.ingest.ehr.hosts import Hosts
from osler.ingest.peers import AcceptList


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The settings that are in force.", no_args_is_help=True)
    group.command()(show)
    group.command()(check)
    app.add_typer(group, name="config")


def show(ctx: typer.Context, data_dir: DataDir = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Show every setting with its value and where that came from."""
    caller: Caller = ctx.obj
    settings = caller.config(data_dir, config)
    rows = [
        {
            "name": s.name,
            "value": "***" if s.name.endswith("_secret") and settings.text(s.name) else masked(settings.values[s.name]),
            "origin": settings.origins[s.name],
            "help": s.help,
        }
        for s in SETTINGS
    ]
    destinations = [
        {"name": d.name, "kind": d.kind, "address": d.address or host_of(d.url), "when": d.when}
        for d in (*settings.destinations, *settings.privacy_destinations, *settings.operations_destinations)
    ]
    ehrs = [{"name": e.name, "fhir_base": e.fhir_base, "client_id": e.client_id} for e in settings.ehrs]
    document: dict[str, Any] = {
        "data_dir": str(settings.data_dir),
        "settings": rows,
        "destinations": destinations,
        "ehrs": ehrs,
    }

    def draw(console: Console) -> None:
        table = Table(box=None, pad_edge=False)
        for heading in ("setting", "value", "from", "what it is"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(str(row["name"]), str(row["value"]), str(row["origin"]), str(row["help"]))
        console.print(f"data folder: {settings.data_dir}")
        console.print(table)
        for d in destinations:
            console.print(f"destination {d['name']}: {d['kind']} {d['address']} ({d['when']})")
        for e in ehrs:
            console.print(f"ehr {e['name']}: {e['fhir_base']}")

    emit(document, as_json, draw)


def check(ctx: typer.Context, data_dir: DataDir = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Check the configuration; an error names the line at fault and ends with 2."""
    caller: Caller = ctx.obj
    settings = caller.config(data_dir, config)
    AcceptList(settings.items("dimse.accept"))
    policy_of(settings)
    for ehr in settings.ehrs:
        Hosts(ehr.fhir_base, ehr.hosts)
    emit(
        {"ok": True, "settings": len(settings.values), "destinations": len(settings.destinations)},
        as_json,
        lambda console: console.print(f"configuration ok: {len(settings.destinations)} destinations"),
    )


def masked(value: object) -> object:
    """Hide the password of a URL."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", value) if isinstance(value, str) else value


def host_of(url: str) -> str:
    """Return a URL without path and query, which may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
