"""``osler top``: the hub at one glance, drawn anew while it runs."""

import contextlib
import sys
import time
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from osler.cli.caller import Caller, ConfigFile, DataDir, Json, emit
from osler.hub.overview import overview


def add_commands(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(top)


def top(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Draw it once and end.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Time between two looks, seconds.")] = 2.0,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Show jobs, models, workers, deliveries, alerts, audit and disk as they are now; Ctrl-C ends it."""
    caller: Caller = ctx.obj
    settings = caller.config(data_dir, config)
    with caller.stores(data_dir, config) as stores:
        if once or as_json or not sys.stdout.isatty():
            document = overview(stores, settings)
            emit(document, as_json, lambda console: console.print(drawn(document)))
            return
        console = Console(highlight=False)
        live = Live(drawn(overview(stores, settings)), console=console, screen=True, auto_refresh=False)
        with live, contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(every)
                live.update(drawn(overview(stores, settings)), refresh=True)


def drawn(document: dict[str, Any]) -> Group:
    """Draw an overview."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(document["at"]))
    disk, audit, alerts = document["disk"], document["audit"], document["alerts"]
    free = f"{disk['free'] / 1e9:.1f} of {disk['size'] / 1e9:.1f} GB free"
    studies = ", ".join(f"{count} {state}" for state, count in sorted(document["studies"].items())) or "none"
    return Group(
        Text(f"Osler  {at} UTC   disk {free}"),
        Text(f"studies before the queue: {studies}; in quarantine: {document['quarantined']}"),
        Text(f"alerts open: {alerts['open']}, oldest {alerts['oldest_s']:.0f} s; dead jobs: {document['dead']}"),
        Text(f"audit: {audit['entries']} entries, {audit['behind']} not in a checkpoint ({audit['behind_s']:.0f} s)"),
        _table("jobs", document["jobs"], ("state", "priority", "jobs")),
        _table(
            "oldest that waits",
            [{"priority": p, "age_s": age} for p, age in document["oldest_s"].items()],
            ("priority", "age_s"),
        ),
        _table("models", document["models"], ("model", "last_hour", "waiting", "median_s", "p95_s")),
        _table("workers", document["workers"], ("worker", "host", "device", "busy", "draining", "heartbeat_s")),
        _table("deliveries", document["deliveries"], ("destination", "waiting", "failed", "oldest_s")),
        _table("drift", [d for d in document["drift"] if d["alarms"]], ("model", "kind", "alarms")),
    )


def _table(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Table | Text:
    if not rows:
        return Text(f"{title}: none")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if isinstance(rows[0][column], int | float) else "left")
    for row in rows:
        table.add_row(*(Text(str(row[column])) for column in columns))
    return table
