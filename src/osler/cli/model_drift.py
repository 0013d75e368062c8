"""``osler models drift`` and ``osler models feedback --rolling``: does a model still see, and say, what it used to."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection

from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit
from osler.errors import NotFound
from osler.hub.feedback import feedback_on
from osler.monitor.alarms import Watch, new_reference, open_alarms, watch_of
from osler.monitor.cases import count_since, watched_models
from osler.monitor.outcomes import outcomes
from osler.standards.fhir import instant


def add_commands(group: typer.Typer) -> None:
    """Add the commands to ``osler models``."""
    group.command()(drift)


def drift(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="NAME or NAME@VERSION; all when it is left out.")] = "",
    reset: Annotated[
        bool, typer.Option("--new-reference", help="What comes from now on is as it shall be; alarms are closed.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show what has changed in what a model is shown and answers, against its first cases."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    with caller.stores(data_dir) as stores:
        with stores.database.read() as connection:
            models = [m for m in sorted(watched_models(connection)) if name in ("", m, m.rpartition("@")[0])]
        if name and not models:
            raise NotFound("that model has read nothing yet")
        if reset:

            def change(connection: Connection) -> None:
                for model in models:
                    new_reference(connection, model, now=time.time())
                    record = AuditRecord("drift-reference-set", agent=caller.agent, detail={"model": model})
                    stores.audit.append(connection, record)

            stores.database.write(change)
        with stores.database.read() as connection:
            found = [_document(connection, model, config.integer("drift.reference")) for model in models]
    emit(found, as_json, lambda console: _draw(console, found))


def show_outcomes(ctx: typer.Context, name: str, data_dir: Path | None, as_json: bool) -> None:
    """Show how often models were right lately, by what people said."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        found = [one.document() for one in outcomes(feedback_on(stores, name))]

    def draw(console: Console) -> None:
        for one in found:
            console.print(f"{one['model']}  {one['finding']}  {one['answers']} answers", markup=False)
            for figure in ("agreement", "sensitivity", "specificity"):
                console.print(f"  {figure:12} {_share(one[figure])}", markup=False)
            console.print(f"  observed less expected {one['observed_less_expected']}", markup=False)
        if not found:
            console.print("nobody has answered yet")

    emit(found, as_json, draw)


def _share(share: dict[str, Any]) -> str:
    if share["value"] is None:
        return "no answers"
    low, high = share["interval_95"]
    return f"{share['value']:.3f} ({low:.3f} to {high:.3f}), {share['hits']} of {share['of']}"


def _document(connection: Connection, model: str, reference: int) -> dict[str, Any]:
    watch = watch_of(connection, model) or Watch(model, 0, 0, 0.0)
    return {
        "model": model,
        "reference": min(reference, count_since(connection, model, watch.reference_seq)),
        "reference_wanted": reference,
        "cases": count_since(connection, model, 0),
        "looked_at": instant(watch.looked_at) if watch.looked_at else None,
        "alarms": [
            {
                "stream": alarm.stream,
                "variable": alarm.variable,
                "kind": alarm.kind,
                "psi": round(alarm.psi, 4),
                "chance": alarm.chance,
                "opened_at": instant(alarm.opened_at),
            }
            for alarm in open_alarms(connection, model)
        ],
        "last_look": list(watch.changes),
    }


def _draw(console: Console, found: list[dict[str, Any]]) -> None:
    for one in found:
        whole = f"reference {one['reference']} of {one['reference_wanted']}"
        console.print(
            f"{one['model']}  {one['cases']} cases, {whole}, last look {one['looked_at'] or 'none yet'}", markup=False
        )
        for alarm in one["alarms"]:
            words = f"{alarm['stream']}  {alarm['variable']}  stability index {alarm['psi']:.2f}"
            console.print(f"  ALARM since {alarm['opened_at']}  {words}", markup=False)
        for change in sorted(one["last_look"], key=lambda c: -c["psi"])[:10]:
            named = f"  {change['word']}" if change.get("word") else ""
            words = f"{change['stream']}  {change['variable']}  last {change['window']}{named}"
            console.print(f"  {words}  stability index {change['psi']:.2f}", markup=False)
    if not found:
        console.print("no model has read anything yet")
